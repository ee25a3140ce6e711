"""The definition against independent implementations, wherever they mean the same.

NumPy, ml_dtypes, gfloat and APyTypes round, in loops of our own. Fixed point, fused steps and
blocks, which have no such library, are in ``test_reference_integers.py``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import apytypes
import gfloat
import gfloat.formats as gf
import ml_dtypes
import numpy as np
import pytest
from apytypes import QuantizationMode
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.draws import INNER, Stream, draw
from analysis.emulation.reference import dot_exact, exact
from analysis.formats import (
    Accumulator,
    FloatFormat,
    LowestCodes,
    Overflow,
    Product,
    Rounding,
    TopCodes,
    Tree,
    float_format,
)

Pairs = Sequence[tuple[float, float]]
INFINITY, SATURATE = Overflow.INFINITY, Overflow.SATURATE
HALF = FloatFormat("half", 5, 10, overflow=INFINITY)
SINGLE = FloatFormat("single", 8, 23, overflow=INFINITY)
quick = settings(max_examples=150)


def summed(
    pairs: Pairs, accumulator: Accumulator, start: float = 0.0, stream: Stream | None = None
) -> float:
    return float(dot_exact(pairs, accumulator, exact(start), stream))


def assert_same(ours: float, theirs: float) -> None:
    assert ours == theirs or (math.isnan(ours) and math.isnan(theirs)), (ours, theirs)


def codes(dtype: Any) -> st.SearchStrategy[float]:
    """All values of a type, infinities and NaN among them."""
    bits = 8 * np.dtype(dtype).itemsize
    word = np.dtype(f"u{bits // 8}")
    return st.integers(0, 2**bits - 1).map(lambda c: float(np.array(c, word).view(dtype)))


def pairs_of(values: st.SearchStrategy[float], most: int = 12) -> st.SearchStrategy[Any]:
    """Operands, with ones among them so that terms meet and cancel."""
    each = values | st.sampled_from([1.0, -1.0, 0.0])
    return st.lists(st.tuples(each, each), max_size=most)


# NumPy rounds float16 through float32, as good as once (24 ≥ 2·11 + 2 bits; Figueroa, 1995)


def numpy_sum(dtype: Any, pairs: Pairs, start: float, least: float = 0.0) -> float:
    """Product and sum rounded to a NumPy type; what lies below ``least`` becomes zero."""
    total = dtype(start)
    with np.errstate(all="ignore"):
        for a, b in pairs:
            product = dtype(a) * dtype(b)
            total += product if abs(product) >= least or np.isnan(product) else dtype(0)
            total = dtype(0) if abs(total) < least else total
    return float(total)


@pytest.mark.parametrize(("dtype", "form"), [(np.float16, HALF), (np.float32, SINGLE)])
def test_rounded_products_and_sums_are_those_of_numpy(dtype: Any, form: FloatFormat) -> None:
    @quick
    @given(pairs_of(codes(dtype)), codes(dtype))
    def check(pairs: Pairs, start: float) -> None:
        accumulator = Accumulator(form, product=Product(form))
        assert_same(summed(pairs, accumulator, start), numpy_sum(dtype, pairs, start))

    check()


@quick
@given(pairs_of(st.floats(-2, 2, width=16).map(lambda x: x / 64)))
def test_without_subnormals_what_is_below_the_normal_numbers_is_zero(pairs: Pairs) -> None:
    flushing = replace(HALF, lowest=LowestCodes.ZERO)
    computed = summed(pairs, Accumulator(flushing, product=Product(flushing)))
    assert_same(computed, numpy_sum(np.float16, pairs, 0.0, least=2.0**-14))


@quick
@given(pairs_of(codes(np.float16)))
def test_exact_products_in_float32_are_those_of_numpy(pairs: Pairs) -> None:
    """The product of two float16 has 22 bits, so that float32 holds it."""
    assert_same(summed(pairs, Accumulator(SINGLE)), numpy_sum(np.float32, pairs, 0.0))


@quick
@given(pairs_of(st.floats(-300, 300, width=16), most=20), st.integers(1, 7))
def test_chunks_are_sums_of_their_own_and_then_added(pairs: Pairs, chunk: int) -> None:
    inner = Accumulator(HALF, chunk=chunk, product=Product(HALF), outer=Accumulator(SINGLE))
    parts = [pairs[at : at + chunk] for at in range(0, len(pairs), chunk)]
    sums = [(numpy_sum(np.float16, part, 0.0), 1.0) for part in parts]
    assert_same(summed(pairs, inner, 0.5), numpy_sum(np.float32, sums, 0.5))


BRACKETS: list[Callable[..., Any]] = [
    lambda a: a,
    lambda a, b: a + b,
    lambda a, b, c: (a + b) + c,
    lambda a, b, c, d: (a + b) + (c + d),
    lambda a, b, c, d, e: ((a + b) + (c + d)) + e,
    lambda a, b, c, d, e, f: ((a + b) + (c + d)) + (e + f),
    lambda a, b, c, d, e, f, g: ((a + b) + (c + d)) + ((e + f) + g),
    lambda a, b, c, d, e, f, g, h: ((a + b) + (c + d)) + ((e + f) + (g + h)),
]


@quick
@given(st.lists(codes(np.float16), min_size=1, max_size=8))
def test_a_tree_adds_neighbours(terms: list[float]) -> None:
    with np.errstate(all="ignore"):
        expected = float(BRACKETS[len(terms) - 1](*map(np.float16, terms)))
    computed = summed([(x, 1.0) for x in terms], Accumulator(HALF, order=Tree()))
    assert_same(computed, expected)


# operands of few bits and one scale: every sum is exact in float32, so that casts round once


@st.composite
def on_one_grid(draw: st.DrawFn) -> Pairs:
    """Eighths up to 7.5 times the like, scaled by one power of two."""
    eighths = st.integers(-60, 60).map(lambda k: k / 8)
    scale = 2.0 ** draw(st.sampled_from([4, 0, -3, -8, -12]))
    return [(a * scale, b) for a, b in draw(pairs_of(eighths, 16))]


def simple_sum(pairs: Pairs, rounder: Callable[[float], float]) -> float:
    total = 0.0
    for a, b in pairs:
        total = rounder(total + a * b)
    return total


ML_DTYPES = [
    (8, 7, ml_dtypes.bfloat16),
    (5, 2, ml_dtypes.float8_e5m2),
    (4, 3, ml_dtypes.float8_e4m3),
    (3, 4, ml_dtypes.float8_e3m4),
]


@pytest.mark.parametrize(("exponent_bits", "mantissa_bits", "dtype"), ML_DTYPES)
def test_narrow_sums_are_casts_of_ml_dtypes(
    exponent_bits: int, mantissa_bits: int, dtype: Any
) -> None:
    form = FloatFormat("f", exponent_bits, mantissa_bits, overflow=INFINITY)

    def cast(x: float) -> float:
        assert x == np.float32(x) or not math.isfinite(x)
        with np.errstate(all="ignore"):
            return float(np.float32(x).astype(dtype))

    @quick
    @given(on_one_grid())
    def check(pairs: Pairs) -> None:
        assert_same(summed(pairs, Accumulator(form)), simple_sum(pairs, cast))

    check()


NUMBERS, ONE_NAN = TopCodes.NUMBERS, TopCodes.ONE_NAN
GFLOAT = [
    (gf.format_info_ocp_e4m3, FloatFormat("e4m3", 4, 3, top=ONE_NAN)),
    (gf.format_info_ocp_e3m2, FloatFormat("e3m2", 3, 2, top=NUMBERS)),
    (gf.format_info_ocp_e2m3, FloatFormat("e2m3", 2, 3, top=NUMBERS)),
    (gf.format_info_ocp_e2m1, FloatFormat("e2m1", 2, 1, top=NUMBERS)),
    (gf.format_info_ocp_e5m2, float_format(5, 2)),
    (gf.format_info_ocp_e5m2, FloatFormat("e5m2", 5, 2, overflow=INFINITY)),
    (gf.format_info_bfloat16, FloatFormat("bfloat16", 8, 7, overflow=INFINITY)),
    (gf.format_info_binary16, HALF),
]
MODES = {
    Rounding.NEAREST_EVEN: gfloat.RoundMode.TiesToEven,
    Rounding.NEAREST_AWAY: gfloat.RoundMode.TiesToAway,
    Rounding.TOWARD_ZERO: gfloat.RoundMode.TowardZero,
    Rounding.UP: gfloat.RoundMode.TowardPositive,
    Rounding.DOWN: gfloat.RoundMode.TowardNegative,
}
each_gfloat = pytest.mark.parametrize(("info", "form"), GFLOAT, ids=lambda x: x.name)


@each_gfloat
@pytest.mark.parametrize("rounding", MODES)
def test_every_rounding_is_that_of_gfloat(info: Any, form: FloatFormat, rounding: Rounding) -> None:
    saturate = form.overflow is SATURATE
    rounder = partial(gfloat.round_float, info, rnd=MODES[rounding], sat=saturate)

    @settings(max_examples=40)
    @given(on_one_grid())
    def check(pairs: Pairs) -> None:
        assert_same(summed(pairs, Accumulator(form, rounding)), simple_sum(pairs, rounder))

    check()


@each_gfloat
def test_stochastic_sums_are_those_of_gfloat_given_the_bits(info: Any, form: FloatFormat) -> None:
    """Its "StochasticFastest" cuts to r bits and adds the random ones, as ours does."""
    mode, saturate = gfloat.RoundMode.StochasticFastest, form.overflow is SATURATE

    @settings(max_examples=40)
    @given(on_one_grid(), st.integers(1, 32), st.builds(Stream, st.integers(0, 2**64 - 1)))
    def check(pairs: Pairs, bits: int, stream: Stream) -> None:
        total = 0.0
        for step, (a, b) in enumerate(pairs):
            value = draw(stream, INNER, step, bits, odd=False).value
            total = gfloat.round_float(info, total + a * b, mode, saturate, value, bits)
        accumulator = Accumulator(form, Rounding.STOCHASTIC, random_bits=bits)
        assert_same(summed(pairs, accumulator, stream=stream), total)

    check()


# APyTypes rounds products to the accumulator's format too

APYTYPES = {
    Rounding.NEAREST_EVEN: QuantizationMode.TIES_EVEN,
    Rounding.NEAREST_AWAY: QuantizationMode.TIES_AWAY,
    Rounding.TOWARD_ZERO: QuantizationMode.TO_ZERO,
    Rounding.UP: QuantizationMode.TO_POS,
    Rounding.DOWN: QuantizationMode.TO_NEG,
}


@pytest.mark.parametrize("rounding", APYTYPES)
@pytest.mark.parametrize(("exponent_bits", "mantissa_bits"), [(4, 3), (5, 2), (6, 9), (3, 6)])
def test_rounded_products_are_those_of_apytypes(
    exponent_bits: int, mantissa_bits: int, rounding: Rounding
) -> None:
    form = FloatFormat("f", exponent_bits, mantissa_bits, overflow=INFINITY)
    accumulator = Accumulator(form, rounding, product=Product(form, rounding))

    @settings(max_examples=40)
    @given(pairs_of(codes(ml_dtypes.float8_e4m3)).filter(bool))
    def check(pairs: Pairs) -> None:
        a, b = (
            apytypes.APyFloatArray.from_float(list(side), exp_bits=4, man_bits=3)
            for side in zip(*pairs, strict=True)
        )
        with apytypes.APyFloatAccumulatorContext(
            exp_bits=exponent_bits, man_bits=mantissa_bits, quantization=APYTYPES[rounding]
        ):
            theirs = a @ b
        assert isinstance(theirs, apytypes.APyFloat)
        assert_same(summed(pairs, accumulator), float(theirs))

    check()
