"""A product by its plan, or by the general kernels: shared out among threads."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.draws import INNER, OUTER, Stream
from analysis.emulation import general
from analysis.emulation.draws import places, turns
from analysis.emulation.plans import Plan
from analysis.emulation.steps import Draws
from analysis.emulation.sweep import Offsets, Result, Table, buffers, sweep_chunks, sweep_plain
from analysis.emulation.tile import PANEL, ROWS
from analysis.emulation.ways import LANES, Way
from analysis.formats import Accumulator, Fused, Tree

Array = npt.NDArray[np.floating]

log = logging.getLogger("partialsum")
#: pieces of work for each thread, so that a thread that is held up does not hold up all
_PIECES = 4
#: products for which a thread more is worth its start, and of which a piece more is cut
_WORTH, _LARGE = 1 << 21, 1 << 25
#: hashes of rows that are kept at once: 64 MiB
_HASHES = 1 << 24
#: products of a panel that the general kernels take at once: 32 MiB of float64
_STRETCH = 1 << 16


def _table(way: Way, stream: Stream, level: int, size: tuple[int, int, int]) -> Table:
    """The hashes for (rows, steps, columns); those of a step that draws nothing are never read."""
    if way.step.draws is Draws.NONE:
        nothing = np.zeros((1, 1), np.uint32)
        return Table(nothing, nothing[0], 0, 0)
    shared = 0 if way.step.draws is Draws.WHOLE else 1
    rows, steps, columns = size
    first, begin = divmod(stream.step, 1 << shared)
    counters = -(-(begin + steps) >> shared)
    return Table(
        turns(stream.seed, level, stream.row, rows, first, counters),
        places(stream.seed, level, stream.column, columns),
        shared,
        begin,
    )


def run_tiles(
    a: Array,
    b: Offsets,
    accumulator: Accumulator,
    plan: Plan,
    out: Array,
    stream: Stream,
    threads: int,
) -> None:
    """Continue ``out`` by the plan's steps, a stretch of K after the other if there are draws."""
    length = a.shape[1]
    unit = accumulator.chunk or 2  # an even step, so that pairs of draws stay together
    run = max(1, _HASHES // (a.shape[0] * unit)) * unit if plan.drawn else length
    for k in range(0, length, max(run, 1)):
        part = b._replace(k_offsets=b.k_offsets[k : k + run])
        place = stream.at(step=k)
        _run_stretch(a[:, k : k + run], part, accumulator.chunk, plan, out, place, threads)


def _run_stretch(
    a: Array,
    b: Offsets,
    chunk: int | None,
    plan: Plan,
    out: Array,
    stream: Stream,
    threads: int,
) -> None:
    """One stretch, in pieces that threads take as they become free."""
    inner, outer = plan
    lane = LANES[inner.step.lane].real
    (rows, length), columns = a.shape, b.j_offsets.size
    left = _padded(a, lane)
    by_row, by_column = (stride // out.itemsize for stride in out.strides)
    result = Result(out.ravel(order="K"), by_row, by_column, rows, columns)
    panels = -(-columns // PANEL)
    size = left.shape[0], length, panels * PANEL
    first = (*inner, _table(inner, stream, INNER, size))
    kernel: Any
    arguments: tuple[Any, ...]
    if outer is None or chunk is None:
        kernel, outer_lane, arguments = sweep_plain, lane, (first, left, b, result)
    else:
        kernel, outer_lane = sweep_chunks, LANES[outer.step.lane].real
        ended = replace(stream, step=stream.step // chunk)
        size = left.shape[0], -(-length // chunk), panels * PANEL
        second = (*outer, _table(outer, ended, OUTER, size))
        arguments = (first, second, left, b, result, chunk)

    def piece(across: tuple[int, int], down: tuple[int, int]) -> None:
        _called(kernel, *arguments, buffers(lane, outer_lane), across, down)

    pieces = _pieces(panels, left.shape[0], threads, rows * length * columns)
    _each(piece, pieces, threads)


def _padded(a: Array, lane: Any) -> Array:
    """``a`` in the lane's type, with rows of zeros up to a whole tile."""
    rows, length = a.shape
    whole = -(-rows // ROWS) * ROWS
    if whole == rows:
        return read_only(np.ascontiguousarray(a, lane))
    padded = np.zeros((whole, length), lane)
    padded[:rows] = a
    return read_only(padded)


def read_only(x: Array) -> Array:
    """A view that may not be written to: one type, so that one kernel is compiled for all."""
    view = x.view()
    view.flags.writeable = False
    return view


def _called(kernel: Any, *arguments: Any) -> None:
    """Call a kernel; say how long it took to compile if it had to be."""
    known = len(kernel.overloads)
    begun = time.perf_counter()
    kernel(*arguments)
    if len(kernel.overloads) > known:
        taken = time.perf_counter() - begun
        log.info("%s compiled or loaded, and run, in %.2f s", kernel.__name__, taken)


def _each(piece: Callable[..., None], pieces: Sequence[tuple[Any, Any]], threads: int) -> None:
    """Call ``piece`` on all; this thread and others take one after the other."""
    left = deque(pieces)

    def work() -> None:
        while left:
            try:
                part = left.popleft()
            except IndexError:  # another thread was faster
                return
            piece(*part)

    others = min(threads, len(pieces)) - 1
    if others < 1:
        work()
        return
    with ThreadPoolExecutor(others) as pool:
        working = [pool.submit(work) for _ in range(others)]
        work()
        for one in working:
            one.result()


def _pieces(
    panels: int, rows: int, threads: int, products: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(panels, rows) ranges: panels side by side, rows cut only where panels are few."""
    enough = min(threads, products // _WORTH)
    wanted = 1 if threads == 1 else max(1, enough, min(_PIECES * threads, products // _LARGE))
    across = min(panels, wanted)
    down = min(-(-wanted // across), -(-rows // ROWS))
    panel_edges = [panels * cut // across for cut in range(across + 1)]
    row_edges = [ROWS * (rows // ROWS * cut // down) for cut in range(down + 1)]
    return [(p, r) for p in pairwise(panel_edges) for r in pairwise(row_edges)]


def _stretch(accumulator: Accumulator, length: int) -> int:
    """Products that the general kernels take at once: whole chunks and steps, or a whole tree."""
    match accumulator.chunk, accumulator.order:
        case None, Tree():
            return max(length, 1)
        case None, Fused(terms=terms):
            unit = terms
        case chunk, _:
            unit = chunk or 1
    return max(1, _STRETCH // unit) * unit


def run_general(
    a: Array,
    b: Offsets,
    accumulator: Accumulator,
    out: Array,
    stream: Stream,
    threads: int,
) -> None:
    """The product by the general kernels, a panel of columns and a stretch of K at a time."""
    left = a.astype(np.float64)
    (rows, length), columns = a.shape, b.j_offsets.size
    run = _stretch(accumulator, length)
    for j in range(0, columns, PANEL):
        sums = out[:, j : j + PANEL].astype(np.float64)
        for k in range(0, length, run):
            stretch = b.k_offsets[k : k + run, None] + b.j_offsets[j : j + PANEL]
            right = b.flat[stretch].astype(np.float64)
            place = stream.at(column=j, step=k)
            part = np.ascontiguousarray(left[:, k : k + run])

            def piece(
                first: int, last: int, part: Any = part, right: Any = right, sums: Any = sums,
                place: Stream = place,
            ) -> None:  # fmt: skip
                general.accumulate(part, right, accumulator, sums, place, (first, last))

            edges = [rows * cut // threads for cut in range(threads + 1)]
            _each(piece, [edge for edge in pairwise(edges) if edge[0] < edge[1]], threads)
        out[:, j : j + PANEL] = sums
