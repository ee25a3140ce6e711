"""From training runs to a verdict on the planned widths.

The criterion is the paper's (Sakr et al., ICLR 2019, figure 6): with the planned widths training
ends within half a percentage point of the baseline, and with fewer bits it degrades. Offsets are
compared with the baseline seed by seed: both start from the same weights and see the same batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from statistics import fmean, stdev

from pydantic import BaseModel
from scipy.stats import t as student

from models.probes.records import FROZEN, TrainingRun

LIMIT = 0.005  #: of accuracy, that planned widths may lose (half a percentage point)
_CONFIDENCE = 0.95


class Interval(BaseModel):
    """A mean over seeds, and half the width of its 95 % interval (Student's t)."""

    model_config = FROZEN

    mean: float
    half_width: float | None  #: None where one seed says nothing of the spread

    @property
    def low(self) -> float | None:
        """The lower end."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """The upper end."""
        return None if self.half_width is None else self.mean + self.half_width


class OffsetSummary(BaseModel):
    """All runs at one offset."""

    model_config = FROZEN

    offset: int | None  #: None is the baseline
    runs: int
    diverged: int  #: of the runs
    narrowest: int  #: accumulator mantissa bits, over the GEMMs
    widest: int
    accuracy: Interval
    difference: Interval | None  #: from the baseline of the same seed; None without any such pair
    final_loss: float | None
    test_images: int


class Kind(StrEnum):
    """What the runs say of the planned widths."""

    CONFIRMED = "confirmed"  #: they hold, and fewer bits lose accuracy
    CONSERVATIVE = "conservative"  #: they hold, and so does every narrower width that was tried
    NOT_CONFIRMED = "not confirmed"  #: they lose more than the limit


class Verdict(BaseModel):
    """The verdict, and a sentence that gives its numbers."""

    model_config = FROZEN

    kind: Kind
    sentence: str
    difference: float  #: mean accuracy at the planned widths, less the baseline's
    resolvable: float | None  #: the smallest difference in accuracy that these runs can tell
    resolved: bool  #: whether the whole interval lies on one side of the limit
    spare_bits: int  #: bits below the plan, of those tried in turn, that still hold


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of independent values.

    >>> interval([0.5]).half_width is None
    True
    """
    count = len(values)
    if count < 2:
        return Interval(mean=fmean(values), half_width=None)
    quantile = float(student.ppf(0.5 + _CONFIDENCE / 2, count - 1))
    return Interval(mean=fmean(values), half_width=quantile * stdev(values) / count**0.5)


def summarise(runs: Iterable[TrainingRun]) -> tuple[OffsetSummary, ...]:
    """One summary for each offset: the baseline first, then from the widest to the narrowest."""
    groups: dict[int | None, list[TrainingRun]] = {}
    for run in runs:
        groups.setdefault(run.offset, []).append(run)
    baseline = {run.seed: run.accuracy for run in groups.get(None, [])}
    order = sorted(groups, key=lambda offset: (offset is not None, -(offset or 0)))
    return tuple(_summary(offset, groups[offset], baseline) for offset in order)


def _summary(
    offset: int | None, runs: Sequence[TrainingRun], baseline: dict[int, float]
) -> OffsetSummary:
    pairs = [run.accuracy - baseline[run.seed] for run in runs if run.seed in baseline]
    losses = [run.final_loss for run in runs if run.final_loss is not None]
    return OffsetSummary(
        offset=offset,
        runs=len(runs),
        diverged=sum(run.diverged for run in runs),
        narrowest=min(min(run.widths) for run in runs),
        widest=max(max(run.widths) for run in runs),
        accuracy=interval([run.accuracy for run in runs]),
        difference=interval(pairs) if pairs else None,
        final_loss=fmean(losses) if losses else None,
        test_images=runs[0].test_images,
    )


def verdict(summaries: Sequence[OffsetSummary]) -> Verdict:
    """The paper's criterion, applied to the means over seeds.

    Raises:
        ValueError: there are no runs at offset 0, or no baseline of the same seeds.
    """
    by_offset = {summary.offset: summary for summary in summaries}
    planned = by_offset.get(0)
    if planned is None or planned.difference is None:
        raise ValueError("verdict: needs runs at offset 0, and baseline runs of the same seeds")
    narrower = [
        summary
        for summary in sorted(summaries, key=lambda one: -(one.offset or 0))
        if (summary.offset or 0) < 0 and summary.difference is not None
    ]
    failing = next((one for one in narrower if not _holds(one)), None)
    holding = narrower[: narrower.index(failing)] if failing else narrower
    spare = -(holding[-1].offset or 0) if holding and _holds(planned) else 0
    return Verdict(
        kind=_kind(planned, failing, narrower),
        sentence=" ".join(_sentences(planned, failing, narrower, spare)),
        difference=planned.difference.mean,
        resolvable=_resolvable(planned.difference, planned.test_images),
        resolved=_resolved(planned.difference),
        spare_bits=spare,
    )


def _holds(summary: OffsetSummary) -> bool:
    difference = summary.difference
    return summary.diverged == 0 and difference is not None and difference.mean >= -LIMIT


def _kind(
    planned: OffsetSummary, failing: OffsetSummary | None, narrower: Sequence[OffsetSummary]
) -> Kind:
    if not _holds(planned):
        return Kind.NOT_CONFIRMED
    return Kind.CONFIRMED if failing or not narrower else Kind.CONSERVATIVE


def _resolvable(difference: Interval, test_images: int) -> float | None:
    """Half the interval, but no less than one test image."""
    half = difference.half_width
    return None if half is None else max(half, 1.0 / test_images)


def _resolved(difference: Interval) -> bool:
    low, high = difference.low, difference.high
    return low is not None and high is not None and (low >= -LIMIT or high < -LIMIT)


def _sentences(
    planned: OffsetSummary,
    failing: OffsetSummary | None,
    narrower: Sequence[OffsetSummary],
    spare: int,
) -> Iterator[str]:
    within = "within" if _holds(planned) else "outside"
    yield f"{_capital(_ending(planned))}, {within} the limit of {_points(LIMIT)}."
    if _holds(planned):
        yield _margin(failing, narrower, spare)
    yield _resolution(planned)


def _margin(failing: OffsetSummary | None, narrower: Sequence[OffsetSummary], spare: int) -> str:
    """How far below the plan the loss shows."""
    if not narrower:
        return "Narrower widths were not tried."
    if failing is None:
        return (
            f"Even {_bits(spare)} fewer hold ({_widths(narrower[-1])}): the plan is on the safe"
            " side, and how far is open."
        )
    lead = f"{_bits(spare)} could be taken off before it shows" if spare else "None can be spared"
    return f"{lead}: {_ending(failing)}."


def _ending(summary: OffsetSummary) -> str:
    """Where training ends at an offset, against the baseline."""
    assert summary.difference is not None
    width = f"{_bits(-summary.offset)} below the plan" if summary.offset else "the planned widths"
    lost = -summary.difference.mean
    where = f"{_points(abs(lost))} {'below' if lost >= 0 else 'above'} the baseline"
    diverged = f", with {summary.diverged} of {summary.runs} runs diverged,"
    return (
        f"at {width} ({_widths(summary)}) training ends{diverged if summary.diverged else ''}"
        f" at {summary.accuracy.mean:.1%}, {where}"
    )


def _resolution(planned: OffsetSummary) -> str:
    assert planned.difference is not None
    smallest = _resolvable(planned.difference, planned.test_images)
    if smallest is None:
        return "One seed says nothing of the spread."
    return (
        f"{planned.runs} seeds on {planned.test_images} test images tell differences of about"
        f" {_points(smallest)} and more."
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _bits(count: int) -> str:
    return "1 bit" if count == 1 else f"{count} bits"


def _widths(summary: OffsetSummary) -> str:
    """The accumulators that a summary is of.

    A width does not fall below one bit, so that several offsets can mean the same.
    """
    low, high = summary.narrowest, summary.widest
    return f"m_acc {low}" if low == high else f"m_acc {low} to {high}"
