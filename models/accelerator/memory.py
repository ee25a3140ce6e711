"""On-chip memory: energy per bit, and area."""

import numpy as np

from models.accelerator import technology as tech


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
