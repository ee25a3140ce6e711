"""Curves and points in panels side by side: the figures of the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import plotly.graph_objects as go

from reports.figures.drawing import new_figure
from reports.palette import CYCLE

#: of the width, between panels
_GAP = 0.12
#: of points, by colour: open ones leave others visible that they cover
_SYMBOLS = ("circle", "diamond-open", "square-open", "cross-thin-open")


class Mark(Enum):
    """How a series is drawn."""

    CURVE = "solid"
    DASHED = "dash"
    DOTTED = "dot"
    POINTS = "markers"


class Scale(Enum):
    """How an axis counts."""

    LINEAR = "linear"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Series:
    """Places of equal number in x and y, in the colour of that number of the palette."""

    name: str  #: series of one name, in several panels, share an entry of the legend
    mark: Mark
    colour: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    errors: tuple[float, ...] = ()  #: of y, drawn as bars; none: no bars

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), len(self.errors) or len(self.y)}
        if len(lengths) > 1:
            raise ValueError(f"{self.name}: x, y and errors must be of one length, got {lengths}")


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows."""

    title: str
    scale: Scale = Scale.LINEAR


@dataclass(frozen=True, slots=True)
class Panel:
    """Series over common axes."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]


def panels_figure(panels: Sequence[Panel], height: int = 430) -> go.Figure:
    """The panels from left to right, under one legend."""
    seen: set[str] = set()
    traces, axes = [], {}
    width = (1.0 + _GAP) / len(panels) - _GAP
    for i, panel in enumerate(panels):
        number = "" if i == 0 else str(i + 1)
        for one in panel.series:
            traces.append(_trace(one, number, one.name not in seen))
            seen.add(one.name)
        left = i * (width + _GAP)
        axes[f"xaxis{number}"] = {**_axis(panel.x), "domain": [left, left + width]}
        axes[f"yaxis{number}"] = {**_axis(panel.y), "anchor": f"x{number}"}
    return new_figure(traces, height=height, **axes)


def _axis(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": axis.title}, "type": axis.scale.value}
    if axis.scale is Scale.LOG:
        made |= {"dtick": 1, "exponentformat": "power"}
    return made


def _trace(one: Series, number: str, in_legend: bool) -> go.Scatter:
    colour = CYCLE[one.colour % len(CYCLE)]
    points = one.mark is Mark.POINTS
    return go.Scatter(
        x=one.x,
        y=one.y,
        error_y={"array": one.errors, "thickness": 1, "width": 3} if one.errors else None,
        mode="markers" if points else "lines",
        name=one.name,
        legendgroup=one.name,
        showlegend=in_legend,
        marker={"color": colour, "size": 7, "symbol": _SYMBOLS[one.colour % len(_SYMBOLS)]},
        line={"color": colour, "width": 2} | ({} if points else {"dash": one.mark.value}),
        xaxis=f"x{number}",
        yaxis=f"y{number}",
    )
