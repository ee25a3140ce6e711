"""What each remedy for a rounded sum is worth: its NMSE, bias and retention, and its additions.

A linear rescale by a: with V the exact sum's variance, R = Var s/V, b the bias and M the exact
mean, both in √V, the sum s and the exact one d have Cov(s, d)/V = (R + 1 − (NMSE − b²))/2 =: κ, and

    NMSE(a) = a² R − 2aκ + 1 + (a (M + b) − M)²,    least at a = (κ + (M + b) M)/(R + (M + b)²).

1/√VRR, as published networks have been rescaled by, restores the variance of a sum that lost it;
the noise that came in its place is scaled up too, and a sum that lost none is made worse.

Kahan's compensated sum (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. 2002,
section 4.3) feeds the rounding error c of one addition into the next:

    y = p − c,    t = s + y,    c = (t − s) − y,    s = t.

Of its additions only that of y and the last s leave an error. Rounded to nearest, each has the mean
square ε = 2c 4^−m of its result's (:mod:`analysis.noise_laws`; there c = 1/(64 ln 2)), and y has
that of a product and of the last error of s, so that, with ρ a product's mean over its deviation
and G = Σ_i E[s_i²]/(nσ²) = n/2 + n²ρ²/3,

    NMSE = ε [(1 + nρ²) + (1 + ρ²) + εG],

of which only the last term grows with n where products have no mean. A sum of two terms, s and
what s leaves over (Joldes, Muller and Popescu, ACM TOMS 44(2), 2017: Two-Sum, an addition and
Fast-Two-Sum, ten in all), keeps nearly all of a product; its s alone errs by

    NMSE = ε [(1 + nρ²) + 2εG].

Both are checked by emulation; with a mean only as a whole, of which the term in G is a small part
then. Products on a grid of m bits or fewer make Kahan's y more exact and the error less. Neumaier's
variant keeps the corrections in a sum of their own: where m is so small that s swamps its products,
that sum swamps in turn, and the gain is lost (tests/analysis/test_corrections.py).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from analysis.distributions import Products
from analysis.formats import Accumulator, FloatFormat, Rounding, Sequential
from analysis.noise import SumError, predict, predict_each
from analysis.noise_laws import NEAREST_NOISE
from analysis.retention import variance_retention

#: additions beyond the plain sum's one
_KAHAN_MORE, _TWO_TERMS_MORE = 3.0, 9.0
#: deviations of a sum that its format should hold
_REACH = 8.0


class Remedy(StrEnum):
    """What may be done about a sum's error."""

    NONE = "none"
    ONE_MORE_BIT = "one more bit"
    RESCALED_AS_PUBLISHED = "rescaled by 1/√VRR"
    RESCALED = "rescaled by the best factor"
    CHUNKED = "best chunk"
    COMPENSATED = "compensated sum (Kahan)"
    TWO_TERMS = "sum of two terms"
    STOCHASTIC = "stochastic rounding"
    LOSS_SCALED = "loss scale"


@dataclass(frozen=True, slots=True)
class Remedied:
    """A sum's error after a remedy."""

    remedy: Remedy
    error: SumError
    additions: float  #: per product, beyond those of the sum as it is
    why: str


