"""Fixed-point and block sums: theory against simulation, and identities."""

import math

import pytest

from analysis.distributions import Blocks, Operand, Products, Shape, gaussian_products
from analysis.fixed_sums import fixed_outcome, inner_outcome
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    Overflow,
    Product,
    Rounding,
    Tree,
    float_format,
)
from analysis.integer_bounds import Integers, data_type_width
from analysis.simulation import simulate
from analysis.stratified import operand_pairs

CUT, DOWN, AWAY = Rounding.TOWARD_ZERO, Rounding.DOWN, Rounding.NEAREST_AWAY
CHANCE, WRAP = Rounding.STOCHASTIC, Overflow.WRAP
INT4, INT8 = gaussian_products(FixedFormat("int4", 4)), gaussian_products(FixedFormat("int8", 8))
FP8, TERMS = gaussian_products(float_format(5, 2)), Products(Operand(Shape.GAUSSIAN))
MX = gaussian_products(Blocks(32, 6))
RELU = Products(
    Operand(Shape.HALF_NORMAL, FixedFormat("int4", 4), density=0.5),
    Operand(Shape.GAUSSIAN, FixedFormat("int4", 4), mean=0.3),
)


def fixed(
    width: int,
    fraction: int = 0,
    rounding: Rounding = Rounding.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    **more: object,
) -> Accumulator:
    form = FixedFormat(f"q{width}.{fraction}", width, fraction, overflow)
    return Accumulator(form, rounding, **more)  # type: ignore[arg-type]


def blocks(width: int, outer: Accumulator, overflow: Overflow = Overflow.SATURATE) -> Accumulator:
    return Accumulator(BlockFormat("mx", width, 6, 6, overflow), chunk=32, outer=outer)


ROUNDED = {
    "nearest": (fixed(24, 4), FP8, 1024),
    "coarse": (fixed(24), FP8, 256),
    "ties away": (fixed(24, 3, AWAY), FP8, 256),
    "toward zero": (fixed(24, 6, CUT), FP8, 256),
    "toward zero, lost": (fixed(24, 2, CUT), TERMS, 1024),
    "toward zero, mean": (fixed(24, 4, CUT), Products(Operand(Shape.GAUSSIAN, mean=0.5)), 512),
    "down": (fixed(24, 8, DOWN), FP8, 256),
    "up": (fixed(24, 8, Rounding.UP), FP8, 256),
    "stochastic": (fixed(24, 4, CHANCE), FP8, 512),
    "stochastic, 2 bits": (fixed(24, 4, CHANCE, random_bits=2), FP8, 512),
    "chunks": (fixed(20, 6, chunk=32, outer=fixed(24, 2)), FP8, 1024),
    "chunks, cut": (fixed(20, 4, CUT, chunk=32, outer=fixed(24, 1, CUT)), FP8, 1024),
}
OVERFLOWING = {
    "saturating": (fixed(9), INT4, 1024),
    "saturating, often": (fixed(8), INT4, 1024),
    "saturating, mean": (fixed(9), RELU, 512),
    "saturating, cut": (fixed(10, 4, CUT), TERMS, 512),
    "wrapping": (fixed(9, overflow=WRAP), INT4, 1024),
    "wrapping, often": (fixed(8, overflow=WRAP), INT4, 1024),
    "wrapping, cut": (fixed(10, 3, CUT, WRAP), TERMS, 1024),
    "wrapping, rare, heavy tails": (fixed(15, overflow=WRAP), INT8, 32),
    "saturating chunks": (fixed(7, chunk=64, outer=fixed(16)), INT4, 512),
    "narrow blocks": (blocks(14, fixed(24, 2)), MX, 1024),
    "wrapping blocks": (blocks(13, fixed(24, 8), WRAP), MX, 512),
}
CASES = ROUNDED | OVERFLOWING


