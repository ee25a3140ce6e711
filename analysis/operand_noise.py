"""What rounding the operands does to a dot product, whatever sums it.

Let q(a) q(b) = a b + δ. Over n independent products the error is Σδ, of mean n E[δ] and variance
n Var δ, so

    NMSE = (Var δ + n E[δ]²)/Var(a b).

E[δ] = 0 where operands have no mean and are rounded to nearest.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from analysis.distributions import Products
from analysis.operands import on_grid
from analysis.stratified import SEED, check_differ, exact_pairs, operand_pairs

Floats = npt.NDArray[np.float64]

#: (K, sums) of operands that are drawn
_DRAWN = (1024, 512)


def _one_by_one(products: Products) -> tuple[Floats, Floats]:
    """Products of exact and of rounded operands."""
    a, b = exact_pairs(products)
    rounded_a, rounded_b = operand_pairs(products)
    return a * b, rounded_a * rounded_b


def _in_blocks(products: Products) -> tuple[Floats, Floats]:
    """The same of operands drawn at random: neighbours along K share exponents."""
    exact, rounded = np.ones(_DRAWN), np.ones(_DRAWN)
    for number, one in enumerate((products.a, products.b)):
        if one is None:
            continue
        rng = np.random.default_rng((SEED, number))
        kept = rng.random(_DRAWN) < one.density
        x = one.scale * kept * (one.distribution.draw(rng, _DRAWN) + one.shift)
        form = products.grid if one.format is None else one.format
        exact *= x
        rounded *= on_grid(x.astype(np.float32), form)
    return exact, rounded


@lru_cache(maxsize=256)
def _moments(products: Products) -> tuple[float, float]:
    """E[δ]² and Var δ, in units of the exact product's variance."""
    exact, rounded = _in_blocks(products) if products.in_blocks else _one_by_one(products)
    error = rounded - exact
    check_differ(exact)
    variance = float(exact.var())
    return float(error.mean()) ** 2 / variance, float(error.var()) / variance


def operand_noise(products: Products, n: int) -> float:
    """NMSE of an exact sum of ``n`` products whose operands were rounded to their formats.

    >>> from analysis.distributions import gaussian_products
    >>> from analysis.formats import float_format
    >>> 0.005 < operand_noise(gaussian_products(float_format(5, 2)), 100) < 0.006
    True

    Raises:
        ValueError: an operand has no format, or products are all equal.
    """
    for one in (products.a, products.b):
        if one is not None and one.format is None:
            raise ValueError("operand noise: operands must be rounded to a format, got None")
    mean_square, variance = _moments(products)
    return variance + n * mean_square
