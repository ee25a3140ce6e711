"""Variance retention against accumulation length, with the network's sums marked on the curves."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import plotly.graph_objects as go

from analysis.retention import MAX_LENGTH, log_variance_lost, variance_retention
from models.plan import GemmPlan, Plan
from reports.figures.drawing import Drawing, View, in_view, listed, new_figure
from reports.palette import CYCLE, GREY
from reports.text import label, number

_POINTS_PER_DECADE = 24
_DASHES = ("solid", "dash", "dot")
#: ln v below this is drawn at this: a logarithmic axis has no zero
_FLOOR = 1e-4
_CEILING = 1e4


class Stage(StrEnum):
    """Which accumulation of a GEMM a point stands for."""

    PLAIN = "plain sum"
    INNER = "inside a chunk"
    OUTER = "between chunks"


@dataclass(frozen=True, slots=True)
class Curve:
    """Retention of one width, over lengths from 1 on."""

    m_acc: int
    m_p: int
    outer: bool  #: sums of chunk sums, whose products fill the accumulator
    lengths: tuple[int, ...]
    retention: tuple[float, ...]
    log_lost: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Equal accumulations of the plan; retention is at their own m_p, on a curve or beside it."""

    stage: Stage
    length: int
    m_acc: int
    m_p: int
    retention: float
    log_lost: float
    gemms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionData:
    """Curves for the widths of a plan, and its sums."""

    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...]
    log_cutoff: float

    @property
    def m_p(self) -> int:
        """Product width of the curves that are not of outer sums."""
        return next(curve.m_p for curve in self.curves if not curve.outer)


def retention_data(plan: Plan) -> RetentionData:
    """Curves of every width of the plan, for its most common m_p, and marks for its stages."""
    marks = tuple(_marks(plan))
    widths = sorted({mark.m_acc for mark in marks})
    lengths = _lengths(max(mark.length for mark in marks))
    m_p = Counter(gemm.m_p for gemm in plan.gemms).most_common(1)[0][0]
    curves = [_curve(m_acc, m_p, False, lengths) for m_acc in widths]
    outer = sorted({mark.m_acc for mark in marks if mark.stage is Stage.OUTER})
    curves += [_curve(m_acc, m_acc, True, lengths) for m_acc in outer]
    return RetentionData(tuple(curves), marks, math.log(plan.cutoff))


