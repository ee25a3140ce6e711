"""Terms with errors of their own, and what an accumulator makes of a sum of them.

Let a term p̂ of a sum, a chunk's result or a rounded product, err by ε, and let the sum of n of them
err by e on top. The total error is Σε + e, with

    E = n E[ε] + E[e],    Var = n Var ε + Var e + 2 ρ Cov(Σp̂, e),    ρ = Cov(p̂, ε)/Var p̂,

where, s being the computed sum, Cov(Σp̂, e) = Cov(s, e) − Var e; and Cov(s, Σε) =
ρ (Var s − Cov(s, e)).

The distribution of a short chunk's results is known. A long one's are taken as normal, with the
walk's mean and variance, on the inner format's grid, or, if that is coarser, on a grid that all its
products share: 2^j ℤ with the probability Π P(p ∈ 2^j ℤ).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from analysis.distributions import Products
from analysis.fixed_sums import chunk_results, inner_outcome
from analysis.formats import Accumulator, FloatFormat, Fused, NumberFormat, Product, Tree
from analysis.fused_increments import fused_increments, is_symmetric
from analysis.increments import Floats, Increments, Rule, increments
from analysis.noisy_terms import Outcome, Terms, product_terms, rule_of
from analysis.one_sum import SHORT, Sum, Summation, sums_of
from analysis.sparse_sums import SPARSE, sparse_sums
from analysis.stratified import GOLDEN, exact_moments, operand_pairs, symmetric
from analysis.tree_sums import tree_sum

#: values of a chunk's result, and their deviations that the outer sum may reach
_RESULTS, _REACH = 2048, 10.0
#: binades around a product's deviation in which a common grid of products is looked for
_GRIDS = range(-24, 8)


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
    at = (GOLDEN * (np.arange(_RESULTS) + 0.5)) % 1.0
    held = (shared[None, :] > at[:, None]).sum(axis=1)
    return np.asarray(exponents[np.maximum(held - 1, 0)], dtype=np.float64)


def summed(
    terms: Terms,
    table: Increments,
    levels: Sequence[Summation],
    n: float,
    *,
    repeated: bool = False,
) -> tuple[Outcome, ...]:
    """The sums of ``n`` terms, whose moments per addition ``table`` holds."""
    sparse = terms.density < SPARSE and not levels[0].fused
    if sparse and n > SHORT:
        found = sparse_sums(terms, table, levels, n)
    else:
        found = sums_of(terms.values, table, levels, n, repeated=repeated or sparse)
    return tuple(_with_errors(terms, table, one, n) for one in found)


def _with_errors(terms: Terms, table: Increments, found: Sum, n: float) -> Outcome:
    """A sum with the errors of its terms."""
    mean, variance, mean_error, noise, covariance = map(float, found.moments)
    lean = terms.covariance / float(terms.values.var())
    return Outcome(
        mean,
        max(variance, 0.0),  # of a sum that stands still, what is left is round-off
        n * terms.mean_error + mean_error,
        n * terms.error_variance + noise + 2.0 * lean * (covariance - noise),
        covariance + lean * (variance - covariance),
        table.symmetric,
        found.values,
    )


def _normal(outcome: Outcome, mantissa_bits: int, grids: Floats | None) -> Floats:
    """A sample of normal sums on their grid; ``grids``: of exact ones, where known."""
    normal = ndtri((np.arange(_RESULTS) + 0.5) / _RESULTS)
    raw = outcome.mean + math.sqrt(outcome.variance) / normal.std() * normal
    grid = np.frexp(raw)[1] - 1 - mantissa_bits
    if grids is not None:
        grid = np.maximum(grid, grids.astype(grid.dtype))
    return np.asarray(np.ldexp(np.rint(np.ldexp(raw, -grid)), grid))


@lru_cache(maxsize=256)
def chunk_increments(terms: Terms, inner_bits: int, level: Summation, n: float) -> Increments:
    """What one chunk's result adds to the outer sum of up to ``n`` of them."""
    deviation, mean = float(terms.values.std()), abs(float(terms.values.mean()))
    reach = _REACH * math.sqrt(n) + n * mean / deviation
    above = math.ceil(math.log2(reach)) + 2 - level.mantissa_bits
    below = max(inner_bits + 4, 1 - above)
    return increments(terms.values, level.rule, symmetric=terms.symmetric, below=below, above=above)


