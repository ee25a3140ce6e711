"""Measured statistics of every GEMM's products, beside what theory and search assume of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from models.statistics import Exponents, Statistics
from reports.figures.drawing import Drawing, domains, new_figure
from reports.palette import CYCLE, GREY
from reports.text import MINUS, label, number

#: E[x⁴]/E[x²]² = 3 of each of two independent Gaussian factors, and so 3 · 3
ASSUMED_KURTOSIS = 9.0
_PANELS = ("density", "|mean| / deviation", "kurtosis", "exponent")


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """One GEMM: what was measured; assumed are :attr:`StatisticsData.density`, mean 0 and 9."""

    layer: str
    role: str
    n: int
    density: float
    mean_ratio: float  #: magnitude, of all products
    output_mean_ratio: float  #: within an output
    chance_mean_ratio: float  #: within an output, of products whose mean is zero
    kurtosis: float  #: of all products
    output_kurtosis: float  #: within an output
    exponents: Exponents

    @property
    def name(self) -> str:
        """Its place on the axis."""
        return f"{label(self.layer, 40)} {self.role}"


@dataclass(frozen=True, slots=True)
class StatisticsData:
    """All GEMMs of a network."""

    rows: tuple[StatisticsRow, ...]
    density: float  #: assumed
    source: str  #: how they were measured


def statistics_data(statistics: Statistics, density: float = 1.0) -> StatisticsData:
    """Each GEMM's figures, where ``density`` was assumed of all."""
    rows = tuple(
        StatisticsRow(
            one.layer,
            one.role.value,
            one.n,
            one.density,
            abs(one.mean_ratio),
            one.output_mean_ratio,
            one.chance_mean_ratio,
            one.kurtosis,
            one.output_kurtosis,
            one.exponents,
        )
        for one in statistics.gemms
    )
    return StatisticsData(rows, density, statistics.source)


class _Kind(Enum):
    """Which figure a point shows, as the legend calls it."""

    ASSUMED = "assumed"
    ALL = "measured, all products"
    OUTPUT = "measured, within an output"


_MARKERS = {
    _Kind.ASSUMED: {
        "symbol": "line-ew",
        "size": 16,
        "color": GREY,
        "line": {"width": 2, "color": GREY},
    },
    _Kind.ALL: {"symbol": "circle", "size": 8, "color": CYCLE[0]},
    _Kind.OUTPUT: {"symbol": "square", "size": 8, "color": CYCLE[1]},
}


def statistics_drawing(data: StatisticsData) -> Drawing:
    """Density, mean, kurtosis and exponents, one above the other over the same GEMMs."""
    rows = data.rows
    panels = (
        {_Kind.ASSUMED: [data.density] * len(rows), _Kind.ALL: [one.density for one in rows]},
        {
            _Kind.ASSUMED: [one.chance_mean_ratio for one in rows],
            _Kind.ALL: [one.mean_ratio for one in rows],
            _Kind.OUTPUT: [one.output_mean_ratio for one in rows],
        },
        {
            _Kind.ASSUMED: [ASSUMED_KURTOSIS] * len(rows),
            _Kind.ALL: [one.kurtosis for one in rows],
            _Kind.OUTPUT: [one.output_kurtosis for one in rows],
        },
    )
    figure = make_subplots(rows=len(_PANELS), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for place, panel in enumerate(panels, start=1):
        for kind, values in panel.items():
            figure.add_trace(_points(kind, rows, values), place, 1)
    figure.add_trace(_exponents(rows), len(_PANELS), 1)
    margin = {"l": 70, "r": 20, "t": 20, "b": 120}
    drawn = new_figure(figure.data, 860, **domains(figure), margin=margin)
    _finish(drawn, rows)
    return Drawing(
        "statistics",
        "Products of the network, measured and assumed",
        "Of each GEMM's products the share that is not zero, and of these |mean| over standard"
        " deviation, kurtosis and binary exponents (bars: all but 0.1 % at either end; lines: all),"
        " of all products and within an output, which is what one sum sees; beside what is assumed"
        " without measuring: Gaussians of mean zero, which in short sums have one by chance.",
        drawn,
    )


def _points(kind: _Kind, rows: Sequence[StatisticsRow], values: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=list(range(len(rows))),
        y=values,
        mode="markers",
        name=kind.value,
        legendgroup=kind.value,
        marker=_MARKERS[kind],
        customdata=[
            f"{row.name}, n = {row.n:,}<br>{kind.value}: {number(value)}"
            for row, value in zip(rows, values, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _exponents(rows: Sequence[StatisticsRow]) -> go.Bar:
    """From low to high as bars, from least to most as lines."""
    every = [row.exponents for row in rows]
    return go.Bar(
        x=list(range(len(rows))),
        base=[one.low for one in every],
        y=[one.high - one.low for one in every],
        error_y={
            "array": [one.most - one.high for one in every],
            "arrayminus": [one.high - one.least for one in every],
            "symmetric": False,
            "thickness": 1.5,
            "width": 3,
            "color": GREY,
        },
        name="exponents",
        showlegend=False,
        marker={"color": CYCLE[0]},
        width=0.5,
        customdata=[
            f"{row.name}, n = {row.n:,}<br>exponents {_between(one.least, one.most)},"
            f" all but 0.1 % at either end {_between(one.low, one.high)}"
            for row, one in zip(rows, every, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _between(least: int, most: int) -> str:
    return f"{least} to {most}".replace("-", MINUS)


def _finish(figure: go.Figure, rows: Sequence[StatisticsRow]) -> None:
    """Axes, and each kind once in the legend."""
    named: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup is not None and trace.name not in named
        named.add(trace.name)
    step = -(-len(rows) // 60)
    figure.update_xaxes(
        tickvals=list(range(0, len(rows), step)),
        ticktext=[row.name for row in rows[::step]],
        tickangle=-60,
        range=[-0.6, len(rows) - 0.4],
    )
    for place, title in enumerate(_PANELS, start=1):
        figure.layout[f"yaxis{place if place > 1 else ''}"].title = {"text": title}
    figure.layout.yaxis.update(range=[0.0, 1.05])
    figure.layout.yaxis2.update(rangemode="tozero")
    figure.layout.yaxis3.update(type="log", dtick=1)
