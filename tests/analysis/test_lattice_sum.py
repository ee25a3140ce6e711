"""The chain on the lattice against its definition in fractions; the other theories against it."""

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtri

from analysis.drifting_sum import carry
from analysis.formats import Rounding, float_format
from analysis.increments import Increments, Rule, increments
from analysis.lattice_sum import is_coarse, lattice_sum
from analysis.random_walk import walk, walk_on
from analysis.rounding import round_exact
from analysis.short_sums import paths_of, short_sums

Floats = npt.NDArray[np.float64]
FORM = float_format(8, 3)
#: multiples of an eighth of their deviation, where the lattice is uniform: nothing is approximated
FEW_PRODUCTS = np.array([-3.0, -1.25, -0.25, 0.0, 0.5, 1.75, 2.25, 4.0])
NEAREST = Rule(Rounding.NEAREST_EVEN, 0)


def outcomes(x: Fraction, rounding: Rounding) -> list[tuple[Fraction, Fraction]]:
    """What x is rounded to, with its chances."""
    if rounding is not Rounding.STOCHASTIC:
        return [(Fraction(round_exact(x, FORM, rounding)), Fraction(1))]
    low = Fraction(round_exact(x, FORM, Rounding.DOWN))
    high = Fraction(round_exact(x, FORM, Rounding.UP))
    up = (x - low) / (high - low) if high > low else Fraction(0)
    return [(low, 1 - up), (high, up)]


def exact_chain(rounding: Rounding, n: int) -> Floats:
    """E[s], Var s, E[e], Var e and Cov(s, e) by the definition: every value the sum may have."""
    fields = {Fraction(0): np.array([1.0, 0.0, 0.0])}
    for _ in range(n):
        after: dict[Fraction, Floats] = defaultdict(lambda: np.zeros(3))
        for s, (f, g, h) in fields.items():
            for p in FEW_PRODUCTS:
                x = s + Fraction(float(p))
                for y, chance in outcomes(x, rounding):
                    r, weight = float(y - x), float(chance) / FEW_PRODUCTS.size
                    after[y] += weight * np.array([f, g + r * f, h + 2.0 * r * g + r * r * f])
        fields = after
    at = np.array([float(value) for value in fields])
    f, g, h = np.array(list(fields.values())).T
    mean, error = f @ at, g.sum()
    variance, joint = f @ at**2 - mean**2, g @ at - mean * error
    return np.array([mean, variance, error, h.sum() - error**2, joint])


def table_of(values: Floats, rule: Rule) -> Increments:
    return increments(values, rule, symmetric=bool(values.mean() == 0.0))


def chain(values: Floats, bits: int, rule: Rule, n: int) -> Floats:
    found = lattice_sum(values, bits, rule, table_of(values, rule), n, first_is_exact=False)
    assert found is not None
    assert found.chances.sum() == pytest.approx(1.0, abs=1e-6)
    return found.moments


def gaussian(mean: float) -> Floats:
    """Gaussian terms on a grid of an eighth."""
    z = ndtri((np.arange(1 << 13) + 0.5) / (1 << 13))
    return np.asarray(np.rint(8.0 * z) / 8.0 + mean)


def nmse(moments: Floats, values: Floats, n: int) -> float:
    return float((moments[3] + moments[2] ** 2) / (n * values.var()))


@pytest.mark.parametrize("rounding", Rounding)
def test_every_step_on_the_lattice_is_that_of_the_definition(rounding: Rounding) -> None:
    for n in (1, 2, 12):
        found = chain(FEW_PRODUCTS, FORM.mantissa_bits, Rule(rounding, 0), n)
        assert found == pytest.approx(exact_chain(rounding, n), abs=1e-9)