@pytest.mark.parametrize("name", CASES)
def test_prediction_agrees_with_simulation(name: str) -> None:
    accumulator, products, n = CASES[name]
    measured = simulate(accumulator, products, n, samples=1 << 16, seed=1, threads=1)
    found = fixed_outcome(accumulator, products, n)
    a, b = operand_pairs(products)
    variance = n * float((a * b).var())
    nmse = (found.error_variance + found.mean_error**2) / variance
    assert measured.nmse_error < 0.1 * measured.nmse, "the simulation is too short"
    assert nmse == pytest.approx(measured.nmse, rel=0.04, abs=4 * measured.nmse_error)
    error = 0.004 + 5 * measured.retention_error
    assert found.variance / variance == pytest.approx(measured.retention, abs=error)
    bias = found.mean_error / math.sqrt(variance)
    assert bias == pytest.approx(measured.bias, rel=0.02, abs=0.012)


def test_rare_saturation_of_heavy_tails_is_right_to_a_third() -> None:
    accumulator, n = fixed(15), 32
    measured = simulate(accumulator, INT8, n, samples=1 << 20, seed=1, threads=1)
    a, b = operand_pairs(INT8)
    nmse = fixed_outcome(accumulator, INT8, n).error_variance / (n * (a * b).var())
    assert 0.67 * measured.nmse < nmse < measured.nmse


def test_a_wide_grid_makes_no_error() -> None:
    # A2Q's width holds every sum of the products of 8-bit integers
    width = data_type_width(Integers(8, signed=True), Integers(8, signed=True), 576)
    found = fixed_outcome(fixed(width), INT8, 576)
    assert (found.mean_error, found.error_variance) == (0.0, 0.0)
    a, b = operand_pairs(INT8)
    assert found.variance == pytest.approx(576 * (a * b).var())


def test_blocks_are_exact_until_they_overflow() -> None:
    wide = inner_outcome(blocks(20, fixed(24)), MX, 32)  # 2^7 · 2^7 · 32 = 2^19
    assert (wide.mean_error, wide.error_variance) == (0.0, 0.0)
    assert inner_outcome(blocks(13, fixed(24)), MX, 32).error_variance > 0.0


def test_errors_to_nearest_are_uniform_on_the_grid() -> None:
    found = fixed_outcome(fixed(30, 10), TERMS, 300)
    assert found.error_variance == pytest.approx(300 * 2.0**-20 / 12.0, rel=1e-2)
    by_chance = fixed_outcome(fixed(30, 10, CHANCE), TERMS, 300)
    assert by_chance.error_variance == pytest.approx(300 * 2.0**-20 / 6.0, rel=1e-2)
    down = fixed_outcome(fixed(30, 10, DOWN), TERMS, 300)
    assert down.mean_error == pytest.approx(-300 * 2.0**-11, rel=1e-2)


def test_terms_below_half_a_step_are_lost() -> None:
    tiny = Products(Operand(Shape.UNIFORM))
    found = fixed_outcome(fixed(8, -3), tiny, 100)
    assert found.variance == 0.0
    assert found.error_variance == pytest.approx(100.0, rel=1e-3)
    shifted = Products(Operand(Shape.UNIFORM, mean=0.5))
    assert fixed_outcome(fixed(8, -4), shifted, 100).mean_error == pytest.approx(-50.0, rel=1e-3)


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, WRAP])
def test_each_bit_more_leaves_less_overflow(overflow: Overflow) -> None:
    errors = [
        fixed_outcome(fixed(width, overflow=overflow), INT4, 512).error_variance
        for width in range(8, 14)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 100.0 > 1.0 > errors[-1]


def test_what_fixed_sums_refuse() -> None:
    with pytest.raises(ValueError, match=r"n of a chunk must be .*, got 0"):
        fixed_outcome(fixed(16), INT4, 0)
    with pytest.raises(ValueError, match=r"n of a chunk must be .*, got 40"):
        inner_outcome(fixed(16, chunk=32), INT4, 40)
    with pytest.raises(ValueError, match="must be of fixed point or blocks, got e8m7"):
        fixed_outcome(Accumulator(float_format(8, 7)), INT4, 16)
    with pytest.raises(ValueError, match="must be exact and added one by one, got Tree"):
        fixed_outcome(fixed(16, order=Tree()), INT4, 16)
    with pytest.raises(ValueError, match="must be exact and added one by one"):
        fixed_outcome(fixed(16, product=Product(float_format(5, 2))), INT4, 16)
    with pytest.raises(ValueError, match="the outer sum must be of fixed point, got e8m7"):
        fixed_outcome(blocks(16, Accumulator(float_format(8, 7))), MX, 64)
