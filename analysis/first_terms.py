"""The first few terms of a sum, added one by one on a fixed sample of paths.

What the theory of long sums leaves out matters where a sum ends after a few terms, or where their
mean carries it away from zero at once. Every path takes its terms in another order, so that each
step sees the whole sample of terms.
"""

import math

import numpy as np

from analysis.increments import Floats, Rule, jit, rise

FEW = 8
PATHS = 4096


@jit
def _rounded(x: float, width: int, rules: tuple[int, int], levels: int, chance: float) -> float:
    """``x`` rounded to ``width`` fraction bits; ``rules`` of positive and of negative sums."""
    if x == 0.0:
        return x
    ulp = 2.0 ** (math.floor(math.log2(abs(x))) - width)
    low = math.floor(abs(x) / ulp)
    up = rise(abs(x) / ulp - low, rules[int(x < 0.0)], levels, low - 2.0 * math.floor(0.5 * low))
    steps = low + (chance < up)
    return float(math.copysign(steps * ulp, x))


@jit
def _paths(
    terms: Floats, chances: Floats, width: int, rules: tuple[int, int], levels: int
) -> tuple[Floats, Floats]:
    """Computed sums and their errors, of terms (steps, paths)."""
    sums, errors = np.zeros(terms.shape[1]), np.zeros(terms.shape[1])
    for step in range(terms.shape[0]):
        for path in range(terms.shape[1]):
            exact = sums[path] + terms[step, path]
            sums[path] = _rounded(exact, width, rules, levels, chances[step, path])
            errors[path] += sums[path] - exact
    return sums, errors


def first_terms(terms: Floats, mantissa_bits: int, rule: Rule, n: int) -> Floats:
    """E[s], Var s, E[e], Var e and Cov(s, e) after ``n`` of the ``terms``' sample."""
    rng = np.random.default_rng(n)
    picked = terms[np.linspace(0, terms.size - 1, min(PATHS, terms.size)).round().astype(np.int64)]
    order = np.stack([rng.permutation(picked) for _ in range(n)])
    rules = (rule.code, rule.turned.code)
    s, e = _paths(order, rng.random(order.shape), mantissa_bits, rules, rule.levels)
    joint = np.cov(s, e, ddof=0)
    return np.array([s.mean(), joint[0, 0], e.mean(), joint[1, 1], joint[0, 1]])
