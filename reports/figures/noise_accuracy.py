"""Predicted against measured NMSE of computed sums: every point should lie on the diagonal."""

from collections.abc import Iterable
from dataclasses import dataclass

import plotly.graph_objects as go

from reports.figures.drawing import new_figure
from reports.palette import CYCLE, GREY

#: of the band about the diagonal
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """One accumulator, measured and predicted."""

    rounding: str
    label: str  #: what is summed, and how
    nmse: float
    nmse_error: float  #: its standard error
    predicted_nmse: float


@dataclass(frozen=True, slots=True)
class NoiseAccuracyData:
    """Points of each rounding, and the range of what was measured."""

    groups: tuple[tuple[str, tuple[Comparison, ...]], ...]
    least: float
    most: float


def noise_accuracy_data(points: Iterable[Comparison]) -> NoiseAccuracyData:
    """Points by rounding, in the order in which the roundings first appear.

    >>> noise_accuracy_data([Comparison("nearest", "a", 0.5, 0.01, 0.25)]).least
    0.5

    Raises:
        ValueError: no points, or an NMSE that is not positive.
    """
    groups: dict[str, list[Comparison]] = {}
    for one in points:
        if not min(one.nmse, one.predicted_nmse) > 0.0:
            raise ValueError(f"noise accuracy: NMSE must be positive, got {one}")
        groups.setdefault(one.rounding, []).append(one)
    if not groups:
        raise ValueError("noise accuracy: there must be at least one point, got none")
    kept = tuple((name, tuple(group)) for name, group in groups.items())
    measured = [one.nmse for _, group in kept for one in group]
    return NoiseAccuracyData(kept, min(measured), max(measured))


def noise_accuracy_figure(data: NoiseAccuracyData) -> go.Figure:
    """Both axes logarithmic; the band is the tolerance, error bars two standard errors."""
    points = [
        _points(name, group, CYCLE[i % len(CYCLE)]) for i, (name, group) in enumerate(data.groups)
    ]
    axis = {"type": "log", "dtick": 1, "exponentformat": "power"}
    return new_figure(
        [*_band(data), *points],
        height=640,
        xaxis={**axis, "title": {"text": "NMSE of emulated sums"}},
        yaxis={**axis, "title": {"text": "predicted NMSE"}},
    )


def _band(data: NoiseAccuracyData) -> list[go.Scatter]:
    ends = [data.least, data.most]
    line = {"color": GREY, "width": 1}
    edges = [
        go.Scatter(
            x=ends, y=[factor * x for x in ends], mode="lines", line=line, hoverinfo="skip",
            fill=None if i == 0 else "tonexty", showlegend=False,
        )
        for i, factor in enumerate((1.0 - TOLERANCE, 1.0 + TOLERANCE))
    ]  # fmt: skip
    edges[-1].update(name=f"±{TOLERANCE:.0%}", showlegend=True)
    return edges


def _points(name: str, group: tuple[Comparison, ...], colour: str) -> go.Scatter:
    return go.Scatter(
        x=[one.nmse for one in group],
        y=[one.predicted_nmse for one in group],
        error_x={"array": [2.0 * one.nmse_error for one in group], "thickness": 1, "width": 0},
        mode="markers",
        name=name,
        marker={"color": colour, "size": 4, "opacity": 0.7},
        customdata=[one.label for one in group],
        hovertemplate="%{customdata}<br>measured %{x:.3g}, predicted %{y:.3g}<extra></extra>",
    )
