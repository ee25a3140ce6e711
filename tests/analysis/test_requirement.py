"""Least widths by noise: against the theory they come from, and against simulation."""

import math
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import requirement
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import Rounding, float_format
from analysis.noise_laws import operand_nmse
from analysis.operand_noise import operand_noise
from analysis.quantization import quantize
from analysis.requirement import (
    NoiseBudget,
    NoiseParity,
    Sought,
    Theorem,
    gaussian_operands,
    least_bits,
    min_accumulator_bits,
    operand_formats,
)
from analysis.retention import log_variance_lost_chunked
from analysis.simulation import simulate_each

FP8 = float_format(5, 2)
SHIFTED = Products(Operand(Shape.GAUSSIAN, FP8, mean=0.5), Operand(Shape.GAUSSIAN, FP8, mean=0.5))
ROUNDINGS = (Rounding.NEAREST_EVEN, Rounding.STOCHASTIC, Rounding.TOWARD_ZERO, Rounding.DOWN)


@given(st.integers(1, 10**6), st.integers(1, 12), st.none() | st.integers(1, 4096))
def test_the_theorem_is_the_default_and_stands_as_published(
    n: int, m_p: int, chunk: int | None
) -> None:
    least = min_accumulator_bits(n, m_p, chunk=chunk)
    assert least == min_accumulator_bits(n, m_p, chunk=chunk, criterion=Theorem(50.0))
    lost = [log_variance_lost_chunked(m, m_p, n, chunk or n) for m in range(1, least + 1)]
    assert lost[-1] < math.log(50.0)
    assert all(one >= math.log(50.0) for one in lost[:-1])


@settings(max_examples=25)
@given(
    st.integers(8, 10**5),
    st.sampled_from(ROUNDINGS),
    st.none() | st.sampled_from([32, 128]),
    st.sampled_from([NoiseBudget(1e-2), NoiseBudget(1e-4, 1e-3), NoiseParity(), NoiseParity(1.0)]),
    st.sampled_from([None, SHIFTED]),
)
def test_the_width_meets_both_limits_and_one_bit_less_does_not(
    n: int,
    rounding: Rounding,
    chunk: int | None,
    criterion: NoiseBudget | NoiseParity,
    products: Products | None,
) -> None:
    sought = Sought(n, 5, chunk, rounding=rounding, products=products)
    least = least_bits(sought, criterion)
    allowed = criterion.allowed(sought.summed)
    error = sought.error(least)
    assert error.nmse <= allowed
    assert abs(error.bias) <= criterion.bias
    if least > 1:
        below = sought.error(least - 1)
        assert below.nmse > allowed or abs(below.bias) > criterion.bias


@cache
def simulated_least(
    products: Products, n: int, rounding: Rounding, chunk: int | None, budget: float
) -> int:
    sought = Sought(n, 5, chunk, rounding=rounding, products=products)
    measured = simulate_each(
        [sought.accumulator(m) for m in range(1, 15)], products, n, samples=4096, seed=5, threads=1
    )
    return 1 + next(i for i, one in enumerate(measured) if one.nmse <= budget)


def test_widths_by_noise_are_those_of_simulation() -> None:
    """All of the study is in benchmarks/noise_accuracy.py."""
    grid = product(
        (gaussian_operands(5), SHIFTED, Products(Operand(Shape.LAPLACE, float_format(8, 7)))),
        (64, 1000),
        ROUNDINGS,
        (None, 32),
        (1e-1, 1e-2, 1e-3, 1e-4),
    )
    off = [
        least_bits(
            Sought(n, 5, chunk, rounding=rounding, products=products), NoiseBudget(budget, 1)
        )
        - simulated_least(products, n, rounding, chunk, budget)
        for products, n, rounding, chunk, budget in grid
    ]
    assert min(off) >= -1
    assert np.mean(np.array(off) == 0) >= 0.95


def test_a_bias_is_limited_by_itself() -> None:
    loose, strict = NoiseBudget(0.05), NoiseBudget(0.05, bias=0.01)
    sought = Sought(4096, 5, rounding=Rounding.DOWN)
    assert abs(sought.error(least_bits(sought, loose)).bias) > 0.01
    assert least_bits(sought, strict) > least_bits(sought, loose)


