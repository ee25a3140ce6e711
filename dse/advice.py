"""What may be done about a sum: cuts, remedies, exponent range and bounds, as rows of tables."""

from collections.abc import Iterator
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict

from analysis.bounds import bounds
from analysis.chunking import (
    ByNoiseLaw,
    ByPrediction,
    ByTheorem,
    ChunkAdvice,
    Cut,
    Requirement,
    chunk_curve,
    level_curve,
)
from analysis.corrections import SumCase, remedies
from analysis.distributions import Products
from analysis.formats import FloatFormat, float_format
from analysis.noise_laws import noise_law
from analysis.overflow import RangeLimits, centring_scale, overflow_probability, underflow
from analysis.requirement import Sought, Summed
from dse.bits import CriterionName, Question, single
from dse.products import product_bits
from dse.sum_grid import Sum

_ROW = ConfigDict(frozen=True)
#: exponent bits that are worth a row
_EXPONENT_BITS = range(3, 9)


class CutRow(BaseModel):
    """A sum cut into levels, and the width that every level needs."""

    model_config = _ROW

    levels: int
    lengths: str  #: terms of each level, innermost first
    bits: float  #: least mantissa bits, a real number
    whole_bits: int
    best: bool  #: of its kind: chunks, or levels


def cut_rows(n: int, question: Question) -> tuple[list[CutRow], list[CutRow]]:
    """Least bits by chunk, and by the number of equal levels.

    Raises:
        ValueError: n below 2, or a criterion that is several.
    """
    advice = chunk_curve(n, _requirement(n, question))
    levels = level_curve(n, _level_requirement(n, question))
    fewest = min(levels, key=lambda cut: cut.bits)
    return (
        [_cut_row(cut, cut is advice.best) for cut in _thinned(advice)],
        [_cut_row(cut, cut is fewest) for cut in levels],
    )


def _thinned(advice: ChunkAdvice) -> Iterator[Cut]:
    """Powers of two, the best and the plain sum."""
    for cut in advice.curve:
        if cut.chunk.bit_count() == 1 or cut in (advice.best, advice.plain):
            yield cut


def _cut_row(cut: Cut, best: bool) -> CutRow:
    return CutRow(
        levels=len(cut.lengths),
        lengths=" × ".join(f"{length:,}" for length in cut.lengths),
        bits=cut.bits,
        whole_bits=cut.whole_bits,
        best=best,
    )


def _requirement(n: int, question: Question) -> Requirement:
    """What the chunks must fulfil; predicted where noise is limited."""
    if question.criterion is CriterionName.ALL:
        raise ValueError("criterion must be one: theorem, nmse or parity, got all")
    if question.criterion is CriterionName.THEOREM:
        return ByTheorem(question.product_bits, question.cutoff)
    summed = Summed(question.summed(single(n)).products, n)
    accumulator = Sought(n, question.product_bits, rounding=question.rounding).accumulator(1)
    return ByPrediction(accumulator, summed.products, question.noise_criterion.allowed(summed))


def _level_requirement(n: int, question: Question) -> Requirement:
    """The same for any number of levels: noise to first order."""
    chosen = _requirement(n, question)
    if isinstance(chosen, ByPrediction):
        return ByNoiseLaw(noise_law(question.rounding), chosen.budget)
    return chosen


class RemedyRow(BaseModel):
    """What a remedy makes of a sum, and its price."""

    model_config = _ROW

    remedy: str
    nmse: float
    bias: float
    retention: float
    additions_per_product: float  #: beyond those of the sum as it is
    why: str


def remedy_rows(one: Sum) -> list[RemedyRow]:
    """Every remedy, the least NMSE first.

    Raises:
        ValueError: the sum is not sequential and of floating point, with exact products of
            floating-point operands.
    """
    m_p = product_bits(one.products)
    found = remedies(SumCase(one.accumulator, one.products, one.fields.n, m_p))
    return [
        RemedyRow(
            remedy=row.remedy, **asdict(row.error), additions_per_product=row.additions, why=row.why
        )
        for row in found
    ]


class RangeRow(BaseModel):
    """What an exponent range loses, at the scale that centres products and sums in it."""

    model_config = _ROW

    e_acc: int
    log2_scale: int
    overflow: float  #: probability that some partial sum overflows
    underflow: float  #: share of the products below the least value
    lost_power: float  #: their share of Σp²
    enough: bool


def range_rows(
    m_acc: int, products: Products, n: int, limits: RangeLimits, log2_scale: int | None
) -> list[RangeRow]:
    """Exponent range by range.

    Raises:
        ValueError: n below 1, or products that are all equal.
    """
    forms = (float_format(e_acc, m_acc) for e_acc in _EXPONENT_BITS)
    return [_range_row(form, products, n, limits, log2_scale) for form in forms]


def _range_row(
    form: FloatFormat, products: Products, n: int, limits: RangeLimits, given: int | None
) -> RangeRow:
    scale = centring_scale(form, products, n, limits) if given is None else given
    over = overflow_probability(form, products, n, scale)
    under = underflow(form, products, n, scale)
    return RangeRow(
        e_acc=form.exponent_bits,
        log2_scale=scale,
        overflow=over,
        underflow=under.product_share,
        lost_power=under.lost_power,
        enough=over <= limits.overflow and under.product_share <= limits.underflow,
    )


class BoundRow(BaseModel):
    """|computed − exact| ≤ relative · Σ|p| + absolute, but for a probability ``failure``."""

    model_config = _ROW

    bound: str
    relative: float
    absolute: float
    failure: float
    source: str


def bound_rows(one: Sum, failure: float) -> list[BoundRow]:
    """All bounds that apply to a sum.

    Raises:
        ValueError: a probability outside 0..1.
    """
    return [
        BoundRow(
            bound=row.name,
            relative=float(row.relative),
            absolute=float(row.absolute),
            failure=row.failure,
            source=row.source,
        )
        for row in bounds(one.accumulator, one.fields.n, failure=failure)
    ]
