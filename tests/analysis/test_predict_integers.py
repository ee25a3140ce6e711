"""Sums in fixed point and in blocks, predicted through the same door as all others."""

from dataclasses import replace

import pytest

from analysis.catalog import named_accumulator
from analysis.distributions import Blocks, Operand, Products, Shape, gaussian_products
from analysis.fixed_sums import fixed_outcome
from analysis.formats import Accumulator, BlockFormat, FixedFormat, float_format
from analysis.noise import predict, predict_each
from analysis.operand_noise import operand_noise
from analysis.simulation import simulate

INT8 = gaussian_products(FixedFormat("int8", 8))
MX = Products(Operand(Shape.GAUSSIAN, Blocks(32, 6)), Operand(Shape.GAUSSIAN, Blocks(32, 6)))
#: 14 bits overflow now and then in a block of 32
NARROW, WIDE = BlockFormat("narrow", 14, 6, 6), BlockFormat("wide", 24, 6, 6)
INT18, INT24 = FixedFormat("int18", 18), FixedFormat("int24", 24)


def test_fixed_point_is_the_theory_of_fixed_sums() -> None:
    accumulator = Accumulator(INT18)
    found, outcome = predict(accumulator, INT8, 1024), fixed_outcome(accumulator, INT8, 1024)
    assert found.nmse > 0.0
    ratio = (outcome.error_variance + outcome.mean_error**2) / outcome.variance
    assert found.nmse == pytest.approx(ratio * found.retention)


def test_a_wide_integer_is_exact() -> None:
    found = predict(named_accumulator("int32"), INT8, 4096)
    assert (found.nmse, found.bias) == (0.0, 0.0)
    assert found.retention == pytest.approx(1.0)


@pytest.mark.parametrize("n", [32, 128, 4096])
@pytest.mark.parametrize(
    ("accumulator", "products"),
    [
        (Accumulator(WIDE, chunk=32, outer=Accumulator(float_format(8, 7))), MX),
        (Accumulator(NARROW, chunk=32, outer=Accumulator(float_format(8, 9))), MX),
        (Accumulator(INT24, chunk=64, outer=Accumulator(float_format(8, 6))), INT8),
        (Accumulator(INT18, chunk=64, outer=Accumulator(float_format(8, 8))), INT8),
    ],
)
def test_chunks_of_integers_under_a_floating_point_sum(
    accumulator: Accumulator, products: Products, n: int
) -> None:
    found = predict(accumulator, products, n)
    truth = simulate(accumulator, products, n, samples=16384, seed=3, threads=1)
    assert found.nmse == pytest.approx(truth.nmse, rel=0.25, abs=5 * truth.nmse_error + 1e-9)
    assert found.retention == pytest.approx(truth.retention, abs=0.01 + 5 * truth.retention_error)
    assert found.bias == pytest.approx(truth.bias, abs=0.02 + 5 * truth.bias_error)


def test_several_at_once_are_each_by_itself() -> None:
    wide = named_accumulator("mxint8")
    narrow = replace(wide, outer=Accumulator(float_format(8, 5)))
    assert predict_each((wide, narrow), MX, 512) == (
        predict(wide, MX, 512), predict(narrow, MX, 512),
    )  # fmt: skip


def test_noise_of_operands_in_blocks() -> None:
    """64ths of the largest of 32 Gaussians, of about 2^1: an error of about 2^-5/√12 each."""
    noise = operand_noise(MX, 4096)
    assert 2 * (2.0**-5) ** 2 / 12 * 0.5 < noise < 2 * (2.0**-5) ** 2 / 12 * 2
    finer = Products(Operand(Shape.GAUSSIAN, Blocks(32, 7)), Operand(Shape.GAUSSIAN, Blocks(32, 7)))
    assert operand_noise(finer, 4096) == pytest.approx(noise / 4, rel=0.1)


def test_what_no_theory_knows_is_refused() -> None:
    floats = Accumulator(float_format(8, 7), chunk=8, outer=Accumulator(FixedFormat("int32", 32)))
    with pytest.raises(ValueError, match=r"fixed sums: a format must be of fixed point or blocks"):
        predict(floats, INT8, 64)
