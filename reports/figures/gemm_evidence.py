"""Emulated sums at the network's true lengths: measured retention and NMSE beside the predicted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from models.probes.gemms import GemmEvidence
from reports.figures.drawing import Drawing, domains, listed, new_figure
from reports.palette import CYCLE
from reports.text import MINUS, label, number

#: error bars reach so many standard errors to each side: 95 %
_ERRORS = 1.96
_SYMBOLS = ("circle", "square", "diamond")
#: between offsets, in distances between cases
_SHIFT = 0.22


@dataclass(frozen=True, slots=True)
class Measurement:
    """One width of a case, measured and predicted."""

    offset: int
    m_acc: int
    retention: float
    retention_error: float
    predicted_retention: float
    nmse: float
    nmse_error: float
    predicted_nmse: float
    bias: float
    bias_error: float


@dataclass(frozen=True, slots=True)
class Case:
    """Accumulations of one length, chunk and format: they were emulated once for all GEMMs."""

    length: int
    chunk: int
    m_op: int
    gemms: tuple[str, ...]
    measurements: tuple[Measurement, ...]  #: by offset, the planned width first

    @property
    def name(self) -> str:
        """Its place on the axis."""
        chunk = f" / {self.chunk}" if self.chunk < self.length else ""
        return f"{self.length:,}{chunk}"


def evidence_cases(rows: Iterable[GemmEvidence]) -> tuple[Case, ...]:
    """Rows of equal accumulations as one case, by length."""
    gemms: dict[tuple[str, str], list[GemmEvidence]] = {}
    for row in rows:
        gemms.setdefault((row.layer, row.role.value), []).append(row)
    cases: dict[tuple[int, int, int, tuple[Measurement, ...]], list[str]] = {}
    for (layer, role), found in gemms.items():
        measured = tuple(_measurement(row) for row in sorted(found, key=lambda row: -row.offset))
        first = found[0]
        key = (first.length, first.chunk, first.m_op, measured)
        cases.setdefault(key, []).append(f"{layer} {role}")
    ordered = sorted(cases, key=lambda key: (key[0], -key[1], key[2], key[3][0].m_acc))
    return tuple(
        Case(length, chunk, m_op, tuple(cases[length, chunk, m_op, measured]), measured)
        for length, chunk, m_op, measured in ordered
    )


def _measurement(row: GemmEvidence) -> Measurement:
    return Measurement(
        row.offset,
        row.m_acc,
        row.retention,
        row.retention_error,
        row.predicted_retention,
        row.nmse,
        row.nmse_error,
        row.predicted_nmse,
        row.bias,
        row.bias_error,
    )


def offset_name(offset: int | None) -> str:
    """How an offset from the planned width is called.

    >>> offset_name(None), offset_name(0), offset_name(-1), offset_name(-2)
    ('float32 accumulators', 'planned width', '−1 bit', '−2 bits')
    """
    if offset is None:
        return "float32 accumulators"
    if offset == 0:
        return "planned width"
    sign = MINUS if offset < 0 else "+"
    return f"{sign}{abs(offset)} bit{'s' * (abs(offset) != 1)}"


def evidence_drawing(cases: Sequence[Case]) -> Drawing:
    """Retention above, NMSE below, over the same cases."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    offsets = sorted({m.offset for case in cases for m in case.measurements}, reverse=True)
    for index, offset in enumerate(offsets):
        for row, kind in enumerate(("retention", "nmse"), start=1):
            figure.add_trace(_measured(cases, offset, index, kind), row, 1)
            figure.add_trace(_predicted(cases, offset, index, kind), row, 1)
    margin = {"l": 70, "r": 20, "t": 20, "b": 120}
    drawn = new_figure(figure.data, 620, **domains(figure), margin=margin)
    _label_axes(drawn, cases)
    return Drawing(
        "gemm-evidence",
        "Emulated sums at the network's own lengths",
        "Variance retention and NMSE of emulated random sums at every length of the network"
        " (points, 95 % error bars) beside the predictions (bars: the theorem's VRR, which knows no"
        " rounding, and the NMSE of the plan's own), at the planned width and below it.",
        drawn,
    )


def _label_axes(figure: go.Figure, cases: Sequence[Case]) -> None:
    step = -(-len(cases) // 60)
    figure.update_xaxes(
        tickvals=list(range(0, len(cases), step)),
        ticktext=[case.name for case in cases[::step]],
        tickangle=-60,
        range=[-0.6, len(cases) - 0.4],
    )
    bottom = figure.layout.xaxis2
    bottom.title = {"text": "accumulation length n / chunk, shortest first"}
    figure.layout.yaxis.update(title={"text": "variance retention"}, rangemode="tozero")
    figure.layout.yaxis2.update(title={"text": "NMSE"}, type="log", exponentformat="power", dtick=1)


def _at(cases: Sequence[Case], offset: int, index: int) -> list[tuple[float, Case, Measurement]]:
    return [
        (place + _SHIFT * (index - 1), case, measurement)
        for place, case in enumerate(cases)
        for measurement in case.measurements
        if measurement.offset == offset
    ]


def _measured(cases: Sequence[Case], offset: int, index: int, kind: str) -> go.Scatter:
    points = _at(cases, offset, index)
    values = [m.retention if kind == "retention" else m.nmse for _, _, m in points]
    errors = [m.retention_error if kind == "retention" else m.nmse_error for _, _, m in points]
    colour = CYCLE[index % len(CYCLE)]
    return go.Scatter(
        x=[x for x, _, _ in points],
        y=[value if kind == "retention" or value > 0 else None for value in values],
        error_y={"array": [_ERRORS * error for error in errors], "thickness": 1.5, "width": 3},
        mode="markers",
        name=f"{offset_name(offset)}, measured",
        legendgroup=f"{offset} measured",
        showlegend=kind == "retention",
        marker={"color": colour, "symbol": _SYMBOLS[index % len(_SYMBOLS)], "size": 7},
        customdata=[_told(case, m) for _, case, m in points],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _predicted(cases: Sequence[Case], offset: int, index: int, kind: str) -> go.Scatter:
    points = _at(cases, offset, index)
    colour = CYCLE[index % len(CYCLE)]
    return go.Scatter(
        x=[x for x, _, _ in points],
        y=[
            m.predicted_retention if kind == "retention" else m.predicted_nmse for _, _, m in points
        ],
        mode="markers",
        name=f"{offset_name(offset)}, predicted",
        legendgroup=f"{offset} predicted",
        showlegend=kind == "retention",
        marker={
            "symbol": "line-ew",
            "size": 13,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        customdata=[_told(case, m) for _, case, m in points],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told(case: Case, m: Measurement) -> str:
    chunk = f"chunk {case.chunk:,}" if case.chunk < case.length else "plain sum"
    names = listed([label(name, 40) for name in case.gemms])
    return (
        f"{names}<br>n = {case.length:,}, {chunk}, m_op = {case.m_op}, m_acc = {m.m_acc}"
        f" ({offset_name(m.offset)})"
        f"<br>retention {m.retention:.4f} ± {_ERRORS * m.retention_error:.4f},"
        f" predicted {m.predicted_retention:.4f}"
        f"<br>NMSE {number(m.nmse)} ± {number(_ERRORS * m.nmse_error, 2)},"
        f" predicted {number(m.predicted_nmse)}"
        f"<br>bias {number(m.bias, 2)} ± {number(_ERRORS * m.bias_error, 2)}"
        " standard deviations of the sum"
    )