def stages(gemm: GemmPlan, density: float) -> tuple[tuple[Stage, int, int], ...]:
    """(stage, length, m_p) of each accumulation of a GEMM, as ``analysis.retention`` takes them.

    >>> one = GemmPlan(layer="fc", role="FWD", length=4608, m_op=2, m_acc=9, chunk=64)
    >>> [(stage.value, length, m_p) for stage, length, m_p in stages(one, 1.0)]
    [('inside a chunk', 64, 5), ('between chunks', 72, 9)]
    """
    inner = math.ceil(density * gemm.chunk)
    if gemm.chunk == gemm.length:
        return ((Stage.PLAIN, inner, gemm.m_p),)
    grown = min(gemm.m_acc, gemm.m_p + inner.bit_length() - 1)
    return (
        (Stage.INNER, inner, gemm.m_p),
        (Stage.OUTER, -(-gemm.length // gemm.chunk), grown),
    )


def _marks(plan: Plan) -> Iterator[Mark]:
    places: dict[tuple[Stage, int, int, int], list[str]] = {}
    for gemm in plan.gemms:
        for stage, length, m_p in stages(gemm, plan.density):
            name = f"{gemm.layer} {gemm.role.value}"
            places.setdefault((stage, length, gemm.m_acc, m_p), []).append(name)
    for (stage, length, m_acc, m_p), names in places.items():
        yield Mark(
            stage,
            length,
            m_acc,
            m_p,
            float(variance_retention(m_acc, m_p, length)),
            float(log_variance_lost(m_acc, m_p, length)),
            tuple(names),
        )


def _lengths(longest: int) -> tuple[int, ...]:
    decades = math.log10(min(MAX_LENGTH, 10 * max(longest, 100)))
    grid = np.logspace(0, decades, round(_POINTS_PER_DECADE * decades) + 1)
    return tuple(int(n) for n in np.unique(np.floor(grid + 0.5)))


def _curve(m_acc: int, m_p: int, outer: bool, lengths: tuple[int, ...]) -> Curve:
    return Curve(
        m_acc,
        m_p,
        outer,
        lengths,
        tuple(variance_retention(m_acc, m_p, lengths).tolist()),
        tuple(log_variance_lost(m_acc, m_p, lengths).tolist()),
    )


def retention_drawing(data: RetentionData) -> Drawing:
    """VRR and ln v against n, for single sums and, where there are chunks, for sums of chunks."""
    widths = sorted({curve.m_acc for curve in data.curves})
    outers = sorted({curve.outer for curve in data.curves})
    keys, traces = [], []
    for lost in (False, True):
        for outer in outers:
            new = _traces(data, widths, lost, outer)
            keys += [(lost, outer)] * len(new)
            traces += new
    figure = new_figure(
        traces,
        height=500,
        xaxis={
            "type": "log",
            "title": {"text": "accumulation length n (products, or chunk sums)"},
            "dtick": 1,
            "exponentformat": "power",
        },
        yaxis={"title": {"text": ""}},
        legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"},
        margin={"l": 70, "r": 150, "t": 24, "b": 60},
    )
    views = tuple(_view(data, keys, lost, outer) for outer in outers for lost in (False, True))
    return Drawing(
        "retention", "How much variance a sum keeps", _caption(data), *_open(figure, views)
    )


def _open(figure: go.Figure, views: tuple[View, ...]) -> tuple[go.Figure, tuple[View, ...]]:
    return in_view(figure, views[0]), views


def _caption(data: RetentionData) -> str:
    return (
        "Variance retention ratio (VRR) and ln v(n) = n (1 − VRR) by theory, one curve per"
        f" accumulator width (m_p = {data.m_p}; between chunks, m_p = m_acc), with the sums of the"
        " chosen plan as marks at their own length and m_p: a width is accepted where ln v lies"
        f" below the line at {data.log_cutoff:.2f} (ln v below {_FLOOR} is drawn there)."
    )


def _view(data: RetentionData, keys: Sequence[tuple[bool, bool]], lost: bool, outer: bool) -> View:
    sums = "between chunks" if outer else "plain and inside chunks"
    axis = {
        "yaxis.type": "log" if lost else "linear",
        "yaxis.title.text": "ln v(n) = n (1 − VRR)" if lost else "VRR",
        "yaxis.range": [math.log10(_FLOOR), math.log10(_CEILING)] if lost else [0, 1.05],
        "yaxis.exponentformat": "power" if lost else "none",
        "yaxis.dtick": 1 if lost else 0.2,
    }
    return View(
        f"{'ln v(n)' if lost else 'VRR'}, {sums}", tuple(key == (lost, outer) for key in keys), axis
    )


def _traces(
    data: RetentionData, widths: Sequence[int], lost: bool, outer: bool
) -> list[go.Scatter]:
    curves = [curve for curve in data.curves if curve.outer == outer]
    marks = [mark for mark in data.marks if (mark.stage is Stage.OUTER) == outer]
    drawn = [_line(curve, widths.index(curve.m_acc), lost) for curve in curves]
    if lost:
        drawn.append(_cutoff(data, curves[0].lengths))
    return [*drawn, _points(marks, widths, lost)]


def _line(curve: Curve, index: int, lost: bool) -> go.Scatter:
    return go.Scatter(
        x=curve.lengths,
        y=[max(y, _FLOOR) for y in curve.log_lost] if lost else curve.retention,
        mode="lines",
        name=f"m_acc = {curve.m_acc}",
        line={
            "color": CYCLE[index % len(CYCLE)],
            "dash": _DASHES[index // len(CYCLE) % len(_DASHES)],
            "width": 2,
        },
        hovertemplate=f"m_acc = {curve.m_acc}, m_p = {curve.m_p}<br>n = %{{x:,}}: %{{y:.3g}}"
        "<extra></extra>",
    )


def _cutoff(data: RetentionData, lengths: Sequence[int]) -> go.Scatter:
    return go.Scatter(
        x=[lengths[0], lengths[-1]],
        y=[data.log_cutoff] * 2,
        mode="lines",
        name=f"cutoff ln v = {data.log_cutoff:.2f}",
        line={"color": GREY, "dash": "dashdot", "width": 2},
        hoverinfo="skip",
    )


def _points(marks: Sequence[Mark], widths: Sequence[int], lost: bool) -> go.Scatter:
    symbols = {Stage.PLAIN: "circle", Stage.INNER: "diamond", Stage.OUTER: "square"}
    return go.Scatter(
        x=[mark.length for mark in marks],
        y=[max(mark.log_lost, _FLOOR) if lost else mark.retention for mark in marks],
        mode="markers",
        name="GEMMs of the plan",
        marker={
            "symbol": [symbols[mark.stage] for mark in marks],
            "color": [CYCLE[widths.index(mark.m_acc) % len(CYCLE)] for mark in marks],
            "size": [min(20.0, 9.0 + 2.0 * math.log2(len(mark.gemms))) for mark in marks],
            "line": {"width": 1.5, "color": "#ffffff"},
            "opacity": 0.9,
        },
        customdata=[_told(mark) for mark in marks],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told(mark: Mark) -> str:
    names = listed([label(name, 40) for name in mark.gemms])
    return (
        f"{names}<br>{mark.stage.value}: n = {mark.length:,}, m_acc = {mark.m_acc},"
        f" m_p = {mark.m_p}<br>VRR = {mark.retention:.6g}, ln v = {number(mark.log_lost)}"
    )
