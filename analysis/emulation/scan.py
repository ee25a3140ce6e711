"""What the operands hold: significant bits, exponents, magnitudes; one pass in SIMD lanes."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

_ONE = np.int64(1)
_HIDDEN = np.int64(1 << 52)
_EXPONENT = np.int64(0x7FF0000000000000)


class Contents(NamedTuple):
    """The widest, the lowest and the highest of an array's finite values that are not zero."""

    bits: int  #: of the widest significand; 0 where all are zero
    lowest: int  #: exponent of the last bit of all
    highest: int  #: exponent of the first bit of all
    finite: bool
    subnormal: bool  #: of float64


@njit(cache=True, nogil=True)
def _scan(x: Any) -> Any:
    """No branch leaves the loop, so that it runs in SIMD lanes."""
    far: Any = np.int64(1 << 20)
    bits: Any = np.int64(0)
    lowest, highest, infinite, subnormal = far, -far, False, False
    for i in range(x.size):
        word = np.float64(x[i]).view(np.int64)
        field = (word & _EXPONENT) >> np.int64(52)
        fraction = word & (_HIDDEN - _ONE)
        whole = fraction | _HIDDEN
        last = (np.float64(whole & -whole).view(np.int64) >> np.int64(52)) - 1023
        there = (field != 0) & (field != 2047)
        infinite |= field == 2047
        subnormal |= (field == 0) & (fraction != 0)
        bits = max(bits, 53 - last if there else 0)
        lowest = min(lowest, field - 1075 + last if there else far)
        highest = max(highest, field - 1023 if there else -far)
    return bits, lowest, highest, infinite, subnormal


def contents(x: npt.NDArray[np.floating]) -> Contents:
    """The contents of an array of any shape; copied only if no order of it is contiguous."""
    bits, lowest, highest, infinite, subnormal = _scan(x.ravel(order="K"))
    if bits == 0:
        lowest = highest = 0
    return Contents(bits, lowest, highest, not infinite, subnormal)


@njit(cache=True, nogil=True)
def column_peaks(x: Any) -> Any:
    """max |x| of every column of (rows, columns), float64."""
    peaks = np.zeros(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            peaks[j] = max(peaks[j], abs(np.float64(x[i, j])))
    return peaks
