"""``round_exact`` against the definition by search and other libraries; ``quantize`` against it."""

import bisect
import functools
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat.formats import (
    format_info_bfloat16,
    format_info_binary16,
    format_info_binary32,
    format_info_ocp_e2m1,
    format_info_ocp_e3m2,
    format_info_ocp_e4m3,
    format_info_ocp_e5m2,
)
from hypothesis import given
from hypothesis import strategies as st

from analysis.formats import FloatFormat, Rounding, float_format
from analysis.rounding import exponent, quantize, round_exact

NEAREST, ZERO = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO
both_roundings = pytest.mark.parametrize("rounding", list(Rounding))


@functools.cache
def magnitudes(form: FloatFormat) -> list[Fraction]:
    """Every value that is not negative, in order of its code."""
    steps = 2**form.mantissa_bits
    subnormal = [Fraction(f, steps) * Fraction(2) ** form.emin for f in range(steps)]
    binades = (Fraction(2) ** e for e in range(form.emin, form.emax + 1))
    return subnormal + [b * (1 + Fraction(f, steps)) for b in binades for f in range(steps)]


def by_search(x: Fraction, form: FloatFormat, rounding: Rounding) -> Fraction:
    """The value that IEEE 754-2019 (section 4.3.1) picks: of two as near, the even significand.

    Where neither is even, as happens with a single digit (m = 0), the larger.
    """
    values = magnitudes(form)
    above = bisect.bisect_left(values, abs(x))
    if above == len(values):
        nearest = values[-1]
    elif values[above] == abs(x):
        nearest = values[above]
    elif rounding is ZERO:
        nearest = values[above - 1]
    else:
        even = above if above % 2 == 0 or (form.mantissa_bits == 0 and above > 1) else above - 1
        codes = (above - 1, above)
        nearest = values[min(codes, key=lambda c: (abs(values[c] - abs(x)), c != even))]
    return -nearest if x < 0 else nearest


@both_roundings
@pytest.mark.parametrize("exponent_bits", [2, 3, 4, 5])
@pytest.mark.parametrize("mantissa_bits", [0, 1, 2, 3])
def test_every_neighbourhood_of_small_formats_rounds_as_defined(
    exponent_bits: int, mantissa_bits: int, rounding: Rounding
) -> None:
    form = float_format(exponent_bits, mantissa_bits)
    values = magnitudes(form)
    hair = form.quantum / 2**20
    points = [*values, *((low + high) / 2 for low, high in pairwise(values))]
    points = [x + d for x in points for d in (-hair, Fraction(0), hair)]
    points += [3 * form.largest, form.largest + form.quantum]
    exact = [by_search(x, form, rounding) for x in points]
    assert [round_exact(x, form, rounding) for x in points] == exact
    assert [round_exact(-x, form, rounding) for x in points] == [-y for y in exact]
    assert [Fraction(y) for y in quantize([float(x) for x in points], form, rounding)] == exact


#: untyped in ml_dtypes
finfo: Callable[[Any], Any] = ml_dtypes.finfo

# formats that reserve the top exponent, as ours do: the same values up to infinity
SAME_AS_ML_DTYPES = [
    (5, 2, ml_dtypes.float8_e5m2),
    (4, 3, ml_dtypes.float8_e4m3),
    (3, 4, ml_dtypes.float8_e3m4),
    (8, 7, ml_dtypes.bfloat16),
    (5, 10, np.float16),
]


