"""``round_exact`` against the definition by search, and gfloat."""

import bisect
import functools
import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import gfloat
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

from analysis.draws import Draw
from analysis.formats import (
    FixedFormat,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    TopCodes,
    float_format,
)
from analysis.rounding import exponent, round_exact

DETERMINISTIC = [rounding for rounding in Rounding if rounding is not Rounding.STOCHASTIC]
every_rounding = pytest.mark.parametrize("rounding", DETERMINISTIC)


@functools.cache
def magnitudes(form: FloatFormat) -> list[Fraction]:
    """Every value that is not negative, in order of its code."""
    steps = 2**form.mantissa_bits
    subnormal = [Fraction(f, steps) * Fraction(2) ** form.emin for f in range(steps)]
    binades = (Fraction(2) ** e for e in range(form.emin, form.emax + 1))
    normal = [b * (1 + Fraction(f, steps)) for b in binades for f in range(steps)]
    return [value for value in subnormal + normal if value <= form.largest]


def by_search(x: Fraction, form: FloatFormat, rounding: Rounding) -> Fraction:
    """The value that IEEE 754-2019 (section 4.3) picks: of two as near, the even significand.

    Where neither is even, as happens with a single digit (m = 0), the larger.
    """
    values = magnitudes(form)
    above = bisect.bisect_left(values, abs(x))
    if above == len(values) or values[above] == abs(x):
        return values[min(above, len(values) - 1)] * (-1 if x < 0 else 1)
    even = above if above % 2 == 0 or (form.mantissa_bits == 0 and above > 1) else above - 1
    codes = (above - 1, above)
    match rounding:
        case Rounding.TOWARD_ZERO:
            code = above - 1
        case Rounding.UP:
            code = above if x > 0 else above - 1
        case Rounding.DOWN:
            code = above - 1 if x > 0 else above
        case Rounding.NEAREST_EVEN:
            code = min(codes, key=lambda c: (abs(values[c] - abs(x)), c != even))
        case _:
            code = min(codes, key=lambda c: (abs(values[c] - abs(x)), c != above))
    return values[code] if x > 0 else -values[code]


@every_rounding
@pytest.mark.parametrize("top", TopCodes)
@pytest.mark.parametrize("exponent_bits", [2, 3, 4])
@pytest.mark.parametrize("mantissa_bits", [0, 1, 3])
def test_every_neighbourhood_of_small_formats_rounds_as_defined(
    exponent_bits: int, mantissa_bits: int, top: TopCodes, rounding: Rounding
) -> None:
    form = FloatFormat("form", exponent_bits, mantissa_bits, exponent_bias=1, top=top)
    values = magnitudes(form)
    hair = form.quantum / 2**20
    points = [*values, *((low + high) / 2 for low, high in pairwise(values))]
    points = [x + d for x in points for d in (-hair, Fraction(0), hair)]
    points += [3 * form.largest, form.largest + form.quantum]
    points += [-x for x in points]
    exact = [by_search(x, form, rounding) for x in points]
    assert [round_exact(x, form, rounding) for x in points] == exact


@pytest.mark.parametrize(
    ("rounding", "positive", "negative"),
    [
        (Rounding.NEAREST_EVEN, math.inf, -math.inf),
        (Rounding.NEAREST_AWAY, math.inf, -math.inf),
        (Rounding.TOWARD_ZERO, 65504, -65504),
        (Rounding.UP, math.inf, -65504),
        (Rounding.DOWN, 65504, -math.inf),
    ],
)
def test_overflow_follows_ieee_754(rounding: Rounding, positive: float, negative: float) -> None:
    """IEEE 754-2019, section 7.4, at binary16's overflow threshold 65520."""
    half = FloatFormat("half", 5, 10, overflow=Overflow.INFINITY)
    assert round_exact(Fraction(65520), half, rounding) == positive
    assert round_exact(Fraction(-65520), half, rounding) == negative
    nearest = rounding in (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY)
    below = round_exact(Fraction(65519), half, rounding)
    assert below == (65504 if nearest else positive)


@every_rounding
def test_without_subnormals_small_results_are_zero(rounding: Rounding) -> None:
    form = FloatFormat("form", 4, 3, lowest=LowestCodes.ZERO)
    smallest = Fraction(2) ** form.emin
    nearly = smallest * Fraction(31, 32)  # half a step of the subnormals below the smallest normal
    reached = rounding in (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY, Rounding.UP)
    assert round_exact(nearly, form, rounding) == (smallest if reached else 0)
    assert round_exact(smallest * Fraction(7, 8), form, rounding) == 0


@every_rounding
def test_fixed_point_saturates_and_wraps(rounding: Rounding) -> None:
    """Every quarter step of a 4-bit format, three times round."""
    wrapping = FixedFormat("int4", 4, fraction_bits=1, overflow=Overflow.WRAP)
    saturating = FixedFormat("int4", 4, fraction_bits=1)
    wide = FixedFormat("wide", 20, fraction_bits=1)
    for quarter_steps in range(-96, 97):
        x = Fraction(quarter_steps, 8)
        steps = 2 * round_exact(x, wide, rounding)
        assert abs(steps - 2 * x) < 1
        assert 2 * round_exact(x, saturating, rounding) == min(max(steps, -8), 7)
        wrapped = 2 * round_exact(x, wrapping, rounding)
        assert -8 <= wrapped <= 7
        assert (wrapped - steps) % 16 == 0


def test_stochastic_rounding_needs_a_draw() -> None:
    with pytest.raises(ValueError, match="needs a draw, got None"):
        round_exact(Fraction(1, 3), float_format(5, 2), Rounding.STOCHASTIC)


@given(st.fractions(0, 100), st.integers(1, 8))
def test_of_all_draws_so_many_round_up_as_the_cut_rest_says(x: Fraction, bits: int) -> None:
    draws = (Draw(bits, value) for value in range(2**bits))
    results = [round_exact(x, FixedFormat("int8", 8), Rounding.STOCHASTIC, draw) for draw in draws]
    up = sum(result > math.floor(x) for result in results)
    assert up == math.floor((x - math.floor(x)) * 2**bits)
    assert set(results) <= {math.floor(x), math.floor(x) + 1}


def float32_samples() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random words of float32, finite, and all words whose low bits make ties of 16-bit formats."""
    words = np.random.default_rng(7).integers(0, 2**32, 200_000, dtype=np.uint32)
    ties = (np.arange(2**16, dtype=np.uint32) << np.uint32(16)) | np.uint32(0x8000)
    samples = np.concatenate([words, ties, ties << np.uint32(1)]).view(np.float32)
    return samples[np.isfinite(samples)]


@every_rounding
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
    mode = {
        Rounding.NEAREST_EVEN: gfloat.RoundMode.TiesToEven,
        Rounding.NEAREST_AWAY: gfloat.RoundMode.TiesToAway,
        Rounding.TOWARD_ZERO: gfloat.RoundMode.TowardZero,
        Rounding.UP: gfloat.RoundMode.TowardPositive,
        Rounding.DOWN: gfloat.RoundMode.TowardNegative,
    }[rounding]
    for x in np.random.default_rng(1).choice(float32_samples(), 1500).astype(np.float64).tolist():
        if abs(x) <= form.largest:
            theirs = gfloat.round_float(info, x, mode, sat=True)
            assert round_exact(Fraction(x), form, rounding) == Fraction(theirs)


@given(st.fractions().filter(bool))
def test_exponent_brackets_the_value(x: Fraction) -> None:
    assert Fraction(2) ** exponent(x) <= abs(x) < Fraction(2) ** (exponent(x) + 1)