@lru_cache(maxsize=1024)
def sequential_sums(
    products: Products, product: Product | None, rule: Rule, widths: tuple[int, ...], n: int,
    repeated: bool,
) -> tuple[Outcome, ...]:  # fmt: skip
    """Sums of ``n`` products, added one by one."""
    terms, table = product_terms(products, product), product_increments(products, product, rule)
    levels = [Summation(width, rule) for width in widths]
    return summed(terms, table, levels, n, repeated=repeated)


@lru_cache(maxsize=1024)
def fused_sum(products: Products, accumulator: Accumulator, n: int) -> Outcome:
    """The sum of ``n`` products, added in fused steps."""
    assert isinstance(accumulator.order, Fused)
    assert isinstance(accumulator.format, FloatFormat)
    count = min(accumulator.order.terms, n)
    terms, table = fused_terms(products, accumulator, count)
    level = Summation(accumulator.format.mantissa_bits, rule_of(accumulator), fused=True)
    return summed(terms, table, [level], n / count)[0]


@lru_cache(maxsize=1024)
def integer_sum(products: Products, accumulator: Accumulator, n: int) -> Outcome:
    """A chunk of ``n`` products in fixed point, or in a block; where it errs, it is of overflow."""
    found = inner_outcome(accumulator, products, n)
    mean, exact = exact_moments(products, n)
    covariance = 0.5 * (found.variance + found.error_variance - exact)
    mean += found.mean_error
    values = chunk_results(mean, math.sqrt(found.variance), accumulator.format)
    even = symmetric(products) and found.mean_error == 0.0
    return Outcome(
        mean, found.variance, found.mean_error, found.error_variance, covariance, even, values
    )


def inner_sum(
    products: Products, accumulator: Accumulator, n: int, widths: tuple[int, ...]
) -> Outcome:
    """The sum of ``n`` products by the inner accumulator; its chunk says whether it is repeated."""
    if not isinstance(accumulator.format, FloatFormat):
        return integer_sum(products, accumulator, n)
    repeated = accumulator.chunk is not None
    if isinstance(accumulator.order, Fused):
        return fused_sum(products, replace(accumulator, chunk=None, outer=None), n)
    rule, width = rule_of(accumulator), accumulator.format.mantissa_bits
    if isinstance(accumulator.order, Tree) and n > 1:
        return tree_sum(products, accumulator.product, rule, width, n)
    found = sequential_sums(products, accumulator.product, rule, widths, n, repeated)
    return found[widths.index(width)]


@lru_cache(maxsize=1024)
def chunk_terms(
    outcome: Outcome, products: Products, accumulator: Accumulator, chunk: int
) -> Terms:
    """The outcome of a chunk as terms of the outer sum."""
    values = outcome.values
    if values is None:
        assert isinstance(accumulator.format, FloatFormat)
        exact = accumulator.product is None and not isinstance(accumulator.order, Fused)
        grids = common_grids(products, chunk) if exact else None
        values = _normal(outcome, accumulator.format.mantissa_bits, grids)
    sample = np.concatenate([values, -values]) if outcome.symmetric else values
    errors = outcome.mean_error, outcome.error_variance, outcome.covariance
    return Terms(sample, outcome.symmetric, *errors)


def _significant_bits(form: NumberFormat) -> int:
    return form.mantissa_bits if isinstance(form, FloatFormat) else form.width_bits


def predicted(
    accumulator: Accumulator, products: Products, n: int, widths: tuple[int, ...]
) -> Outcome:
    """Moments of the sum of ``n`` products, the outer sum in floating point.

    ``widths``: of inner sums that will be asked for too, its own among them.
    """
    chunk = n if accumulator.chunk is None else min(n, accumulator.chunk)
    outcome = inner_sum(products, accumulator, chunk, widths)
    if accumulator.chunk is None:
        return outcome
    outer_form = accumulator.outer_accumulator.format
    assert isinstance(outer_form, FloatFormat)
    inner_bits, outer_bits = _significant_bits(accumulator.format), outer_form.mantissa_bits
    outer = Summation(outer_bits, rule_of(accumulator.outer_accumulator), outer_bits >= inner_bits)
    results = chunk_terms(outcome, products, accumulator, chunk)
    count = n / chunk
    table = chunk_increments(results, inner_bits, outer, 4 ** math.ceil(math.log(count, 4)))
    return summed(results, table, [outer], count)[0]
