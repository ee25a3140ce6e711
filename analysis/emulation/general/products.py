"""Products of one row's element and a panel, exact or rounded."""

from typing import Any, NamedTuple

from numba import njit

from analysis.emulation.general.rounding import PANEL, Grid, grid_of, settle
from analysis.formats import Product


class Multiplier(NamedTuple):
    """How products are rounded."""

    rounds: bool
    grid: Grid


def multiplier_of(product: Product | None, no_grid: Grid) -> Multiplier:
    """The multiplier, packed; ``no_grid`` stands where products are exact."""
    if product is None:
        return Multiplier(False, no_grid)
    return Multiplier(True, grid_of(product.format, product.rounding))


@njit(inline="always")
def multiply(terms: Any, x: Any, row: Any, multiplier: Any) -> None:
    """``terms`` = x · row, on the multiplier's grid; exact in float64 before."""
    for j in range(PANEL):
        terms[j] = x * row[j]
    if multiplier.rounds:
        grid = multiplier.grid
        for j in range(PANEL):
            terms[j] = settle(terms[j], 0.0, grid.away[0], grid.away[1], grid)