def float32_samples() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random words of float32, finite, and all words whose low bits make ties of 16-bit formats."""
    words = np.random.default_rng(7).integers(0, 2**32, 200_000, dtype=np.uint32)
    ties = (np.arange(2**16, dtype=np.uint32) << np.uint32(16)) | np.uint32(0x8000)
    samples = np.concatenate([words, ties, ties << np.uint32(1)]).view(np.float32)
    return samples[np.isfinite(samples)]


@pytest.mark.parametrize(("exponent_bits", "mantissa_bits", "dtype"), SAME_AS_ML_DTYPES)
def test_casts_of_ml_dtypes_agree_where_they_are_finite(
    exponent_bits: int, mantissa_bits: int, dtype: Any
) -> None:
    samples = float32_samples()
    with np.errstate(over="ignore"):
        theirs = samples.astype(dtype).astype(np.float64)
    ours = quantize(samples, float_format(exponent_bits, mantissa_bits))
    largest = float(float_format(exponent_bits, mantissa_bits).largest)
    assert np.array_equal(ours, np.clip(theirs, -largest, largest))
    assert np.array_equal(np.signbit(ours), np.signbit(samples))


@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits", "dtype"),
    [
        (4, 3, ml_dtypes.float8_e4m3fn),
        (3, 2, ml_dtypes.float6_e3m2fn),
        (2, 3, ml_dtypes.float6_e2m3fn),
        (2, 1, ml_dtypes.float4_e2m1fn),
    ],
)
def test_formats_that_use_the_top_exponent_agree_below_it(
    exponent_bits: int, mantissa_bits: int, dtype: Any
) -> None:
    form = float_format(exponent_bits, mantissa_bits)
    samples = float32_samples()
    samples = samples[np.abs(samples) <= float(form.largest)]
    assert np.array_equal(quantize(samples, form), samples.astype(dtype).astype(np.float64))
    assert finfo(dtype).max > form.largest  # their top binade is what ours reserves


def test_float32_is_the_cast_of_numpy() -> None:
    x = np.random.default_rng(3).standard_normal(50_000) * np.exp2(np.arange(50_000) % 300 - 170)
    x = np.clip(x, -3e38, 3e38)
    assert np.array_equal(quantize(x, float_format(8, 23)), x.astype(np.float32))


@both_roundings
@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits", "info"),
    [
        (5, 2, format_info_ocp_e5m2),
        (4, 3, format_info_ocp_e4m3),
        (3, 2, format_info_ocp_e3m2),
        (2, 1, format_info_ocp_e2m1),
        (8, 7, format_info_bfloat16),
        (5, 10, format_info_binary16),
        (8, 23, format_info_binary32),
    ],
)
def test_gfloat_rounds_alike(
    exponent_bits: int, mantissa_bits: int, info: Any, rounding: Rounding
) -> None:
    form = float_format(exponent_bits, mantissa_bits)
    mode = {NEAREST: gfloat.RoundMode.TiesToEven, ZERO: gfloat.RoundMode.TowardZero}[rounding]
    for x in np.random.default_rng(1).choice(float32_samples(), 1500).astype(np.float64).tolist():
        if abs(x) <= form.largest:
            theirs = gfloat.round_float(info, x, mode, sat=True)
            assert round_exact(Fraction(x), form, rounding) == Fraction(theirs)


formats = st.builds(float_format, st.integers(2, 10), st.integers(0, 48))


@st.composite
def near_the_grid(draw: st.DrawFn) -> tuple[FloatFormat, float]:
    """A format, and a float64 on its grid, on a midpoint, or an ulp of float64 away from either."""
    form = draw(formats)
    binade = draw(st.integers(form.emin - form.mantissa_bits - 3, form.emax + 2))
    ulp = Fraction(2) ** (max(binade, form.emin) - form.mantissa_bits)
    steps = draw(st.integers(0, 2 ** (form.mantissa_bits + 1)))
    x = float(ulp * (steps + draw(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1, 4)]))))
    nudge = draw(st.sampled_from([0.0, math.inf, -math.inf]))
    x = math.nextafter(x, nudge) if nudge else x
    return form, draw(st.sampled_from([x, -x]))


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(near_the_grid() | st.tuples(formats, finite), st.sampled_from(Rounding))
def test_arrays_round_as_defined(case: tuple[FloatFormat, float], rounding: Rounding) -> None:
    form, x = case
    assert Fraction(float(quantize(x, form, rounding))) == round_exact(Fraction(x), form, rounding)


@given(near_the_grid() | st.tuples(formats, finite), st.sampled_from(Rounding))
def test_rounding_twice_is_rounding_once(
    case: tuple[FloatFormat, float], rounding: Rounding
) -> None:
    form, x = case
    once = quantize(x, form, rounding)
    for again in Rounding:
        assert quantize(once, form, again) == once


@given(formats, st.lists(finite, min_size=2, max_size=8), st.sampled_from(Rounding))
def test_rounding_keeps_the_order(form: FloatFormat, xs: list[float], rounding: Rounding) -> None:
    assert np.all(np.diff(quantize(sorted(xs), form, rounding)) >= 0)


@given(st.fractions().filter(bool))
def test_exponent_brackets_the_value(x: Fraction) -> None:
    assert Fraction(2) ** exponent(x) <= abs(x) < Fraction(2) ** (exponent(x) + 1)


@both_roundings
def test_extremes_of_float64(rounding: Rounding) -> None:
    form = float_format(10, 48)
    x = np.array([5e-324, -5e-324, 1e308, -1e308, math.inf, -math.inf, 0.0, -0.0])
    largest = float(form.largest)
    expected = [0.0, -0.0, largest, -largest, largest, -largest, 0.0, -0.0]
    rounded = quantize(x, form, rounding)
    assert rounded.tolist() == expected
    assert np.signbit(rounded).tolist() == np.signbit(expected).tolist()
    assert math.isnan(float(quantize(math.nan, form, rounding)))


def test_shape_is_kept() -> None:
    assert quantize(np.ones((2, 0, 3), dtype=np.float32), float_format(5, 2)).shape == (2, 0, 3)
