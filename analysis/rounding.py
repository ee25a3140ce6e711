"""Rounding to a format: the exact definition, and the same on arrays.

:func:`round_exact` is the definition, on rational numbers. :func:`quantize` gives the same values
on float arrays: a power of two brings the format's grid to the integers, where rounding is one
operation, and brings it back; no step but that one rounds.
"""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from analysis.formats import FloatFormat, Rounding

Floats = npt.NDArray[np.float64]


def exponent(x: Fraction) -> int:
    """⌊log2 |x|⌋ of a non-zero rational number.

    >>> exponent(Fraction(-3, 8))
    -2
    """
    top, bottom = abs(x.numerator), x.denominator
    guess = top.bit_length() - bottom.bit_length()
    return guess if abs(x) >= Fraction(2) ** guess else guess - 1


def round_exact(x: Fraction, number_format: FloatFormat, rounding: Rounding) -> Fraction:
    """``x`` brought to the format's grid, then clamped to its largest value.

    >>> from analysis.formats import float_format
    >>> round_exact(Fraction(5, 2), float_format(5, 1), Rounding.NEAREST_EVEN)
    Fraction(2, 1)
    """
    if x == 0:
        return x
    binade = max(exponent(x), number_format.emin)
    ulp = Fraction(2) ** (binade - number_format.mantissa_bits)
    steps = round(x / ulp) if rounding is Rounding.NEAREST_EVEN else math.trunc(x / ulp)
    largest = number_format.largest
    return min(max(steps * ulp, -largest), largest)


def quantize(
    x: npt.ArrayLike, number_format: FloatFormat, rounding: Rounding = Rounding.NEAREST_EVEN
) -> Floats:
    """``x`` (float32 or float64, any shape) rounded element by element, as float64.

    Infinities saturate; NaN stays NaN.

    >>> from analysis.formats import float_format
    >>> quantize([1.125, 1e9], float_format(5, 2)).tolist()
    [1.0, 57344.0]
    """
    values = np.asarray(x, dtype=np.float64)
    largest = float(number_format.largest)
    values = np.clip(values, -largest, largest)
    binade = np.maximum(np.frexp(values)[1] - 1, number_format.emin)
    to_grid = number_format.mantissa_bits - binade
    round_integers = np.rint if rounding is Rounding.NEAREST_EVEN else np.trunc
    rounded = np.ldexp(round_integers(np.ldexp(values, to_grid)), -to_grid)
    return np.asarray(np.clip(rounded, -largest, largest))
