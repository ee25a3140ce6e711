"""Where random sums go: the probability that a sum, or any partial sum, passes a level.

Products are independent and drawn from a sample of equal weights (:func:`product_values`), so what
a product does with a probability below some 2^-15 is not seen.

**The end of the sum.** K(θ) = ln E[exp(θ p)] of the sample, and θ solves n K'(θ) = x. With
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
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

from analysis.distributions import Products
from analysis.stratified import operand_pairs

Floats = npt.NDArray[np.float64]

#: −ζ(1/2)/√(2π): deviations of a step by which a walk is beyond a level when it passes
OVERSHOOT = 0.5825971579390107
#: |w| below which 1/v − 1/w is taken at its limit
_CENTRE = 1e-3
#: deviations by which K' may miss, and steps until then
_TOLERANCE, _ITERATIONS = 1e-9, 200


@lru_cache(maxsize=64)
def product_values(products: Products) -> Floats:
    """A sample of products, of equal weights.

    Raises:
        ValueError: all products are equal.
    """
    a, b = operand_pairs(products)
    values = a * b
    if not values.std() > 0.0:
        raise ValueError(f"sums: products must not all be equal, got {values[0]:g} only")
    values.flags.writeable = False
    return values


def _cumulants(values: Floats, tilt: float) -> tuple[float, float, float]:
    """K, K' and K'' at ``tilt``."""
    exponents = tilt * values
    peak = float(exponents.max())
    weights = np.exp(exponents - peak)
    total = float(weights.sum())
    mean = float(weights @ values) / total
    variance = float(weights @ (values - mean) ** 2) / total
    return peak + math.log(total / values.size), mean, variance


def _tilt(values: Floats, mean: float) -> tuple[float, float, float]:
    """θ with K'(θ) = ``mean``, K and K'': Newton's method, kept from where θ cannot be.

    ``mean`` lies between the least and the largest value.
    """
    away, spread = mean - float(values.mean()), float(values.std())
    near, far, tilt = 0.0, math.copysign(math.inf, away), away / spread**2
    for _ in range(_ITERATIONS):
        log_moment, slope, variance = _cumulants(values, tilt)
        if abs(slope - mean) <= _TOLERANCE * spread:
            break
        near, far = (tilt, far) if (slope < mean) == (away > 0.0) else (near, tilt)
        tilt += (mean - slope) / max(variance, _TOLERANCE * spread**2)
        if not min(near, far) < tilt < max(near, far):
            tilt = 0.5 * (near + far) if math.isfinite(far) else 2.0 * near
    return tilt, log_moment, variance


def _skewness(values: Floats) -> float:
    return float(np.mean((values - values.mean()) ** 3)) / float(values.std()) ** 3


def end_tail(values: Floats, n: int, level: float) -> float:
    """P(S_n ≥ level) of a sum of ``n`` products drawn from ``values``.

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"sums: n (accumulation length) must be at least 1, got {n}")
    mean = level / n
    if not values.min() < mean < values.max():
        return float(mean <= values.min())
    tilt, log_moment, variance = _tilt(values, mean)
    w = math.copysign(math.sqrt(max(0.0, 2.0 * n * (tilt * mean - log_moment))), tilt)
    if abs(w) < _CENTRE:
        correction = _skewness(values) / (6.0 * math.sqrt(n))
    else:
        correction = 1.0 / (tilt * math.sqrt(n * variance)) - 1.0 / w
    density = math.exp(-0.5 * w * w) / math.sqrt(2.0 * math.pi)
    return min(1.0, max(0.0, float(ndtr(-w)) + density * correction))


def _passing(values: Floats, n: int, level: float) -> float:
    """How much likelier it is that some partial sum passes ``level`` than that the end does."""
    mean, deviation = float(values.mean()), float(values.std())
    spread = deviation * math.sqrt(n)
    barrier = level + OVERSHOOT * deviation
    direct = log_ndtr((mean * n - barrier) / spread)
    back = 2.0 * mean * barrier / deviation**2 + log_ndtr((-barrier - mean * n) / spread)
    ratio = np.logaddexp(direct, back) - log_ndtr((mean * n - level) / spread)
    return math.exp(max(0.0, float(ratio)))


def peak_tail(values: Floats, n: int, level: float) -> float:
    """P(max S_k ≥ level, k = 1 … n), for a level above zero.

    Raises:
        ValueError: n below 1, or a level that is not positive.
    """
    if not level > 0.0:
        raise ValueError(f"sums: a level to pass must be positive, got {level:g}")
    tail = end_tail(values, n, level)
    return min(1.0, tail * _passing(values, n, level)) if tail > 0.0 else 0.0


def end_outside(values: Floats, n: int, low: float, high: float) -> float:
    """P(S_n ≤ low or S_n ≥ high)."""
    return min(1.0, end_tail(values, n, high) + end_tail(-values, n, -low))


def ever_outside(values: Floats, n: int, low: float, high: float) -> float:
    """P(some S_k ≤ low or ≥ high): the sum of both sides, an upper estimate where both are likely.

    Raises:
        ValueError: n below 1, or zero is not between the levels.
    """
    return min(1.0, peak_tail(values, n, high) + peak_tail(-values, n, -low))
