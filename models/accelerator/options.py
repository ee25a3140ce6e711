"""Widths and chunks as checked integer arrays, lined up with the GEMMs they belong to."""

import numpy as np
import numpy.typing as npt

from analysis.formats import MAX_MANTISSA_BITS
from models.accelerator.gemms import GemmArrays, IntArray

#: So that an exact product, 2 m + 1 fraction bits, is no wider than any accumulator.
MAX_OPERAND_MANTISSA_BITS = (MAX_MANTISSA_BITS - 1) // 2
MAX_CHUNK = 1 << 40


def check_m_op(m_op: npt.ArrayLike) -> IntArray:
    """Operand mantissas as integers in range."""
    return _checked("m_op", m_op, MAX_OPERAND_MANTISSA_BITS)


def check_m_acc(m_acc: npt.ArrayLike) -> IntArray:
    """Accumulator mantissas as integers in range."""
    return _checked("m_acc", m_acc, MAX_MANTISSA_BITS)


def check_chunk(chunk: npt.ArrayLike) -> IntArray:
    """Chunks as integers in range; 0 is unchunked."""
    return _checked("chunk", chunk, MAX_CHUNK)


def _checked(name: str, values: npt.ArrayLike, largest: int) -> IntArray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"accelerator cost: {name} must be integers, got {array.dtype}")
    if array.size and not 0 <= (worst := _most_extreme(array, largest)) <= largest:
        raise ValueError(f"accelerator cost: {name} must be in 0..{largest}, got {worst}")
    return array.astype(np.int64, copy=False)


def _most_extreme(array: npt.NDArray[np.integer], largest: int) -> int:
    low, high = int(array.min()), int(array.max())
    return low if low < 0 else high


def line_up(gemms: GemmArrays, *options: IntArray) -> tuple[GemmArrays, tuple[IntArray, ...]]:
    """Give everything the same number of axes: axis 0 is the GEMMs, further ones are options.

    A scalar is the same for every GEMM; shape ``(G,)`` is one value per GEMM; ``(G, options)`` or
    ``(1, options)`` has alternatives on trailing axes.
    """
    axes = max(1, *(option.ndim for option in options))
    for option in options:
        _check_first_axis(option, gemms.rows.size)
    lined = tuple(o.reshape(o.shape + (1,) * (axes - max(1, o.ndim))) for o in options)
    return gemms.with_axes(axes - 1), lined


def _check_first_axis(option: IntArray, gemms: int) -> None:
    if option.ndim and option.shape[0] not in (1, gemms):
        raise ValueError(
            f"accelerator cost: axis 0 must be 1 or the number of GEMMs, {gemms},"
            f" got shape {option.shape}"
        )
