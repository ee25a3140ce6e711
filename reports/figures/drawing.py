"""What all figures have in common: a drawing with its caption, its views and its JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_json

#: of ``<script type="application/json">``: nothing in it may end the element or start a comment
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&'\u2028\u2029"}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FONT_SIZE = 13


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a figure, chosen with a button."""

    label: str
    visible: tuple[bool, ...]  #: of each trace
    layout: Mapping[str, Any]  #: dotted attributes, as ``Plotly.relayout`` takes them


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with what the page says about it."""

    key: str  #: id in the page
    title: str
    caption: str  #: one sentence: what is to be seen
    figure: go.Figure
    views: tuple[View, ...] = ()

    @property
    def height(self) -> int:
        """Pixels that the page keeps free for it."""
        return int(self.figure.layout.height)

    def to_json(self) -> str:
        """Traces, layout and views, fit to stand in a script element."""
        views = [
            {"visible": list(view.visible), "layout": dict(view.layout)} for view in self.views
        ]
        text = str(to_json({**self.figure.to_plotly_json(), "views": views}, validate=False))
        return text.translate(_UNSAFE)


def new_figure(traces: Sequence[Any], height: int, **layout: Any) -> go.Figure:
    """A figure without colours of its own for text, axes and ground: the page sets them."""
    return go.Figure(
        traces,
        {
            "template": template(),
            "height": height,
            "font": {"family": FONT, "size": FONT_SIZE},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 70, "r": 20, "t": 20, "b": 60},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"align": "left"},
            **layout,
        },
    )


def template() -> go.layout.Template:
    """What every axis has in common."""
    axis = {"title": {"font": {"size": FONT_SIZE + 1}, "standoff": 8}, "zeroline": False}
    return go.layout.Template(layout={"xaxis": axis, "yaxis": axis})


def domains(figure: go.Figure) -> dict[str, Any]:
    """The axes of a figure made by ``make_subplots``, without its template."""
    layout: dict[str, Any] = figure.layout.to_plotly_json()
    return {name: value for name, value in layout.items() if "axis" in name}


def in_view(figure: go.Figure, view: View) -> go.Figure:
    """The figure as ``view`` shows it, which is how the page opens."""
    for trace, visible in zip(figure.data, view.visible, strict=True):
        trace.visible = visible
    return figure.update_layout({name.replace(".", "_"): v for name, v in view.layout.items()})


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in one line, the rest counted.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest} more"
