"""What a GEMM moves over the chip's edge: the cheapest of three schedules.

The array computes ``M × N`` outputs in blocks of ``T_m × T_n`` sums that stay until they are
complete (``block_of_sums``), each from a *tile* of either operand: ``T_m`` rows of A and ``T_n``
columns of B, of full length K. A and B are counted as memory holds them, each value once: a
convolution is unfolded on its way out of the SRAM. A tile is its share of the operand; what
neighbouring windows have in common stays in line buffers and is not fetched again.

- Both stream past, for each block anew: ``A ⌈N/T_n⌉ + B ⌈M/T_m⌉``.
- A stays, panel by panel: ``A + B · panels``. A panel is as many whole tiles as half of the SRAM
  holds. B comes tile by tile; past one tile of A it streams, but for several it must wait in the
  SRAM while one after the other is multiplied, beside the panel.
- B stays: the same with the operands exchanged.
"""

from dataclasses import dataclass

import numpy as np

from models.accelerator.dataflow import block_of_sums
from models.accelerator.gemms import FloatArray, GemmArrays, IntArray
from models.accelerator.spec import Accelerator


@dataclass(frozen=True, slots=True, eq=False)
class _Operand:
    """One factor of a product, as the rows (of A) or columns (of B) that outputs are made of."""

    words: FloatArray  #: distinct ones
    lines: IntArray
    tile: IntArray  #: lines that one block of sums needs, at most ``lines``

    @property
    def tiles(self) -> FloatArray:
        return np.ceil(self.lines / self.tile)


def dram_input_bits(
    gemms: GemmArrays, accelerator: Accelerator, operand_bits: FloatArray
) -> FloatArray:
    """Operand bits read from DRAM per GEMM, over all ``count`` products.

    Never less than each tensor once, nor, for matrices that are not unfolded, more than the array
    reads from its SRAM.
    """
    rows, cols = block_of_sums(gemms, accelerator)
    a = _Operand(gemms.left_elements / gemms.count, gemms.rows, rows)
    b = _Operand(gemms.right_elements / gemms.count, gemms.cols, cols)
    sram_words = np.floor(accelerator.sram_bits / operand_bits)
    streaming = a.words * b.tiles + b.words * a.tiles
    a_stays = a.words + b.words * _panels(a, b, sram_words)
    b_stays = b.words + a.words * _panels(b, a, sram_words)
    words = np.minimum(streaming, np.minimum(a_stays, b_stays))
    return words * (operand_bits * gemms.count)


def _panels(staying: _Operand, passing: _Operand, sram_words: FloatArray) -> FloatArray:
    """Panels that an operand is cut into, and so passes of the other; inf if no tile fits.

    All are of whole tiles. The last one takes the rest, with the operand's last tile, which may be
    a small one, wherever that still fits.
    """
    alone = _lines_in(sram_words / 2, staying)
    beside = _lines_in(sram_words - passing.tile * passing.words / passing.lines, staying)
    last = np.clip(np.minimum(alone, beside), staying.tile, staying.lines)
    others = np.ceil((staying.lines - last) / (np.floor(last / staying.tile) * staying.tile))
    return np.where(alone >= staying.tile, 1 + others, np.inf)


def _lines_in(words: FloatArray, operand: _Operand) -> FloatArray:
    """Whole lines whose share of the operand fits into this many words."""
    return np.floor(words * operand.lines / operand.words)


def output_bits(gemms: GemmArrays, operand_bits: FloatArray) -> FloatArray:
    """Result bits per GEMM: outputs leave the array once, at the operands' width."""
    elements = gemms.count * gemms.rows * gemms.cols
    return operand_bits * elements
