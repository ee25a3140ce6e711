"""Number formats and accumulators as frozen values; everything derived is a property.

Mantissa bits are *stored* fraction bits throughout (the leading bit is not counted), as in
Sakr et al. (2019): bfloat16 has 7, float32 has 23.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

#: float64 carries every format here exactly; wider ones would silently lose bits
MAX_MANTISSA_BITS = 48
MAX_EXPONENT_BITS = 10


class Rounding(StrEnum):
    """How a result is brought to a format's grid (IEEE 754-2019, section 4.3)."""

    NEAREST_EVEN = "nearest-even"
    TOWARD_ZERO = "toward-zero"


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format with subnormals that saturates at its largest value.

    The exponent field's top code is reserved as in IEEE 754, so ``emax = bias``; there are no
    infinities, because a hardware accumulator clamps.

    >>> FloatFormat("half", exponent_bits=5, mantissa_bits=10).largest
    Fraction(65504, 1)

    Raises:
        TypeError: a field is not a Python integer.
        ValueError: a field is out of range.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int  #: stored fraction bits

    def __post_init__(self) -> None:
        self._check("exponent", self.exponent_bits, 2, MAX_EXPONENT_BITS)
        self._check("mantissa", self.mantissa_bits, 0, MAX_MANTISSA_BITS)

    def _check(self, field: str, bits: int, least: int, most: int) -> None:
        if type(bits) is not int:  # powers of NumPy's integers overflow silently
            raise TypeError(f"format {self.name}: {field} bits must be an int, got {bits!r}")
        if not least <= bits <= most:
            raise ValueError(
                f"format {self.name}: {field} bits must be in {least}..{most}, got {bits}"
            )

    @property
    def bits(self) -> int:
        """Storage width, sign included."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def emax(self) -> int:
        """Exponent of the largest binade; also the bias."""
        return int(2 ** (self.exponent_bits - 1)) - 1

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal binade."""
        return 1 - self.emax

    @property
    def largest(self) -> Fraction:
        """Largest finite value, ``2^emax (2 - 2^-m)``."""
        return Fraction(2) ** self.emax * (2 - Fraction(1, 2**self.mantissa_bits))

    @property
    def quantum(self) -> Fraction:
        """Smallest positive value, the grid of the subnormals: ``2^(emin - m)``."""
        return Fraction(2) ** (self.emin - self.mantissa_bits)


def float_format(exponent_bits: int, mantissa_bits: int) -> FloatFormat:
    """Name the format ``(1, e, m)`` after its fields.

    >>> float_format(5, 2).name
    'e5m2'
    """
    return FloatFormat(f"e{exponent_bits}m{mantissa_bits}", exponent_bits, mantissa_bits)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """A running sum that is rounded to ``format`` after every addition of an exact product.

    With ``chunk = n1`` the sum starts anew every n1 products, and the chunk sums are added, in
    order, by an outer accumulator of the format ``outer`` (by default the inner one) with the same
    rounding.

    >>> Accumulator(float_format(6, 9), chunk=64).outer_format.name
    'e6m9'
    """

    format: FloatFormat
    rounding: Rounding = Rounding.NEAREST_EVEN
    chunk: int | None = None  #: products per inner sum; None sums all n in one go
    outer: FloatFormat | None = None

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"accumulator: chunk must be at least 1 product, got {self.chunk}")
        if self.outer is not None and self.chunk is None:
            raise ValueError("accumulator: an outer format needs a chunk, got chunk = None")

    @property
    def outer_format(self) -> FloatFormat:
        """Format of the sum of chunk sums."""
        return self.outer or self.format

    def with_mantissa(self, mantissa_bits: int) -> "Accumulator":
        """The same accumulator with another inner and outer mantissa width."""
        narrow = replace(
            self.format,
            name=f"e{self.format.exponent_bits}m{mantissa_bits}",
            mantissa_bits=mantissa_bits,
        )
        return replace(self, format=narrow, outer=None)
