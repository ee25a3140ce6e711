"""Range probabilities against draws through the emulated accumulator."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from analysis.catalog import ACCUMULATORS
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.emulation import matmul
from analysis.formats import Accumulator, FloatFormat, Overflow, Rounding, float_format
from analysis.operands import operand_tiles
from analysis.overflow import (
    ExponentRange,
    RangeLimits,
    centring_scale,
    least_exponent_bits,
    least_value,
    overflow_probability,
    underflow,
)
from analysis.quantization import quantize

Floats32 = npt.NDArray[np.float32]

FP8 = gaussian_products(float_format(5, 2))
SPARSE = gaussian_products(float_format(4, 3), density=0.1)
RELU = Products(Operand(Shape.HALF_NORMAL, density=0.5), Operand(Shape.GAUSSIAN, mean=0.1))
GRADIENTS = Products(Operand(Shape.LAPLACE), Operand(Shape.GAUSSIAN))
CASES = {"fp8": FP8, "sparse": SPARSE, "relu, mean": RELU, "laplace": GRADIENTS}


def draws(products: Products, n: int, count: int = 8) -> Iterator[tuple[Floats32, Floats32]]:
    for seed in range(count):
        yield from operand_tiles(products, n, (128, 128), seed)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [64, 1024])
def test_overflow_is_as_likely_as_in_emulated_sums(name: str, n: int) -> None:
    products, form = CASES[name], FloatFormat("inf", 4, 20, overflow=Overflow.INFINITY)
    # the scale at which overflow first becomes rarer than 1 %, and the one before
    scale = next(k for k in range(20, -40, -1) if overflow_probability(form, products, n, k) < 0.01)
    for exponent in (scale, scale + 1):
        found = overflow_probability(form, products, n, exponent)
        lost = [
            ~np.isfinite(matmul(a * np.float32(2.0**exponent), b, Accumulator(form)))
            for a, b in draws(products, n)
        ]
        measured = float(np.mean(lost))
        # outputs share operands: some ten deviations of independent ones
        assert found == pytest.approx(measured, rel=0.15, abs=10 * math.sqrt(found / 65536))


@pytest.mark.parametrize("name", CASES)
def test_underflow_is_what_a_cut_drops(name: str) -> None:
    products, form, scale = CASES[name], float_format(4, 3), -2
    ((a, b),) = draws(products, 4096, count=1)
    product = a.T.astype(np.float64) * b * 2.0**scale  # each pair of draws once
    product = product[product != 0.0]
    dropped = quantize(product, form, Rounding.TOWARD_ZERO) == 0.0
    found = underflow(form, products, 64, scale)
    assert found.product_share == pytest.approx(float(dropped.mean()), rel=0.05)
    power = float((product[dropped] ** 2).sum() / (product**2).sum())
    assert found.lost_power == pytest.approx(power, rel=0.25)  # of few of the sample


def test_small_sums_are_as_likely_as_in_draws() -> None:
    form, n, small, count = float_format(3, 2), 256, 0, 0
    for a, b in draws(GRADIENTS, n, count=8):
        sums = a.astype(np.float64) @ b
        small, count = small + int((np.abs(sums) < least_value(form)).sum()), count + sums.size
    assert underflow(form, GRADIENTS, n).sum_share == pytest.approx(small / count, rel=0.1)


def test_without_subnormals_less_is_held() -> None:
    flushing = ACCUMULATORS["cdna2_float16"].format
    assert isinstance(flushing, FloatFormat)
    flushing = replace(flushing, exponent_bits=4, mantissa_bits=6)
    assert least_value(flushing) == 2.0**-6
    assert least_value(float_format(4, 6)) == 2.0**-12
    more, less = (underflow(form, FP8, 64) for form in (flushing, float_format(4, 6)))
    assert more.product_share > 10 * less.product_share > 0.0
    assert more.sum_share == pytest.approx(64 * less.sum_share, rel=0.01)


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_the_centring_scale_is_right_for_products_of_any_size(bits: int) -> None:
    form = float_format(bits, 7)
    centre = centring_scale(form, FP8, 512)
    wide = Products(replace(FP8.a, format=None), replace(FP8.b, format=None) if FP8.b else None)
    assert abs(centring_scale(form, wide, 512) - centre) <= 1
    over = [overflow_probability(form, FP8, 512, centre + k) for k in (-1, 0, 1)]
    under = [underflow(form, FP8, 512, centre + k).product_share for k in (-1, 0, 1)]
    assert over == sorted(over)
    assert under == sorted(under, reverse=True)


@pytest.mark.parametrize("name", CASES)
def test_one_exponent_bit_less_leaves_the_limits_at_any_scale(name: str) -> None:
    products, n, limits = CASES[name], 1024, RangeLimits(1e-4, 1e-2)
    found = least_exponent_bits(7, products, n, limits)
    form = float_format(found.exponent_bits, 7)
    assert overflow_probability(form, products, n, found.scale_exponent) <= 1e-4
    assert underflow(form, products, n, found.scale_exponent).product_share <= 1e-2
    narrow = float_format(found.exponent_bits - 1, 7)
    for scale in range(-24, 25):
        if underflow(narrow, products, n, scale).product_share <= 1e-2:
            assert overflow_probability(narrow, products, n, scale) > 1e-4


def test_a_scale_that_is_given_costs_bits_where_it_is_wrong() -> None:
    best = least_exponent_bits(9, FP8, 4096)
    assert best.scale == 2.0**best.scale_exponent
    off = least_exponent_bits(9, FP8, 4096, scale_exponent=best.scale_exponent - 20)
    assert off == ExponentRange(6, best.scale_exponent - 20)
    assert off.exponent_bits > best.exponent_bits


def test_longer_sums_need_no_fewer_bits_and_overflow_more() -> None:
    form = float_format(4, 10)
    found = [overflow_probability(form, FP8, 4**k, 2) for k in range(1, 9)]
    assert found == sorted(found)
    assert found[0] < 1e-6 < 0.1 < found[-1]


def test_what_ranges_refuse() -> None:
    with pytest.raises(ValueError, match="overflow must lie between 0 and 1, got 0"):
        RangeLimits(overflow=0.0)
    with pytest.raises(ValueError, match="underflow must lie between 0 and 1, got 1"):
        RangeLimits(underflow=1.0)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        underflow(float_format(4, 3), FP8, 0)
    with pytest.raises(ValueError, match="none keeps overflow below 1e-06"):
        least_exponent_bits(3, FP8, 64, scale_exponent=600)
