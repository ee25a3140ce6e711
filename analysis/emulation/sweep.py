"""The loops around the register tile: pack B, block over K and rows, end chunks, write out.

B is never packed as a whole: a panel of PANEL columns and BLOCK products (64 KiB of float32) is
copied into a buffer that stays in the second-level cache while all rows of A pass over it. The
buffer is filled by offsets, element (k, j) being ``flat[k_offsets[k] + j_offsets[j]]``: so are a
matrix of any layout, its transpose and the windows of an image (im2col), none of which is ever
written down.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from analysis.emulation.tile import PANEL, ROWS, join, set_rounding, tile, tile_columns

BLOCK = 256  #: products per pass over a panel; even, as the draws of two steps share a word
ROW_BLOCK = 256  #: rows whose sums stay in the second-level cache; a multiple of ROWS
_ONE = np.int64(1)


class Offsets(NamedTuple):
    """A matrix (K, N) by the place of its elements: ``flat[k_offsets[k] + j_offsets[j]]``."""

    flat: npt.NDArray[np.floating]
    k_offsets: npt.NDArray[np.int64]
    j_offsets: npt.NDArray[np.int64]


class Result(NamedTuple):
    """A matrix (M, N) in place: element (i, j) is ``flat[i·by_row + j·by_column]``."""

    flat: npt.NDArray[np.floating]
    by_row: int
    by_column: int
    rows: int
    columns: int


class Buffers(NamedTuple):
    """One thread's scratch."""

    panel: npt.NDArray[np.floating]  #: (BLOCK, PANEL), of the inner lane
    sums: npt.NDArray[np.floating]  #: (ROW_BLOCK, PANEL), of the inner lane
    totals: npt.NDArray[np.floating]  #: (ROW_BLOCK, PANEL), of the outer lane


class Table(NamedTuple):
    """The hashes of rows and columns that a step draws from (:mod:`analysis.emulation.draws`)."""

    turns: npt.NDArray[np.uint32]  #: (rows, counters)
    places: npt.NDArray[np.uint32]  #: (columns,), whole panels
    shared: int  #: log2 of the steps that share a word
    begin: int  #: where in its word's steps the first step lies


def buffers(inner: Any, outer: Any) -> Buffers:
    """Scratch for lanes of these types, aligned to a cache line."""
    return Buffers(
        _aligned((BLOCK, PANEL), inner),
        _aligned((ROW_BLOCK, PANEL), inner),
        _aligned((ROW_BLOCK, PANEL), outer),
    )


def _aligned(shape: tuple[int, int], dtype: Any) -> npt.NDArray[Any]:
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    aligned: npt.NDArray[Any] = raw[first : first + size].view(dtype)
    return aligned.reshape(shape)


@njit(cache=True, nogil=True)
def _are_neighbours(offsets: Any) -> Any:
    """Whether elements at these places follow one another in memory."""
    all_are: Any = True
    for i in range(offsets.size - 1):
        all_are &= offsets[i + 1] - offsets[i] == 1
    return all_are


@njit(cache=True, nogil=True)
def pack(source: Any, k: Any, length: Any, j: Any, panel: Any) -> None:
    """Fill ``panel`` with products k … k + length and columns j … j + PANEL; zeros beyond."""
    flat, k_offsets, j_offsets = source
    columns = min(PANEL, j_offsets.size - j)
    along = j_offsets[j : j + columns]
    if columns < PANEL:
        panel[:length] = 0.0
    if _are_neighbours(along):
        for i in range(length):
            first = k_offsets[k + i] + along[0]
            row = flat[first : first + columns]
            for c in range(columns):
                panel[i, c] = row[c]
    elif _are_neighbours(k_offsets[k : k + length]):  # a transposed matrix
        for c in range(columns):
            first = along[c] + k_offsets[k]
            column = flat[first : first + length]
            for i in range(length):
                panel[i, c] = column[i]
    else:
        for i in range(length):
            base = k_offsets[k + i]
            for c in range(columns):
                panel[i, c] = flat[base + along[c]]


@njit(cache=True, nogil=True)
def _read(out: Any, i: Any, rows: Any, j: Any, cells: Any) -> None:
    columns = min(PANEL, out.columns - j)
    cells[:rows] = 0.0
    for r in range(min(rows, out.rows - i)):
        first = (i + r) * out.by_row + j * out.by_column
        for c in range(columns):
            cells[r, c] = out.flat[first + c * out.by_column]


