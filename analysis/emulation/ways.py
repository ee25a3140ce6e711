"""Which machine operations are exact for these operands and this accumulator, and why.

The accumulator keeps m fraction bits, a product has at most q significant bits, and a lane carries
F bits (24 in float32, 53 in float64). Everything that a lane holds is a multiple of 2^low and below
2^high, and both lie in its normal range (:data:`LANES`): no lane ever under- or overflows. Products
are exact: q ≤ F.

*Nothing to round.* If high − low ≤ F every sum fits the lane; if it also fits the accumulator, or
the accumulator is the lane itself rounding to nearest, a step is one addition.

*Toward zero.* The lane truncates s + p to F bits, a mask truncates that to m ≤ F − 1: truncation
onto a grid and then onto a coarser one is truncation. Below 2^emin the grid no longer follows the
binade; if products can reach below it (low < emin − m, "floor"), the rounding by magic is taken.
*Up, down.* Likewise in the lane's own mode, with the rounding by magic.
*Away, stochastic.* The magnitude is truncated by the lane, half an ulp or a random integer below
the ulp is added to its bits, and they are masked: ⌊x + c⌋ = ⌊⌊x⌋' + c⌋ where ⌊·⌋' keeps the bits of
c. A carry moves into the exponent, as it should.

*Nearest, through a sum rounded to nearest.* t = fl(s + p), then t to m bits. The two roundings
equal one if q ≤ min(m + 1, F − m − 2) and 2m + 2 ≤ F. If s + p fits the lane, the first does
nothing. Else, with E the binade of s + p, one of the two has a last bit below the lane's grid
2^(E−F+1):

- p has. Then |p| < 2^q · 2^(E−F) ≤ 2^(E−m−2), a quarter of the accumulator's ulp there, so s + p is
  within half an ulp of s, which is on the grid, strictly, and so is t: both round to s.
- s has. Then |s| < 2^(m+1) · 2^(E−F) ≤ 2^(E−m−1), half the accumulator's ulp, and p alone is on its
  grid because q ≤ m + 1: s + p rounds to p. So does t, even if it reaches the midpoint: that takes
  2m + 2 = F, then q ≤ m, and p is the even neighbour. (A wider p can lie on a midpoint that only
  s, too small for the lane, would break: 2^−30 + 4.25 at m = 3 is 4.5, but 4.25 alone is 4. A wider
  s can miss a midpoint by less than the lane sees: 1 + (3·2^−13 − 2^−24) at m = 12 is 1 + 2^−12,
  but 1 + 3·2^−13 is 1 + 2^−11.)

*Nearest, any q ≤ F: sum to odd.* s + p is formed with its error by Knuth's two-sum; where the error
is not zero, the sum is taken toward zero and its last bit set. A value rounded to odd with two bits
to spare, F ≥ m + 3, rounds to m fraction bits as the exact value does (Boldo and Melquiond,
"Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE
Transactions on Computers 57(4), 2008).

*Rounding by magic.* Adding 1.5 · 2^(E+F−1−m) to t in its binade E leaves m fraction bits, in the
lane's mode; subtracting it is exact. m ≤ F − 3 keeps the sum in its binade. The magic number is
positive, so that the lane's "toward zero" would be downward; for truncation it takes t's sign.

*No clamp.* S, the sum over k of max|a_k| · max|b|, bounds Σ|p|. As |fl(s + p) − (s + p)| ≤ |p| when
rounding to nearest (s is on the grid), sums stay within 2S; toward zero within S; otherwise within
(S + nQ) (1 + 2^−m)^n, where Q, the format's quantum, is what rounding up or down can make of a
product below it.
"""

import math
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from analysis.draws import HALF_BITS
from analysis.emulation.steps import Draws, Lane, Method, Mode, Step, Word
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Overflow,
    Rounding,
    Sequential,
)

_BY_MAGIC = (Method.MAGIC, Method.SIGNED_MAGIC, Method.ODD_MAGIC)


class LaneLimits(NamedTuple):
    """What a lane carries: bits, exponent range with room for the magic number, field layout."""

    bits: int
    lowest: int  #: exponent of the last bit of anything
    highest: int  #: bound on the exponent of anything
    exponent_mask: int
    real: Any
    word: Any


LANES = {
    Lane.FLOAT32: LaneLimits(24, -126, 100, 0x7F800000, np.float32, np.int32),
    Lane.FLOAT64: LaneLimits(53, -1022, 960, 0x7FF << 52, np.float64, np.int64),
}


