"""How long a sum an accumulator stands, and the least accumulator of a sum, in closed form.

A criterion has a *knee*: the longest sum n*(m) that m bits may add up, its inverse m*(n), and the
sensitivity dm*/d ln n, bits for every factor e of length. All are sympy expressions in :data:`M`,
:data:`N` and the symbols below; they take m and n as real numbers. k is the number of levels, of
n^(1/k) terms each, the best split: k = 1 is the plain sum, k = 2 chunks of √n.

How the theorem's knee comes about. Sakr et al. (ICLR 2019, arXiv 1901.06588) average the variance
lost, α_j, over the stages j of partial swamping with weights N_{j−1} W(2^j z), where z =
2^(m_acc−m_p)/√n and W(y) = 2Q(y/2)(1 − 2Q(y)); see :mod:`analysis.retention`. Between the first and
the last stage α_j = 2^(m_acc−3m_p) 2·8^j/21 and N_{j−1} ∝ 2^j, so that with y = 2^j z, averaged
over the phase of log2 z,

    ln v(n) = E[α] = C n^(3/2) 4^−m_acc,    C = (2/21) ∫y³ W dy / ∫W dy,

in which m_p cancels: three quarters of a bit for every doubling of n, three eighths in chunks of
√n. For 3 ≤ m_acc ≤ min(16, 3m_p) and m_p = 3..11 it lies between 0.89 and 1.24 times the exact
knee (:func:`accepted_length`), which is a quarter of a bit. Above 3m_p the loss of the first stage
alone, α_2 = 2^(m_acc−3m_p+1), exceeds ln 50, and another bit may buy nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from analysis.noise_laws import HALF_ULP, NEAREST_NOISE, NoiseLaw
from analysis.retention import CUTOFF, MAX_LENGTH, check_cutoff, log_variance_lost

M, N = sp.symbols("m_acc n", positive=True)
LEVELS, CHUNK = sp.symbols("k n_1", positive=True)
LIMIT = sp.Symbol("v", positive=True)  #: cutoff on v(n), 50
BUDGET = sp.Symbol("B", positive=True)  #: most NMSE
SHARE, M_OP = sp.symbols("f m_op", positive=True)  #: of the operands' noise, and their bits
MEAN, LARGEST = sp.symbols("mu p_max", positive=True)  #: of the terms of a sum
LOST = sp.Symbol("beta", positive=True)  #: share of a sum that may be lost

#: C of ln v = C n^(3/2) 4^−m: ∫W dy = (√10 − √2)/√π, ∫y³ W dy = (118 + 225 arctan 2)/(10π)
THEOREM_CONSTANT = (118 + 225 * sp.atan(2)) / (105 * sp.sqrt(sp.pi) * (sp.sqrt(10) - sp.sqrt(2)))


@dataclass(frozen=True, slots=True)
class Knee:
    """The longest sum of a width and the least width of a sum, by one criterion."""

    name: str
    criterion: str
    source: str
    longest: sp.Expr  #: n*, in :data:`M`
    bits: sp.Expr  #: m*, in :data:`N`

    @property
    def sensitivity(self) -> sp.Expr:
        """dm*/d ln n.

        >>> theorem_knee().sensitivity
        3/(4*k*log(2))
        """
        return sp.simplify(N * sp.diff(self.bits, N))

    def in_chunks(self) -> "Knee":
        """The knee of the outer sum alone, of n/n_1 chunks of :data:`CHUNK` products.

        That of the whole where outer sums are the longer ones and a criterion looks at one stage at
        a time, as the theorem's does.
        """
        plain = {LEVELS: sp.Integer(1)}
        return Knee(
            f"{self.name}, chunks",
            f"{self.criterion}, in the sum of n/n_1 chunks",
            self.source,
            CHUNK * self.longest.subs(plain),
            self.bits.subs(plain).subs(N, N / CHUNK),
        )


def theorem_knee() -> Knee:
    """ln v = C n^(3/2) 4^−m < ln 50 at every level: n* = (2^(4m/3) (ln 50/C)^(2/3))^k.

    Limits of validity: the module's docstring.
    """
    per_level = sp.log(LIMIT) / THEOREM_CONSTANT
    return Knee(
        "theorem",
        "v(n) below its cutoff at every level, variance lost by partial swamping",
        "from Theorem 1 of Sakr et al., arXiv 1901.06588, between its first and last stage",
        (2 ** (4 * M / 3) * per_level ** sp.Rational(2, 3)) ** LEVELS,
        3 * sp.log(N, 2) / (4 * LEVELS) - sp.log(per_level, 2) / 2,
    )


def full_swamping_knee() -> Knee:
    """ln v = n² 4√(2/π) e^(−t²/2)/t⁵ with t = 2^m/√n: the tail of Lemma 1, by Lambert's W.

    From q_i ≈ 2Q(2^m/√i), which falls by e^(−t²/2n) a step from i = n downwards, with k = 1. n* is
    0.82 to 0.99 times that of Lemma 1 for m_acc = 5..16, nearer with every bit.
    """
    scale = 4 * sp.sqrt(2 / sp.pi) / sp.log(LIMIT)
    long = 9 * sp.LambertW((scale * 16**M) ** sp.Rational(2, 9) / 9)  # t², from m
    wide = 5 * sp.LambertW((scale * N**2) ** sp.Rational(2, 5) / 5)  # t², from n
    return Knee(
        "full swamping",
        "v(n) below its cutoff, variance lost by full swamping alone",
        "tail of Lemma 1 of Sakr et al., arXiv 1901.06588",
        4**M / long,
        sp.log(N * wide, 2) / 2,
    )


def _levels_scaled(law: NoiseLaw) -> tuple[sp.Expr, sp.Expr]:
    """a and b of NMSE 4^m = a x² + b x at k levels of x = n^(1/k) terms."""
    return law.drift * LEVELS * (3 * LEVELS + 1) / 12, law.noise * LEVELS


def _root(a: sp.Expr, b: sp.Expr, value: sp.Expr) -> sp.Expr:
    """x > 0 of a x² + b x = value, in the form that stands a = 0."""
    return 2 * value / (b + sp.sqrt(b**2 + 4 * a * value))


def noise_knee(law: NoiseLaw) -> Knee:
    """NMSE at most B, to first order, at k equal levels.

    NMSE 4^m = A k x + D k (3k + 1)/12 x², x = n^(1/k) (:mod:`analysis.noise_laws`).

    >>> from analysis.noise_laws import noise_law, Rounding
    >>> noise_knee(noise_law(Rounding.NEAREST_EVEN)).longest.subs(LEVELS, 1)
    64*4**m_acc*B*log(2)
    """
    a, b = _levels_scaled(law)
    x = N ** (1 / LEVELS)
    return Knee(
        "noise",
        "NMSE at most B, to first order",
        "analysis.noise_laws",
        _root(a, b, BUDGET * 4**M) ** LEVELS,
        sp.log((a * x**2 + b * x) / BUDGET, 2) / 2,
    )


def chunked_noise_knee(law: NoiseLaw) -> Knee:
    """NMSE at most B, to first order, in chunks of :data:`CHUNK` products, whatever n is.

    A (n_1 + x) + D (n_1²/3 + x²/3 + n_1 x/2) = B 4^m, x = n/n_1. Where B 4^m is below what one
    chunk makes, n* is below 0: no number of such chunks will do.
    """
    a, b = law.drift / 3, law.noise + law.drift * CHUNK / 2
    inner = law.noise * CHUNK + law.drift * CHUNK**2 / 3
    x = N / CHUNK
    return Knee(
        "noise, chunks",
        "NMSE at most B, to first order, in chunks of n_1",
        "analysis.noise_laws",
        CHUNK * _root(a, b, BUDGET * 4**M - inner),
        sp.log((a * x**2 + b * x + inner) / BUDGET, 2) / 2,
    )


def parity_knee(law: NoiseLaw) -> Knee:
    """NMSE of the sum at most the share f of the operands' own, 4c 4^−m_op (both to nearest).

    Rounded to nearest, c cancels: m* = m_op + ½ log2(k n^(1/k)/(4f)).
    """
    budget = {BUDGET: SHARE * 4 * NEAREST_NOISE * 4**-M_OP}
    knee = noise_knee(law)
    return Knee(
        "noise parity",
        "NMSE at most the share f of what rounding operands to m_op bits makes",
        "analysis.noise_laws",
        knee.longest.subs(budget),
        knee.bits.subs(budget),
    )


def stagnation_knee() -> Knee:
    """A sum rounded to nearest stands still at S = 2^(m+1+⌈log2 p_max⌉), reached after S/μ terms.

    Half its ulp is then no less than any term, and a tie goes to the even sum S. Terms are all of
    one sign or nearly; chunk sums of n_1 products are terms too, with n_1 times the mean.
    """
    binade = sp.ceiling(sp.log(LARGEST, 2))
    return Knee(
        "stagnation",
        "a sum of terms with a mean, rounded to nearest, does not stand still",
        "half an ulp no less than a term; Wang et al., NeurIPS 2018, Fig. 3, shows one",
        2 ** (M + 1 + binade) / MEAN,
        sp.log(N * MEAN, 2) - 1 - binade,
    )


def truncation_knee() -> Knee:
    """A sum rounded toward zero loses the share β: k levels lose κ 2^−m n^(1/k)/2 each.

    To first order: valid for β ≪ 1, with a mean of any size.
    """
    return Knee(
        "truncation",
        "a sum rounded toward zero loses at most its share beta",
        "analysis.noise_laws",
        (2 * LOST * 2**M / (HALF_ULP * LEVELS)) ** LEVELS,
        sp.log(HALF_ULP * LEVELS * N ** (1 / LEVELS) / (2 * LOST), 2),
    )


def accepted_length(m_acc: int, m_p: int, *, cutoff: float = CUTOFF) -> int:
    """The longest plain sum that Theorem 1 accepts: v(n) < cutoff, v(n + 1) not.

    By doubling and bisection; where v is not monotone (m_acc > 3m_p), one such n.

    >>> accepted_length(9, 5)
    10160

    Raises:
        ValueError: a number is out of its range, or all sums are accepted up to 2^40 products.
    """
    check_cutoff(cutoff)
    limit = float(sp.log(cutoff))
    return _last_true(lambda n: bool(log_variance_lost(m_acc, m_p, n) < limit))


def _last_true(accepted: Callable[[int], bool]) -> int:
    end = 2
    while accepted(end):
        if end == MAX_LENGTH:
            raise ValueError(f"accepted length: sums of {MAX_LENGTH} products are still accepted")
        end *= 2
    last = end // 2
    while end - last > 1:
        middle = (last + end) // 2
        last, end = (middle, end) if accepted(middle) else (last, middle)
    return last
