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
    Steps,
    end_outside,
    end_tail,
    ever_outside,
    normal_level,
    peak_tail,
    product_steps,
)

Floats = npt.NDArray[np.float64]

INT4 = Products(
    Operand(Shape.GAUSSIAN, FixedFormat("int4", 4)),
    Operand(Shape.LAPLACE, FixedFormat("int4", 4), mean=0.1),
)


def exact_tails(steps: Steps, n: int, level: int) -> tuple[float, float]:
    """P(S_n ≥ level) and P(max S_k ≥ level) of integer steps, by their distribution."""
    moves = np.rint(steps.values).astype(int)
    assert (moves == steps.values).all()
    size = n * int(np.abs(moves).max()) + 1
    free = np.zeros(2 * size + 1)
    free[size] = 1.0
    below, passed = free.copy(), 0.0
    for _ in range(n):
        free, below = (
            sum((np.roll(one, s) * c for s, c in zip(moves, steps.weights, strict=True)),
                np.zeros_like(one))
            for one in (free, below)
        )  # fmt: skip
        passed += below[size + level :].sum()
        below[size + level :] = 0.0
    return float(free[size + level :].sum()), float(passed)


@pytest.mark.parametrize("deviations", [0.5, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("n", [30, 200])
def test_tails_agree_with_exact_distributions(n: int, deviations: float) -> None:
    steps = product_steps(INT4)
    level = round(n * steps.mean + deviations * math.sqrt(n) * steps.deviation)
    end, peak = exact_tails(steps, n, level)
    # S_n ≥ level is S_n > level − ½ to a continuous sum
    assert end_tail(steps, n, level - 0.5) == pytest.approx(end, rel=0.1)
    assert peak_tail(steps, n, level - 0.5) == pytest.approx(peak, rel=0.25)


def test_the_central_limit_would_be_off_by_orders_of_magnitude() -> None:
    steps = product_steps(INT4)
    level = round(30 * steps.mean + 6.0 * math.sqrt(30) * steps.deviation)
    end, _ = exact_tails(steps, 30, level)
    assert end > 30 * stats.norm.sf(6.0)


def test_a_drift_toward_the_level_leaves_nothing_to_the_way() -> None:
    steps = product_steps(Products(Operand(Shape.GAUSSIAN, mean=1.0)))
    assert peak_tail(steps, 400, 420.0) == pytest.approx(end_tail(steps, 400, 420.0), rel=0.05)
    still = Steps(steps.values - steps.mean, steps.weights)
    # reflection: twice as likely, but for the overshoot
    ratio = peak_tail(still, 40_000, 600.0) / end_tail(still, 40_000, 600.0)
    assert ratio == pytest.approx(2.0, rel=0.02)


def test_gaussian_sums_have_gaussian_tails() -> None:
    steps = product_steps(Products(Operand(Shape.GAUSSIAN)))
    for reach in (-2.0, 0.0, 1e-4, 1.0, 3.0, 5.0):
        found = end_tail(steps, 1000, reach * math.sqrt(1000))
        assert found == pytest.approx(stats.norm.sf(reach), rel=0.01)


def test_tails_fall_and_end_with_what_products_can_reach() -> None:
    steps = product_steps(gaussian_products(FixedFormat("int8", 8)))
    tails = [end_tail(steps, 64, level) for level in np.linspace(-1e4, 6e5, 16)]
    assert all(a > b or a == b == 0.0 for a, b in pairwise(tails))
    assert end_tail(steps, 64, 64 * steps.values.max() + 1.0) == 0.0 == peak_tail(steps, 64, 1e9)
    assert end_tail(steps, 64, 64 * steps.values.min()) == 1.0


def test_both_sides_count() -> None:
    steps = product_steps(INT4)
    assert end_outside(steps, 50, -900.0, 1e9) == end_tail(steps.negated, 50, 900.0)
    both = ever_outside(steps, 50, -300.0, 300.0)
    assert both == peak_tail(steps, 50, 300.0) + peak_tail(steps.negated, 50, 300.0)
    assert ever_outside(steps, 50, -1.0, 1.0) == 1.0


def test_what_tails_refuse() -> None:
    steps = product_steps(INT4)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        end_tail(steps, 0, 1.0)
    with pytest.raises(ValueError, match="must be positive, got -1"):
        peak_tail(steps, 4, -1.0)
    constant = Products(Operand(Shape.UNIFORM, FixedFormat("bit", 2, -20)))
    with pytest.raises(ValueError, match="must not all be equal"):
        product_steps(constant)


def test_heavy_tails_are_a_nearer_level_of_a_normal_walk() -> None:
    steps = product_steps(gaussian_products(FixedFormat("int8", 8)))
    level = 5.0 * math.sqrt(32) * steps.deviation
    nearer = normal_level(steps, 32, level)
    normal = product_steps(Products(Operand(Shape.GAUSSIAN)))
    scaled = nearer / steps.deviation
    assert 3.5 < scaled / math.sqrt(32) < 4.7
    assert peak_tail(normal, 32, scaled) == pytest.approx(peak_tail(steps, 32, level), rel=0.05)
    assert normal_level(steps, 32, 1.0) == 1.0  # likely to be passed
    assert normal_level(steps, 32, 1e9) == 1e9  # impossible
