"""Energy, cycles and latency of GEMMs on an accelerator, vectorised over plans; and its area."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.accelerator import technology as tech
from models.accelerator.array import area_um2
from models.accelerator.components import Component
from models.accelerator.dataflow import Counts, counts, hardware_chunk
from models.accelerator.dram import dram_input_bits, output_bits
from models.accelerator.gemms import FloatArray, GemmArrays, IntArray
from models.accelerator.mac import mac_logic_pj, operand_bits, sum_bits
from models.accelerator.memory import sram_pj_per_bit
from models.accelerator.options import check_chunk, check_m_acc, check_m_op, line_up
from models.accelerator.spec import Accelerator
from models.accelerator.units import plain_adder

__all__ = ["Component", "CostTable", "GemmArrays", "area_um2", "gemm_cost", "hardware_chunk"]

REGISTER_PJ_PER_BIT = tech.REGISTER_FJ_PER_BIT * 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class CostTable:
    """Cost per GEMM (axis 0) and option (further axes); every array has the same shape."""

    cycles: IntArray  #: of the array, without waiting for DRAM
    energy_pj: dict[str, FloatArray]  #: by the values of ``Component``
    latency_s: FloatArray  #: the longer of computing and moving data to and from DRAM

    @property
    def energy_total_pj(self) -> FloatArray:
        """All components together."""
        total = np.zeros(self.cycles.shape)
        for energy_pj in self.energy_pj.values():
            total += energy_pj
        return total

    def summed(self) -> "CostTable":
        """One training step (or inference, for FWD alone): the GEMMs run one after another."""
        energy_pj = {part: values.sum(axis=0) for part, values in self.energy_pj.items()}
        return CostTable(self.cycles.sum(axis=0), energy_pj, self.latency_s.sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """GEMMs with the widths that they run at, and what the dataflow makes of them."""

    gemms: GemmArrays
    accelerator: Accelerator
    m_op: FloatArray
    m_acc: FloatArray
    counts: Counts
    dram_in_bits: FloatArray
    out_bits: FloatArray


def gemm_cost(
    gemms: GemmArrays,
    accelerator: Accelerator,
    m_op: npt.ArrayLike,
    m_acc: npt.ArrayLike,
    chunk: npt.ArrayLike,
) -> CostTable:
    """Cost of every GEMM at every combination of widths and chunk given for it.

    ``m_op``, ``m_acc`` and ``chunk`` (0: unchunked) are integers: scalars, ``(G,)``, or
    ``(G, options)`` and ``(1, options)`` with alternatives on trailing axes. A weight-stationary
    array ignores ``chunk``: see ``hardware_chunk``.

    Raises:
        TypeError: a width or chunk is not an integer.
        ValueError: a width or chunk is out of range, or axis 0 is not the GEMMs.
    """
    options = check_m_op(m_op), check_m_acc(m_acc), check_chunk(chunk)
    run = _run(accelerator, *line_up(gemms, *options))
    return _cost_table(run)


def _run(accelerator: Accelerator, gemms: GemmArrays, options: tuple[IntArray, ...]) -> _Run:
    m_op, m_acc, chunk = options
    widths = m_op.astype(np.float64), m_acc.astype(np.float64)
    word_bits = operand_bits(accelerator, widths[0])
    return _Run(
        gemms,
        accelerator,
        *widths,
        counts(gemms, accelerator, chunk),
        dram_input_bits(gemms, accelerator, word_bits),
        output_bits(gemms, word_bits),
    )


def _cost_table(run: _Run) -> CostTable:
    parts = _mac_energy(run) | _array_energy(run) | _memory_energy(run)
    latency_s = _latency_s(run)
    shape = np.broadcast_shapes(latency_s.shape, *(values.shape for values in parts.values()))
    return CostTable(
        np.broadcast_to(run.counts.cycles, shape),
        {part.value: np.broadcast_to(parts[part], shape) for part in Component},
        np.broadcast_to(latency_s, shape),
    )


def _mac_energy(run: _Run) -> dict[Component, FloatArray]:
    per_mac_pj = mac_logic_pj(run.accelerator, run.m_op, run.m_acc)
    return {part: run.gemms.macs * energy for part, energy in per_mac_pj.items()}


def _array_energy(run: _Run) -> dict[Component, FloatArray]:
    """Registers in the PEs and the adders at the columns' foot."""
    register_pj = REGISTER_PJ_PER_BIT * sum_bits(run.accelerator, run.m_acc)
    operand_pj = REGISTER_PJ_PER_BIT * operand_bits(run.accelerator, run.m_op)
    adder = plain_adder(np.asarray(float(run.accelerator.e_acc)), run.m_acc)
    return {
        Component.ACCUMULATOR_REGISTERS: run.counts.accumulator_writes * register_pj,
        Component.OPERAND_REGISTERS: run.counts.operand_writes * operand_pj,
        Component.OUTER_ADDER: run.counts.outer_adds * adder.energy_pj,
    }


def _memory_energy(run: _Run) -> dict[Component, FloatArray]:
    """Sums on their way out and in accumulator memory; operands in SRAM; the chip's edge."""
    array = run.accelerator
    bank_pj = sram_pj_per_bit(array.accumulator_kib / array.cols)
    accesses = run.counts.sum_writes + run.counts.sum_reads
    per_sum_bit_pj = accesses * bank_pj + run.counts.column_writes * REGISTER_PJ_PER_BIT
    reads_bits = run.counts.operand_reads * operand_bits(array, run.m_op)
    # inputs are written once on arrival, outputs written and read once
    sram_bits = reads_bits + run.dram_in_bits + 2 * run.out_bits
    return {
        Component.PARTIAL_SUMS: per_sum_bit_pj * sum_bits(array, run.m_acc),
        Component.OPERAND_SRAM: sram_bits * sram_pj_per_bit(array.sram_kib),
        Component.DRAM: (run.dram_in_bits + run.out_bits) * tech.DRAM_PJ_PER_BIT,
    }


def _latency_s(run: _Run) -> FloatArray:
    compute_s = run.counts.cycles / (run.accelerator.clock_mhz * 1e6)
    moving_s = (run.dram_in_bits + run.out_bits) / (run.accelerator.dram_gb_per_s * 8e9)
    return np.maximum(compute_s, moving_s)
