"""Where area and energy go, by component, in the chosen plan and in the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from models.accelerator.components import Component
from models.results import Baseline, SearchResult
from reports.figures.drawing import Drawing, View, domains, in_view, new_figure
from reports.palette import BLUE, GREEN, GREY, OCHRE, PURPLE, SKY, VERMILION
from reports.savings import Scope, Unit, component_name, components
from reports.text import change, label, prefix, sentence_case

#: colour and hatching: accumulation in colour, the rest in grey
_STYLES = {
    Component.SIGNIFICAND_ADDER: (BLUE, ""),
    Component.ALIGNMENT_SHIFTER: (VERMILION, ""),
    Component.NORMALISER: (GREEN, ""),
    Component.ROUNDER: (PURPLE, "/"),
    Component.ACCUMULATOR_REGISTERS: (OCHRE, ""),
    Component.OUTER_ADDER: (SKY, "x"),
    Component.PARTIAL_SUMS: (PURPLE, ""),
    Component.MULTIPLIER: (GREY, ""),
    Component.EXPONENT_LOGIC: (GREY, "/"),
    Component.OPERAND_REGISTERS: (GREY, "\\"),
    Component.OPERAND_SRAM: (GREY, "."),
    Component.DRAM: (GREY, "x"),
}
_QUANTITIES = ("area", "energy")
_UNITS = {"area": Unit.AREA, "energy": Unit.ENERGY}


@dataclass(frozen=True, slots=True)
class Bars:
    """One quantity by component, a value for each baseline."""

    quantity: str
    parts: Mapping[str, tuple[float, ...]]

    def totals(self, scope: Scope) -> tuple[float, ...]:
        """Sums over the components that count."""
        counted = [values for name, values in self.parts.items() if scope.includes(name)]
        return tuple(sum(values) for values in zip(*counted, strict=True))

    def changes(self, scope: Scope) -> tuple[float, ...]:
        """Relative change of each total against the first baseline."""
        totals = self.totals(scope)
        return tuple(total / totals[0] - 1.0 if totals and totals[0] else 0.0 for total in totals)


@dataclass(frozen=True, slots=True)
class BreakdownData:
    """Area and energy of the baselines, the chosen plan last."""

    names: tuple[str, ...]
    bars: tuple[Bars, ...]


def breakdown_data(result: SearchResult) -> BreakdownData:
    """Components in the order of the cost model; one that costs nothing anywhere is left out."""
    return BreakdownData(
        tuple(baseline.name for baseline in result.baselines),
        tuple(_bars(result, quantity) for quantity in _QUANTITIES),
    )


def _bars(result: SearchResult, quantity: str) -> Bars:
    rows = [_parts(baseline, quantity) for baseline in result.baselines]
    every = {name: tuple(row.get(name, 0.0) for row in rows) for name in components(result)}
    return Bars(quantity, {name: values for name, values in every.items() if any(values)})


def _parts(baseline: Baseline, quantity: str) -> Mapping[str, float]:
    return baseline.area_um2 if quantity == "area" else baseline.energy_pj


def breakdown_drawing(data: BreakdownData) -> Drawing:
    """Stacked bars, area above energy; views by what is counted."""
    figure = make_subplots(rows=2, cols=1, vertical_spacing=0.2)
    scopes: list[Scope | str] = []
    seen: set[str] = set()
    for row, bars in enumerate(data.bars, start=1):
        for component, values in bars.parts.items():
            figure.add_trace(_bar(bars, component, values, component not in seen), row, 1)
            seen.add(component)
            scopes.append(component)
        for scope in Scope:
            figure.add_trace(_totals(bars, scope), row, 1)
            scopes.append(scope)
    laid_out = _laid_out(figure, data)
    views = tuple(
        View(sentence_case(scope.value), _visible(scopes, scope), _ranges(data, scope))
        for scope in Scope
    )
    return Drawing(
        "breakdown",
        "What area and energy are made of",
        "Area of the chip and energy of one training step by component, the chosen plan below the"
        f" ways to set its accumulators otherwise (percentages against {label(data.names[0])});"
        " what accumulating costs is in colour, everything else in grey.",
        in_view(laid_out, views[0]),
        views,
    )


def _laid_out(figure: go.Figure, data: BreakdownData) -> go.Figure:
    layout = {
        **domains(figure),
        "barmode": "stack",
        "bargap": 0.3,
        "legend": {
            "orientation": "h",
            "y": -0.14,
            "yanchor": "top",
            "x": 0,
            "traceorder": "normal",
        },
        "margin": {"l": 70, "r": 20, "t": 20, "b": 20},
    }
    drawn = new_figure(figure.data, 220 + 80 * len(data.names), **layout)
    ticks = {"tickvals": list(range(len(data.names)))}
    names = [label(name, 28) for name in data.names]
    drawn.update_yaxes(**ticks, ticktext=names, automargin=True, showgrid=False)
    drawn.update_yaxes(range=[len(names) - 0.5, -0.5], ticklabelstandoff=6)
    for place, bars in enumerate(data.bars, start=1):
        title = "area (mm²)" if bars.quantity == "area" else f"energy ({_scale(bars)[1]}J)"
        drawn.layout[f"xaxis{place if place > 1 else ''}"].title = {"text": title}
    return drawn


def _scale(bars: Bars) -> tuple[float, str]:
    """(what one unit of the axis is in the unit of the values, SI prefix)."""
    if bars.quantity == "area":
        return 1e6, ""
    factor, letter = prefix(total * 1e-12 for total in bars.totals(Scope.ALL))
    return factor * 1e12, letter


def _bar(bars: Bars, component: str, values: tuple[float, ...], legend: bool) -> go.Bar:
    colour, hatching = _STYLES.get(component, (GREY, "+"))  # type: ignore[call-overload]  # StrEnum
    name = label(component_name(component))
    return go.Bar(
        orientation="h",
        y=list(range(len(values))),
        x=[value / _scale(bars)[0] for value in values],
        name=name,
        legendgroup=component,
        showlegend=legend,
        marker={
            "color": colour,
            "line": {"width": 0},
            "pattern": {"shape": hatching, "fillmode": "overlay", "fgcolor": "#ffffff", "size": 6},
        },
        customdata=[f"{name}: {_UNITS[bars.quantity].show(value)}" for value in values],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _totals(bars: Bars, scope: Scope) -> go.Scatter:
    totals, changes = bars.totals(scope), bars.changes(scope)
    show = _UNITS[bars.quantity].show
    return go.Scatter(
        y=list(range(len(totals))),
        x=[total / _scale(bars)[0] for total in totals],
        mode="text",
        text=[
            f" {show(total)}" + (f" ({change(ratio)})" if place else "")
            for place, (total, ratio) in enumerate(zip(totals, changes, strict=True))
        ],
        textposition="middle right",
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )


def _visible(scopes: list[Scope | str], chosen: Scope) -> tuple[bool, ...]:
    return tuple(
        scope is chosen if isinstance(scope, Scope) else chosen.includes(scope) for scope in scopes
    )


def _ranges(data: BreakdownData, scope: Scope) -> dict[str, list[float]]:
    """Axes from 0, with room for the totals beside the bars."""
    most = [max(bars.totals(scope), default=0.0) / _scale(bars)[0] for bars in data.bars]
    return {
        f"xaxis{place if place > 1 else ''}.range": [0.0, 1.25 * (value or 1.0)]
        for place, value in enumerate(most, start=1)
    }
