"""What each GEMM of a probe computes with, taken from the plan."""

from analysis.formats import Accumulator, FloatFormat, float_format
from models.emulated import Arithmetic
from models.networks.gemm import Role
from models.plan import GemmPlan, Plan
from models.schedules import operand_bits

#: accumulators of the baseline: float32, one plain sum, to nearest
BASELINE = Accumulator(float_format(8, 23))


def accumulator_of(plan: Plan, gemm: GemmPlan, offset: int | None) -> Accumulator:
    """The accumulator of ``gemm`` at ``offset``; None is the baseline's."""
    return BASELINE if offset is None else plan.accumulator(gemm, offset)


def widths(plan: Plan, offset: int | None) -> tuple[int, ...]:
    """Mantissa bits that the accumulators really have at ``offset``, in the plan's order."""
    formats = [accumulator_of(plan, gemm, offset).format for gemm in plan.gemms]
    return tuple(form.mantissa_bits for form in formats if isinstance(form, FloatFormat))


def arithmetic_at(
    plan: Plan, offset: int | None, step: int, steps: int
) -> dict[str, dict[Role, Arithmetic]]:
    """By layer and role, what every GEMM of ``plan`` computes with at ``step`` of ``steps``.

    The baseline has the same operands: accumulation is all that differs.
    """
    table: dict[str, dict[Role, Arithmetic]] = {}
    for gemm in plan.gemms:
        m_op = operand_bits(gemm.schedule, gemm.m_op, step, steps)
        table.setdefault(gemm.layer, {})[gemm.role] = Arithmetic(
            accumulator_of(plan, gemm, offset), plan.operands(m_op)
        )
    return table
