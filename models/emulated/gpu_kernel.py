"""The steps of :mod:`analysis.emulation.ways` as one Triton kernel; the only import of triton.

A program owns a tile of sums. K goes by in order, one product after the other, because every sum is
rounded: no ``tl.dot``. A tile is a tensor of four axes, (rows and columns of a thread, rows and
columns of threads): Triton spreads the last axes over the threads, so that the first two stay in a
thread's registers, where an operand that is loaded serves a whole row or column of sums. B is read
by offsets, as in :mod:`analysis.emulation.sweep`; draws are hashed as in :mod:`analysis.draws`.

The bits are the CPU's, because a step is the same operations on the same words, and

- every product is exact in its lane, so it makes no difference whether a compiler contracts a
  multiplication and an addition; additions it cannot reorder, without fast-math;
- no subnormal of a lane ever occurs (``ways.py``): Triton has CUDA's ``fma_rz`` flush them.

A GPU has no rounding mode to set, but CUDA has an instruction for each (``Operation.native``).
Elsewhere, and in Triton's interpreter, a directed sum is made of the nearest one, t, and of its
error e, which Knuth's two-sum gives exactly: the sum in a direction is t's neighbour there if e
points there, else t. The neighbour is one step of t's bits, also where t is a power of two and the
lane's grid is half as wide below it: the exact sum was rounded up to t, so it lies within half a
step of that finer grid. Where t is zero, so is e.
"""

from dataclasses import dataclass
from typing import NamedTuple

import triton
import triton.language as tl
from triton.language.extra import libdevice

from analysis.draws import GOLDEN, MIX32, MIX64
from analysis.emulation import steps
from analysis.emulation.ways import Way

# a number that a kernel names must be a constant of Triton's
A64, FIRST64, B64, SECOND64, C64 = (tl.constexpr(constant) for constant in MIX64)
A32, FIRST32, B32, SECOND32, C32 = (tl.constexpr(constant) for constant in MIX32)
GOLDEN64 = tl.constexpr(GOLDEN)
WORDS = tl.constexpr(len(steps.Word))
#: arguments for whose values nothing is compiled anew
SIZES = ("rows", "columns", "length", "chunk", "a_by_batch", "a_by_row", "b_by_batch")


@dataclass(frozen=True, slots=True)
class Operation:
    """A step as the kernel is compiled for it."""

    lane: tl.dtype
    word: tl.dtype  #: an integer as wide
    step: steps.Step
    mode: steps.Mode
    native: bool  #: the machine has an instruction for each mode


def operation(way: Way, native: bool) -> Operation:
    """What the kernel is compiled for to go this way."""
    narrow = way.step.lane is steps.Lane.FLOAT32
    lane, word = (tl.float32, tl.int32) if narrow else (tl.float64, tl.int64)
    return Operation(lane, word, way.step, way.mode, native)


class Constants(NamedTuple):
    """The words of a step, in the order of :class:`analysis.emulation.steps.Word`."""

    exponent: tl.tensor
    magic: tl.tensor
    floor: tl.tensor
    largest: tl.tensor
    keep: tl.tensor
    half: tl.tensor
    shift_even: tl.tensor
    shift_odd: tl.tensor
    random: tl.tensor
    ones: tl.tensor
    place: tl.tensor
    sign: tl.tensor


@triton.jit
def _constants(words, op: tl.constexpr):
    return Constants(
        tl.load(words).to(op.word),
        _real(tl.load(words + 1).to(op.word)),
        _real(tl.load(words + 2).to(op.word)),
        _real(tl.load(words + 3).to(op.word)),
        tl.load(words + 4).to(op.word),
        tl.load(words + 5).to(op.word),
        tl.load(words + 6).to(op.word),
        tl.load(words + 7).to(op.word),
        tl.load(words + 8).to(op.word),
        tl.load(words + 9).to(op.word),
        tl.load(words + 10).to(op.word),
        tl.load(words + 11).to(op.word),
    )


@triton.jit
def _bits(x):
    if x.dtype == tl.float32:
        return x.to(tl.int32, bitcast=True)
    else:
        return x.to(tl.int64, bitcast=True)


@triton.jit
def _real(x):
    if x.dtype == tl.int32:
        return x.to(tl.float32, bitcast=True)
    else:
        return x.to(tl.float64, bitcast=True)


@triton.jit
def _two_sum(s, p):
    """The nearest sum and its error (Knuth, TAOCP 2, 4.2.2, theorem B)."""
    total = s + p
    virtual = total - s
    return total, (s - (total - virtual)) + (p - virtual)


