"""A rounded sum that a mean of its products carries away from zero: five moments are enough.

Far from zero the sum s is normal, and knows the binades it is in by the normal integral. With a, b,
c, v, w as in :mod:`analysis.random_walk`, functions of s that are constant in a binade but for its
ends,

    dE[s]/dt     = E[a]
    dVar(s)/dt   = E[b] + 2 Cov(s, a)
    dE[e]/dt     = E[c]
    dVar(e)/dt   = E[v] + 2 Cov(e, c)
    dCov(s, e)/dt = E[w] + Cov(s, c) + Cov(e, a)

where Cov(e, φ(s)) = Cov(s, e)/Var(s) · Cov(s, φ), e and s being jointly normal. Over a binade from
α to β standard deviations, E[1] = Φ(β) − Φ(α) and E[s − E[s]] = −√Var(s) (φ(β) − φ(α)); an end of a
binade adds its corrections times the density there.

Valid while s is normal: not where it stagnates, as under nearest rounding once its ulp is several
products. By then the bias is of the size of the sum's deviation.
"""

import math

import numpy as np

from analysis.increments import (
    CROSS,
    ERROR,
    NOISE,
    POINTS,
    SQUARE,
    UPPER,
    Floats,
    Increments,
    jit,
)
from analysis.walk_cells import GROWTH, JOINT, SHIFT, SPREAD, centred, last_bit_is_set, stagnation

#: deviations from the mean that count
_TAIL, _END_TAIL = 8.0, 6.0
_STEP = 0.03  #: of the time so far
#: ... and of the time in which rounding pulls the sum back
_DECAY_STEP = 0.25
#: how many deviations off a sum comes near to where it stagnates
_NEAR = 4.0
#: of a product: what moves less stands still
_STILL = 1e-4


@jit
def _between(low: float, high: float) -> float:
    """Φ(high) − Φ(low), by the tail that is smaller."""
    root = math.sqrt(0.5)
    if low + high > 0.0:
        return 0.5 * (math.erfc(low * root) - math.erfc(high * root))
    return 0.5 * (math.erfc(-high * root) - math.erfc(-low * root))


@jit
def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


@jit
def _ends(
    at: tuple[float, float], deviation: float, binade: int, width: int, side: int,
    table: Increments, sums: Floats,
) -> None:  # fmt: skip
    """Add the two ends of a binade, lower and upper; both ``at`` deviations from the mean."""
    j = min(binade - width - table.least, table.interior.shape[0] - 1)
    c = table.interior[j, side, ERROR]
    for end in range(2):
        z = at[end]
        if abs(z) > _END_TAIL:
            continue
        weight = _density(z) / deviation * 2.0 ** (binade - width)
        if end == UPPER:
            weight *= last_bit_is_set(table.odd[j], 2.0 ** (binade + 1), table.mean)
        for i in range(POINTS):
            more = table.edges[j, side, end, i]
            sums[SHIFT] += weight * more[ERROR]
            sums[5] += weight * more[ERROR] * z * deviation
            sums[SPREAD] += weight * (more[SQUARE] - 2.0 * (table.mean + c) * more[ERROR])
            sums[GROWTH] += weight * (more[NOISE] - 2.0 * c * more[ERROR])
            sums[JOINT] += weight * (more[CROSS] - (table.mean + 2.0 * c) * more[ERROR])


@jit
def _averages(mean: float, variance: float, width: int, table: Increments) -> Floats:
    """E of the five coefficients over a normal sum (the first is left out), and Cov(s, c)."""
    sums, cell = np.zeros(6), np.zeros(5)
    deviation, seen = math.sqrt(variance), 0.0
    far = abs(mean) + _TAIL * deviation
    near = max(abs(mean) - _TAIL * deviation, far * 2.0**-30)
    least = max(math.floor(math.log2(near)), table.least + width)
    for side in range(2):
        for binade in range(least, math.floor(math.log2(far)) + 1):
            ends = ((2.0**binade - mean) / deviation, (2.0 ** (binade + 1) - mean) / deviation)
            if side:
                ends = (
                    -(2.0**binade + mean) / deviation,
                    -(2.0 ** (binade + 1) + mean) / deviation,
                )
            low, high = min(ends), max(ends)
            if low > _TAIL or high < -_TAIL:
                continue
            share = _between(low, high)
            j = min(binade - width - table.least, table.interior.shape[0] - 1)
            centred(table.interior[j, side], table.mean, cell)
            sums[:5] += share * cell
            sums[5] -= deviation * (_density(high) - _density(low)) * cell[SHIFT]
            seen += share
            _ends(ends, deviation, binade, width, side, table, sums)
    sums[SPREAD] += (1.0 - seen) * table.deviation**2
    return sums


@jit
def _slopes(y: Floats, width: int, table: Increments) -> Floats:
    """Time derivatives of E[s], Var s, E[e], Var e, Cov(s, e), and the rate of a pull back."""
    variance = max(y[1], 1e-12 * table.deviation**2)
    sums = _averages(y[0], variance, width, table)
    lean, linear = sums[5], y[4] / variance
    slopes = np.zeros(6)
    slopes[0] = table.mean + sums[SHIFT]
    slopes[1] = sums[SPREAD] + 2.0 * lean
    slopes[2] = sums[SHIFT]
    slopes[3] = sums[GROWTH] + 2.0 * linear * lean
    slopes[4] = sums[JOINT] + lean + linear * lean
    slopes[5] = abs(lean) / variance
    return slopes


@jit
def _carry(y: Floats, start: float, n: float, limit: float, width: int, table: Increments) -> float:
    """Midpoint steps from ``start`` to ``n`` products, or until the sum comes near ``limit``.

    Returns the time. A sum that stands still takes one step.
    """
    time = start
    while time < n - 1e-9 and y[0] + _NEAR * math.sqrt(max(y[1], 0.0)) < limit:
        slopes = _slopes(y, width, table)
        left = n - time
        if abs(slopes[0]) < _STILL * table.mean and abs(slopes[1]) < _STILL * table.deviation**2:
            y += left * slopes[:5]
            return n
        step = min(_STEP * time, _DECAY_STEP / max(slopes[5], 1e-30), left)
        middle = _slopes(y + 0.5 * step * slopes[:5], width, table)
        y += step * middle[:5]
        time += step
    return time


def carry(
    moments: Floats, start: float, n: float, mantissa_bits: int, table: Increments, *, lag: float
) -> tuple[Floats, float]:
    """Moments of the sum after ``n`` products, from those after ``start``, and n.

    As of :func:`analysis.random_walk.walk`; the error's are those of a time ``lag`` later. Under
    nearest rounding the moments and the time at which the sum comes near to where it stagnates, if
    that is earlier.
    """
    y = moments.copy()
    limit = stagnation(table, mantissa_bits)
    until = max(start, n + min(lag, 0.0))
    time = _carry(y, start, until, limit, mantissa_bits, table)
    if time < until - 1e-9:
        return y, time
    early = y.copy()
    _carry(y, until, until + abs(lag), math.inf, mantissa_bits, table)
    return np.concatenate([early[:2], y[2:]] if lag > 0.0 else [y[:2], early[2:]]), n
