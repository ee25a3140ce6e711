"""The definition of an accumulating matrix product, in exact rational arithmetic.

Slow and short: what the compiled kernels are held to, bit for bit. A value is a ``Fraction``, or a
float where it is infinite or NaN; those follow IEEE 754 until they are rounded, when a format that
saturates takes an infinity for its largest value.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from analysis.draws import INNER, OUTER, Draw, Stream, draw, stream_of
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Outside,
    Overflow,
    Product,
    Rounding,
    Sequential,
    Tree,
)
from analysis.rounding import Value, exponent, round_exact, whole

#: the draw of a level (inner or outer) at a step
Draws = Callable[[int, int, Accumulator], Draw | None]
ZERO = Fraction(0)


def exact(x: float) -> Value:
    """A float as a rational number, if it is one."""
    return Fraction(x) if math.isfinite(x) else x


def add(x: Value, y: Value) -> Value:
    """x + y, exactly."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y
    if isinstance(x, Fraction):
        return y
    return x if isinstance(y, Fraction) else x + y


def rounded(
    x: Value, number_format: FloatFormat | FixedFormat, rounding: Rounding, chance: Draw | None
) -> Value:
    """:func:`round_exact`; an infinity stays where overflow gives one, and saturates elsewhere."""
    if isinstance(x, Fraction):
        return round_exact(x, number_format, rounding, chance)
    if isinstance(number_format, FixedFormat):
        raise ValueError(f"matmul: operands of {number_format.name} must be finite, got {x}")
    if math.isnan(x) or number_format.overflow is Overflow.INFINITY:
        return x
    return number_format.largest if x > 0 else -number_format.largest


def multiply(x: float, y: float, product: Product | None) -> Value:
    """The product, exact or as the multiplier rounds it."""
    if not (math.isfinite(x) and math.isfinite(y)):
        value: Value = x * y
    else:
        value = Fraction(x) * Fraction(y)
    return value if product is None else rounded(value, product.format, product.rounding, None)


def sequential(
    terms: Sequence[Value],
    start: Value,
    accumulator: Accumulator,
    draws: Draws,
    at: tuple[int, int],
) -> Value:
    """``start`` plus the terms, one after the other; the first is step ``at[1]`` of its level."""
    assert not isinstance(accumulator.format, BlockFormat)
    level, first = at
    total = start
    for step, term in enumerate(terms, first):
        chance = draws(level, step, accumulator)
        total = rounded(add(total, term), accumulator.format, accumulator.rounding, chance)
    return total


