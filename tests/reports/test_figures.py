"""What the figures show, as values; that they are drawn at all is tested in a browser."""

import json
import math

import numpy as np
import pytest

from analysis.retention import log_variance_lost_chunked
from models.networks.gemm import Role
from reports.drawings import drawings
from reports.figures.breakdown import breakdown_data, breakdown_drawing
from reports.figures.drawing import Drawing, new_figure
from reports.figures.front import FrontMember, dominates, front_data, projection_drawing
from reports.figures.gemm_evidence import Measurement, evidence_cases
from reports.figures.retention import Stage, retention_data, retention_drawing, stages
from reports.figures.training import LossCurve, floor_accuracy, loss_curves, running_mean
from reports.figures.widths import width_data, width_drawing
from reports.page import ReportData
from reports.savings import Scope


@pytest.fixture(scope="module")
def every(report: ReportData) -> tuple[Drawing, ...]:
    evidence = (report.gemm_evidence or (), report.training, report.statistics)
    drawn = drawings(report.result, report.requirements, *evidence)
    return (*drawn.saves, *drawn.bits, *drawn.sums, *drawn.products, *drawn.training)


def test_width_grids_have_a_cell_where_there_is_a_gemm(report: ReportData) -> None:
    data = width_data(report.result.plan, report.requirements)
    assert data.layers == ("conv1", "fc")
    assert [grid.name for grid in data.grids] == [
        "Chosen plan",
        "Required, plain sum",
        "Required, in chunks",
    ]
    widths = [[[c and c[0] for c in row] for row in grid.cells] for grid in data.grids]
    assert widths == [[[5, None, 9]] * 2, [[8, None, 8]] * 2, [[4, None, 4]] * 2]
    assert data.range == (4, 9)
    assert data.grids[0].cells[0][0] == (
        5,
        "n = 1,024, m_p = 5, chunk 64<br>planned m_acc = 5, operands m_op = 2, static",
    )


def test_a_plan_without_requirements_has_one_grid(report: ReportData) -> None:
    data = width_data(report.result.plan, ())
    assert len(data.grids) == 1
    assert len(width_drawing(data).views) == 1


def test_marks_are_the_stages_of_the_plan(report: ReportData) -> None:
    data = retention_data(report.result.plan)
    found = [(m.stage, m.length, m.m_acc, m.m_p, m.gemms) for m in data.marks]
    assert found == [
        (Stage.INNER, 64, 5, 5, ("conv1 FWD", "fc FWD")),
        (Stage.OUTER, 16, 5, 5, ("conv1 FWD", "fc FWD")),
        (Stage.PLAIN, 1024, 9, 5, ("conv1 GRAD", "fc GRAD")),
    ]
    assert data.log_cutoff == math.log(50.0)


@pytest.mark.parametrize("density", [1.0, 0.3])
@pytest.mark.parametrize("chunk", [1024, 64, 48, 1])
def test_the_worse_stage_is_what_the_theory_accepts_by(
    report: ReportData, chunk: int, density: float
) -> None:
    gemm = report.result.plan.gemms[0].model_copy(update={"chunk": chunk})
    plan = report.result.plan.model_copy(update={"gemms": (gemm,), "density": density})
    worst = max(mark.log_lost for mark in retention_data(plan).marks)
    theory = log_variance_lost_chunked(5, 5, 1024, chunk, density=density)
    assert worst == pytest.approx(float(theory), rel=1e-12)
    assert stages(gemm, density)[0][1] == math.ceil(density * chunk)


def test_curves_run_past_the_longest_sum_and_fall(report: ReportData) -> None:
    data = retention_data(report.result.plan)
    assert [(c.m_acc, c.m_p, c.outer) for c in data.curves] == [
        (5, 5, False),
        (9, 5, False),
        (5, 5, True),
    ]
    for curve in data.curves:
        assert curve.lengths[0] == 1
        assert curve.lengths[-1] >= 10 * 1024
        assert curve.retention[-1] < curve.retention[0]
        lost = np.array(curve.lengths) * (1.0 - np.array(curve.retention))
        assert curve.log_lost == pytest.approx(lost.tolist(), abs=1e-9)


def test_a_plan_of_plain_sums_has_no_view_of_chunk_sums(report: ReportData) -> None:
    plain = report.result.plan.with_gemms(g for g in report.result.plan.gemms if g.chunk == 1024)
    assert [view.label for view in retention_drawing(retention_data(plain)).views] == [
        "VRR, plain and inside chunks",
        "ln v(n), plain and inside chunks",
    ]


def test_the_front_knows_its_chosen_plan_and_beaten_baselines(report: ReportData) -> None:
    data = front_data(report.result)
    assert data.chosen.objectives == (3.5, 0.008, 0.5)
    assert [plan.objectives for plan in data.plans] == [(5.0, 0.0075, 0.4)]
    assert [b.objectives[0] for b in data.beaten] == [5.0, 3.5]  # float32 and uniform
    assert data.unbeaten == (
        FrontMember((3.4, 0.009, 0.5), "<b>widest</b><br>m_acc 9 bits"),  # the smallest chip
    )
    assert "16 × 16, output-stationary" in data.chosen.told


