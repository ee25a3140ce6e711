"""A small sample of products that stands for their distribution: stratified, the same every time.

A term is drawn at the quantiles (i + ½)/N; the operands of a product at the points of a Kronecker
lattice, (i + ½)/N and {i φ + ⅓} with the golden ratio φ, whose discrepancy is O(log N/N)
(Niederreiter, "Random Number Generation and Quasi-Monte Carlo Methods", 1992); the ⅓ keeps the two
most extreme operands apart, whose product would stand for too many. Both are then rounded to their
formats as :mod:`analysis.operands` does. Operands in blocks share exponents and are drawn at
random, with a fixed seed, by that module itself.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from analysis.distributions import Distribution, Operand, Products, Sample, Shape
from analysis.operands import on_grid, operand_tiles

Floats = npt.NDArray[np.float64]

#: values of terms, and of products
TERMS, PAIRS = 1 << 14, 1 << 15
#: (√5 − 1)/2, whose multiples fill the unit interval evenly
GOLDEN = 0.6180339887498949
#: of the lattice: a sample whose moments and rounding errors are those of large random ones
_OFFSET = 1.0 / 3.0
SEED = 20190506  #: any, of samples that are the same every time


def _quantiles(distribution: Distribution, at: Floats) -> Floats:
    """The value below which the share ``at`` of a distribution lies."""
    match distribution:
        case Shape.GAUSSIAN:
            return np.asarray(ndtri(at))
        case Shape.HALF_NORMAL:
            return np.asarray(ndtri(0.5 + 0.5 * at))
        case Shape.LAPLACE:
            tail = np.log(2.0 * np.minimum(at, 1.0 - at)) / math.sqrt(2.0)
            return np.asarray(np.where(at < 0.5, tail, -tail))
        case Shape.UNIFORM:
            return (2.0 * at - 1.0) * math.sqrt(3.0)
        case Sample(values=values):
            return np.sort(values.astype(np.float64))[(at * values.size).astype(np.int64)]
    drawn = distribution.draw(np.random.default_rng(SEED), (at.size,))
    return np.sort(drawn.astype(np.float64))[(at * at.size).astype(np.int64)]


def _exact_values(operand: Operand, at: Floats) -> Floats:
    """Values of an operand at quantiles; the first ``density`` of them are kept."""
    kept = at < operand.density
    inner = np.where(kept, at / operand.density, 0.5)
    x = operand.scale * kept * (_quantiles(operand.distribution, inner) + operand.shift)
    return np.asarray(x)


def _values(operand: Operand, products: Products, at: Floats) -> Floats:
    """The same, rounded."""
    x = _exact_values(operand, at).astype(np.float32)
    form = products.grid if operand.format is None else operand.format
    return on_grid(x[:, None], form)[:, 0].astype(np.float64)


def _in_blocks(products: Products) -> tuple[Floats, Floats]:
    """Pairs of neighbours along K."""
    ((a, b),) = operand_tiles(products, 1024, (2, 64), SEED)
    left = np.repeat(a.T[:, :1], b.shape[1], axis=1)
    return left.ravel().astype(np.float64), b.ravel().astype(np.float64)


@lru_cache(maxsize=64)
def operand_pairs(products: Products) -> tuple[Floats, Floats]:
    """Values of both operands, of equal weight; of terms, the second are ones.

    Where −p is distributed as p, every product comes with its negative.
    """
    if products.in_blocks:
        a, b = _in_blocks(products)
    else:
        first, second = _places(products)
        a = _values(products.a, products, first)
        b = np.ones_like(a) if products.b is None else _values(products.b, products, second)
    return _mirrored(products, a, b)


def exact_pairs(products: Products) -> tuple[Floats, Floats]:
    """The values that :func:`operand_pairs` rounds to floating point; of terms, too."""
    first, second = _places(products)
    a = _exact_values(products.a, first)
    b = np.ones_like(a) if products.b is None else _exact_values(products.b, second)
    return _mirrored(products, a, b)


def check_differ(products: Floats) -> None:
    """Raise ValueError where a sample of products is all equal, as at densities next to none."""
    if not np.ptp(products) > 0.0:
        raise ValueError(
            f"products: must not all be equal, got {products.size} times {products.flat[0]:g}"
        )


@lru_cache(maxsize=256)
def _moments(products: Products) -> tuple[float, float]:
    a, b = operand_pairs(products)
    check_differ(a * b)
    return float((a * b).mean()), float((a * b).var())


def exact_moments(products: Products, n: int) -> tuple[float, float]:
    """Mean and variance of exact sums of ``n`` products.

    Raises:
        ValueError: all products are equal.
    """
    mean, variance = _moments(products)
    return n * mean, n * variance


def _places(products: Products) -> tuple[Floats, Floats]:
    """The quantiles of both operands."""
    count = TERMS if products.b is None else PAIRS
    i = np.arange(count, dtype=np.float64)
    return (i + 0.5) / count, (i * GOLDEN + _OFFSET) % 1.0


def _mirrored(products: Products, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    if not symmetric(products):
        return a, b
    return np.concatenate([a, -a]), np.concatenate([b, b])


def symmetric(products: Products) -> bool:
    """Whether −p is distributed as p."""
    return products.a.symmetric or (products.b is not None and products.b.symmetric)
