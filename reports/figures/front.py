"""The front: plans that none beats in area, energy and latency, and the baselines beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from models.results import FrontPoint, SearchResult
from reports.figures.drawing import Drawing, View, domains, in_view, new_figure
from reports.palette import BLUE, GREY, OCHRE, VERMILION
from reports.text import label, number, prefix, quantity, sentence_case, span

Objectives = tuple[float, float, float]  #: area in mm², energy in J, latency in s

_PAIRS = ((0, 1), (0, 2), (2, 1))  #: axes of the three projections


@dataclass(frozen=True, slots=True)
class FrontMember:
    """A plan or a baseline as a point."""

    objectives: Objectives
    told: str  #: what hovering shows


@dataclass(frozen=True, slots=True)
class FrontData:
    """Everything that is marked; baselines apart by whether a plan of the front beats them."""

    plans: tuple[FrontMember, ...]
    chosen: FrontMember
    beaten: tuple[FrontMember, ...]
    unbeaten: tuple[FrontMember, ...]

    @property
    def members(self) -> tuple[FrontMember, ...]:
        """All points."""
        return (*self.plans, self.chosen, *self.beaten, *self.unbeaten)


def dominates(one: Objectives, other: Objectives) -> bool:
    """Whether ``one`` is nowhere worse and somewhere better.

    >>> dominates((1, 1, 1), (1, 2, 1)), dominates((1, 1, 1), (1, 1, 1))
    (True, False)
    """
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_data(result: SearchResult) -> FrontData:
    """The front of a search, its chosen plan, and the baselines that are not that plan."""
    points = {_objectives(point): point for point in result.front}
    baselines = [
        (
            FrontMember(
                (
                    sum(b.area_um2.values()) * 1e-6,
                    sum(b.energy_pj.values()) * 1e-12,
                    b.latency_ms * 1e-3,
                ),
                f"<b>{label(b.name)}</b><br>m_acc {span(b.m_acc_least, b.m_acc_most)} bits",
            )
        )
        for b in result.baselines[:-1]
    ]
    beaten = [any(dominates(point, b.objectives) for point in points) for b in baselines]
    members = [(p.chosen, FrontMember(_objectives(p), _told(p))) for p in result.front]
    return FrontData(
        tuple(member for chosen, member in members if not chosen),
        next(member for chosen, member in members if chosen),
        tuple(b for b, lost in zip(baselines, beaten, strict=True) if lost),
        tuple(b for b, lost in zip(baselines, beaten, strict=True) if not lost),
    )


def _objectives(point: FrontPoint) -> Objectives:
    return point.area_mm2, point.energy_mj * 1e-3, point.latency_ms * 1e-3


def _told(point: FrontPoint) -> str:
    widths = span(point.m_acc_least, point.m_acc_most)
    name = f"trial {point.trial}{', chosen' if point.chosen else ''}"
    return (
        f"<b>{name}</b><br>{point.rows} × {point.cols}, {label(point.dataflow)}"
        f"<br>m_acc {widths} bits, mean {number(point.m_acc_mean)}; m_op up to {point.m_op_most}"
        f"<br>chunks {label(point.chunks)}<br>schedules {label(point.schedules)}"
        f"<br>ln v up to {number(point.log_lost_max)},"
        f" operand NMSE up to {number(point.operand_nmse_max)}"
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    title: str
    values: dict[str, list[float]]  #: by series


_SERIES = ("plans", "unbeaten", "beaten", "chosen")
_NAMES = {
    "plans": "plan of the front",
    "unbeaten": "baseline that no plan beats in all three",
    "beaten": "baseline that a plan beats in all three",
    "chosen": "chosen plan",
}
_MARKERS: dict[str, dict[str, Any]] = {
    "plans": {"color": BLUE, "symbol": "circle", "size": 8, "opacity": 0.8},
    "unbeaten": {"color": OCHRE, "symbol": "square-open", "size": 11, "line": {"width": 2}},
    "beaten": {"color": GREY, "symbol": "x", "size": 10},
    "chosen": {"color": VERMILION, "symbol": "star", "size": 16},
}


def _series(data: FrontData) -> dict[str, tuple[FrontMember, ...]]:
    every = (data.plans, data.unbeaten, data.beaten, (data.chosen,))
    return {name: members for name, members in zip(_SERIES, every, strict=True) if members}


def _axes(data: FrontData) -> tuple[_Axis, ...]:
    titles = (("area", "mm²"), ("energy", "J"), ("time", "s"))
    return tuple(_axis(data, place, *title) for place, title in enumerate(titles))


def _axis(data: FrontData, place: int, name: str, unit: str) -> _Axis:
    values = [member.objectives[place] for member in data.members]
    factor, letter = (1.0, "") if unit == "mm²" else prefix(values)
    series = {
        name: [member.objectives[place] / factor for member in members]
        for name, members in _series(data).items()
    }
    return _Axis(f"{name} ({letter}{unit})", series)


def _hover(members: Sequence[FrontMember]) -> list[str]:
    return [
        f"{m.told}<br>{number(m.objectives[0])} mm², {quantity(m.objectives[1], 'J', 4)},"
        f" {quantity(m.objectives[2], 's', 4)}"
        for m in members
    ]


def space_drawing(data: FrontData) -> Drawing:
    """The front in three dimensions."""
    area, energy, time = _axes(data)
    series = _series(data)
    traces = [
        go.Scatter3d(
            x=area.values[name],
            y=time.values[name],
            z=energy.values[name],
            mode="markers",
            name=_NAMES[name],
            marker=_solid(name),
            customdata=_hover(members),
            hovertemplate="%{customdata}<extra></extra>",
        )
        for name, members in series.items()
    ]
    titles = {"xaxis": area.title, "yaxis": time.title, "zaxis": energy.title}
    scene = {axis: {"title": {"text": title}} for axis, title in titles.items()}
    figure = new_figure(
        traces,
        height=520,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "y": 1, "x": 0, "itemsizing": "constant"},
        scene={**scene, "camera": {"eye": {"x": 1.7, "y": -1.8, "z": 0.8}}},
    )
    views = tuple(
        View(sentence_case(f"{kind} axes"), (True,) * len(traces), _scene_types(kind))
        for kind in ("logarithmic", "linear")
    )
    return Drawing(
        "front-space",
        "The front in three dimensions",
        "Every plan that no other plan of the search beats in area, in energy and in time of a"
        " training step at once; drag to turn, hover to see the plan.",
        in_view(figure, views[0]),
        views,
    )


def _scene_types(kind: str) -> dict[str, str]:
    return {
        f"scene.{axis}.type": "log" if kind == "logarithmic" else kind
        for axis in ("xaxis", "yaxis", "zaxis")
    }


def _solid(name: str) -> dict[str, Any]:
    """The marker in three dimensions, where there are fewer symbols."""
    symbols = {
        "plans": "circle",
        "unbeaten": "square-open",
        "beaten": "diamond-open",
        "chosen": "diamond",
    }
    sizes = {"plans": 5, "unbeaten": 7, "beaten": 7, "chosen": 9}
    return {"color": _MARKERS[name]["color"], "symbol": symbols[name], "size": sizes[name]}


def projection_drawing(data: FrontData) -> Drawing:
    """The front seen along each of its three axes."""
    axes = _axes(data)
    series = _series(data)
    figure = make_subplots(rows=1, cols=3, horizontal_spacing=0.09)
    for column, (x, y) in enumerate(_PAIRS, start=1):
        for name, members in series.items():
            figure.add_trace(_points(name, axes[x], axes[y], members, column == 1), 1, column)
        figure.update_xaxes(title_text=axes[x].title, row=1, col=column)
        figure.update_yaxes(title_text=axes[y].title, row=1, col=column)
    flat = new_figure(figure.data, 400, **domains(figure))
    views = tuple(
        View(sentence_case(f"{kind} axes"), (True,) * len(figure.data), _flat_types(kind))
        for kind in ("logarithmic", "linear")
    )
    return Drawing(
        "front-flat",
        "The front, two objectives at a time",
        "The same plans seen along each axis: a plan that looks beaten here is better in the"
        " objective that is not drawn.",
        in_view(flat, views[0]),
        views,
    )


def _flat_types(kind: str) -> dict[str, str]:
    value = "log" if kind == "logarithmic" else kind
    names = [f"{letter}axis{number}.type" for letter in "xy" for number in ("", "2", "3")]
    return dict.fromkeys(names, value)


def _points(
    name: str, x: _Axis, y: _Axis, members: Sequence[FrontMember], legend: bool
) -> go.Scatter:
    return go.Scatter(
        x=x.values[name],
        y=y.values[name],
        mode="markers",
        name=_NAMES[name],
        legendgroup=name,
        showlegend=legend,
        marker=_MARKERS[name],
        customdata=_hover(members),
        hovertemplate="%{customdata}<extra></extra>",
    )
