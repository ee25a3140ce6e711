"""Number formats and accumulators as frozen values; everything derived is a property.

Mantissa bits are *stored* fraction bits throughout (the leading bit is not counted), as in
Sakr et al. (2019): bfloat16 has 7, float32 has 23.

What :class:`Accumulator` says is defined, in exact arithmetic, by
:mod:`analysis.emulation.reference`; ``docs/emulation.md`` draws it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

#: float64 carries every format here exactly; wider ones would silently lose bits
MAX_MANTISSA_BITS = 48
MAX_EXPONENT_BITS = 10
MAX_FIXED_BITS = 53
MAX_RANDOM_BITS = 32
#: a fused step's exact sum fits a float64
MAX_TERMS = 1024
MAX_KEPT_BITS = 40
#: bits a stochastic rounding may look at: a float64 carries the sum and so many below it
_CARRIED_BITS = 52


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
    subnormals: bool = True
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        _check_bits(self.name, "exponent", self.exponent_bits, 2, MAX_EXPONENT_BITS)
        _check_bits(self.name, "mantissa", self.mantissa_bits, 0, MAX_MANTISSA_BITS)
        half = 2 ** (MAX_EXPONENT_BITS - 1)
        if self.exponent_bias is not None and not -half < self.exponent_bias < half:
            raise ValueError(
                f"format {self.name}: exponent bias must be in {1 - half}..{half - 1},"
                f" got {self.exponent_bias}"
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
        return 1 - self.bias

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
        if self.overflow is Overflow.INFINITY:
            raise ValueError(
                f"format {self.name}: a block saturates or wraps, got overflow = infinity"
            )

    def within(self, exponents: int) -> FixedFormat:
        """The sum's format in a block whose two exponents add up to ``exponents``."""
        fraction_bits = self.a_fraction_bits + self.b_fraction_bits - exponents
        return FixedFormat(self.name, self.width_bits, fraction_bits, self.overflow)


@dataclass(frozen=True, slots=True)
class Product:
    """A multiplier that rounds: every product is brought to ``format`` before it is added."""

    format: FloatFormat
    rounding: Rounding = Rounding.NEAREST_EVEN

    def __post_init__(self) -> None:
        if self.rounding is Rounding.STOCHASTIC:
            raise ValueError("product: rounding must be deterministic, got stochastic")


@dataclass(frozen=True, slots=True)
class Sequential:
    """One product after the other: ``s ← round(s + p)``. With exact products, a fused MAC."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A pairwise tree: neighbours are added and rounded, level by level.

    What is left over without a neighbour goes up a level as it is.
    """


@dataclass(frozen=True, slots=True)
class Outside:
    """A running sum that does not take part in the products' alignment.

    It is aligned with their sum instead, to the larger of the two exponents E: the sum of the
    products is cut to 2^(E − ``terms_bits``) and the running sum to 2^(E − ``sum_bits``); None
    keeps it whole.
    """

    terms_bits: int | None = None
    sum_bits: int | None = None
    alignment: Rounding = Rounding.DOWN


@dataclass(frozen=True, slots=True)
class Fused:
    """Many products in one step, aligned to the largest exponent E among them.

    Every term is cut to the grid 2^(E − ``kept_bits``), all are added exactly, and only the result
    is rounded. The running sum is one of the terms, unless it stays ``outside``. A product's
    exponent is the sum of its operands' exponents (so its significand lies in [1, 4)); a zero has
    none. Tensor cores are of this kind (Khattak and Mikaitis, arXiv 2512.07004; MMA-Sim, arXiv
    2511.10909).
    """

    terms: int  #: products in one step
    kept_bits: int  #: bits below 2^E
    alignment: Rounding = Rounding.TOWARD_ZERO  #: how a term is cut
    outside: Outside | None = None
    #: exponents that a's and b's subnormals count with; None: those of their leading bits
    least_exponents: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.terms <= MAX_TERMS:
            raise ValueError(f"fused: terms must be in 1..{MAX_TERMS}, got {self.terms}")
        apart = self.outside or Outside()
        for kept in (self.kept_bits, apart.terms_bits, apart.sum_bits):
            if kept is not None and not 0 <= kept <= MAX_KEPT_BITS:
                raise ValueError(f"fused: kept bits must be in 0..{MAX_KEPT_BITS}, got {kept}")
        if Rounding.STOCHASTIC in (self.alignment, apart.alignment):
            raise ValueError("fused: alignment must be deterministic, got stochastic")


NumberFormat = FloatFormat | FixedFormat | BlockFormat
Order = Sequential | Tree | Fused


