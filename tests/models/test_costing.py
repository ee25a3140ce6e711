import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.accelerator.cost import GemmArrays, gemm_cost
from models.accelerator.spec import Accelerator
from models.costing import Choices, phase_table, plan_cost, step_cost, total_cost
from models.networks.loading import load_network
from models.plan import GemmPlan, Plan
from models.schedules import Schedule, phases

NETWORK = load_network("digits-cnn")
GEMMS = NETWORK.gemms()


def digits_plan(m_acc: int = 7, schedule: Schedule = Schedule.STATIC, m_op: int = 2) -> Plan:
    return Plan(
        network=NETWORK.name,
        batch=NETWORK.default_batch,
        density=1.0,
        cutoff=50.0,
        accelerator=Accelerator(rows=16, cols=16),
        gemms=tuple(
            GemmPlan(
                layer=gemm.layer,
                role=gemm.role,
                length=gemm.length,
                m_op=m_op,
                m_acc=m_acc,
                chunk=min(64, gemm.length),
                schedule=schedule,
            )
            for gemm in GEMMS
        ),
    )


@pytest.mark.parametrize("schedule", Schedule)
def test_scheduled_cost_is_the_share_weighted_cost_of_its_phases(schedule: Schedule) -> None:
    cost = plan_cost(digits_plan(schedule=schedule, m_op=3), GEMMS)
    parts = [
        (phase.share, plan_cost(digits_plan(m_op=phase.m_op), GEMMS))
        for phase in phases(schedule, 3)
    ]
    energy_mj = sum(share * part.energy_mj for share, part in parts)
    latency_s = sum(share * part.latency_s for share, part in parts)
    assert cost.energy_mj == pytest.approx(energy_mj, rel=1e-12)
    assert cost.latency_s == pytest.approx(latency_s, rel=1e-12)


@settings(max_examples=25)
@given(st.data())
def test_counting_equal_gemms_once_times_their_number_changes_nothing(data: st.DataObject) -> None:
    repeats = [data.draw(st.integers(1, 4)) for _ in GEMMS]
    one = Choices.of(digits_plan().gemms)
    spread = np.repeat(np.arange(len(GEMMS)), repeats)
    many = Choices(*(getattr(one, name)[spread] for name in ("m_op", "m_acc", "chunk", "schedule")))
    array = Accelerator(rows=16, cols=16)
    folded = total_cost(GemmArrays.of(GEMMS), np.array(repeats), array, one)
    ones = np.ones(len(spread), dtype=np.int64)
    unfolded = total_cost(GemmArrays.of([GEMMS[i] for i in spread]), ones, array, many)
    assert folded.energy_mj == pytest.approx(unfolded.energy_mj, rel=1e-12)
    assert folded.latency_s == pytest.approx(unfolded.latency_s, rel=1e-12)
    assert folded.area_um2 == unfolded.area_um2


def test_static_cost_is_that_of_the_accelerator_model() -> None:
    plan = digits_plan()
    choices = Choices.of(plan.gemms)
    direct = gemm_cost(GemmArrays.of(GEMMS), plan.accelerator, 2, 7, choices.chunk)
    table = step_cost(GemmArrays.of(GEMMS), plan.accelerator, choices)
    assert np.allclose(table.energy_total_pj, direct.energy_total_pj, rtol=1e-12)
    assert np.allclose(table.latency_s, direct.latency_s, rtol=1e-12)
    assert np.array_equal(table.cycles, direct.cycles)


def test_total_is_the_sum_over_components_and_over_gemms() -> None:
    cost = plan_cost(digits_plan(), GEMMS)
    assert sum(cost.energy_pj.values()) == pytest.approx(sum(cost.gemm_energy_pj), rel=1e-12)
    assert cost.energy_mj == pytest.approx(sum(cost.energy_pj.values()) * 1e-9)
    assert cost.area_mm2 == pytest.approx(sum(cost.area_um2.values()) * 1e-6)


def test_area_follows_the_widest_accumulator_and_energy_each_one() -> None:
    narrow, wide = digits_plan(6), digits_plan(9)
    mixed = wide.model_copy(update={"gemms": (*narrow.gemms[:-1], wide.gemms[-1])})
    costs = [plan_cost(plan, GEMMS) for plan in (narrow, mixed, wide)]
    assert costs[1].area_um2 == costs[2].area_um2
    assert costs[0].energy_mj < costs[1].energy_mj < costs[2].energy_mj


def test_padding_phases_have_no_share() -> None:
    widths, shares = phase_table(np.array([Schedule.STATIC], dtype=object), np.array([3]))
    assert widths.tolist() == [[3, 3]]
    assert shares.tolist() == [[1.0, 0.0]]


def test_plan_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="its GEMMs must be the network's at batch 64"):
        plan_cost(digits_plan(), GEMMS[:-1])
