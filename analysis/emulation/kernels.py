"""Compiled accumulation: exact steps on SIMD lanes, and one loop nest over panels.

Why each step is exact. The accumulator keeps m fraction bits, the product has a significand of at
most q bits, and a lane (float32 or float64) keeps F bits (24 or 53).

*Any rounding: sum to odd.* s + p is formed with its error by the two-sum of Knuth; where the error
is not zero, the sum is taken toward zero and its last bit set ("round to odd"). A value rounded to
odd with two bits to spare, F ≥ m + 3, rounds to m fraction bits in any direction as the exact value
does (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using
rounding to odd", IEEE Transactions on Computers 57(4), 2008). The product must be exact: q ≤ F. A
power of two then brings the accumulator's grid to the integers, where one operation rounds.

*Nearest, when products are narrow: sum twice rounded.* t = fl(s + p), then t to m bits. The two
roundings equal one if q ≤ min(m + 1, F − m − 2) and 2m + 2 ≤ F. If s + p fits the lane, the first
does nothing. Else, with E the binade of s + p, one of the two has a last bit below the lane's grid
2^(E−F+1):

- p has. Then |p| < 2^q · 2^(E−F) ≤ 2^(E−m−2), a quarter of the accumulator's ulp there, so s + p is
  within half an ulp of s, which is on the grid, strictly, and so is t: both round to s.
- s has. Then |s| < 2^(m+1) · 2^(E−F) ≤ 2^(E−m−1), half the accumulator's ulp, and p alone is on its
  grid because q ≤ m + 1: s + p rounds to p. So does t, even if it reaches the midpoint: that takes
  2m + 2 = F, then q ≤ m, and p is the even neighbour. (A wider p can lie on a midpoint that only
  s, too small for the lane, would break: 2^−30 + 4.25 at m = 3 is 4.5, but 4.25 alone is 4. A wider
  s can miss a midpoint by less than the lane sees: 1 + (3·2^−13 − 2^−24) at m = 12 is 1 + 2^−12,
  but 1 + 3·2^−13 is 1 + 2^−11.)

The second rounding adds and subtracts 1.5 · 2^(E+23−m), whose own ulp is the accumulator's; m ≤ 21
keeps that sum in its binade. E is at least emin, which is the rule for subnormals.

*Nearest to float32 itself.* With an exact product, s + p rounded by a float32 lane is the step;
its overflow to infinity is clamped like any other.

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


def _bits(value: Any) -> Any:
    """The word of a lane's value."""
    raise TypeError("compiled code only")


def _value(bits: Any) -> Any:
    """The lane's value of a word."""
    raise TypeError("compiled code only")


def _like(number: Any, bits: Any) -> Any:
    """``number`` as wide as ``bits``.

    numba widens int32 sums to 64 bits, which would halve the lanes.
    """
    raise TypeError("compiled code only")


def _step(s: Any, x: Any, y: Any, grid: Any) -> Any:
    """s + x·y on the grid; the type of ``grid`` picks the way."""
    raise TypeError("compiled code only")


@overload(_bits, strict=False)  # strict compares annotations, which numba's lambdas cannot have
def _bits_of(value: Any) -> Any:
    if value == types.float32:
        return lambda value: np.float32(value).view(np.int32)
    return lambda value: np.float64(value).view(np.int64)


@overload(_value, strict=False)
def _value_of(bits: Any) -> Any:
    if bits == types.int32:
        return lambda bits: np.int32(bits).view(np.float32)
    return lambda bits: np.int64(bits).view(np.float64)


@overload(_like, strict=False)
def _like_of(number: Any, bits: Any) -> Any:
    if bits == types.int32:
        return lambda number, bits: np.int32(number)
    return lambda number, bits: np.int64(number)


@njit(cache=True)
def _sum_to_odd(s: Any, p: Any) -> Any:
    total = s + p
    virtual = total - s
    error = (s - (total - virtual)) + (p - virtual)
    bits = _bits(total)
    inexact = error != 0.0
    away = inexact & ((bits ^ _bits(error)) < 0)  # signs differ: the sum was rounded up
    return _value(_like(_like(bits - away, bits) | inexact, bits))


@njit(cache=True)
def _round(t: Any, grid: Any) -> Any:
    """``t`` to the grid 2^(max(its binade, emin) − m) that ``odd_grid`` in ``gemm.py`` packs."""
    mantissa, floor, mask, twice_bias, largest, truncate = grid
    ulp = _like(max(_bits(t) & mask, floor) - mantissa, floor)
    steps = t * _value(_like(twice_bias - ulp, floor))
    whole = np.trunc(steps) if truncate else np.rint(steps)
    return min(max(whole * _value(ulp), -largest), largest)


@njit(cache=True)
def _round_nearest32(t: Any, grid: Any) -> Any:
    """``t`` to nearest even; ``grid`` = (1.5·2^(23−m), 2^emin, largest), all float32."""
    magic, floor, largest = grid
    binade = np.int32(np.float32(t).view(np.int32) & _EXPONENT32).view(np.float32)
    shift = max(binade, floor) * magic
    return min(max((t + shift) - shift, -largest), largest)


@njit(cache=True)
def _clamp(t: Any, grid: Any) -> Any:
    """``t`` where the lane's own rounding is the accumulator's; ``grid`` = (largest,)."""
    return min(max(t, -grid[0]), grid[0])


@overload(_step, strict=False)
def _step_of(s: Any, x: Any, y: Any, grid: Any) -> Any:
    if isinstance(grid, types.UniTuple) and grid.count == 1:
        return lambda s, x, y, grid: _clamp(s + x * y, grid)
    if isinstance(grid, types.UniTuple):
        return lambda s, x, y, grid: _round_nearest32(s + x * y, grid)
    return lambda s, x, y, grid: _round(_sum_to_odd(s, x * y), grid)


@njit(cache=True)
def _store(total: Any, sums: Any, chunk: int, outer: Any) -> None:
    """Put the inner sums into ``total``, or add them on the grid ``outer``."""
    for j in range(PANEL):
        if chunk == 0:
            total[j] = sums[j]
        else:
            total[j] = _round(_sum_to_odd(total[j], np.float64(sums[j])), outer)


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
    """(significand bits, exponent of the last bit, exponent of the first bit) over ``x``, (M, N).

    The widest, the lowest and the highest of the non-zero values; (0, 0, 0) where there is none,
    and (−1, 0, 0) where a value is infinite, NaN, or subnormal in float64. No branch leaves the
    loop, so that it runs in SIMD lanes; rows are taken along the last axis.
    """
    rows, columns = x.shape
    far: Any = np.int64(1 << 20)
    significand: Any = np.int64(0)
    lowest, highest, refused = far, -far, False
    for i in range(rows):
        for j in range(columns):
            bits = np.float64(x[i, j]).view(np.int64)
            field = (bits & _EXPONENT64) >> np.int64(52)
            fraction = bits & (_HIDDEN64 - _ONE)
            whole = fraction | _HIDDEN64
            last = (np.float64(whole & -whole).view(np.int64) >> np.int64(52)) - 1023
            there = field != 0
            refused |= (field == 2047) | ((field == 0) & (fraction != 0))
            significand = max(significand, 53 - last if there else 0)
            lowest = min(lowest, field - 1075 + last if there else far)
            highest = max(highest, field - 1023 if there else -far)
    if refused:
        return -1, 0, 0
    if significand == 0:
        return 0, 0, 0
    return significand, lowest, highest
