import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from analysis.draws import Stream
from analysis.formats import FloatFormat, Rounding
from models.emulated.arithmetic import Call
from models.files import validated
from models.networks.gemm import Role
from models.plan import Plan
from models.probes import training
from models.probes.arithmetic import arithmetic_at
from models.probes.data import load_digits
from models.probes.records import TrainingRun, TrainingSettings
from models.probes.training import batches, guessing, train
from models.schedules import Schedule

MakePlan = Callable[..., Plan]
SHORT = TrainingSettings(steps=4, check_every=3)


def test_a_seed_gives_the_same_bits_on_any_number_of_threads(make_plan: MakePlan) -> None:
    plan, threads = make_plan(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = train(plan, SHORT, 0, 5)
        torch.set_num_threads(2)
        torch.manual_seed(99)
        assert train(plan, SHORT, 0, 5) == alone
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert train(plan, SHORT, 0, 6).losses != alone.losses


def test_stochastic_rounding_draws_by_seed_step_layer_and_role(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(rounding=Rounding.STOCHASTIC, e_acc=8)
    seeds: list[int] = []

    def recorded(call: Call, role: Role) -> Stream:
        seeds.append(original(call, role).seed)
        return original(call, role)

    original = Call.draws
    monkeypatch.setattr(Call, "draws", recorded)
    steps = TrainingSettings(steps=3, check_every=3)
    run = train(plan, steps, 0, 5)
    # three steps of 11 GEMMs (conv1 has no BWD), and the four FWD of the one check
    assert len(set(seeds)) == len(seeds) == 3 * 11 + 4
    assert train(plan, steps, 0, 5) == run
    assert seeds[:37] == seeds[37:]
    other = make_plan(rounding=Rounding.NEAREST_EVEN, e_acc=8)
    assert train(other, steps, 0, 5).losses != run.losses


def test_a_run_says_what_it_was(make_plan: MakePlan) -> None:
    plan = make_plan()
    run = train(plan, SHORT, -1, 0)
    assert (run.offset, run.seed) == (-1, 0)
    assert run.widths == tuple(max(1, gemm.m_acc - 1) for gemm in plan.gemms)
    assert len(run.losses) == 4
    assert [check.step for check in run.curve] == [3, 4]
    assert run.accuracy == run.curve[-1].accuracy
    assert validated(run.model_dump(mode="json"), TrainingRun) == run


def test_training_learns_in_the_baseline_and_at_the_planned_widths(make_plan: MakePlan) -> None:
    plan = make_plan(batch=16)
    settings = TrainingSettings(steps=40, check_every=40)
    for offset in (None, 0):
        run = train(plan, settings, offset, 0)
        assert run.losses[0] > 1.5  # a guess has ln 10 = 2.3
        assert run.final_loss is not None
        assert run.final_loss < 0.8
        assert run.accuracy > 0.7
        assert not run.diverged


def test_accumulators_too_narrow_for_any_sum_learn_nothing(make_plan: MakePlan) -> None:
    # toward zero in one bit: every term below half the sum is lost
    plan = make_plan(batch=16, chunk=4096, rounding="toward-zero")
    run = train(plan, TrainingSettings(steps=40, check_every=40), -20, 0)
    assert set(run.widths) == {1}
    assert run.accuracy < 0.5
    assert all(math.isfinite(loss) for loss in run.losses)


def test_the_baseline_differs_from_the_plan(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert train(plan, SHORT, None, 0).losses != train(plan, SHORT, 0, 0).losses


def test_a_wide_plan_ends_as_the_baseline(make_plan: MakePlan) -> None:
    # e_acc = 8 and 23 bits in one plain sum is the baseline's accumulator
    plan = make_plan(chunk=4096, e_acc=8)
    wide = plan.with_gemms(gemm.model_copy(update={"m_acc": 23}) for gemm in plan.gemms)
    baseline, found = train(wide, SHORT, None, 0), train(wide, SHORT, 0, 0)
    assert (found.losses, found.curve) == (baseline.losses, baseline.curve)


def test_loss_scaling_is_undone_before_the_update(make_plan: MakePlan) -> None:
    # with 20 mantissa bits the scale, a power of two, changes no bit of the update
    plan = make_plan(batch=4, m_op=20)
    wide = plan.with_gemms(gemm.model_copy(update={"m_acc": 44}) for gemm in plan.gemms)
    runs = [
        train(wide, TrainingSettings(steps=3, loss_scale_log2=scale), 0, 0) for scale in (9, 10)
    ]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-4)


def test_temporal_schedules_move_the_operands(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def recorded(plan: Plan, offset: int | None, step: int, steps: int) -> Any:
        table = arithmetic_at(plan, offset, step, steps)
        operands = table["fc"][Role.FWD].operands
        assert isinstance(operands, FloatFormat)
        seen.append(operands.mantissa_bits)
        return table

    monkeypatch.setattr(training, "arithmetic_at", recorded)
    train(make_plan(schedule=Schedule.PROGRESSIVE), TrainingSettings(steps=8), 0, 0)
    assert seen == [1, 1, 2, 2, 2, 2, 2, 2]  # models/schedules/temporal.py's own example


def test_a_run_that_is_no_longer_finite_stops_and_is_flagged(make_plan: MakePlan) -> None:
    settings = TrainingSettings(steps=50, learning_rate=100.0, momentum=0.99)
    plan = make_plan()
    original = training.update
    steps: list[int] = []

    def overflowing(network: Any, *rest: Any) -> float:
        loss = original(network, *rest)
        steps.append(1)
        if len(steps) == 3:
            with torch.no_grad():
                network.weighted["conv1"].weight[0] = math.inf
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "update", overflowing)
        run = train(plan, settings, 0, 0)
    assert len(run.losses) == 2
    assert run.diverged
    assert run.accuracy == 0.0
    assert TrainingRun.model_validate_json(run.model_dump_json()) == run


def test_every_image_is_drawn_once_before_any_is_drawn_again() -> None:
    drawn = list(batches(images=10, batch=3, steps=6, seed=1))
    assert all(len(batch) == 3 for batch in drawn)
    for shuffle in (drawn[:3], drawn[3:]):
        assert len(set(np.concatenate(shuffle).tolist())) == 9
    assert drawn[0].tolist() != drawn[3].tolist()


def test_a_batch_larger_than_the_data_is_refused(make_plan: MakePlan) -> None:
    with pytest.raises(
        ValueError, match="batch must be at most the 1437 training images, got 2000"
    ):
        train(make_plan(batch=2000), SHORT, 0, 0)


def test_guessing_is_what_a_guess_stays_below() -> None:
    digits = load_digits(360, 0).test.digits
    rng = np.random.default_rng(0)
    guesses = [np.mean(rng.integers(0, 10, 360) == digits) for _ in range(2000)]
    assert 0 <= np.mean(np.array(guesses) > guessing(360)) < 0.01  # 3 deviations: 0.13 %


@pytest.mark.parametrize(
    ("name", "message"),
    [("resnet18-imagenet", r"conv1: input must be"), ("no-such-net", "no such name")],
)
def test_a_network_that_cannot_be_trained_here_is_refused(
    make_plan: MakePlan, name: str, message: str
) -> None:
    plan = make_plan().model_copy(update={"network": name})
    with pytest.raises(ValueError, match=message):
        train(plan, SHORT, 0, 0)
