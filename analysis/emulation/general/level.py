"""One accumulator on a panel of lanes, and how chunk sums begin and end."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from analysis.draws import INNER, OUTER, Stream
from analysis.emulation.draws import Words, places
from analysis.emulation.general.chance import Chance, chance_of, threshold, turn
from analysis.emulation.general.rounding import PANEL, Grid, add, add_wrapping, grid_of
from analysis.formats import Accumulator, BlockFormat


class Level(NamedTuple):
    """A sum, inner or outer: its grid, and its draws where the rounding is stochastic."""

    grid: Grid
    chance: Chance


def level_of(accumulator: Accumulator, stream: Stream | None, level: int, step: int) -> Level:
    """The accumulator, without its outer one, whose first step has number ``step``."""
    assert not isinstance(accumulator.format, BlockFormat)
    grid = grid_of(accumulator.format, accumulator.rounding)
    return Level(grid, chance_of(accumulator, stream, level, step))


class Span(NamedTuple):
    """Which part of the sum a call computes."""

    first: int  #: number of its first product
    run: int  #: products to a chunk; all of them where the sum has none
    length: int  #: products of the whole sum
    chunked: bool


@njit(cache=True)
def thresholds(grid: Any) -> Any:
    """``Grid.away`` for a panel, (2, PANEL): what a stochastic rounding overwrites."""
    away = np.empty((2, PANEL))
    for j in range(PANEL):
        away[0, j], away[1, j] = grid.away[0], grid.away[1]
    return away


# Functions of lanes are inlined by numba: a call would be compiled at every depth of nesting.
@njit(inline="always")
def draw(away: Any, chance: Any, places: Any, row: Any, step: Any) -> None:
    """The thresholds of a row at a step of its level, where the rounding is stochastic."""
    if chance.drawn:
        shared, up = turn(chance, row, step)
        for j in range(PANEL):
            away[0, j] = threshold(shared, up, places[j], chance)
            away[1, j] = away[0, j]


@njit(inline="always")
def advance(total: Any, terms: Any, away: Any, grid: Any) -> None:
    """One step of a level: ``total`` + ``terms``, rounded, into ``total``."""
    if grid.wraps:
        for j in range(PANEL):
            total[j] = add_wrapping(total[j], terms[j], away[0, j], away[1, j], grid)
    else:
        for j in range(PANEL):
            total[j] = add(total[j], terms[j], away[0, j], away[1, j], grid)


@njit(inline="always")
def copy(to: Any, lanes: Any) -> None:
    """``to[:] = lanes``, whose error message would take numba seconds to compile."""
    for j in range(PANEL):
        to[j] = lanes[j]


@njit(inline="always")
def begin(sums: Any, total: Any, span: Any) -> None:
    """A chunk sum begins at zero, an unchunked one where ``total`` stands."""
    for j in range(PANEL):
        sums[j] = 0.0 if span.chunked else total[j]


@njit(inline="always")
def finish(
    total: Any, sums: Any, away: Any, outer: Any, places: Any, place: Any, span: Any
) -> None:
    """Add a chunk's sum to ``total``; ``place`` = (row, number of a product in the chunk)."""
    if span.chunked:
        draw(away, outer.chance, places, place[0], place[1] // span.run)
        advance(total, sums, away, outer.grid)
    else:
        copy(total, sums)


def places_of(stream: Stream | None) -> Words:
    """The places of a panel's lanes in the inner and in the outer draws, (2, PANEL)."""
    at = stream or Stream(0)
    return np.stack([places(at.seed, level, at.column, PANEL) for level in (INNER, OUTER)])
