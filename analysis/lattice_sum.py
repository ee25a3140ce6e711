"""A rounded sum on its lattice: an exact chain for sums that are short or coarse.

With f the probabilities of the sum's values, and g = E[e; s], h = E[e²; s] the error's moments on
the paths that end there, one addition is

    f' = f P,   g' = g P + f R,   h' = h P + 2 g R + f Q,

where P, R and Q are the sums over products of 1, r and r² (:mod:`analysis.lattice_steps`). Nothing
is approximated but the products' distribution, by its sample, and the lattice close to zero.
"""

import math
from dataclasses import dataclass

import numpy as np

from analysis.increments import Floats, Increments, Rule, jit
from analysis.lattice_steps import (
    FINEST,
    Indices,
    Lattice,
    Steps,
    cumulative,
    filled,
    lattice,
    rows,
)

#: chance of a value of the sum that is left out, and of all that may get lost
_RARE, _LOST = 1e-13, 1e-6
#: deviations of a sum that the lattice reaches, and by which a drift must pass zero to leave it
_REACH, _BEHIND = 8.0, 10.0
#: a longer computation is left to theories of long sums
_MOST_TERMS, _MOST_POINTS, _MOST_ENTRIES, _MOST_VISITS = 1024, 4000, 200_000, 1.2e7
_COARSE = 0.5  #: ulps in deviations of a product
_PLACES = 32  #: of time, at which the effort is estimated


@jit
def _step(before: Floats, after: Floats, chain: Steps, low: int, high: int) -> tuple[int, int]:
    """f, g and h (points, 3) after one more product; zero outside low..high, and the next so."""
    first, last = before.shape[0], 0
    for i in range(low, high + 1):
        f, g, h = before[i]
        before[i] = 0.0
        start, at = chain.first[i], chain.place[i]
        count = chain.place[i + 1] - at
        for k in range(count):
            p, r, q = chain.entries[at + k]
            y = start + k
            after[y, 0] += f * p
            after[y, 1] += g * p + f * r
            after[y, 2] += h * p + 2.0 * g * r + f * q
        first, last = min(first, start), max(last, start + count - 1)
    while first < last and after[first, 0] < _RARE:
        after[first] = 0.0
        first += 1
    while last > first and after[last, 0] < _RARE:
        after[last] = 0.0
        last -= 1
    return first, last


@jit
def _run(grid: Lattice, chain: Steps, n: int, first_is_exact: bool) -> Floats:
    """f, g and h after ``n`` products, from 0 on."""
    fields, after = np.zeros((grid.points.size, 3)), np.zeros((grid.points.size, 3))
    fields[grid.zero, 0] = 1.0
    low = high = grid.zero
    for i in range(n):
        low, high = _step(fields, after, chain, low, high)
        fields, after = after, fields
        if i == 0 and first_is_exact:
            fields[:, 1:] = 0.0
    return fields


def _moments(points: Floats, fields: Floats) -> Floats:
    """E[s], Var s, E[e], Var e and Cov(s, e)."""
    f, g, h = fields.T
    mean, error = float(f @ points), float(g.sum())
    away = points - mean
    return np.array([mean, float(f @ away**2), error, float(h.sum()) - error**2, float(g @ away)])


def _grid(width: int, table: Increments, n: int) -> Lattice:
    """The lattice that sums of up to ``n`` products may reach."""
    finest = 2.0 ** math.floor(math.log2(FINEST * table.deviation))
    spread = _REACH * table.deviation * math.sqrt(n)
    drift = abs(table.mean) / table.deviation
    behind = min(spread, (_BEHIND / drift + 4.0) * table.deviation) if drift else spread
    return lattice(width, finest, behind, spread + n * abs(table.mean))


def _effort(grid: Lattice, place: Indices, table: Increments, n: int) -> float:
    """Entries that a chain of ``n`` products visits, about."""
    times = np.linspace(0.0, n, _PLACES)
    spread = _REACH * table.deviation * np.sqrt(times)
    ends = [times * table.mean - spread, times * table.mean + spread]
    low, high = (np.clip(np.searchsorted(grid.points, end), 0, grid.points.size) for end in ends)
    return n * float(np.max(place[high] - place[low]))


@dataclass(frozen=True, slots=True, eq=False)
class LatticeSum:
    """Where a sum ended: chances of its values, and its moments."""

    values: Floats  #: ascending
    chances: Floats
    moments: Floats  #: E[s], Var s, E[e], Var e and Cov(s, e)


def is_coarse(width: int, table: Increments, n: int) -> bool:
    """Whether sums of ``n`` products reach binades whose ulp is half a product's deviation."""
    reach = n * abs(table.mean) + 2.0 * math.sqrt(n) * table.deviation
    return 2.0 ** (math.floor(math.log2(reach)) - width) >= _COARSE * table.deviation


def lattice_sum(
    values: Floats, width: int, rule: Rule, table: Increments, n: int, *, first_is_exact: bool
) -> LatticeSum | None:
    """The sum of ``n`` products; None where that is too long a computation.

    ``table``: of the sample ``values`` of products, whose mean must not be negative.
    """
    if rule.levels or not 2 <= 2**width <= _MOST_POINTS or n > _MOST_TERMS:
        return None
    grid = _grid(width, table, n)
    if grid.points.size > _MOST_POINTS:
        return None
    terms = cumulative(values, grid.points[grid.zero + 1])
    first, place = rows(terms, grid)
    if place[-1] > _MOST_ENTRIES or _effort(grid, place, table, n) > _MOST_VISITS:
        return None
    entries = filled(terms, grid, first, place, width, rule.code, table)
    fields = _run(grid, Steps(first, place, entries), n, first_is_exact)
    if fields[:, 0].sum() < 1.0 - _LOST:
        return None  # rounding down carried it off
    return LatticeSum(grid.points, fields[:, 0], _moments(grid.points, fields))
