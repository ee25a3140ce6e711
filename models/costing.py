"""What a plan costs on its accelerator: area, energy and latency of one training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.accelerator.cost import CostTable, GemmArrays, area_um2, gemm_cost
from models.accelerator.spec import Accelerator
from models.networks.gemm import Gemm
from models.plan import GemmPlan, Plan
from models.schedules import Schedule, phases

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: most phases that any schedule has
_PHASES = max(len(phases(schedule, 4)) for schedule in Schedule)


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What each GEMM runs with, as arrays of one shape: ``(G,)``, or ``(G, options)``."""

    m_op: Ints  #: at full precision
    m_acc: Ints
    chunk: Ints  #: 0 for one plain sum
    schedule: npt.NDArray[np.object_]

    @classmethod
    def of(cls, gemms: Sequence[GemmPlan]) -> "Choices":
        """The choices of a plan's GEMMs, in its order."""
        rows = [(g.m_op, g.m_acc, g.chunk if g.chunk < g.length else 0) for g in gemms]
        schedules = np.array([gemm.schedule for gemm in gemms], dtype=object)
        m_op, m_acc, chunk = np.array(rows, dtype=np.int64).T
        return cls(m_op, m_acc, chunk, schedules)


@dataclass(frozen=True, slots=True)
class PlanCost:
    """A plan's cost; energies and areas by component."""

    area_um2: Mapping[str, float]
    energy_pj: Mapping[str, float]
    latency_s: float
    gemm_energy_pj: tuple[float, ...]  #: in the plan's order

    @property
    def area_mm2(self) -> float:
        """Area of the chip, in mm²."""
        return sum(self.area_um2.values()) * 1e-6

    @property
    def energy_mj(self) -> float:
        """Energy of one step, in mJ."""
        return sum(self.energy_pj.values()) * 1e-9

    @property
    def latency_ms(self) -> float:
        """Time of one step, in ms."""
        return self.latency_s * 1e3


def phase_table(schedules: npt.NDArray[np.object_], m_op: Ints) -> tuple[Ints, Floats]:
    """Operand widths and shares of the steps, with the phases on a new last axis.

    Schedules of fewer phases are padded with phases of no share.
    """
    widths = np.repeat(m_op[..., None], _PHASES, axis=-1)
    shares = np.zeros(widths.shape)
    for schedule in Schedule:
        for bits in np.unique(m_op):
            here = (schedules == schedule) & (m_op == bits)
            for index, phase in enumerate(phases(schedule, int(bits))):
                widths[here, index] = phase.m_op
                shares[here, index] = phase.share
    return widths, shares


def step_cost(gemms: GemmArrays, accelerator: Accelerator, choices: Choices) -> CostTable:
    """Cost of every GEMM, averaged over the phases of its schedule; the shape of the choices."""
    widths, shares = phase_table(choices.schedule, choices.m_op)
    table = gemm_cost(
        gemms, accelerator, widths, choices.m_acc[..., None], choices.chunk[..., None]
    )
    return CostTable(
        table.cycles[..., 0],  # the dataflow does not depend on the operand width
        {part: (values * shares).sum(axis=-1) for part, values in table.energy_pj.items()},
        (table.latency_s * shares).sum(axis=-1),
    )


def total_cost(
    gemms: GemmArrays, times: Ints, accelerator: Accelerator, choices: Choices
) -> PlanCost:
    """Cost of a step in which GEMM g runs ``times[g]`` times; choices are ``(G,)``.

    Area is provisioned for the widest operand and accumulator of any GEMM.
    """
    table = step_cost(gemms, accelerator, choices)
    return PlanCost(
        area_um2(
            accelerator,
            int(choices.m_op.max()),
            int(choices.m_acc.max()),
            bool(np.any(choices.chunk > 0)),
        ),
        {part: float(values @ times) for part, values in table.energy_pj.items()},
        float(table.latency_s @ times),
        tuple(table.energy_total_pj.tolist()),
    )


def plan_cost(plan: Plan, gemms: Sequence[Gemm]) -> PlanCost:
    """Cost of a training step of ``gemms``, which must be the plan's own, in its order.

    Raises:
        ValueError: the plan was made for other GEMMs.
    """
    check_same_gemms(plan, gemms)
    once = np.ones(len(gemms), dtype=np.int64)
    return total_cost(GemmArrays.of(gemms), once, plan.accelerator, Choices.of(plan.gemms))


def check_same_gemms(plan: Plan, gemms: Sequence[Gemm]) -> None:
    """Raise ValueError unless the plan has exactly these GEMMs, in this order."""
    planned = [(gemm.layer, gemm.role, gemm.length) for gemm in plan.gemms]
    actual = [(gemm.layer, gemm.role, gemm.length) for gemm in gemms]
    if planned != actual:
        strays = [entry for entry in planned if entry not in set(actual)] or planned[:1]
        layer, role, length = strays[0]
        raise ValueError(
            f"plan for {plan.network}: its GEMMs must be the network's at batch {plan.batch},"
            f" got {layer}/{role} of length {length}"
        )