@pytest.mark.parametrize("rounding", [Rounding.NEAREST_EVEN, Rounding.STOCHASTIC])
def test_parity_costs_half_a_bit_for_every_halving_of_the_fraction(rounding: Rounding) -> None:
    widths = [
        min_accumulator_bits(4096, 5, criterion=NoiseParity(0.4 / 4**k, 1.0), rounding=rounding)
        for k in range(4)
    ]
    assert np.all(np.abs(np.diff(widths) - 1) <= 1)
    assert widths[3] - widths[0] in (2, 3, 4)


def test_rounding_by_the_sum_decides() -> None:
    nearest, zero = (
        min_accumulator_bits(4608, 5, criterion=NoiseParity(), rounding=rounding)
        for rounding in (Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO)
    )
    assert zero >= nearest + 3  # §1.8: truncation of the sum collapses


@pytest.mark.parametrize("bits", [1, 2, 3, 7])
def test_noise_of_gaussian_operands_is_the_first_order_law(bits: int) -> None:
    """Significands of a Gaussian are nearly, not quite, log-uniform."""
    measured = operand_noise(gaussian_products(float_format(8, bits)), 4096)
    assert measured == pytest.approx(float(operand_nmse(bits)), rel=0.1)


def test_noise_of_operands_is_that_of_drawn_ones() -> None:
    rng = np.random.default_rng(0)
    for products, mean in ((gaussian_products(FP8), 0.0), (SHIFTED, 0.5)):
        a, b = (mean + rng.standard_normal((2000, 500)) for _ in range(2))
        exact = a * b
        error = quantize(a, FP8, Rounding.NEAREST_EVEN) * quantize(b, FP8, Rounding.NEAREST_EVEN)
        sums = (error - exact).sum(axis=1)
        drawn = float(np.square(sums).mean() / (500 * exact.var()))
        assert operand_noise(products, 500) == pytest.approx(drawn, rel=0.1)


def test_operands_that_are_not_rounded_have_no_parity() -> None:
    with pytest.raises(ValueError, match="operands must be rounded to a format, got None"):
        operand_noise(gaussian_products(None), 10)


@pytest.mark.parametrize("m_p", range(1, 25))
def test_operands_have_products_of_the_bits_asked_for(m_p: int) -> None:
    a, b = operand_formats(m_p)
    # an exact product of p-bit and q-bit significands has p + q bits, the leading one included
    assert a.mantissa_bits + b.mantissa_bits + 1 == m_p
    assert 0 <= a.mantissa_bits - b.mantissa_bits <= 1


def test_products_have_at_least_one_bit() -> None:
    with pytest.raises(ValueError, match=r"m_p .* must be at least 1, got 0"):
        operand_formats(0)


def test_gaussian_operands_are_in_these_formats() -> None:
    products = gaussian_operands(6, 0.5)
    assert products.b is not None
    assert (products.a.format, products.b.format) == operand_formats(6)
    assert products.a.density == 0.5


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_limits_are_positive(limit: float) -> None:
    with pytest.raises(ValueError, match=rf"NMSE budget must be a positive number, got {limit}"):
        NoiseBudget(limit)
    with pytest.raises(ValueError, match="bias limit must be"):
        NoiseParity(0.1, limit)
    with pytest.raises(ValueError, match=r"parity .* must be"):
        NoiseParity(limit)


def test_a_limit_that_nothing_meets_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirement, "_MOST_BITS", 6)
    with pytest.raises(ValueError, match=r"n = 4000: no width up to \d+ bits meets NMSE ≤ 0.001"):
        min_accumulator_bits(4000, 5, criterion=NoiseBudget())


def test_measured_noise_of_operands_stands_for_the_theory_of_it() -> None:
    sought = Sought(1000, 5, measured_operand_nmse=1e-6)
    assert NoiseParity().allowed(sought.summed) == 0.1 * 1e-6
    assert least_bits(sought, NoiseParity()) > least_bits(Sought(1000, 5), NoiseParity())
    assert NoiseBudget(1e-3).allowed(sought.summed) == 1e-3


def test_a_sum_of_no_products_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n .* must be in 1.*, got 0"):
        min_accumulator_bits(0, 5, criterion=NoiseParity())
    with pytest.raises(ValueError, match=r"m_p .* must be in 1.*, got 0"):
        min_accumulator_bits(10, 0, criterion=NoiseParity())
    assert least_bits(replace(Sought(5, 5), n=1), NoiseParity()) >= 1
