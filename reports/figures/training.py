"""Training with the plan's own arithmetic: loss over steps, and final accuracy by width."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from models.probes.records import TrainingRun
from models.probes.summary import LIMIT, OffsetSummary
from reports.figures.drawing import Drawing, View, in_view, new_figure
from reports.figures.gemm_evidence import offset_name
from reports.palette import CYCLE, GREY, translucent
from reports.text import span

#: steps over which a loss is averaged: batches differ more than widths do
WINDOW = 10
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Running mean of the loss over ``WINDOW`` steps, over the seeds that have come so far."""

    offset: int | None
    steps: tuple[int, ...]
    mean: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]


def loss_curves(runs: Sequence[TrainingRun], window: int = WINDOW) -> tuple[LossCurve, ...]:
    """One curve for each offset, the baseline first and then the widest."""
    smoothed: dict[int | None, list[tuple[float, ...]]] = {}
    for run in runs:
        smoothed.setdefault(run.offset, []).append(running_mean(run.losses, window))
    order = sorted(smoothed, key=lambda offset: (offset is not None, -(offset or 0)))
    return tuple(_curve(offset, smoothed[offset], window) for offset in order)


def running_mean(values: Sequence[float], window: int) -> tuple[float, ...]:
    """Means of ``window`` neighbours; of all, where there are fewer.

    >>> running_mean((1.0, 3.0, 5.0), 2), running_mean((1.0, 3.0), 5)
    ((2.0, 4.0), (2.0,))
    """
    size = min(window, len(values))
    starts = range(len(values) - size + 1 if size else 0)
    return tuple(sum(values[start : start + size]) / size for start in starts)


def _curve(offset: int | None, seeds: Sequence[tuple[float, ...]], window: int) -> LossCurve:
    longest = max(len(seed) for seed in seeds)
    columns = [[seed[i] for seed in seeds if i < len(seed)] for i in range(longest)]
    return LossCurve(
        offset,
        tuple(range(window, window + longest)),
        tuple(sum(column) / len(column) for column in columns),
        tuple(min(column) for column in columns),
        tuple(max(column) for column in columns),
    )


def loss_drawing(curves: Sequence[LossCurve]) -> Drawing:
    """Loss against training step, with the band over the seeds."""
    traces = [trace for place, curve in enumerate(curves) for trace in _lines(curve, place)]
    figure = new_figure(
        traces,
        440,
        xaxis={"title": {"text": "training step"}},
        yaxis={"title": {"text": "training loss (nats)"}, "type": "log", "dtick": "D2"},
    )
    return Drawing(
        "loss",
        "Training loss by accumulator width",
        f"Cross-entropy of the training batches, averaged over {WINDOW} steps: the line is the mean"
        " over seeds, the band reaches from the least to the largest.",
        figure,
    )


def _colour(offset: int | None, place: int) -> str:
    return GREY if offset is None else CYCLE[(place - 1) % len(CYCLE)]


def _lines(curve: LossCurve, place: int) -> tuple[go.Scatter, go.Scatter]:
    colour, name = _colour(curve.offset, place), offset_name(curve.offset)
    band = go.Scatter(
        x=(*curve.steps, *reversed(curve.steps)),
        y=(*curve.most, *reversed(curve.least)),
        fill="toself",
        fillcolor=translucent(colour, 0.18),
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    line = go.Scatter(
        x=curve.steps,
        y=curve.mean,
        mode="lines",
        name=name,
        legendgroup=name,
        line={"color": colour, "dash": _DASHES[place % len(_DASHES)], "width": 2},
        hovertemplate=f"{name}<br>step %{{x}}: %{{y:.3g}}<extra></extra>",
    )
    return band, line


def accuracy_drawing(summaries: Sequence[OffsetSummary], runs: Sequence[TrainingRun]) -> Drawing:
    """Final accuracy by width: every seed, and the mean with its interval."""
    places = {summary.offset: place for place, summary in enumerate(summaries)}
    figure = new_figure(
        [_limit(summaries), _seeds(runs, places), _means(summaries)],
        420,
        xaxis={
            "tickvals": list(places.values()),
            "ticktext": [_tick(summary) for summary in summaries],
            "range": [-0.5, len(summaries) - 0.5],
        },
        yaxis={"title": {"text": "accuracy on test images (%)"}},
        margin={"l": 70, "r": 20, "t": 20, "b": 72},
    )
    return Drawing(
        "accuracy",
        "Final accuracy by accumulator width",
        "Accuracy on the test images after training: one small point per seed, and the mean over"
        " seeds with its 95 % interval (Student's t); the line is what planned widths may lose.",
        in_view(figure, _all_or_close(summaries)[0]),
        _all_or_close(summaries),
    )


def floor_accuracy(summaries: Sequence[OffsetSummary]) -> float:
    """Mean accuracy of the baseline (of the best width without one), less what may be lost."""
    baseline = [summary.accuracy.mean for summary in summaries if summary.offset is None]
    return (baseline or [max(summary.accuracy.mean for summary in summaries)])[0] - LIMIT


def _all_or_close(summaries: Sequence[OffsetSummary]) -> tuple[View, ...]:
    least = 100.0 * floor_accuracy(summaries)
    shown = (True, True, True)
    return (
        View("All widths", shown, {"yaxis.range": [0.0, 102.0]}),
        View("Close to the baseline", shown, {"yaxis.range": [least - 3.0, least + 3.0]}),
    )


def _limit(summaries: Sequence[OffsetSummary]) -> go.Scatter:
    return go.Scatter(
        x=[-0.5, len(summaries) - 0.5],
        y=[100.0 * floor_accuracy(summaries)] * 2,
        mode="lines",
        name=f"baseline less {100.0 * LIMIT:.1f} points",
        line={"color": GREY, "dash": "dashdot", "width": 2},
        hoverinfo="skip",
    )


def _tick(summary: OffsetSummary) -> str:
    failed = f"<br>{summary.diverged} of {summary.runs} diverged" if summary.diverged else ""
    bits = span(summary.narrowest, summary.widest)
    return f"{offset_name(summary.offset)}<br>m_acc {bits}{failed}"


def _seeds(runs: Sequence[TrainingRun], places: dict[int | None, int]) -> go.Scatter:
    return go.Scatter(
        x=[places[run.offset] + 0.12 for run in runs],
        y=[100.0 * run.accuracy for run in runs],
        mode="markers",
        name="one seed",
        marker={
            "color": GREY,
            "size": 6,
            "symbol": ["x" if run.diverged else "circle" for run in runs],
        },
        customdata=[f"seed {run.seed}{', diverged' if run.diverged else ''}" for run in runs],
        hovertemplate="%{customdata}: %{y:.1f} %<extra></extra>",
    )


def _means(summaries: Sequence[OffsetSummary]) -> go.Scatter:
    halves = [summary.accuracy.half_width or 0.0 for summary in summaries]
    return go.Scatter(
        x=list(range(len(summaries))),
        y=[100.0 * summary.accuracy.mean for summary in summaries],
        error_y={"array": [100.0 * half for half in halves], "thickness": 2, "width": 8},
        mode="markers",
        name="mean and 95 % interval",
        marker={"color": CYCLE[0], "size": 10, "symbol": "diamond"},
        hovertemplate="mean %{y:.2f} % ± %{customdata:.2f}<extra></extra>",
        customdata=[100.0 * half for half in halves],
    )
