"""Heat map: accumulator mantissa bits of every layer and GEMM, planned and required."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from models.networks.gemm import Role
from models.plan import Plan
from models.requirements import GemmRequirement
from reports.figures.drawing import Drawing, View, in_view, new_figure
from reports.palette import SCALE
from reports.text import label

_ROW_PX = 22
_AROUND_PX = 90
_SCALE_PX = 180  #: the colour scale needs so much; the cells say their number anyway
_ROLES = tuple(Role)

Cell = tuple[int, str] | None  #: bits, and what hovering tells; None where there is no such GEMM


@dataclass(frozen=True, slots=True)
class WidthGrid:
    """Widths by layer (rows) and by FWD, BWD, GRAD (columns)."""

    name: str
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class WidthData:
    """Several grids over the same layers."""

    layers: tuple[str, ...]
    grids: tuple[WidthGrid, ...]

    @property
    def range(self) -> tuple[int, int]:
        """Least and most bits of all grids, so that their colours can be compared."""
        widths = [c[0] for g in self.grids for row in g.cells for c in row if c is not None]
        return min(widths), max(widths)


def width_data(plan: Plan, requirements: Sequence[GemmRequirement]) -> WidthData:
    """The plan's widths, and what the theorem asks in one go and in chunks."""
    planned = {
        (g.layer, g.role): (
            g.m_acc,
            f"n = {g.length:,}, m_p = {g.m_p}, {_sum_of(g.length, g.chunk)}"
            f"<br>planned m_acc = {g.m_acc}, operands m_op = {g.m_op}, {g.schedule.value}",
        )
        for g in plan.gemms
    }
    plain, chunked = {}, {}
    for r in requirements:
        told = f"n = {r.n:,}, m_p = {r.m_p}<br>plain sum {r.plain_bits} bits, "
        told += f"{_sum_of(r.n, r.chunk)} {r.chunked_bits} bits"
        plain[r.layer, r.role] = (r.plain_bits, told)
        chunked[r.layer, r.role] = (r.chunked_bits, told)
    layers = tuple(dict.fromkeys(layer for layer, _ in (*planned, *plain)))
    named = {"Chosen plan": planned, "Required, plain sum": plain, "Required, in chunks": chunked}
    return WidthData(
        layers, tuple(_grid(name, layers, cells) for name, cells in named.items() if cells)
    )


def _grid(
    name: str, layers: Sequence[str], cells: Mapping[tuple[str, Role], tuple[int, str]]
) -> WidthGrid:
    return WidthGrid(
        name, tuple(tuple(cells.get((layer, role)) for role in _ROLES) for layer in layers)
    )


def _sum_of(length: int, chunk: int) -> str:
    return f"chunk {chunk:,}" if chunk < length else "one plain sum"


def width_drawing(data: WidthData) -> Drawing:
    """The heat map, a view for each grid."""
    figure = new_figure(
        [_heat_map(data, grid) for grid in data.grids],
        height=_ROW_PX * len(data.layers) + _AROUND_PX,
        xaxis={
            "tickvals": list(range(len(_ROLES))),
            "ticktext": [role.value for role in _ROLES],
            "title": {"text": "GEMM of the training step"},
            "side": "top",
            "fixedrange": True,
            "showgrid": False,
        },
        yaxis={
            "tickvals": list(range(len(data.layers))),
            "ticktext": [label(layer, 36) for layer in data.layers],
            "range": [len(data.layers) - 0.5, -0.5],
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "tickfont": {"size": 12},
        },
        margin={"l": 70, "r": 20, "t": 64, "b": 16},
    )
    views = tuple(
        View(grid.name, tuple(other is grid for other in data.grids), {}) for grid in data.grids
    )
    return Drawing(
        "widths",
        "Where the bits go",
        "Accumulator mantissa bits (m_acc) of every GEMM, in the chosen plan and as the theorem"
        " requires them for a plain and for a chunked sum; empty where a layer has no such GEMM.",
        in_view(figure, views[0]),
        views,
    )


def _heat_map(data: WidthData, grid: WidthGrid) -> go.Heatmap:
    least, most = data.range
    return go.Heatmap(
        z=[[cell[0] if cell else None for cell in row] for row in grid.cells],
        customdata=[
            [
                f"{label(layer)} {role.value}<br>{cell[1]}" if cell else ""
                for role, cell in zip(_ROLES, row, strict=True)
            ]
            for layer, row in zip(data.layers, grid.cells, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        texttemplate="%{z}",
        textfont={"size": 12},
        colorscale=SCALE,
        showscale=_ROW_PX * len(data.layers) >= _SCALE_PX,
        zmin=least,
        zmax=max(most, least + 1),
        xgap=2,
        ygap=2,
        colorbar={
            "title": {"text": "m_acc (bits)", "side": "right"},
            "thickness": 12,
            "len": min(1.0, 400 / (_ROW_PX * len(data.layers))),
            "y": 1,
            "yanchor": "top",
            "tickformat": "d",
            "nticks": 8,
        },
    )
