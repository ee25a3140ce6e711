"""Terms with errors of their own, and what an accumulator makes of a sum of them.

Let a term p̂ of a sum, a chunk's result or a rounded product, err by ε, and let the sum of n of them
err by e on top. The total error is Σε + e, with

    E = n E[ε] + E[e],    Var = n Var ε + Var e + 2 ρ Cov(Σp̂, e),    ρ = Cov(p̂, ε)/Var p̂,

where, s being the computed sum, Cov(Σp̂, e) = Cov(s, e) − Var e; and Cov(s, Σε) =
ρ (Var s − Cov(s, e)).

A chunk's results are taken as normal, with the walk's mean and variance, on the inner format's
grid, or, if that is coarser, on a grid that all its products share: 2^j ℤ with the probability
Π P(p ∈ 2^j ℤ).
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from analysis.distributions import Products
from analysis.drifting_sum import carry
from analysis.first_terms import FEW, first_terms
from analysis.formats import Accumulator, FloatFormat, Fused, Product
from analysis.fused_increments import fused_increments, is_symmetric
from analysis.increments import ERROR, Floats, Increments, Rule, increments
from analysis.quantization import quantize
from analysis.random_walk import walk
from analysis.stratified import operand_pairs, symmetric

#: deviations from zero at which a drift has carried the sum away
_CARRIED = 16.0
#: values of a chunk's result, and their deviations that the outer sum may reach
_RESULTS, _REACH = 2048, 10.0
_GOLDEN = 0.6180339887498949
#: binades around a product's deviation in which a common grid of products is looked for
_GRIDS = range(-24, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A sample of equal weights of what is summed, and the moments of the errors it comes with."""

    values: Floats
    symmetric: bool  #: −p is distributed as p
    mean_error: float = 0.0
    error_variance: float = 0.0
    covariance: float = 0.0  #: of value and error


@dataclass(frozen=True, slots=True)
class Summation:
    """One level of an accumulator: sequential, of a width and a rounding."""

    mantissa_bits: int
    rule: Rule
    #: the first term is on the grid already
    first_is_exact: bool = False
    fused: bool = False  #: terms are fused steps


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


@lru_cache(maxsize=256)
def product_increments(products: Products, product: Product | None, rule: Rule) -> Increments:
    """What one product adds to a sum."""
    terms = product_terms(products, product)
    return increments(terms.values, rule, symmetric=terms.symmetric)


@lru_cache(maxsize=256)
def fused_terms(
    products: Products, accumulator: Accumulator, count: int
) -> tuple[Terms, Increments]:
    """Exact sums of ``count`` products, and what one fused step of them adds."""
    assert isinstance(accumulator.order, Fused)
    rule = rule_of(accumulator)
    even = symmetric(products) and rule.symmetric and is_symmetric(accumulator.order)
    table, sums = fused_increments(accumulator, rule, products, count, even)
    return Terms(sums, even), table


