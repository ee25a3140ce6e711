"""How wide an integer or exact accumulator must be: for certain, and with a stated probability.

An accumulator of P bits in two's complement holds −2^(P−1) … 2^(P−1) − 1. Widths count the sign.
Operands x are activations, w weights; K is the accumulation length.

**Why wrapping forgives partial overflow.** Addition modulo 2^P is associative, so the computed sum
is the exact one modulo 2^P however far the partial sums strayed: it is right if and only if the
*exact final* sum fits. A saturating accumulator loses what it clips, so *every partial* sum must
fit. (PQS, arXiv 2504.09064, calls an overflow that the final sum does not show transient.)
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from analysis.distributions import Products
from analysis.formats import FixedFormat, FloatFormat, Overflow
from analysis.sum_tails import end_outside, ever_outside, product_steps

Ints = npt.NDArray[np.int64]

#: beyond what any width here comes to
_MAX_WIDTH = 128


@dataclass(frozen=True, slots=True)
class Integers:
    """The integers of a quantised tensor.

    >>> Integers(8, signed=False).largest, Integers(8, signed=True).least
    (255, -128)
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise ValueError(f"integers: bits must be in 1..32, got {self.bits}")

    @property
    def least(self) -> int:
        """Least value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def largest(self) -> int:
        """Largest value."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def magnitude(self) -> int:
        """2^(N − 1_signed): bounds |x|, loosely where unsigned."""
        return 1 << (self.bits - self.signed)


def _check_length(length: int) -> None:
    if length < 1:
        raise ValueError(f"width: K (accumulation length) must be at least 1, got {length}")


def _symmetric_width(magnitude: int) -> int:
    """The least P with 2^(P−1) ≥ magnitude + 1: it holds −magnitude … magnitude."""
    return 1 + magnitude.bit_length()


def data_type_width(x: Integers, w: Integers, length: int) -> int:
    """P ≥ α + φ(α) + 1, α = log2 K + N + M − 1 − 1_signed(x), φ(α) = log2(1 + 2^−α).

    That is 2^(P−1) ≥ 2^α + 1, for weights of M signed bits (A2Q, arXiv 2308.13504); here |w| ≤ 2^M
    where they are unsigned.

    >>> [data_type_width(Integers(8, False), Integers(8, True), K) for K in (64, 576, 4608)]
    [23, 26, 29]

    Raises:
        ValueError: a length below 1.
    """
    _check_length(length)
    return _symmetric_width(length * x.magnitude * w.magnitude)


def weight_norm_width(x: Integers, norm: int) -> int:
    """P ≥ β + φ(β) + 1, β = log2 ‖w‖₁ + N − 1_signed(x), for one channel of weights.

    A2Q (arXiv 2308.13504).

    Raises:
        ValueError: a negative norm.
    """
    if norm < 0:
        raise ValueError(f"width: the norm of weights must not be negative, got {norm}")
    return _symmetric_width(norm * x.magnitude)


def norm_cap(width: int, x: Integers) -> Fraction:
    """‖w‖₁ ≤ (2^(P−1) − 1) 2^(1_signed(x) − N): what A2Q trains weights to (arXiv 2308.13504).

    >>> float(norm_cap(16, Integers(8, signed=False)))
    127.99609375
    """
    return Fraction((1 << (width - 1)) - 1, x.magnitude)


def zero_centred_cap(width: int, x: Integers) -> Fraction:
    """‖w‖₁ ≤ (2^P − 2)/(2^N − 1) for weights whose sum is zero (A2Q+, arXiv 2401.10432).

    Then w·x does not change when a constant is taken from x, and ranges over ±(2^N − 1) ‖w‖₁/2
    after the middle. AXE's radius Z = (2^P − 2)/(x_max − x_min) is the same (arXiv 2409.17092).

    >>> float(zero_centred_cap(16, Integers(8, signed=False)))
    256.99607843137255
    """
    return Fraction((1 << width) - 2, x.largest - x.least)


def _channels(weights: npt.ArrayLike) -> Ints:
    """Weights as (out, K) int64."""
    rows = np.asarray(weights)
    if not np.issubdtype(rows.dtype, np.integer):
        raise TypeError(f"width: weights must be integers, got {rows.dtype}")
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"width: weights must have a shape (out, K), got {rows.shape}")
    if np.abs(rows, dtype=np.float64).max() * rows.shape[1] >= 2.0**30:
        raise ValueError("width: weights must sum to less than 2^30 in magnitude")
    return rows.astype(np.int64)


def channel_ranges(weights: npt.ArrayLike, x: Integers) -> tuple[Ints, Ints]:
    """Least and largest w·x of every channel, (out,), over all x; every partial sum lies within.

    acc_max = Σ w (x_max if w > 0 else x_min), and acc_min with the two exchanged (FINN,
    MinimizeAccumulatorWidth).

    Raises:
        TypeError: weights that are not integers.
        ValueError: weights that are not of a shape (out, K), or too large for int64.
    """
    rows = _channels(weights)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    largest = x.largest * positive + x.least * negative
    return x.least * positive + x.largest * negative, largest


def range_width(least: int, largest: int) -> int:
    """Bits that hold least … largest: unsigned if nothing is negative, else two's complement.

    ⌈log2(max + 1)⌉ or ⌈log2 max(−min, max + 1)⌉ + 1 (FINN); at least 1.

    >>> range_width(0, 255), range_width(-128, 127), range_width(-129, 0)
    (8, 8, 9)

    Raises:
        ValueError: least is above largest.
    """
    if least > largest:
        raise ValueError(f"width: a range must not be empty, got {least}..{largest}")
    if least >= 0:
        return max(1, largest.bit_length())
    return 1 + max(-least - 1, largest).bit_length()


