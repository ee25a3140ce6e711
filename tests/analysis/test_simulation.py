import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.emulation import matmul, matmul_exact
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import SUM_NOISE, accumulation_nmse
from analysis.operands import operand_tiles, quantize_float32
from analysis.simulation import (
    RunningSum,
    SumStatistics,
    clustered_error,
    random_sums,
    simulate,
    simulate_each,
    statistics,
)

E5M2 = float_format(5, 2)
NEAREST, ZERO = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO


def accumulator(
    m_acc: int, rounding: Rounding = NEAREST, chunk: int | None = None, e_acc: int = 6
) -> Accumulator:
    return Accumulator(float_format(e_acc, m_acc), rounding, chunk)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("chunk", [None, 16, 70, 1000])
def test_sums_are_those_of_the_exact_reference(rounding: Rounding, chunk: int | None) -> None:
    one = accumulator(4, rounding, chunk)
    sums = random_sums((one,), E5M2, 70, samples=128, seed=5)
    ((a, b),) = operand_tiles(E5M2, 70, (2, 64), 5)
    np.testing.assert_array_equal(sums.computed[0], matmul_exact(a, b, one))
    np.testing.assert_array_equal(sums.exact, a.astype(np.float64) @ b.astype(np.float64))


@given(
    cuts=st.sets(st.integers(1, 199)),
    chunk=st.sampled_from([None, 1, 7, 64, 150, 200, 999]),
    rounding=st.sampled_from(Rounding),
)
@settings(max_examples=60, deadline=None)
def test_sums_do_not_depend_on_where_they_are_cut(
    cuts: set[int], chunk: int | None, rounding: Rounding
) -> None:
    one = Accumulator(
        float_format(6, 4), rounding, chunk, None if chunk is None else float_format(6, 3)
    )
    ((a, b),) = operand_tiles(E5M2, 200, (2, 64), 11)
    running = RunningSum(one, (2, 64))
    edges = [0, *sorted(cuts), 200]
    for first, last in pairwise(edges):
        running.add(a[:, first:last], b[first:last])
    np.testing.assert_array_equal(running.result(), matmul(a, b, one))


def test_one_seed_gives_the_same_bits_alone_or_in_company() -> None:
    narrow, wide = accumulator(4, chunk=100), accumulator(7, ZERO)
    together = simulate_each((narrow, wide), E5M2, 5000, samples=256, seed=3)
    for one, found in zip((narrow, wide), together, strict=True):
        assert simulate(one, E5M2, 5000, samples=256, seed=3) == found
    assert simulate(narrow, E5M2, 5000, samples=256, seed=4) != together[0]


def gaussian_terms(m_acc: int, n: int, rounding: Rounding) -> SumStatistics:
    """Sums of Gaussian terms of 5 mantissa bits, as in facts/accumulation.md §1.8."""
    terms = np.random.default_rng(8).standard_normal((n, 4096), dtype=np.float32)
    terms = quantize_float32(terms, float_format(6, 5))
    running = RunningSum(accumulator(m_acc, rounding), (1, 4096))
    running.add(np.ones((1, n), dtype=np.float32), terms)
    exact = terms.sum(axis=0, dtype=np.float64)
    return statistics(exact.reshape(64, 64), running.result().reshape(64, 64))


# facts/accumulation.md §1.8: (m_acc, n), retention to nearest and toward zero
RETENTION = [
    (5, 1024, 0.970, 0.050),
    (5, 4096, 0.874, 0.011),
    (6, 4096, 0.980, 0.026),
    (7, 4096, 0.996, 0.053),
    (6, 256, 1.005, 0.362),
]
# ibid., relative RMS error to nearest
RMS_ERROR = [(5, 1024, 0.150), (5, 4096, 0.292), (6, 4096, 0.147), (7, 4096, 0.073)]


@pytest.mark.parametrize(("m_acc", "n", "nearest", "toward_zero"), RETENTION)
def test_retention_of_gaussian_terms_is_the_published_one(
    m_acc: int, n: int, nearest: float, toward_zero: float
) -> None:
    # the table's own errors are not recorded; Var(computed)/nσ² of 2,000 samples, say, has one of
    # √(2/2000) = 3 %, of which the ratio to Var(exact) that is taken here is free
    found = gaussian_terms(m_acc, n, NEAREST)
    assert abs(found.retention - nearest) < math.hypot(3 * found.retention_error, 2 * 0.03)
    found = gaussian_terms(m_acc, n, ZERO)
    assert abs(found.retention - toward_zero) < 3 * found.retention_error + 0.1 * toward_zero


@pytest.mark.parametrize(("m_acc", "n", "published"), RMS_ERROR)
def test_rms_error_of_gaussian_terms_is_the_published_one(
    m_acc: int, n: int, published: float
) -> None:
    found = gaussian_terms(m_acc, n, NEAREST)
    assert abs(found.nmse - published**2) < 4 * found.nmse_error


