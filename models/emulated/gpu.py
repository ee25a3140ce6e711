"""Emulated products of CUDA tensors: planned as the CPU's, computed by one Triton kernel.

What the operands hold is found on the device, and :mod:`analysis.emulation.plans` says which steps
are exact for it: those of the CPU, and so its bits. Where there are none (orders that are not
sequential, products that are rounded, operands that are not finite, formats at their limits), the
product is computed on the CPU, which a line of the log says once for each accumulator.

Written without a GPU: tested in Triton's interpreter and compiled for one, but neither run on a GPU
nor measured there. ``python -m benchmarks.gpu`` does both.
"""

import functools
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.draws import INNER, OUTER, Stream, side_key
from analysis.emulation.gemm import result_type
from analysis.emulation.plans import Plan, extent_of, plan_of
from analysis.emulation.scan import Contents
from analysis.emulation.steps import Draws
from analysis.formats import Accumulator, FloatFormat, Overflow
from models.emulated.gpu_kernel import operation, product_kernel
from models.emulated.product import Windows

log = logging.getLogger("partialsum")
#: a thread's sums along rows and columns, most first: each operand it loads serves a row or column
REGISTERS = ((8, 4), (4, 4), (2, 2), (1, 1))
#: threads along rows and columns: four warps
_LANES = (8, 16)
#: tiles that are enough for a GPU: two for each of an H100's 132 multiprocessors
_ENOUGH = 264
#: products in a row without a look at the chunk's end; even, as two steps share a word of draws
_UNROLL = 8
#: elements of a tensor that are scanned at once: 32 MiB of float64
_SLICE = 1 << 22
_HIDDEN, _EXPONENT, _FAR = 1 << 52, 0x7FF << 52, 1 << 20
_MASK64 = (1 << 64) - 1
_NOTHING = Contents(0, 0, 0, finite=True, subnormal=False)


def _scan(x: Tensor) -> Tensor:
    """Bits, lowest, highest, infinite, subnormal: :class:`Contents` of a flat tensor, int64."""
    word = x.to(torch.float64).view(torch.int64)
    field, fraction = (word >> 52) & 2047, word & (_HIDDEN - 1)
    whole = fraction | _HIDDEN
    last = ((whole & -whole).to(torch.float64).view(torch.int64) >> 52) - 1023
    there = (field != 0) & (field != 2047)
    found = (
        torch.where(there, 53 - last, 0).amax(),
        torch.where(there, field - 1075 + last, _FAR).amin(),
        torch.where(there, field - 1023, -_FAR).amax(),
        (field == 2047).any(),
        ((field == 0) & (fraction != 0)).any(),
    )
    return torch.stack([each.to(torch.int64) for each in found])


def contents(x: Tensor) -> Contents:
    """What a tensor holds that is not empty: :func:`analysis.emulation.scan.contents`."""
    flat = x.flatten()
    parts = [_scan(flat[first : first + _SLICE]) for first in range(0, flat.numel(), _SLICE)]
    bits, lowest, highest, infinite, subnormal = torch.stack(parts, dim=1).tolist()
    if max(bits) == 0:
        lowest = highest = [0]
    return Contents(max(bits), min(lowest), max(highest), not any(infinite), any(subnormal))


def plan(a: Tensor, right: Tensor, accumulator: Accumulator, draws: Stream) -> Plan | None:
    """The steps that are exact for ``a`` (..., M, K) times a factor of these elements, if any."""
    left, others = contents(a), contents(right)
    if not (left.finite and others.finite) or left.subnormal or others.subnormal:
        return None
    peaks = a.abs().flatten(0, -2).amax(0, keepdim=True)  # all that the bound needs of a
    extent = extent_of(peaks.cpu().numpy(), left, others, _NOTHING)
    found = plan_of(extent, accumulator, a.shape[-1])
    if found is not None and found.inner.step.draws is Draws.PAIRED and draws.step % 2:
        return None
    return found


class Right(NamedTuple):
    """The right factor (batch, K, N): ``flat[batch · by_batch + k_offsets[k] + j_offsets[j]]``."""

    flat: Tensor
    by_batch: int
    k_offsets: Tensor
    j_offsets: Tensor


def right_of(b: Tensor | Windows, batch: Sequence[int]) -> Right:
    """``b`` (..., K, N), broadcast to the axes ``batch``; or windows, which have no such axes."""
    if isinstance(b, Windows):
        tables = (torch.from_numpy(x).to(b.flat.device) for x in (b.k_offsets, b.j_offsets))
        return Right(b.flat, 0, *tables)
    whole = b.expand(*batch, *b.shape[-2:]).reshape(-1, *b.shape[-2:])
    by_batch, by_row, by_column = whole.stride()
    rows, columns = (torch.arange(size, device=b.device) for size in b.shape[-2:])
    return Right(whole, by_batch, rows * by_row, columns * by_column)