def exact_width(weights: npt.ArrayLike, x: Integers, multiple: int = 1) -> int:
    """The least width that holds every sum of every channel, rounded up to a ``multiple`` of bits.

    FINN rounds the last layer's to 8.

    >>> exact_width([[127, -128]], Integers(8, signed=False))
    16

    Raises:
        TypeError: weights that are not integers.
        ValueError: weights that are not of a shape (out, K), or too large; a multiple below 1.
    """
    if multiple < 1:
        raise ValueError(f"width: a multiple of bits must be at least 1, got {multiple}")
    least, largest = channel_ranges(weights, x)
    width = range_width(min(0, int(least.min())), max(0, int(largest.max())))
    return -(-width // multiple) * multiple


@dataclass(frozen=True, slots=True)
class TiledWidths:
    """Two stages of accumulation: tiles, and their sums."""

    inner: int
    outer: int


def outer_width(inner: int, length: int, tile: int) -> int:
    """P_O = ⌈P_I + log2 K − log2 T⌉: the sum of K/T inner sums of P_I bits (AXE, 2409.17092).

    >>> outer_width(16, length=4096, tile=64)
    22

    Raises:
        ValueError: a tile below 1 or above K.
    """
    if not 1 <= tile <= length:
        raise ValueError(f"width: a tile must be in 1..{length}, got {tile}")
    return inner + (-(-length // tile) - 1).bit_length()


def tiled_widths(weights: npt.ArrayLike, x: Integers, tile: int) -> TiledWidths:
    """The exact inner width over all tiles of T neighbours along K, and AXE's outer one for it.

    Raises:
        TypeError: weights that are not integers.
        ValueError: weights that are not of a shape (out, K), or too large; a tile out of range.
    """
    rows = _channels(weights)
    length = rows.shape[1]
    if not 1 <= tile <= length:
        raise ValueError(f"width: a tile must be in 1..{length}, got {tile}")
    inner = max(exact_width(rows[:, at : at + tile], x) for at in range(0, length, tile))
    return TiledWidths(inner, outer_width(inner, length, tile))


def _step(products: Products) -> float:
    """The grid of products, of fixed-point operands."""
    step = 1.0
    for one in (products.a, products.b):
        if one is None:
            continue
        if not isinstance(one.format, FixedFormat):
            raise ValueError(f"width: operands must be of fixed point, got {one.format}")
        step *= float(one.format.quantum)
    return step


def overflow_probability(width: int, products: Products, n: int, overflow: Overflow) -> float:
    """P(a sum of ``n`` random products of fixed-point operands comes out wrong in ``width`` bits).

    Saturating, that is P(any partial sum is out of range), wrapping, P(the final one is). Sums
    count in units of the products' grid.

    Raises:
        ValueError: n or width below 1, operands that are not of fixed point, or infinities.
    """
    if width < 1:
        raise ValueError(f"width: an accumulator must have at least 1 bit, got {width}")
    step, half = _step(products), 2.0 ** (width - 1)
    low, high = -(half + 0.5) * step, (half - 0.5) * step  # sums are integers: midway to the next
    match overflow:
        case Overflow.SATURATE:
            return ever_outside(product_steps(products), n, low, high)
        case Overflow.WRAP:
            return end_outside(product_steps(products), n, low, high)
        case Overflow.INFINITY:
            raise ValueError("width: integers saturate or wrap, got overflow = infinity")


def statistical_width(products: Products, n: int, overflow: Overflow, failure: float) -> int:
    """The least width whose sums are wrong with at most the probability ``failure``.

    Raises:
        ValueError: as :func:`overflow_probability`; a failure outside 0..1.
    """
    if not 0.0 < failure < 1.0:
        raise ValueError(f"width: failure must lie between 0 and 1, got {failure}")
    return next(
        width
        for width in range(1, _MAX_WIDTH)
        if overflow_probability(width, products, n, overflow) <= failure
    )


def kulisch_width_published(a: FloatFormat, b: FloatFormat, n: int) -> int:
    """2^Ea + Ma + 2^Eb + Mb + ⌈log2 n⌉ − 1: sums of ``n`` exact products (arXiv 2311.12359).

    The sign counts; the last bit is the product of the two least subnormals. It takes the top codes
    for numbers.

    Raises:
        ValueError: n below 1.
    """
    _check_length(n)
    ranges = sum(2**form.exponent_bits + form.mantissa_bits for form in (a, b))
    return int(ranges) + (n - 1).bit_length() - 1


def kulisch_width(a: FloatFormat, b: FloatFormat, n: int) -> int:
    """The least width that holds every sum of ``n`` exact products, from the formats' own values.

    Kulisch, "Computer Arithmetic and Validity" (2nd ed., 2013), chapter 8, without guard bits.

    >>> from analysis.catalog import named_format
    >>> form = named_format("fp8_e4m3fnuz")
    >>> kulisch_width(form, form, 4096)
    49

    Raises:
        ValueError: n below 1.
    """
    _check_length(n)
    largest = n * a.largest * b.largest / (a.quantum * b.quantum)
    assert largest.denominator == 1
    return _symmetric_width(largest.numerator)
