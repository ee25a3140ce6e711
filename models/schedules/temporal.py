"""How the operand mantissa of a GEMM moves over training steps.

The accumulator stays as planned: it is wired for the widest operands that it will meet.
"""

from collections import Counter
from enum import StrEnum
from functools import cache
from typing import NamedTuple, assert_never

#: shortest schedule over which the shares of the phases are counted
_RESOLUTION = 1024
#: share of the steps that a progressive schedule spends one bit lower; FracTrain (Fu et al.,
#: NeurIPS 2020) has four stages that end on a loss criterion, this has two of fixed length
PROGRESSIVE_SHARE = 0.25
#: cycles of a cyclic schedule: CPT (Fu et al., ICLR 2021), section 4.1
CYCLES = 8


class Schedule(StrEnum):
    """How a GEMM's operand mantissa depends on the step."""

    STATIC = "static"  #: m_op throughout
    PROGRESSIVE = "progressive"  #: m_op − 1 in the first quarter of the steps, then m_op
    CYCLIC = "cyclic"  #: eight cosine cycles from m_op − 1 up to m_op


class Phase(NamedTuple):
    """A share of the training steps that is spent at one operand width."""

    share: float
    m_op: int


def operand_bits(schedule: Schedule, m_op: int, step: int, steps: int) -> int:
    """Operand mantissa bits at ``step`` of ``steps``, counted from 0; never below 1.

    >>> [operand_bits(Schedule.PROGRESSIVE, 2, step, 8) for step in range(8)]
    [1, 1, 2, 2, 2, 2, 2, 2]
    """
    lower = max(1, m_op - 1)
    match schedule:
        case Schedule.STATIC:
            return m_op
        case Schedule.PROGRESSIVE:
            return lower if step < PROGRESSIVE_SHARE * steps else m_op
        case Schedule.CYCLIC:
            # a cosine over two neighbouring widths rounds to the lower for half of its rise
            return lower if (step * CYCLES / steps) % 1.0 < 0.5 else m_op
        case _:
            assert_never(schedule)


@cache
def phases(schedule: Schedule, m_op: int) -> tuple[Phase, ...]:
    """The shares of a long training run at each operand width, narrowest first.

    >>> phases(Schedule.PROGRESSIVE, 2)
    (Phase(share=0.25, m_op=1), Phase(share=0.75, m_op=2))
    """
    widths = Counter(operand_bits(schedule, m_op, step, _RESOLUTION) for step in range(_RESOLUTION))
    return tuple(Phase(count / _RESOLUTION, bits) for bits, count in sorted(widths.items()))
