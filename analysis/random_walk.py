"""A rounded sum as a random walk: its density, and the error's moments where it stands.

Let f(s, t) be the density of the sum after t products, and g = E[e; s], h = E[e²; s] the error's
moments on the paths that end at s. One addition moves s by D and e by r, and both depend on s alone
(:mod:`analysis.increments`), so f, g and h obey linear equations. As a diffusion, per product,

    ∂f/∂t = L f                               L = −∂ a + ½ ∂² b
    ∂g/∂t = L g + c f − ∂(w f)
    ∂h/∂t = L h + 2 (c g − ∂(w g)) + v f

with a = E[D], b = Var D, c = E[r], v = Var r and w = Cov(r, D) at s: functions of the binade of
s. Variances stand where a diffusion has mean squares, because the mean moves are not random. At the
end E[e] = ∫g, E[e²] = ∫h, Cov(s, e) = ∫s g − E[s] E[e], and Var s comes from f. The error is
carried itself, so a small one does not drown in Var s − 2 Cov(s, d) + Var d.

Space is cut into cells (:mod:`analysis.walk_cells`). Jumps to the two neighbours keep the mean and
the variance of the move at every cell, so where nothing is rounded both are exact. Time advances
by an L-stable scheme of order two with γ = 1 − 1/√2 (Alexander, SIAM J. Numer. Anal. 14(6), 1977),
one product at a time first and then by a quarter of t, or by a third of a deviation of drift. Where
−p is distributed as p half the line is enough: f and h are even, g is odd.

The rounding of product t sees s + p, whose variance is that of time t; so the error's sources act
from time ½ to n + ½.

Valid where sums are long against their products: about 8 terms and more.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from analysis.increments import Floats, Increments, jit
from analysis.walk_cells import (
    GROWTH,
    JOINT,
    MOVE,
    SHIFT,
    SPREAD,
    cell_edges,
    coefficients,
    stagnation,
)

#: deviations of a sum that the grid reaches, and by which a drift must pass zero to leave it
_REACH, _BEHIND = 8.0, 10.0
#: times where a sum begins to be held that it may reach
_HELD = 16.0
#: cells of a sum that is already spread out, per deviation of it
_RESOLVED = 8.0
#: shorter steps where a sum comes to be held
_HOLDING = 0.4
#: a step of time: of the time so far, and in deviations of the sum that it drifts
_STEP, _DRIFT_STEP = 0.25, 0.3
_SINGLE_STEPS = 8.0
_GAMMA = 1.0 - 1.0 / math.sqrt(2.0)
_AGAIN = (1.0 - _GAMMA) / _GAMMA


class Jumps(NamedTuple):
    """Rates of jumps to the neighbours, of probability and of error, all (cells,)."""

    up: Floats
    down: Floats
    error_up: Floats  #: Cov(r, D) as errors that jump; down is its negative
    shift: Floats  #: E[r]
    growth: Floats  #: Var r
    half: bool  #: cells are of positive sums only


@jit
def _jumps(places: Floats, cells: Floats, half: bool, positive: bool) -> Jumps:
    """Rates that keep the mean of the move at every cell, and its variance.

    ``positive``: the variance is increased where a rate would be negative, which no density minds
    that varies little from cell to cell.
    """
    count = places.size
    up, down, error_up = np.zeros(count), np.zeros(count), np.zeros(count)
    for i in range(count):
        above = places[i + 1] - places[i] if i < count - 1 else places[i] - places[i - 1]
        below = places[i] - places[i - 1] if i else (2.0 * places[0] if half else above)
        move, spread = cells[i, MOVE], cells[i, SPREAD]
        if positive:
            spread = max(spread, -move * below if move < 0.0 else move * above)
        if i < count - 1:
            up[i] = (spread + move * below) / (above * (above + below))
        if i or half:
            down[i] = (spread - move * above) / (below * (above + below))
        error_up[i] = cells[i, JOINT] / (above + below)
    return Jumps(up, down, error_up, cells[:, SHIFT].copy(), cells[:, GROWTH].copy(), half)


@jit
def _factor(jumps: Jumps, sign: float, step: float) -> tuple[Floats, Floats]:
    """LU factors of 1 − step L; ``sign``: of the mirror image of a function on half the line."""
    up, down = jumps.up, jumps.down
    upper, inverse = np.empty(up.size), np.empty(up.size)
    mirrored = sign * down[0] if jumps.half else 0.0
    inverse[0] = 1.0 / (1.0 + step * (up[0] + down[0] - mirrored))
    for i in range(1, up.size):
        upper[i - 1] = -step * down[i] * inverse[i - 1]
        pivot = 1.0 + step * (up[i] + down[i] + up[i - 1] * upper[i - 1])
        inverse[i] = 1.0 / pivot
    return upper, inverse


@jit
def _solve(factors: tuple[Floats, Floats], jumps: Jumps, step: float, y: Floats) -> Floats:
    """y ← (1 − step L)⁻¹ y."""
    upper, inverse = factors
    y[0] *= inverse[0]
    for i in range(1, y.size):
        y[i] = (y[i] + step * jumps.up[i - 1] * y[i - 1]) * inverse[i]
    for i in range(y.size - 2, -1, -1):
        y[i] -= upper[i] * y[i + 1]
    return y


@jit
def _source(y: Floats, jumps: Jumps, sign: float) -> Floats:
    """c y − ∂(w y): errors made here and those that jump to the neighbours."""
    made = jumps.shift * y
    for i in range(y.size - 1):
        made[i + 1] += jumps.error_up[i] * y[i]
        made[i] -= jumps.error_up[i + 1] * y[i + 1]
    if jumps.half:
        made[0] -= sign * jumps.error_up[0] * y[0]
    return made


@jit
def _advance(fields: Floats, jumps: Jumps, step: float, errs: bool) -> None:
    """f, g and h (3, cells) after ``step`` products; without ``errs`` f alone."""
    part = _GAMMA * step
    even = _factor(jumps, 1.0, part)
    f, g, h = fields
    first = _solve(even, jumps, part, f.copy())
    second = _solve(even, jumps, part, f + _AGAIN * (first - f))
    if errs:
        odd = _factor(jumps, -1.0, part) if jumps.half else even
        g1 = _solve(odd, jumps, part, g + part * _source(first, jumps, -1.0))
        made = part * _source(second, jumps, -1.0)
        g2 = _solve(odd, jumps, part, g + _AGAIN * (g1 - g) + made)
        made = part * (2.0 * _source(g1, jumps, 1.0) + jumps.growth * first)
        h1 = _solve(even, jumps, part, h + made)
        made = part * (2.0 * _source(g2, jumps, 1.0) + jumps.growth * second)
        h[:] = _solve(even, jumps, part, h + _AGAIN * (h1 - h) + made)
        g[:] = g2
    f[:] = second


@jit
def _moments(places: Floats, fields: Floats, half: bool, out: Floats) -> None:
    """E[s], Var s, E[e], Var e and Cov(s, e)."""
    f, g, h = fields
    mean, mean_error = (0.0, 0.0) if half else ((f * places).sum(), g.sum())
    out[0], out[1] = mean, (f * places * places).sum() - mean * mean
    out[2], out[3] = mean_error, h.sum() - mean_error * mean_error
    out[4] = (g * places).sum() - mean * mean_error


@jit
def _walk(
    places: Floats, jumps: Jumps, fields: Floats, span: tuple[float, float], lag: float, pace: float
) -> Floats:
    """Moments at time ``span[1]`` of ``fields`` at time ``span[0]``.

    ``pace``: σ/|μ|. The error's moments are those of a time ``lag`` later.
    """
    moments = np.zeros(5)
    time, until = span[0], span[1] + min(lag, 0.0)
    while time < until - 1e-9:
        step = 1.0 if time < _SINGLE_STEPS else _STEP * time
        step = min(step, _DRIFT_STEP * pace * max(time, 0.5) ** 0.5)
        left = until - time
        step = left if step >= left else min(step, 0.5 * left)
        _advance(fields, jumps, step, True)
        time += step
    _moments(places, fields, jumps.half, moments)
    if lag != 0.0 and span[0] < span[1]:
        later = np.zeros(5)
        _advance(fields, jumps, abs(lag), True)
        _moments(places, fields, jumps.half, later)
        early = slice(0, 2) if lag < 0.0 else slice(2, 5)
        moments[early] = later[early]
    return moments


def _from_zero(places: Floats, jumps: Jumps, origin: int, time: float) -> Floats:
    """f, g and h of a sum that did not err up to ``time``."""
    fields = np.zeros((3, places.size))
    fields[0, origin] = 1.0 if jumps.half else 0.5
    if not jumps.half:
        fields[0, origin - 1] = 0.5
    _advance(fields, jumps, time, False)
    return fields


def _normal(edges: Floats, places: Floats, moments: Floats) -> Floats:
    """f, g and h of a sum that is jointly normal with its error."""
    mean, variance, error, noise, joint = moments
    f = np.diff(ndtr((edges - mean) / math.sqrt(variance)))
    errors = error + joint / variance * (places - mean)
    return np.stack([f, f * errors, f * (noise - joint**2 / variance + errors**2)])


def walk(
    table: Increments, mantissa_bits: int, n: float, *, start: float = 0.5, lag: float = 0.5
) -> Floats:
    """E[s], Var s, E[e], Var e and Cov(s, e) of a sum of ``n`` products, not far from zero.

    Errors begin at the time ``start`` and end at n + ``lag``: 0.5 and 0.5 where tables speak of the
    binade of s + p, and 1.5 if the first product is exact; 0 and −0.5 where of the binade of s. The
    mean of a product must not be negative.
    """
    assert table.mean >= 0.0
    spread = _REACH * table.deviation * math.sqrt(n)
    reach = min(spread + table.mean * n, _HELD * stagnation(table, mantissa_bits))
    pace = table.deviation / table.mean if table.mean else math.inf
    edges = cell_edges(table, mantissa_bits, reach, pace * table.deviation)
    below = 0
    if not table.symmetric:
        behind = spread
        if table.mean > 0.0:
            behind = min(spread, (_BEHIND * pace + 4.0) * table.deviation)
        below = min(int(np.searchsorted(edges, behind)), edges.size - 1)
    places, cells = coefficients(edges, below, mantissa_bits, table)
    jumps = _jumps(places, cells, table.symmetric, True)
    start = min(start, n + min(lag, 0.0))
    fields = _from_zero(places, jumps, below, start)
    moments = _walk(places, jumps, fields, (start, float(n)), lag, pace)
    moments[1] -= places[below] ** 2  # it began half a cell from zero, on both sides
    return moments


def walk_on(
    table: Increments, mantissa_bits: int, moments: Floats, start: float, n: float, lag: float
) -> Floats:
    """The same at ``n`` of a sum that was normal at ``start``, far on the positive side."""
    mean, deviation = float(moments[0]), math.sqrt(moments[1])
    spread = _REACH * max(deviation, table.deviation * math.sqrt(n))
    reach = min(mean + table.mean * (n - start) + spread, _HELD * stagnation(table, mantissa_bits))
    edges = cell_edges(table, mantissa_bits, reach, deviation / _RESOLVED)
    edges = edges[max(0, int(np.searchsorted(edges, mean - _REACH * deviation)) - 1) :]
    places, cells = coefficients(edges, 0, mantissa_bits, table)
    fields = _normal(edges, places, moments)
    pace = _HOLDING * table.deviation / table.mean
    jumps = _jumps(places, cells, False, False)
    return _walk(places, jumps, fields, (start, float(n)), lag, pace)
