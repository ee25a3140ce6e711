"""Against plain loops over every product, in exact fractions where a figure is rational."""

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.networks.gemm import Role
from models.probes import product_statistics
from models.probes.product_statistics import measured, over_moments
from models.statistics import MAX_RATIO, GemmStatistics

Array = npt.NDArray[Any]


def operands(seed: int, groups: int, lines: tuple[int, int], n: int) -> tuple[Array, Array]:
    """Factors with zeros, a mean and scales of their own in every line."""
    rng = np.random.default_rng(seed)
    pair = []
    for count in lines:
        x = rng.standard_normal((groups, count, n)) + 0.5
        x *= 2.0 ** rng.integers(-6, 6, (groups, count, 1))
        pair.append((x * (rng.random(x.shape) < 0.7)).astype(np.float32))
    return pair[0], pair[1]


def every_output(a: Array, b: Array) -> list[list[Fraction]]:
    """The exact products of each output."""
    return [
        [Fraction(float(x)) * Fraction(float(y)) for x, y in zip(left, right, strict=True)]
        for lefts, rights in zip(a, b, strict=True)
        for left in lefts
        for right in rights
    ]


def moments_of(values: list[Fraction]) -> tuple[Fraction, Fraction, Fraction]:
    """Mean, variance and fourth central moment."""
    mean = sum(values, Fraction(0)) / len(values)
    second, fourth = (sum(((v - mean) ** p for v in values), Fraction(0)) for p in (2, 4))
    return mean, second / len(values), fourth / len(values)


def of(a: Array, b: Array, seed: int = 0, pairs: int = 8) -> GemmStatistics:
    return measured("fc", Role.FWD, a, b, np.random.default_rng(seed), pairs)


@pytest.mark.parametrize("groups", [1, 3])
def test_figures_of_all_products_are_the_exact_ones(groups: int) -> None:
    a, b = operands(1, groups, (4, 3), 10)
    outputs = every_output(a, b)
    kept = [p for output in outputs for p in output if p]
    mean, variance, fourth = moments_of(kept)
    found = of(a, b)
    assert (found.n, found.products) == (10, groups * 4 * 3 * 10)
    assert found.density == float(Fraction(len(kept), found.products))
    assert found.mean_ratio == pytest.approx(float(mean) / math.sqrt(variance), rel=1e-12)
    assert found.kurtosis == pytest.approx(float(fourth / variance**2), rel=1e-12)
    exponents = sorted(math.frexp(float(p))[1] - 1 for p in kept)
    assert (found.exponents.least, found.exponents.most) == (exponents[0], exponents[-1])


def test_figures_within_outputs_are_the_exact_ones() -> None:
    a, b = operands(2, 2, (5, 4), 12)
    ratios, chances, kurtoses, weights = [], [], [], []
    for output in every_output(a, b):
        kept = [p for p in output if p]
        mean, variance, fourth = moments_of(kept)
        ratios.append(abs(float(mean)) / math.sqrt(variance))
        chances.append(math.sqrt(2.0 / math.pi / len(kept)))
        kurtoses.append(float(fourth / variance**2))
        weights.append(len(kept))
    found = of(a, b)
    assert found.output_mean_ratio == pytest.approx(np.mean(ratios), rel=1e-12)
    assert found.chance_mean_ratio == pytest.approx(np.mean(chances), rel=1e-12)
    assert found.output_kurtosis == pytest.approx(np.mean(kurtoses), rel=1e-12)
    squares = np.average(np.square(ratios) - 1.0 / np.array(weights), weights=weights)
    assert found.drift == pytest.approx(math.sqrt(squares), rel=1e-12)


def test_correlation_along_k_is_the_exact_one() -> None:
    a, b = operands(3, 1, (4, 4), 9)
    above = below = Fraction(0)
    for output in every_output(a, b):
        mean = sum(output, Fraction(0)) / len(output)
        off = [p - mean for p in output]
        above += sum((x * y for x, y in pairwise(off)), Fraction(0))
        below += sum((x * x for x in off), Fraction(0))
    assert of(a, b).lag_correlation == pytest.approx(float(above / below), rel=1e-12)


def test_operands_are_measured_whole() -> None:
    a, b = operands(4, 2, (4, 3), 10)
    for values, found in ((a, of(a, b).a), (b, of(a, b).b)):
        kept = values[values != 0].astype(np.float64)
        assert found.density == kept.size / values.size
        assert found.mean_ratio == pytest.approx(kept.mean() / kept.std(), rel=1e-12)
        assert (found.least, found.most) == (values.min(), values.max())


def test_ends_of_the_exponents_leave_a_thousandth_out() -> None:
    """1,000 values to an exponent's one: below, at most 0.1 % may lie."""
    a = np.ones((1, 1, 2002), dtype=np.float32)
    a[0, 0, :2], a[0, 0, -2:] = 2.0**-9, 2.0**9
    found = of(a, np.ones_like(a)).exponents
    assert (found.least, found.low, found.high, found.most) == (-9, 0, 0, 9)
    a[0, 0, 2] = 2.0**-9  # 3 of 2,002 are more than a thousandth
    assert of(a, np.ones_like(a)).exponents.low == -9


