"""``quantize`` against the exact definition, ml_dtypes, and itself on other lanes and layouts."""

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.catalog import FORMATS
from analysis.draws import ARRAY, Draw, Stream, draw
from analysis.formats import (
    Accumulator,
    FixedFormat,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    TopCodes,
    float_format,
)
from analysis.grids import FLOAT32, FLOAT64, holds
from analysis.quantization import quantize
from analysis.rounding import round_exact

Array = npt.NDArray[Any]
Format = FloatFormat | FixedFormat

STOCHASTIC = Rounding.STOCHASTIC
DETERMINISTIC = [rounding for rounding in Rounding if rounding is not STOCHASTIC]
WRAPS, INFINITY = Overflow.WRAP, Overflow.INFINITY
E5M2 = float_format(5, 2)

#: what the catalogue has not
ODD_FORMATS: tuple[Format, ...] = (
    FloatFormat("e8m0", 8, 0, top=TopCodes.ONE_NAN),
    FloatFormat("flushing", 5, 2, lowest=LowestCodes.ZERO),
    FloatFormat("flushing_bfloat16", 8, 7, lowest=LowestCodes.ZERO, overflow=INFINITY),
    FloatFormat("low_e8m3", 8, 3, exponent_bias=135),
    FloatFormat("low_e4m3", 4, 3, exponent_bias=120, overflow=INFINITY),
    FloatFormat("high_e4m3", 4, 3, exponent_bias=-110),
    float_format(4, 22),
    float_format(6, 23),
    float_format(10, 48),
    FixedFormat("q3.4", 8, 4),
    FixedFormat("int2", 2),
    FixedFormat("tiny", 12, 140),
    FixedFormat("huge", 12, -110),
    FixedFormat("wide", 53, 20),
)
FORMS = (*FORMATS.values(), *ODD_FORMATS)
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def exact(x: float, form: Format, rounding: Rounding, chance: Draw | None = None) -> float:
    """What ``quantize`` promises for one element."""
    if math.isnan(x) or (math.isinf(x) and form.overflow is INFINITY):
        return x
    if math.isinf(x):
        least, most = form.range if isinstance(form, FixedFormat) else (-form.largest, form.largest)
        return float(most if x > 0 else least)
    y = float(round_exact(Fraction(x), form, rounding, chance))
    return y if y != 0 else math.copysign(y, x)


def assert_same(ours: Array, theirs: Array) -> None:
    """Equal values; zeros of one sign; NaN where NaN."""
    np.testing.assert_array_equal(ours.astype(np.float64), theirs.astype(np.float64))
    numbers = ~np.isnan(ours)
    np.testing.assert_array_equal(np.signbit(ours[numbers]), np.signbit(theirs[numbers]))


def float16s() -> Array:
    """All that are not negative and finite, in order, as float32."""
    return np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)


def check_in_order(x: Array, form: Format, rounding: Rounding) -> None:
    """Rounding keeps the order, so a run of equal results is right if its two ends are."""
    y = quantize(x, form, rounding)
    assert np.all(y[1:] >= y[:-1])
    changes = np.flatnonzero(y[1:] != y[:-1])
    ends = np.unique([0, *changes, *(changes + 1), len(x) - 1])
    assert_same(y[ends], np.array([exact(v, form, rounding) for v in x[ends].tolist()]))
    assert_same(quantize(x.astype(np.float64), form, rounding), y)


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@each_form
def test_every_float16_rounds_as_defined(form: Format, rounding: Rounding) -> None:
    x = float16s()
    if isinstance(form, FixedFormat):
        check_in_order(np.concatenate([-x[:0:-1], x]), form, rounding)
        return
    if form.mantissa_bits >= 10 and form.quantum <= x[1] and form.largest >= x[-1]:
        assert_same(quantize(x, form, rounding), x)
    else:
        check_in_order(x, form, rounding)
    mirrored = {Rounding.UP: Rounding.DOWN, Rounding.DOWN: Rounding.UP}.get(rounding, rounding)
    assert_same(quantize(-x, form, rounding), -quantize(x, form, mirrored))


