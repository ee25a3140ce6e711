from collections.abc import Callable
from pathlib import Path

import pytest

from models.files import read_model, write_atomically
from models.plan import Plan
from models.probes import evidence
from models.probes.evidence import TrainingEvidence, training_evidence
from models.probes.records import TrainingRun, TrainingSettings, recipe_of
from models.probes.training import train

MakePlan = Callable[..., Plan]
SETTINGS = TrainingSettings(steps=2, check_every=1, test_images=100)


def known(plan: Plan, offset: int | None, seed: int) -> TrainingRun:
    return TrainingRun(
        recipe=recipe_of(plan, SETTINGS),
        offset=offset,
        seed=seed,
        widths=(1,),
        losses=(1.0,),
        curve=(),
        accuracy=0.5,
        diverged=False,
        test_images=100,
    )


def test_runs_do_not_depend_on_workers_and_are_handed_over_as_they_end(
    make_plan: MakePlan,
) -> None:
    plan = make_plan()
    saved: list[TrainingRun] = []
    progress: list[tuple[int, int]] = []
    found = training_evidence(
        plan,
        SETTINGS,
        offsets=(None, 0),
        seeds=(3, 4),
        workers=2,
        on_run=saved.append,
        on_progress=lambda *at: progress.append(at),
    )
    pairs = [(None, 3), (None, 4), (0, 3), (0, 4)]
    assert [(run.offset, run.seed) for run in found.runs] == pairs
    assert sorted(saved, key=found.runs.index) == list(found.runs)
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.runs[2] == train(plan, SETTINGS, 0, 3)
    assert [one.offset for one in found.summaries] == [None, 0]
    assert found.verdict.difference == pytest.approx(
        sum(run.accuracy for run in found.runs[2:]) / 2
        - sum(run.accuracy for run in found.runs[:2]) / 2
    )


def test_finished_runs_are_not_run_again(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    trained: list[tuple[int | None, int]] = []

    def instead(task: evidence._Task) -> TrainingRun:
        trained.append((task.offset, task.seed))
        return known(plan, task.offset, task.seed)

    monkeypatch.setattr(evidence, "_train", instead)
    progress: list[tuple[int, int]] = []
    before = [known(plan, 0, 1), known(plan, None, 0), known(plan, -7, 9)]
    found = training_evidence(
        plan,
        SETTINGS,
        offsets=(None, 0),
        seeds=(0, 1),
        finished=before,
        on_progress=lambda *at: progress.append(at),
    )
    assert trained == [(None, 1), (0, 0)]
    assert progress == [(3, 4), (4, 4)]
    assert len(found.runs) == 4  # the run that nobody asked for is left out


def test_runs_of_another_plan_or_other_settings_are_refused(make_plan: MakePlan) -> None:
    other = known(make_plan(chunk=64), 0, 1)
    with pytest.raises(ValueError, match=r"offset 0, seed 1\): must be of the recipe \w+ .* got"):
        training_evidence(make_plan(), SETTINGS, finished=[other])
    with pytest.raises(ValueError, match="must be of the recipe"):
        training_evidence(
            make_plan(),
            SETTINGS.model_copy(update={"steps": 3}),
            finished=[known(make_plan(), 0, 1)],
        )


def test_evidence_survives_a_file(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    runs = tuple(known(plan, offset, 0) for offset in (None, 0, -1))
    made = TrainingEvidence(network=plan.network, batch=plan.batch, settings=SETTINGS, runs=runs)
    write_atomically(tmp_path / "training.json", made.model_dump_json(indent=1))
    read = read_model(tmp_path / "training.json", TrainingEvidence)
    assert read == made
    assert read.verdict == made.verdict


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        TrainingSettings(steps=0)