@pytest.mark.parametrize(("m_acc", "n", "nearest", "toward_zero"), RETENTION)
def test_retention_of_products_is_close_to_that_of_gaussian_terms(
    m_acc: int, n: int, nearest: float, toward_zero: float
) -> None:
    # products of Gaussians have heavier tails (kurtosis 9, not 3) and more often no bit below the
    # sum's ulp: a little more survives, most where truncation loses every typical term
    found = simulate(accumulator(m_acc), E5M2, n, samples=4096, seed=1)
    assert abs(found.retention - nearest) < math.hypot(3 * found.retention_error, 2 * 0.03)
    found = simulate(accumulator(m_acc, ZERO), E5M2, n, samples=4096, seed=1)
    assert 0.95 * toward_zero < found.retention < 1.3 * toward_zero


LENGTHS = np.array([256, 512, 1024, 2048, 4096])
WIDTHS = np.array([8, 9, 10, 11, 12])  # NMSE below 0.001, where the law is meant to hold


def slope(x: np.ndarray, y: list[float]) -> float:
    return float(np.polyfit(x, np.log2(y), 1)[0])


def nmse(m_acc: int, n: int, chunk: int | None = None) -> float:
    one = accumulator(m_acc, chunk=chunk)
    return simulate(one, float_format(5, 8), n, samples=8192, seed=2).nmse


def test_error_grows_in_proportion_to_the_length() -> None:
    assert slope(np.log2(LENGTHS), [nmse(10, int(n)) for n in LENGTHS]) == pytest.approx(
        1, abs=0.05
    )


def test_error_falls_fourfold_with_each_bit() -> None:
    assert slope(WIDTHS, [nmse(int(m), 1024) for m in WIDTHS]) == pytest.approx(-2, abs=0.05)


@pytest.mark.parametrize(("m_acc", "n", "chunk"), [(9, 1024, 1024), (8, 4096, 64), (10, 3000, 100)])
def test_error_is_that_of_the_first_order_law(m_acc: int, n: int, chunk: int) -> None:
    # the law takes significands as log-uniform, which is right to a few per cent
    measured = nmse(m_acc, n, chunk)
    assert measured == pytest.approx(float(accumulation_nmse(m_acc, n, chunk)), rel=0.1)
    assert pytest.approx(0.0225, rel=0.01) == SUM_NOISE


def test_bias_of_symmetric_products_is_none() -> None:
    for rounding in Rounding:
        found = simulate(accumulator(6, rounding), E5M2, 300, samples=2048, seed=6)
        assert abs(found.bias) < 4 * found.bias_error


def test_bias_is_in_deviations_of_the_exact_sum() -> None:
    exact = np.random.default_rng(1).normal(0.0, 2.0, (32, 64))
    found = statistics(exact, exact + 1.0)
    assert found.bias == pytest.approx(1.0 / exact.std())
    assert found.retention == pytest.approx(1.0)
    assert found.nmse == pytest.approx(1.0 / exact.var())


@pytest.mark.parametrize("e_acc", [2, 3, 4, 6, 8])
def test_sums_never_saturate(e_acc: int) -> None:
    # 44 mantissa bits lose nothing, whatever the exponents, unless the sum leaves their range
    found = simulate(accumulator(44, e_acc=e_acc), E5M2, 5000, samples=512, seed=1)
    assert found.nmse < 1e-12
    assert found.retention == pytest.approx(1.0, abs=1e-9)


def test_density_shortens_the_sum() -> None:
    sums = random_sums((), E5M2, 4000, samples=2048, seed=9, density=0.25)
    quantised = 1.017  # E[x²] of a Gaussian x rounded to e5m2 is within 2 % of 1
    assert sums.exact.var() == pytest.approx(1000 * quantised**2, rel=0.15)  # ± 3 %
    thin = simulate(accumulator(5), E5M2, 4096, samples=2048, seed=9, density=0.25)
    short = simulate(accumulator(5), E5M2, 1024, samples=2048, seed=10)
    assert abs(thin.nmse - short.nmse) < 4 * math.hypot(thin.nmse_error, short.nmse_error)


def test_standard_error_is_the_spread_over_seeds() -> None:
    found = [simulate(accumulator(3), E5M2, 20, samples=1024, seed=seed) for seed in range(80)]
    for name in ("retention", "nmse", "bias"):
        spread = np.std([getattr(one, name) for one in found])
        stated = np.sqrt(np.mean([getattr(one, f"{name}_error") ** 2 for one in found]))
        # a deviation from 80 values is known to 8 %
        assert stated == pytest.approx(spread, rel=0.3), name


def test_clustered_error_counts_what_rows_and_columns_share() -> None:
    rng = np.random.default_rng(4)
    shape = (40, 60)
    true = math.sqrt(1 / 40 + 1 / 60 + 1 / (40 * 60))
    stated = []
    for _ in range(50):
        rows, columns = rng.normal(size=(40, 1)), rng.normal(size=(1, 60))
        cells = rows + columns + rng.normal(size=shape)
        stated.append(clustered_error(cells - cells.mean()))
    assert np.mean(stated) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n .accumulation length. must be at least 1, got 0"),
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"density": 0.0}, r"density .* must be in \(0, 1\], got 0.0"),
        ({"density": 1e-9}, "exact sums must differ, got 128 equal ones"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    given_: dict[str, float] = {"n": 10, "samples": 128, "seed": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        simulate(accumulator(5), E5M2, **given_)  # type: ignore[arg-type]
