"""``matmul``: look at the operands, choose the step that is exact for them, share out the work."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.draws import Stream, stream_of
from analysis.emulation.environment import usual_arithmetic
from analysis.emulation.plans import extent_of, plan_of
from analysis.emulation.running import read_only, run_general, run_tiles
from analysis.emulation.scan import Contents, contents
from analysis.emulation.sweep import Offsets
from analysis.emulation.tile import PANEL, ROWS
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Sequential,
)
from analysis.number_formats import check_kind
from analysis.quantization import quantize
from analysis.threads import available_threads

Array = npt.NDArray[np.floating]
Rng = Stream | np.random.Generator | int

#: significant bits, and exponents, of exact products that the general kernels hold in a float64
_FLOAT64_BITS, _LOWEST, _HIGHEST = 53, -1074, 1000


def offsets(b: Array) -> Offsets:
    """A matrix (K, N) by its elements' places; copied only if neither order is contiguous."""
    if not (b.flags.c_contiguous or b.flags.f_contiguous):
        b = np.ascontiguousarray(b)
    by_row, by_column = (stride // b.itemsize for stride in b.strides)
    rows, columns = (np.arange(size, dtype=np.int64) for size in b.shape)
    return Offsets(b.ravel(order="K"), rows * by_row, columns * by_column)


def _check(a: Array, b: Array) -> None:
    for operand in (a, b):
        check_kind("matmul", "an operand", operand, np.ndarray)
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
    if not np.array_equal(values, start, equal_nan=True):
        raise ValueError(f"matmul: start must lie on the grid of {grid.name}, got values off it")


def _check_step(stream: Stream, accumulator: Accumulator) -> None:
    order = accumulator.order
    whole = accumulator.chunk or (order.terms if isinstance(order, Fused) else 1)
    if stream.step % whole:
        raise ValueError(
            f"matmul: a piece must begin where a chunk or fused step of {whole} products does, got"
            f" step = {stream.step}"
        )


def _check_products(left: Contents, right: Contents) -> None:
    """Whether a float64 holds every exact product."""
    bits = left.bits + right.bits
    if bits > _FLOAT64_BITS:
        raise ValueError(
            f"matmul: exact products must fit {_FLOAT64_BITS} significant bits,"
            f" got operands that need {bits}: quantise them first"
        )
    lowest = min(left.lowest + right.lowest, left.lowest, right.lowest)
    highest = max(left.highest + right.highest + 1, left.highest, right.highest)
    if left.subnormal or right.subnormal or lowest < _LOWEST or highest > _HIGHEST:
        raise ValueError(
            f"matmul: bits of exact products must lie in 2^{_LOWEST}..2^{_HIGHEST},"
            f" got operands that need 2^{lowest}..2^{highest}"
        )


def _batch(a: Array, b: Array) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: leading axes must broadcast, got {a.shape} and {b.shape}"
        ) from None


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
    begin, so that a long K can be fed in pieces (of whole chunks, or whole fused steps). The result
    has the operands' type, or float64 where the accumulator is wider than that, and does not depend
    on ``threads`` (None: all cores) or on the machine. Equal, bit for bit, to
    :func:`analysis.emulation.reference.matmul_exact`.

    >>> from analysis.formats import float_format
    >>> ones = np.ones((1, 100), dtype=np.float32)
    >>> matmul(ones, ones.T, Accumulator(float_format(6, 3))).tolist()  # 16 + 1 rounds to 16
    [[16.0]]

    Raises:
        TypeError: an argument is of another kind; an operand is neither float32 nor float64.
        ValueError: shapes do not match, ``threads`` is not positive, ``start`` is off the grid,
            stochastic rounding without ``rng``, or float64 cannot hold every product exactly.
    """
    _check(a, b)
    check_kind("matmul", "accumulator", accumulator, Accumulator)
    check_kind("matmul", "start", start, np.ndarray, type(None))
    _check_threads(threads)
    batch = _batch(a, b)
    shape = (*batch, a.shape[-2], b.shape[-1])
    out = np.zeros(shape, result_type(accumulator, a, b))
    stream = Stream(0) if rng is None else stream_of(rng)
    if rng is None and accumulator.stochastic:
        raise ValueError("matmul: stochastic rounding needs rng, a seed or a Stream, got None")
    _check_step(stream, accumulator)
    with usual_arithmetic():
        if start is not None:
            _check_start(start, shape, accumulator)
            out[...] = start + 0.0  # the exact zero has no sign
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
    with usual_arithmetic():
        _multiply_by(a, b, accumulator, out, stream, threads or available_threads())


def _multiply_by(
    a: Array, b: Offsets, accumulator: Accumulator, out: Array, stream: Stream, threads: int
) -> None:
    a, b = read_only(np.ascontiguousarray(a)), b._replace(flat=read_only(b.flat))
    left, right, began = contents(a), contents(b.flat), contents(read_only(out))
    _check_products(left, right)
    plan = None
    if left.finite and right.finite and began.finite and not (left.subnormal or right.subnormal):
        extent = extent_of(a, left, right, began)
        plan = plan_of(extent, accumulator, a.shape[1])
    if plan is not None and plan.fits(stream):
        run_tiles(a, b, accumulator, plan, out, stream, threads)
    else:
        run_general(a, b, accumulator, out, stream, threads)