def words_near_ties() -> Array:
    """Random words of float32, and such that end in a one and zeros, from any bit on; ± 1."""
    rng = np.random.default_rng(5)
    words = rng.integers(0, 2**32, 40_000, dtype=np.uint32)
    words[:4000] &= np.uint32(0x807FFFFF)
    tie = np.uint32(1) << rng.integers(0, 24, words.size, dtype=np.uint32)
    near = (words & ~(2 * tie - np.uint32(1))) | tie
    words = np.concatenate([words, near, near - np.uint32(1), near + np.uint32(1)])
    values = words.view(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype=np.float32)
    return np.concatenate([values[~np.isnan(values)], special])


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@each_form
def test_float32_lanes_round_as_float64_lanes(form: Format, rounding: Rounding) -> None:
    x = words_near_ties()
    if isinstance(form, FixedFormat):
        x = x[~np.isnan(x)]
    y = quantize(x, form, rounding)
    assert y.dtype == (np.float32 if holds(FLOAT32, form) else np.float64)
    assert_same(y, quantize(x.astype(np.float64), form, rounding))


@st.composite
def float_formats(draw: st.DrawFn) -> FloatFormat:
    top = draw(st.sampled_from(TopCodes))
    special = top is TopCodes.SPECIAL
    exponent_bits = draw(st.integers(2, 10))
    return FloatFormat(
        "form",
        exponent_bits,
        draw(st.integers(0, 48)),
        draw(st.none() | st.integers(23 if exponent_bits == 10 else -10, 140)),  # below 2^1001
        top,
        draw(st.sampled_from(LowestCodes)),
        draw(st.sampled_from([Overflow.SATURATE, INFINITY] if special else [Overflow.SATURATE])),
    )


fixed_formats = st.builds(
    FixedFormat,
    st.just("fixed"),
    st.integers(2, 53),
    st.integers(-30, 60) | st.integers(-500, 500),
    st.sampled_from([Overflow.SATURATE, WRAPS]),
)
all_formats = (float_formats() | fixed_formats).filter(lambda form: holds(FLOAT64, form))
finite = st.floats(allow_nan=False, allow_infinity=False)


def binade_range(form: Format) -> tuple[int, int, int]:
    """(fraction bits, least, greatest exponent) of its grid, and a bit around."""
    if isinstance(form, FixedFormat):
        m = form.width_bits - 1
        return m, m - form.fraction_bits, m - form.fraction_bits + 1
    return form.mantissa_bits, form.emin, form.emax + 1


@st.composite
def near_the_grid(draw: st.DrawFn) -> tuple[Format, float]:
    """A format, and a float on its grid, on a quarter of a step, or an ulp away from either."""
    form = draw(all_formats)
    m, least, most = binade_range(form)
    ulp = Fraction(2) ** (draw(st.integers(least, most)) - m)
    steps = draw(st.integers(0, 2 ** (m + 1))) + draw(st.integers(0, 3)) * Fraction(1, 4)
    real: Any = draw(st.sampled_from([np.float32, np.float64]))
    x = real(min(ulp * steps, Fraction(float(np.finfo(real).max) / 2)))
    nudge = draw(st.sampled_from([None, 0.0, math.inf]))
    if nudge is not None:
        x = np.nextafter(x, real(nudge))
    return form, draw(st.sampled_from([float(x), -float(x)]))


def in_both_types(x: float) -> list[Array]:
    """``x`` as float64, and as float32 if that is the same number."""
    with np.errstate(over="ignore"):
        both = [np.array([x]), np.array([x], dtype=np.float32)]
    return [array for array in both if float(array[0]) == x]


@given(
    near_the_grid() | st.tuples(all_formats, finite | st.floats(width=32, allow_nan=False)),
    st.sampled_from(DETERMINISTIC),
)
def test_any_format_rounds_as_defined(case: tuple[Format, float], rounding: Rounding) -> None:
    form, x = case
    if math.isinf(x) and form.overflow is WRAPS:
        return
    for array in in_both_types(x):
        y = quantize(array, form, rounding)
        assert_same(y, np.array([exact(x, form, rounding)]))
        assert_same(quantize(y, form, rounding), y)


@given(
    near_the_grid() | st.tuples(all_formats, st.floats(allow_nan=False)),
    st.none() | st.integers(1, 32),
    st.builds(Stream, st.integers(0, 2**64 - 1), *[st.integers(0, 2**40)] * 3),
)
def test_draws_are_those_of_the_definition(
    case: tuple[Format, float], random_bits: int | None, stream: Stream
) -> None:
    form, x = case
    if math.isinf(x) and form.overflow is WRAPS:
        return
    try:
        bits = Accumulator(form, STOCHASTIC, random_bits=random_bits).cut_bits
    except ValueError:
        return  # no room for so many bits
    for array in in_both_types(x):
        ours = quantize(np.repeat(array, 5), form, STOCHASTIC, rng=stream, random_bits=random_bits)
        draws = (
            draw(stream, ARRAY, stream.step + i, bits, odd=random_bits is None) for i in range(5)
        )
        assert_same(ours, np.array([exact(x, form, STOCHASTIC, chance) for chance in draws]))


