import pytest

from models.accelerator.components import Component
from models.probes.summary import Kind
from reports.headline import Tone, headline, saving_rows, widths_sentence
from reports.page import ReportData
from reports.savings import Saving, Scope, Unit, comparisons, components


def test_every_baseline_but_the_chosen_plan_is_compared(report: ReportData) -> None:
    found = comparisons(report.result)
    assert [one.baseline.name for one in found] == ["float32", "widest", "uniform"]
    assert found[0].savings == (
        Saving("area", Unit.AREA, 3.5e6, 5e6),
        Saving("area, without operand SRAM and DRAM", Unit.AREA, 1.5e6, 3e6),
        Saving("area, accumulation only", Unit.AREA, 5e5, 2e6),
        Saving("energy", Unit.ENERGY, 8e9, 1e10),
        Saving("energy, without operand SRAM and DRAM", Unit.ENERGY, 2e9, 4e9),
        Saving("energy, accumulation only", Unit.ENERGY, 1e9, 3e9),
        Saving("latency", Unit.TIME, 500.0, 500.0),
    )


def test_a_plan_that_costs_more_is_said_to_cost_more(report: ReportData) -> None:
    against_widest = comparisons(report.result)[1]
    assert against_widest.saving("area").verdict == "2.9 % more"  # 3.5 against 3.4 mm²
    assert against_widest.saving("energy").verdict == "11 % less"  # 8 against 9 mJ
    assert against_widest.saving("latency").verdict == "the same"


def test_a_baseline_of_no_cost_changes_nothing() -> None:
    assert Saving("energy", Unit.ENERGY, 0.0, 0.0).change == 0.0


def test_scopes_nest() -> None:
    counted = [{c for c in Component if scope.includes(c.value)} for scope in Scope]
    assert counted[0] > counted[1] > counted[2]
    assert counted[0] == set(Component)
    assert counted[0] - counted[1] == {Component.OPERAND_SRAM, Component.DRAM}
    assert Component.MULTIPLIER not in counted[2]


def test_components_keep_the_order_of_the_cost_model(report: ReportData) -> None:
    assert components(report.result) == ("multiplier", "significand_adder", "operand_sram", "dram")


def test_an_unknown_component_is_shown_last(report: ReportData) -> None:
    first, *others = report.result.baselines
    strange = first.model_copy(update={"area_um2": {"flux": 1.0, **first.area_um2}})
    result = report.result.model_copy(update={"baselines": (strange, *others)})
    assert components(result)[-1] == "flux"


def test_the_headline_names_widths_savings_and_verdict(report: ReportData) -> None:
    box = headline(report.result, report.verdict, report.probe_network)
    assert box.tone is Tone.GOOD
    assert box.sentence == (
        "Accumulators of 5–9 mantissa bits (mean over products: 6.2) meet v(n)\u00a0<\u00a050"
        " in all 4 GEMMs of a training step of toy."
    )
    assert [claim.against for claim in box.claims] == ["float32", "widest"]
    assert [saving.verdict for saving in box.claims[0].savings] == [
        "30 % less",
        "20 % less",
        "the same",
        "50 % less",
        "50 % less",
    ]
    assert report.verdict is not None
    assert box.training.startswith(report.verdict.sentence)
    assert "validates the criterion, not the training of toy" in box.training


def test_a_network_that_was_trained_itself_needs_no_such_words(report: ReportData) -> None:
    box = headline(report.result, report.verdict, None)
    assert report.verdict is not None
    assert box.training == report.verdict.sentence


def test_without_a_probe_the_verdict_stays_open(report: ReportData) -> None:
    box = headline(report.result, None, None)
    assert (box.tone, "theory alone" in box.training) == (Tone.OPEN, True)


def test_the_tone_follows_what_training_could_tell(report: ReportData) -> None:
    assert report.verdict is not None
    tones = {
        (kind, resolved): headline(
            report.result,
            report.verdict.model_copy(update={"kind": kind, "resolved": resolved}),
            None,
        ).tone
        for kind in Kind
        for resolved in (True, False)
    }
    assert tones == {
        (Kind.CONFIRMED, True): Tone.GOOD,
        (Kind.CONFIRMED, False): Tone.OPEN,
        (Kind.CONSERVATIVE, True): Tone.GOOD,
        (Kind.CONSERVATIVE, False): Tone.OPEN,
        (Kind.NOT_CONFIRMED, True): Tone.BAD,
        (Kind.NOT_CONFIRMED, False): Tone.BAD,
    }


def test_a_plan_that_fails_its_test_is_not_called_enough(report: ReportData) -> None:
    *others, chosen = report.result.baselines
    failing = (*others, chosen.model_copy(update={"feasible": False}))
    result = report.result.model_copy(update={"baselines": failing})
    assert "do not all meet" in widths_sentence(result)
    assert headline(result, report.verdict, None).tone is Tone.BAD


def test_the_table_has_a_row_per_quantity(report: ReportData) -> None:
    rows = saving_rows(comparisons(report.result))
    assert [name for name, _, _ in rows][::3] == ["area", "energy", "latency"]
    assert all(len(savings) == 3 for _, _, savings in rows)
    assert saving_rows(()) == ()


@pytest.mark.parametrize("scope", Scope)
def test_a_total_is_the_sum_of_what_counts(report: ReportData, scope: Scope) -> None:
    parts = report.result.baselines[0].area_um2
    expected = {Scope.ALL: 5e6, Scope.ARRAY: 3e6, Scope.ACCUMULATION: 2e6}
    assert scope.total(parts) == expected[scope]