def product(
    a: Tensor, b: Tensor | Windows, accumulator: Accumulator, draws: Stream
) -> Tensor | None:
    """``a`` (..., M, K) times ``b`` (..., K, N), or times windows (K, N).

    Bit for bit, and in the type, that :func:`analysis.emulation.matmul` gives; None where no step
    of the kernel is exact.
    """
    flat, own = (b.flat, ()) if isinstance(b, Windows) else (b, b.shape[:-2])
    columns = b.j_offsets.size if isinstance(b, Windows) else b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], own)
    alone = math.prod(own) == 1  # one product instead of many with the same b
    rows, length = a.shape[-2:]
    out = a.new_zeros((*batch, rows, columns), dtype=_type_of(accumulator, a, flat))
    if 0 in (out.numel(), length):
        return out
    steps = plan(a, flat, accumulator, draws)
    if steps is None:
        _say(accumulator)
        return None
    left = a.expand(*batch, rows, length)
    left = left.reshape(1, -1, length) if alone else left.flatten(0, -3)
    launch(left, right_of(b, batch), out, steps, accumulator, draws)
    return out


def _type_of(accumulator: Accumulator, *operands: Tensor) -> torch.dtype:
    """:func:`analysis.emulation.gemm.result_type` of tensors."""
    samples = (torch.empty(0, dtype=each.dtype).numpy() for each in operands)
    wide = result_type(accumulator, *samples) == np.float64
    return torch.float64 if wide else torch.float32


@functools.cache
def _say(accumulator: Accumulator) -> None:
    log.warning("emulated product: computed on the CPU, as no GPU step is exact: %s", accumulator)


def launch(
    left: Tensor, right: Right, out: Tensor, plan: Plan, accumulator: Accumulator, draws: Stream
) -> None:
    """``left`` (batch, M, K) times ``right`` into ``out``, contiguous, by the steps of ``plan``."""
    (batch, rows, length), columns = left.shape, right.j_offsets.numel()
    registers = registers_for(batch, rows, columns)
    native = left.is_cuda and torch.version.cuda is not None
    tables = (_words(plan), _origin(draws, accumulator))
    with torch.cuda.device_of(out):  # type: ignore[no-untyped-call]  # torch does not type it
        product_kernel[(_tiles(batch, rows, columns, registers),)](
            left, right.flat, right.k_offsets, right.j_offsets, out,
            *(torch.from_numpy(table).to(left.device) for table in tables),
            rows, columns, length, min(accumulator.chunk or length, length),
            *left.stride(), right.by_batch,
            inner=operation(plan.inner, native),
            outer=None if plan.outer is None else operation(plan.outer, native),
            TILE=(*registers, *_LANES),
            UNROLL=_UNROLL,
            enable_fp_fusion=False,
        )  # fmt: skip


def registers_for(batch: int, rows: int, columns: int) -> tuple[int, int]:
    """A thread's rows and columns of sums: the most that leave tiles enough."""
    enough = (r for r in REGISTERS if _tiles(batch, rows, columns, r) >= _ENOUGH)
    return next(enough, REGISTERS[-1])


def _tiles(batch: int, rows: int, columns: int, registers: tuple[int, int]) -> int:
    down, across = (reg * lane for reg, lane in zip(registers, _LANES, strict=True))
    return batch * -(-rows // down) * -(-columns // across)


def _words(plan: Plan) -> npt.NDArray[np.int64]:
    """The constants of both steps, in words as wide as the widest."""
    ways = [plan.inner, plan.outer or plan.inner]
    return np.concatenate([way.words.astype(np.int64) for way in ways])


def _origin(draws: Stream, accumulator: Accumulator) -> npt.NDArray[np.int64]:
    """The keys of rows and columns, inner and outer, and where this product lies in the whole."""
    keys = [side_key(draws.seed, level, side) for level in (INNER, OUTER) for side in (0, 1)]
    chunks = draws.step // (accumulator.chunk or 1)
    places = [draws.row, draws.column, draws.step, chunks]
    return np.array([x & _MASK64 for x in (*keys, *places)], dtype=np.uint64).view(np.int64)


def quantized(x: Tensor, form: FloatFormat) -> Tensor:
    """``x`` (float32 or float64) rounded to nearest even, as by ``analysis.quantization``."""
    largest = float(form.largest)
    values = x.to(torch.float64).clamp(-2.0 * largest, 2.0 * largest)
    binade = (values.view(torch.int64) & _EXPONENT).view(torch.float64)
    grid = binade.clamp(min=2.0**form.emin) * 2.0**-form.mantissa_bits
    values = torch.round(values / grid) * grid
    if not form.subnormals:
        values = torch.where(values.abs() < 2.0**form.emin, 0.0, values)
    over = math.inf if form.overflow is Overflow.INFINITY else largest
    return torch.where(values.abs() > largest, values.sign() * over, values).to(x.dtype)