@dataclass(frozen=True, slots=True)
class Accumulator:
    """How a dot product is summed: the one statement that reference and kernels obey.

    Products are exact unless ``product`` rounds them. They are added in the given ``order``, and
    every sum is rounded to ``format``. With ``chunk = n1`` the sum starts anew every n1 products,
    and the chunk sums are added one after the other by ``outer`` (by default of the inner format
    and rounding). Promotion every n1 products into a wide accumulator is a chunk with a wide outer
    one; an adder tree in front of an accumulator is a chunk in the order ``Tree()``.

    >>> Accumulator(float_format(6, 9), chunk=64).outer_accumulator.format.name
    'e6m9'

    Raises:
        ValueError: fields that contradict each other.
    """

    format: NumberFormat
    rounding: Rounding = Rounding.NEAREST_EVEN
    chunk: int | None = None  #: products per inner sum; None sums all n in one go
    outer: "Accumulator | None" = None
    order: Order = Sequential()
    product: Product | None = None
    random_bits: int | None = None  #: of a stochastic rounding; None: as good as ideal

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"accumulator: chunk must be at least 1 product, got {self.chunk}")
        self._check_outer()
        self._check_random_bits()
        if isinstance(self.format, BlockFormat):
            self._check_block()
        if isinstance(self.order, Fused):
            if self.product is not None:
                raise ValueError("accumulator: a fused step has exact products, got a product")
            if not isinstance(self.format, FloatFormat):
                raise ValueError(
                    f"accumulator: a fused step needs a floating-point format, got"
                    f" {self.format.name}"
                )

    def _check_outer(self) -> None:
        if self.outer is None:
            return
        if self.chunk is None:
            raise ValueError("accumulator: an outer accumulator needs a chunk, got chunk = None")
        plain = Accumulator(
            self.outer.format, self.outer.rounding, random_bits=self.outer.random_bits
        )
        if self.outer != plain:
            raise ValueError(
                "accumulator: the outer one must be sequential, without chunk and product, got"
                f" {self.outer}"
            )

    def _check_block(self) -> None:
        if self.chunk is None or self.outer is None:
            raise ValueError(
                f"accumulator: block format {self.format.name} needs a chunk (the block) and an"
                " outer accumulator"
            )
        if self.product is not None or not isinstance(self.order, Sequential):
            raise ValueError(
                f"accumulator: block format {self.format.name} sums exact products one by one,"
                f" got {self.order}, {self.product}"
            )

    def _check_random_bits(self) -> None:
        if self.rounding is not Rounding.STOCHASTIC:
            if self.random_bits is not None:
                raise ValueError(
                    f"accumulator: random bits need stochastic rounding, got {self.rounding}"
                )
            return
        most = min(MAX_RANDOM_BITS, self._spare_bits)
        if self.random_bits is None:
            if most < 8:
                raise ValueError(
                    f"accumulator: {self.format.name} is too wide to round stochastically"
                )
        elif not 1 <= self.random_bits <= most:
            raise ValueError(
                f"accumulator: random bits must be in 1..{most}, got {self.random_bits}"
            )

    @property
    def _spare_bits(self) -> int:
        """Bits below the format's grid that the kernels see."""
        match self.format:
            case FloatFormat():
                return _CARRIED_BITS - self.format.mantissa_bits
            case FixedFormat():
                return _CARRIED_BITS + 1 - self.format.width_bits
            case BlockFormat():
                return _CARRIED_BITS  # integers: nothing is ever below the grid

    @property
    def stochastic(self) -> bool:
        """Whether a sum, inner or outer, is rounded by chance."""
        roundings = (self.rounding, self.outer_accumulator.rounding)
        return Rounding.STOCHASTIC in roundings

    @property
    def symmetric(self) -> bool:
        """Whether (a b)ᵀ = bᵀ aᵀ: neither draws nor grids tell rows from columns."""
        floors = self.order.least_exponents if isinstance(self.order, Fused) else None
        turned = floors is None or floors[0] == floors[1]
        return turned and not self.stochastic and not isinstance(self.format, BlockFormat)

    @property
    def cut_bits(self) -> int:
        """Bits below the grid that a stochastic rounding looks at.

        The ideal one looks at all that the kernels see, at most 33, and its random integer is odd:
        the probability of rounding up is then off by at most half a step of 2^(1 − bits).
        """
        if self.random_bits is not None:
            return self.random_bits
        return min(MAX_RANDOM_BITS + 1, self._spare_bits)

    @property
    def outer_accumulator(self) -> "Accumulator":
        """How chunk sums are added."""
        if self.outer is not None:
            return self.outer
        return Accumulator(self.format, self.rounding, random_bits=self.random_bits)

    def with_mantissa(self, mantissa_bits: int) -> "Accumulator":
        """The same accumulator with another inner and outer mantissa width.

        Raises:
            ValueError: the format has no mantissa.
        """
        if not isinstance(self.format, FloatFormat):
            raise ValueError(f"accumulator: {self.format.name} has no mantissa to change")
        narrow = replace(
            self.format,
            name=f"e{self.format.exponent_bits}m{mantissa_bits}",
            mantissa_bits=mantissa_bits,
        )
        return replace(self, format=narrow, outer=None)