def test_domination_needs_one_strict_gain() -> None:
    assert not dominates((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert not dominates((1.0, 2.0, 1.0), (2.0, 1.0, 1.0))
    assert dominates((1.0, 1.0, 0.5), (1.0, 1.0, 1.0))


def test_a_front_of_one_plan_is_drawn(report: ReportData) -> None:
    one = report.result.model_copy(update={"front": report.result.front[:1]})
    assert projection_drawing(front_data(one)).figure.data


def test_bars_add_up_to_the_baselines(report: ReportData) -> None:
    data = breakdown_data(report.result)
    assert data.names == ("float32", "widest", "uniform", "plan")
    area, energy = data.bars
    assert dict(area.parts) == {
        "multiplier": (1e6,) * 4,
        "significand_adder": (2e6, 4e5, 5e5, 5e5),
        "operand_sram": (2e6,) * 4,
    }
    assert area.totals(Scope.ALL) == (5e6, 3.4e6, 3.5e6, 3.5e6)
    assert energy.totals(Scope.ARRAY) == (4e9, 3e9, 2.5e9, 2e9)
    assert energy.changes(Scope.ALL) == pytest.approx((0.0, -0.1, -0.15, -0.2))


def test_bars_out_of_scope_are_hidden(report: ReportData) -> None:
    drawing = breakdown_drawing(breakdown_data(report.result))
    by_view = {
        view.label: {
            trace.name
            for trace, shown in zip(drawing.figure.data, view.visible, strict=True)
            if shown and trace.type == "bar"
        }
        for view in drawing.views
    }
    assert by_view == {
        "All components": {"multiplier", "significand adder", "operand SRAM", "DRAM"},
        "Without operand SRAM and DRAM": {"multiplier", "significand adder"},
        "Accumulation only": {"significand adder"},
    }


def test_gemms_with_the_same_sums_are_one_case(report: ReportData) -> None:
    cases = evidence_cases(report.gemm_evidence or ())
    assert [(case.name, case.gemms) for case in cases] == [
        ("1,024", ("conv1 GRAD", "fc GRAD")),
        ("1,024 / 64", ("conv1 FWD", "fc FWD")),
    ]
    assert [m.offset for m in cases[0].measurements] == [0, -1, -2]
    assert cases[1].measurements[1] == Measurement(
        -1, 4, 0.9, 0.02, 0.8, 4e-3, 1e-4, 8e-3, 0.01, 0.02
    )


def test_gemms_with_other_measurements_stay_apart(report: ReportData) -> None:
    first, *others = report.gemm_evidence or ()
    rows = (first.model_copy(update={"nmse": 0.5}), *others)
    assert len(evidence_cases(rows)) == 3


def test_loss_curves_are_means_and_ranges_over_seeds(report: ReportData) -> None:
    assert report.training is not None
    curves = loss_curves(report.training.runs, window=2)
    assert [curve.offset for curve in curves] == [None, 0, -1, -2]
    assert curves[0] == LossCurve(
        None, (2, 3), (1.75, 1.0), (1.5, 0.75), (2.0, 1.25)
    )  # seeds (2, 1, ½) and (2, 2, ½)


def test_a_run_that_stopped_early_leaves_the_rest_to_the_others(report: ReportData) -> None:
    assert report.training is not None
    first, second = report.training.runs[:2]
    stopped = second.model_copy(update={"losses": (4.0,)})
    (curve,) = loss_curves((first, stopped), window=1)
    assert curve.mean == (3.0, 1.0, 0.5)
    assert running_mean((), 10) == ()


def test_runs_that_failed_at_once_are_drawn(report: ReportData) -> None:
    assert report.training is not None
    empty = [run.model_copy(update={"losses": ()}) for run in report.training.runs]
    assert loss_curves(empty)[0].mean == ()


def test_the_line_lies_half_a_point_below_the_baseline(report: ReportData) -> None:
    assert report.training is not None
    assert floor_accuracy(report.training.summaries) == pytest.approx(0.965 - 0.005)


def test_figures_carry_a_caption_of_one_sentence(every: tuple[Drawing, ...]) -> None:
    for drawing in every:
        assert drawing.caption.endswith(".")
        assert ". " not in drawing.caption.replace("et al. ", "")
    assert len({drawing.key for drawing in every}) == len(every) == 9


def test_json_can_neither_end_its_element_nor_carry_entities(every: tuple[Drawing, ...]) -> None:
    for drawing in every:
        text = drawing.to_json()
        assert not set("<>&\u2028\u2029") & set(text)
        spec = json.loads(text)
        assert len(spec["data"]) == len(drawing.figure.data)
        assert all(len(view["visible"]) == len(spec["data"]) for view in spec["views"])


def test_json_of_hostile_text_is_harmless_and_complete() -> None:
    text = "</script><!-- & \u2028 \u2029 'x'"
    drawing = Drawing("key", "title", "caption.", new_figure([{"type": "bar", "name": text}], 100))
    assert not set("<>&'\u2028\u2029") & set(drawing.to_json())
    assert json.loads(drawing.to_json())["data"][0]["name"] == text


def test_a_figure_opens_in_its_first_view(every: tuple[Drawing, ...]) -> None:
    for drawing in every:
        if drawing.views:
            shown = tuple(trace.visible for trace in drawing.figure.data)
            assert shown == drawing.views[0].visible


def test_axes_have_titles(every: tuple[Drawing, ...]) -> None:
    untitled = {
        (drawing.key, name)
        for drawing in every
        for name, axis in drawing.figure.layout.to_plotly_json().items()
        if name.startswith(("xaxis", "yaxis")) and not axis.get("title", {}).get("text")
    }
    assert untitled == {
        ("breakdown", "yaxis"),  # the names of the baselines
        ("breakdown", "yaxis2"),
        ("widths", "yaxis"),  # the names of the layers
        ("gemm-evidence", "xaxis"),  # shared with the axis below
        ("accuracy", "xaxis"),  # the names of the widths
        *(("statistics", f"xaxis{place}") for place in ("", 2, 3, 4)),  # the names of the GEMMs
    }


def test_roles_are_the_columns() -> None:
    assert [role.value for role in Role] == ["FWD", "BWD", "GRAD"]
