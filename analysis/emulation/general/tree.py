"""Sums in a pairwise tree, in chunks or in one go."""

from typing import Any

import numpy as np
from numba import njit

from analysis.emulation.general.level import advance, copy, draw, finish, thresholds
from analysis.emulation.general.products import multiply
from analysis.emulation.general.rounding import PANEL


@njit(inline="always")
def _join(
    terms: Any, sums: Any, stack: Any, draws: Any, away: Any, level: Any, tree: Any, leaf: Any
) -> None:
    """Add the leaf ``terms`` to a tree = (leaves, number of its first step) of two or more.

    ``stack[i]`` holds a finished subtree of 2^i leaves where bit i of the leaf's number is set; a
    carry runs through them as through a binary counter. The last leaf's carry runs on to the top,
    past the levels where it has no neighbour, and becomes ``terms``.
    """
    width, step = tree
    last = leaf + 1 == width
    i = 0
    while width > 1:
        if leaf >> i & 1:
            copy(sums, stack[i])
            draw(away, level.chance, draws[0], draws[1], step + (leaf >> (i + 1)))
            advance(sums, terms, away, level.grid)
            copy(terms, sums)
        elif not last:
            copy(stack[i], terms)
            break
        step += width >> 1
        width = (width + 1) >> 1
        i += 1


@njit(inline="always")
def _clear(lanes: Any) -> None:
    for j in range(PANEL):
        lanes[j] = 0.0


@njit(cache=True, nogil=True)
def sum_in_trees(
    left: Any,
    panel: Any,
    state: Any,
    out: Any,
    places: Any,
    span: Any,
    multiplier: Any,
    inner: Any,
    outer: Any,
) -> None:
    """Add ``left`` (rows, K) times ``panel`` (K, PANEL) to the sums of ``out`` (rows, PANEL).

    ``state`` (rows, levels, PANEL) holds trees that are not finished; ``places`` are those of the
    inner and of the outer draws.
    """
    terms, sums = np.empty(PANEL), np.empty(PANEL)
    away, away_outer = thresholds(inner.grid), thresholds(outer.grid)
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            number = span.first + k
            at = number % span.run
            leaves = min(span.run, span.length - number + at)
            multiply(terms, left[i, k], panel[k], multiplier)
            leaf = at
            if leaves == 1:  # a single term is rounded: it joins a leaf that is zero
                _clear(state[i, 0])
                leaf = 1
            tree = (max(leaves, 2), number - at)
            _join(terms, sums, state[i], (places[0], i), away, inner, tree, leaf)
            if at + 1 == leaves:
                finish(out[i], terms, away_outer, outer, places[1], (i, number), span)
