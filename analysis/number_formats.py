"""Number formats as frozen values; everything derived is a property.

Mantissa bits are *stored* fraction bits throughout (the leading bit is not counted), as in
Sakr et al. (2019): bfloat16 has 7, float32 has 23.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

#: float64 carries every format here exactly; wider ones would silently lose bits
MAX_MANTISSA_BITS = 48
MAX_EXPONENT_BITS = 10
MAX_EXPONENT = 1000
MAX_FIXED_BITS = 53


class Rounding(StrEnum):
    """How a result is brought to a format's grid (IEEE 754-2019, section 4.3; or by chance).

    Stochastic with r random bits: the magnitude is cut to r bits below the grid, an integer
    uniform in 0..2^r − 1 is added there, and the r bits are dropped.
    """

    NEAREST_EVEN = "nearest-even"
    NEAREST_AWAY = "nearest-away"
    TOWARD_ZERO = "toward-zero"
    UP = "toward-plus-infinity"
    DOWN = "toward-minus-infinity"
    STOCHASTIC = "stochastic"

    @classmethod
    def _missing_(cls, value: object) -> "Rounding | None":
        """Nearest alone is to even, the default of IEEE 754.

        >>> Rounding("nearest")
        <Rounding.NEAREST_EVEN: 'nearest-even'>
        """
        return cls.NEAREST_EVEN if value == "nearest" else None


class Overflow(StrEnum):
    """What becomes of a rounded result that the format cannot hold."""

    SATURATE = "saturate"  #: the largest value of its sign
    INFINITY = "infinity"  #: as IEEE 754: infinity, unless the rounding points back
    WRAP = "wrap"  #: two's complement, fixed point only


class TopCodes(StrEnum):
    """What the codes with the largest exponent field stand for."""

    SPECIAL = "special"  #: infinity and NaN, as in IEEE 754
    ONE_NAN = "one-nan"  #: numbers, but for all ones: NaN (OCP E4M3)
    NUMBERS = "numbers"  #: numbers (OCP FP6 and FP4; the "fnuz" formats, whose NaN is −0)


class LowestCodes(StrEnum):
    """What the codes with the exponent field 0 stand for."""

    SUBNORMALS = "subnormals"  #: multiples of the lowest binade's grid, as in IEEE 754
    ZERO = "zero"
    NORMAL = "normal"  #: one more binade; 2^emin, whose code would be that of zero, is kept


def check_kind(owner: str, field: str, value: object, *kinds: type) -> None:
    """Refuse a field of another kind: a string equals the enum's member it spells, and is none.

    Raises:
        TypeError: naming all three.
    """
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
        raise TypeError(f"{owner}: {field} must be of type {wanted}, got {value!r}")


def _check_bits(name: str, field: str, bits: int, least: int, most: int) -> None:
    if type(bits) is not int:  # powers of NumPy's integers overflow silently
        raise TypeError(f"format {name}: {field} bits must be an int, got {bits!r}")
    if not least <= bits <= most:
        raise ValueError(f"format {name}: {field} bits must be in {least}..{most}, got {bits}")


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format.

    Without subnormals, a result is rounded on their grid all the same and then, if it lies below
    2^emin, becomes zero.

    >>> FloatFormat("half", exponent_bits=5, mantissa_bits=10).largest
    Fraction(65504, 1)
    >>> FloatFormat("fp8_e4m3", 4, 3, top=TopCodes.ONE_NAN).largest
    Fraction(448, 1)

    Raises:
        TypeError: a field is not a Python integer.
        ValueError: a field is out of range.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int  #: stored fraction bits
    exponent_bias: int | None = None  #: None: 2^(exponent bits − 1) − 1
    top: TopCodes = TopCodes.SPECIAL
    lowest: LowestCodes = LowestCodes.SUBNORMALS
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        _check_bits(self.name, "exponent", self.exponent_bits, 2, MAX_EXPONENT_BITS)
        _check_bits(self.name, "mantissa", self.mantissa_bits, 0, MAX_MANTISSA_BITS)
        check_kind(f"format {self.name}", "exponent bias", self.exponent_bias, int, type(None))
        check_kind(f"format {self.name}", "top codes", self.top, TopCodes)
        check_kind(f"format {self.name}", "lowest codes", self.lowest, LowestCodes)
        check_kind(f"format {self.name}", "overflow", self.overflow, Overflow)
        half = 2 ** (MAX_EXPONENT_BITS - 1)
        if self.exponent_bias is not None and not -half < self.exponent_bias < half:
            raise ValueError(
                f"format {self.name}: exponent bias must be in {1 - half}..{half - 1},"
                f" got {self.exponent_bias}"
            )
        if self.emax > MAX_EXPONENT or self.emin - self.mantissa_bits < -MAX_EXPONENT:
            raise ValueError(
                f"format {self.name}: values must lie in 2^-{MAX_EXPONENT}..2^{MAX_EXPONENT}, got"
                f" exponents {self.emin - self.mantissa_bits}..{self.emax}"
            )
        if self.overflow is Overflow.WRAP:
            raise ValueError(f"format {self.name}: only fixed point wraps, got overflow = wrap")
        if self.overflow is Overflow.INFINITY and self.top is not TopCodes.SPECIAL:
            raise ValueError(
                f"format {self.name}: overflow to infinity needs a code for it, got top codes ="
                f" {self.top}"
            )

    @property
    def bits(self) -> int:
        """Storage width, sign included."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        """What is subtracted from the exponent field."""
        ordinary = int(2 ** (self.exponent_bits - 1)) - 1
        return ordinary if self.exponent_bias is None else self.exponent_bias

    @property
    def subnormals(self) -> bool:
        """Whether there are values between zero and 2^emin."""
        return self.lowest is LowestCodes.SUBNORMALS

    @property
    def emax(self) -> int:
        """Exponent of the largest finite value."""
        top_field = int(2**self.exponent_bits) - 1
        lost = self.top is TopCodes.SPECIAL or (
            self.top is TopCodes.ONE_NAN and self.mantissa_bits == 0
        )
        return top_field - lost - self.bias

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal binade."""
        return (0 if self.lowest is LowestCodes.NORMAL else 1) - self.bias

    @property
    def largest(self) -> Fraction:
        """Largest finite value, ``2^emax (2 − 2^−m)``; one step less where a NaN stands there."""
        taken = 2 if self.top is TopCodes.ONE_NAN and self.mantissa_bits > 0 else 1
        return Fraction(2) ** self.emax * (2 - Fraction(taken, 2**self.mantissa_bits))

    @property
    def quantum(self) -> Fraction:
        """The grid of the subnormals, ``2^(emin − m)``: every value is a multiple of it."""
        return Fraction(2) ** (self.emin - self.mantissa_bits)