class Extent(NamedTuple):
    """Bounds over the operands, their products and where the sums begin."""

    product_bits: int  #: q
    low: int  #: every value is a multiple of 2^low
    high: int  #: every operand and product is below 2^high
    product_low: int  #: every product is a multiple of 2^product_low
    total: float  #: bound on the sum of the products' magnitudes, and of the start's


class Way(NamedTuple):
    """A step, its constants, and the mode of the lane it needs."""

    step: Step
    words: npt.NDArray[Any]
    mode: Mode


def _growth(rounding: Rounding, mantissa_bits: int, length: int) -> float:
    """How far rounded sums may exceed the sum of magnitudes."""
    match rounding:
        case Rounding.NEAREST_EVEN | Rounding.NEAREST_AWAY:
            return 2.0
        case Rounding.TOWARD_ZERO:
            return 1.0
        case _:
            power = length * math.log1p(2.0**-mantissa_bits)
            return math.exp(power) if power < 700.0 else math.inf


def bound(extent: Extent, accumulator: Accumulator, length: int, sums: int = 1) -> float:
    """Bound on every partial sum of ``length`` terms, before any saturation.

    For several ``sums``, on their magnitudes together.
    """
    form = accumulator.format
    if not isinstance(form, FloatFormat):
        return 2.0 * extent.total
    directed = accumulator.rounding in (Rounding.UP, Rounding.DOWN)
    crept = float(length * sums * form.quantum) if directed else 0.0
    total = extent.total + crept
    return _growth(accumulator.rounding, form.mantissa_bits, length) * total if total else 0.0


def choose(
    extent: Extent, accumulator: Accumulator, length: int, inner: Way | None = None
) -> Way | None:
    """The fastest exact step for ``length`` terms; None where only the general kernels are exact.

    With the ``inner`` way given, the step of the outer sum, whose terms come in that way's lane.
    The chunk of ``accumulator`` is of no interest here.
    """
    if accumulator.product is not None or not isinstance(accumulator.order, Sequential):
        return None
    most = bound(extent, accumulator, length)
    match accumulator.format:
        case BlockFormat():
            return None
        case FixedFormat():
            way = _fixed(extent, accumulator.format, most, inner)
        case FloatFormat():
            way = _floating(extent, accumulator, accumulator.format, most, inner)
        case _:
            assert_never(accumulator.format)
    return way


def _lanes(extent: Extent, most: float, inner: Way | None) -> list[Lane]:
    """Lanes, narrow first, that hold every operand, product and sum below ``most``."""
    high = max(extent.high, math.frexp(most)[1])
    narrowest = 24 if inner is None else LANES[inner.step.lane].bits
    return [
        lane
        for lane, limits in LANES.items()
        if max(extent.product_bits, narrowest) <= limits.bits
        and extent.low >= limits.lowest
        and high <= limits.highest
    ]


def _fixed(extent: Extent, form: FixedFormat, most: float, inner: Way | None) -> Way | None:
    """Plain sums of values on the grid that never leave the range."""
    low, high = -form.fraction_bits, form.width_bits - 1 - form.fraction_bits
    if extent.low < low or not most < math.ldexp(1.0, high):
        return None
    for lane in _lanes(extent, most, inner):
        if high - extent.low <= LANES[lane].bits:
            words = np.zeros(len(Word), LANES[lane].word)
            return Way(Step(lane, Method.PLAIN), words, Mode.NEAREST)
    return None


def _floating(
    extent: Extent, accumulator: Accumulator, form: FloatFormat, most: float, inner: Way | None
) -> Way | None:
    clamp = not most < float(form.largest)
    if clamp and form.overflow is Overflow.INFINITY:
        return None
    reach = min(most, float(form.largest)) + extent.total
    floor = extent.product_low < form.emin - form.mantissa_bits
    if not form.subnormals and extent.low < form.emin:
        return None
    for lane in _lanes(extent, reach, inner):
        way = _in_lane(extent, accumulator, form, lane, reach, floor)
        if way is not None:
            method, mode = way
            draws = _draws(accumulator, lane, inner) if method is Method.RANDOM else Draws.NONE
            step = Step(lane, method, floor and method in _BY_MAGIC, clamp, draws)
            return Way(step, _words(step, accumulator, form), mode)
    return None


