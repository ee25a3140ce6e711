"""``matmul``: choose the lane that is exact for these operands, pack, block over K, run threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.emulation.kernels import PANEL, accumulate, scan
from analysis.formats import Accumulator, FloatFormat, Rounding

Array = npt.NDArray[np.floating]

#: products per pass over a panel: 64 columns of float32 are then 256 KiB, a second-level cache
_BLOCK = 1024
#: significant bits of an exact product that a float64 holds
_FLOAT64_BITS = 53
#: exponents of a product's bits that float64 holds, with room above for sums
_FLOAT64_EXPONENTS = (-1074, 1000)


class Extent(NamedTuple):
    """What a lane must hold to carry the operands and their exact products."""

    significand: int  #: bits of the widest product
    lowest: int  #: least exponent of a last bit
    highest: int  #: greatest exponent of a first bit


def _extent(x: Array) -> Extent:
    """The extent of the values of ``x``, which lie in memory by rows or by columns."""
    return Extent(*scan(x if x.flags.c_contiguous else x.T))


def product_extent(a: Array, b: Array) -> Extent:
    """Bounds over ``a``, ``b`` and every exact product of their elements."""
    left, right = _extent(a), _extent(b)
    if min(left.significand, right.significand) < 0:
        raise ValueError(
            "matmul: operands must be finite, got an infinity, a NaN or a subnormal of float64"
        )
    return Extent(
        left.significand + right.significand,
        min(left.lowest, right.lowest, left.lowest + right.lowest),
        max(left.highest, right.highest, left.highest + right.highest + 1),
    )


class Way(NamedTuple):
    """A lane, and the grid on which one step rounds in it (see ``kernels.py``)."""

    lane: type[np.floating]
    grid: tuple[Any, ...]


def odd_grid(number_format: FloatFormat, rounding: Rounding, lane: type[np.floating]) -> Any:
    """(m, emin, exponent mask, twice the bias, as words of the lane; largest; truncate?)."""
    narrow = lane is np.float32
    word, fraction, bias = (np.int32, 23, 127) if narrow else (np.int64, 52, 1023)
    fields = (number_format.mantissa_bits, number_format.emin + bias, 2 * bias + 1, 2 * bias)
    words = tuple(word(field << fraction) for field in fields)
    return (*words, lane(float(number_format.largest)), rounding is Rounding.TOWARD_ZERO)


def nearest_grid(number_format: FloatFormat) -> Any:
    """(1.5·2^(23−m), 2^emin, largest) in float32."""
    magic = 1.5 * 2.0 ** (23 - number_format.mantissa_bits)
    floor = 2.0**number_format.emin
    return (np.float32(magic), np.float32(floor), np.float32(float(number_format.largest)))


def choose_way(extent: Extent, inner: FloatFormat, rounding: Rounding) -> Way:
    """The fastest step that is exact for these products (conditions proved in ``kernels.py``)."""
    m = inner.mantissa_bits
    # operands and products are exact in float32, and sums of narrower exponents stay inside it
    in_float32 = extent.significand <= 24 and extent.lowest >= -149 and extent.highest <= 100
    if in_float32 and rounding is Rounding.NEAREST_EVEN and (inner.exponent_bits, m) == (8, 23):
        return Way(np.float32, (np.float32(float(inner.largest)),))
    if not in_float32 or m > 21 or inner.exponent_bits > 7:
        return Way(np.float64, odd_grid(inner, rounding, np.float64))
    narrow = m <= 11 and extent.significand <= min(m + 1, 22 - m)
    if rounding is Rounding.NEAREST_EVEN and narrow:
        return Way(np.float32, nearest_grid(inner))
    return Way(np.float32, odd_grid(inner, rounding, np.float32))


def _even(a: Array) -> Array:
    """``a`` with a row of zeros more if its rows are odd in number."""
    return np.pad(a, ((0, a.shape[0] % 2), (0, 0)))


def _pack(b: Array, lane: type[np.floating]) -> Array:
    """(K, N) as (⌈N/PANEL⌉, K, PANEL), padded with zeros."""
    length, columns = b.shape
    panels = -(-columns // PANEL)
    padded = np.zeros((length, panels * PANEL), dtype=lane)
    padded[:, :columns] = b
    return np.ascontiguousarray(padded.reshape(length, panels, PANEL).swapaxes(0, 1))


def _unpack(out: Array, columns: int) -> Array:
    panels, rows, _ = out.shape
    return out.swapaxes(0, 1).reshape(rows, panels * PANEL)[:, :columns]


def _check(a: Array, b: Array) -> None:
    for operand in (a, b):
        if operand.dtype not in (np.float32, np.float64):
            raise TypeError(f"matmul: operands must be float32 or float64, got {operand.dtype}")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: shapes must be (M, K) and (K, N), got {a.shape} and {b.shape}")


def _check_start(start: Array, shape: tuple[int, int], grid: FloatFormat) -> None:
    if start.shape != shape:
        raise ValueError(f"matmul: start must have shape {shape}, got {start.shape}")
    significand, lowest, highest = _extent(start)
    on_grid = 0 <= significand <= grid.mantissa_bits + 1 and highest <= grid.emax
    if not on_grid or lowest < grid.emin - grid.mantissa_bits:
        raise ValueError(f"matmul: start must lie on the grid of {grid.name}, got values off it")


def _check_extent(extent: Extent) -> None:
    if extent.significand > _FLOAT64_BITS:
        raise ValueError(
            f"matmul: exact products must fit {_FLOAT64_BITS} significant bits,"
            f" got operands that need {extent.significand}"
        )
    least, most = _FLOAT64_EXPONENTS
    if extent.lowest < least or extent.highest > most:
        raise ValueError(
            f"matmul: bits of exact products must lie in 2^{least}..2^{most},"
            f" got operands that need 2^{extent.lowest}..2^{extent.highest}"
        )


def matmul(
    a: Array,
    b: Array,
    accumulator: Accumulator,
    *,
    start: Array | None = None,
    threads: int = 1,
) -> Array:
    """``a`` (M, K) times ``b`` (K, N): exact products, summed in order of K by ``accumulator``.

    Operands are float32 or float64 and are taken as they are: quantise them first. ``start``
    (M, N), on the accumulator's grid, is where the sums begin, so that a long K can be fed in
    pieces (of whole chunks). The result is float64 and does not depend on ``threads``. Equal, bit
    for bit, to :func:`analysis.emulation.reference.matmul_exact`.

    >>> from analysis.formats import float_format
    >>> ones = np.ones((1, 100), dtype=np.float32)
    >>> matmul(ones, ones.T, Accumulator(float_format(6, 3))).tolist()  # 16 + 1 rounds to 16
    [[16.0]]

    Raises:
        TypeError: an operand is neither float32 nor float64.
        ValueError: shapes do not match, ``start`` is off the grid, an operand is not finite, or
            float64 cannot hold every product exactly.
    """
    _check(a, b)
    if start is not None:
        _check_start(start, (a.shape[0], b.shape[1]), accumulator.outer_accumulator.format)
    if a.shape[0] > b.shape[1]:
        # lanes run over columns: the transposed product is the same sums with longer panels
        flipped = None if start is None else start.T
        return matmul(b.T, a.T, accumulator, start=flipped, threads=threads).T
    extent = product_extent(a, b)
    _check_extent(extent)
    return _run(a, b, accumulator, start, threads, extent)


def _run(
    a: Array, b: Array, accumulator: Accumulator, start: Array | None, threads: int, extent: Extent
) -> Array:
    inner, rounding = accumulator.format, accumulator.rounding
    lane, inner_grid = choose_way(extent, inner, rounding)
    outer_grid = odd_grid(accumulator.outer_accumulator.format, rounding, np.float64)
    chunk = accumulator.chunk or 0
    rows, columns = a.shape[0], b.shape[1]
    out = _pack(_even(np.zeros((rows, columns)) if start is None else start), np.float64)
    left, panels = _even(a).astype(lane, order="C"), _pack(b, lane)
    block = _BLOCK if chunk == 0 else max(1, _BLOCK // chunk) * chunk

    def piece(panel: int, first_row: int, last_row: int) -> None:
        for first in range(0, left.shape[1], block):
            accumulate(
                left[first_row:last_row, first : first + block],
                panels[panel : panel + 1, first : first + block],
                out[panel : panel + 1, first_row:last_row],
                chunk,
                inner_grid,
                outer_grid,
            )

    pieces = _pieces(panels.shape[0], left.shape[0] // 2, threads)
    if threads == 1:
        for part in pieces:
            piece(*part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: piece(*part), pieces))
    return _unpack(out, columns)[:rows] + 0.0  # the exact zero has no sign


def _pieces(panels: int, pairs: int, threads: int) -> list[tuple[int, int, int]]:
    """(panel, first row, last row): panels, each cut by row pairs so that every thread has work."""
    cuts = max(1, min(pairs, threads))
    edges = [2 * (pairs * cut // cuts) for cut in range(cuts + 1)]
    return [(panel, first, last) for panel in range(panels) for first, last in pairwise(edges)]
