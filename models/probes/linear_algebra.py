"""What one GEMM of a probe computes with, taken from the plan; NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.emulation import matmul
from analysis.formats import Accumulator, FloatFormat, float_format
from analysis.operands import quantize_float32
from analysis.rounding import quantize
from models.networks.gemm import Role
from models.plan import GemmPlan, Plan
from models.schedules import operand_bits

Array = npt.NDArray[Any]

#: accumulators of the baseline: float32, one plain sum, to nearest
BASELINE = Accumulator(float_format(8, 23))


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operand format and accumulator of one GEMM at one training step."""

    operands: FloatFormat
    accumulator: Accumulator

    def quantized(self, x: Array) -> Array:
        """``x`` (float32 or float64) rounded to nearest even to the operand format."""
        if x.dtype == np.float32:
            return quantize_float32(x, self.operands)
        return quantize(x, self.operands)

    def product(self, a: Array, b: Array) -> Array:
        """Operands that are quantised already, multiplied and summed; in their own type.

        A sum wider than that type is rounded to it, as it leaves the accumulator.
        """
        return matmul(a, b, self.accumulator).astype(a.dtype)


#: by role, of one layer
LayerArithmetic = Mapping[Role, Arithmetic]


def accumulator_of(plan: Plan, gemm: GemmPlan, offset: int | None) -> Accumulator:
    """The accumulator of ``gemm`` at ``offset``; None is the baseline's."""
    return BASELINE if offset is None else plan.accumulator(gemm, offset)


def widths(plan: Plan, offset: int | None) -> tuple[int, ...]:
    """Mantissa bits that the accumulators really have at ``offset``, in the plan's order."""
    return tuple(accumulator_of(plan, gemm, offset).format.mantissa_bits for gemm in plan.gemms)


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
            plan.operands(m_op), accumulator_of(plan, gemm, offset)
        )
    return table
