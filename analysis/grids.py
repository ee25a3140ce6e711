"""A format and a rounding as the lanes of :mod:`analysis.elementwise` want them."""

import math
from functools import lru_cache
from typing import Any, NamedTuple, assert_never

import numpy as np

from analysis.elementwise import Grid, Side
from analysis.formats import FixedFormat, FloatFormat, Overflow, Rounding

Format = FloatFormat | FixedFormat

_OPPOSITE = {Rounding.UP: Rounding.DOWN, Rounding.DOWN: Rounding.UP}


class Carrier(NamedTuple):
    """The types and the layout of a lane."""

    real: Any
    word: Any
    fraction: int  #: bits
    bias: int

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal binade."""
        return 1 - self.bias

    def word_of(self, value: float) -> Any:
        """The word of a value that the lane holds."""
        return self.real(value).view(self.word)


FLOAT32 = Carrier(np.float32, np.int32, 23, 127)
FLOAT64 = Carrier(np.float64, np.int64, 52, 1023)


def holds(carrier: Carrier, number_format: Format) -> bool:
    """Whether every value of the format is one of the carrier's.

    >>> holds(FLOAT32, FixedFormat("int25", 25)), holds(FLOAT32, FixedFormat("int26", 26))
    (True, False)
    """
    match number_format:
        case FloatFormat():
            m, highest = number_format.mantissa_bits, number_format.emax
            lowest = number_format.emin - m
        case FixedFormat():
            m = number_format.width_bits - 2  # the least value has a bit more, but it is 2^highest
            lowest = -number_format.fraction_bits
            highest = lowest + m + 1
        case _:
            assert_never(number_format)
    lowest_held = carrier.emin - carrier.fraction
    return m <= carrier.fraction and lowest >= lowest_held and highest <= carrier.bias


def _frame(number_format: Format, carrier: Carrier) -> tuple[int, int]:
    """The format's (m, emin), or those that fixed point stands for in this lane."""
    if isinstance(number_format, FixedFormat):
        return carrier.fraction, carrier.fraction - number_format.fraction_bits
    return number_format.mantissa_bits, number_format.emin


def suits_float32(number_format: Format, rounding: Rounding) -> bool:
    """Whether float32 lanes round to this format, which they hold."""
    if rounding is Rounding.STOCHASTIC:
        return False
    m, emin = _frame(number_format, FLOAT32)
    return emin >= FLOAT32.emin and emin - m + FLOAT32.fraction <= FLOAT32.bias


def _steps(toward: Rounding, drop: int, ties: bool) -> tuple[int, float | None, float | None]:
    """(increment, fall, rise) of a side, the latter in quanta.

    ``toward`` is the rounding of the magnitude, of which ``drop`` bits go; ``ties`` tells whether
    they are decided by the last one that stays.
    """
    half = 1 << drop >> 1
    match toward:
        case Rounding.NEAREST_EVEN:
            return half - ties, None, None
        case Rounding.NEAREST_AWAY:
            return half, -1.0, 0.5
        case Rounding.TOWARD_ZERO | Rounding.DOWN:
            return 0, 0.0, 1.0
        case Rounding.UP:
            return (1 << drop) - 1, -1.0, 0.0
        case Rounding.STOCHASTIC:
            return 0, None, None
        case _:
            assert_never(toward)


def _extremes(
    number_format: Format, toward: Rounding, negative: bool
) -> tuple[float, float, float]:
    """(limit, over, infinite) of a side."""
    if number_format.overflow is Overflow.WRAP:
        return math.inf, math.inf, math.inf
    if isinstance(number_format, FixedFormat):
        bound = abs(float(number_format.range[0 if negative else 1]))
        return bound, bound, bound
    largest = float(number_format.largest)
    if number_format.overflow is Overflow.SATURATE:
        return largest, largest, largest
    back = toward in (Rounding.TOWARD_ZERO, Rounding.DOWN)
    return largest, largest if back else math.inf, math.inf


def _side(
    number_format: Format, rounding: Rounding, carrier: Carrier, ties: bool, negative: bool
) -> Side:
    toward = _OPPOSITE.get(rounding, rounding) if negative else rounding
    drop = carrier.fraction - _frame(number_format, carrier)[0]
    increment, fall, rise = _steps(toward, drop, ties)
    quantum = float(number_format.quantum)
    return Side(
        carrier.word(increment),
        None if fall is None else carrier.real(fall * quantum),
        # the next float below, so that a tie is more
        None if rise is None else np.nextafter(carrier.real(rise * quantum), carrier.real(0)),
        *map(carrier.word_of, _extremes(number_format, toward, negative)),
    )


@lru_cache(maxsize=256)
def grid_of(number_format: Format, rounding: Rounding, carrier: Carrier) -> Grid:
    """The format and rounding in words of the carrier, which holds it."""
    m, emin = _frame(number_format, carrier)
    drop = carrier.fraction - m
    ties = rounding is Rounding.NEAREST_EVEN and m > 0 and drop > 0
    quantum = float(number_format.quantum)
    flushes = isinstance(number_format, FloatFormat) and not number_format.subnormals
    wraps = number_format.overflow is Overflow.WRAP
    plus, minus = (
        _side(number_format, rounding, carrier, ties, negative) for negative in (False, True)
    )
    return Grid(
        magnitude=~carrier.word_of(-0.0),
        infinity=carrier.word_of(math.inf),
        floor=carrier.word(emin + carrier.bias << carrier.fraction),
        keep=carrier.word(-1 << drop),
        odd=carrier.word(ties << drop),
        magic=carrier.real(math.ldexp(quantum, carrier.fraction)),
        quantum=carrier.real(quantum),
        least=carrier.word_of(2.0**emin if flushes else 0.0),
        half=carrier.real(2.0 ** (number_format.width_bits - 1) * quantum)
        if isinstance(number_format, FixedFormat) and wraps
        else None,
        plus=plus,
        minus=minus,
    )
