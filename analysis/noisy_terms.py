"""What is summed and what comes out, each with an error of its own."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from analysis.distributions import Products
from analysis.formats import Accumulator, Product
from analysis.increments import Floats, Rule
from analysis.quantization import quantize
from analysis.stratified import operand_pairs, symmetric


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A sample of equal weights of what is summed, and the moments of the errors it comes with."""

    values: Floats
    symmetric: bool  #: −p is distributed as p
    mean_error: float = 0.0
    error_variance: float = 0.0
    covariance: float = 0.0  #: of value and error

    @property
    def density(self) -> float:
        """The share that is not zero."""
        return np.count_nonzero(self.values) / self.values.size


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Moments of a computed sum, and of its error with all that its terms brought along."""

    mean: float
    variance: float
    mean_error: float
    error_variance: float
    covariance: float  #: of sum and error
    symmetric: bool
    values: Floats | None  #: a sample of sums; None: normal


def rule_of(accumulator: Accumulator) -> Rule:
    """The rounding of an accumulator's sums."""
    bits = accumulator.random_bits
    return Rule(accumulator.rounding, 0 if bits is None else 2**bits)


@lru_cache(maxsize=256)
def product_terms(products: Products, product: Product | None) -> Terms:
    """Products, exact or as the multiplier rounds them."""
    a, b = operand_pairs(products)
    even = symmetric(products)
    if product is None:
        return Terms(a * b, even)
    values = quantize(a * b, product.format, product.rounding, threads=1)
    joint = np.cov(values, values - a * b, ddof=0)
    even = even and Rule(product.rounding, 0).symmetric
    mean_error = 0.0 if even else float((values - a * b).mean())
    return Terms(values, even, mean_error, float(joint[1, 1]), float(joint[0, 1]))
