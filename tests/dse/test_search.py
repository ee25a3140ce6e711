from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from analysis.requirement import min_accumulator_bits
from dse.outcome import baselines, front_trials, outcome
from dse.search import POPULATION, completed, constraints, open_study, parameters, search, suggest
from dse.seeds import Aim, per_layer_least, seeds
from dse.settings import Floor, Settings
from dse.space import MARGINS, Choice, Design, Evaluation, Space
from models.accelerator.spec import Dataflow
from models.networks.gemm import Gemm, Role
from models.networks.loading import load_network
from models.schedules import Schedule, phases

SETTINGS = Settings(network="digits-cnn", trials=60, array_least=8, array_most=32)
SPACE = Space(SETTINGS, load_network("digits-cnn"))
AS_PUBLISHED = Space(SETTINGS.model_copy(update={"floor": Floor.NONE}), SPACE.network)


def quiet(done: int, total: int) -> None:
    pass


def run(journal: Path, trials: int = 60, space: Space = SPACE) -> optuna.Study:
    study = open_study(journal)
    limited = Space(space.settings.model_copy(update={"trials": trials}), space.network)
    search(study, limited, quiet)
    return study


def recorded(study: optuna.Study) -> list[tuple[dict[str, object], list[float]]]:
    return [(trial.params, trial.values) for trial in completed(study)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    return run(tmp_path_factory.mktemp("whole") / "study.journal")


def test_interrupted_search_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, whole: optuna.Study
) -> None:
    for trials in (3, POPULATION + 5, 60):
        stopped = run(tmp_path / "study.journal", trials)
    assert recorded(stopped) == recorded(whole)


