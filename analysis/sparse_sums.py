"""Long sums of terms of which most are zero: as sums of fewer terms, of those that are not.

Adding a zero rounds nothing, so the sum of n terms is that of K of them, K binomial with mean d n.
What K additions do is nearly a law of K (K − 1)/2, the number of pairs of which the first is in the
sum when the second is added; E[K (K − 1)] = n (n − 1) d², so that K is taken as the whole number
next to ½ + √(¼ + n (n − 1) d²) and errors are scaled by what is left between the two.

The increments of :mod:`analysis.increments` speak of every addition; where most are of zeros, a
deviation of the terms says little of those that move the sum.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from analysis.increments import Floats, Increments, Rule, increments
from analysis.noisy_terms import Terms
from analysis.one_sum import Sum, Summation, sums_of

#: density of terms below which zeros are left out
SPARSE = 0.3


@lru_cache(maxsize=256)
def _dense_increments(terms: Terms, least: int, count: int, rule: Rule) -> Increments:
    """Increments of those that are not zero, for the same ulps."""
    values = terms.values[terms.values != 0.0]
    exponent = math.floor(math.log2(float(values.std())))
    return increments(
        values,
        rule,
        symmetric=terms.symmetric,
        below=exponent - least,
        above=least + count - exponent,
    )


def sparse_sums(
    terms: Terms, table: Increments, levels: Sequence[Summation], n: float
) -> tuple[Sum, ...]:
    """The sums of ``n`` terms; ``levels`` differ in width alone."""
    density, values = terms.density, terms.values[terms.values != 0.0]
    pairs = n * (n - 1.0) * density**2
    count = max(2, round(0.5 + math.sqrt(0.25 + pairs)))
    dense = _dense_increments(terms, table.least, len(table.interior), levels[0].rule)
    found = sums_of(values, dense, levels, count, repeated=True)
    exact = np.array([terms.values.mean(), terms.values.var()]) * n
    fewer = np.array([values.mean(), values.var()]) * count
    return tuple(
        Sum(_scaled(one.moments, exact, fewer, pairs / (count * (count - 1)))) for one in found
    )


def _scaled(moments: Floats, exact: Floats, fewer: Floats, share: float) -> Floats:
    """Moments whose errors are ``share`` as many; exact sums have other ones, too."""
    _, variance, mean_error, noise, covariance = moments
    kept = covariance - noise  # Cov(exact, error)
    return np.array(
        [
            exact[0] + share**0.5 * mean_error,
            exact[1] + share * (variance - fewer[1]),
            share**0.5 * mean_error,
            share * noise,
            share * (kept + noise),
        ]
    )
