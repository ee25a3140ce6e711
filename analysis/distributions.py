"""What is summed: the products of two random operands, or random terms, as frozen values.

An operand is drawn from a distribution, shifted, thinned and rounded to its format:

    x = round(scale · kept · (z + mean · deviation(z))),    P(kept = 1) = density, else 0.

Drawing is :mod:`analysis.operands`' affair; here stands what a draw means, and its moments before
rounding.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Protocol, assert_never

import numpy as np
import numpy.typing as npt

from analysis.formats import FixedFormat, FloatFormat
from analysis.retention import check_density

Floats32 = npt.NDArray[np.float32]

#: standard deviations that a mean may lie from zero
MAX_MEAN = 1000.0
#: standard deviations that the largest value of a fixed-point operand is worth
_FIXED_REACH = 4.0
#: fraction bits of what has no format: an operand of two, and a term
PAIR_BITS, TERM_BITS = 10, 20
MAX_BLOCK = 1024  #: a divisor of every tile that is drawn
MAX_BLOCK_BITS = 22  #: float32 carries them


class Distribution(Protocol):
    """Where values come from, drawn independently; their root mean square is about 1."""

    @property
    def mean(self) -> float:
        """E[z]."""

    @property
    def mean_square(self) -> float:
        """E[z²]."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats32:
        """Values of that shape, float32."""


class Shape(StrEnum):
    """Distributions with E[z²] = 1 (Johnson, Kotz and Balakrishnan, vol. 1-2, 1994-95)."""

    GAUSSIAN = "gaussian"  #: density exp(−z²/2)/√(2π)
    LAPLACE = "laplace"  #: density exp(−√2 |z|)/√2
    UNIFORM = "uniform"  #: between −√3 and √3
    HALF_NORMAL = "half-normal"  #: |z| of a Gaussian z; at density 1/2, max(0, z): behind a ReLU

    @property
    def mean(self) -> float:
        """E[z]: √(2/π) of the half-normal distribution, and 0."""
        return math.sqrt(2.0 / math.pi) if self is Shape.HALF_NORMAL else 0.0

    @property
    def mean_square(self) -> float:
        """E[z²] = 1."""
        return 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats32:
        """Values of that shape, float32."""
        match self:
            case Shape.GAUSSIAN:
                return rng.standard_normal(shape, dtype=np.float32)
            case Shape.HALF_NORMAL:
                return np.abs(rng.standard_normal(shape, dtype=np.float32))
            case Shape.LAPLACE:
                z = rng.standard_exponential(shape, dtype=np.float32) * np.float32(0.5**0.5)
                return np.where(rng.integers(0, 2, shape, dtype=np.bool_), z, -z)
            case Shape.UNIFORM:
                z = rng.random(shape, dtype=np.float32)
                return (z - np.float32(0.5)) * np.float32(12.0**0.5)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Measured values, drawn with replacement.

    They are scaled by a power of two, which keeps their significands, to a root mean square in
    √½..√2 (:func:`sample_of`). Equal to any sample of the same values in the same order.
    """

    name: str  #: for people: of the file, say
    values: Floats32  #: as scaled
    digest: str  #: of the values: the first digits of their SHA-256

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def mean(self) -> float:
        """E[z]."""
        return float(self.values.mean(dtype=np.float64))

    @property
    def mean_square(self) -> float:
        """E[z²]."""
        return float(np.square(self.values, dtype=np.float64).mean())

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats32:
        """Values of that shape, float32."""
        return self.values[rng.integers(0, self.values.size, shape, dtype=np.int32)]


def sample_of(values: npt.ArrayLike, name: str = "sample") -> Sample:
    """The sample that holds these values, of any shape.

    >>> sample_of([300.0, 200.0]).values.tolist()
    [1.171875, 0.78125]

    Raises:
        ValueError: fewer than two values, values that are not finite, or none but zeros.
    """
    raw = np.asarray(values, dtype=np.float64).ravel()
    if raw.size < 2 or not np.isfinite(raw).all() or not raw.any():
        raise ValueError(
            f"{name}: a sample must be two or more finite values that are not all zero,"
            f" got {raw.size} values"
        )
    peak = np.abs(raw).max()
    root_mean_square = peak * math.sqrt(np.square(raw / peak).mean())
    scaled = np.ldexp(raw, -round(math.log2(root_mean_square))).astype(np.float32)
    scaled.flags.writeable = False
    return Sample(name, scaled, hashlib.sha256(scaled.tobytes()).hexdigest()[:12])


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block floating point: ``size`` neighbours along K share the exponent E of the largest.

    Each is a multiple of 2^(E − ``fraction_bits``), of magnitude below 2^(E + 1): MXINT8 has
    blocks of 32 with 6 bits (OCP Microscaling Formats Specification 1.0, 2023).
    """

    size: int
    fraction_bits: int

    def __post_init__(self) -> None:
        if self.size < 1 or self.size & (self.size - 1) or self.size > MAX_BLOCK:
            raise ValueError(
                f"blocks: size must be a power of two up to {MAX_BLOCK}, got {self.size}"
            )
        if not 0 <= self.fraction_bits <= MAX_BLOCK_BITS:
            raise ValueError(
                f"blocks: fraction bits must be in 0..{MAX_BLOCK_BITS}, got {self.fraction_bits}"
            )


