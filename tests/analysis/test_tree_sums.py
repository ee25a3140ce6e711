"""Trees against all the sums that there are."""

from fractions import Fraction
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from analysis.distributions import Operand, Products, sample_of
from analysis.formats import Rounding, float_format
from analysis.increments import Rule
from analysis.noisy_terms import Outcome
from analysis.rounding import round_exact
from analysis.tree_sums import tree_sum

FORM = float_format(8, 2)
VALUES = (-1.5, -0.75, -0.25, 0.5, 0.75, 1.25)
PRODUCTS = Products(Operand(sample_of(np.array(VALUES))))
ROUNDINGS = [one for one in Rounding if one is not Rounding.STOCHASTIC]


def tree(terms: tuple[Fraction, ...], rounding: Rounding) -> Fraction:
    """Neighbours in pairs; what is left over goes up as it is."""
    if len(terms) == 1:
        return terms[0]
    pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
    sums = (
        Fraction(round_exact(pair[0] + pair[1], FORM, rounding)) if len(pair) == 2 else pair[0]
        for pair in pairs
    )
    return tree(tuple(sums), rounding)


def every_sum(rounding: Rounding, n: int) -> npt.NDArray[np.float64]:
    """E[s], Var s, E[e], Var e and Cov(s, e) over all sums of ``n`` values."""
    terms = list(product([Fraction(value) for value in VALUES], repeat=n))
    s = np.array([float(tree(one, rounding)) for one in terms])
    e = s - np.array([float(sum(one)) for one in terms])
    joint = np.cov(s, e, ddof=0)
    return np.array([s.mean(), joint[0, 0], e.mean(), joint[1, 1], joint[0, 1]])


def moments(found: Outcome) -> list[float]:
    errors = [found.mean_error, found.error_variance, found.covariance]
    return [found.mean, found.variance, *errors]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_node_is_the_rounded_sum_of_two(rounding: Rounding) -> None:
    found = tree_sum(PRODUCTS, None, Rule(rounding, 0), FORM.mantissa_bits, 2)
    assert moments(found) == pytest.approx(every_sum(rounding, 2), abs=2e-3)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("n", [3, 4])
def test_nodes_compose(rounding: Rounding, n: int) -> None:
    found = tree_sum(PRODUCTS, None, Rule(rounding, 0), FORM.mantissa_bits, n)
    expected = every_sum(rounding, n)
    assert moments(found)[:3] == pytest.approx(expected[:3], abs=5e-3)
    # errors lean on the values not quite linearly
    assert moments(found)[3:] == pytest.approx(expected[3:], rel=0.1, abs=0.01)
