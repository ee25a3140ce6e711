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

Space is cut into cells (:mod:`analysis.walk_cells`), time into steps (:mod:`analysis.walk_steps`):
one product at a time first and then a quarter of t, or a third of a deviation of drift. Where −p is
distributed as p half the line is enough: f and h are even, g is odd.

The rounding of product t sees s + p, whose variance is that of time t; so the error's sources act
from time ½ to n + ½.

Valid where sums are long against their products: about 8 terms and more.
"""

import math

import numpy as np
from scipy.special import ndtr

from analysis.increments import Floats, Increments, jit
from analysis.walk_cells import cell_edges, coefficients, stagnation
from analysis.walk_steps import Jumps, advance, jumps_between

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
#: chance of a cell that is left out of a step, and how far a sum may go in one
_RARE, _AHEAD = 1e-13, 60.0


@jit
def _pace(fields: Floats, jumps: Jumps, deviation: float) -> float:
    """Deviations of a product to a root mean square drift, where the sum stands now."""
    square = (fields[0] * jumps.drift * jumps.drift).sum()
    return deviation / math.sqrt(max(square, 1e-12 * deviation**2))


@jit
def _window(f: Floats, places: Floats, step: float, reach: float, pace: float) -> tuple[int, int]:
    """The cells that a sum may be in before or after a step."""
    low, high = 0, f.size - 1
    while low < high and f[low] < _RARE:
        low += 1
    while high > low and f[high] < _RARE:
        high -= 1
    ahead = _AHEAD * reach * math.sqrt(step) + 2.0 * step * reach / pace
    first = int(np.searchsorted(places, places[low] - ahead))
    return first, int(np.searchsorted(places, places[high] + ahead))


@jit
def _part(jumps: Jumps, low: int, high: int) -> Jumps:
    """The jumps of some of the cells."""
    cut = slice(low, high)
    up, down, drift = jumps.up[cut], jumps.down[cut], jumps.drift[cut]
    return Jumps(
        up, down, drift, jumps.error_up[cut], jumps.shift[cut], jumps.growth[cut], jumps.half
    )


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
    places: Floats, jumps: Jumps, fields: Floats, span: tuple[float, float], reach: float
) -> None:
    """Take ``fields`` from time ``span[0]`` to ``span[1]``.

    ``reach``: deviations of a product, times a step's share of the sum's that it may drift.
    """
    time, until = span
    while time < until - 1e-9:
        step = 1.0 if time < _SINGLE_STEPS else _STEP * time
        low, high, pace = 0, places.size, 0.0
        if reach < math.inf:
            pace = _pace(fields, jumps, reach)
            step = min(step, pace * max(time, 0.5) ** 0.5)
        left = until - time
        step = left if step >= left else min(step, 0.5 * left)
        if reach < math.inf:
            low, high = _window(fields[0], places, step, reach, pace)
        advance(fields[:, low:high], _part(jumps, low, high), step, True)
        time += step


@jit
def _ended(
    places: Floats, jumps: Jumps, fields: Floats, span: tuple[float, float], lag: float,
    reach: float,
) -> Floats:  # fmt: skip
    """The moments at ``span[1]``; of the error those of a time ``lag`` later."""
    _walk(places, jumps, fields, (span[0], span[1] + min(lag, 0.0)), reach)
    moments, later = np.zeros(5), np.zeros(5)
    _moments(places, fields, jumps.half, moments)
    if lag != 0.0 and span[0] < span[1]:
        advance(fields, jumps, abs(lag), True)
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
    advance(fields, jumps, time, False)
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
    behind = min(spread, (_BEHIND * pace + 4.0) * table.deviation)
    below = min(int(np.searchsorted(edges, behind)), edges.size - 1)
    if table.symmetric:
        below = 0
    places, cells = coefficients(edges, below, mantissa_bits, table)
    jumps = jumps_between(places, cells, table.symmetric)
    start = min(start, n + min(lag, 0.0))
    fields = _from_zero(places, jumps, below, start)
    drift_step = _DRIFT_STEP * table.deviation if table.mean else math.inf
    moments = _ended(places, jumps, fields, (start, float(n)), lag, drift_step)
    moments[1] -= places[below] ** 2  # it began half a cell from zero, on both sides
    return moments


def walk_on(
    table: Increments, mantissa_bits: int, moments: Floats, start: float, n: float, lag: float
) -> Floats:
    """The same at ``n`` of a sum that was normal at ``start``, far on the positive side."""
    mean, deviation = float(moments[0]), math.sqrt(moments[1])
    spread = _REACH * max(deviation, table.deviation * math.sqrt(n))
    reach = min(mean + table.mean * (n - start) + spread, _HELD * stagnation(table, mantissa_bits))
    pace = table.deviation / table.mean
    widest = min(deviation / _RESOLVED, pace * table.deviation)
    edges = cell_edges(table, mantissa_bits, reach, widest)
    edges = edges[max(0, int(np.searchsorted(edges, mean - _REACH * deviation)) - 1) :]
    places, cells = coefficients(edges, 0, mantissa_bits, table)
    fields = _normal(edges, places, moments)
    jumps = jumps_between(places, cells, False)
    drift_step = _HOLDING * _DRIFT_STEP * table.deviation
    return _ended(places, jumps, fields, (start, float(n)), lag, drift_step)
