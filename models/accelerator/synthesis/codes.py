"""Codes of a format's values: what the ports of a floating-point block carry.

Sign, exponent field, fraction, from the top. Every exponent field stands for numbers
(``TopCodes.NUMBERS``); both zeros are zero, and which of them a block returns is not specified.
"""

import numpy as np
import numpy.typing as npt

from analysis.formats import FloatFormat, LowestCodes, Overflow, TopCodes

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def check_format(number_format: FloatFormat) -> FloatFormat:
    """The format itself, if the blocks have it.

    Raises:
        ValueError: codes that are no numbers, a further binade, infinities, or no fraction.
    """
    name, m = number_format.name, number_format.mantissa_bits
    if number_format.top is not TopCodes.NUMBERS:
        raise ValueError(f"blocks: top codes of {name} must be numbers, got {number_format.top}")
    if number_format.lowest is LowestCodes.NORMAL:
        raise ValueError(f"blocks: lowest codes of {name} must be subnormals or zero, got normal")
    assert number_format.overflow is Overflow.SATURATE  # infinities need special top codes
    if m < 1:
        raise ValueError(f"blocks: {name} must have at least 1 mantissa bit, got {m}")
    return number_format


def hardware_format(
    exponent_bits: int, mantissa_bits: int, *, subnormals: bool = True, bias: int | None = None
) -> FloatFormat:
    """Name a format of the blocks after its fields.

    >>> hardware_format(4, 3).largest
    Fraction(480, 1)
    """
    lowest = LowestCodes.SUBNORMALS if subnormals else LowestCodes.ZERO
    name = f"e{exponent_bits}m{mantissa_bits}{'' if subnormals else '_flush'}"
    return check_format(
        FloatFormat(name, exponent_bits, mantissa_bits, bias, TopCodes.NUMBERS, lowest)
    )


def decode(codes: npt.ArrayLike, number_format: FloatFormat) -> Values:
    """The values that codes stand for.

    >>> decode([0x00, 0x38, 0xBC], hardware_format(4, 3)).tolist()
    [0.0, 1.0, -1.5]
    """
    e, m = number_format.exponent_bits, number_format.mantissa_bits
    words = np.asarray(codes, dtype=np.int64)
    field, fraction = words >> m & (1 << e) - 1, words & (1 << m) - 1
    significand = np.where(field > 0, fraction + (1 << m), fraction * number_format.subnormals)
    magnitude = np.ldexp(
        significand.astype(np.float64), np.maximum(field, 1) - _offset(number_format)
    )
    values: Values = np.where(words >> (e + m) & 1, -magnitude, magnitude)
    return values


def encode(values: npt.ArrayLike, number_format: FloatFormat) -> Codes:
    """The codes of values that the format has.

    >>> [hex(code) for code in encode([1.0, -1.5], hardware_format(4, 3))]
    ['0x38', '0xbc']

    Raises:
        ValueError: a value is off the format's grid or out of its range.
    """
    e, m = number_format.exponent_bits, number_format.mantissa_bits
    x = np.asarray(values, dtype=np.float64)
    magnitude = np.where(np.abs(x) <= float(number_format.largest), np.abs(x), 0.0)
    binade = np.maximum(np.frexp(magnitude)[1] - 1, number_format.emin)  # zero's exponent is 0
    steps = np.ldexp(magnitude, m - binade).astype(np.int64)
    normal = steps >> m
    codes: Codes = ((binade + number_format.bias) * normal << m) + steps - (normal << m)
    codes |= np.signbit(x).astype(np.int64) << (e + m)
    if not np.array_equal(decode(codes, number_format), x):
        off = x[decode(codes, number_format) != x].flat[0]
        raise ValueError(f"codes: {number_format.name} has no value {off}")
    return codes


def _offset(number_format: FloatFormat) -> int:
    return number_format.bias + number_format.mantissa_bits
