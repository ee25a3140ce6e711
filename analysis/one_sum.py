"""One level of an accumulator: the theory that fits a sum's length, width and drift.

* Up to 8 terms, and up to 256 where products have a mean or the sum is one of many equal ones: a
  sample of paths (:mod:`analysis.short_sums`);
* products with a mean whose sum gets coarse: all points of the lattice
  (:mod:`analysis.lattice_sum`), while it is small enough;
* the rest: a random walk (:mod:`analysis.random_walk`) until a mean of the products has carried the
  sum away from zero, and then five moments (:mod:`analysis.drifting_sum`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.drifting_sum import carry
from analysis.formats import Rounding
from analysis.increments import ERROR, Floats, Increments, Rule
from analysis.lattice_sum import LatticeSum, is_coarse, lattice_sum
from analysis.random_walk import walk, walk_on
from analysis.short_sums import FEW, PATHS, short_sums
from analysis.walk_cells import stagnation

#: terms of a short sum at most
SHORT = 256
#: deviations from zero at which a drift has carried the sum away
_CARRIED = 16.0
#: a mean, in deviations, that is more than round-off of the sample's
_DRIFT = 1e-6
#: values that stand for a distribution of sums
_RESULTS = 2048


@dataclass(frozen=True, slots=True)
class Summation:
    """One level of an accumulator: sequential, of a width and a rounding."""

    mantissa_bits: int
    rule: Rule
    #: the first term is on the grid already
    first_is_exact: bool = False
    fused: bool = False  #: terms are fused steps


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """What a level makes of its terms."""

    moments: Floats  #: E[s], Var s, E[e], Var e and Cov(s, e)
    values: Floats | None = None  #: a sample of s, of equal weights; None: normal


def _thinned(values: Floats) -> Floats:
    """As many of a sample in ascending order as stand for a distribution."""
    return values[np.arange(_RESULTS) * values.size // _RESULTS + values.size // (2 * _RESULTS)]


def _spread(found: LatticeSum) -> Floats:
    """The same of values with their chances."""
    at = (np.arange(_RESULTS) + 0.5) / _RESULTS * found.chances.sum()
    places = np.searchsorted(found.chances.cumsum(), at)
    return np.asarray(found.values[np.minimum(places, found.values.size - 1)])


def _on_lattice(values: Floats, table: Increments, level: Summation, n: int) -> Sum | None:
    """A sum that products with a mean make coarse, None if there are too many points."""
    if not table.mean or not is_coarse(level.mantissa_bits, table, n):
        return None
    found = lattice_sum(
        values, level.mantissa_bits, level.rule, table, n, first_is_exact=level.first_is_exact
    )
    return None if found is None else Sum(found.moments, _spread(found))


def _by_paths(values: Floats, widths: tuple[int, ...], rule: Rule, n: int) -> Iterator[Sum]:
    for one in short_sums(values, widths, rule, n, PATHS if n <= FEW else None):
        yield Sum(one.moments, _thinned(one.values))


def _early(values: Floats, table: Increments, level: Summation, n: float) -> tuple[Floats, float]:
    """The moments of a sum until a drift has carried it away, and when that is; at most n."""
    width, drift = level.mantissa_bits, table.mean / table.deviation
    if drift > 1.0:
        if level.fused:
            return np.array([table.mean, table.deviation**2, 0.0, 0.0, 0.0]), 1.0
        (few,) = _by_paths(values, (width,), level.rule, FEW)
        return few.moments, float(FEW)
    until = min(n, max(1.0, (_CARRIED / drift) ** 2)) if drift else n
    if 2.0 * until * table.mean > stagnation(table, width):
        until = n  # it is held before it is carried away
    start = 0.0 if level.fused else 1.5 if level.first_is_exact else 0.5
    lag = (-0.5 if level.fused else 0.5) if until == n else 0.0
    return walk(table, width, until, start=start, lag=lag), until


def _long(values: Floats, table: Increments, level: Summation, n: float) -> Floats:
    """The moments of a long sum."""
    lag = -0.5 if level.fused else 0.5
    moments, time = _early(values, table, level, n)
    if time < n:
        moments, time = carry(moments, time, n, level.mantissa_bits, table, lag=lag)
    if time < n:
        moments = walk_on(table, level.mantissa_bits, moments, time, n, lag)
    return moments


def _rising(
    values: Floats, table: Increments, levels: Sequence[Summation], n: float, repeated: bool
) -> Iterator[Sum]:
    """Of products that have no negative mean; ``levels`` differ in width alone."""
    found: dict[Summation, Sum | None] = dict.fromkeys(levels)
    rule = levels[0].rule
    if n == round(n) and not levels[0].fused:
        found = {one: _on_lattice(values, table, one, round(n)) for one in levels}
        rest = [one for one in levels if found[one] is None]
        if rest and (n <= FEW or (n <= SHORT and (table.mean or repeated))):
            widths = tuple(one.mantissa_bits for one in rest)
            found.update(zip(rest, _by_paths(values, widths, rule, round(n)), strict=True))
    for level, one in found.items():
        yield Sum(_long(values, table, level, n)) if one is None else one


def _turned(table: Increments) -> Increments:
    """The moments of the negative of a sum."""
    interior, edges = table.interior[:, ::-1].copy(), table.edges[:, ::-1].copy()
    interior[..., ERROR] *= -1.0
    edges[..., ERROR] *= -1.0
    return table._replace(mean=-table.mean, interior=interior, edges=edges)


def sums_of(
    values: Floats, table: Increments, levels: Sequence[Summation], n: float, *, repeated: bool
) -> tuple[Sum, ...]:
    """The sums of ``n`` terms, of which ``values`` are a sample and ``table`` the increments.

    ``levels`` differ in width alone. ``repeated``: the results will be asked for again and again,
    and are worth some milliseconds.
    """
    if abs(table.mean) <= _DRIFT * table.deviation:
        table = table._replace(mean=0.0)
    mirrored = table.mean == 0.0 and levels[0].rule.rounding is Rounding.UP
    if table.mean >= 0.0 and not mirrored:
        biased = 0.0 if table.symmetric else 1.0
        signs = np.array([biased, 1.0, biased, 1.0, 1.0])
        found = _rising(values, table, levels, n, repeated)
        return tuple(Sum(one.moments * signs, one.values) for one in found)
    turned = [replace(one, rule=one.rule.turned) for one in levels]
    back = np.array([-1.0, 1.0, -1.0, 1.0, 1.0])
    return tuple(
        Sum(one.moments * back, None if one.values is None else -one.values[::-1])
        for one in _rising(-values, _turned(table), turned, n, repeated)
    )
