"""The formulas as theorems: limits, order, rates."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.formats import Fused, Rounding, float_format
from analysis.rounding_bounds import (
    Roundings,
    advised_random_bits,
    best_block,
    compose,
    deviations,
    fused_bound,
    fused_step_bound,
    gamma,
    mean_bound,
    probable,
    unit_roundoff,
    worst,
    worst_to_nearest,
)

U = Fraction(1, 2**11)


def test_gamma_covers_every_product_of_roundings() -> None:
    for n in (1, 5, 300):
        assert (1 + U) ** n - 1 <= gamma(n, U)
        assert 1 - (1 - U) ** n <= gamma(n, U)
        assert (1 - U) ** -n - 1 <= gamma(n, U)  # backward, which is where γ is tight
    assert gamma(300, U) < Fraction(11, 10) * ((1 - U) ** -300 - 1)


def test_gamma_composes_below_the_gamma_of_all() -> None:
    # Higham (2002), Lemma 3.3: γ_j + γ_k + γ_j γ_k ≤ γ_(j+k)
    assert worst([Roundings(64, U), Roundings(63, U)]) <= gamma(127, U)
    assert compose(gamma(3, U), gamma(4, U)) == gamma(3, U) + gamma(4, U) + gamma(3, U) * gamma(
        4, U
    )


def test_accurate_sums_of_blocks_err_by_the_block_whatever_n() -> None:
    accurate = U**2  # FABsum (Blanchard, Higham and Mary 2020): b u + O(u²)
    found = [worst([Roundings(64, U), Roundings(n // 64, accurate)]) for n in (64, 2**16)]
    assert found[1] - found[0] < 2**10 * accurate * 2
    assert found[0] < 64 * U + 2 * (64 * U) ** 2


def test_gamma_ends_where_n_u_is_one() -> None:
    gamma(2047, U)
    with pytest.raises(ValueError, match="below 1, got n = 2048"):
        gamma(2048, U)
    with pytest.raises(ValueError, match="got n = -1"):
        gamma(-1, U)


def test_to_nearest_needs_no_limit_and_is_below_gamma() -> None:
    path = [Roundings(1000, U)]
    assert worst_to_nearest(path) == 1000 * U < worst(path)
    assert worst_to_nearest([Roundings(10**9, U)]) == 10**9 * U


@given(st.integers(1, 10**6), st.integers(6, 24), st.floats(1.0, 10.0))
def test_the_probable_bound_lies_between_its_first_order_and_both_published_forms(
    n: int, bits: int, reach: float
) -> None:
    u = 2.0**-bits
    if reach * math.sqrt(n) * u > 100.0:
        return
    found = probable([Roundings(n, Fraction(1, 2**bits))], reach)
    # Higham and Mary (2019), Theorem 2.4; Connolly, Higham and Mary (2021), Theorem 4.6
    higham_mary = math.expm1(reach * math.sqrt(n) * u + n * u**2 / (1.0 - u))
    connolly = math.expm1((reach * math.sqrt(n) * u + n * u**2) / (1.0 - u))
    assert found == pytest.approx(higham_mary, rel=1e-9)
    assert reach * math.sqrt(n) * u <= found <= connolly * (1.0 + 1e-9)


def test_the_probable_bound_grows_like_the_root_of_n() -> None:
    lengths = [4**k for k in range(3, 8)]
    found = [probable([Roundings(n, Fraction(1, 2**24))], 5.0) for n in lengths]
    assert all(b / a == pytest.approx(2.0, rel=0.01) for a, b in pairwise(found))


def test_few_random_bits_add_a_term_that_grows_like_n() -> None:
    u, n = Fraction(1, 2**20), 10_000

    def extra(n: int, bits: int) -> float:
        ideal = probable([Roundings(n, u)], 5.0)
        return probable([Roundings(n, u, u / 2**bits)], 5.0) - ideal

    assert extra(n, 4) == pytest.approx(n * u / 16, rel=0.02)  # O(n u_(p+r))
    assert extra(4 * n, 4) / extra(n, 4) == pytest.approx(4.0, rel=0.1)
    advised = advised_random_bits(n)
    assert 2 ** (advised - 1) < math.sqrt(n) <= 2**advised
    assert extra(n, advised) <= probable([Roundings(n, u)], 1.01)


def test_probable_bounds_end_with_float64() -> None:
    with pytest.raises(ValueError, match="must lie within float64"):
        probable([Roundings(10**8, Fraction(1, 2))], 5.0)
    with pytest.raises(ValueError, match="unit roundoffs must be below 1, got 1"):
        probable([Roundings(1, Fraction(1))], 5.0)


def test_deviations_pay_for_every_event() -> None:
    assert 1000 * 2 * math.exp(-(deviations(1e-3, 1000) ** 2) / 2) == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="failure must lie between 0 and 1, got 1"):
        deviations(1.0, 10)


def test_random_bits_need_a_length() -> None:
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        advised_random_bits(0)


@given(st.integers(1, 3000), st.integers(0, 6), st.integers(0, 6))
def test_the_best_block_is_the_best_of_all(n: int, inner: int, outer: int) -> None:
    u, v = Fraction(1, 2**inner), Fraction(1, 2**outer)
    costs = {b: b * u + (-(-n // b) - 1) * v for b in range(1, n + 1)}
    assert best_block(n, u, v) == min(costs, key=lambda b: (costs[b], b))


def test_blocks_need_positive_sizes() -> None:
    with pytest.raises(ValueError, match="n and u must be positive, got 0"):
        best_block(0, U, U)


def test_the_bound_for_products_without_a_mean_grows_like_their_magnitudes() -> None:
    def of(n: int, mean: float) -> float:
        return mean_bound(n, Fraction(1, 2**24), 5.0, mean=mean, reach=1.0)

    assert of(4096, 0.0) / of(1024, 0.0) == pytest.approx(4.0, rel=0.01)  # n
    assert of(4096, 9e9) / of(1024, 9e9) == pytest.approx(8.0, rel=0.01)  # n^1.5
    # Σk² = 1 + 4 + 9, Σk = 6
    first = 5.0 * 2.0**-24 * (2.0 * math.sqrt(14.0) + 5.0 * math.sqrt(6.0))
    assert of(3, 2.0) == pytest.approx(first, rel=1e-5)
    with pytest.raises(ValueError, match="must be below 1"):
        mean_bound(100, Fraction(1, 4), 5.0, mean=0.0, reach=1.0)


def test_one_fused_step_of_hopper() -> None:
    # accumulation facts: (terms + 1) 2^(E−f) + 2^(e−F), 32 terms, f = F = 13
    found = fused_step_bound(Fused(32, 13), float_format(8, 13), Rounding.TOWARD_ZERO, 3, 5)
    assert found == 33 * Fraction(1, 2**10) + Fraction(1, 2**8)
    nearest = fused_step_bound(Fused(32, 13), float_format(8, 13), Rounding.NEAREST_EVEN, 3, 5)
    assert found - nearest == Fraction(1, 2**9)


def test_fused_steps_compose() -> None:
    order, unit = Fused(4, 23), unit_roundoff(23, Rounding.TOWARD_ZERO)
    step = (1 + Fraction(5, 2**23)) * (1 + unit) - 1
    assert fused_bound(1, order, unit) == step / (1 - step)
    assert fused_bound(100, order, unit) > (1 + step) ** 100 - 1
