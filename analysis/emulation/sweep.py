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

from analysis.emulation.draws import fill_places, fill_turns
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


class Chances(NamedTuple):
    """Keys of the rows' and the columns' draws in a level, and how many steps share a word (log2).

    −1 where nothing is drawn.
    """

    row_key: np.uint64
    column_key: np.uint64
    shared: int


class Origin(NamedTuple):
    """Where this product lies in the whole: row, column, and products that came before."""

    row: int
    column: int
    step: int


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
def pack(source: Any, k: Any, length: Any, j: Any, panel: Any) -> None:
    """Fill ``panel`` with products k … k + length and columns j … j + PANEL; zeros beyond."""
    flat, k_offsets, j_offsets = source
    columns = min(PANEL, j_offsets.size - j)
    along = j_offsets[j : j + columns]
    if columns < PANEL:
        panel[:length] = 0.0
    if along[columns - 1] - along[0] == columns - 1:  # neighbours in memory
        for i in range(length):
            first = k_offsets[k + i] + along[0]
            row = flat[first : first + columns]
            for c in range(columns):
                panel[i, c] = row[c]
    elif k_offsets[k + length - 1] - k_offsets[k] == length - 1:  # a transposed matrix
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
def _drawn(chances: Any, first_row: Any, rows: Any, first: Any, length: Any) -> Any:
    """The row words of steps first … first + length, (rows, counters)."""
    if chances.shared < 0:
        return np.empty((1, 1), np.uint32)
    before = first >> chances.shared
    counters = ((first + length - 1) >> chances.shared) - before + 1
    table = np.empty((rows, max(counters, 1)), np.uint32)
    fill_turns(chances.row_key, np.uint64(first_row), np.uint64(before), table)
    return table


@njit(cache=True, nogil=True)
def _column_words(chances: Any, first_column: Any) -> Any:
    table = np.empty(PANEL, np.uint32)
    if chances.shared >= 0:
        fill_places(chances.column_key, np.uint64(first_column), table)
    return table


@njit(cache=True, nogil=True)
def _into_word(chances: Any, step: Any) -> Any:
    """Where in its word's steps a step lies."""
    return step & ((_ONE << max(chances.shared, 0)) - 1)


@njit(cache=True, nogil=True)
def sweep_plain(
    inner: Any, a: Any, source: Any, out: Any, origin: Any, scratch: Any, panels: Any, rows: Any
) -> None:
    """Continue the sums in ``out`` by ``a`` (M, K) times ``source`` (K, N).

    Only panels and rows in the given ranges; ``inner`` is (step, words, mode, chances).
    """
    panel, sums, _ = scratch
    step, words, mode, chances = inner
    length = a.shape[1]
    for j in range(panels[0] * PANEL, min(panels[1] * PANEL, out.columns), PANEL):
        places = _column_words(chances, origin.column + j)
        for i in range(rows[0], rows[1], ROW_BLOCK):
            count = min(ROW_BLOCK, rows[1] - i)
            _read(out, i, count, j, sums)
            for k in range(0, length, BLOCK):
                products = min(BLOCK, length - k)
                pack(source, k, products, j, panel)
                first = origin.step + k
                turns = _drawn(chances, origin.row + i, count, first, products)
                width, begin = turns.shape[1], _into_word(chances, first)
                set_rounding(mode)
                for r in range(0, count, ROWS):
                    for c in range(0, PANEL, tile_columns(step)):
                        tile(
                            step, a, (i + r) * length + k, length, panel, c, sums, r * PANEL + c,
                            words, products, turns, r * width, width, places, c, begin,
                        )  # fmt: skip
                set_rounding(_ONE)
            _write(sums, i, count, j, out)


@njit(cache=True, nogil=True)
def _row_of_chunks(
    inner: Any, outer: Any, a: Any, a_at: Any, buffered: Any, r: Any, chunk: Any, span: Any
) -> None:
    """ROWS rows over the packed block: tiles up to each chunk's end, and the chunks joined.

    ``span`` is (first product of the block, products, all products, chunks that came before).
    """
    step, words, mode, (turns, places, begin), _ = inner
    outer_step, outer_words, outer_mode, (outer_turns, outer_places, _b), outer_chances = outer
    (panel, sums, totals), (k, products, length, done) = buffered, span
    width, outer_width = turns.shape[1], outer_turns.shape[1]
    shared = max(outer_chances.shared, 0)
    at = k
    while at < k + products:
        stop = min(at // chunk * chunk + chunk, k + products)
        for c in range(0, PANEL, tile_columns(step)):
            tile(
                step, a, a_at + at - k, length, panel, (at - k) * PANEL + c, sums, r * PANEL + c,
                words, stop - at, turns, r * width, width, places, c, begin + at - k,
            )  # fmt: skip
        if stop % chunk == 0 or stop == length:
            number = done + at // chunk
            counter = (number >> shared) - ((done + k // chunk) >> shared)
            if outer_mode != mode:
                set_rounding(outer_mode)
            join(
                outer_step, sums, r * PANEL, totals, outer_words, outer_turns,
                r * outer_width + min(counter, outer_width - 1), outer_width, outer_places, 0,
                number & _ONE,
            )  # fmt: skip
            if outer_mode != mode:
                set_rounding(mode)
        at = stop


@njit(cache=True, nogil=True)
def sweep_chunks(
    inner: Any, outer: Any, a: Any, source: Any, out: Any, chunk: Any, origin: Any, scratch: Any,
    panels: Any, rows: Any,
) -> None:  # fmt: skip
    """The same, every ``chunk`` products summed by themselves and added to ``out``.

    ``inner`` and ``outer`` are (step, words, mode, chances).
    """
    panel, sums, totals = scratch
    step, words, mode, chances = inner
    outer_step, outer_words, outer_mode, outer_chances = outer
    length, done = a.shape[1], origin.step // chunk
    for j in range(panels[0] * PANEL, min(panels[1] * PANEL, out.columns), PANEL):
        places = _column_words(chances, origin.column + j)
        outer_places = _column_words(outer_chances, origin.column + j)
        for i in range(rows[0], rows[1], ROW_BLOCK):
            count = min(ROW_BLOCK, rows[1] - i)
            _read(out, i, count, j, totals)
            sums[:count] = 0.0
            for k in range(0, length, BLOCK):
                products = min(BLOCK, length - k)
                pack(source, k, products, j, panel)
                first = origin.step + k
                turns = _drawn(chances, origin.row + i, count, first, products)
                chunks = (k + products - 1) // chunk - k // chunk + 1
                outer_turns = _drawn(
                    outer_chances, origin.row + i, count, done + k // chunk, chunks
                )
                draws = turns, places, _into_word(chances, first)
                outer_draws = outer_turns, outer_places, _ONE
                set_rounding(mode)
                for r in range(0, count, ROWS):
                    _row_of_chunks(
                        (step, words, mode, draws, chances),
                        (outer_step, outer_words, outer_mode, outer_draws, outer_chances),
                        a, (i + r) * length + k, scratch, r, chunk, (k, products, length, done),
                    )  # fmt: skip
                set_rounding(_ONE)
            _write(totals, i, count, j, out)
