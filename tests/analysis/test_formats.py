from collections.abc import Callable
from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from analysis.formats import Accumulator, FloatFormat, Rounding, float_format

#: untyped in ml_dtypes
finfo: Callable[[Any], Any] = ml_dtypes.finfo

# all reserve the top exponent, as ours do (ml_dtypes: "IEEE-like")
IEEE_LIKE = [
    (5, 10, np.float16),
    (8, 23, np.float32),
    (8, 7, ml_dtypes.bfloat16),
    (5, 2, ml_dtypes.float8_e5m2),
    (4, 3, ml_dtypes.float8_e4m3),
    (3, 4, ml_dtypes.float8_e3m4),
]


@pytest.mark.parametrize(("exponent_bits", "mantissa_bits", "dtype"), IEEE_LIKE)
def test_derived_values_are_those_of_the_same_format_elsewhere(
    exponent_bits: int, mantissa_bits: int, dtype: Any
) -> None:
    ours, theirs = float_format(exponent_bits, mantissa_bits), finfo(dtype)
    assert ours.bits == theirs.bits
    assert ours.largest == Fraction(float(theirs.max))
    assert ours.quantum == Fraction(float(theirs.smallest_subnormal))
    assert Fraction(2) ** ours.emin == Fraction(float(theirs.smallest_normal))
    assert ours.emax == -ours.emin + 1


@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits", "message"),
    [
        (1, 3, r"format e1m3: exponent bits must be in 2\.\.10, got 1"),
        (11, 3, "exponent bits .* got 11"),
        (5, -1, r"mantissa bits must be in 0\.\.48, got -1"),
        (5, 49, "mantissa bits .* got 49"),
    ],
)
def test_formats_that_float64_cannot_carry_are_refused(
    exponent_bits: int, mantissa_bits: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        float_format(exponent_bits, mantissa_bits)


@pytest.mark.parametrize("bits", [np.int8(3), 3.0, True, "3"])
def test_widths_that_are_no_python_integers_are_refused(bits: Any) -> None:
    for fields in ((5, bits), (bits, 3)):
        with pytest.raises(TypeError, match=r"format x: (exponent|mantissa) bits must be an int"):
            FloatFormat("x", *fields)


def test_the_widest_format_fits_float64() -> None:
    widest = float_format(10, 48)
    assert Fraction(float(widest.largest)) == widest.largest
    assert Fraction(float(widest.quantum)) == widest.quantum


def test_formats_are_values() -> None:
    assert float_format(5, 2) == FloatFormat("e5m2", 5, 2)
    assert len({float_format(5, 2), float_format(5, 2)}) == 1
    with pytest.raises(FrozenInstanceError):
        float_format(5, 2).mantissa_bits = 3  # type: ignore[misc]


def test_outer_format_is_the_inner_one_unless_given() -> None:
    narrow, wide = float_format(6, 9), float_format(8, 23)
    assert Accumulator(narrow, chunk=8).outer_format == narrow
    assert Accumulator(narrow, chunk=8, outer=wide).outer_format == wide


def test_another_mantissa_width_applies_inside_and_outside() -> None:
    start = Accumulator(
        float_format(6, 9), Rounding.TOWARD_ZERO, chunk=16, outer=float_format(8, 23)
    )
    assert start.with_mantissa(4) == Accumulator(float_format(6, 4), Rounding.TOWARD_ZERO, chunk=16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk must be at least 1 product, got 0"),
        ({"outer": float_format(8, 23)}, "an outer format needs a chunk"),
    ],
)
def test_accumulators_that_contradict_themselves_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Accumulator(float_format(6, 9), **options)