@pytest.mark.parametrize("form", [float_format(3, 1), FixedFormat("int4", 4, overflow=WRAPS)])
def test_every_rest_meets_every_draw(form: Format) -> None:
    rests = np.arange(2048) % 32 / 16
    x = np.concatenate([rests, -rests]) * float(form.quantum)
    draws = [draw(Stream(3), ARRAY, step, 3, odd=False) for step in range(x.size)]
    seen = {(rest, chance.value) for rest, chance in zip(rests % 1, draws[:2048], strict=True)}
    assert len(seen) == 16 * 8
    ours = quantize(x, form, STOCHASTIC, rng=Stream(3), random_bits=3)
    pairs = zip(x.tolist(), draws, strict=True)
    assert_same(ours, np.array([exact(v, form, STOCHASTIC, chance) for v, chance in pairs]))


def test_draws_leave_whole_quanta_alone() -> None:
    x = np.array([3.0, -7.0, 2.0**53 + 2, -(2.0**60)] * 1000)
    wrapped = quantize(x, FixedFormat("int8", 8, overflow=WRAPS), STOCHASTIC, rng=2)
    np.testing.assert_array_equal(wrapped, [3.0, -7.0, 2.0, 0.0] * 1000)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_form
def test_infinities_stay_or_saturate(form: Format, dtype: Any) -> None:
    for rounding in DETERMINISTIC:
        y = quantize(np.array([np.inf, -np.inf], dtype=dtype), form, rounding)
        assert y.tolist() == [exact(x, form, rounding) for x in (math.inf, -math.inf)]


def test_the_largest_floats_wrap_to_zero() -> None:
    """They are whole multiples of the modulus, 2^-492, so many that a float64 cannot count them."""
    form = FixedFormat("far", 8, 500, WRAPS)
    for rounding in DETERMINISTIC:
        assert quantize([1.5e308, -1.5e308], form, rounding).tolist() == [0.0, 0.0]


def test_the_share_rounded_up_is_that_of_the_rest() -> None:
    """Mean and r-bit bias: of the rest 0.3, two bits see 1/4 (its binary digits are 0.01...)."""
    count = 1 << 20
    x = np.full(count, 1.0 + 0.3 / 4, dtype=np.float32)
    for random_bits, share in ((None, 0.3), (16, 0.3), (2, 0.25)):
        y = quantize(x, E5M2, STOCHASTIC, rng=11, random_bits=random_bits)
        assert set(np.unique(y)) == {1.0, 1.25}
        up = np.mean(y == 1.25)
        assert abs(up - share) < 5 * math.sqrt(share * (1 - share) / count)
        pairs = np.mean((y[:-1] == 1.25) & (y[1:] == 1.25))
        assert abs(pairs - share**2) < 5 * math.sqrt(3 * share**2 / count)


SAME_AS_ML_DTYPES = [
    (FORMATS["fp8_e5m2"], ml_dtypes.float8_e5m2),
    (FORMATS["fp8_e4m3_ieee"], ml_dtypes.float8_e4m3),
    (FORMATS["fp8_e3m4"], ml_dtypes.float8_e3m4),
    (FORMATS["bfloat16"], ml_dtypes.bfloat16),
    (FORMATS["float16"], np.float16),
    (FORMATS["float32"], np.float32),
]


@pytest.mark.parametrize(("form", "dtype"), SAME_AS_ML_DTYPES)
def test_casts_of_formats_with_infinity_agree(form: FloatFormat, dtype: Any) -> None:
    samples = words_near_ties()
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = samples.astype(dtype).astype(np.float64)
    if form.overflow is not INFINITY:
        theirs = np.clip(theirs, -float(form.largest), float(form.largest))
    assert_same(quantize(samples, form), theirs)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("fp8_e4m3", ml_dtypes.float8_e4m3fn),
        ("fp8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
        ("fp8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
        ("fp8_e4m3b11fnuz", ml_dtypes.float8_e4m3b11fnuz),
        ("fp6_e3m2", ml_dtypes.float6_e3m2fn),
        ("fp6_e2m3", ml_dtypes.float6_e2m3fn),
        ("fp4_e2m1", ml_dtypes.float4_e2m1fn),
    ],
)
def test_casts_of_other_formats_agree_within_their_range(name: str, dtype: Any) -> None:
    samples = words_near_ties()
    form = FORMATS[name]
    assert isinstance(form, FloatFormat)
    samples = samples[np.abs(samples) <= float(form.largest)]
    theirs = samples.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(quantize(samples, form), theirs)
