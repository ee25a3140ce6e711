"""Blocks of block floating point as integers in units of their own grids."""

import numpy as np
import numpy.typing as npt

from analysis.emulation.general.sequential import Units
from analysis.formats import BlockFormat, FixedFormat

Floats = npt.NDArray[np.float64]
Exponents = npt.NDArray[np.int64]


def integers(
    left: Floats, panel: Floats, block_format: BlockFormat, run: int
) -> tuple[Floats, Floats, Units]:
    """``left`` (rows, K), ``panel`` (K, columns) in their blocks' units, and the units' exponents.

    Raises:
        ValueError: an element is not finite, is no multiple of its block's grid, or the products of
            a block lie beyond every fixed-point format.
    """
    if not (np.isfinite(left).all() and np.isfinite(panel).all()):
        raise ValueError(f"matmul: operands of {block_format.name} must be finite")
    rows, row_tops = _scaled(left.T, block_format.name, block_format.a_fraction_bits, run)
    columns, column_tops = _scaled(panel, block_format.name, block_format.b_fraction_bits, run)
    for extreme in (np.min, np.max):
        for sums in extreme(row_tops, axis=1) + extreme(column_tops, axis=1):
            block_format.within(int(sums))
    fraction_bits = block_format.a_fraction_bits + block_format.b_fraction_bits
    units = Units(np.ascontiguousarray(row_tops.T) - fraction_bits, column_tops)
    return np.ascontiguousarray(rows.T), columns, units


def unit_format(block_format: BlockFormat) -> FixedFormat:
    """The sum's format in units of the block's grid."""
    return FixedFormat(block_format.name, block_format.width_bits, 0, block_format.overflow)


def _scaled(x: Floats, name: str, fraction_bits: int, run: int) -> tuple[Floats, Exponents]:
    """``x`` in units of 2^(E − fraction bits), E being the largest exponent of a block, and E.

    Blocks are runs along axis 0; E is 0 where all of a block is zero.
    """
    peaks = np.maximum.reduceat(np.abs(x), np.arange(0, x.shape[0], run), axis=0)
    tops = np.where(peaks == 0.0, 0, np.frexp(peaks)[1].astype(np.int64) - 1)
    spread = np.repeat(tops, run, axis=0)[: x.shape[0]]
    units = np.ldexp(x, fraction_bits - spread)
    off = np.argwhere((units != np.rint(units)) | ((units == 0.0) & (x != 0.0)))
    if off.size:
        first = tuple(off[0])
        raise ValueError(
            f"matmul: an element of a block of {name} must be a multiple of"
            f" 2^{spread[first] - fraction_bits}, got {x[first]}"
        )
    return units, tops
