"""The random words of :mod:`analysis.draws`, compiled.

The word of (row, column, counter) is ``mix32(turns[row, counter] + places[column])``, modulo 2^32.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from analysis.draws import GOLDEN, MIX32, MIX64, side_key

Words = npt.NDArray[np.uint32]

_A64, _FIRST64, _B64, _SECOND64, _C64 = (np.uint64(constant) for constant in MIX64)
_A32, _FIRST32, _B32, _SECOND32, _C32 = (np.uint32(constant) for constant in MIX32)
GOLDEN64 = np.uint64(GOLDEN)
_MASK64 = (1 << 64) - 1


@njit(cache=True)
def mix64(x: Any) -> Any:
    """:func:`analysis.draws.mix64` of a uint64."""
    x = (x ^ (x >> _A64)) * _FIRST64
    x = (x ^ (x >> _B64)) * _SECOND64
    return x ^ (x >> _C64)


@njit(cache=True)
def mix32(x: Any) -> Any:
    """:func:`analysis.draws.mix32` of a uint32; the casts keep numba from widening to 64 bits."""
    x = np.uint32((x ^ (x >> _A32)) * _FIRST32)
    x = np.uint32((x ^ (x >> _B32)) * _SECOND32)
    return np.uint32(x ^ (x >> _C32))


@njit(cache=True, nogil=True)
def fill_places(key: Any, first: Any, out: Any) -> None:
    """:func:`places` of a level's key of all columns, into ``out``."""
    for i in range(out.size):
        out[i] = mix64(key + (first + np.uint64(i)) * GOLDEN64) >> np.uint64(32)


@njit(cache=True, nogil=True)
def fill_turns(key: Any, first_row: Any, first_counter: Any, out: Any) -> None:
    """:func:`turns` of a level's key of all rows, into ``out``."""
    for i in range(out.shape[0]):
        row_key = mix64(key + (first_row + np.uint64(i)) * GOLDEN64)
        fill_places(row_key, first_counter, out[i])


def turns(
    seed: int, level: int, first_row: int, rows: int, first_counter: int, counters: int
) -> Words:
    """The part of the words that a row and a counter share: (rows, counters).

    >>> from analysis.draws import word
    >>> (x,) = turns(7, 0, 5, 1, 9, 1)[0] + places(7, 0, 3, 1)
    >>> mix32(x) == word(7, 0, row=5, column=3, counter=9)
    True
    """
    out = np.empty((rows, counters), dtype=np.uint32)
    fill_turns(np.uint64(side_key(seed, level, 0)), _uint64(first_row), _uint64(first_counter), out)
    return out


def places(seed: int, level: int, first_column: int, columns: int) -> Words:
    """The part of the words that a column owns: (columns,)."""
    out = np.empty(columns, dtype=np.uint32)
    fill_places(np.uint64(side_key(seed, level, 1)), _uint64(first_column), out)
    return out


def _uint64(place: int) -> np.uint64:
    return np.uint64(place & _MASK64)