def test_independent_products_of_mean_zero_have_no_drift() -> None:
    a, b = np.random.default_rng(5).standard_normal((2, 1, 64, 256)).astype(np.float32)
    found = of(a, b)
    assert found.drift < 0.02
    assert found.output_mean_ratio == pytest.approx(found.chance_mean_ratio, rel=0.05)
    # of two independent Gaussian factors, 3 · 3
    assert found.kurtosis == pytest.approx(9.0, rel=0.1)


def test_outputs_with_means_of_their_own_drift_by_them() -> None:
    """Half of the lines have a mean of 0.3, half of −0.3."""
    rng = np.random.default_rng(6)
    a = rng.standard_normal((1, 64, 512))
    b = np.ones((1, 8, 512))  # so that products have the variance 1 of a
    a += 0.3 * np.where(np.arange(64) % 2, 1.0, -1.0)[:, None]
    found = of(a.astype(np.float32), b.astype(np.float32))
    assert abs(found.mean_ratio) < 0.02
    assert found.drift == pytest.approx(0.3, abs=0.02)


def test_a_sample_is_of_products_scaled_by_output() -> None:
    a, b = operands(7, 1, (6, 5), 40)
    found = of(a, b, pairs=10_000)
    assert found.sample is not None
    left, right = np.array(found.sample.a), np.array(found.sample.b)
    kept = [[p for p in output if p] for output in every_output(a, b)]
    assert left.size == sum(map(len, kept))  # all that there are
    expected = []
    for output in kept:
        power = sum((p * p for p in output), Fraction(0)) / len(output)
        expected += [float(p) * 2.0 ** -round(0.5 * math.log2(power)) for p in output]
    np.testing.assert_allclose(np.sort(left * right), np.sort(expected), rtol=1e-6)
    assert 0.5 < np.sqrt(np.square(left * right).mean()) < 2.0


def test_stored_decimals_name_their_float32() -> None:
    a, b = operands(8, 1, (6, 5), 40)
    found = of(a, b, pairs=10_000)
    assert found.sample is not None
    fractions = np.frexp(np.array(found.sample.a, dtype=np.float32))[0]
    assert set(fractions) <= set(np.frexp(a)[0].ravel())


def test_a_sample_leaves_out_what_float32_does_not_hold() -> None:
    a = np.array([[[2.0**100, 2.0**-149, 2.0**100]]], dtype=np.float32)
    found = of(a, np.ones_like(a))
    assert found.sample is not None
    assert len(found.sample.a) == 2


def test_of_many_outputs_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_statistics, "PRODUCTS", 1000)
    monkeypatch.setattr(product_statistics, "LEAST_OUTPUTS", 2)
    a, b = operands(9, 2, (30, 20), 10)
    found = of(a, b)
    assert found.products == 1000
    assert found == of(a, b)
    assert found != of(a, b, seed=1)
    assert found.density == pytest.approx(0.49, abs=0.1)  # 0.7 · 0.7
    long = operands(9, 1, (30, 20), 3000)
    assert of(*long).products == 2 * 3000


def test_equal_products_have_the_largest_ratio_and_the_least_kurtosis() -> None:
    ones = np.ones((1, 2, 5), dtype=np.float32)
    found = of(3.0 * ones, ones / 7)
    assert found.mean_ratio == MAX_RATIO
    assert (found.kurtosis, found.output_kurtosis) == (1.0, 1.0)
    assert (found.output_mean_ratio, found.drift, found.lag_correlation) == (0.0, 0.0, 0.0)


def test_sums_of_one_product_are_measured() -> None:
    a, b = operands(10, 1, (9, 9), 1)
    found = of(a, b)
    assert (found.n, found.output_mean_ratio, found.lag_correlation) == (1, 0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_operands_that_are_not_finite_are_refused(bad: float) -> None:
    a, b = operands(11, 1, (3, 3), 4)
    b[0, 1, 2] = bad
    with pytest.raises(ValueError, match="fc/FWD: operands must be finite"):
        of(a, b)


def test_products_that_are_all_zero_are_refused() -> None:
    a, b = operands(12, 1, (3, 3), 4)
    a[..., ::2], b[..., 1::2] = 0.0, 0.0
    with pytest.raises(ValueError, match="fc/FWD: products must not all be zero"):
        of(a, b)


def test_moments_of_training_are_averaged_and_their_ranges_joined() -> None:
    pairs = [operands(seed, 1, (4, 3), 10) for seed in (13, 14)]
    first, second = found = [of(*pair, pairs=5) for pair in pairs]
    joint = over_moments(found)
    assert joint.products == first.products + second.products
    for name in ("density", "mean_ratio", "output_mean_ratio", "kurtosis", "lag_correlation"):
        mean = (getattr(first, name) + getattr(second, name)) / 2
        assert getattr(joint, name) == pytest.approx(mean, rel=1e-15)
    assert joint.drift == pytest.approx(math.hypot(first.drift, second.drift) / math.sqrt(2))
    assert joint.exponents.least == min(first.exponents.least, second.exponents.least)
    assert joint.exponents.high == max(first.exponents.high, second.exponents.high)
    assert joint.a.most == max(first.a.most, second.a.most)
    assert joint.b.least == min(first.b.least, second.b.least)
    assert joint.sample is not None
    assert first.sample is not None
    assert len(joint.sample.a) == 10
    assert joint.sample.b[:5] == first.sample.b
