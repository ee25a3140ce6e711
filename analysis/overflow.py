"""Exponent range: what overflows and underflows in a floating-point accumulator, and how many bits.

A power of two, the loss scale of training, moves products up and down the exponents. Too high, and
a partial sum passes the largest value; too low, and products fall below the least one. Both
probabilities come from the distribution of products (:mod:`analysis.sum_tails`), without rounding.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from analysis.distributions import Products
from analysis.formats import FloatFormat, float_format
from analysis.number_formats import MAX_EXPONENT_BITS
from analysis.stratified import operand_pairs
from analysis.sum_tails import Floats, ever_outside, product_steps


@dataclass(frozen=True, slots=True)
class Underflow:
    """What is too small for a format, and what that is worth."""

    product_share: float  #: of the products that are not zero
    lost_power: float  #: share of Σp² in those products
    sum_share: float  #: P(0 < |S_n| < least value), to the central limit


@dataclass(frozen=True, slots=True)
class RangeLimits:
    """How often a range may be left."""

    overflow: float = 1e-6  #: the most probability that some partial sum overflows
    underflow: float = 1e-3  #: the most products, as a share, below the least value

    def __post_init__(self) -> None:
        for name, limit in (("overflow", self.overflow), ("underflow", self.underflow)):
            if not 0.0 < limit < 1.0:
                raise ValueError(f"range: {name} must lie between 0 and 1, got {limit}")


@dataclass(frozen=True, slots=True)
class ExponentRange:
    """The exponent bits that suffice, and the power of two that they suffice with."""

    exponent_bits: int
    scale_exponent: int  #: products are multiplied by two to this power

    @property
    def scale(self) -> float:
        """The loss scale."""
        return 2.0**self.scale_exponent


def least_value(form: FloatFormat) -> float:
    """The least magnitude above zero: the subnormals' grid, or 2^emin without them.

    >>> least_value(float_format(5, 10)) == 2.0**-24
    True
    """
    return float(form.quantum) if form.subnormals else 2.0**form.emin


def _magnitudes(products: Products) -> Floats:
    """Of a sample of products, those that are not zero."""
    a, b = operand_pairs(products)
    magnitudes = np.abs(a * b)
    return np.asarray(magnitudes[magnitudes > 0.0])


def overflow_probability(
    form: FloatFormat, products: Products, n: int, scale_exponent: int = 0
) -> float:
    """P(some partial sum of ``n`` products exceeds the largest value).

    The sum of both signs' probabilities: an upper estimate where both are likely. Rounding is left
    out, which moves sums by less than an ulp, and so is what a saturated sum does afterwards.

    Raises:
        ValueError: n below 1, or products that are all equal.
    """
    level = math.ldexp(float(form.largest), -scale_exponent)
    return ever_outside(product_steps(products), n, -level, level)


def underflow(form: FloatFormat, products: Products, n: int, scale_exponent: int = 0) -> Underflow:
    """What lies below the format's least value, of products and of sums of ``n`` of them.

    A product below half the least value vanishes when it is added to nearest, whatever the sum is:
    all values are multiples of the least one. Shares below some 2^-14 are not resolved.

    Raises:
        ValueError: n below 1, or products that are all equal.
    """
    if n < 1:
        raise ValueError(f"underflow: n (accumulation length) must be at least 1, got {n}")
    sizes, least = _magnitudes(products), math.ldexp(least_value(form), -scale_exponent)
    small = sizes < least
    power = float(np.square(sizes[small]).sum() / np.square(sizes).sum())
    steps = product_steps(products)
    mean, spread = n * steps.mean, math.sqrt(n) * steps.deviation
    sums = float(ndtr((least - mean) / spread) - ndtr((-least - mean) / spread))
    return Underflow(float(small.mean()), power, sums)


def _peak(products: Products, n: int, probability: float) -> float:
    """log2 of the level that some partial sum passes with that probability."""
    steps = product_steps(products)
    low, high = -1.0, 1.0  # of log2, from a deviation of the sum
    unit = math.log2(n * abs(steps.mean) + math.sqrt(n) * steps.deviation)

    def passes(exponent: float) -> bool:
        level = 2.0 ** (unit + exponent)
        return ever_outside(steps, n, -level, level) > probability

    while passes(high):
        high += 1.0
    while not passes(low):
        low -= 1.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if passes(middle) else (low, middle)
    return unit + high


def _floor(products: Products, share: float) -> float:
    """log2 of the magnitude below which that share of the products lies, zeros aside."""
    return math.log2(float(np.quantile(_magnitudes(products), share, method="lower")))


def centring_scale(
    form: FloatFormat, products: Products, n: int, limits: RangeLimits | None = None
) -> int:
    """Exponent k of the loss scale 2^k that centres the range of products and sums in the format's.

    As many binades are left between the sums' peak (passed with the probability that ``limits``
    allow) and the largest value as between the products' floor and the least value.

    Raises:
        ValueError: n below 1, or products that are all equal.
    """
    limits = limits or RangeLimits()
    above = math.log2(float(form.largest)) - _peak(products, n, limits.overflow)
    below = _floor(products, limits.underflow) - math.log2(least_value(form))
    return math.floor(0.5 * (above - below) + 0.5)


def _suffices(
    form: FloatFormat, products: Products, n: int, limits: RangeLimits, scale_exponent: int
) -> bool:
    lost = underflow(form, products, n, scale_exponent).product_share
    if lost > limits.underflow:
        return False
    return overflow_probability(form, products, n, scale_exponent) <= limits.overflow


def least_exponent_bits(
    mantissa_bits: int,
    products: Products,
    n: int,
    limits: RangeLimits | None = None,
    scale_exponent: int | None = None,
) -> ExponentRange:
    """The least e_acc whose IEEE format (1, e, m) keeps to the ``limits``, and the scale for it.

    ``scale_exponent``: of a scale that is given; None takes the one that centres the range.

    >>> from analysis.distributions import gaussian_products
    >>> least_exponent_bits(9, gaussian_products(float_format(5, 2)), 4096)
    ExponentRange(exponent_bits=4, scale_exponent=-1)

    Raises:
        ValueError: n below 1, products that are all equal, or no format that suffices.
    """
    limits = limits or RangeLimits()
    for bits in range(2, MAX_EXPONENT_BITS + 1):
        form, given = float_format(bits, mantissa_bits), scale_exponent
        if given is None:
            given = centring_scale(form, products, n, limits)
        if _suffices(form, products, n, limits, given):
            return ExponentRange(bits, given)
    raise ValueError(
        f"range: of e{MAX_EXPONENT_BITS}m{mantissa_bits} and narrower none keeps overflow below"
        f" {limits.overflow:g} and underflow below {limits.underflow:g}"
    )