def float_format(exponent_bits: int, mantissa_bits: int) -> FloatFormat:
    """Name the format ``(1, e, m)`` after its fields.

    >>> float_format(5, 2).name
    'e5m2'
    """
    return FloatFormat(f"e{exponent_bits}m{mantissa_bits}", exponent_bits, mantissa_bits)


@dataclass(frozen=True, slots=True)
class FixedFormat:
    """Two's complement with ``fraction_bits`` behind the point; an integer with none.

    >>> FixedFormat("int8", width_bits=8).range
    (Fraction(-128, 1), Fraction(127, 1))
    """

    name: str
    width_bits: int  #: sign included
    fraction_bits: int = 0  #: negative where the last bit is worth more than 1
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        _check_bits(self.name, "width", self.width_bits, 2, MAX_FIXED_BITS)
        _check_bits(self.name, "fraction", self.fraction_bits, -500, 500)
        check_kind(f"format {self.name}", "overflow", self.overflow, Overflow)
        if self.overflow is Overflow.INFINITY:
            raise ValueError(
                f"format {self.name}: fixed point saturates or wraps, got overflow = infinity"
            )

    @property
    def quantum(self) -> Fraction:
        """The grid, ``2^−fraction_bits``."""
        return Fraction(2) ** -self.fraction_bits

    @property
    def range(self) -> tuple[Fraction, Fraction]:
        """Least and largest value."""
        half = 2 ** (self.width_bits - 1)
        return -half * self.quantum, (half - 1) * self.quantum


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """Integers in units of a block's own grid: the sum inside a block of block floating point.

    In a block of products the elements of a row of A share the exponent E of the largest of them
    and are multiples of ``2^(E − a_fraction_bits)``; likewise the elements of a column of B. Their
    products, and the sums, are integers in units of the product of the two grids.
    """

    name: str
    width_bits: int  #: of the integer sum, sign included
    a_fraction_bits: int
    b_fraction_bits: int
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        _check_bits(self.name, "width", self.width_bits, 2, MAX_FIXED_BITS)
        _check_bits(self.name, "a fraction", self.a_fraction_bits, 0, 24)
        _check_bits(self.name, "b fraction", self.b_fraction_bits, 0, 24)
        check_kind(f"format {self.name}", "overflow", self.overflow, Overflow)
        if self.overflow is Overflow.INFINITY:
            raise ValueError(
                f"format {self.name}: a block saturates or wraps, got overflow = infinity"
            )

    def within(self, exponents: int) -> FixedFormat:
        """The sum's format in a block whose two exponents add up to ``exponents``."""
        fraction_bits = self.a_fraction_bits + self.b_fraction_bits - exponents
        return FixedFormat(self.name, self.width_bits, fraction_bits, self.overflow)
