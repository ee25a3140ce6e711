"""Prediction against simulation, and the laws that it must obey whatever the numbers."""

import math

import pytest

from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import (
    Accumulator,
    Fused,
    Product,
    Rounding,
    Tree,
    float_format,
)
from analysis.noise import SumError, predict, predict_each
from analysis.noise_laws import noise_law
from analysis.simulation import simulate

WIDE = Accumulator(float_format(8, 23))
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))
FP8 = gaussian_products(float_format(5, 2))
NEAREST, CUT, BY_CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC


def sums(mantissa_bits: int, rounding: Rounding = NEAREST, **more: object) -> Accumulator:
    return Accumulator(float_format(8, mantissa_bits), rounding, **more)  # type: ignore[arg-type]


def biased(shape: Shape, mean: float) -> Products:
    return Products(Operand(shape, mean=mean))


CASES = {
    "nearest": (sums(8), FP8, 4096),
    "nearest, swamped": (sums(5), GAUSSIAN, 8192),
    "stochastic": (sums(6, BY_CHANCE), FP8, 2048),
    "stochastic, 4 bits": (sums(8, BY_CHANCE, random_bits=4), GAUSSIAN, 1024),
    "toward zero": (sums(9, CUT), FP8, 512),
    "down": (sums(9, Rounding.DOWN), Products(Operand(Shape.LAPLACE)), 512),
    "away": (sums(7, Rounding.NEAREST_AWAY), Products(Operand(Shape.UNIFORM)), 1024),
    "narrow products": (sums(10), gaussian_products(float_format(5, 1)), 512),
    "mean": (sums(9), biased(Shape.GAUSSIAN, 0.5), 1024),
    "mean, toward zero": (sums(11, CUT), biased(Shape.UNIFORM, 0.1), 512),
    "chunks": (sums(7, CUT, chunk=64), FP8, 2048),
    "chunks, wide": (sums(5, chunk=32, outer=WIDE), FP8, 1024),
    "rounded products": (sums(8, product=Product(float_format(8, 4))), GAUSSIAN, 256),
    "tree": (sums(5, order=Tree()), FP8, 1024),
    "tree, toward zero, of any length": (
        sums(7, CUT, order=Tree()),
        biased(Shape.UNIFORM, 0.5),
        781,
    ),
    "tree, by chance": (sums(6, BY_CHANCE, order=Tree(), random_bits=3), GAUSSIAN, 300),
    "trees in chunks": (sums(7, Rounding.DOWN, order=Tree(), chunk=32), FP8, 2048),
    "fused": (sums(8, CUT, order=Fused(8, 9)), FP8, 2048),
}


@pytest.mark.parametrize("name", CASES)
def test_prediction_agrees_with_simulation(name: str) -> None:
    accumulator, products, n = CASES[name]
    measured = simulate(accumulator, products, n, samples=8192, seed=1, threads=1)
    found = predict(accumulator, products, n)
    error = 4.0 * measured.nmse_error
    assert error < 0.2 * measured.nmse, "the simulation is too short to say anything"
    assert found.nmse == pytest.approx(measured.nmse, abs=0.1 * measured.nmse + error)
    error = 4.0 * measured.retention_error
    assert found.retention == pytest.approx(measured.retention, abs=0.03 + error)
    error = 0.1 * abs(measured.bias) + 4.0 * measured.bias_error
    assert found.bias == pytest.approx(measured.bias, abs=error)


def test_small_errors_obey_the_first_order_law() -> None:
    # which takes significands as log-uniform: of a normal sum, E[ulp²]/E[s²] is within 6 % of that
    for n in (1000, 4000, 16000):
        expected = noise_law(NEAREST).nmse(14, (n,))
        assert predict(sums(14), GAUSSIAN, n).nmse == pytest.approx(expected, rel=0.08)
        by_chance = predict(sums(14, BY_CHANCE), GAUSSIAN, n).nmse
        assert by_chance == pytest.approx(2.0 * expected, rel=0.08)


def test_one_bit_is_worth_four_times_the_length() -> None:
    for rounding in (NEAREST, BY_CHANCE):
        longer = predict(sums(9, rounding), GAUSSIAN, 16384)
        shorter = predict(sums(8, rounding), GAUSSIAN, 4096)
        assert longer.nmse == pytest.approx(shorter.nmse, rel=0.03)
        assert longer.retention == pytest.approx(shorter.retention, abs=0.01)


def test_truncation_keeps_a_variance_of_the_order_of_two_to_the_width() -> None:
    kept = [predict(sums(6, CUT), GAUSSIAN, n).retention * n for n in (16384, 65536)]
    assert kept[0] == pytest.approx(kept[1], rel=0.05)  # stationary
    assert 0.5 * 2**6 < kept[0] < 4 * 2**6


