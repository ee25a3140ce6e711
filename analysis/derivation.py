"""The equations of Sakr et al. (ICLR 2019, arXiv 1901.06588) as sympy expressions.

The same mathematics as ``retention.py``, written from the paper and sharing no code with it: Lemma
1, Theorem 1, the chunked corollary and v(n) are expressions in the symbols :data:`M_ACC`,
:data:`M_P`, :data:`N` (and :data:`N_1`, :data:`N_2`), with a ``Sum`` where the paper has one, to be
read, printed by :func:`sympy.latex`, or evaluated to any number of digits by :func:`evaluate`.

Two steps that ``retention.py`` rests on are here to be proved: that k n less the numerator of VRR
is :func:`lost_numerator`, a sum of positive terms, and that the factors of α belong together
(:func:`truncation_mean_square` times :func:`iterations` is :func:`alpha_summand`).
"""

from collections.abc import Mapping
from typing import NamedTuple

import mpmath
import sympy as sp

M_ACC, M_P, N = sp.symbols("m_acc m_p n", positive=True, integer=True)
N_1, N_2 = sp.symbols("n_1 n_2", positive=True, integer=True)
STEP, STAGE, EARLIER = sp.symbols("i j l", positive=True, integer=True)


def gaussian_tail(x: sp.Expr) -> sp.Expr:
    """Q(x) = P(N(0, 1) > x).

    >>> gaussian_tail(sp.sqrt(2))
    erfc(1)/2
    """
    return sp.erfc(x / sp.sqrt(2)) / 2


def full_swamping_weight(i: sp.Expr = STEP) -> sp.Expr:
    r"""q_i = 2Q(2^m_acc/√i) (1 − 2Q(2^m_acc/√(i−1))): the i-th sum is the first to be swamped.

    >>> print(sp.latex(full_swamping_weight().args[1]))
    \operatorname{erfc}{\left(\frac{\sqrt{2} \cdot 2^{m_{acc}}}{2 \sqrt{i}} \right)}
    """
    edge = 2**M_ACC
    return 2 * gaussian_tail(edge / sp.sqrt(i)) * (1 - 2 * gaussian_tail(edge / sp.sqrt(i - 1)))


def iterations(j: sp.Expr = STAGE) -> sp.Expr:
    """N_j, the additions spent in stage j of partial swamping.

    >>> iterations()
    2**(j + m_acc - m_p + 1)
    """
    return 2 ** (M_ACC - M_P + j + 1)


def truncation_mean_square(j: sp.Expr = STAGE) -> sp.Expr:
    """Mean square of j truncated bits of a product, every value equally likely.

    >>> truncation_mean_square(sp.Integer(1)).subs(M_P, 1)  # 0 or 1/2
    1/8
    """
    value = sp.Symbol("t", nonnegative=True, integer=True)
    return sp.summation((value * 2**-M_P) ** 2, (value, 0, 2**j - 1)) / 2**j


def alpha_summand(j: sp.Expr = STAGE) -> sp.Expr:
    """Variance lost in stage j: (2^(m_acc−3m_p)/3) 2^j (2^j − 1)(2^(j+1) − 1)."""
    return 2 ** (M_ACC - 3 * M_P) / sp.Integer(3) * 2**j * (2**j - 1) * (2 ** (j + 1) - 1)


def alpha(j: sp.Expr = M_P + 1) -> sp.Expr:
    """α_j, lost before stage j; by default α = α_{m_p+1}, lost before the sum swamps fully.

    >>> alpha().subs({M_ACC: 8, M_P: 3}).doit()
    155
    """
    return sp.Sum(alpha_summand(EARLIER), (EARLIER, 1, j - 1))


def partial_swamping_weight(j: sp.Expr = STAGE) -> sp.Expr:
    """q'_j = N_{j−1} 2Q(2^(m_acc−m_p+j−1)/√n) (1 − 2Q(2^(m_acc−m_p+j)/√n)), j = 2..m_p."""
    edge = 2 ** (M_ACC - M_P + j)
    begun = 2 * gaussian_tail(edge / 2 / sp.sqrt(N))
    return iterations(j - 1) * begun * (1 - 2 * gaussian_tail(edge / sp.sqrt(N)))


def no_swamping_weight() -> sp.Expr:
    """k3 = 1 − 2Q(2^(m_acc−m_p+1)/√n)."""
    return 1 - 2 * gaussian_tail(2 ** (M_ACC - M_P + 1) / sp.sqrt(N))


class Weights(NamedTuple):
    """Weights of the cases that Theorem 1 averages over."""

    full: sp.Expr  #: of full swamping at addition :data:`STEP`
    partial: sp.Expr  #: of partial swamping that stops at stage :data:`STAGE`
    none: sp.Expr  #: of no swamping


