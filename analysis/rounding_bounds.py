"""Bounds on the error of rounded sums: the formulas, without an accumulator.

u is the unit roundoff, half an ulp of 1 to nearest and a whole one otherwise; γ_n = n u/(1 − n u).
A product passes through several roundings on its way to the result, its :data:`Path`: one factor
1 + δ each, |δ| ≤ u. If every product's factors multiply to 1 + θ with |θ| ≤ B, the error of the sum
is at most B Σ|p|. Nothing here counts overflow or underflow; :mod:`analysis.bounds` does.

**Why a probable bound grows with √n.** Let the δ_k have the bounds u_k and be mean independent,
E[δ_k | δ_1 … δ_(k−1)] = 0. By the inequality of Azuma and Hoeffding |Σδ_k| ≤ λ √(Σu_k²) with
probability at least 1 − 2 exp(−λ²/2), and |ln(1 + δ) − δ| ≤ u²/(1 − u), so

    |θ| ≤ exp(λ √(Σu_k²) + Σu_k²/(1 − u)) − 1.

For equal u_k it has the value of γ̃_n(λ) of Higham and Mary (SIAM J. Sci. Comput. 41(5), A2815,
2019), who take the δ_k to be independent, and is below that of Connolly, Higham and Mary (SIAM J.
Sci. Comput. 43(1), A566, 2021), who need mean independence only. Stochastic rounding has it; of
rounding to nearest it is a model, which fails where sums stagnate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from analysis.formats import FloatFormat, Fused, Rounding

_NEAREST = (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY)
#: beyond it exp leaves float64
_MAX_EXPONENT = 700.0


@dataclass(frozen=True, slots=True)
class Roundings:
    """Roundings of one kind on a product's way to the result."""

    count: int
    unit: Fraction  #: unit roundoff u
    bias: Fraction = Fraction(0)  #: bound on |E[δ | those before]|, for rounding by chance


#: all roundings of a product
Path = Sequence[Roundings]


def loss(rounding: Rounding) -> Fraction:
    """The largest error of a rounding, in steps of the grid.

    >>> loss(Rounding.TOWARD_ZERO)
    Fraction(1, 1)
    """
    return Fraction(1, 2) if rounding in _NEAREST else Fraction(1)


def unit_roundoff(mantissa_bits: int, rounding: Rounding) -> Fraction:
    """u = 2^−(m+1) to nearest, and 2^−m otherwise, stochastic rounding included.

    Higham (2002), section 2.1; for stochastic rounding, Connolly, Higham and Mary (2021).

    >>> unit_roundoff(10, Rounding.NEAREST_EVEN)
    Fraction(1, 2048)
    """
    return loss(rounding) / Fraction(2) ** mantissa_bits


def gamma(n: int, u: Fraction) -> Fraction:
    """γ_n = n u/(1 − n u): |Π(1 + δ_k)^±1 − 1| ≤ γ_n for n roundings, whatever they are.

    Higham, "Accuracy and Stability of Numerical Algorithms" (2002), Lemma 3.1.

    >>> gamma(4, Fraction(1, 2048))
    Fraction(1, 511)

    Raises:
        ValueError: n u is not below 1.
    """
    if not 0 <= n * u < 1:
        raise ValueError(f"gamma: n u must be in 0..1, below 1, got n = {n}, u = {u}")
    return n * u / (1 - n * u)


def compose(*relative: Fraction) -> Fraction:
    """Π(1 + B_i) − 1: one bounded error after the other.

    >>> compose(Fraction(1, 2), Fraction(1, 2))
    Fraction(5, 4)
    """
    return math.prod((1 + one for one in relative), start=Fraction(1)) - 1


def worst(path: Path) -> Fraction:
    """γ of every kind of roundings on the path, composed.

    Blocks of b in fast arithmetic and their sum in an accurate one, FABsum, err by b u + O(u²),
    whatever n is (Blanchard, Higham and Mary, SIAM J. Sci. Comput. 42(3), A1541, 2020).

    Raises:
        ValueError: of a kind, n u is not below 1.
    """
    return compose(*(gamma(one.count, one.unit) for one in path))


