"""``matmul``: look at the operands, choose the step that is exact for them, share out the work."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.draws import INNER, OUTER, Stream, stream_of
from analysis.emulation.draws import places, turns
from analysis.emulation.plans import Plan, extent_of, plan_of
from analysis.emulation.scan import Contents, contents
from analysis.emulation.steps import Draws
from analysis.emulation.sweep import (
    Offsets,
    Result,
    Table,
    buffers,
    sweep_chunks,
    sweep_plain,
)
from analysis.emulation.tile import PANEL, ROWS
from analysis.emulation.ways import LANES, Way
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Sequential,
    Tree,
)
from analysis.rounding import quantize

Array = npt.NDArray[np.floating]
Rng = Stream | np.random.Generator | int

log = logging.getLogger("partialsum")
#: significant bits, and exponents, of exact products that the general kernels hold in a float64
_FLOAT64_BITS, _LOWEST, _HIGHEST = 53, -1074, 1000
#: pieces of work for each thread, so that a thread that is held up does not hold up all
_PIECES = 4
#: products for which a thread more is worth its start
_WORTH = 1 << 20
#: hashes of rows that are kept at once: 64 MiB
_HASHES = 1 << 24
#: products of a panel that the general kernels take at once: 32 MiB of float64
_STRETCH = 1 << 16


def available_threads() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def offsets(b: Array) -> Offsets:
    """A matrix (K, N) by its elements' places; copied only if neither order is contiguous."""
    if not (b.flags.c_contiguous or b.flags.f_contiguous):
        b = np.ascontiguousarray(b)
    by_row, by_column = (stride // b.itemsize for stride in b.strides)
    rows, columns = (np.arange(size, dtype=np.int64) for size in b.shape)
    return Offsets(b.ravel(order="K"), rows * by_row, columns * by_column)


def _check(a: Array, b: Array) -> None:
    for operand in (a, b):
        if operand.dtype not in (np.float32, np.float64):
            raise TypeError(f"matmul: operands must be float32 or float64, got {operand.dtype}")
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: shapes must be (..., M, K) and (..., K, N), got {a.shape} and {b.shape}"
        )


def _check_start(start: Array, shape: tuple[int, ...], accumulator: Accumulator) -> None:
    if start.shape != shape:
        raise ValueError(f"matmul: start must have shape {shape}, got {start.shape}")
    if accumulator.chunk is None and not isinstance(accumulator.order, Sequential | Fused):
        raise ValueError(f"matmul: a sum in the order {accumulator.order} cannot have a start")
    grid = accumulator.outer_accumulator.format
    assert isinstance(grid, FloatFormat | FixedFormat)
    values = quantize(start, grid)
    if not np.array_equal(values, start):
        raise ValueError(f"matmul: start must lie on the grid of {grid.name}, got values off it")


def _check_products(left: Contents, right: Contents) -> None:
    """Whether a float64 holds every exact product."""
    bits = left.bits + right.bits
    if bits > _FLOAT64_BITS:
        raise ValueError(
            f"matmul: exact products must fit {_FLOAT64_BITS} significant bits,"
            f" got operands that need {bits}"
        )
    lowest = min(left.lowest + right.lowest, left.lowest, right.lowest)
    highest = max(left.highest + right.highest + 1, left.highest, right.highest)
    if left.subnormal or right.subnormal or lowest < _LOWEST or highest > _HIGHEST:
        raise ValueError(
            f"matmul: bits of exact products must lie in 2^{_LOWEST}..2^{_HIGHEST},"
            f" got operands that need 2^{lowest}..2^{highest}"
        )