def tree(terms: Sequence[Value], accumulator: Accumulator, draws: Draws, first: int) -> Value:
    """Neighbours in pairs, level by level; node i of the tree is step ``first`` + i."""
    if len(terms) < 2:
        return sequential(terms, ZERO, accumulator, draws, (INNER, first))
    pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
    sums = [
        sequential(pair[1:], pair[0], accumulator, draws, (INNER, first + node))
        for node, pair in enumerate(pairs)
    ]
    if len(sums) == 1:
        return sums[0]
    return tree(sums, accumulator, draws, first + len(terms) // 2)


def _cut(x: Fraction, exponent_kept: int, bits: int | None, alignment: Rounding) -> Fraction:
    if bits is None:
        return x
    grid = Fraction(2) ** (exponent_kept - bits)
    return whole(x / grid, alignment) * grid


def _exponents(pairs: Sequence[tuple[float, float]], order: Fused) -> list[int]:
    """Exponents of the products that are not zero: the sum of their operands'."""
    floors = order.least_exponents or (-(10**9), -(10**9))
    return [
        sum(max(exponent(Fraction(z)), floor) for z, floor in zip(pair, floors, strict=True))
        for pair in pairs
        if pair[0] != 0 and pair[1] != 0
    ]


def _significant(x: Fraction, accumulator: Accumulator) -> list[int]:
    """The exponent of the running sum, if it is not zero."""
    assert isinstance(accumulator.format, FloatFormat)
    return [max(exponent(x), accumulator.format.emin)] if x != 0 else []


def fused_step(
    total: Value, pairs: Sequence[tuple[float, float]], accumulator: Accumulator, order: Fused
) -> Value:
    """The running sum and the products of one step, aligned and added; not yet rounded."""
    products = [multiply(x, y, None) for x, y in pairs]
    finite = [p for p in (total, *products) if isinstance(p, Fraction)]
    if len(finite) <= len(products):  # an infinity or a NaN decides
        for p in products:
            total = add(total, p)
        return total
    sum_, *terms = finite
    own = _significant(sum_, accumulator)
    exponents = _exponents(pairs, order)
    if order.outside is None:
        top = max(exponents + own, default=0)
        aligned = (_cut(x, top, order.kept_bits, order.alignment) for x in finite)
        return sum(aligned, ZERO)
    top = max(exponents, default=0)
    apart = sum((_cut(x, top, order.kept_bits, order.alignment) for x in terms), ZERO)
    return _join(sum_, own, apart, exponents, order.outside)


def _join(
    total: Fraction, own: list[int], apart: Fraction, exponents: list[int], outside: Outside
) -> Fraction:
    """A running sum outside the alignment, and the products' sum of the largest exponent."""
    top = max(own + exponents, default=0)
    terms = _cut(apart, top, outside.terms_bits, outside.alignment)
    return terms + _cut(total, top, outside.sum_bits, outside.alignment)


def fused(
    pairs: Sequence[tuple[float, float]],
    start: Value,
    accumulator: Accumulator,
    draws: Draws,
    first: int,
) -> Value:
    """Steps of ``order.terms`` products each, of which the first is step ``first``."""
    order, form = accumulator.order, accumulator.format
    assert isinstance(order, Fused)
    assert isinstance(form, FloatFormat)
    total = start
    for step, at in enumerate(range(0, len(pairs), order.terms), first):
        total = fused_step(total, pairs[at : at + order.terms], accumulator, order)
        total = rounded(total, form, accumulator.rounding, draws(INNER, step, accumulator))
    return total


def block(pairs: Sequence[tuple[float, float]], block_format: BlockFormat) -> Value:
    """The integer sum inside a block, in units of the block's own grid."""
    sides = tuple(zip(*pairs, strict=True))
    if not all(math.isfinite(z) for side in sides for z in side):
        raise ValueError(f"matmul: operands of {block_format.name} must be finite")
    tops = [max((exponent(Fraction(z)) for z in side if z != 0), default=0) for side in sides]
    for z, top, bits in zip(
        sides, tops, (block_format.a_fraction_bits, block_format.b_fraction_bits), strict=True
    ):
        off = [x for x in z if (Fraction(x) * Fraction(2) ** (bits - top)).denominator != 1]
        if off:
            raise ValueError(
                f"matmul: an element of a block of {block_format.name} must be a multiple of"
                f" 2^{top - bits}, got {off[0]}"
            )
    within = Accumulator(block_format.within(sum(tops)))
    products = [multiply(x, y, None) for x, y in pairs]
    return sequential(products, ZERO, within, lambda *_: None, (INNER, 0))


def inner_sum(
    pairs: Sequence[tuple[float, float]],
    start: Value,
    accumulator: Accumulator,
    draws: Draws,
    first: int,
) -> Value:
    """One chunk, or all of it; its first product is number ``first`` of the whole sum."""
    if isinstance(accumulator.format, BlockFormat):
        return block(pairs, accumulator.format)
    match accumulator.order:
        case Fused(terms=terms):
            return fused(pairs, start, accumulator, draws, first // terms)
        case Tree():
            products = [multiply(x, y, accumulator.product) for x, y in pairs]
            return tree(products, accumulator, draws, first)
        case Sequential():
            products = [multiply(x, y, accumulator.product) for x, y in pairs]
            return sequential(products, start, accumulator, draws, (INNER, first))


def dot_exact(
    pairs: Sequence[tuple[float, float]],
    accumulator: Accumulator,
    start: Value = ZERO,
    stream: Stream | None = None,
) -> Value:
    """One dot product of pairs of operands; ``start`` is where the (outer) sum begins."""
    before = 0 if stream is None else stream.step

    def draws(level: int, step: int, at: Accumulator) -> Draw | None:
        if at.rounding is not Rounding.STOCHASTIC:
            return None
        if stream is None:
            raise ValueError("matmul: stochastic rounding needs rng, a seed or a Stream, got None")
        return draw(stream, level, step, at.cut_bits, odd=at.random_bits is None)

    chunk = accumulator.chunk
    if chunk is None:
        return inner_sum(pairs, start, accumulator, draws, before)
    sums = [
        inner_sum(pairs[at : at + chunk], ZERO, accumulator, draws, before + at)
        for at in range(0, len(pairs), chunk)
    ]
    return sequential(sums, start, accumulator.outer_accumulator, draws, (OUTER, before // chunk))


def matmul_exact(
    a: npt.NDArray[np.floating],
    b: npt.NDArray[np.floating],
    accumulator: Accumulator,
    *,
    start: npt.NDArray[np.floating] | None = None,
    rng: Stream | np.random.Generator | int | None = None,
) -> npt.NDArray[np.float64]:
    """``a`` (M, K) times ``b`` (K, N), summed by ``accumulator``; float64 (M, N)."""
    stream = None if rng is None else stream_of(rng)
    out = np.zeros((a.shape[0], b.shape[1])) if start is None else start.astype(np.float64)
    for i, j in np.ndindex(out.shape):
        pairs = list(zip(a[i].tolist(), b[:, j].tolist(), strict=True))
        own = None if stream is None else stream.at(row=i, column=j)
        out[i, j] = float(dot_exact(pairs, accumulator, exact(float(out[i, j])), own))
    return out