@dataclass(frozen=True, slots=True)
class SumCase:
    """Sums of ``n`` exact products by one accumulator, of floating point and sequential.

    Raises:
        ValueError: the accumulator is of another kind.
    """

    accumulator: Accumulator
    products: Products
    n: int
    m_p: int  #: mantissa bits of a product, as the theorem counts them

    def __post_init__(self) -> None:
        if self.accumulator.product is not None:
            raise ValueError(f"remedies: products must be exact, got {self.accumulator.product}")
        outer = self.accumulator.outer_accumulator
        for form in (self.accumulator.format, outer.format):
            if not isinstance(form, FloatFormat):
                raise ValueError(
                    f"remedies: accumulators must be of floating point, got {form.name}"
                )
        if not isinstance(self.accumulator.order, Sequential):
            kind = type(self.accumulator.order).__name__
            raise ValueError(f"remedies: sums must be sequential, got {kind}")

    @property
    def form(self) -> FloatFormat:
        """Format of the (inner) sums."""
        assert isinstance(self.accumulator.format, FloatFormat)
        return self.accumulator.format

    @property
    def mean_ratio(self) -> float:
        """ρ = E[p]/√Var p of the products before rounding."""
        mean = self.products.mean
        return mean / math.sqrt(self.products.mean_square - mean**2)

    @property
    def chunk_additions(self) -> float:
        """Additions of chunk sums per product."""
        chunk = self.accumulator.chunk
        return 0.0 if chunk is None or chunk >= self.n else 1.0 / chunk

    def theorem_retention(self) -> float:
        """VRR of Theorem 1, or of its chunked corollary with the outer sum's own width."""
        m_acc, chunk = self.form.mantissa_bits, min(self.accumulator.chunk or self.n, self.n)
        inner = float(variance_retention(m_acc, self.m_p, chunk))
        if chunk == self.n:
            return inner
        form = self.accumulator.outer_accumulator.format
        assert isinstance(form, FloatFormat)
        grown = min(form.mantissa_bits, self.m_p + chunk.bit_length() - 1)
        return inner * float(variance_retention(form.mantissa_bits, grown, -(-self.n // chunk)))


def remedies(case: SumCase) -> tuple[Remedied, ...]:
    """Every remedy for a sum, the least NMSE first.

    All but the rescales and :func:`compensated` are predictions of :func:`analysis.noise.predict`.

    Raises:
        ValueError: as :func:`analysis.noise.predict`.
    """
    base = predict(case.accumulator, case.products, case.n)
    found = (
        Remedied(Remedy.NONE, base, 0.0, "the sum as it is"),
        _one_more_bit(case),
        *_rescaled(case, base),
        *_chunked(case),
        *compensated(case),
        *_by_chance(case),
        Remedied(Remedy.LOSS_SCALED, base, 0.0, _range_advice(case)),
    )
    return tuple(sorted(found, key=lambda one: one.error.nmse))


def _joint(error: SumError) -> float:
    """κ = Cov(s, d)/V."""
    return (error.retention + 1.0 - (error.nmse - error.bias**2)) / 2.0


def rescaled(error: SumError, mean: float, factor: float) -> SumError:
    """``error`` of a sum that is multiplied by ``factor``; ``mean`` of the exact sum in its √Var.

    >>> rescaled(SumError(retention=0.25, nmse=0.25, bias=0.0), 0.0, 2.0)
    SumError(retention=1.0, nmse=0.0, bias=0.0)
    """
    bias = factor * (mean + error.bias) - mean
    retention = factor**2 * error.retention
    return SumError(retention, retention - 2.0 * factor * _joint(error) + 1.0 + bias**2, bias)


def best_factor(error: SumError, mean: float) -> float:
    """The factor after which a sum's NMSE is least."""
    shifted = mean + error.bias
    return (_joint(error) + shifted * mean) / (error.retention + shifted**2)


def _rescaled(case: SumCase, base: SumError) -> Iterator[Remedied]:
    mean = case.mean_ratio * math.sqrt(case.n)
    published, best = case.theorem_retention() ** -0.5, best_factor(base, mean)
    why = f"a factor of {published:.4g} restores the variance that the theorem says is lost"
    yield Remedied(Remedy.RESCALED_AS_PUBLISHED, rescaled(base, mean, published), 0.0, why)
    why = f"a factor of {best:.4g} undoes the shrinkage, not the noise"
    yield Remedied(Remedy.RESCALED, rescaled(base, mean, best), 0.0, why)


def _one_more_bit(case: SumCase) -> Remedied:
    wide, outer = (
        case.accumulator.with_mantissa(case.form.mantissa_bits + 1),
        case.accumulator.outer,
    )
    if outer is not None:
        assert isinstance(outer.format, FloatFormat)
        wide = replace(wide, outer=outer.with_mantissa(outer.format.mantissa_bits + 1))
    error = predict(wide, case.products, case.n)
    return Remedied(Remedy.ONE_MORE_BIT, error, 0.0, "a quarter of the NMSE, to first order")


def _chunked(case: SumCase) -> Iterator[Remedied]:
    """The best of chunks of powers of two; none below 4 products."""
    chunks = [2**level for level in range(1, (case.n - 1).bit_length())]
    cuts = [replace(case.accumulator, chunk=chunk) for chunk in chunks]
    errors = predict_each(cuts, case.products, case.n)
    if chunks:
        error, chunk = min(zip(errors, chunks, strict=True), key=lambda found: found[0].nmse)
        why = f"chunks of {chunk}: roundings add up along {chunk} + {-(-case.n // chunk)} terms"
        yield Remedied(Remedy.CHUNKED, error, 1.0 / chunk - case.chunk_additions, why)


def compensated(case: SumCase) -> tuple[Remedied, Remedied]:
    """Kahan's sum and that of two terms, plain, in the inner format, rounded to nearest.

    To first order in εG, and valid while that is well below 1; the module's docstring has the
    equations. Retention is that of noise that does not depend on the sum.
    """
    one = 2.0 * float(NEAREST_NOISE) * 4.0**-case.form.mantissa_bits
    ratio = case.mean_ratio**2
    end = 1.0 + case.n * ratio
    again = one * (case.n / 2.0 + case.n**2 * ratio / 3.0)
    rows = (
        (Remedy.COMPENSATED, end + (1.0 + ratio) + again, _KAHAN_MORE, "fed into the next product"),
        (Remedy.TWO_TERMS, end + 2.0 * again, _TWO_TERMS_MORE, "kept in a second word"),
    )
    kahan, two_terms = (
        Remedied(
            remedy,
            SumError(1.0 + one * factor, one * factor, 0.0),
            additions - case.chunk_additions,
            f"errors are {why}; needs an adder that rounds to nearest",
        )
        for remedy, factor, additions, why in rows
    )
    return kahan, two_terms


def _by_chance(case: SumCase) -> Iterator[Remedied]:
    """Ideal stochastic rounding, where there is none; an outer accumulator stays as it is."""
    changed = replace(case.accumulator, rounding=Rounding.STOCHASTIC, random_bits=None)
    if changed != case.accumulator:
        error = predict(changed, case.products, case.n)
        why = "no bias and no stagnation, for twice the noise of rounding to nearest"
        yield Remedied(Remedy.STOCHASTIC, error, 0.0, why)


def _range_advice(case: SumCase) -> str:
    """A power of two changes no rounding; it moves sums and typical products into range."""
    sd = math.sqrt(case.products.mean_square - case.products.mean**2)
    reach = case.n * abs(case.products.mean) + _REACH * math.sqrt(case.n) * sd
    over = math.ceil(math.log2(reach)) - case.form.emax
    lowest = math.floor(math.log2(sd)) - min(case.m_p, case.form.mantissa_bits)
    under = case.form.emin - case.form.mantissa_bits - lowest
    if over > 0:
        return f"sums reach 2^{math.log2(reach):.1f}: scale products by 2^-{over}, or they overflow"
    if under > 0:
        return f"products lose low bits to subnormals: scale them by 2^{min(under, -over)}"
    return f"changes no rounding, and sums have 2^{-over} to spare below overflow"
