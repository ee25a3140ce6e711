import math

import numpy as np
import numpy.typing as npt
import pytest

from analysis.sum_statistics import moments, statistics

Floats64 = npt.NDArray[np.float64]


def made(seed: int, error: float, shape: tuple[int, int] = (32, 64)) -> tuple[Floats64, Floats64]:
    """Exact and computed sums that have a mean, and errors that grow with them."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(5.0, 2.0, shape)
    return exact, exact + error * (rng.normal(0.3, 1.0, shape) - 0.2 * exact)


@pytest.mark.parametrize("error", [1.0, 1e-4, 1e-9])
def test_figures_are_those_of_their_definitions(error: float) -> None:
    exact, computed = made(1, error)
    found = statistics(exact, computed)
    noise = computed - exact
    covariance = np.mean((exact - exact.mean()) * (noise - noise.mean()))
    change = (2 * covariance + noise.var()) / exact.var()  # Var(computed)/Var(exact) − 1
    assert found.samples == exact.size
    assert found.retention - 1 == pytest.approx(change, rel=1e-6, abs=3e-16)
    assert found.nmse == pytest.approx(np.mean(noise**2) / exact.var(), rel=1e-12)
    assert found.bias == pytest.approx(noise.mean() / exact.std(), rel=1e-12)


def delta_errors(exact: Floats64, computed: Floats64) -> tuple[float, float, float]:
    """Standard errors by leaving out one sample at a time: an oracle that needs no algebra."""
    keep = ~np.eye(exact.size, dtype=bool)
    found = []
    for kept in keep:
        x, y = exact.ravel()[kept], computed.ravel()[kept]
        figures = (y.var() / x.var(), np.mean((y - x) ** 2) / x.var(), (y - x).mean() / x.std())
        found.append(figures)
    retention, nmse, bias = np.std(found, axis=0) * math.sqrt(exact.size)
    return retention, nmse, bias


@pytest.mark.parametrize("error", [1.0, 0.01])
def test_errors_of_independent_samples_are_the_jackknife(error: float) -> None:
    exact, computed = made(2, error, (1, 400))
    found = statistics(exact, computed)
    stated = (found.retention_error, found.nmse_error, found.bias_error)
    assert stated == pytest.approx(delta_errors(exact, computed), rel=0.02)


@pytest.mark.parametrize("error", [1.0, 1e-7, 1e-12])
def test_errors_shrink_with_the_accumulators_error(error: float) -> None:
    exact, computed = made(3, 1.0)
    small = exact + error * (computed - exact)
    whole, found = statistics(exact, computed), statistics(exact, small)
    assert found.nmse_error / found.nmse == pytest.approx(whole.nmse_error / whole.nmse, rel=1e-3)
    assert found.bias_error == pytest.approx(error * whole.bias_error, rel=0.3)
    assert found.retention_error < 2 * error * whole.retention_error


def test_rounds_add_up() -> None:
    first, second = made(4, 0.1), made(5, 0.1)
    summed = (moments(*first, 5.0) + moments(*second, 5.0)).statistics()
    exact, computed = (np.concatenate(both) for both in zip(first, second, strict=True))
    whole = statistics(exact, computed)
    assert summed.samples == whole.samples
    for name in ("retention", "nmse", "bias"):
        assert getattr(summed, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    # independent rounds: their columns are clusters of their own
    parts = [statistics(*one) for one in (first, second)]
    expected = math.hypot(*(one.bias_error for one in parts)) / 2
    assert summed.bias_error == pytest.approx(expected, rel=0.05)


def test_a_single_row_is_no_cluster() -> None:
    halves = [made(seed, 0.1, (1, 400)) for seed in (9, 10)]
    first, second = (moments(*half, 5.0) for half in halves)
    summed = (first + second).statistics()
    whole = statistics(*(np.concatenate(both, axis=1) for both in zip(*halves, strict=True)))
    for name in ("retention", "nmse", "bias"):
        stated = getattr(whole, f"{name}_error")
        assert getattr(summed, f"{name}_error") == pytest.approx(stated, rel=1e-6)


@pytest.mark.parametrize("origin", [0.0, 5.0, -40.0])
def test_the_origin_does_not_matter(origin: float) -> None:
    exact, computed = made(6, 0.1)
    found, other = moments(exact, computed, origin).statistics(), statistics(exact, computed)
    for name in ("retention", "nmse", "bias"):
        for field in (name, f"{name}_error"):
            assert getattr(found, field) == pytest.approx(getattr(other, field), rel=1e-6)


def test_errors_count_what_rows_and_columns_share() -> None:
    rng = np.random.default_rng(4)
    true = math.sqrt(1 / 40 + 1 / 60 + 1 / (40 * 60))
    stated = []
    for _ in range(50):
        rows, columns = rng.normal(size=(40, 1)), rng.normal(size=(1, 60))
        errors = rows + columns + rng.normal(size=(40, 60))
        exact = rng.normal(size=(40, 60))
        stated.append(statistics(exact, exact + errors).bias_error)
    assert np.mean(stated) == pytest.approx(true, rel=0.1)


def test_a_lossless_accumulator_has_no_error() -> None:
    exact, _ = made(7, 1.0)
    found = statistics(exact, exact)
    assert (found.retention, found.nmse, found.bias) == (1.0, 0.0, 0.0)
    assert (found.retention_error, found.nmse_error, found.bias_error) == (0.0, 0.0, 0.0)


def test_equal_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="exact sums must differ, got 2,048 equal ones"):
        statistics(np.zeros((32, 64)), np.ones((32, 64)))


@pytest.mark.parametrize("lost", [math.inf, math.nan])
def test_sums_that_overflow_are_refused(lost: float) -> None:
    exact, computed = made(8, 1.0)
    computed[3, 5:7] = lost
    with pytest.raises(ValueError, match="must be finite, got 2 of 2,048 that overflowed"):
        statistics(exact, computed)
