"""The driver of the general kernels: panels of columns, and pieces of K that fit a cache."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from analysis.draws import INNER, OUTER, Stream
from analysis.emulation.general.blocks import integers, unit_format
from analysis.emulation.general.fused import alignment_of, exponents, sum_fused
from analysis.emulation.general.level import Level, Span, level_of, places_of
from analysis.emulation.general.products import multiplier_of
from analysis.emulation.general.rounding import PANEL
from analysis.emulation.general.sequential import NO_UNITS, sum_sequentially
from analysis.emulation.general.tree import sum_in_trees
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Sequential,
    Tree,
)

Floats = npt.NDArray[np.float64]
#: continues the sums by a part of K
Piece = Callable[[Span, slice], None]

#: products to a piece: 64 columns of float64 are then 512 KiB, a second-level cache
_PIECE = 1024


def accumulate(
    a: Floats,
    b: Floats,
    accumulator: Accumulator,
    out: Floats,
    stream: Stream | None,
    rows: tuple[int, int],
) -> None:
    """Continue ``out`` (M, N) by ``a`` (M, K) times ``b`` (K, N) in the given range of rows.

    Bit for bit as :func:`analysis.emulation.reference.dot_exact` does, for every accumulator; zeros
    are +0.0 and NaN has one code. Every finite product must be a float64, of magnitude below
    2^1001, and ``out`` must lie on the (outer) accumulator's grid; a tree without chunks overwrites
    it. ``stream`` says where in the whole product a[0], b[:, 0] and the first product lie. Calls
    for separate rows may share arrays, and run side by side.

    Raises:
        ValueError: an infinity or NaN meets a fixed-point or block format, an element is off its
            block's grid, or stochastic rounding has no stream.
    """
    first, last = rows
    for column in range(0, b.shape[1], PANEL):
        place = None if stream is None else stream.at(row=first, column=column)
        target = out[first:last, column : column + PANEL]
        panel, sums = _padded(b[:, column : column + PANEL]), _padded(target)
        _continue(a[first:last], panel, accumulator, sums, place)
        result = sums[:, : target.shape[1]] + 0.0
        target[...] = np.where(np.isnan(result), np.nan, result)
        _check_finite(target, accumulator)


def _padded(x: Floats) -> Floats:
    """A copy with PANEL columns."""
    padded = np.zeros((x.shape[0], PANEL))
    padded[:, : x.shape[1]] = x
    return padded


def _check_finite(sums: Floats, accumulator: Accumulator) -> None:
    for form in (accumulator.format, accumulator.outer_accumulator.format):
        if isinstance(form, FixedFormat) and np.isnan(sums).any():
            raise ValueError(f"matmul: operands of {form.name} must be finite, got infinity or NaN")


class _Task(NamedTuple):
    """Sums of one panel."""

    left: Floats  #: (rows, K)
    panel: Floats  #: (K, PANEL)
    sums: Floats  #: (rows, PANEL)
    accumulator: Accumulator
    stream: Stream | None
    span: Span

    @property
    def before(self) -> int:
        """Products that came before."""
        return 0 if self.stream is None else self.stream.step

    @property
    def outer(self) -> Level:
        """The outer accumulator; of no account where sums have no chunks."""
        step = self.before // (self.accumulator.chunk or 1)
        return level_of(self.accumulator.outer_accumulator, self.stream, OUTER, step)


def _continue(
    left: Floats, panel: Floats, accumulator: Accumulator, sums: Floats, stream: Stream | None
) -> None:
    """Continue ``sums`` (rows, PANEL) by ``left`` (rows, K) times ``panel`` (K, PANEL)."""
    (rows, length), chunk = left.shape, accumulator.chunk
    if rows == 0 or length == 0:
        return
    span = Span(0, min(chunk or length, length), length, chunk is not None)
    task = _Task(left, panel, sums, accumulator, stream, span)
    match accumulator.order:
        case Fused(terms=unit) as order:
            add = _fused(task, order)
        case Tree():
            add, unit = _tree(task), 1
        case Sequential():
            add, unit = _sequence(task), 1
        case _:
            assert_never(accumulator.order)
    for first, last in _pieces(span, unit):
        add(span._replace(first=first), slice(first, last))


def _pieces(span: Span, unit: int) -> Iterator[tuple[int, int]]:
    """Ranges of K: as many chunks as fit a piece, or pieces of a chunk, in whole units."""
    if span.run <= _PIECE:
        size = _PIECE // span.run * span.run
        for first in range(0, span.length, size):
            yield first, min(first + size, span.length)
        return
    size = _PIECE // unit * unit
    for chunk in range(0, span.length, span.run):
        end = min(chunk + span.run, span.length)
        for first in range(chunk, end, size):
            yield first, min(first + size, end)


def _own(x: npt.NDArray[Any], part: slice) -> npt.NDArray[Any]:
    """A copy of columns, since numba compiles anew for every layout and for read-only arrays."""
    return np.array(x[:, part], order="C")


def _fused(task: _Task, order: Fused) -> Piece:
    accumulator, panel = task.accumulator, task.panel
    assert isinstance(accumulator.format, FloatFormat)
    alignment = alignment_of(order, accumulator.format, task.before)
    inner = level_of(accumulator, task.stream, INNER, task.before // order.terms)
    outer = task.outer
    floors = order.least_exponents or (None, None)
    rows, columns = exponents(task.left, floors[0]), exponents(panel, floors[1])
    state, places = np.zeros_like(task.sums), places_of(task.stream)

    def piece(span: Span, part: slice) -> None:
        left = _own(task.left, part), _own(rows, part)
        right = panel[part], columns[part]
        sum_fused(left, right, state, task.sums, places, span, alignment, inner, outer)

    return piece


def _tree(task: _Task) -> Piece:
    inner = level_of(task.accumulator, task.stream, INNER, task.before)
    multiplier, outer = multiplier_of(task.accumulator.product, inner.grid), task.outer
    state = np.zeros((task.left.shape[0], task.span.run.bit_length(), PANEL))
    places = places_of(task.stream)

    def piece(span: Span, part: slice) -> None:
        left, right = _own(task.left, part), task.panel[part]
        sum_in_trees(left, right, state, task.sums, places, span, multiplier, inner, outer)

    return piece


def _sequence(task: _Task) -> Piece:
    accumulator, left, panel, units = task.accumulator, task.left, task.panel, NO_UNITS
    if isinstance(accumulator.format, BlockFormat):
        left, panel, units = integers(left, panel, accumulator.format, task.span.run)
        accumulator = Accumulator(unit_format(accumulator.format))
    inner, outer = level_of(accumulator, task.stream, INNER, task.before), task.outer
    multiplier = multiplier_of(accumulator.product, inner.grid)
    state, places = np.zeros_like(task.sums), places_of(task.stream)

    def piece(span: Span, part: slice) -> None:
        operands = _own(left, part), panel[part]
        here = units.part(part.start // span.run)
        sum_sequentially(*operands, state, task.sums, places, span, here, multiplier, inner, outer)

    return piece
