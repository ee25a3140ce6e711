"""The area of the whole chip, by component."""

from typing import assert_never

import numpy as np

from models.accelerator import technology as tech
from models.accelerator.components import Component
from models.accelerator.gemms import FloatArray
from models.accelerator.mac import mac_logic_um2, operand_bits, sum_bits
from models.accelerator.memory import sram_um2
from models.accelerator.options import check_m_acc, check_m_op
from models.accelerator.spec import NOMINAL_SUM_BITS, Accelerator, Dataflow
from models.accelerator.units import plain_adder


def area_um2(
    accelerator: Accelerator, m_op_max: int, m_acc_max: int, chunked: bool
) -> dict[str, float]:
    """Area by component of hardware for these widest widths; the chip's is the sum of the values.

    ``chunked`` provisions an output-stationary array for chunk sums: a shift-out register per PE,
    an outer adder per column and the accumulator memory. A weight-stationary array has adders and
    memory anyway. DRAM is off chip.
    """
    m_op = check_m_op(m_op_max).astype(np.float64)
    m_acc = check_m_acc(m_acc_max).astype(np.float64)
    pes = accelerator.rows * accelerator.cols
    width_bits = float(sum_bits(accelerator, m_acc))
    logic = mac_logic_um2(accelerator, m_op, m_acc)
    areas = {part: pes * float(area) for part, area in logic.items()} | {
        Component.ACCUMULATOR_REGISTERS: pes * width_bits * tech.REGISTER_UM2_PER_BIT,
        Component.OPERAND_REGISTERS: pes
        * _operand_register_um2(accelerator, float(operand_bits(accelerator, m_op))),
        Component.OUTER_ADDER: _outer_adder_um2(accelerator, m_acc, chunked),
        Component.PARTIAL_SUMS: _partial_sums_um2(accelerator, width_bits, chunked),
        Component.OPERAND_SRAM: sram_um2(accelerator.sram_kib),
        Component.DRAM: 0.0,
    }
    return {part.value: areas[part] for part in Component}


def _operand_register_um2(accelerator: Accelerator, width_bits: float) -> float:
    """Two operands per PE; where one stays, a third register for its successor."""
    match accelerator.dataflow:
        case Dataflow.OUTPUT_STATIONARY:
            words = 2
        case Dataflow.WEIGHT_STATIONARY:
            words = 3
        case _:
            assert_never(accelerator.dataflow)
    return words * width_bits * tech.REGISTER_UM2_PER_BIT


def _adds_chunk_sums(accelerator: Accelerator, chunked: bool) -> bool:
    return chunked or accelerator.dataflow is Dataflow.WEIGHT_STATIONARY


def _outer_adder_um2(accelerator: Accelerator, m_acc: FloatArray, chunked: bool) -> float:
    if not _adds_chunk_sums(accelerator, chunked):
        return 0.0
    adder = plain_adder(np.asarray(float(accelerator.e_acc)), m_acc)
    return accelerator.cols * float(adder.area_um2)


def _partial_sums_um2(accelerator: Accelerator, width_bits: float, chunked: bool) -> float:
    """A register at each column's foot, shift-out registers, and banks of accumulator memory."""
    registers = accelerator.cols
    if chunked and accelerator.dataflow is Dataflow.OUTPUT_STATIONARY:
        registers += accelerator.rows * accelerator.cols
    area = registers * width_bits * tech.REGISTER_UM2_PER_BIT
    if _adds_chunk_sums(accelerator, chunked):
        bank_kib = accelerator.accumulator_kib / accelerator.cols * width_bits / NOMINAL_SUM_BITS
        area += accelerator.cols * sram_um2(bank_kib)
    return area