@lru_cache(maxsize=256)
def common_grids(products: Products, count: int) -> Floats:
    """Exponents j of a sample of sums of ``count`` exact products that are multiples of 2^j."""
    a, b = operand_pairs(products)
    values = (a * b)[:: max(1, a.size // 4096)]
    exponents = np.array(_GRIDS) + math.floor(math.log2(values.std()))
    steps = np.ldexp(values, -exponents[:, None])
    shared = np.mean(steps == np.rint(steps), axis=1) ** count
    at = (_GOLDEN * (np.arange(_RESULTS) + 0.5)) % 1.0
    held = (shared[None, :] > at[:, None]).sum(axis=1)
    return np.asarray(exponents[np.maximum(held - 1, 0)], dtype=np.float64)


def _turned(table: Increments) -> Increments:
    """The moments of the negative of a sum."""
    interior, edges = table.interior[:, ::-1].copy(), table.edges[:, ::-1].copy()
    interior[..., ERROR] *= -1.0
    edges[..., ERROR] *= -1.0
    return table._replace(mean=-table.mean, interior=interior, edges=edges)


def _rising(values: Floats, table: Increments, level: Summation, n: float) -> Floats:
    """E[s], Var s, E[e], Var e and Cov(s, e) where products have no negative mean."""
    width, drift = level.mantissa_bits, table.mean / table.deviation
    if n <= FEW and n == round(n) and not level.fused:
        return first_terms(values, width, level.rule, round(n))
    lag = -0.5 if level.fused else 0.5
    if drift > 1.0:
        done = 1.0 if level.fused else float(FEW)
        early = np.array([table.mean, table.deviation**2, 0.0, 0.0, 0.0])
        if not level.fused:
            early = first_terms(values, width, level.rule, FEW)
        return carry(early, done, n, width, table, lag=lag)
    until = min(n, max(1.0, (_CARRIED / drift) ** 2)) if drift else n
    start = 0.0 if level.fused else 1.5 if level.first_is_exact else 0.5
    moments = walk(table, width, until, start=start, lag=lag if until == n else 0.0)
    return moments if until == n else carry(moments, until, n, width, table, lag=lag)


def _moments(terms: Terms, table: Increments, level: Summation, n: float) -> Floats:
    if table.mean >= 0.0:
        moments = _rising(terms.values, table, level, n)
        moments[[0, 2]] *= not table.symmetric
        return moments
    turned = replace(level, rule=level.rule.turned)
    moments = _rising(-terms.values, _turned(table), turned, n)
    moments[[0, 2]] *= -1.0
    return moments


@dataclass(frozen=True, slots=True)
class Outcome:
    """Moments of a computed sum, and of its error with all that its terms brought along."""

    mean: float
    variance: float
    mean_error: float
    error_variance: float
    covariance: float  #: of sum and error
    symmetric: bool


def summed(terms: Terms, table: Increments, level: Summation, n: float) -> Outcome:
    """The sum of ``n`` terms, whose moments per addition ``table`` holds."""
    mean, variance, mean_error, noise, covariance = map(float, _moments(terms, table, level, n))
    lean = terms.covariance / float(terms.values.var())
    return Outcome(
        mean,
        max(variance, 0.0),  # of a sum that stands still, what is left is round-off
        n * terms.mean_error + mean_error,
        n * terms.error_variance + noise + 2.0 * lean * (covariance - noise),
        covariance + lean * (variance - covariance),
        table.symmetric,
    )


def as_terms(outcome: Outcome, mantissa_bits: int, grids: Floats | None) -> Terms:
    """A chunk's results as terms of the outer sum; ``grids``: of exact sums, where known."""
    at = (np.arange(_RESULTS) + 0.5) / _RESULTS
    normal = ndtri(at)
    raw = outcome.mean + math.sqrt(outcome.variance) / normal.std() * normal
    grid = np.frexp(raw)[1] - 1 - mantissa_bits
    if grids is not None:
        grid = np.maximum(grid, grids.astype(grid.dtype))
    values = np.ldexp(np.rint(np.ldexp(raw, -grid)), grid)
    return Terms(
        values, outcome.symmetric, outcome.mean_error, outcome.error_variance, outcome.covariance
    )


def chunk_increments(terms: Terms, inner_bits: int, level: Summation, n: float) -> Increments:
    """What one chunk's result adds to the outer sum of ``n`` of them."""
    deviation, mean = float(terms.values.std()), abs(float(terms.values.mean()))
    reach = _REACH * math.sqrt(n) + n * mean / deviation
    above = math.ceil(math.log2(reach)) + 2 - level.mantissa_bits
    below = max(inner_bits + 4, 1 - above)
    return increments(terms.values, level.rule, symmetric=terms.symmetric, below=below, above=above)


def predicted(accumulator: Accumulator, products: Products, n: int) -> Outcome:
    """Moments of the sum of ``n`` products; both formats must be of floating point."""
    inner_form, outer_form = accumulator.format, accumulator.outer_accumulator.format
    assert isinstance(inner_form, FloatFormat)
    assert isinstance(outer_form, FloatFormat)
    chunk = n if accumulator.chunk is None else min(n, accumulator.chunk)
    fused = isinstance(accumulator.order, Fused)
    inner = Summation(inner_form.mantissa_bits, rule_of(accumulator), fused=fused)
    grids = None
    if isinstance(accumulator.order, Fused):
        count = min(accumulator.order.terms, chunk)
        terms, table = fused_terms(products, accumulator, count)
        outcome = summed(terms, table, inner, chunk / count)
    else:
        terms = product_terms(products, accumulator.product)
        table = product_increments(products, accumulator.product, inner.rule)
        outcome = summed(terms, table, inner, chunk)
        if accumulator.product is None:
            grids = common_grids(products, chunk)
    if accumulator.chunk is None:
        return outcome
    exact = outer_form.mantissa_bits >= inner_form.mantissa_bits
    outer = Summation(outer_form.mantissa_bits, rule_of(accumulator.outer_accumulator), exact)
    results = as_terms(outcome, inner_form.mantissa_bits, grids)
    table = chunk_increments(results, inner_form.mantissa_bits, outer, n / chunk)
    return summed(results, table, outer, n / chunk)
