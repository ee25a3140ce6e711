"""On-chip and off-chip memory: energy per bit, area, and what a GEMM moves over the chip's edge."""

import numpy as np

from models.accelerator import technology as tech
from models.accelerator.gemms import FloatArray, GemmArrays


def sram_pj_per_bit(kib: float) -> float:
    """Horowitz' law ``10 pJ √(KiB / 8)`` per 64 bits, for reads and writes alike.

    One word width for all memories. Also used below 8 KiB: at 1 KiB, a CACTI read is 0.4 of it.

    >>> sram_pj_per_bit(8) * 64
    10.0
    """
    return tech.SRAM_PJ_PER_64_BITS_AT_8_KIB / 64 * float(np.sqrt(kib / 8))


def sram_um2(kib: float) -> float:
    """CACTI's law ``3471 KiB^0.98``.

    >>> sram_um2(1)
    3471.0
    """
    return float(tech.SRAM_UM2_AT_1_KIB * kib**tech.SRAM_AREA_EXPONENT)


def dram_input_bits(gemms: GemmArrays, operand_bits: FloatArray, sram_bits: int) -> FloatArray:
    """Operand bits read from DRAM per GEMM, over all ``count`` products.

    Half of the SRAM holds a panel of one operand; the other operand streams past once per panel:
    ``min(A + ⌈A / P⌉ B, B + ⌈B / P⌉ A)`` with ``P`` half the SRAM. A panel of less than one row
    or column of the operand is priced as if it could be split.
    """
    panel_bits = sram_bits / 2
    a_bits = gemms.rows * gemms.length * operand_bits
    b_bits = gemms.length * gemms.cols * operand_bits
    a_resident = a_bits + np.ceil(a_bits / panel_bits) * b_bits
    b_resident = b_bits + np.ceil(b_bits / panel_bits) * a_bits
    return np.minimum(a_resident, b_resident) * gemms.count


def output_bits(gemms: GemmArrays, operand_bits: FloatArray) -> FloatArray:
    """Result bits per GEMM: outputs leave the array at the operands' width."""
    elements = gemms.count * gemms.rows * gemms.cols
    return operand_bits * elements
