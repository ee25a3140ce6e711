"""Any rounding to any format, on a panel of float64 lanes.

A sum s + p is held as ``plain + error``, exactly (Knuth's two-sum; its terms stay below 2^1002, so
nothing overflows, and float64 sums never underflow). Its magnitude, cut to 53 bits, is y; whether
anything was cut off is ``inexact``. Since every grid is at least one bit coarser than y, and at
least ``cut_bits`` coarser where the rounding is stochastic (``Accumulator`` sees to it), the part
of y below the grid and ``inexact`` decide: with y = (below + rest) ulp,

- towards nearest away, and by chance: up where rest ≥ a threshold, 1/2 or 1 − draw/2^bits, which is
  a multiple of y's last bit, so that what was cut off does not matter;
- towards nearest even: as rint(below + rest), or up if rest ≥ 1/2 and y is inexact;
- away from zero: up where rest > 0 or y is inexact;
- towards zero: never up.

A power of two brings ulp to 1 and is exact, except that it may underflow; what is left of y is then
lifted to a quantity as good as any other so small.

Where sums wrap, s and p are first reduced by the modulus (:func:`add_wrapping`), because the bits
above it would push out those at the grid; the sign of the true sum decides what "away" means.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from analysis.formats import FixedFormat, FloatFormat, Overflow, Rounding

PANEL = 64  #: columns, one to a lane
FRACTION = 52  #: where the exponent's field begins in a float64
BIAS = 1023
EXPONENT = np.int64(0x7FF0000000000000)
_INVERSE = np.int64(2 * BIAS << FRACTION)
_ONE = np.int64(1)
_FINITE = np.finfo(np.float64).max
TINY = 2.0**-100
_LEAST = 5e-324
NEVER = 2.0


class Grid(NamedTuple):
    """A format and a rounding, as a lane wants them.

    Exponents are fields of a float64, in place; pairs are (for sums ≥ 0, for sums < 0).
    """

    mantissa: int  #: bits that the last place lies below the leading one
    quantum: int  #: the least exponent of the last place
    even: bool  #: nearest even
    away: tuple[float, float]  #: the rest from which it rounds up in magnitude
    inexact: tuple[float, float]  #: the same where more was cut off
    least: float  #: smaller magnitudes become zero
    limits: tuple[float, float]  #: greatest and least value
    beyond: tuple[float, float]  #: what finite values outside become
    infinite: float  #: what an infinity becomes
    wraps: bool
    modulus: tuple[float, float]  #: of a sum that wraps, and its inverse


def grid_of(number_format: FloatFormat | FixedFormat, rounding: Rounding) -> Grid:
    """The format and rounding, packed."""
    if isinstance(number_format, FixedFormat):
        return _fixed_grid(number_format, rounding)
    largest = float(number_format.largest)
    to_infinity = number_format.overflow is Overflow.INFINITY
    over = math.inf if to_infinity and rounding not in (_ZERO, _DOWN) else largest
    under = -math.inf if to_infinity and rounding not in (_ZERO, _UP) else -largest
    return Grid(
        number_format.mantissa_bits << FRACTION,
        number_format.emin - number_format.mantissa_bits + BIAS << FRACTION,
        rounding is Rounding.NEAREST_EVEN,
        *away_of(rounding),
        0.0 if number_format.subnormals else 2.0**number_format.emin,
        (largest, -largest),
        (over, under),
        math.inf if to_infinity else largest,
        False,
        (1.0, 1.0),
    )


def _fixed_grid(number_format: FixedFormat, rounding: Rounding) -> Grid:
    least, most = (float(limit) for limit in number_format.range)
    return Grid(
        int(EXPONENT),
        BIAS - number_format.fraction_bits << FRACTION,
        rounding is Rounding.NEAREST_EVEN,
        *away_of(rounding),
        0.0,
        (most, least),
        (most, least),
        math.nan,
        number_format.overflow is Overflow.WRAP,
        (-2 * least, -0.5 / least),
    )


_ZERO, _UP, _DOWN = Rounding.TOWARD_ZERO, Rounding.UP, Rounding.DOWN


def away_of(rounding: Rounding) -> tuple[tuple[float, float], tuple[float, float]]:
    """``Grid.away`` and ``Grid.inexact``; a stochastic rounding draws the former anew each step."""
    never = (NEVER, NEVER)
    match rounding:
        case Rounding.NEAREST_EVEN:
            return never, (0.5, 0.5)
        case Rounding.NEAREST_AWAY:
            return (0.5, 0.5), never
        case Rounding.UP:
            return (_LEAST, NEVER), (0.0, NEVER)
        case Rounding.DOWN:
            return (NEVER, _LEAST), (NEVER, 0.0)
        case Rounding.TOWARD_ZERO | Rounding.STOCHASTIC:
            return never, never


@njit(cache=True)
def _bits(value: Any) -> Any:
    return np.float64(value).view(np.int64)


@njit(cache=True)
def _value(bits: Any) -> Any:
    return np.int64(bits).view(np.float64)


@njit(cache=True)
def power(exponent: Any) -> Any:
    """2^exponent, of a normal float64."""
    return _value((np.int64(exponent) + BIAS) << FRACTION)


@njit(cache=True)
def _up(rest: Any, nearest: Any, inexact: Any, away: Any, away_inexact: Any, even: Any) -> Any:
    """Whether it rounds up; ``nearest`` says so of what was not cut off, to nearest even."""
    return (nearest if even else rest >= away) | (inexact & (rest >= away_inexact))


@njit(cache=True)
def whole(steps: Any, inexact: Any, away: Any, away_inexact: Any, even: Any) -> Any:
    """``steps`` ≥ 0 brought to the integers."""
    below = np.floor(steps)
    rest = steps - below
    up = _up(rest, np.rint(steps) > below, inexact, away, away_inexact, even)
    return below + (1.0 if up else 0.0)


@njit(cache=True)
def lifted(steps: Any, y: Any) -> Any:
    """``steps``, to which y ≥ 0 was scaled, unless they may have underflown."""
    return TINY if (y > 0.0) & (steps < TINY) else steps


@njit(cache=True)
def _limit(plain: Any, rounded: Any, grid: Any) -> Any:
    """``rounded`` where it is in range; ``plain`` tells an infinity and NaN."""
    rounded = 0.0 if abs(rounded) < grid.least else rounded
    rounded = grid.beyond[0] if rounded > grid.limits[0] else rounded
    rounded = grid.beyond[1] if rounded < grid.limits[1] else rounded
    infinite = grid.infinite if plain > 0.0 else -grid.infinite
    special = infinite if plain == plain else plain
    return rounded if abs(plain) <= _FINITE else special


@njit(cache=True)
def settle(plain: Any, error: Any, away: Any, away_negative: Any, grid: Any) -> Any:
    """``plain`` + ``error``, where plain is their sum in float64, on the grid and in range."""
    negative = plain < 0.0
    rest = -error if negative else error
    y = _value(_bits(abs(plain)) - (_ONE if rest < 0.0 else np.int64(0)))
    ulp = max((_bits(y) & EXPONENT) - grid.mantissa, grid.quantum)
    steps = whole(
        lifted(y * _value(_INVERSE - ulp), y),
        rest != 0.0,
        away_negative if negative else away,
        grid.inexact[1] if negative else grid.inexact[0],
        grid.even,
    )
    rounded = steps * _value(ulp)
    return _limit(plain, -rounded if negative else rounded, grid)


@njit(cache=True)
def two_sum(x: Any, y: Any) -> Any:
    """x + y as a float64 and its error."""
    plain = x + y
    virtual = plain - x
    return plain, (x - (plain - virtual)) + (y - virtual)


@njit(cache=True)
def add(s: Any, p: Any, away: Any, away_negative: Any, grid: Any) -> Any:
    """s + p on the grid, and in range where that means the nearest limit."""
    plain, error = two_sum(s, p)
    return settle(plain, error, away, away_negative, grid)


@njit(cache=True)
def _beneath(hi: Any, lo: Any) -> Any:
    """The greatest float64 that is not above hi + lo."""
    bits = _bits(hi)
    toward = _ONE if bits >= 0 else -_ONE
    return _value(bits - (toward if lo < 0.0 else np.int64(0)))


@njit(cache=True)
def _centred(x: Any, modulus: Any) -> Any:
    """The remainder of ``x``, of either sign: a multiple of x's last bit, hence exact."""
    turns = x * modulus[1]
    return x - modulus[0] * np.rint(turns) if abs(turns) < 2.0**60 else 0.0


