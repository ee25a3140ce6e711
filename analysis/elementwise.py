"""Rounding element by element, compiled: one loop for all formats, on float32 or float64 lanes.

F is the lane's fraction bits (23 or 52), m and emin are the format's, a is the magnitude of an
element and u its word, the integer of the same bits.

- Where a ≥ 2^emin, the format's grid is the lane's without the last F − m bits. An integer added to
  u and a mask round it, in any direction; a carry runs into the exponent, as it should.
- Below, the grid is even, with steps of the quantum q = 2^(emin − m). The last bit of a + 2^F q is
  worth q, so adding and subtracting 2^F q rounds to nearest even; where another rounding goes to
  the other neighbour, the difference, which is exact, tells.
- Fixed point is the same with m = F and 2^emin = 2^F q: from there up a lane holds only multiples
  of q, and all rounding happens below.

The floating-point unit must round to nearest and keep subnormals
(:mod:`analysis.emulation.environment`); q may then be as small as the lane's last subnormal.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload


class Side(NamedTuple):
    """What depends on the sign of an element: about its magnitude, in words but for two floats."""

    increment: Any  #: added to u before its last bits are dropped
    fall: Any  #: below 2^emin, a step down if a − nearest is less than this; None: nearest even
    rise: Any  #: ... a step up if it is more than this
    limit: Any  #: the greatest value, or infinity
    over: Any  #: what a finite element beyond it becomes
    infinite: Any  #: what an infinite one becomes


class Grid(NamedTuple):
    """A format and a rounding, as a lane wants them; the type of the words says which it is."""

    magnitude: Any  #: mask of all but the sign
    infinity: Any  #: word
    floor: Any  #: word of 2^emin, which is normal in the lane
    keep: Any  #: mask of the bits that stay
    odd: Any  #: the last of them if ties go by it, else 0
    magic: Any  #: 2^F q
    quantum: Any  #: q
    least: Any  #: words below this one become zero
    half: Any  #: 2^(width − 1) q if the format wraps, else None
    plus: Side
    minus: Side


class Chance(NamedTuple):
    """How the first bits of an element's random integer become its draw."""

    bits: int  #: of a draw
    odd: int  #: 1 if the last of them is not random but set
    gap: int  #: F − m − bits, how far above the last bit of u it is added; fixed point: any


def _word(value: Any, word: Any) -> Any:
    """The word of a float in the lane of ``word``."""
    raise TypeError("compiled code only")


def _value(word: Any) -> Any:
    """The lane's float of a word."""
    raise TypeError("compiled code only")


def _like(number: Any, word: Any) -> Any:
    """``number`` as wide as ``word``: numba widens integers to 64 bits, which halves the lanes."""
    raise TypeError("compiled code only")


@overload(_word, strict=False)  # strict compares annotations, which numba's lambdas cannot have
def _word_of(value: Any, word: Any) -> Any:
    if word == types.int32:
        return lambda value, word: np.float32(value).view(np.int32)
    return lambda value, word: np.float64(value).view(np.int64)


@overload(_value, strict=False)
def _value_of(word: Any) -> Any:
    if word == types.int32:
        return lambda word: np.int32(word).view(np.float32)
    return lambda word: np.int64(word).view(np.float64)


@overload(_like, strict=False)
def _like_of(number: Any, word: Any) -> Any:
    if word == types.int32:
        return lambda number, word: np.int32(number)
    return lambda number, word: np.int64(number)


@njit(cache=True)
def _below(u: Any, fall: Any, rise: Any, grid: Any) -> Any:
    """The magnitude ``u`` < 2^emin, rounded on the even grid."""
    nearest = (_value(u) + grid.magic) - grid.magic
    if fall is None:
        return nearest
    rest = _value(u) - nearest
    lower = nearest - grid.quantum if rest < fall else nearest
    return lower + grid.quantum if rest > rise else lower


@njit(cache=True)
def _below_by_chance(u: Any, draw: Any, one: Any, grid: Any) -> Any:
    """The magnitude ``u`` < 2^emin; ``one`` = 2^bits of the draw."""
    steps = _value(u) / grid.quantum
    whole = np.floor(steps)
    cut = np.floor((steps - whole) * one)
    return (whole + 1.0 if cut + draw >= one else whole) * grid.quantum


@njit(cache=True)
def _finished(z: Any, u: Any, side: Any, grid: Any) -> Any:
    """The word of the result's magnitude, from that on an unbounded range, and ``u``."""
    z = _like(0, u) if z < grid.least else z
    z = side.over if z > side.limit else z
    z = side.infinite if u == grid.infinity else z
    return u if u > grid.infinity else z


@njit(cache=True)
def _wrapped(value: Any, half: Any) -> Any:
    """``value``, a multiple of the quantum, in two's complement of the range −half..half."""
    if half is None:
        return value
    modulus = half + half
    rest = value - np.trunc(value / modulus) * modulus
    rest = rest if abs(rest) < modulus else value - value  # the division overflowed
    rest = np.copysign(rest, value)
    rest = rest - modulus if rest >= half else rest
    return rest + modulus if rest < -half else rest


@njit(cache=True, nogil=True)
def round_elements(x: Any, out: Any, grid: Any) -> Any:
    """``x`` into ``out``, both (n,); the greatest word of a magnitude in ``x``."""
    magnitude = grid.magnitude
    greatest = _like(0, magnitude)
    for i in range(x.size):
        word = _word(x[i], magnitude)
        u = _like(word & magnitude, magnitude)
        side = grid.minus if word < 0 else grid.plus
        odd = (u & grid.odd) != 0
        above = _like((u + side.increment + odd) & grid.keep, magnitude)
        below = _word(_below(u, side.fall, side.rise, grid), magnitude)
        z = _finished(above if u >= grid.floor else below, u, side, grid)
        value = _value(_like(z | (word & ~magnitude), magnitude))
        out[i] = _wrapped(value, grid.half)
        greatest = max(greatest, u)
    return greatest


@njit(cache=True, nogil=True)
def round_elements_by_chance(x: Any, out: Any, grid: Any, bits: Any, chance: Any) -> Any:
    """The same by chance, on float64 lanes; ``bits`` (n,) are random integers without sign."""
    magnitude = grid.magnitude
    greatest, one = np.int64(0), 2.0**chance.bits
    unused = 8 * bits.itemsize + chance.odd - chance.bits
    for i in range(x.size):
        draw = np.int64(bits[i] >> unused) << chance.odd | chance.odd
        word = _word(x[i], magnitude)
        u = word & magnitude
        side = grid.minus if word < 0 else grid.plus
        above = (u + (draw << chance.gap & ~grid.keep)) & grid.keep
        below = _word(_below_by_chance(u, np.float64(draw), one, grid), magnitude)
        z = _finished(above if u >= grid.floor else below, u, side, grid)
        value = _value(z | (word & ~magnitude))
        out[i] = _wrapped(value, grid.half)
        greatest = max(greatest, u)
    return greatest