@pytest.mark.parametrize("rounding", Rounding)
def test_paths_have_the_moments_of_the_chain(rounding: Rounding) -> None:
    n = 24
    (found,) = short_sums(FEW_PRODUCTS, (3,), Rule(rounding, 0), n)
    mean, variance, error, noise, joint = exact_chain(rounding, n)
    slack = 4.0 / math.sqrt(paths_of(n))
    assert found.moments[[0, 2]] == pytest.approx([mean, error], abs=slack * math.sqrt(noise))
    assert found.moments[3] == pytest.approx(noise, rel=2.0 * slack)
    between = slack * math.sqrt(noise * variance)
    assert found.moments[[1, 4]] == pytest.approx([variance, joint], abs=3.0 * between)


def test_limited_random_bits_round_up_less_often() -> None:
    (found,) = short_sums(np.full(64, 1.0), (3,), Rule(Rounding.STOCHASTIC, 2), 17)
    # from 16 on the ulp is 2: a half, of which one random bit makes 0 or 1/2 of the ulp
    assert found.moments[0] == pytest.approx(17.0, abs=0.02)
    (found,) = short_sums(np.full(64, 0.75), (3,), Rule(Rounding.STOCHASTIC, 2), 22)
    exact = lattice_mean(0.75, 22)
    assert found.moments[0] == pytest.approx(exact, abs=0.02)


def lattice_mean(p: float, n: int) -> float:
    """E[s] of n equal terms, rounded by one random bit to three fraction bits."""
    chances = {0.0: 1.0}
    for _ in range(n):
        after: dict[float, float] = defaultdict(float)
        for s, chance in chances.items():
            ulp = 2.0 ** (math.floor(math.log2(s + p)) - 3)
            low = math.floor((s + p) / ulp)
            up = math.floor(2.0 * ((s + p) / ulp - low)) / 2.0
            after[low * ulp] += chance * (1.0 - up)
            after[(low + 1) * ulp] += chance * up
        chances = after
    return sum(s * chance for s, chance in chances.items())


@pytest.mark.parametrize(
    "rounding", [Rounding.NEAREST_EVEN, Rounding.STOCHASTIC, Rounding.TOWARD_ZERO]
)
@pytest.mark.parametrize("bits", [4, 5, 6])
def test_the_random_walk_agrees_with_the_chain(rounding: Rounding, bits: int) -> None:
    values, rule = gaussian(0.0), Rule(rounding, 0)
    for n in (64, 300):
        expected = nmse(chain(values, bits, rule, n), values, n)
        found = nmse(walk(table_of(values, rule), bits, n), values, n)
        assert found == pytest.approx(expected, rel=0.1)


def test_a_sum_that_stagnates_agrees_with_the_chain() -> None:
    values, n, bits = gaussian(0.5), 360, 5
    table = table_of(values, NEAREST)
    expected = chain(values, bits, NEAREST, n)
    moments, time = carry(chain(values, bits, NEAREST, 80), 80, n, bits, table, lag=0.5)
    assert time < n, "it is said where normality ends"
    found = walk_on(table, bits, moments, time, n, 0.5)
    assert nmse(found, values, n) == pytest.approx(nmse(expected, values, n), rel=0.1)
    assert found[2] == pytest.approx(expected[2], rel=0.05)


def test_what_a_sum_brings_along_is_kept_where_nothing_is_rounded() -> None:
    table = table_of(gaussian(0.5), Rule(Rounding.STOCHASTIC, 0))
    before = np.array([200.0, 400.0, 3.0, 9.0, -20.0])
    after = walk_on(table, 40, before, 400.0, 500.0, 0.0)
    assert after[:2] == pytest.approx([200.0 + 100 * 0.5, 400.0 + 100.0], rel=0.01)
    assert after[2:] == pytest.approx(before[2:], rel=0.01)


def test_only_what_is_coarse_and_small_is_done_on_the_lattice() -> None:
    values = gaussian(0.5)
    table = table_of(values, NEAREST)
    assert is_coarse(5, table, 128)
    assert not is_coarse(9, table, 128)
    assert lattice_sum(values, 5, NEAREST, table, 100_000, first_is_exact=False) is None
    limited = Rule(Rounding.STOCHASTIC, 16)
    assert lattice_sum(values, 5, limited, table, 16, first_is_exact=False) is None
