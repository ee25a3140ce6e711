"""One rounded addition from every point of the accumulator's lattice to every other, exactly.

The sum s of a float accumulator lies on 2^m points to a binade. Where s + p falls between the
points y_i and y_{i+1}, the rounding decides for one of them, or for both by chance; so the sums
over products of 1, r and r², with r = y − s − p, are differences of cumulative moments

    M_k(t) = E[p^k; p < t],   k = 0..3,

at y_i − s, y_{i+1} − s and, to nearest, their middle.

Below 2^m times ``finest`` a lattice finer than the products can tell is replaced by a uniform one
of that spacing, as subnormal numbers do. There s + p + E[r] goes to both neighbours so that its
mean is kept, and errors are those of :mod:`analysis.increments`: of mean c, variance v and slope
w/b against the move.
"""

import math
from typing import NamedTuple

import numpy as np

from analysis.increments import (
    AWAY,
    BY_CHANCE,
    EVEN,
    TOWARD_ZERO,
    UP,
    Floats,
    Increments,
    is_odd,
    jit,
)
from analysis.walk_cells import GROWTH, JOINT, MOVE, SHIFT, SPREAD, fill

#: below this spacing, in deviations of a product, the lattice is uniform
FINEST = 0.125


class Lattice(NamedTuple):
    """Points in ascending order; those of magnitude below ``fine`` are 2^least apart."""

    points: Floats
    zero: int  #: the place of 0
    fine: float


class Cumulative(NamedTuple):
    """Sorted values p and Σ p^k of those before each, per value; p is counted from ``centre``."""

    values: Floats
    sums: Floats  #: (values + 1, 4)
    centre: float


class Steps(NamedTuple):
    """Sums over products of 1, r and r² for each pair of points, row by row of s."""

    first: "Indices"  #: (points,) the first y of a row
    place: "Indices"  #: (points + 1,) where it stands
    entries: Floats  #: (pairs, 3)


Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


def lattice(width: int, finest: float, below: float, above: float) -> Lattice:
    """Points from −``below`` to ``above``, or just beyond."""
    positive = _magnitudes(width, finest, above)
    negative = _magnitudes(width, finest, below)[1:]
    points = np.concatenate([-negative[::-1], positive])
    return Lattice(points, negative.size, 2.0**width * finest)


def _magnitudes(width: int, finest: float, reach: float) -> Floats:
    pieces = [np.arange(2.0**width) * finest]
    binade = 2.0**width * finest
    while binade <= reach:
        pieces.append(binade * (1.0 + np.arange(2.0**width) / 2.0**width))
        binade *= 2.0
    whole = np.append(np.concatenate(pieces), binade)
    return np.asarray(whole[: np.searchsorted(whole, reach) + 1])


def cumulative(values: Floats, grid: float) -> Cumulative:
    """Cumulative moments of a sample of equal weights."""
    centre = round(float(values.mean()) / grid) * grid
    unique, counts = np.unique(values - centre, return_counts=True)
    powers = unique[:, None] ** np.arange(4) * (counts / values.size)[:, None]
    return Cumulative(unique, np.concatenate([np.zeros((1, 4)), powers.cumsum(axis=0)]), centre)


@jit
def _before(values: Floats, t: float) -> int:
    """How many are less than t."""
    return int(np.searchsorted(values, t))


@jit
def _to_point(moments: Floats, q: float, out: Floats) -> None:
    """All of them to the point q above s."""
    out[0] += moments[0]
    out[1] += q * moments[0] - moments[1]
    out[2] += q * q * moments[0] - 2.0 * q * moments[1] + moments[2]


@jit
def _to_both(moments: Floats, low: float, high: float, below: Floats, above: Floats) -> None:
    """To either of two points, ``low`` and ``high`` above s, so that the mean is kept."""
    gap = high - low
    m0, m1, m2, m3 = moments
    error = (-low * high * m0 + (low + high) * m1 - m2) / gap
    above[0] += (m1 - low * m0) / gap
    above[1] += error
    square = -low * high * high * m0 + (high * high + 2.0 * low * high) * m1
    above[2] += (square - (low + 2.0 * high) * m2 + m3) / gap
    below[0] += (high * m0 - m1) / gap
    below[1] -= error
    square = high * low * low * m0 - (2.0 * high * low + low * low) * m1
    below[2] += (square + (high + 2.0 * low) * m2 - m3) / gap


@jit
def _cut(
    terms: Cumulative, low: float, high: float, upward: bool, below: Floats, above: Floats
) -> None:
    """Products between two points, all to the upper one or all to the lower one."""
    start = _before(terms.values, low)
    end = _before(terms.values, high)
    if upward:
        while start < end and terms.values[start] == low:
            below[0] += terms.sums[start + 1, 0] - terms.sums[start, 0]
            start += 1
        _to_point(terms.sums[end] - terms.sums[start], high, above)
    else:
        _to_point(terms.sums[end] - terms.sums[start], low, below)


@jit
def _nearest(
    terms: Cumulative, low: float, high: float, ties_up: bool, below: Floats, above: Floats
) -> None:
    """Products between two points, each to the nearer one."""
    middle = 0.5 * (low + high)
    start, half = _before(terms.values, low), _before(terms.values, middle)
    if not ties_up and half < terms.values.size and terms.values[half] == middle:
        half += 1
    end = _before(terms.values, high)
    _to_point(terms.sums[half] - terms.sums[start], low, below)
    _to_point(terms.sums[end] - terms.sums[half], high, above)


