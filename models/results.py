"""What a search found, as records that are stored and reported."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from models.plan import Plan

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FrontPoint(BaseModel):
    """A plan that no other plan of the search beats in area, energy and latency at once."""

    model_config = _FROZEN

    trial: int
    area_mm2: float
    energy_mj: float
    latency_ms: float
    log_lost_max: float  #: largest ln v of any GEMM
    operand_nmse_max: float  #: largest operand noise of any GEMM, averaged over its schedule
    rows: int
    cols: int
    dataflow: str
    m_acc_least: int
    m_acc_mean: float  #: weighted by MACs
    m_acc_most: int
    m_op_most: int
    chunks: str  #: the distinct chunks, "whole" for plain sums
    schedules: str
    chosen: bool


class Baseline(BaseModel):
    """A way of setting the accumulators, costed on the chosen plan's array and operands."""

    model_config = _FROZEN

    name: str
    explanation: str
    m_acc_least: int
    m_acc_most: int
    feasible: bool  #: every GEMM meets v(n) < cutoff
    area_um2: dict[str, float]  #: by component
    energy_pj: dict[str, float]  #: one training step, by component
    latency_ms: float

    @property
    def area_mm2(self) -> float:
        """Area of the chip, in mm²."""
        return sum(self.area_um2.values()) * 1e-6

    @property
    def energy_mj(self) -> float:
        """Energy of one step, in mJ."""
        return sum(self.energy_pj.values()) * 1e-9


class SearchResult(BaseModel):
    """The front, the chosen plan, why it was chosen, and what it is compared with."""

    model_config = _FROZEN

    front: tuple[FrontPoint, ...]
    plan: Plan
    why: str
    baselines: tuple[Baseline, ...]  #: the chosen plan last
    gemm_energy_pj: tuple[float, ...]  #: of the chosen plan, in its order
    trials: int
    feasible_trials: int
    seed: int

    @model_validator(mode="after")
    def _parts_belong_together(self) -> Self:
        chosen = sum(point.chosen for point in self.front)
        if chosen != 1:
            raise ValueError(f"front: exactly one plan must be chosen, got {chosen}")
        if not self.baselines:
            raise ValueError("baselines: at least one is needed, got none")
        if len(self.gemm_energy_pj) != len(self.plan.gemms):
            raise ValueError(
                f"gemm_energy_pj: must have one value for each of the plan's {len(self.plan.gemms)}"
                f" GEMMs, got {len(self.gemm_energy_pj)}"
            )
        return self