def _check_threads(threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise ValueError(f"matmul: threads must be at least 1, got {threads}")


def result_type(accumulator: Accumulator, *operands: Array) -> Any:
    """The operands' type; float64 where the accumulator's values do not fit float32."""
    form = accumulator.outer_accumulator.format
    match form:
        case FloatFormat():
            narrow = form.mantissa_bits <= 23 and form.emin >= -126 and form.emax <= 127
        case FixedFormat():
            narrow = form.width_bits <= 25 and abs(form.fraction_bits) <= 100
        case BlockFormat():
            raise AssertionError("an outer accumulator has no block format")
    return np.result_type(*operands) if narrow else np.float64


def matmul(
    a: Array,
    b: Array,
    accumulator: Accumulator,
    *,
    rng: Rng | None = None,
    start: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``a`` (..., M, K) times ``b`` (..., K, N), summed by ``accumulator``; (..., M, N).

    Operands are float32 or float64 and are taken as they are: quantise them first. Leading axes are
    broadcast. ``rng`` is what stochastic rounding draws from: a seed, a generator, or a
    :class:`Stream` that says where in a larger product this one lies (matrix number i of a batch
    begins at row i·M). ``start`` (..., M, N), on the (outer) accumulator's grid, is where the sums
    begin, so that a long K can be fed in pieces (of whole chunks). The result has the operands'
    type, or float64 where the accumulator is wider than that, and does not depend on ``threads``
    (None: all cores) or on the machine. Equal, bit for bit, to
    :func:`analysis.emulation.reference.matmul_exact`.

    >>> from analysis.formats import float_format
    >>> ones = np.ones((1, 100), dtype=np.float32)
    >>> matmul(ones, ones.T, Accumulator(float_format(6, 3))).tolist()  # 16 + 1 rounds to 16
    [[16.0]]

    Raises:
        TypeError: an operand is neither float32 nor float64.
        ValueError: shapes do not match, ``threads`` is not positive, ``start`` is off the grid,
            stochastic rounding without ``rng``, or float64 cannot hold every product exactly.
    """
    _check(a, b)
    _check_threads(threads)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    out = np.zeros(shape, result_type(accumulator, a, b))
    if start is not None:
        _check_start(start, shape, accumulator)
        out[...] = start
    stream = Stream(0) if rng is None else stream_of(rng)
    if rng is None and accumulator.stochastic:
        raise ValueError("matmul: stochastic rounding needs rng, a seed or a Stream, got None")
    left, right = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    for number, index in enumerate(np.ndindex(*batch)):
        place = stream.at(row=number * a.shape[-2])
        multiply(left[index], right[index], accumulator, out[index], place, threads)
    return out


def multiply(
    a: Array, b: Array, accumulator: Accumulator, out: Array, stream: Stream, threads: int | None
) -> None:
    """Continue the sums in ``out`` (M, N) by ``a`` (M, K) times ``b`` (K, N), turned as is best."""
    (rows, _), columns = a.shape, b.shape[1]
    turned = -(-columns // ROWS) * ROWS * -(-rows // PANEL) * PANEL
    upright = -(-rows // ROWS) * ROWS * -(-columns // PANEL) * PANEL
    if turned < upright and accumulator.symmetric:
        a, b, out = b.T, a.T, out.T
    multiply_by(a, offsets(b), accumulator, out, stream, threads)


def multiply_by(
    a: Array,
    b: Offsets,
    accumulator: Accumulator,
    out: Array,
    stream: Stream,
    threads: int | None = None,
) -> None:
    """Continue ``out`` (M, N) by ``a`` (M, K) times the matrix (K, N) that ``b`` describes.

    For products whose right factor need not be written down, such as the windows of an image.
    """
    if 0 in out.shape:
        return
    if not (out.flags.c_contiguous or out.flags.f_contiguous):
        whole = out.copy()
        multiply_by(a, b, accumulator, whole, stream, threads)
        out[...] = whole
        return
    a = np.ascontiguousarray(a)
    left, right, began = contents(a), contents(b.flat), contents(out)
    _check_products(left, right)
    plan = None
    if left.finite and right.finite and not (left.subnormal or right.subnormal):
        extent = extent_of(a, left, right, began)
        plan = plan_of(extent, accumulator, a.shape[1])
    if plan is not None and _pairs_end_well(plan, stream):
        _run(a, b, accumulator, plan, out, stream, threads or available_threads())
    else:
        _run_general(a, b, accumulator, out, stream, threads or available_threads())


def _pairs_end_well(plan: Plan, stream: Stream) -> bool:
    """Whether this piece of a sum begins where the draws of two steps begin to share a word."""
    return plan.inner.step.draws is not Draws.PAIRED or stream.step % 2 == 0


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


def _run(
    a: Array,
    b: Offsets,
    accumulator: Accumulator,
    plan: Plan,
    out: Array,
    stream: Stream,
    threads: int,
) -> None:
    """The product by the plan's steps, in pieces that threads take as they become free."""
    unit = accumulator.chunk or 2  # an even step, so that pairs of draws stay together
    run = max(1, _HASHES // (a.shape[0] * unit)) * unit
    if plan.drawn and a.shape[1] > run:
        for k in range(0, a.shape[1], run):
            part = b._replace(k_offsets=b.k_offsets[k : k + run])
            place = stream.at(step=k)
            _run(a[:, k : k + run], part, accumulator, plan, out, place, threads)
        return
    inner, outer = plan
    lane = LANES[inner.step.lane].real
    outer_lane = lane if outer is None else LANES[outer.step.lane].real
    (rows, length), columns = a.shape, b.j_offsets.size
    padded = -(-rows // ROWS) * ROWS
    left = np.zeros((padded, length), lane) if padded > rows else np.ascontiguousarray(a, lane)
    if padded > rows:
        left[:rows] = a
    by_row, by_column = (stride // out.itemsize for stride in out.strides)
    result = Result(out.ravel(order="K"), by_row, by_column, rows, columns)
    panels = -(-columns // PANEL)
    size = padded, length, panels * PANEL
    steps: tuple[Any, ...] = ((*inner, _table(inner, stream, INNER, size)),)
    chunk: tuple[int, ...] = ()
    kernel: Any = sweep_plain
    if outer is not None:
        assert accumulator.chunk is not None
        chunk = (accumulator.chunk,)
        size = padded, -(-length // accumulator.chunk), panels * PANEL
        ended = replace(stream, step=stream.step // accumulator.chunk)
        steps = (*steps, (*outer, _table(outer, ended, OUTER, size)))
        kernel = sweep_chunks
    arguments = (*steps, left, b, result, *chunk)

    def piece(across: tuple[int, int], down: tuple[int, int]) -> None:
        _called(kernel, *arguments, buffers(lane, outer_lane), across, down)

    pieces = _pieces(panels, padded, threads, rows * length * columns)
    _each(piece, pieces, threads)


def _called(kernel: Any, *arguments: Any) -> None:
    """Call a kernel; say how long it took to compile if it had to be."""
    known = len(kernel.overloads)
    begun = time.perf_counter()
    kernel(*arguments)
    if len(kernel.overloads) > known:
        taken = time.perf_counter() - begun
        log.info("%s compiled or loaded, and run, in %.2f s", kernel.__name__, taken)


def _each(piece: Callable[..., None], pieces: Sequence[tuple[Any, Any]], threads: int) -> None:
    """Call ``piece`` on all."""
    if threads == 1 or len(pieces) == 1:
        for part in pieces:
            piece(*part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: piece(*part), pieces))


def _pieces(
    panels: int, rows: int, threads: int, products: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(panels, rows) ranges: panels side by side, rows cut only where panels are few."""
    wanted = 1 if threads == 1 else max(1, min(_PIECES * threads, products // _WORTH))
    across = min(panels, wanted)
    down = min(-(-wanted // across), -(-rows // ROWS))
    panel_edges = [panels * cut // across for cut in range(across + 1)]
    row_edges = [ROWS * (rows // ROWS * cut // down) for cut in range(down + 1)]
    return [(p, r) for p in pairwise(panel_edges) for r in pairwise(row_edges)]


def _stretch(accumulator: Accumulator, length: int) -> int:
    """Products that the general kernels take at once: whole chunks and steps, or a whole tree."""
    match accumulator.chunk, accumulator.order:
        case None, Tree():
            return length
        case None, Fused(terms=terms):
            unit = terms
        case chunk, _:
            unit = chunk or 1
    return max(1, _STRETCH // unit) * unit


def _run_general(
    a: Array,
    b: Offsets,
    accumulator: Accumulator,
    out: Array,
    stream: Stream,
    threads: int,
) -> None:
    """The product by the general kernels, a panel of columns and a stretch of K at a time."""
    from analysis.emulation import general

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