@jit
def _interval(
    terms: Cumulative, s: float, i: int, grid: Lattice, rule: int, below: Floats, above: Floats
) -> None:
    """Products that bring s between points i and i + 1."""
    from_zero = grid.points[i] >= 0.0
    low, high = grid.points[i] - s - terms.centre, grid.points[i + 1] - s - terms.centre
    if rule == BY_CHANCE:
        start, end = _before(terms.values, low), _before(terms.values, high)
        _to_both(terms.sums[end] - terms.sums[start], low, high, below, above)
    elif rule in (EVEN, AWAY):
        ties_up = is_odd(float(abs(i - grid.zero))) == 1.0 if rule == EVEN else from_zero
        _nearest(terms, low, high, ties_up, below, above)
    else:
        upward = rule == UP or (rule == TOWARD_ZERO and not from_zero)
        _cut(terms, low, high, upward, below, above)


@jit
def _fine_interval(
    terms: Cumulative, s: float, shift: float, i: int, grid: Lattice, below: Floats, above: Floats
) -> None:
    """The same on the uniform lattice, probabilities alone, with a ``shift`` of its inside."""
    low, high = grid.points[i] - s - terms.centre, grid.points[i + 1] - s - terms.centre
    outmost = grid.points[i] == -grid.fine, grid.points[i + 1] == grid.fine
    start = _before(terms.values, low - (0.0 if outmost[0] else shift))
    end = _before(terms.values, high - (0.0 if outmost[1] else shift))
    low, high = low - shift, high - shift
    moments = terms.sums[end] - terms.sums[start]
    above[0] += (moments[1] - low * moments[0]) / (high - low)
    below[0] += (high * moments[0] - moments[1]) / (high - low)


@jit
def _fine_cells(grid: Lattice, width: int, table: Increments) -> Floats:
    """Coefficients (points, 5) of the errors of sums that land on the uniform lattice."""
    cells = np.zeros((grid.points.size, 5))
    size = grid.fine / 2.0**width
    for i in range(grid.points.size):
        at = abs(grid.points[i])
        lower = min(at, grid.fine - size)
        if at <= grid.fine:
            fill(cells[i], lower, lower + size, width, int(i < grid.zero), table)
    middle = cells[grid.zero]
    middle[MOVE], middle[SHIFT] = table.mean, 0.0
    return cells


@jit
def _add_fine(entry: Floats, chance: float, move: float, cell: Floats) -> None:
    """Errors of landing at a point of the uniform lattice with that chance."""
    slope = cell[JOINT] / cell[SPREAD] * (move - cell[MOVE])
    error = cell[SHIFT] + slope
    entry[0] += chance
    entry[1] += chance * error
    entry[2] += chance * (cell[GROWTH] + error * error)


@jit
def _row(
    terms: Cumulative, s: float, shift: float, grid: Lattice, cells: Floats, rule: int,
    first: int, entries: Floats,
) -> None:  # fmt: skip
    """Fill the entries of one row."""
    chances = np.zeros((entries.shape[0], 3))
    for k in range(entries.shape[0] - 1):
        i = first + k
        if max(abs(grid.points[i]), abs(grid.points[i + 1])) <= grid.fine:
            _fine_interval(terms, s, shift, i, grid, chances[k], chances[k + 1])
        else:
            _interval(terms, s, i, grid, rule, entries[k], entries[k + 1])
    for k in range(entries.shape[0]):
        if chances[k, 0] != 0.0:
            _add_fine(entries[k], chances[k, 0], grid.points[first + k] - s, cells[first + k])


@jit
def _reach(terms: Cumulative, s: float, grid: Lattice) -> tuple[int, int]:
    """The first and the last point that a sum at s may move to."""
    least, most = terms.values[0] + terms.centre, terms.values[-1] + terms.centre
    slack = grid.points[grid.zero + 1]
    first = int(np.searchsorted(grid.points, s + least - slack)) - 1
    last = int(np.searchsorted(grid.points, s + most + slack, side="right"))
    return max(first, 0), min(last, grid.points.size - 1)


@jit
def rows(terms: Cumulative, grid: Lattice) -> tuple[Indices, Indices]:
    """``first`` and ``place`` of :class:`Steps`."""
    count = grid.points.size
    first, place = np.zeros(count, np.int64), np.zeros(count + 1, np.int64)
    for i in range(count):
        start, end = _reach(terms, grid.points[i], grid)
        first[i] = start
        place[i + 1] = place[i] + end - start + 1
    return first, place


@jit
def filled(
    terms: Cumulative, grid: Lattice, first: Indices, place: Indices, width: int, rule: int,
    table: Increments,
) -> Floats:  # fmt: skip
    """``entries`` of :class:`Steps`; ``table``: of the same products."""
    entries = np.zeros((place[-1], 3))
    cells = _fine_cells(grid, width, table)
    outmost = cells[min(int(np.searchsorted(grid.points, grid.fine)), grid.points.size - 1), SHIFT]
    for i in range(grid.points.size):
        s = grid.points[i]
        shift = cells[i, SHIFT] if abs(s) < grid.fine else math.copysign(1.0, s) * outmost
        row = entries[place[i] : place[i + 1]]
        _row(terms, s, shift, grid, cells, rule, first[i], row)
    return entries
