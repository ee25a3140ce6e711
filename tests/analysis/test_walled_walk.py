"""Walks between walls against closed forms and against stepped walks."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from analysis.walled_walk import Moments, Walk, free, walled, wrapped


def reflected(n: float, wall: float) -> tuple[float, float]:
    """E[R] and E[R²] of pushes R = max(0, max B − wall) on a Brownian motion, by reflection."""
    z = wall / math.sqrt(n)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    tail = float(ndtr(-z))
    return (
        2.0 * math.sqrt(n) * (density - z * tail),
        2.0 * n * ((1.0 + z * z) * tail - z * density),
    )


@pytest.mark.parametrize("wall", [5.0, 15.0, 40.0])
def test_one_wall_pushes_as_the_reflection_principle_says(wall: float) -> None:
    found = walled(Walk(0.0, 0.0, 0.0, 1.0), 400.0, -math.inf, wall)
    mean, square = reflected(400.0, wall)
    assert found.added == pytest.approx(-mean, rel=0.01)
    assert found.added_variance == pytest.approx(square - mean**2, rel=0.01)
    assert found.mean == pytest.approx(found.added, rel=1e-3)


def test_between_near_walls_the_sum_becomes_uniform() -> None:
    found = walled(Walk(0.0, 0.0, 0.0, 1.0), 1e4, -10.0, 10.0)
    assert found.variance == pytest.approx(20.0**2 / 12.0, rel=1e-3)
    assert found.mean == pytest.approx(0.0, abs=1e-6)
    # exact = computed − A is a Brownian motion
    exact = found.variance + found.added_variance - 2.0 * found.covariance
    assert exact == pytest.approx(1e4, rel=1e-3)


def test_a_constant_pull_and_far_walls_are_known_without_a_walk() -> None:
    walk = Walk(0.25, -0.5, -0.5, 2.0)
    assert free(walk, 100.0) == Moments(-25.0, 200.0, -50.0, 0.0, 0.0)
    assert walled(walk, 100.0, -1e9, 1e9) == free(walk, 100.0)


@pytest.mark.parametrize("mean", [0.0, 0.2, -1.0])
def test_a_pull_toward_zero_is_that_of_stepped_walks(mean: float) -> None:
    pull, n, count = 0.1, 300, 40_000
    rng = np.random.default_rng(1)
    sums, added = np.zeros(count), np.zeros(count)
    for _ in range(n):
        gained = -pull * np.sign(sums + 0.5 * (mean - pull * np.sign(sums)))
        sums += mean + gained + rng.standard_normal(count)
        added += gained
    found = free(Walk(mean, -pull, pull, 1.0), float(n))
    assert found.mean == pytest.approx(sums.mean(), abs=0.5)
    assert found.added == pytest.approx(added.mean(), abs=0.5)
    assert found.variance == pytest.approx(sums.var(), rel=0.04)
    assert found.added_variance == pytest.approx(added.var(), rel=0.1, abs=0.5)
    assert found.covariance == pytest.approx(np.cov(sums, added)[0, 1], rel=0.06, abs=1.0)


@pytest.mark.parametrize("whole", [4.0, 20.0, 70.0])
def test_wrapping_is_that_of_normal_numbers(whole: float) -> None:
    walk, n = Walk(0.05, 0.0, 0.0, 1.0), 100.0
    found = wrapped(walk, n, -0.5 * whole, 0.5 * whole, whole)
    sums = 5.0 + 10.0 * np.random.default_rng(2).standard_normal(400_000)
    kept = (sums + 0.5 * whole) % whole - 0.5 * whole
    lost = kept - sums
    assert found.mean == pytest.approx(kept.mean(), abs=0.06)
    assert found.added == pytest.approx(lost.mean(), abs=0.06)
    assert found.variance == pytest.approx(kept.var(), rel=0.01)
    assert found.added_variance == pytest.approx(lost.var(), rel=0.05)
    assert found.covariance == pytest.approx(np.cov(kept, lost)[0, 1], rel=0.05, abs=0.3)


def test_wrapping_knows_that_the_pull_goes_with_the_sum() -> None:
    pull, n, whole = 0.1, 300, 24.0
    walk, end = Walk(0.0, -pull, pull, 1.0), free(Walk(0.0, -pull, pull, 1.0), 300.0)
    rng = np.random.default_rng(3)
    # jointly normal, as the theory takes them: sum and pull with their known moments
    cross = [[end.variance, end.covariance], [end.covariance, end.added_variance]]
    sums, added = rng.multivariate_normal([0.0, 0.0], cross, 400_000).T
    kept = (sums + 0.5 * whole) % whole - 0.5 * whole
    gained = added + kept - sums
    found = wrapped(walk, float(n), -0.5 * whole, 0.5 * whole, whole)
    assert found.added_variance == pytest.approx(gained.var(), rel=0.01)
    assert found.covariance == pytest.approx(np.cov(kept, gained)[0, 1], abs=0.6)