@triton.jit
def _inward(total, error):
    """1 where the nearest sum is beyond the exact one, seen from zero."""
    return tl.where(total > 0, error < 0, error > 0).to(_bits(total).dtype)


@triton.jit
def _fused(x, y, z, op: tl.constexpr):
    """x·y + z in the lane's mode, where x·y is exact."""
    if op.mode == steps.Mode.NEAREST:
        return tl.fma(x, y, z)
    elif op.native:
        if op.mode == steps.Mode.TOWARD_ZERO:
            return libdevice.fma_rz(x, y, z)
        elif op.mode == steps.Mode.UP:
            return libdevice.fma_ru(x, y, z)
        else:
            return libdevice.fma_rd(x, y, z)
    else:
        total, error = _two_sum(z, x * y)
        if op.mode == steps.Mode.TOWARD_ZERO:
            return _real(_bits(total) - _inward(total, error))
        elif op.mode == steps.Mode.UP:
            up = (error > 0).to(op.word)
            return _real(_bits(total) + tl.where(total > 0, up, -up))
        else:
            down = (error < 0).to(op.word)
            return _real(_bits(total) - tl.where(total > 0, down, -down))


@triton.jit
def _sum_to_odd(s, p):
    """Toward zero, and where that is not exact, with the last bit set."""
    total, error = _two_sum(s, p)
    truncated = _bits(total) - _inward(total, error)
    return _real(truncated | (error != 0).to(truncated.dtype))


@triton.jit
def _by_magic(t, w, op: tl.constexpr):
    """(t + 1.5·2^(F−1−m)·e) − 1.5·2^(F−1−m)·e, e the binade of t."""
    binade = _real(_bits(t) & w.exponent)
    if op.step.floor:
        binade = tl.maximum(binade, w.floor)
    if op.step.method == steps.Method.SIGNED_MAGIC:
        binade = _real(_bits(binade) | (_bits(t) & w.sign))
    return _fused(binade, -w.magic, _fused(binade, w.magic, t, op), op)


@triton.jit
def _rounded(t, chance, w, op: tl.constexpr):
    if op.step.method == steps.Method.PLAIN:
        return t
    elif op.step.method == steps.Method.MASK:
        return _real(_bits(t) & w.keep)
    elif op.step.method == steps.Method.AWAY:
        return _real((_bits(t) + w.half) & w.keep)
    elif op.step.method == steps.Method.RANDOM:
        return _real((_bits(t) + chance) & w.keep)
    else:
        return _by_magic(t, w, op)


@triton.jit
def _added(s, x, y, chance, w, op: tl.constexpr):
    """s + x·y on the accumulator's grid."""
    if op.step.method == steps.Method.ODD_MAGIC:
        r = _rounded(_sum_to_odd(s, x * y), chance, w, op)
    else:
        r = _rounded(_fused(x, y, s, op), chance, w, op)
    if op.step.clamp:
        r = tl.maximum(tl.minimum(r, w.largest), -w.largest)
    return r


@triton.jit
def _hash64(key, counter):
    x = key.to(tl.uint64) + counter.to(tl.uint64) * GOLDEN64
    x = (x ^ (x >> A64)) * FIRST64
    x = (x ^ (x >> B64)) * SECOND64
    return x ^ (x >> C64)


@triton.jit
def _draws(keys, row, column):
    """The rows' 64-bit keys and the columns' 32-bit places of a level."""
    return _hash64(tl.load(keys), row), (_hash64(tl.load(keys + 1), column) >> 32).to(tl.uint32)


@triton.jit
def _word(row_keys, places, step, op: tl.constexpr):
    """:func:`analysis.draws.word` of a step."""
    if op.step.draws == steps.Draws.NONE:
        return places
    else:
        counter = step if op.step.draws == steps.Draws.WHOLE else step >> 1
        x = (_hash64(row_keys, counter) >> 32).to(tl.uint32) + places
        x = (x ^ (x >> A32)) * FIRST32
        x = (x ^ (x >> B32)) * SECOND32
        return x ^ (x >> C32)


@triton.jit
def _chance(word, step, w, op: tl.constexpr):
    """A step's random bits in their place."""
    by = tl.where(step % 2 != 0, w.shift_odd, w.shift_even).to(tl.uint32)
    if op.step.draws == steps.Draws.NONE:
        return 0
    elif op.step.draws == steps.Draws.PAIRED:
        turned = (word << by) | (word >> ((32 - by) & 31))
        return turned.to(tl.int32, bitcast=True) & w.random
    else:
        return (((word >> by).to(op.word) & w.random) << w.place) | w.ones