def worst_to_nearest(path: Path) -> Fraction:
    """n u for n additions one after the other, rounded to nearest, without a limit on n; composed.

    Jeannerod and Rump (SIAM J. Matrix Anal. Appl. 34(2), 2013). An addition s + p errs by at most
    u |s + p| and, since s itself is a candidate, by at most |p|; by induction that makes n u Σ|p|.
    The proof needs s on the grid, not p, so exact products are covered.

    >>> worst_to_nearest([Roundings(4096, Fraction(1, 16))])
    Fraction(256, 1)
    """
    return compose(*(one.count * one.unit for one in path))


def probable(path: Path, deviations: float) -> float:
    """The module's bound with λ = ``deviations``: holds with 1 − 2 exp(−λ²/2) for each product.

    Where E[δ] ≠ 0, 1 + δ = (1 + β)(1 + α) with |β| ≤ v, the bias, and |α| ≤ u/(1 − v): the β
    compose as in the worst case, to n v at first order, and the α by chance. That is the bound of
    El Arar, Fasi, Filip and Mikaitis (SIAM J. Sci. Comput. 47(5), B1227, 2025) for r random bits,
    O(√n u_p) + O(n u_(p+r)).

    Raises:
        ValueError: a unit roundoff of 1 or more, or a bound beyond float64.
    """
    squares, largest = Fraction(0), Fraction(0)
    for one in path:
        unit = one.unit / (1 - one.bias)
        squares, largest = squares + one.count * unit**2, max(largest, unit)
    if largest >= 1:
        raise ValueError(f"probable: unit roundoffs must be below 1, got {largest}")
    exponent = deviations * math.sqrt(squares) + float(squares / (1 - largest))
    drift = compose(*(gamma(one.count, one.bias) for one in path))
    if exponent > _MAX_EXPONENT:
        raise ValueError(f"probable: the bound must lie within float64, got exp({exponent:g})")
    return math.expm1(exponent + math.log1p(drift))


def check_failure(failure: float) -> None:
    """Raise ValueError where ``failure`` is no probability between 0 and 1."""
    if not 0.0 < failure < 1.0:
        raise ValueError(f"bounds: failure must lie between 0 and 1, got {failure}")


def deviations(failure: float, events: int) -> float:
    """λ with events · 2 exp(−λ²/2) = failure: that many inequalities then hold at once.

    Raises:
        ValueError: a probability outside 0..1, its ends excluded.
    """
    check_failure(failure)
    return math.sqrt(2.0 * math.log(2.0 * events / failure))


