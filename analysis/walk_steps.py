"""One step in time of a rounded sum as a random walk: jumps between cells, solved implicitly.

Jumps to the two neighbours keep the mean and the variance of the move at every cell, so where
nothing is rounded both are exact. The scheme is L-stable, of order two, with γ = 1 − 1/√2
(Alexander, SIAM J. Numer. Anal. 14(6), 1977): two solutions of (1 − γ Δt L) y = ... per field, each
by the Thomas algorithm.
"""

import math
from typing import NamedTuple

import numpy as np

from analysis.increments import Floats, jit
from analysis.walk_cells import GROWTH, JOINT, MOVE, SHIFT, SPREAD

_GAMMA = 1.0 - 1.0 / math.sqrt(2.0)
_AGAIN = (1.0 - _GAMMA) / _GAMMA


class Jumps(NamedTuple):
    """Rates of jumps to the neighbours, of probability and of error, all (cells,)."""

    up: Floats
    down: Floats
    drift: Floats  #: E[D]
    error_up: Floats  #: Cov(r, D) as errors that jump; down is its negative
    shift: Floats  #: E[r]
    growth: Floats  #: Var r
    half: bool  #: cells are of positive sums only


@jit
def jumps_between(places: Floats, cells: Floats, half: bool) -> Jumps:
    """Rates that keep the mean and variance of the move at every cell, and are positive."""
    count = places.size
    up, down, error_up = np.zeros(count), np.zeros(count), np.zeros(count)
    for i in range(count):
        above = places[i + 1] - places[i] if i < count - 1 else places[i] - places[i - 1]
        below = places[i] - places[i - 1] if i else (2.0 * places[0] if half else above)
        move, spread = cells[i, MOVE], cells[i, SPREAD]
        spread = max(spread, -move * below if move < 0.0 else move * above)
        if i < count - 1:
            up[i] = (spread + move * below) / (above * (above + below))
        if i or half:
            down[i] = (spread - move * above) / (below * (above + below))
        error_up[i] = cells[i, JOINT] / (above + below)
    drift, shift, growth = cells[:, MOVE].copy(), cells[:, SHIFT].copy(), cells[:, GROWTH].copy()
    return Jumps(up, down, drift, error_up, shift, growth, half)


class Factors(NamedTuple):
    """LU factors of 1 − step L, (2, cells): of functions that are even, and odd, about zero."""

    inverse: Floats  #: of the pivots
    forward: Floats  #: what a row takes over from the one before
    back: Floats  #: ... and from the one after


@jit
def _factored(jumps: Jumps, step: float) -> Factors:
    """Both factors in one go; where all of the line is walked they are the same."""
    up, down = jumps.up, jumps.down
    inverse, forward, back = np.empty((2, up.size)), np.empty((2, up.size)), np.empty((2, up.size))
    for k in range(2):
        mirrored = (1.0 - 2.0 * k) * down[0] if jumps.half else 0.0
        inverse[k, 0] = 1.0 / (1.0 + step * (up[0] + down[0] - mirrored))
    for i in range(1, up.size):
        for k in range(2):
            back[k, i - 1] = step * down[i] * inverse[k, i - 1]
            pivot = 1.0 + step * (up[i] + down[i] - up[i - 1] * back[k, i - 1])
            inverse[k, i] = 1.0 / pivot
            forward[k, i] = step * up[i - 1] * inverse[k, i]
    return Factors(inverse, forward, back)


@jit
def _solve(factors: Factors, parity: int, y: Floats) -> Floats:
    """y ← (1 − step L)⁻¹ y."""
    inverse, forward, back = factors.inverse[parity], factors.forward[parity], factors.back[parity]
    y[0] *= inverse[0]
    for i in range(1, y.size):
        y[i] = y[i] * inverse[i] + forward[i] * y[i - 1]
    for i in range(y.size - 2, -1, -1):
        y[i] += back[i] * y[i + 1]
    return y


@jit
def _solve_both(factors: Factors, even: Floats, z: Floats, parity: int) -> None:
    """The same of two functions, an even one and another, at nearly the cost of one."""
    inverse, forward, back = factors.inverse[0], factors.forward[0], factors.back[0]
    inverse_z, forward_z = factors.inverse[parity], factors.forward[parity]
    back_z = factors.back[parity]
    even[0] *= inverse[0]
    z[0] *= inverse_z[0]
    for i in range(1, even.size):
        even[i] = even[i] * inverse[i] + forward[i] * even[i - 1]
        z[i] = z[i] * inverse_z[i] + forward_z[i] * z[i - 1]
    for i in range(even.size - 2, -1, -1):
        even[i] += back[i] * even[i + 1]
        z[i] += back_z[i] * z[i + 1]


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
def advance(fields: Floats, jumps: Jumps, step: float, errs: bool) -> None:
    """f, g and h (3, cells) after ``step`` products; without ``errs`` f alone."""
    part = _GAMMA * step
    factors = _factored(jumps, part)
    f, g, h = fields
    first = _solve(factors, 0, f.copy())
    second = f + _AGAIN * (first - f)
    if not errs:
        f[:] = _solve(factors, 0, second)
        return
    g1 = g + part * _source(first, jumps, -1.0)
    _solve_both(factors, second, g1, 1)
    h1 = h + part * (2.0 * _source(g1, jumps, 1.0) + jumps.growth * first)
    g2 = g + _AGAIN * (g1 - g) + part * _source(second, jumps, -1.0)
    _solve_both(factors, h1, g2, 1)
    made = part * (2.0 * _source(g2, jumps, 1.0) + jumps.growth * second)
    h[:] = _solve(factors, 0, h + _AGAIN * (h1 - h) + made)
    f[:], g[:] = second, g2
