"""What rounding the operands does to a dot product, whatever sums it.

Let q(a) q(b) = a b + δ. Over n independent products the error is Σδ, of mean n E[δ] and variance
n Var δ, so

    NMSE = (Var δ + n E[δ]²)/Var(a b).

E[δ] = 0 where operands have no mean and are rounded to nearest.
"""

from functools import lru_cache

from analysis.distributions import Products
from analysis.formats import FixedFormat, FloatFormat
from analysis.stratified import exact_pairs, operand_pairs


@lru_cache(maxsize=256)
def _moments(products: Products) -> tuple[float, float]:
    """E[δ]² and Var δ, in units of the exact product's variance."""
    a, b = exact_pairs(products)
    rounded_a, rounded_b = operand_pairs(products)
    exact = a * b
    error = rounded_a * rounded_b - exact
    variance = float(exact.var())
    return float(error.mean()) ** 2 / variance, float(error.var()) / variance


def operand_noise(products: Products, n: int) -> float:
    """NMSE of an exact sum of ``n`` products whose operands were rounded to their formats.

    >>> from analysis.distributions import gaussian_products
    >>> from analysis.formats import float_format
    >>> 0.005 < operand_noise(gaussian_products(float_format(5, 2)), 100) < 0.006
    True

    Raises:
        ValueError: an operand has no format, or shares exponents in blocks.
    """
    for one in (products.a, products.b):
        if one is not None and not isinstance(one.format, FloatFormat | FixedFormat):
            raise ValueError(
                f"operand noise: operands must be rounded one by one, got {one.format}"
            )
    mean_square, variance = _moments(products)
    return variance + n * mean_square