@njit(cache=True)
def _sum_wrapped(s: Any, p: Any, modulus: Any) -> Any:
    """s + p less a multiple of the modulus, at most half of it, as a float64 and its error.

    From half the modulus to all of it, less the modulus, is exact (Sterbenz).
    """
    hi, lo = two_sum(_centred(s, modulus), _centred(p, modulus))
    high, low = hi >= modulus[0] * 0.5, hi < modulus[0] * -0.5
    hi = hi - modulus[0] if high else hi
    return two_sum(hi + modulus[0] if low else hi, lo)


@njit(cache=True)
def _whole_wrapped(hi: Any, lo: Any, away: Any, away_inexact: Any, even: Any) -> Any:
    """hi + lo, of either sign, brought to the integers; of lo, only the sign counts."""
    steps = _beneath(hi, lo)
    below = np.floor(steps)
    rest, error = two_sum(hi, -below)
    error = error if error != 0.0 else lo
    rest = _beneath(rest, error)
    up = _up(rest, np.rint(steps) > below, error != 0.0, away, away_inexact, even)
    return below + (1.0 if up else 0.0)


@njit(inline="always")  # too long for LLVM to inline, and calls keep loops out of SIMD lanes
def add_wrapping(s: Any, p: Any, away: Any, away_negative: Any, grid: Any) -> Any:
    """s + p on the grid, modulo ``grid.modulus``."""
    plain = s + p
    negative = plain < 0.0
    hi, lo = _sum_wrapped(s, p, grid.modulus)
    hi, lo = (-hi if negative else hi), (-lo if negative else lo)
    steps = lifted(abs(hi) * _value(_INVERSE - grid.quantum), abs(hi))
    steps = _whole_wrapped(
        -steps if hi < 0.0 else steps,
        lo,
        away_negative if negative else away,
        grid.inexact[1] if negative else grid.inexact[0],
        grid.even,
    )
    x = (-steps if negative else steps) * _value(grid.quantum)
    rest = _centred(x, grid.modulus)
    return _limit(plain, -rest if rest == grid.modulus[0] * 0.5 else rest, grid)
