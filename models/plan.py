"""The plan: a width, a chunk and a format for every GEMM, with the hardware it is meant for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from analysis.formats import Accumulator, FloatFormat, Rounding, float_format
from models.accelerator.spec import Accelerator
from models.files import read_model, write_atomically
from models.networks.gemm import Role
from models.schedules import Schedule

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GemmPlan(BaseModel):
    """What one GEMM runs with; ``chunk`` is the inner length n1 that the hardware really has."""

    model_config = _FROZEN

    layer: str = Field(min_length=1, max_length=10_000)
    role: Role
    length: int = Field(ge=1, le=2**40, description="accumulation length n")
    m_op: int = Field(ge=1, le=22, description="operand mantissa bits")
    m_acc: int = Field(ge=1, le=44, description="accumulator mantissa bits")
    chunk: int = Field(ge=1, le=2**40, description="products per inner sum; n is one plain sum")
    schedule: Schedule = Schedule.STATIC

    @model_validator(mode="after")
    def _chunk_fits(self) -> Self:
        if self.chunk > self.length:
            raise ValueError(
                f"{self.layer}/{self.role}: chunk must be at most the length {self.length},"
                f" got {self.chunk}"
            )
        return self

    @property
    def m_p(self) -> int:
        """Mantissa bits of an exact product, 2·m_op + 1."""
        return 2 * self.m_op + 1


class Plan(BaseModel):
    """Widths for every GEMM of ``network`` on ``accelerator``, by the test v(n) < ``cutoff``."""

    model_config = _FROZEN

    kind: Literal["partialsum-plan"] = "partialsum-plan"
    version: Literal[1] = 1
    network: str = Field(min_length=1, max_length=10_000)
    batch: int = Field(ge=1, le=2**31)
    density: float = Field(gt=0.0, le=1.0)
    cutoff: float = Field(gt=1.0)
    rounding: Rounding = Rounding.NEAREST_EVEN
    accelerator: Accelerator
    gemms: tuple[GemmPlan, ...] = Field(min_length=1, max_length=300_000)

    @model_validator(mode="after")
    def _gemms_are_distinct(self) -> Self:
        seen = set()
        for gemm in self.gemms:
            if (gemm.layer, gemm.role) in seen:
                raise ValueError(f"{gemm.layer}/{gemm.role}: stands in the plan twice")
            seen.add((gemm.layer, gemm.role))
        return self

    def operands(self, m_op: int) -> FloatFormat:
        """The operand format with ``m_op`` mantissa bits."""
        return float_format(self.accelerator.e_op, m_op)

    def accumulator(self, gemm: GemmPlan, offset: int = 0) -> Accumulator:
        """What ``gemm`` is summed with, ``offset`` mantissa bits off the plan (at least 1)."""
        return Accumulator(
            float_format(self.accelerator.e_acc, max(1, gemm.m_acc + offset)),
            self.rounding,
            gemm.chunk if gemm.chunk < gemm.length else None,
        )

    def with_gemms(self, gemms: Iterable[GemmPlan]) -> "Plan":
        """The same plan for other GEMMs, checked anew."""
        return Plan.model_validate({**dict(self), "gemms": tuple(gemms)})

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        write_atomically(path, self.model_dump_json(indent=1) + "\n")


def load_plan(path: Path) -> Plan:
    """Read a plan that :meth:`Plan.save` wrote.

    Raises:
        ValueError: one line that names the file, the rule and the value.
    """
    return read_model(path, Plan)
