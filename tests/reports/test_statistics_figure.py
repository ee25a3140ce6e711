import json

from models.statistics import Exponents, Statistics
from reports.figures.statistics import (
    StatisticsRow,
    statistics_data,
    statistics_drawing,
)

EXPONENTS = Exponents(least=-20, low=-12, high=-1, most=3)


def test_data_are_the_measured_figures_and_the_assumed_density(statistics: Statistics) -> None:
    data = statistics_data(statistics, density=0.75)
    assert (data.density, data.source) == (0.75, "a test")
    first = StatisticsRow("<b>fc", "FWD", 64, 0.5, 0.125, 0.5, 0.25, 90.0, 12.0, EXPONENTS)
    assert data.rows[0] == first
    assert [row.density for row in data.rows] == [0.5, 0.25]
    assert first.name == "&lt;b&gt;fc FWD"


def test_every_panel_shows_assumed_beside_measured(statistics: Statistics) -> None:
    drawing = statistics_drawing(statistics_data(statistics, density=0.75))
    points = [trace for trace in drawing.figure.data if trace.type == "scatter"]
    assert [(trace.name, trace.yaxis, tuple(trace.y)) for trace in points] == [
        ("assumed", "y", (0.75, 0.75)),
        ("measured, all products", "y", (0.5, 0.25)),
        ("assumed", "y2", (0.25, 0.25)),
        ("measured, all products", "y2", (0.125, 0.125)),
        ("measured, within an output", "y2", (0.5, 0.5)),
        ("assumed", "y3", (9.0, 9.0)),
        ("measured, all products", "y3", (90.0, 90.0)),
        ("measured, within an output", "y3", (12.0, 12.0)),
    ]
    legend = [trace.name for trace in drawing.figure.data if trace.showlegend]
    assert legend == ["assumed", "measured, all products", "measured, within an output"]


def test_exponents_are_bars_from_low_to_high_with_lines_to_the_ends(
    statistics: Statistics,
) -> None:
    bars = statistics_drawing(statistics_data(statistics)).figure.data[-1]
    assert (tuple(bars.base), tuple(bars.y)) == ((-12, -12), (11, 11))
    assert (tuple(bars.error_y.array), tuple(bars.error_y.arrayminus)) == ((4, 4), (19, 19))
    assert "exponents −20 to 3" in bars.customdata[0]


def test_names_of_layers_are_escaped_in_the_page(statistics: Statistics) -> None:
    drawing = statistics_drawing(statistics_data(statistics))
    assert drawing.figure.layout.xaxis4.ticktext == ("&lt;b&gt;fc FWD", "fc2 GRAD")
    text = drawing.to_json()
    assert "<b>fc" not in text
    assert json.loads(text)["layout"]["height"] == drawing.height