OperandFormat = FloatFormat | FixedFormat | Blocks


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor of the products: x = round(scale · kept · (z + mean · deviation(z))).

    >>> Operand(Shape.HALF_NORMAL, density=0.5).mean_square
    0.5
    """

    distribution: Distribution
    #: rounded to nearest even; None: to the grid that :class:`Products` states
    format: OperandFormat | None = None
    mean: float = 0.0  #: added, in standard deviations of what is drawn
    density: float = 1.0  #: share of values that are not zero

    def __post_init__(self) -> None:
        check_density(self.density)
        if not abs(self.mean) <= MAX_MEAN:
            raise ValueError(
                f"operand: mean must be at most {MAX_MEAN:g} standard deviations, got {self.mean}"
            )

    @property
    def shift(self) -> float:
        """What is added to each draw."""
        drawn = self.distribution
        return self.mean * math.sqrt(max(0.0, drawn.mean_square - drawn.mean**2))

    @property
    def symmetric(self) -> bool:
        """Whether −x is distributed as x, but for the rounding."""
        even = (Shape.GAUSSIAN, Shape.LAPLACE, Shape.UNIFORM)
        return self.mean == 0.0 and self.distribution in even

    @property
    def scale(self) -> float:
        """1; for fixed point a quarter of the largest value, which is then about 4 deviations."""
        if isinstance(self.format, FixedFormat):
            return float(self.format.range[1]) / _FIXED_REACH
        return 1.0

    @property
    def expectation(self) -> float:
        """E[x], but for the rounding."""
        return self.scale * self.density * (self.distribution.mean + self.shift)

    @property
    def mean_square(self) -> float:
        """E[x²], but for the rounding."""
        drawn, shift = self.distribution, self.shift
        square = drawn.mean_square + 2.0 * shift * drawn.mean + shift**2
        return self.scale**2 * self.density * square


class Side(Enum):
    """What stands on the left of the GEMM whose outputs are the samples, and how much is drawn."""

    OPERAND = auto()  #: the first operand: n (rows + columns) draws
    SIGNS = auto()  #: random signs, which leave terms as they were distributed: no more draws
    ONES = auto()  #: a single row of ones: n draws for every sample


@dataclass(frozen=True, slots=True)
class Products:
    """The products of two random operands; or, without ``b``, random terms.

    Operands without a format are multiples of 2^-10, terms of 2^-20: fine enough not to matter,
    and a float64 holds every exact sum.
    """

    a: Operand
    b: Operand | None = None

    @property
    def in_blocks(self) -> bool:
        """Whether an operand shares exponents with its neighbours along K."""
        return any(isinstance(one.format, Blocks) for one in (self.a, self.b) if one is not None)

    @property
    def side(self) -> Side:
        """What the samples of a round share. Terms take signs where −x is distributed as x."""
        if self.b is not None:
            return Side.OPERAND
        odd = not isinstance(self.a.format, FixedFormat)  # two's complement has one value more
        return Side.SIGNS if self.a.symmetric and odd else Side.ONES

    @property
    def mean(self) -> float:
        """E[a b], but for the rounding of operands."""
        return self.a.expectation * (1.0 if self.b is None else self.b.expectation)

    @property
    def mean_square(self) -> float:
        """E[(a b)²], but for the rounding of operands."""
        return self.a.mean_square * (1.0 if self.b is None else self.b.mean_square)

    @property
    def grid(self) -> FixedFormat:
        """What operands without a format are rounded to."""
        bits = PAIR_BITS if self.b is not None else TERM_BITS
        return FixedFormat("grid", bits + 14, bits)


def gaussian_products(operands: OperandFormat | None, density: float = 1.0) -> Products:
    """Products of two standard Gaussians, both rounded to ``operands``."""
    return Products(
        Operand(Shape.GAUSSIAN, operands, density=density), Operand(Shape.GAUSSIAN, operands)
    )
