"""Rounding to a format: the exact definition, on rational numbers.

:func:`analysis.quantization.quantize` is the same on arrays.
"""

import math
from fractions import Fraction
from typing import assert_never

from analysis.draws import Draw
from analysis.formats import FixedFormat, FloatFormat, Overflow, Rounding

#: a rational number; an infinity or NaN as a float
Value = Fraction | float


def exponent(x: Fraction) -> int:
    """⌊log2 |x|⌋ of a non-zero rational number.

    >>> exponent(Fraction(-3, 8))
    -2
    """
    top, bottom = abs(x.numerator), x.denominator
    guess = top.bit_length() - bottom.bit_length()
    return guess if abs(x) >= Fraction(2) ** guess else guess - 1


def whole(x: Fraction, rounding: Rounding, draw: Draw | None = None) -> int:
    """``x`` brought to the integers.

    >>> [whole(Fraction(-5, 2), rounding) for rounding in list(Rounding)[:5]]
    [-2, -3, -2, -2, -3]

    Raises:
        ValueError: stochastic rounding without a draw.
    """
    sign = -1 if x < 0 else 1
    match rounding:
        case Rounding.NEAREST_EVEN:
            return round(x)
        case Rounding.NEAREST_AWAY:
            return sign * math.floor(abs(x) + Fraction(1, 2))
        case Rounding.TOWARD_ZERO:
            return math.trunc(x)
        case Rounding.UP:
            return math.ceil(x)
        case Rounding.DOWN:
            return math.floor(x)
        case Rounding.STOCHASTIC:
            if draw is None:
                raise ValueError("rounding: stochastic rounding needs a draw, got None")
            kept = math.floor(abs(x) * (1 << draw.bits))
            return sign * ((kept + draw.value) >> draw.bits)
        case _:
            assert_never(rounding)


def round_exact(
    x: Fraction,
    number_format: FloatFormat | FixedFormat,
    rounding: Rounding,
    draw: Draw | None = None,
) -> Value:
    """``x`` brought to the format's grid and range; an infinity only where the format says so.

    >>> from analysis.formats import float_format
    >>> round_exact(Fraction(5, 2), float_format(5, 1), Rounding.NEAREST_EVEN)
    Fraction(2, 1)
    """
    if isinstance(number_format, FixedFormat):
        return _round_fixed(x, number_format, rounding, draw)
    if x == 0:
        return x
    binade = max(exponent(x), number_format.emin)
    ulp = Fraction(2) ** (binade - number_format.mantissa_bits)
    rounded = whole(x / ulp, rounding, draw) * ulp
    if not number_format.subnormals and abs(rounded) < Fraction(2) ** number_format.emin:
        return Fraction(0)
    largest = number_format.largest
    if abs(rounded) <= largest:
        return rounded
    positive = rounded > 0
    back = Rounding.DOWN if positive else Rounding.UP
    if number_format.overflow is Overflow.INFINITY and rounding not in (Rounding.TOWARD_ZERO, back):
        return math.inf if positive else -math.inf
    return largest if positive else -largest


def _round_fixed(
    x: Fraction, number_format: FixedFormat, rounding: Rounding, draw: Draw | None
) -> Fraction:
    steps = whole(x / number_format.quantum, rounding, draw)
    half = 1 << (number_format.width_bits - 1)
    if number_format.overflow is Overflow.WRAP:
        steps = (steps + half) % (2 * half) - half
    return min(max(steps, -half), half - 1) * number_format.quantum
