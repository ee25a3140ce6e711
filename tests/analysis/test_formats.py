from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    NumberFormat,
    Outside,
    Overflow,
    Product,
    Rounding,
    TopCodes,
    Tree,
    float_format,
)

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


def test_the_outer_accumulator_is_the_inner_one_unless_given() -> None:
    narrow = Accumulator(float_format(6, 9), Rounding.STOCHASTIC, chunk=8, random_bits=4)
    assert narrow.outer_accumulator == Accumulator(
        float_format(6, 9), Rounding.STOCHASTIC, random_bits=4
    )
    wide = Accumulator(float_format(8, 23))
    assert replace(narrow, outer=wide).outer_accumulator == wide


def test_another_mantissa_width_applies_inside_and_outside() -> None:
    wide = Accumulator(float_format(8, 23))
    start = Accumulator(float_format(6, 9), Rounding.TOWARD_ZERO, chunk=16, outer=wide)
    assert start.with_mantissa(4) == Accumulator(float_format(6, 4), Rounding.TOWARD_ZERO, chunk=16)
    with pytest.raises(ValueError, match="int8 has no mantissa"):
        Accumulator(FixedFormat("int8", 8)).with_mantissa(4)


WIDE = Accumulator(float_format(8, 23))
BLOCK = BlockFormat("block", 12, 3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk must be at least 1 product, got 0"),
        ({"outer": WIDE}, "an outer accumulator needs a chunk"),
        ({"outer": replace(WIDE, chunk=2), "chunk": 4}, "must be sequential, without chunk"),
        ({"outer": replace(WIDE, order=Tree()), "chunk": 4}, "must be sequential, without chunk"),
        ({"random_bits": 4}, "random bits need stochastic rounding, got nearest-even"),
        ({"rounding": Rounding.STOCHASTIC, "random_bits": 0}, "must be in 1..32, got 0"),
        ({"rounding": Rounding.STOCHASTIC, "random_bits": 33}, "must be in 1..32, got 33"),
        ({"format": float_format(8, 48), "rounding": Rounding.STOCHASTIC}, "too wide to round"),
        ({"order": Fused(4, 10), "product": Product(float_format(5, 2))}, "has exact products"),
        ({"order": Fused(4, 10), "format": FixedFormat("i", 8)}, "needs a floating-point format"),
        (
            {"order": Fused(4, 10), "rounding": Rounding.STOCHASTIC, "chunk": 6},
            "must be whole fused steps of 4 terms, got chunk = 6",
        ),
        ({"format": BLOCK, "chunk": 16}, "needs a chunk .the block. and an outer"),
        ({"format": BLOCK, "outer": WIDE, "chunk": 8, "order": Tree()}, "one by one"),
    ],
)
def test_accumulators_that_contradict_themselves_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Accumulator(**{"format": float_format(6, 9), **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FloatFormat("f", 5, 2, overflow=Overflow.WRAP), "only fixed point wraps"),
        (
            lambda: FloatFormat("f", 4, 3, top=TopCodes.ONE_NAN, overflow=Overflow.INFINITY),
            "needs a code for it",
        ),
        (lambda: FloatFormat("f", 4, 3, exponent_bias=512), "must be in -511..511, got 512"),
        (lambda: FloatFormat("f", 10, 3, exponent_bias=-511), "got exponents 509..1533"),
        (lambda: FixedFormat("f", 54), "width bits must be in 2..53, got 54"),
        (lambda: FixedFormat("f", 8, overflow=Overflow.INFINITY), "saturates or wraps"),
        (lambda: BlockFormat("f", 8, 25, 3), "a fraction bits must be in 0..24, got 25"),
        (lambda: BlockFormat("f", 8, 2, 3, Overflow.INFINITY), "saturates or wraps"),
        (lambda: Product(float_format(5, 2), Rounding.STOCHASTIC), "must be deterministic"),
        (lambda: Fused(0, 3), "terms must be in 1..1024, got 0"),
        (lambda: Fused(4, 41), "kept bits must be in 0..40, got 41"),
        (lambda: Fused(4, 4, outside=Outside(sum_bits=41)), "kept bits must be in 0..40, got 41"),
        (lambda: Fused(4, 4, Rounding.STOCHASTIC), "alignment must be deterministic"),
    ],
)
def test_formats_and_steps_out_of_range_are_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_top_codes_and_biases_place_the_range() -> None:
    # OCP 8-bit specification 1.0, tables 1 and 2: largest 448 and 57344, emin -6 and -14
    e4m3 = FloatFormat("e4m3", 4, 3, top=TopCodes.ONE_NAN)
    assert (e4m3.largest, e4m3.emin) == (Fraction(448), -6)
    assert e4m3.quantum == Fraction(1, 512)
    assert float_format(5, 2).largest == 57344
    # OCP MX specification 1.0, tables 4 to 6: largest 28, 7.5 and 6
    sizes = ((3, 2, 28), (2, 3, Fraction(15, 2)), (2, 1, 6))
    for exponent_bits, mantissa_bits, largest in sizes:
        numbers = FloatFormat("f", exponent_bits, mantissa_bits, top=TopCodes.NUMBERS)
        assert numbers.largest == largest
    # float8_e4m3fnuz of ml_dtypes: bias 8, largest 240
    assert FloatFormat("fnuz", 4, 3, exponent_bias=8, top=TopCodes.NUMBERS).largest == 240
    assert FloatFormat("all ones is NaN", 3, 0, top=TopCodes.ONE_NAN).largest == 2**3


def test_the_ideal_stochastic_rounding_looks_at_all_that_is_carried() -> None:
    def ideal(number_format: NumberFormat) -> int:
        return Accumulator(number_format, Rounding.STOCHASTIC).cut_bits

    assert [ideal(float_format(8, m)) for m in (9, 19, 20, 23)] == [33, 33, 32, 29]
    assert ideal(FixedFormat("int32", 32)) == 21


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # a string equals the member of the enum that it spells
        (lambda: Accumulator(float_format(6, 9), "stochastic"), "rounding must be of type Roundi"),  # type: ignore[arg-type]
        (lambda: FixedFormat("q", 8, overflow="wrap"), "overflow must be of type Overflow, got 'w"),  # type: ignore[arg-type]
        (lambda: FloatFormat("f", 5, 2, overflow="infinity"), "overflow must be of type Overflow"),  # type: ignore[arg-type]
        (lambda: BlockFormat("f", 8, 2, 2, "wrap"), "overflow must be of type Overflow"),  # type: ignore[arg-type]
        (lambda: Accumulator(float_format(6, 9), chunk=4.0), "chunk must be of type int, got 4.0"),  # type: ignore[arg-type]
        (lambda: Accumulator(float_format(6, 9), chunk=True), "chunk must be of type int, got Tru"),
        (lambda: Accumulator(float_format(6, 9), order=Tree), "order must be of type Sequential o"),  # type: ignore[arg-type]
        (lambda: Accumulator("e6m9"), "format must be of type FloatFormat or"),  # type: ignore[arg-type]
        (lambda: Accumulator(float_format(6, 9), product=float_format(5, 2)), "product must be of"),  # type: ignore[arg-type]
        (lambda: Product(float_format(5, 2), "toward-zero"), "rounding must be of type Rounding"),  # type: ignore[arg-type]
        (lambda: Fused(4, 4, "toward-zero"), "alignment must be of type Rounding"),  # type: ignore[arg-type]
    ],
)
def test_fields_of_another_kind_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()
