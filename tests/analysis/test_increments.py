"""Moments of one addition against the exact definition; walks against sums that are not rounded."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from analysis.distributions import Operand, Products, Shape
from analysis.draws import Draw
from analysis.drifting_sum import carry
from analysis.formats import Rounding, float_format
from analysis.increments import CROSS, ERROR, NOISE, SQUARE, Rule, increments, inside
from analysis.random_walk import walk
from analysis.rounding import round_exact
from analysis.stratified import operand_pairs

Floats = npt.NDArray[np.float64]
FORM = float_format(8, 6)
PRODUCTS = np.array([-1.625, -0.75, -0.3125, 0.0, 0.4375, 0.5, 1.125, 2.0])
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))


def exact_moments(rounding: Rounding, sign: int, bits: int) -> Floats:
    """Over all products and all sums in the middle of the binade 64..128, whose ulp is 1."""
    found = []
    for start in range(90, 110):
        for p in PRODUCTS:
            for value in range(2**bits):
                x = Fraction(sign * start) + Fraction(float(p))
                y = round_exact(x, FORM, rounding, Draw(bits, value))
                move, error = float(Fraction(y) - sign * start), float(Fraction(y) - x)
                found.append((move**2, error, error**2, error * move))
    return np.asarray(np.array(found).mean(axis=0), dtype=np.float64)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rounding", [one for one in Rounding if one is not Rounding.NEAREST_EVEN])
def test_moments_are_those_of_the_definition(rounding: Rounding, sign: int) -> None:
    bits = 3
    rule = Rule(rounding, 2**bits if rounding is Rounding.STOCHASTIC else 0)
    table = increments(PRODUCTS, rule, symmetric=False)
    found = table.interior[-table.least, (1 - sign) // 2]
    assert found == pytest.approx(exact_moments(rounding, sign, bits), abs=1e-12)


def test_ties_to_even_see_the_parity_that_products_leave() -> None:
    # steps of 1/2 and ulp 1: from an even sum the tie stays, from an odd one it goes up to even
    moments = inside(np.array([0.5]), 1.0, Rule(Rounding.NEAREST_EVEN, 0).code, 0)
    assert moments[[SQUARE, ERROR, NOISE, CROSS]].tolist() == [0.0, -0.5, 0.25, 0.0]
    # with as many steps of 1 the sum is odd in one third of the time: even → odd by 1 only
    moments = inside(np.array([0.5, 1.0]), 1.0, Rule(Rounding.NEAREST_EVEN, 0).code, 0)
    assert moments[ERROR] == pytest.approx(0.5 * (1 / 3 * 0.5 - 2 / 3 * 0.5))


def test_products_on_the_grid_do_not_err() -> None:
    table = increments(
        np.array([-2.0, -1.0, 1.0, 2.0]), Rule(Rounding.TOWARD_ZERO, 0), symmetric=True
    )
    fine = table.interior[: 1 - table.least]
    assert not fine[..., [ERROR, NOISE, CROSS]].any()
    assert (fine[..., SQUARE] == 2.5).all()


@pytest.mark.parametrize("mean", [0.0, 0.3])
@pytest.mark.parametrize("n", [16, 1000])
def test_a_walk_that_is_not_rounded_has_the_mean_and_variance_of_the_sum(
    mean: float, n: int
) -> None:
    a, _ = operand_pairs(GAUSSIAN)
    table = increments(a + mean, Rule(Rounding.STOCHASTIC, 0), symmetric=mean == 0.0)
    s, variance, e, noise, joint = walk(table, 40, n)
    assert s == pytest.approx(n * mean, rel=0.01)
    assert variance == pytest.approx(n, rel=0.01)
    assert max(abs(e), noise, abs(joint)) < 1e-9


def test_the_two_ways_of_a_drifting_sum_agree() -> None:
    a, _ = operand_pairs(GAUSSIAN)
    table = increments(a + 0.5, Rule(Rounding.TOWARD_ZERO, 0), symmetric=False)
    until = 400
    early = walk(table, 12, 150, lag=0.0)
    whole = walk(table, 12, until)
    late, time = carry(early, 150, until, 12, table, lag=0.5)
    assert time == until
    assert late == pytest.approx(whole, rel=0.05)