def test_search_that_is_cut_off_in_a_trial_keeps_the_others(
    tmp_path: Path, whole: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "study.journal"
    evaluate = Space.evaluate

    def stop_at_the_tenth(space: Space, design: Design) -> Evaluation:
        if len(completed(open_study(journal))) == 10:
            raise KeyboardInterrupt
        return evaluate(space, design)

    monkeypatch.setattr(Space, "evaluate", stop_at_the_tenth)
    with pytest.raises(KeyboardInterrupt):
        run(journal)
    monkeypatch.undo()
    assert len(completed(open_study(journal))) == 10
    assert recorded(run(journal)) == recorded(whole)


def test_journal_with_a_torn_last_line_goes_on(tmp_path: Path, whole: optuna.Study) -> None:
    journal = tmp_path / "study.journal"
    run(journal, POPULATION + 5)
    journal.write_bytes(journal.read_bytes()[:-100])
    assert recorded(run(journal)) == recorded(whole)


@pytest.mark.parametrize("line", [b"not json\n", b"{}\n", b"[1]\n", b"\x8a\xff\n"])
def test_journal_with_other_text_is_named(tmp_path: Path, line: bytes) -> None:
    journal = tmp_path / "study.journal"
    run(journal, 3)
    with journal.open("ab") as file:
        file.write(line)
    with pytest.raises(ValueError, match=r"study\.journal: must be the journal of a search"):
        open_study(journal)


def test_finished_search_draws_no_more(tmp_path: Path) -> None:
    run(tmp_path / "study.journal", 5)
    assert len(run(tmp_path / "study.journal", 5).trials) == 5


def test_other_seed_draws_other_plans(tmp_path: Path, whole: optuna.Study) -> None:
    other = Space(SETTINGS.model_copy(update={"seed": 1}), SPACE.network)
    drawn = recorded(run(tmp_path / "study.journal", 60, other))
    assert drawn[: len(list(seeds(SPACE)))] == recorded(whole)[: len(list(seeds(SPACE)))]
    assert drawn != recorded(whole)


def test_children_come_from_seeds_and_many_are_feasible(whole: optuna.Study) -> None:
    drawn = completed(whole)[len(list(seeds(SPACE))) :]
    feasible = [all(v <= 0 for v in trial.constraints.values()) for trial in drawn]
    assert sum(feasible) >= len(drawn) // 3
    assert not all(feasible)


def test_trial_of_a_design_is_that_design() -> None:
    design = next(seeds(SPACE))
    study = optuna.create_study()
    study.enqueue_trial(parameters(SPACE, design))
    assert suggest(study.ask(), SPACE) == design


def test_front_is_feasible_and_no_member_beats_another(whole: optuna.Study) -> None:
    front = front_trials(whole)
    values = np.array([trial.values for trial in front])
    beats = (values[:, None] <= values).all(axis=2) & (values[:, None] < values).any(axis=2)
    assert not beats.any()
    assert all(max(trial.constraints.values()) <= 0 for trial in front)
    others = [t for t in completed(whole) if max(t.constraints.values()) <= 0]
    for trial in others:
        assert any(np.all(front_values <= trial.values) for front_values in values)


def test_chosen_plan_has_the_least_product_of_the_objectives(whole: optuna.Study) -> None:
    found = outcome(whole, SPACE)
    products = [p.area_mm2 * p.energy_mj * p.latency_ms for p in found.front]
    assert found.front[int(np.argmin(products))].chosen
    assert sum(point.chosen for point in found.front) == 1
    assert sum(found.gemm_energy_pj) * 1e-9 == pytest.approx(
        next(point.energy_mj for point in found.front if point.chosen)
    )


def test_every_gemm_of_the_chosen_plan_is_at_or_above_its_requirement(whole: optuna.Study) -> None:
    found = outcome(whole, SPACE)
    for planned, gemm in zip(found.plan.gemms, SPACE.gemms, strict=True):
        choice = Choice(planned.m_op, planned.chunk, 0, planned.schedule)
        assert planned.m_acc >= SPACE.required(gemm, choice, planned.chunk)
        assert (planned.layer, planned.role, planned.length) == (gemm.layer, gemm.role, gemm.length)


def test_baselines_cost_more_than_the_plan_and_all_are_feasible() -> None:
    design = per_layer_least(SPACE, 4, 4, Dataflow.OUTPUT_STATIONARY)
    found = baselines(SPACE, design)
    float32, widest, uniform, plan = (sum(one.energy_pj.values()) for one in found)
    assert float32 > widest > uniform > plan
    assert all(one.feasible for one in found)
    assert (found[0].m_acc_least, found[0].m_acc_most) == (23, 23)
    # the longest sum, GRAD of conv1, has 64 · 8 · 8 products
    assert found[1].m_acc_most == min_accumulator_bits(4096, 5)


def test_per_layer_least_is_the_least_energy_of_its_array() -> None:
    best = per_layer_least(SPACE, 4, 4, Dataflow.OUTPUT_STATIONARY)
    least = SPACE.evaluate(best).cost.energy_mj
    for place, choice in enumerate(best.choices):
        for chunk in SPACE.chunks:
            changed = list(best.choices)
            changed[place] = choice._replace(chunk=chunk)
            other = type(best)(4, 4, best.dataflow, tuple(changed))
            assert SPACE.evaluate(other).cost.energy_mj >= least * (1 - 1e-12)


def test_aiming_at_width_never_takes_a_wider_accumulator() -> None:
    array = (4, 4, Dataflow.OUTPUT_STATIONARY)
    lean = SPACE.resolve(per_layer_least(SPACE, *array, Aim.WIDTH))
    thrifty = SPACE.resolve(per_layer_least(SPACE, *array, Aim.ENERGY))
    assert all(a.m_acc <= b.m_acc for a, b in zip(lean, thrifty, strict=True))
    assert SPACE.evaluate(per_layer_least(SPACE, *array, Aim.WIDTH)).operand_nmse <= 0.01


def test_one_bit_below_the_theorem_breaks_the_constraint() -> None:
    design = next(seeds(AS_PUBLISHED))
    for margin in MARGINS:
        choices = tuple(choice._replace(margin=margin) for choice in design.choices)
        changed = replace(design, choices=choices)
        distance = constraints(AS_PUBLISHED, AS_PUBLISHED.evaluate(changed))["log_lost"]
        assert (distance > 0) == (margin < 0)


def test_floor_holds_a_product_and_can_be_lifted() -> None:
    array = (4, 4, Dataflow.WEIGHT_STATIONARY)  # chunks of 16, which the theorem gives few bits
    floored = SPACE.resolve(per_layer_least(SPACE, *array))
    assert min(gemm.m_acc - gemm.m_p for gemm in floored) == 0
    published = AS_PUBLISHED.resolve(per_layer_least(AS_PUBLISHED, *array))
    assert min(gemm.m_acc for gemm in published) == 1
    for gemm in published:
        operands = {phase.m_op for phase in phases(gemm.schedule, gemm.m_op)}
        assert gemm.m_acc == max(
            min_accumulator_bits(gemm.length, 2 * m_op + 1, chunk=gemm.chunk) for m_op in operands
        )


def test_width_suffices_at_every_phase_of_a_schedule() -> None:
    # 25,000 products of three mantissa bits need two bits more than as many of five
    assert [min_accumulator_bits(25_000, m_p) for m_p in (3, 5)] == [12, 10]
    gemm = Gemm("long", Role.FWD, rows=1, cols=1, length=25_000, count=1, macs=25_000)
    for schedule in Schedule:
        least = AS_PUBLISHED.required(gemm, Choice(2, 0, 0, schedule), gemm.length)
        assert least == (10 if schedule is Schedule.STATIC else 12)


def test_weight_stationary_array_sums_its_rows_whatever_is_asked() -> None:
    design = per_layer_least(SPACE, 4, 5, Dataflow.WEIGHT_STATIONARY)
    assert {gemm.chunk for gemm in SPACE.resolve(design)} == {9, 10, 16}  # 9: conv1 FWD, 10: fc BWD


def test_operand_limit_that_nothing_meets_is_named() -> None:
    strict = SETTINGS.model_copy(update={"operand_nmse_limit": 1e-9})
    with pytest.raises(ValueError, match="operand_nmse_limit: no operand of 1 to 4 mantissa bits"):
        per_layer_least(Space(strict, SPACE.network), 4, 4, Dataflow.OUTPUT_STATIONARY)


def test_schedules_are_among_the_choices() -> None:
    chosen = {choice.schedule for choice in next(seeds(SPACE)).choices}
    # one bit less for a quarter of the steps: 0.25 · 2.25 % + 0.75 · 0.56 % stays below 1 %
    assert chosen == {Schedule.PROGRESSIVE}
