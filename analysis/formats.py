"""Number formats, and the accumulator: one frozen value that says how a dot product is summed.

What :class:`Accumulator` says is defined, in exact arithmetic, by
:mod:`analysis.emulation.reference`; ``docs/emulation.md`` draws it.
"""

from dataclasses import dataclass, replace

from analysis.number_formats import (
    MAX_EXPONENT_BITS,
    MAX_MANTISSA_BITS,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    TopCodes,
    check_kind,
    float_format,
)

__all__ = [
    "MAX_EXPONENT_BITS",
    "MAX_MANTISSA_BITS",
    "Accumulator",
    "BlockFormat",
    "FixedFormat",
    "FloatFormat",
    "Fused",
    "LowestCodes",
    "NumberFormat",
    "Order",
    "Outside",
    "Overflow",
    "Product",
    "Rounding",
    "Sequential",
    "TopCodes",
    "Tree",
    "float_format",
]

NumberFormat = FloatFormat | FixedFormat | BlockFormat

MAX_RANDOM_BITS = 32
#: bits a stochastic rounding may look at: a float64 carries the sum and so many below it
_CARRIED_BITS = 52
#: a fused step's exact sum fits a float64
MAX_TERMS = 1024
MAX_KEPT_BITS = 40


@dataclass(frozen=True, slots=True)
class Product:
    """A multiplier that rounds: every product is brought to ``format`` before it is added."""

    format: FloatFormat
    rounding: Rounding = Rounding.NEAREST_EVEN

    def __post_init__(self) -> None:
        check_kind("product", "format", self.format, FloatFormat)
        check_kind("product", "rounding", self.rounding, Rounding)
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
        check_kind("fused", "terms", self.terms, int)
        check_kind("fused", "kept bits", self.kept_bits, int)
        check_kind("fused", "alignment", self.alignment, Rounding)
        check_kind("fused", "outside", self.outside, Outside, type(None))
        if not 1 <= self.terms <= MAX_TERMS:
            raise ValueError(f"fused: terms must be in 1..{MAX_TERMS}, got {self.terms}")
        apart = self.outside or Outside()
        check_kind("fused", "alignment outside", apart.alignment, Rounding)
        for kept in (self.kept_bits, apart.terms_bits, apart.sum_bits):
            if kept is not None and not 0 <= kept <= MAX_KEPT_BITS:
                raise ValueError(f"fused: kept bits must be in 0..{MAX_KEPT_BITS}, got {kept}")
        if Rounding.STOCHASTIC in (self.alignment, apart.alignment):
            raise ValueError("fused: alignment must be deterministic, got stochastic")


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
        self._check_kinds()
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"accumulator: chunk must be at least 1 product, got {self.chunk}")
        self._check_outer()
        self._check_random_bits()
        if isinstance(self.format, BlockFormat):
            self._check_block()
        if isinstance(self.order, Fused):
            if self.product is not None:
                raise ValueError("accumulator: a fused step has exact products, got a product")
            if self.rounding is Rounding.STOCHASTIC and (self.chunk or 0) % self.order.terms:
                raise ValueError(  # two chunks would share a draw
                    f"accumulator: chunks rounded stochastically must be whole fused steps of"
                    f" {self.order.terms} terms, got chunk = {self.chunk}"
                )
            if not isinstance(self.format, FloatFormat):
                raise ValueError(
                    f"accumulator: a fused step needs a floating-point format, got"
                    f" {self.format.name}"
                )

    def _check_kinds(self) -> None:
        nothing = type(None)
        check_kind("accumulator", "format", self.format, FloatFormat, FixedFormat, BlockFormat)
        check_kind("accumulator", "rounding", self.rounding, Rounding)
        check_kind("accumulator", "chunk", self.chunk, int, nothing)
        check_kind("accumulator", "outer", self.outer, Accumulator, nothing)
        check_kind("accumulator", "order", self.order, Sequential, Tree, Fused)
        check_kind("accumulator", "product", self.product, Product, nothing)
        check_kind("accumulator", "random bits", self.random_bits, int, nothing)

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
