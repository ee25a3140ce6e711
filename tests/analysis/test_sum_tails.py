"""Tails against exact distributions of small walks, and against draws."""

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import FixedFormat
from analysis.sum_tails import (
    end_outside,
    end_tail,
    ever_outside,
    peak_tail,
    product_values,
)

Floats = npt.NDArray[np.float64]

INT4 = Products(
    Operand(Shape.GAUSSIAN, FixedFormat("int4", 4)),
    Operand(Shape.LAPLACE, FixedFormat("int4", 4), mean=0.1),
)


def exact_tails(values: Floats, n: int, level: int) -> tuple[float, float]:
    """P(S_n ≥ level) and P(max S_k ≥ level) of integer steps, by their distribution."""
    steps, counts = np.unique(values.astype(int), return_counts=True)
    size = n * int(np.abs(steps).max()) + 1
    free = np.zeros(2 * size + 1)
    free[size] = 1.0
    below, passed = free.copy(), 0.0
    for _ in range(n):
        free, below = (
            sum((np.roll(one, s) * c / values.size for s, c in zip(steps, counts, strict=True)),
                np.zeros_like(one))
            for one in (free, below)
        )  # fmt: skip
        passed += below[size + level :].sum()
        below[size + level :] = 0.0
    return float(free[size + level :].sum()), float(passed)


@pytest.mark.parametrize("deviations", [0.5, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("n", [30, 200])
def test_tails_agree_with_exact_distributions(n: int, deviations: float) -> None:
    values = product_values(INT4)
    level = round(n * values.mean() + deviations * math.sqrt(n) * values.std())
    end, peak = exact_tails(values, n, level)
    # S_n ≥ level is S_n > level − ½ to a continuous sum
    assert end_tail(values, n, level - 0.5) == pytest.approx(end, rel=0.1)
    assert peak_tail(values, n, level - 0.5) == pytest.approx(peak, rel=0.25)


def test_the_central_limit_would_be_off_by_orders_of_magnitude() -> None:
    values = product_values(INT4)
    level = round(30 * values.mean() + 6.0 * math.sqrt(30) * values.std())
    end, _ = exact_tails(values, 30, level)
    assert end > 30 * stats.norm.sf(6.0)


def test_a_drift_toward_the_level_leaves_nothing_to_the_way() -> None:
    steps = product_values(Products(Operand(Shape.GAUSSIAN, mean=1.0)))
    assert peak_tail(steps, 400, 420.0) == pytest.approx(end_tail(steps, 400, 420.0), rel=0.05)
    still = steps - steps.mean()
    # reflection: twice as likely, but for the overshoot
    ratio = peak_tail(still, 40_000, 600.0) / end_tail(still, 40_000, 600.0)
    assert ratio == pytest.approx(2.0, rel=0.02)


def test_gaussian_sums_have_gaussian_tails() -> None:
    steps = product_values(Products(Operand(Shape.GAUSSIAN)))
    for reach in (-2.0, 0.0, 1e-4, 1.0, 3.0, 5.0):
        found = end_tail(steps, 1000, reach * math.sqrt(1000))
        assert found == pytest.approx(stats.norm.sf(reach), rel=0.01)


def test_tails_fall_and_end_with_what_products_can_reach() -> None:
    values = product_values(gaussian_products(FixedFormat("int8", 8)))
    tails = [end_tail(values, 64, level) for level in np.linspace(-1e4, 6e5, 16)]
    assert all(a > b or a == b == 0.0 for a, b in pairwise(tails))
    assert end_tail(values, 64, 64 * values.max() + 1.0) == 0.0 == peak_tail(values, 64, 1e9)
    assert end_tail(values, 64, 64 * values.min()) == 1.0


def test_both_sides_count() -> None:
    values = product_values(INT4)
    assert end_outside(values, 50, -900.0, 1e9) == end_tail(-values, 50, 900.0)
    both = ever_outside(values, 50, -300.0, 300.0)
    assert both == peak_tail(values, 50, 300.0) + peak_tail(-values, 50, 300.0)
    assert ever_outside(values, 50, -1.0, 1.0) == 1.0


def test_what_tails_refuse() -> None:
    values = product_values(INT4)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        end_tail(values, 0, 1.0)
    with pytest.raises(ValueError, match="must be positive, got -1"):
        peak_tail(values, 4, -1.0)
    constant = Products(Operand(Shape.UNIFORM, FixedFormat("bit", 2, -20)))
    with pytest.raises(ValueError, match="must not all be equal"):
        product_values(constant)