@triton.jit
def _multiplied(s, a, b, word, step, w, op: tl.constexpr):
    """s + a·b, of the operands at these places, on the accumulator's grid."""
    x, y = tl.load(a).to(op.lane), tl.load(b).to(op.lane)
    return _added(s, x, y, _chance(word, step, w, op), w, op)


@triton.jit
def _sum(
    a, a_by_k, b, k_offsets, first, last, row_keys, places, step, w, op: tl.constexpr,
    TILE: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """The sums of products ``first`` … ``last``; ``step`` is that of product 0."""
    s = tl.zeros(TILE, op.lane)
    even = last - (last - first) % UNROLL
    for k in range(first, even, UNROLL):
        word = places
        for u in tl.static_range(UNROLL):
            at = k + u
            if u % 2 == 0 or op.step.draws != steps.Draws.PAIRED:
                word = _word(row_keys, places, step + at, op)
            from_b = b + tl.load(k_offsets + at)
            s = _multiplied(s, a + at * a_by_k, from_b, word, step + at, w, op)
    for k in range(even, last):
        word = _word(row_keys, places, step + k, op)
        s = _multiplied(s, a + k * a_by_k, b + tl.load(k_offsets + k), word, step + k, w, op)
    return s


@triton.jit
def _axis(OWN: tl.constexpr, LANES: tl.constexpr, rows: tl.constexpr):
    """Places along the rows, or the columns, of a tile."""
    own, lane = tl.arange(0, OWN) * LANES, tl.arange(0, LANES)
    if rows:
        return (own[:, None, None, None] + lane[None, None, :, None]).to(tl.int64)
    else:
        return (own[None, :, None, None] + lane[None, None, None, :]).to(tl.int64)


@triton.jit(do_not_specialize=SIZES)
def product_kernel(
    a, b, k_offsets, j_offsets, out, words, origin,
    rows, columns, length, chunk, a_by_batch, a_by_row, a_by_k, b_by_batch,
    inner: tl.constexpr, outer: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """``out`` (batch, M, N) is ``a`` (batch, M, K) times b[k_offsets[k] + j_offsets[j]] (K, N).

    ``words`` are those of the inner step, then of the outer; ``origin`` the keys of rows and of
    columns of both, then this product's first row, column, step and chunk in the whole.
    """
    across = tl.cdiv(columns, TILE[1] * TILE[3])
    down = tl.cdiv(rows, TILE[0] * TILE[2])
    tile = tl.program_id(0)
    batch = (tile // across // down).to(tl.int64)
    i = tile // across % down * (TILE[0] * TILE[2]) + _axis(TILE[0], TILE[2], True)
    j = tile % across * (TILE[1] * TILE[3]) + _axis(TILE[1], TILE[3], False)
    a += batch * a_by_batch + tl.minimum(i, rows - 1) * a_by_row
    b += batch * b_by_batch + tl.load(j_offsets + tl.minimum(j, columns - 1))
    a_by_k = tl.cast(a_by_k, tl.int64)

    row, column = tl.load(origin + 4) + batch * rows + i, tl.load(origin + 5) + j
    row_keys, places = _draws(origin, row, column)
    step, w = tl.load(origin + 6), _constants(words, inner)
    if outer is None:
        total = _sum(
            a, a_by_k, b, k_offsets, 0, length, row_keys, places, step, w, inner, TILE, UNROLL
        )
    else:
        total = tl.zeros(TILE, outer.lane)
        outer_keys, outer_places = _draws(origin + 2, row, column)
        outer_w, one = _constants(words + WORDS, outer), tl.full((1, 1, 1, 1), 1.0, outer.lane)
        for first in range(0, length, chunk):
            last = tl.minimum(first + chunk, length)
            s = _sum(
                a, a_by_k, b, k_offsets, first, last, row_keys, places, step, w, inner, TILE, UNROLL
            )
            number = tl.load(origin + 7) + first // chunk
            word = _word(outer_keys, outer_places, number, outer)
            drawn = _chance(word, number, outer_w, outer)
            total = _added(total, s.to(outer.lane), one, drawn, outer_w, outer)
    at = out + (batch * rows + i) * columns + j
    there = (i < rows) & (j < columns)
    tl.store(at, (total + 0.0).to(out.dtype.element_ty), mask=there)  # the exact zero has no sign
