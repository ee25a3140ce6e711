"""What the figures of the documentation draw, and the facts that they are there to show."""

import math

import pytest

from analysis.requirement import NoiseParity, min_accumulator_bits
from analysis.retention import variance_retention
from benchmarks import theory_figures
from reports.figures.panels import Axis, Mark, Panel, Scale, Series, panels_figure

LINE = Series("law", Mark.DASHED, 0, (1.0, 2.0), (3.0, 4.0))
POINTS = Series("measured", Mark.POINTS, 1, (1.0, 2.0), (3.1, 4.1), (0.1, 0.2))
PANEL = Panel(Axis("n", Scale.LOG), Axis("NMSE"), (LINE, POINTS))


def series(panel: Panel) -> dict[str, Series]:
    return {one.name: one for one in panel.series}


def test_panels_share_a_legend_and_have_axes_of_their_own() -> None:
    figure = panels_figure([PANEL, PANEL])
    assert [trace.showlegend for trace in figure.data] == [True, True, False, False]
    assert [trace.yaxis for trace in figure.data] == ["y", "y", "y2", "y2"]
    assert figure.layout.xaxis2.type == "log"
    assert figure.layout.yaxis2.type == "linear"
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    law, measured = figure.data[:2]
    assert (law.line.dash, law.error_y.array) == ("dash", None)
    assert (measured.mode, measured.error_y.array) == ("markers", (0.1, 0.2))


def test_a_series_has_a_place_for_every_value() -> None:
    with pytest.raises(ValueError, match="law: x, y and errors must be of one length"):
        Series("law", Mark.CURVE, 0, (1.0,), (1.0, 2.0))


def test_simulated_sums_lie_on_the_predicted_ones_and_not_on_the_theorem() -> None:
    retention, nmse = map(series, theory_figures.theorem_panels(n=256, samples=4096))
    for name in theory_figures.NAMES.values():
        for panel in (retention, nmse):
            theory, truth = panel[name], panel[f"{name}, simulated"]
            for one, other, error in zip(theory.y, truth.y, truth.errors, strict=True):
                assert one == pytest.approx(other, rel=0.1, abs=2.0 * error + 1e-7)
    theorem = retention["Theorem 1"]
    assert theorem.y == tuple(variance_retention(theory_figures.WIDTHS, 5, 256))
    assert retention["toward zero"].y[0] < theorem.y[0] < retention["to nearest"].y[0]


def test_widths_fall_onto_one_curve() -> None:
    for panel in theory_figures.invariance_panels():
        points: dict[float, list[float]] = {}
        for one in panel.series:
            for x, y in zip(one.x, one.y, strict=True):
                if one.mark is Mark.POINTS:
                    points.setdefault(round(math.log2(x)), []).append(y)
        shared = [values for values in points.values() if len(values) > 1]
        assert len(shared) > 5
        for values in shared:
            assert max(values) < 1.06 * min(values)


def test_the_best_chunk_is_near_the_root_of_the_length() -> None:
    (panel,) = theory_figures.chunk_panels(1024)
    for one in panel.series:
        best = one.x[one.y.index(min(one.y))]
        assert 16 <= best <= 64, one.name


def test_closed_forms_are_within_a_bit_of_the_least_widths() -> None:
    plain, chunked = map(series, theory_figures.requirement_panels(longest=14))
    parity = plain["parity 0.1"]
    n = round(parity.x[-1])
    assert parity.y[-1] == min_accumulator_bits(n, 5, criterion=NoiseParity())
    for panel in (plain, chunked):
        for name in ("v < 50", "NMSE ≤ 0.001", "parity 0.1"):
            pairs = zip(panel[name].y, panel[f"{name}, closed form"].y, strict=True)
            assert all(abs(whole - real - 0.5) <= 0.75 for whole, real in pairs)
