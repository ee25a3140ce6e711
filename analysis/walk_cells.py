"""Cells for a random walk of rounded sums, and how the walk moves and errs in each.

Cells do not cross powers of two: even ones up to about 4 σ, 16 to a binade beyond, no wider than
σ²/|μ| where products have a mean, and single lattice points at the ends of binades where nearest
rounding swamps.
"""

import math

import numpy as np

from analysis.increments import (
    CROSS,
    ERROR,
    LOWER,
    NOISE,
    POINTS,
    SQUARE,
    UPPER,
    Floats,
    Increments,
    jit,
)

CELLS = 16  #: of a binade
#: ulps in deviations of a product from which nearest rounding has cells of single lattice points
_DEEP = 0.5
_STAGNANT = 1.5  #: ... and from which it holds a sum
#: columns of the coefficients: E[D], Var D, E[r], Var r, Cov(r, D)
MOVE, SPREAD, SHIFT, GROWTH, JOINT = range(5)


def _deep_offsets(width: int, widest: int) -> list[float]:
    """Cell edges of a binade of 2^width lattice points, in lattice points from its lower end."""
    points = 2**width
    side = [1, 1, 1, 1]
    while side[-1] < widest:
        side += [min(2 * side[-1], widest)] * 2
    ends = np.cumsum(side)
    rest = points - 2 * int(ends[-1])
    if widest == 1 or rest <= 0:
        return [float(point) for point in range(1, points + 1)]
    middle = np.round(np.linspace(0, rest, max(1, rest // widest) + 1)[1:-1]) + ends[-1]
    return [*map(float, ends), *middle, *map(float, points - ends[::-1]), float(points)]


def stagnation(table: Increments, mantissa_bits: int) -> float:
    """Where nearest rounding begins to hold a sum: there an ulp is 1.5 deviations or more."""
    if not table.nearest:
        return math.inf
    return 2.0 ** (math.ceil(math.log2(_STAGNANT * table.deviation)) + mantissa_bits)


def cell_edges(move: Increments, width: int, reach: float, widest: float) -> Floats:
    """Edges of the cells of positive sums, none wider than ``widest``, from 0 to ``reach``."""
    binade = math.ceil(math.log2(4.0 * move.deviation))
    usual = min(CELLS, 2**width)
    edges = list(np.arange(usual + 1) * (2.0**binade / usual))
    while edges[-1] < reach:
        ulp = 2.0 ** (binade - width)
        if move.nearest and ulp > _DEEP * move.deviation:
            most = max(1, int(min(2**width // usual, widest / ulp)))
            edges += [2.0**binade + ulp * offset for offset in _deep_offsets(width, most)]
        else:
            count = max(usual, math.ceil(2.0**binade / widest))
            edges += list(2.0**binade * (1.0 + np.arange(1, count + 1) / count))
        binade += 1
    return np.array(edges)


@jit
def last_bit_is_set(odd: float, s: float, drift: float) -> float:
    """How far the last bit has come to its equilibrium when a drift has brought the sum to s."""
    if odd == 0.0 or drift == 0.0:
        return 1.0
    return 1.0 - math.exp(-2.0 * odd * s / abs(drift))


@jit
def _add_ends(
    cell: Floats, ends: Floats, lowest: int, highest: int, points: int, set_share: float
) -> None:
    """Add the corrections of the lattice points that the cell holds, each its share."""
    for i in range(POINTS):
        for moment in range(4):
            if lowest <= i < lowest + points:
                cell[moment] += ends[LOWER, i, moment] / points
            if highest <= i < highest + points:
                cell[moment] += set_share * ends[UPPER, i, moment] / points


@jit
def centred(moments: Floats, mean: float, out: Floats) -> None:
    """Moments of a move and its error to coefficients."""
    a, c = mean + moments[ERROR], moments[ERROR]
    out[MOVE], out[SHIFT] = a, c
    out[SPREAD] = max(moments[SQUARE] - a * a, 0.0)
    out[GROWTH] = max(moments[NOISE] - c * c, 0.0)
    out[JOINT] = moments[CROSS] - a * c


@jit
def fill(
    cell: Floats, lower: float, upper: float, width: int, side: int, table: Increments
) -> None:
    """The coefficients of one cell of sums of magnitude ``lower`` to ``upper``."""
    binade = math.floor(math.log2(0.5 * (lower + upper)))
    j = min(binade - width - table.least, table.interior.shape[0] - 1)
    if j < 0:  # too fine to tell from exact
        cell[MOVE], cell[SPREAD] = table.mean, table.deviation**2
        return
    ulp = 2.0 ** (binade - width)
    moments = table.interior[j, side].copy()
    if upper - lower >= ulp:
        lowest = int((lower - 2.0**binade) / ulp)
        highest = int((2.0 ** (binade + 1) - upper) / ulp)
        share = last_bit_is_set(table.odd[j], 2.0 ** (binade + 1), table.mean)
        points = int((upper - lower) / ulp)
        _add_ends(moments, table.edges[j, side], lowest, highest, points, share)
    centred(moments, table.mean, cell)


@jit
def coefficients(edges: Floats, below: int, width: int, table: Increments) -> tuple[Floats, Floats]:
    """Places of the cells, (cells,), and their coefficients, (cells, 5).

    ``edges`` of positive cells; the first ``below`` of them have a mirror image.
    """
    above = edges.size - 1
    places, cells = np.zeros(below + above), np.zeros((below + above, 5))
    for i in range(above):
        size = edges[i + 1] - edges[i]
        middle = 0.5 * (edges[i] + edges[i + 1])
        ulp = 2.0 ** (math.floor(math.log2(middle)) - width)
        place = middle - 0.5 * ulp if size >= ulp else middle  # of its lattice points
        places[below + i] = place
        fill(cells[below + i], edges[i], edges[i + 1], width, 0, table)
        if i < below:
            places[below - 1 - i] = -place
            fill(cells[below - 1 - i], edges[i], edges[i + 1], width, 1, table)
    return places, cells