def _in_lane(
    extent: Extent,
    accumulator: Accumulator,
    form: FloatFormat,
    lane: Lane,
    reach: float,
    floor: bool,
) -> tuple[Method, Mode] | None:
    """The method that is exact in a lane that holds all values, and the lane's mode."""
    m, bits = form.mantissa_bits, LANES[lane].bits
    by_magic = m <= bits - 3 and form.emin >= LANES[lane].lowest
    match accumulator.rounding:
        case Rounding.NEAREST_EVEN:
            method = _nearest(extent, form, lane, reach, by_magic)
            return None if method is None else (method, Mode.NEAREST)
        case Rounding.UP:
            return (Method.MAGIC, Mode.UP) if by_magic else None
        case Rounding.DOWN:
            return (Method.MAGIC, Mode.DOWN) if by_magic else None
        case Rounding.TOWARD_ZERO if floor:
            return (Method.SIGNED_MAGIC, Mode.TOWARD_ZERO) if by_magic else None
        case Rounding.TOWARD_ZERO:
            return (Method.MASK, Mode.TOWARD_ZERO) if m < bits else None
        case Rounding.NEAREST_AWAY:
            exact = not floor and m < bits - 1
            return (Method.AWAY, Mode.TOWARD_ZERO) if exact else None
        case Rounding.STOCHASTIC:
            exact = not floor and accumulator.cut_bits < bits - m
            return (Method.RANDOM, Mode.TOWARD_ZERO) if exact else None
        case _:
            assert_never(accumulator.rounding)


def _draws(accumulator: Accumulator, lane: Lane, inner: Way | None) -> Draws:
    if accumulator.random_bits is None or accumulator.random_bits > HALF_BITS:
        return Draws.WHOLE
    return Draws.PAIRED if lane is Lane.FLOAT32 and inner is None else Draws.HALF


def _nearest(
    extent: Extent, form: FloatFormat, lane: Lane, reach: float, by_magic: bool
) -> Method | None:
    m, q, bits = form.mantissa_bits, extent.product_bits, LANES[lane].bits
    fits = math.frexp(reach)[1] - extent.low
    on_grid = extent.low >= form.emin - m
    if on_grid and (fits <= min(bits, m + 1) or m == bits - 1):
        return Method.PLAIN
    if not by_magic:
        return None
    twice = q <= min(m + 1, bits - m - 2) and 2 * m + 2 <= bits
    if fits <= bits or twice:
        return Method.MAGIC
    return None if lane is Lane.FLOAT32 else Method.ODD_MAGIC


def _words(step: Step, accumulator: Accumulator, form: FloatFormat) -> npt.NDArray[Any]:
    """The constants of a step in the lane's words; zeros where there are none.

    By ldexp, because in another rounding mode a library's power need not be exact.
    """
    limits = LANES[step.lane]
    words = np.zeros(len(Word), limits.word)
    reals = words.view(limits.real)
    spare = limits.bits - 1 - form.mantissa_bits
    words[Word.EXPONENT] = limits.exponent_mask
    words[Word.SIGN] = np.iinfo(limits.word).min
    if step.clamp:  # else it may lie beyond the lane
        reals[Word.LARGEST] = float(form.largest)
    if spare >= 2:
        reals[Word.MAGIC] = math.ldexp(1.5, spare)
    if form.emin >= limits.lowest:
        reals[Word.FLOOR] = math.ldexp(1.0, form.emin)
    words[Word.KEEP] = -(1 << spare) if spare >= 0 else 0
    words[Word.HALF] = 1 << (spare - 1) if spare >= 1 else 0
    if step.draws is not Draws.NONE:
        _random_words(words, accumulator, spare, step.draws)
    return words


def _random_words(
    words: npt.NDArray[Any], accumulator: Accumulator, spare: int, draws: Draws
) -> None:
    """Where the hash's bits go: ``cut_bits`` of them, below the ulp's bit number ``spare``."""
    cut = accumulator.cut_bits
    if draws is Draws.PAIRED:
        words[Word.SHIFT_EVEN], words[Word.SHIFT_ODD] = (spare - HALF_BITS) % 32, spare
        words[Word.RANDOM] = ((1 << cut) - 1) << (spare - cut)
        return
    drawn = cut - 1 if accumulator.random_bits is None else cut
    words[Word.SHIFT_ODD] = 32 - drawn
    words[Word.SHIFT_EVEN] = HALF_BITS - drawn if draws is Draws.HALF else 32 - drawn
    words[Word.RANDOM] = (1 << drawn) - 1
    words[Word.PLACE] = spare - drawn
    if accumulator.random_bits is None:
        words[Word.PLACE] = spare - drawn
        words[Word.ONES] = 1 << (spare - cut)
