"""Where random sums go: the probability that a sum, or any partial sum, passes a level.

Products are independent; what an operand does with a probability below some 2^-14 is not seen.

**The end of the sum.** K(θ) = ln E[exp(θ p)], and θ solves n K'(θ) = x. With
w = sign(θ) √(2(θ x − n K(θ))) and v = θ √(n K''(θ)),

    P(S_n ≥ x) ≈ Q(w) + φ(w) (1/v − 1/w)

(Lugannani and Rice, Adv. Appl. Probab. 12(2), 475, 1980), which holds in the tail too, where the
central limit theorem does not.

**Any partial sum.** A Brownian motion of drift μ and variance σ² passes x before time n with

    P = Q((x − μn)/(σ√n)) + exp(2μx/σ²) Q((x + μn)/(σ√n))

by the reflection principle; its end lies beyond x with the probability Q((x − μn)/(σ√n)). A walk of
n steps passes x as the motion passes x + 0.5826 σ (Siegmund, Adv. Appl. Probab. 11(4), 701, 1979;
Broadie, Glasserman and Kou, Math. Finance 7(4), 325, 1997). The ratio of the two multiplies the
tail of the end.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

from analysis.distributions import Operand, Products
from analysis.stratified import operand_pairs

Floats = npt.NDArray[np.float64]

#: −ζ(1/2)/√(2π): deviations of a step by which a walk is beyond a level when it passes
OVERSHOOT = 0.5825971579390107
#: |w| below which 1/v − 1/w is taken at its limit
_CENTRE = 1e-3
#: values of an operand, and of what one product adds
_OPERAND_VALUES, _STEP_VALUES = 256, 1024
#: probabilities between which a tail differs from that of a normal sum, and is worth a thought
_IMPOSSIBLE, _LIKELY, _HALVINGS = 1e-15, 0.1, 40
#: deviations by which K' may miss, and steps until then
_TOLERANCE, _ITERATIONS = 1e-9, 200


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A discrete distribution of what one product adds to a sum."""

    values: Floats
    weights: Floats  #: probabilities

    @property
    def mean(self) -> float:
        """E[p]."""
        return float(self.weights @ self.values)

    @property
    def deviation(self) -> float:
        """√Var p."""
        return math.sqrt(float(self.weights @ (self.values - self.mean) ** 2))

    @property
    def negated(self) -> "Steps":
        """The distribution of −p."""
        return Steps(-self.values, self.weights)

    def gathered(self, count: int) -> "Steps":
        """The same in at most ``count`` values: of each of as many equal intervals, its mean."""
        values, place = np.unique(self.values, return_inverse=True)
        weights = np.bincount(place, self.weights).astype(np.float64)
        if values.size <= count:
            return Steps(values, weights)
        width = (values[-1] - values[0]) / count
        place = np.minimum((values - values[0]) // width, count - 1).astype(np.int64)
        shares = np.bincount(place, weights, count).astype(np.float64)
        kept = shares > 0.0
        means = np.bincount(place, weights * values, count)[kept] / shares[kept]
        return Steps(means, shares[kept])


def _factor(operand: Operand) -> Steps:
    """An operand, or a term."""
    values, _ = operand_pairs(Products(operand))
    return Steps(values, np.full(values.size, 1.0 / values.size)).gathered(_OPERAND_VALUES)


@lru_cache(maxsize=64)
def product_steps(products: Products) -> Steps:
    """Products of all values of one operand with all of the other; in blocks, a sample.

    Of few values, which resolve tails but not the smallest products. The stratified pairs of
    :mod:`analysis.stratified` have too few pairs of extremes for that.

    Raises:
        ValueError: all products are equal.
    """
    if products.in_blocks:
        a, b = operand_pairs(products)
        steps = Steps(a * b, np.full(a.size, 1.0 / a.size))
    elif products.b is None:
        steps = _factor(products.a)
    else:
        left, right = _factor(products.a), _factor(products.b)
        weights = np.outer(left.weights, right.weights)
        steps = Steps(np.outer(left.values, right.values).ravel(), weights.ravel())
    if not steps.deviation > 0.0:
        raise ValueError(f"sums: products must not all be equal, got {steps.mean:g} only")
    return steps.gathered(_STEP_VALUES)


def _cumulants(steps: Steps, tilt: float) -> tuple[float, float, float]:
    """K, K' and K'' at ``tilt``."""
    exponents = tilt * steps.values
    peak = float(exponents.max())
    weights = steps.weights * np.exp(exponents - peak)
    total = float(weights.sum())
    mean = float(weights @ steps.values) / total
    variance = float(weights @ (steps.values - mean) ** 2) / total
    return peak + math.log(total), mean, variance


def _tilt(steps: Steps, mean: float) -> tuple[float, float, float]:
    """θ with K'(θ) = ``mean``, K and K'': Newton's method, kept from where θ cannot be.

    ``mean`` lies between the least and the largest value.
    """
    away, spread = mean - steps.mean, steps.deviation
    near, far, tilt = 0.0, math.copysign(math.inf, away), away / spread**2
    for _ in range(_ITERATIONS):
        log_moment, slope, variance = _cumulants(steps, tilt)
        if abs(slope - mean) <= _TOLERANCE * spread:
            break
        near, far = (tilt, far) if (slope < mean) == (away > 0.0) else (near, tilt)
        tilt += (mean - slope) / max(variance, _TOLERANCE * spread**2)
        if not min(near, far) < tilt < max(near, far):
            tilt = 0.5 * (near + far) if math.isfinite(far) else 2.0 * near
    return tilt, log_moment, variance


def _skewness(steps: Steps) -> float:
    return float(steps.weights @ (steps.values - steps.mean) ** 3) / steps.deviation**3


def end_tail(steps: Steps, n: int, level: float) -> float:
    """P(S_n ≥ level) of a sum of ``n`` products distributed as ``steps``.

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"sums: n (accumulation length) must be at least 1, got {n}")
    mean = level / n
    if not steps.values.min() < mean < steps.values.max():
        return float(mean <= steps.values.min())
    tilt, log_moment, variance = _tilt(steps, mean)
    w = math.copysign(math.sqrt(max(0.0, 2.0 * n * (tilt * mean - log_moment))), tilt)
    if abs(w) < _CENTRE:
        correction = _skewness(steps) / (6.0 * math.sqrt(n))
    else:
        correction = 1.0 / (tilt * math.sqrt(n * variance)) - 1.0 / w
    density = math.exp(-0.5 * w * w) / math.sqrt(2.0 * math.pi)
    return min(1.0, max(0.0, float(ndtr(-w)) + density * correction))


def _log_normal_peak(steps: Steps, n: float, level: float) -> float:
    """ln P(max S_k ≥ level) of normal steps with this mean and deviation."""
    mean, deviation = steps.mean, steps.deviation
    spread = deviation * math.sqrt(n)
    barrier = level + OVERSHOOT * deviation
    direct = log_ndtr((mean * n - barrier) / spread)
    back = 2.0 * mean * barrier / deviation**2 + log_ndtr((-barrier - mean * n) / spread)
    return float(np.logaddexp(direct, back))


def _passing(steps: Steps, n: int, level: float) -> float:
    """How much likelier it is that some partial sum passes ``level`` than that the end does."""
    end = log_ndtr((steps.mean * n - level) / (steps.deviation * math.sqrt(n)))
    return math.exp(max(0.0, _log_normal_peak(steps, n, level) - float(end)))


def peak_tail(steps: Steps, n: int, level: float) -> float:
    """P(max S_k ≥ level, k = 1 … n), for a level above zero.

    Raises:
        ValueError: n below 1, or a level that is not positive.
    """
    if not level > 0.0:
        raise ValueError(f"sums: a level to pass must be positive, got {level:g}")
    tail = end_tail(steps, n, level)
    return min(1.0, tail * _passing(steps, n, level)) if tail > 0.0 else 0.0


def end_outside(steps: Steps, n: int, low: float, high: float) -> float:
    """P(S_n ≤ low or S_n ≥ high)."""
    return min(1.0, end_tail(steps, n, high) + end_tail(steps.negated, n, -low))


def ever_outside(steps: Steps, n: int, low: float, high: float) -> float:
    """P(some S_k ≤ low or ≥ high): the sum of both sides, an upper estimate where both are likely.

    Raises:
        ValueError: n below 1, or zero is not between the levels.
    """
    return min(1.0, peak_tail(steps, n, high) + peak_tail(steps.negated, n, -low))


def normal_level(steps: Steps, n: int, level: float) -> float:
    """The level that a walk of normal steps passes as likely as this one passes ``level``.

    The same where it is likely to be passed, or all but impossible.
    """
    tail = peak_tail(steps, n, level)
    if not _IMPOSSIBLE < tail < _LIKELY:
        return level
    low, high = 0.0, 2.0 * level
    while _log_normal_peak(steps, n, high) > math.log(tail):
        high *= 2.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        passed = _log_normal_peak(steps, n, middle) > math.log(tail)
        low, high = (middle, high) if passed else (low, middle)
    return low
