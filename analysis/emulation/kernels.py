"""Compiled accumulation: one exact step per format of lane, one loop nest over panels.

Why each step is exact. Let the accumulator keep m fraction bits, let the product have a significand
of at most q bits, and let the lane (float32 or float64) keep F bits (24 or 53).

*Nearest in float32 lanes.* t = fl(s + p) is rounded a second time to m bits. The two roundings
together equal one if q ≤ F − m − 2: either s + p fits the lane, and the first rounding does nothing;
or the last bit of p lies below the lane's grid, at most 2^(E−F) for a sum of binade E, and then
|p| < 2^q · 2^(E−F) ≤ 2^(E−m−2), a quarter of the accumulator's ulp. The exact sum is then less than
a quarter ulp from s, which is on the grid (in the lower binade, if p takes the sum there, less than
half of that binade's ulp by the same count), t lies on the same side of the midpoint, and both
round to s. The second rounding adds and subtracts 1.5·2^(E+23−m), whose own ulp in float32 is the
accumulator's; it needs m ≤ 21 so that the sum stays in that binade. E is at least emin, which is
the rule for subnormals.

*Any rounding in float64 lanes.* s + p is formed with its error by the two-sum of Knuth; where the
error is not zero the last bit of the sum is forced to 1 in the direction of the error ("round to
odd"). A value rounded to odd with at least two bits to spare rounds to m bits as the exact one does,
in every direction (Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded sums"). This
needs an exact product (q ≤ 53) and nothing else.

No fastmath anywhere: LLVM then neither reorders nor contracts.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

PANEL = 64  #: columns that one panel of accumulators holds; a multiple of every SIMD width
_ONE = np.int64(1)
_HIDDEN64 = np.int64(1 << 52)
_EXPONENT64 = np.int64(0x7FF0000000000000)
_EXPONENT32 = np.int32(0x7F800000)


@njit(cache=True)
def _nearest32(t: Any, grid: Any) -> Any:
    """``t`` to nearest even; ``grid`` = (1.5·2^(23−m), 2^emin, largest), all float32."""
    magic, floor, largest = grid
    binade = np.int32(np.float32(t).view(np.int32) & _EXPONENT32).view(np.float32)
    shift = max(binade, floor) * magic
    rounded = (t + shift) - shift
    return min(max(rounded, -largest), largest)


@njit(cache=True)
def _add_to_odd(s: Any, p: Any) -> Any:
    """s + p rounded to odd in float64."""
    total = s + p
    virtual = total - s
    error = (s - (total - virtual)) + (p - virtual)
    bits = np.float64(total).view(np.int64)
    step = _ONE if (error > 0.0) == (total > 0.0) else -_ONE
    inexact_even = (error != 0.0) & ((bits & _ONE) == 0)
    return np.int64(bits + (step if inexact_even else np.int64(0))).view(np.float64)


@njit(cache=True)
def _round64(t: Any, grid: Any) -> Any:
    """``t`` to the grid 2^(max(its binade, emin) − m); ``grid`` = (m, emin, largest, truncate)."""
    mantissa, emin, largest, truncate = grid
    floor = np.int64(emin + 1023) << np.int64(52)
    ulp = max(np.float64(t).view(np.int64) & _EXPONENT64, floor) - (mantissa << np.int64(52))
    steps = t * np.int64((np.int64(2046) << np.int64(52)) - ulp).view(np.float64)
    whole = np.trunc(steps) if truncate else np.rint(steps)
    return min(max(whole * np.int64(ulp).view(np.float64), -largest), largest)


@njit(cache=True)
def _step32(s: Any, x: Any, y: Any, grid: Any) -> Any:
    return _nearest32(s + x * y, grid)


@njit(cache=True)
def _step64(s: Any, x: Any, y: Any, grid: Any) -> Any:
    return _round64(_add_to_odd(s, x * y), grid)


def _step(s: Any, x: Any, y: Any, grid: Any) -> Any:
    """s + x·y rounded; the lane's type picks the way."""
    raise TypeError("compiled code only")


@overload(_step, strict=False)  # annotations differ, names do not
def _pick_step(s: Any, x: Any, y: Any, grid: Any) -> Any:
    if s == types.float32:
        return lambda s, x, y, grid: _step32(s, x, y, grid)
    return lambda s, x, y, grid: _step64(s, x, y, grid)


@njit(cache=True)
def _store(total: Any, sums: Any, chunk: int, outer: Any) -> None:
    """Put the inner sums into ``total``, or add them on the grid ``outer``."""
    for j in range(PANEL):
        if chunk == 0:
            total[j] = sums[j]
        else:
            total[j] = _round64(_add_to_odd(total[j], np.float64(sums[j])), outer)


@njit(cache=True, nogil=True)
def accumulate(a: Any, panels: Any, out: Any, chunk: int, inner: Any, outer: Any) -> None:
    """Continue ``out`` by a · b, K in order.

    ``a`` is (M, K) with M even and ``panels`` (P, K, PANEL), both of the lane's type; ``out`` is
    float64 (P, M, PANEL). ``chunk`` = 0 goes on with the sums in ``out``; otherwise every ``chunk``
    products are summed from zero on the grid ``inner`` and added to ``out`` on the grid ``outer``.
    Rows go in pairs, because one row's chain of dependent steps leaves the vector units idle.
    """
    rows, length = a.shape
    run = chunk if chunk > 0 else length
    sums0 = np.empty(PANEL, dtype=panels.dtype)
    sums1 = np.empty(PANEL, dtype=panels.dtype)
    for panel in range(panels.shape[0]):
        for i in range(0, rows, 2):
            for first in range(0, length, run):
                for j in range(PANEL):
                    sums0[j] = out[panel, i, j] if chunk == 0 else 0.0
                    sums1[j] = out[panel, i + 1, j] if chunk == 0 else 0.0
                for k in range(first, min(first + run, length)):
                    x0, x1, row = a[i, k], a[i + 1, k], panels[panel, k]
                    for j in range(PANEL):
                        sums0[j] = _step(sums0[j], x0, row[j], inner)
                        sums1[j] = _step(sums1[j], x1, row[j], inner)
                _store(out[panel, i], sums0, chunk, outer)
                _store(out[panel, i + 1], sums1, chunk, outer)


@njit(cache=True, nogil=True)
def scan(x: Any) -> tuple[int, int, int]:
    """(significand bits, exponent of the last bit, exponent of the first bit) over ``x``, float64.

    The widest, the lowest and the highest of the non-zero values; (0, 0, 0) where there is none, and
    (−1, 0, 0) where a value is infinite, NaN, or subnormal in float64.
    """
    significand, lowest, highest = 0, 1 << 20, -(1 << 20)
    for value in x.flat:
        bits = np.float64(value).view(np.int64)
        field = (bits & _EXPONENT64) >> np.int64(52)
        if field == 2047 or (field == 0 and value != 0.0):
            return -1, 0, 0
        if field != 0:
            fraction = (bits & (_HIDDEN64 - _ONE)) | _HIDDEN64
            last = (np.float64(fraction & -fraction).view(np.int64) >> np.int64(52)) - 1023
            significand = max(significand, 53 - last)
            lowest = min(lowest, field - 1075 + last)
            highest = max(highest, field - 1023)
    if significand == 0:
        return 0, 0, 0
    return significand, lowest, highest
