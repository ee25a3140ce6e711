"""The bounds against the emulated accumulator: never exceeded, and not far off."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from analysis.bounds import Bound, BoundedProducts, bounds
from analysis.catalog import ACCUMULATORS, FORMATS
from analysis.emulation import matmul
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Product,
    Rounding,
    Tree,
    float_format,
)
from analysis.quantization import quantize

Floats = npt.NDArray[np.float64]
NEAREST, CUT, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
COLUMNS = 64
_CDNA2 = ACCUMULATORS["cdna2_float16"].format  # without subnormals
assert isinstance(_CDNA2, FloatFormat)
FLUSHED = replace(_CDNA2, name="flushed", exponent_bits=4, mantissa_bits=9)


def sums(bits: int, rounding: Rounding = NEAREST, **more: object) -> Accumulator:
    return Accumulator(float_format(8, bits), rounding, **more)  # type: ignore[arg-type]


CASES = {
    "nearest": sums(9),
    "nearest, n u above 1": sums(5),
    "away": sums(8, Rounding.NEAREST_AWAY),
    "toward zero": sums(10, CUT),
    "up": sums(10, Rounding.UP),
    "stochastic": sums(10, CHANCE),
    "stochastic, 3 bits": sums(10, CHANCE, random_bits=3),
    "chunks": sums(8, chunk=16),
    "chunks, wide": sums(6, chunk=16, outer=sums(20)),
    "chunks, narrow": sums(12, CUT, chunk=16, outer=sums(8)),
    "tree": sums(7, chunk=32, order=Tree()),
    "tree of all": sums(7, CUT, order=Tree()),
    "rounded products": sums(9, product=Product(float_format(8, 6), CUT)),
    "underflow": Accumulator(float_format(4, 9), chunk=32),
    "flushed": Accumulator(FLUSHED),
    "fixed": Accumulator(FixedFormat("fixed", 24, 10), CUT),
    "fixed, chunks": Accumulator(FixedFormat("fixed", 24, 10), chunk=16, outer=sums(8)),
}


def inputs(n: int, bits: int) -> Iterator[Floats]:
    """Products in columns (n, COLUMNS), of no more than 24 bits."""
    rng = np.random.default_rng(n + bits)
    shape = (n, COLUMNS)
    gaussian = np.rint(rng.standard_normal(shape) * 2**12) / 2**14
    yield gaussian
    yield np.abs(gaussian)
    yield gaussian * 2.0**-7
    yield np.where(np.arange(n)[:, None] % 2, -1.0, 1.0) * (1.0 + np.abs(gaussian) / 16)
    for part in (0.5, 1.0, 1.25):  # just below what rounding to nearest, or a cut, drops
        stall = np.full(shape, part * 2.0**-bits * (1.0 - 2.0**-11))
        stall[0] = 1.0
        yield stall
    yield np.full(shape, 2.0**-6 * (1.0 - 2.0**-9))  # below the normal numbers of "flushed"


def errors(products: Floats, accumulator: Accumulator) -> tuple[Floats, Floats]:
    """|computed − exact| and Σ|p|, both exact but for the last bit of a float64."""
    computed = matmul(np.ones((1, len(products))), products, accumulator, rng=7)[0]
    exact = np.array([math.fsum(column) for column in products.T])
    return np.abs(computed - exact), np.abs(products).sum(axis=0)


def limit(bound: Bound, magnitudes: Floats) -> Floats:
    return float(bound.relative) * magnitudes * (1.0 + 1e-12) + float(bound.absolute)


def mantissa_bits(accumulator: Accumulator) -> int:
    form = accumulator.format
    return form.mantissa_bits if isinstance(form, FloatFormat) else 8


@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("name", CASES)
def test_no_sum_exceeds_its_bounds(name: str, n: int) -> None:
    accumulator = CASES[name]
    found = bounds(accumulator, n, failure=1e-3)
    assert found
    for products in inputs(n, mantissa_bits(accumulator)):
        error, magnitudes = errors(products, accumulator)
        for bound in found:
            stalls = "mean independent" in bound.name and len(np.unique(products[:, 0])) < 4
            assert stalls or (error <= limit(bound, magnitudes)).all(), bound


@pytest.mark.parametrize("name", CASES)
def test_some_sum_comes_near_the_best_bound(name: str) -> None:
    accumulator, n = CASES[name], 300
    nearest: float = 0.0
    for products in inputs(n, mantissa_bits(accumulator)):
        error, magnitudes = errors(products, accumulator)
        best = np.min([limit(bound, magnitudes) for bound in bounds(accumulator, n)], axis=0)
        nearest = max(nearest, float((error / best).max()))
    # roundings by chance err by one deviation, their bound counts more than six
    assert nearest > (0.06 if accumulator.stochastic else 0.1)


def test_adding_less_than_half_an_ulp_attains_the_bound_to_nearest() -> None:
    n, bits = 200, 10
    products = np.full((n, 1), 2.0**-bits / 2)
    products[0] = 1.0
    error, magnitudes = errors(products, sums(bits))
    (bound,) = (one for one in bounds(sums(bits), n) if one.name == "worst case to nearest")
    assert error[0] == (n - 1) * 2.0 ** -(bits + 1)
    assert error[0] / limit(bound, magnitudes)[0] > 0.9


def test_stalled_sums_break_the_model_of_nearest_but_not_chance() -> None:
    n, bits = 20_000, 12
    products = np.full((n, COLUMNS), 2.0**-bits * 0.4375)
    products[0] = 1.0
    for rounding, breaks in ((NEAREST, True), (CHANCE, False)):
        accumulator = sums(bits, rounding)
        error, magnitudes = errors(products, accumulator)
        (bound,) = (one for one in bounds(accumulator, n, failure=1e-3) if one.failure)
        assert (error > limit(bound, magnitudes)).all() == breaks
        assert bound.failure == 1e-3


def test_a_random_bit_alone_drops_what_it_does_not_see() -> None:
    n, bits = 20_000, 14
    products = np.full((n, COLUMNS), 2.0**-bits * 0.4375)
    products[0] = 1.0
    one_bit, ideal = sums(bits, CHANCE, random_bits=1), sums(bits, CHANCE)
    error, magnitudes = errors(products, one_bit)
    (seen,), (unseen,) = (
        [limit(one, magnitudes) for one in bounds(each, n) if one.failure]
        for each in (one_bit, ideal)
    )
    assert (unseen < error).all()
    assert (error < seen).all()


def operands_of(name: str) -> FloatFormat:
    form = FORMATS[name.split("_", 1)[1].split("_to_")[0].removesuffix("_promoted")]
    assert isinstance(form, FloatFormat)
    return form


TENSOR = [
    name
    for name, one in ACCUMULATORS.items()
    if isinstance(one.order, Fused) and name.split("_", 1)[1].removesuffix("_promoted") in FORMATS
]


@pytest.mark.parametrize("name", TENSOR)
def test_no_tensor_core_exceeds_its_bound(name: str) -> None:
    accumulator, form = ACCUMULATORS[name], operands_of(name)
    rng = np.random.default_rng(5)
    for n in (32, 500):
        (bound,) = bounds(accumulator, n)
        assert bound.name == "fused steps"
        assert bound.relative < 1
        for shift in (0.0, 1.5):
            a = np.exp2(rng.uniform(0, 1.5, (32, n))) * np.sign(rng.normal(shift, 1.0, (32, n)))
            b = np.exp2(rng.uniform(0, 1.5, (n, 32)))
            a, b = quantize(a, form), quantize(b, form)
            exact, magnitudes = a @ b, np.abs(a) @ b  # float64 holds these sums
            error = np.abs(matmul(a, b, accumulator) - exact)
            assert (error <= limit(bound, magnitudes)).all()


@pytest.mark.parametrize("name", ["volta_float16", "hopper_float16", "hopper_fp8_e5m2"])
def test_terms_just_below_the_cut_come_near_the_bound_of_fused_steps(name: str) -> None:
    accumulator, form, n = ACCUMULATORS[name], operands_of(name), 512
    order = accumulator.order
    assert isinstance(order, Fused)
    below = Fraction(2) ** -order.kept_bits * (1 - Fraction(1, 2 ** (form.mantissa_bits + 1)))
    half = 2.0 ** -(order.kept_bits // 2)
    a, b = np.full((1, n), half), np.full((n, 1), float(below) / half)
    a[0, 0] = b[0, 0] = 1.0
    assert (quantize(b, form) == b).all()
    error = abs(matmul(a, b, accumulator)[0, 0] - (a @ b)[0, 0])
    (bound,) = bounds(accumulator, n)
    assert 0.3 * float(bound.relative) < error <= float(bound.relative) * (a @ b)[0, 0]


def test_subnormal_operands_are_outside_the_bound_of_fused_steps() -> None:
    # the largest counts with a subnormal's exponent floor, and the rest are lost
    accumulator, form = ACCUMULATORS["hopper_fp8_e5m2"], operands_of("hopper_fp8_e5m2")
    a, b = np.full((1, 32), float(form.quantum)), np.ones((32, 1))
    b[0] = 2.0**15
    b[1:] = 2.0**3
    (bound,) = bounds(accumulator, 32)
    error = abs(matmul(a, b, accumulator)[0, 0] - (a @ b)[0, 0])
    assert error > float(bound.relative) * (a @ b)[0, 0] or error == 0.0


def test_uniform_products_without_a_mean_obey_the_bound_made_for_them() -> None:
    n, accumulator = 2000, sums(14)
    rng = np.random.default_rng(3)
    for shift in (0.0, 2.0):
        products = np.rint(rng.uniform(-1, 1, (n, COLUMNS)) * 2**14) / 2**14 + shift
        error, _ = errors(products, accumulator)
        given = bounds(accumulator, n, products=BoundedProducts(shift, 1.0))
        assert (error < float(given[-1].absolute)).all()
        if shift == 0.0:  # tighter than what knows no data
            mean_magnitude = n * 0.5
            assert given[-1].absolute < min(float(b.relative) for b in given[:-1]) * mean_magnitude


def test_blocks_err_only_between_blocks() -> None:
    block = Accumulator(BlockFormat("mx", 32, 6, 6), chunk=32, outer=sums(10))
    wide = bounds(block, 32 * 17)
    assert wide[0].relative == bounds(sums(10), 17)[0].relative


def test_outer_sums_begin_exactly_if_they_hold_the_inner_ones() -> None:
    # b + n/b − 1 roundings (Higham 2002, section 4.2)
    assert (
        bounds(sums(12, chunk=64), 4096)[1].relative
        == (1 + Fraction(64, 2**13)) * (1 + Fraction(63, 2**13)) - 1
    )
    narrow = sums(12, chunk=64, outer=sums(11))
    assert (
        bounds(narrow, 4096)[1].relative
        == (1 + Fraction(64, 2**13)) * (1 + Fraction(64, 2**12)) - 1
    )


def test_what_bounds_refuse() -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        bounds(sums(8), 0)
    with pytest.raises(ValueError, match="failure must lie between 0 and 1, got 0"):
        bounds(sums(8, CUT), 4, failure=0.0)
    with pytest.raises(ValueError, match="reach must be positive, got 0"):
        BoundedProducts(0.0, 0.0)
    assert bounds(sums(5, CUT), 32) == ()  # n u = 1