@njit(cache=True, nogil=True)
def _write(cells: Any, i: Any, rows: Any, j: Any, out: Any) -> None:
    columns = min(PANEL, out.columns - j)
    for r in range(min(rows, out.rows - i)):
        first = (i + r) * out.by_row + j * out.by_column
        for c in range(columns):
            out.flat[first + c * out.by_column] = cells[r, c] + 0.0  # the exact zero has no sign


@njit(cache=True, nogil=True)
def _word_of(table: Any, row: Any, step: Any) -> Any:
    """(Where a row's word for a step stands in the flat turns, where in its steps that lies)."""
    since = table.begin + step
    counter = since >> table.shared
    return row * table.turns.shape[1] + counter, since - (counter << table.shared)


@njit(cache=True, nogil=True)
def sweep_plain(
    inner: Any, a: Any, source: Any, out: Any, scratch: Any, panels: Any, rows: Any
) -> None:
    """Continue the sums in ``out`` by ``a`` (M, K) times ``source`` (K, N).

    Only panels and rows in the given ranges; ``inner`` is (step, words, mode, table).
    """
    panel, sums, _ = scratch
    step, words, mode, table = inner
    length, width = a.shape[1], table.turns.shape[1]
    for j in range(panels[0] * PANEL, min(panels[1] * PANEL, out.columns), PANEL):
        for i in range(rows[0], rows[1], ROW_BLOCK):
            count = min(ROW_BLOCK, rows[1] - i)
            _read(out, i, count, j, sums)
            for k in range(0, length, BLOCK):
                products = min(BLOCK, length - k)
                pack(source, k, products, j, panel)
                set_rounding(mode)
                for r in range(0, count, ROWS):
                    word, first = _word_of(table, i + r, k)
                    for c in range(0, PANEL, tile_columns(step)):
                        tile(
                            step, a, (i + r) * length + k, length, panel, c, sums, r * PANEL + c,
                            words, products, table.turns, word, width, table.places, j + c, first,
                        )  # fmt: skip
                set_rounding(_ONE)
            _write(sums, i, count, j, out)


@njit(cache=True, nogil=True)
def _row_of_chunks(
    inner: Any, outer: Any, a: Any, scratch: Any, chunk: Any, place: Any, block: Any
) -> None:
    """ROWS rows over a packed block: tiles up to the end of each chunk, and the chunks joined.

    ``place`` is (row of ``a``, row of the scratch, column); ``block`` its products' range.
    """
    step, words, mode, table = inner
    outer_step, outer_words, outer_mode, outer_table = outer
    (panel, sums, totals), (row, r, j), (k, end) = scratch, place, block
    length, width = a.shape[1], table.turns.shape[1]
    at = k
    while at < end:
        stop = min(at // chunk * chunk + chunk, end)
        word, first = _word_of(table, row, at)
        for c in range(0, PANEL, tile_columns(step)):
            tile(
                step, a, row * length + at, length, panel, (at - k) * PANEL + c, sums,
                r * PANEL + c, words, stop - at, table.turns, word, width, table.places, j + c,
                first,
            )  # fmt: skip
        if stop % chunk == 0 or stop == length:
            word, first = _word_of(outer_table, row, at // chunk)
            if outer_mode != mode:
                set_rounding(outer_mode)
            join(
                outer_step, sums, r * PANEL, totals, outer_words, outer_table.turns, word,
                outer_table.turns.shape[1], outer_table.places, j, first,
            )  # fmt: skip
            if outer_mode != mode:
                set_rounding(mode)
        at = stop


@njit(cache=True, nogil=True)
def sweep_chunks(
    inner: Any, outer: Any, a: Any, source: Any, out: Any, chunk: Any, scratch: Any,
    panels: Any, rows: Any,
) -> None:  # fmt: skip
    """The same, every ``chunk`` products summed by themselves and added to ``out``."""
    panel, sums, totals = scratch
    mode, length = inner[2], a.shape[1]
    for j in range(panels[0] * PANEL, min(panels[1] * PANEL, out.columns), PANEL):
        for i in range(rows[0], rows[1], ROW_BLOCK):
            count = min(ROW_BLOCK, rows[1] - i)
            _read(out, i, count, j, totals)
            sums[:count] = 0.0
            for k in range(0, length, BLOCK):
                end = min(k + BLOCK, length)
                pack(source, k, end - k, j, panel)
                set_rounding(mode)
                for r in range(0, count, ROWS):
                    place = i + r, r, j
                    _row_of_chunks(inner, outer, a, scratch, chunk, place, (k, end))
                set_rounding(_ONE)
            _write(totals, i, count, j, out)