def advised_random_bits(n: int) -> int:
    """r = ⌈(log2 n)/2⌉: random bits with which the bias n u 2^−r is no more than √n u.

    El Arar, Fasi, Filip and Mikaitis (2025).

    >>> [advised_random_bits(n) for n in (1, 4, 5, 4096)]
    [0, 1, 2, 6]

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"random bits: n must be at least 1, got {n}")
    return -(-(n - 1).bit_length() // 2)


def best_block(n: int, inner: Fraction, outer: Fraction) -> int:
    """The block b with the least b u_inner + (⌈n/b⌉ − 1) u_outer: about √(n u_outer/u_inner).

    Of equal ones the smallest. Higham (2002), section 4.2; with a more accurate outer sum,
    Blanchard, Higham and Mary (SIAM J. Sci. Comput. 42(3), A1541, 2020).

    >>> best_block(4096, Fraction(1, 2048), Fraction(1, 2048))
    64

    Raises:
        ValueError: n below 1, or a unit roundoff that is not positive.
    """
    if n < 1 or min(inner, outer) <= 0:
        raise ValueError(f"best block: n and u must be positive, got {n}, {inner}, {outer}")
    blocks = math.sqrt(n * inner / outer)
    reach = math.ceil(math.sqrt(blocks**3 / n)) + 2  # so far ⌈·⌉ can outdo a worse quotient
    first, last = math.floor(blocks) - reach, math.ceil(blocks) + reach
    sizes = {-(-n // min(max(count, 1), n)) for count in range(first, last + 1)}
    return min(sizes, key=lambda b: (b * inner + (-(-n // b) - 1) * outer, b))


def mean_bound(
    n: int, unit: Fraction, deviations: float, *, mean: float, reach: float, bias: float = 0.0
) -> float:
    """Absolute bound for random products with |p − mean| ≤ reach, added one after the other.

    The error obeys e_k = e_(k−1) + δ_k (e_(k−1) + s_k). With probability 1 − 4n exp(−λ²/2) the
    exact sums are below S_k = k |mean| + λ reach √k (Hoeffding) and the errors below the E of

        E = λ u √(Σ(E + S_k)²) + v Σ(E + S_k)  ⇒  E ≤ (λ u √ΣS_k² + v ΣS_k)/(1 − λ u √n − n v)

    (Azuma; v is the bias of roundings by chance). About λ u (|mean| n^1.5/√3 + λ reach n/√2): Σ|p|
    grows with n too, so where the mean is zero the relative error does not grow. The law is that
    of Higham and Mary (SIAM J. Sci. Comput. 42(5), A3427, 2020); the constants are ours.

    Raises:
        ValueError: λ u √n + n v is not below 1.
    """
    random = deviations * float(unit)
    room = 1.0 - random * math.sqrt(n) - n * bias
    if room <= 0.0:
        raise ValueError(f"mean bound: λ u √n + n v must be below 1, got {1.0 - room:g}")
    drift, spread = abs(mean), deviations * reach
    norm = drift * math.sqrt(n * (n + 1) * (2 * n + 1) / 6.0) + spread * math.sqrt(
        n * (n + 1) / 2.0
    )
    total = drift * n * (n + 1) / 2.0 + spread * math.sqrt((n + 1.0) ** 3) / 1.5
    return (random * norm + bias * total) / room


def alignment_bound(order: Fused) -> Fraction:
    """What alignment may cost one fused step, in units of 2^E: (terms + 1) 2^−f.

    E is the largest exponent of the products and the running sum. Each term loses less than
    2^(E−f) in a cut and at most half of it to nearest. A sum outside the alignment is cut, with the
    products' sum, by bits of its own.

    >>> alignment_bound(Fused(terms=32, kept_bits=13))
    Fraction(33, 8192)
    """
    apart = order.outside
    cut = loss(order.alignment)
    if apart is None:
        return (order.terms + 1) * cut / Fraction(2) ** order.kept_bits
    late = loss(apart.alignment)
    ends = [Fraction(1, 2**bits) for bits in (apart.terms_bits, apart.sum_bits) if bits is not None]
    return order.terms * cut / Fraction(2) ** order.kept_bits + late * sum(ends, Fraction(0))


def fused_step_bound(
    order: Fused, form: FloatFormat, rounding: Rounding, top: int, result: int
) -> Fraction:
    """|error of one fused step| ≤ (terms + 1) 2^(E−f) + 2^(e−F): alignment, then rounding.

    E = ``top`` is the largest exponent among products and running sum, e = ``result`` that of the
    aligned sum, F the mantissa bits of the result; half of the last term to nearest. Follows from
    the definition of the step (Khattak and Mikaitis, arXiv 2512.07004; MMA-Sim, arXiv 2511.10909).

    >>> from analysis.formats import float_format
    >>> fused_step_bound(Fused(4, 23), float_format(8, 23), Rounding.TOWARD_ZERO, 0, 2)
    Fraction(9, 8388608)
    """
    ulp = Fraction(2) ** (max(result, form.emin) - form.mantissa_bits)
    return alignment_bound(order) * Fraction(2) ** top + ulp * loss(rounding)


def fused_bound(steps: int, order: Fused, unit: Fraction) -> Fraction:
    """γ_steps(g), g = (1 + q)(1 + u) − 1, with q = :func:`alignment_bound`; relative to Σ|p|.

    2^E is at most the largest of the terms' magnitudes, so a step takes the error e_t of the sum to
    |e_t| ≤ |e_(t−1)| + g (Σ|p| + |e_(t−1)|), and steps compose. It grows with n, not √n: cuts have
    a mean. Operands must be normal numbers where ``order.least_exponents`` states a floor, because
    a subnormal one then counts with a larger exponent than its own.

    Raises:
        ValueError: steps · g is not below 1.
    """
    return gamma(steps, compose(alignment_bound(order), unit))
