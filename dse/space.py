"""The design space: an array, and a choice for every distinct GEMM of a network.

GEMMs of one shape have one requirement and one cost, so they share one choice; nothing is lost,
because the objectives add over GEMMs. A choice says how many bits the accumulator has *above* the
requirement, not how many it has: then a change of chunk or operand carries the width along, and
crossing two feasible plans gives a feasible plan.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analysis.noise_laws import operand_nmse
from analysis.requirement import Sought, Theorem
from analysis.retention import log_variance_lost_chunked
from dse.settings import Floor, Settings
from models.accelerator.cost import GemmArrays, hardware_chunk
from models.accelerator.spec import Accelerator, Dataflow
from models.costing import Choices, Floats, Ints, PlanCost, phase_table, total_cost
from models.networks.gemm import Gemm
from models.networks.network import Network
from models.plan import GemmPlan, Plan
from models.requirements import cached_least_bits
from models.schedules import Schedule, phases

#: products per inner sum that an output-stationary array may be asked for; 0 is one plain sum
CHUNKS = (0, 16, 32, 64, 128, 256)
#: bits above the requirement; −1 lies outside what the theorem accepts
MARGINS = (-1, 0, 1, 2)


class Choice(NamedTuple):
    """What one distinct GEMM runs with."""

    m_op: int
    chunk: int  #: asked for; the array may have another
    margin: int
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Group:
    """The GEMMs of one shape, by their places in the network's order."""

    name: str  #: of the first, "layer/ROLE"
    gemm: Gemm
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """A point of the space."""

    log2_rows: int
    log2_cols: int
    dataflow: Dataflow
    choices: tuple[Choice, ...]  #: one per group


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A design's objectives and how far it is from its limits."""

    cost: PlanCost
    log_lost: float  #: largest ln v of any GEMM
    operand_nmse: float  #: largest of any GEMM, averaged over its schedule

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Area in mm², energy in mJ and latency in ms of one step; all to be minimised."""
        return (self.cost.area_mm2, self.cost.energy_mj, self.cost.latency_ms)


@dataclass(frozen=True)
class Space:
    """The designs for one network under given settings."""

    settings: Settings
    network: Network

    @cached_property
    def batch(self) -> int:
        """Samples per step."""
        return self.settings.batch or self.network.default_batch

    @cached_property
    def gemms(self) -> tuple[Gemm, ...]:
        """Every GEMM of the step, in the network's order."""
        return self.network.gemms(self.batch)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The distinct GEMMs, in order of first appearance."""
        places: dict[object, list[int]] = {}
        for place, gemm in enumerate(self.gemms):
            places.setdefault(gemm.shape, []).append(place)
        return tuple(
            Group(
                f"{self.gemms[at[0]].layer}/{self.gemms[at[0]].role}", self.gemms[at[0]], tuple(at)
            )
            for at in places.values()
        )

    @cached_property
    def arrays(self) -> GemmArrays:
        """The distinct GEMMs as arrays."""
        return GemmArrays.of([group.gemm for group in self.groups])

    @cached_property
    def times(self) -> Ints:
        """How often each distinct GEMM runs in a step."""
        return np.array([len(group.places) for group in self.groups], dtype=np.int64)

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Chunks that make a difference to some GEMM."""
        longest = max(gemm.length for gemm in self.gemms)
        return tuple(chunk for chunk in CHUNKS if chunk < longest)

    @property
    def m_ops(self) -> range:
        """Operand mantissas to choose from."""
        return range(self.settings.m_op_least, self.settings.m_op_most + 1)

    def accelerator(self, design: Design) -> Accelerator:
        """The hardware of a design."""
        s = self.settings
        return Accelerator(
            rows=2**design.log2_rows,
            cols=2**design.log2_cols,
            dataflow=design.dataflow,
            e_op=s.e_op,
            e_acc=s.e_acc,
            sram_kib=s.sram_kib,
            # a larger array needs a larger memory: one 32-bit sum per PE
            accumulator_kib=max(s.accumulator_kib, 2 ** (design.log2_rows + design.log2_cols - 8)),
            dram_gb_per_s=s.dram_gb_per_s,
            clock_mhz=s.clock_mhz,
        )

    def required(self, gemm: Gemm, choice: Choice, inner: int) -> int:
        """Least m_acc for operands at every phase of the schedule, summed in runs of ``inner``.

        The theorem's width and the choice's margin, but not below the floor: that of the widest
        product.
        """
        s = self.settings
        least = max(
            cached_least_bits(
                Sought(gemm.length, 2 * phase.m_op + 1, inner, s.density), Theorem(s.cutoff)
            )
            for phase in phases(choice.schedule, choice.m_op)
        )
        floor = 2 * choice.m_op + 1 if s.floor is Floor.PRODUCT else 1
        return max(floor, least + choice.margin)

    def resolve(self, design: Design) -> tuple[GemmPlan, ...]:
        """What each distinct GEMM really runs with."""
        accelerator = self.accelerator(design)
        return tuple(
            self.resolve_one(accelerator, group.gemm, choice)
            for group, choice in zip(self.groups, design.choices, strict=True)
        )

    def resolve_one(self, accelerator: Accelerator, gemm: Gemm, choice: Choice) -> GemmPlan:
        """One GEMM's width from its requirement, and its chunk from the hardware."""
        inner = hardware_chunk(accelerator, gemm.length, choice.chunk)
        return GemmPlan(
            layer=gemm.layer,
            role=gemm.role,
            length=gemm.length,
            m_op=choice.m_op,
            m_acc=self.required(gemm, choice, inner),
            chunk=inner,
            schedule=choice.schedule,
        )

    def plan(self, design: Design) -> Plan:
        """The design as a plan for every GEMM of the network."""
        resolved = self.resolve(design)
        placed = {
            place: gemm
            for group, gemm in zip(self.groups, resolved, strict=True)
            for place in group.places
        }
        return Plan(
            network=self.network.name,
            batch=self.batch,
            density=self.settings.density,
            cutoff=self.settings.cutoff,
            rounding=self.settings.rounding,
            accelerator=self.accelerator(design),
            gemms=tuple(
                placed[place].model_copy(update={"layer": gemm.layer})
                for place, gemm in enumerate(self.gemms)
            ),
        )

    def evaluate(self, design: Design) -> Evaluation:
        """Objectives and limits of a design."""
        return self.evaluate_resolved(self.accelerator(design), self.resolve(design))

    def evaluate_resolved(
        self, accelerator: Accelerator, resolved: tuple[GemmPlan, ...]
    ) -> Evaluation:
        """The same for widths that need not come from a design: one entry per distinct GEMM."""
        choices = Choices.of(resolved)
        return Evaluation(
            total_cost(self.arrays, self.times, accelerator, choices),
            self._log_lost(resolved, choices),
            float(mean_operand_nmse(choices).max()),
        )

    def _log_lost(self, resolved: tuple[GemmPlan, ...], choices: Choices) -> float:
        """Largest ln v over GEMMs and the phases of their schedules."""
        widths, _ = phase_table(choices.schedule, choices.m_op)
        sums = np.array([(g.length, g.chunk) for g in resolved])[..., None]
        lost = log_variance_lost_chunked(
            choices.m_acc[:, None],
            2 * widths + 1,
            sums[:, 0],
            sums[:, 1],
            density=self.settings.density,
        )
        return float(lost.max())


def mean_operand_nmse(choices: Choices) -> Floats:
    """Noise of operand rounding, averaged over the phases of each schedule."""
    widths, shares = phase_table(choices.schedule, choices.m_op)
    return np.asarray((operand_nmse(widths) * shares).sum(axis=-1))
