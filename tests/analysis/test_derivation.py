"""The sympy form proved against itself; ``test_retention_accuracy.py`` holds the numeric to it."""

import mpmath
import pytest
import sympy as sp

from analysis import derivation
from analysis.derivation import M_ACC, M_P, N_1, N_2, STAGE, STEP, N, Weights, evaluate

#: any weights and any α: what is proved for these holds for those of Theorem 1
ANY_WEIGHTS = Weights(
    full=sp.Function("w")(STEP), partial=sp.Function("w'")(STAGE), none=sp.Symbol("k_3")
)
ANY_ALPHA = {
    derivation.alpha(): sp.Symbol("alpha"),
    derivation.alpha(STAGE): sp.Function("alpha")(STAGE),
}


def test_the_positive_form_is_the_normaliser_less_the_numerator() -> None:
    difference = (
        N * derivation.normaliser(ANY_WEIGHTS)
        - derivation.numerator(ANY_WEIGHTS)
        - derivation.lost_numerator(ANY_WEIGHTS)
    )
    assert sp.simplify(difference.xreplace(ANY_ALPHA)) == 0


def test_the_proof_of_the_positive_form_can_fail() -> None:
    one_term_short = N * derivation.normaliser(ANY_WEIGHTS) - derivation.numerator(ANY_WEIGHTS)
    assert sp.simplify(one_term_short.xreplace(ANY_ALPHA)) != 0


def test_alpha_is_mean_square_truncated_times_iterations() -> None:
    # ../shared facts, accumulation §1.3: N_j and α of the paper belong together
    product = derivation.truncation_mean_square() * derivation.iterations()
    assert sp.simplify(product - derivation.alpha_summand()) == 0


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_truncation_mean_square_is_that_of_every_value_of_the_bits(bits: int) -> None:
    values = [sp.Rational(value, 2**7) ** 2 for value in range(2**bits)]
    mean = sum(values) / len(values)
    assert derivation.truncation_mean_square(sp.Integer(bits)).subs(M_P, 7) == mean


@pytest.mark.parametrize(
    ("m_acc", "expected"),
    [(5, "23.07"), (8, "184.5"), (9, "369.1"), (12, "2952.8")],  # accumulation §1.3
)
def test_alpha_of_five_product_bits(m_acc: int, expected: str) -> None:
    alpha = derivation.alpha().subs({M_ACC: m_acc, M_P: 5}).doit()
    assert f"{float(alpha):.{len(expected.split('.')[1])}f}" == expected


def test_literal_and_positive_form_agree_to_every_digit() -> None:
    values = {M_ACC: 7, M_P: 3, N: 120}
    with mpmath.workdps(80):
        literal = 1 - evaluate(derivation.theorem_1(), values, digits=80)
        positive = evaluate(derivation.variance_lost(), values, digits=60)
        assert abs(literal / positive - 1) < mpmath.mpf(10) ** -55


def test_digits_are_those_that_were_asked_for() -> None:
    values = {M_ACC: 6, M_P: 4, N: 90}
    with mpmath.workdps(60):
        short, long = (evaluate(derivation.variance_lost(), values, digits) for digits in (20, 60))
        assert 0 < abs(short / long - 1) < mpmath.mpf(10) ** -19


def test_the_sum_of_the_paper_stays_a_sum() -> None:
    sums = derivation.theorem_1().atoms(sp.Sum)
    assert {total.variables[0] for total in sums} >= {STEP, STAGE}
    assert r"\sum_{i=2}^{n - 1}" in sp.latex(derivation.lemma_1())


def test_the_corollary_is_the_product_of_two_stages() -> None:
    with mpmath.workdps(30):
        chunked = {M_ACC: 8, M_P: 5, N_1: 64, N_2: 9}
        product = evaluate(derivation.chunked_corollary(), chunked, digits=30)
        inner = evaluate(derivation.theorem_1(), {M_ACC: 8, M_P: 5, N: 64}, digits=30)
        outer = evaluate(derivation.theorem_1(), {M_ACC: 8, M_P: 8, N: 9}, digits=30)  # min(8, 11)
        assert abs(product - inner * outer) < mpmath.mpf(10) ** -28


def test_v_is_the_exponential_of_what_n_terms_lose() -> None:
    values = {M_ACC: 2, M_P: 1, N: 6}
    lost = evaluate(derivation.variance_lost(), values)
    assert lost > 0.01
    v = evaluate(derivation.normalised_variance_lost(), values)
    assert abs(mpmath.log(v) - 6 * lost) < 1e-14