def theorem_1_weights() -> Weights:
    """1{i > α} q_i, 1{n > α_j} q'_j, and k3."""
    return Weights(
        full=sp.Piecewise((full_swamping_weight(), alpha() < STEP), (0, True)),
        partial=sp.Piecewise((partial_swamping_weight(), alpha(STAGE) < N), (0, True)),
        none=no_swamping_weight(),
    )


def _total(full: sp.Expr, partial: sp.Expr, none: sp.Expr) -> sp.Expr:
    return sp.Sum(full, (STEP, 2, N - 1)) + sp.Sum(partial, (STAGE, 2, M_P)) + none


def normaliser(weights: Weights) -> sp.Expr:
    """k = k1 + k2 + k3, the sum of all weights."""
    return _total(*weights)


def numerator(weights: Weights) -> sp.Expr:
    """Σ (i−α) q_i + Σ (n−α_j) q'_j + n k3: the variance that is kept, weighted."""
    return _total(
        (STEP - alpha()) * weights.full, (N - alpha(STAGE)) * weights.partial, N * weights.none
    )


def lost_numerator(weights: Weights) -> sp.Expr:
    """Σ (n−i+α) q_i + Σ α_j q'_j: k n − numerator, with no term below zero."""
    return _total(
        (N - STEP + alpha()) * weights.full, alpha(STAGE) * weights.partial, sp.Integer(0)
    )


def lemma_1() -> sp.Expr:
    """VRR under full swamping alone: (Σ i q_i + n q̃_n)/(k n), k = Σ q_i + q̃_n.

    >>> lemma_1().free_symbols == {M_ACC, N}
    True
    """
    last = 1 - 2 * gaussian_tail(2**M_ACC / sp.sqrt(N))
    weight = full_swamping_weight()
    kept = sp.Sum(STEP * weight, (STEP, 2, N - 1)) + N * last
    return kept / ((sp.Sum(weight, (STEP, 2, N - 1)) + last) * N)


def theorem_1() -> sp.Expr:
    """VRR under full and partial swamping: numerator/(k n), for n ≥ 2.

    >>> mpmath.nstr(evaluate(theorem_1(), {M_ACC: 5, M_P: 5, N: 1024}), 9)
    '0.709001649'
    """
    weights = theorem_1_weights()
    return numerator(weights) / (normaliser(weights) * N)


def variance_lost() -> sp.Expr:
    """1 − VRR of Theorem 1 in the form that cancels nothing: lost numerator/(k n)."""
    weights = theorem_1_weights()
    return lost_numerator(weights) / (normaliser(weights) * N)


def chunked_corollary() -> sp.Expr:
    """VRR(m_acc, m_p, n1) · VRR(m_acc, min(m_acc, m_p + ⌊log2 n1⌋), n2).

    >>> chunked_corollary().free_symbols == {M_ACC, M_P, N_1, N_2}
    True
    """
    plain = theorem_1()
    grown = sp.Min(M_ACC, M_P + sp.floor(sp.log(N_1, 2)))
    return plain.subs(N, N_1) * plain.subs({N: N_2, M_P: grown}, simultaneous=True)


def normalised_variance_lost() -> sp.Expr:
    """v(n) = exp(n (1 − VRR)), below 50 where the paper accepts a width."""
    return sp.exp(N * variance_lost())


def _write_out(expression: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    """``expression`` with every Sum over ``variable`` replaced by its terms."""

    def terms(part: sp.Sum) -> sp.Expr:
        _, first, last = part.limits[0]
        return sp.Add(*(part.function.subs(variable, x) for x in range(first, last + 1)))

    return expression.replace(
        lambda part: isinstance(part, sp.Sum) and part.variables == [variable], terms
    )


def _sum(term: sp.Expr, limits: sp.Tuple, digits: int) -> sp.Float:
    """Σ of a numeric term, by mpmath: a compiled term costs a hundredth of a sympy one."""
    variable, first, last = limits
    value = sp.lambdify(variable, term, "mpmath")
    return sp.Float(mpmath.fsum(value(x) for x in range(first, last + 1)), digits)


def evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, int], digits: int = 50) -> mpmath.mpf:
    """``expression`` at integer values of its symbols, computed with ``digits`` digits.

    α is an exact rational number there, so that an indicator at its edge falls on the right side.
    The literal form of 1 − VRR needs as many more digits as it has leading zeros. Costs O(n).
    """
    exact = _write_out(_write_out(expression.subs(values), STAGE), EARLIER)
    with mpmath.workdps(digits + 10):
        number = exact.replace(sp.Sum, lambda term, limits: _sum(term, limits, digits + 10))
        return mpmath.mpmathify(number.evalf(digits))
