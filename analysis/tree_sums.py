"""Sums by a pairwise tree: the distribution of a node is that of a rounded sum of two below it.

All full nodes of a level are alike, and at most one at the end is not: what is left over without a
neighbour goes up as it is. Let x̂ and ŷ be two nodes with errors ε and δ, of which ε leans on x̂ by
ρ = Cov(x̂, ε)/Var x̂ and δ on ŷ by τ, and let their sum s = x̂ + ŷ + e be rounded with error e. Then

    Var(ε + δ + e)    = Var ε + Var δ + Var e + 2 ρ Cov(x̂, e) + 2 τ Cov(ŷ, e)
    Cov(s, ε + δ + e) = Cov(x̂, ε) + Cov(ŷ, δ) + Var e + (1 + ρ) Cov(x̂, e) + (1 + τ) Cov(ŷ, e)

That errors lean on values linearly is an approximation, at its worst under directed rounding by
very few bits. The moments of e are averages over pairs of ranks on a Kronecker lattice with the
golden ratio, as :mod:`analysis.stratified` has them for products. (A sample of values with their
errors, paired by chance level after level, was tried instead: its bias is too noisy for long sums.)
"""

from functools import lru_cache

import numpy as np

from analysis.distributions import Products
from analysis.formats import Product
from analysis.increments import Floats, Rule
from analysis.noisy_terms import Outcome, product_terms
from analysis.short_sums import rounded_sum
from analysis.stratified import GOLDEN

#: pairs of nodes, and values of a node's distribution
_PAIRS, _VALUES = 1 << 15, 1 << 12
#: of the chance of rounding up: irrational, and independent of the second node's ranks
_ROOT = 0.41421356237309515


def _thinned(values: Floats) -> Floats:
    """Quantiles of a sample."""
    at = (np.arange(_VALUES) + 0.5) / _VALUES
    return np.asarray(np.sort(values)[(at * values.size).astype(np.int64)])


def _picked(values: Floats, at: Floats) -> Floats:
    return np.asarray(values[(at * values.size).astype(np.int64)])


def _pair(left: Outcome, right: Outcome, width: int, rule: Rule) -> Outcome:
    """The rounded sum of two nodes."""
    i = np.arange(_PAIRS, dtype=np.float64)
    assert left.values is not None
    assert right.values is not None
    x = _picked(left.values, (i + 0.5) / _PAIRS)
    y = _picked(right.values, (i * GOLDEN) % 1.0)
    s, e = rounded_sum(x, y, (i * _ROOT) % 1.0, width, rule)
    joint = np.cov(np.stack([x, y, e]), ddof=0)
    with_x, with_y, noise = (float(one) for one in joint[2])
    even = left.symmetric and right.symmetric
    error = 0.0 if even else float(e.mean())
    rho, tau = (one.covariance / one.variance for one in (left, right))
    return Outcome(
        left.mean + right.mean + error,
        left.variance + right.variance + 2.0 * (with_x + with_y) + noise,
        left.mean_error + right.mean_error + error,
        left.error_variance + right.error_variance + noise + 2.0 * (rho * with_x + tau * with_y),
        left.covariance + right.covariance + noise + (1.0 + rho) * with_x + (1.0 + tau) * with_y,
        even,
        _thinned(s),
    )


def _leaf(products: Products, product: Product | None, rule: Rule) -> Outcome:
    terms = product_terms(products, product)
    values = terms.values
    return Outcome(
        float(values.mean()), float(values.var()), terms.mean_error, terms.error_variance,
        terms.covariance, terms.symmetric and rule.symmetric, np.sort(values),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def tree_sum(
    products: Products, product: Product | None, rule: Rule, width: int, n: int
) -> Outcome:
    """The sum of two products or more, neighbours in pairs, level by level."""
    full, count = _leaf(products, product, rule), n
    rest: Outcome | None = None
    while count + (rest is not None) > 1:
        if count % 2:
            rest = full if rest is None else _pair(full, rest, width, rule)
        if count > 1:
            full = _pair(full, full, width, rule)
        count //= 2
    return full if rest is None else rest
