from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.schedules import Schedule, operand_bits, phases
from models.schedules.temporal import CYCLES, PROGRESSIVE_SHARE

schedules = st.sampled_from(list(Schedule))


@given(schedules, st.integers(1, 10))
def test_shares_of_the_phases_add_up_to_the_whole_training(schedule: Schedule, m_op: int) -> None:
    assert sum(phase.share for phase in phases(schedule, m_op)) == 1.0


@given(schedules, st.integers(1, 10), st.integers(1, 500))
def test_no_step_is_wider_than_planned_or_below_one_bit(
    schedule: Schedule, m_op: int, steps: int
) -> None:
    widths = {operand_bits(schedule, m_op, step, steps) for step in range(steps)}
    assert widths <= {max(1, m_op - 1), m_op}


@pytest.mark.parametrize("schedule", Schedule)
def test_shares_count_the_steps_of_a_training(schedule: Schedule) -> None:
    steps = 800
    for phase in phases(schedule, 3):
        spent = sum(operand_bits(schedule, 3, step, steps) == phase.m_op for step in range(steps))
        assert spent / steps == pytest.approx(phase.share, abs=CYCLES / steps)


def test_progressive_starts_narrow_and_ends_at_the_planned_width() -> None:
    widths = [operand_bits(Schedule.PROGRESSIVE, 3, step, 100) for step in range(100)]
    assert widths == [2] * int(100 * PROGRESSIVE_SHARE) + [3] * int(100 * (1 - PROGRESSIVE_SHARE))


def test_cyclic_rises_once_in_every_cycle() -> None:
    widths = [operand_bits(Schedule.CYCLIC, 3, step, 160) for step in range(160)]
    rises = sum(after > before for before, after in pairwise(widths))
    assert rises == CYCLES
    assert widths[-1] == 3


def test_cyclic_spends_half_of_the_steps_at_either_width() -> None:
    assert [phase.share for phase in phases(Schedule.CYCLIC, 3)] == [0.5, 0.5]
