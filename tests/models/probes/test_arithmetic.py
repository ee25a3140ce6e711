from collections.abc import Callable

import pytest

from analysis.formats import Accumulator, Rounding, float_format
from models.networks.gemm import Role
from models.plan import Plan
from models.probes.arithmetic import arithmetic_at, widths
from models.schedules import Schedule, operand_bits

MakePlan = Callable[..., Plan]


@pytest.mark.parametrize("schedule", Schedule)
def test_operands_follow_the_schedule_and_accumulators_the_plan(
    make_plan: MakePlan, schedule: Schedule
) -> None:
    plan = make_plan(schedule=schedule, rounding=Rounding.TOWARD_ZERO)
    for step in range(20):
        table = arithmetic_at(plan, -1, step, 20)
        for gemm in plan.gemms:
            one = table[gemm.layer][gemm.role]
            assert one.operands == float_format(5, operand_bits(schedule, 2, step, 20))
            assert one.accumulator == plan.accumulator(gemm, -1)
            assert one.accumulator.rounding is Rounding.TOWARD_ZERO


def test_baseline_differs_in_accumulation_alone(make_plan: MakePlan) -> None:
    plan = make_plan(rounding=Rounding.TOWARD_ZERO)
    planned, baseline = (arithmetic_at(plan, offset, 3, 10) for offset in (0, None))
    for layer, roles in planned.items():
        for role, one in roles.items():
            assert baseline[layer][role].operands == one.operands
            assert baseline[layer][role].accumulator == Accumulator(float_format(8, 23))


def test_widths_are_the_real_ones(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert widths(plan, 0) == tuple(gemm.m_acc for gemm in plan.gemms)
    assert widths(plan, -1) == tuple(max(1, gemm.m_acc - 1) for gemm in plan.gemms)
    assert set(widths(plan, None)) == {23}


def test_every_role_of_every_layer_has_its_arithmetic(make_plan: MakePlan) -> None:
    table = arithmetic_at(make_plan(), 0, 0, 1)
    assert set(table["conv1"]) == {Role.FWD, Role.GRAD}  # nothing before it learns
    assert set(table["fc"]) == {Role.FWD, Role.BWD, Role.GRAD}