def test_a_sum_of_few_terms_that_fit_is_exact() -> None:
    assert predict(sums(8), FP8, 1).nmse == 0.0  # a product has 5 fraction bits
    assert predict(sums(4, CUT), FP8, 1).nmse > 0.0


@pytest.mark.parametrize("rounding", [NEAREST, BY_CHANCE, CUT])
def test_symmetric_products_have_no_bias(rounding: Rounding) -> None:
    assert predict(sums(6, rounding, chunk=32), FP8, 1024).bias == 0.0


def test_up_is_the_mirror_image_of_down() -> None:
    for chunk in (None, 32):
        up = predict(sums(8, Rounding.UP, chunk=chunk), FP8, 512)
        down = predict(sums(8, Rounding.DOWN, chunk=chunk), FP8, 512)
        assert up.nmse == pytest.approx(down.nmse, rel=1e-3)
        assert up.bias == pytest.approx(-down.bias, rel=1e-3)


def test_a_negative_mean_is_the_mirror_image_of_a_positive_one() -> None:
    for n in (100, 3000):
        there = predict(sums(8, CUT), biased(Shape.GAUSSIAN, 0.4), n)
        back = predict(sums(8, CUT), biased(Shape.GAUSSIAN, -0.4), n)
        assert back.bias == pytest.approx(-there.bias, rel=1e-3)
        assert back.nmse == pytest.approx(there.nmse, rel=1e-3)


def test_wide_outer_sums_leave_the_error_of_the_chunks() -> None:
    inside = predict(sums(6, chunk=64, outer=WIDE), FP8, 64)
    for n in (640, 64000):
        whole = predict(sums(6, chunk=64, outer=WIDE), FP8, n)
        assert whole.nmse == pytest.approx(inside.nmse, rel=1e-3)
        assert whole.retention == pytest.approx(inside.retention, abs=0.005)


def test_a_chunk_of_everything_is_the_plain_sum() -> None:
    plain, chunked = predict(sums(6), FP8, 256), predict(sums(6, chunk=256), FP8, 256)
    assert chunked.nmse == pytest.approx(plain.nmse, rel=0.02)


def test_wider_accumulators_err_less() -> None:
    found = predict_each([sums(bits) for bits in range(4, 13)], FP8, 4096)
    nmse = [one.nmse for one in found]
    assert nmse == sorted(nmse, reverse=True)
    assert all(isinstance(one, SumError) for one in found)


def test_what_is_not_predicted_is_said() -> None:
    with pytest.raises(ValueError, match=r"n .* must be at least 1, got 0"):
        predict(sums(8), FP8, 0)


@pytest.mark.parametrize("rounding", [NEAREST, BY_CHANCE, CUT])
@pytest.mark.parametrize(
    ("n", "width", "density", "mean", "chunk"),
    [
        (4608, 6, 0.01, 0.0, None), (4608, 4, 0.001, 0.0, None), (4608, 6, 0.05, 0.5, None),
        (200, 4, 0.02, 0.0, None), (300, 4, 0.003, 0.0, None), (20000, 7, 0.02, 0.0, 512),
    ],
)  # fmt: skip
def test_zeros_round_nothing(
    n: int, width: int, density: float, mean: float, chunk: int | None, rounding: Rounding
) -> None:
    form = float_format(5, 2)
    one = Operand(Shape.GAUSSIAN, form, mean=mean, density=density)
    products = Products(one, Operand(Shape.GAUSSIAN, form, mean=mean))
    accumulator = Accumulator(float_format(8, width), rounding, chunk=chunk)
    found = predict(accumulator, products, n)
    truth = simulate(accumulator, products, n, samples=8192, seed=2, threads=1)
    assert found.nmse == pytest.approx(truth.nmse, rel=0.2, abs=4 * truth.nmse_error)
    assert found.retention == pytest.approx(truth.retention, abs=0.03 + 4 * truth.retention_error)
    assert found.bias == pytest.approx(truth.bias, rel=0.1, abs=0.05 + 4 * truth.bias_error)


@pytest.mark.parametrize("chunk", [None, 16, 99, 128])
def test_a_sum_that_hardly_errs_keeps_its_variance(chunk: int | None) -> None:
    """|√retention − 1| ≤ √NMSE, whatever the sum: Minkowski's inequality."""
    for bits in (4, 8, 14):
        for products in (gaussian_products(float_format(5, 2)), Products(Operand(Shape.UNIFORM))):
            found = predict(Accumulator(float_format(8, bits), chunk=chunk), products, 12288)
            assert abs(math.sqrt(found.retention) - 1.0) <= math.sqrt(found.nmse) * (1.0 + 1e-9)
