"""Sums of products one after the other, in chunks or in one go; blocks of integers too."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from analysis.emulation.general.level import advance, begin, copy, draw, finish, thresholds
from analysis.emulation.general.products import multiply
from analysis.emulation.general.rounding import PANEL, power


class Units(NamedTuple):
    """Exponents of the blocks' units: (rows, blocks) and (blocks, PANEL); empty without blocks."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    def part(self, first: int) -> "Units":
        """From block number ``first`` on."""
        return Units(np.array(self.left[:, first:], order="C"), self.right[first:])


NO_UNITS = Units(np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64))


@njit(inline="always")
def _scale(sums: Any, exponent: Any, exponents: Any) -> None:
    for j in range(PANEL):
        sums[j] *= power(exponent + exponents[j])


@njit(cache=True, nogil=True)
def sum_sequentially(
    left: Any,
    panel: Any,
    state: Any,
    out: Any,
    places: Any,
    span: Any,
    units: Any,
    multiplier: Any,
    inner: Any,
    outer: Any,
) -> None:
    """Continue the sums of ``out`` (rows, PANEL) by ``left`` (rows, K) times ``panel`` (K, PANEL).

    ``state`` (rows, PANEL) holds chunk sums that are not finished; ``places`` are those of the
    inner and of the outer draws.
    """
    terms, sums, total = np.empty(PANEL), np.empty(PANEL), np.empty(PANEL)
    away, away_outer = thresholds(inner.grid), thresholds(outer.grid)
    for i in range(left.shape[0]):
        copy(total, out[i])
        copy(sums, state[i])
        for k in range(left.shape[1]):
            number = span.first + k
            at = number % span.run
            if at == 0:
                begin(sums, total, span)
            multiply(terms, left[i, k], panel[k], multiplier)
            draw(away, inner.chance, places[0], i, number)
            advance(sums, terms, away, inner.grid)
            if at + 1 == span.run or number + 1 == span.length:
                if units.left.size > 0:
                    _scale(sums, units.left[i, k // span.run], units.right[k // span.run])
                finish(total, sums, away_outer, outer, places[1], (i, number), span)
        copy(out[i], total)
        copy(state[i], sums)
