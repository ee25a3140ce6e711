"""The verdict in a few lines, every number of it computed from the records."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from models.probes.summary import Kind, Verdict
from models.results import SearchResult
from reports.savings import Comparison, Saving, Scope, Unit, comparisons, scoped
from reports.text import number, shown, span

#: baselines that the box at the top names: float32 everywhere, and the widest needed everywhere
_IN_BOX = 2


class Tone(Enum):
    """How the box looks; the words say the same."""

    GOOD = "good"
    OPEN = "open"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the plan saves against one baseline."""

    against: str
    savings: tuple[Saving, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """The box at the top of the page."""

    tone: Tone
    sentence: str
    claims: tuple[Claim, ...]
    training: str


def headline(result: SearchResult, verdict: Verdict | None, probe: str | None) -> Headline:
    """Widths, savings, and what training says; ``probe`` names a network trained instead."""
    return Headline(
        _tone(result, verdict),
        widths_sentence(result),
        tuple(_claim(comparison) for comparison in comparisons(result)[:_IN_BOX]),
        training_sentence(result, verdict, probe),
    )


def _tone(result: SearchResult, verdict: Verdict | None) -> Tone:
    if not result.baselines[-1].feasible:
        return Tone.BAD
    if verdict is not None and verdict.kind is Kind.NOT_CONFIRMED:
        return Tone.BAD
    return Tone.GOOD if verdict is not None and verdict.resolved else Tone.OPEN


def widths_sentence(result: SearchResult) -> str:
    """Range of the planned widths, and whether they pass the test that they were planned by."""
    plan = result.plan
    widths = [gemm.m_acc for gemm in plan.gemms]
    count = len(widths)
    chosen = next((point for point in result.front if point.chosen), None)
    mean = f" (mean over products: {number(chosen.m_acc_mean, 2)})" if chosen else ""
    test = f"v(n)\u00a0<\u00a0{number(plan.cutoff)}"
    passed = f"meet {test}" if result.baselines[-1].feasible else f"do not all meet {test}"
    return (
        f"Accumulators of {span(min(widths), max(widths))} mantissa bits{mean} {passed}"
        f" in {'the one GEMM' if count == 1 else f'all {count} GEMMs'}"
        f" of a training step of {shown(plan.network)}."
    )


def _claim(comparison: Comparison) -> Claim:
    names = (
        "area",
        "energy",
        "latency",
        scoped("area", Scope.ARRAY),
        scoped("energy", Scope.ARRAY),
    )
    return Claim(comparison.baseline.name, tuple(comparison.saving(name) for name in names))


def training_sentence(result: SearchResult, verdict: Verdict | None, probe: str | None) -> str:
    """The verdict of the training probe, and what it speaks of."""
    if verdict is None:
        return "No training probe was run to its end: the widths rest on theory alone."
    if probe is None:
        return verdict.sentence
    return (
        f"{verdict.sentence} {shown(probe)} was trained, with a plan of its own by the same"
        f" criterion: that validates the criterion, not the training of"
        f" {shown(result.plan.network)}."
    )


def saving_rows(found: Sequence[Comparison]) -> tuple[tuple[str, Unit, tuple[Saving, ...]], ...]:
    """The table of savings: one row per quantity, one saving per baseline."""
    if not found:
        return ()
    return tuple(
        (first.name, first.unit, tuple(comparison.savings[place] for comparison in found))
        for place, first in enumerate(found[0].savings)
    )
