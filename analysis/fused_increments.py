"""What one fused step does to a running sum: truncated terms, one addition, one rounding.

A step of T products is one increment P = Σp of the walk (:mod:`analysis.increments`). The sum's
binade fixes its exponent, the products theirs, and the larger one the grid 2^(E − kept) to which
all are cut; so D and r = D − P follow from a sample of T-tuples of products by the very definition
(:func:`analysis.emulation.reference.fused_step`). Every tuple meets the sum at another place of its
binade, which averages over the binade's ends too.

Truncation of T terms toward zero shrinks a step by about half a grid step for each, in the
products' direction: no bias without a mean, but retention falls. Truncation of the output
shrinks the sum by half an ulp, as in any accumulator.
"""

import math

import numpy as np

from analysis.distributions import Products
from analysis.formats import Accumulator, FloatFormat, Fused, Rounding
from analysis.increments import (
    ERROR,
    POINTS,
    SQUARE,
    Floats,
    Increments,
    Rule,
    is_odd,
    jit,
    rise,
    tally,
)
from analysis.stratified import SEED, exact_moments, operand_pairs

#: tuples of products, of which half are negatives of the others where signs do not matter
_TUPLES = 4096
#: binades of the sum below and above a step's deviation
_BELOW, _ABOVE = 4, 20
#: places of :func:`_cuts`
_KEPT, _ALIGNMENT, _APART, _TERMS, _SUM, _JOINING = range(6)


def _cuts(order: Fused, turned: bool) -> tuple[int, int, int, int, int, int]:
    """A fused step's alignment as numbers, −1 bits being all; ``turned``: of −x."""

    def code(rounding: Rounding) -> int:
        rule = Rule(rounding, 0)
        return (rule.turned if turned else rule).code

    apart = order.outside
    if apart is None:
        return order.kept_bits, code(order.alignment), 0, -1, -1, 0
    bits = [-1 if one is None else one for one in (apart.terms_bits, apart.sum_bits)]
    return order.kept_bits, code(order.alignment), 1, bits[0], bits[1], code(apart.alignment)


def is_symmetric(order: Fused) -> bool:
    """Whether alignment treats −x as x."""
    ways = (
        [order.alignment] if order.outside is None else [order.alignment, order.outside.alignment]
    )
    return all(Rule(one, 0).symmetric for one in ways)


@jit
def _cut(x: float, top: int, bits: int, rule: int, turned: int) -> float:
    """``x`` cut to 2^(top − bits); ``turned``: the rule for −x."""
    if bits < 0 or x == 0.0:
        return x
    steps = math.ldexp(abs(x), bits - top)
    low = math.floor(steps)
    up = rise(steps - low, rule if x > 0.0 else turned, 0, is_odd(low))
    return math.copysign(math.ldexp(low + up, top - bits), x)


@jit
def _aligned(
    total: float, binade: int, row: Floats, top: int, cuts: tuple[int, ...], turned: tuple[int, ...]
) -> float:
    """The sum of a step before it is rounded; ``top``: the largest exponent of the products."""
    if not cuts[_APART]:
        top = max(top, binade)
        total = _cut(total, top, cuts[_KEPT], cuts[_ALIGNMENT], turned[_ALIGNMENT])
        for p in row:
            total += _cut(p, top, cuts[_KEPT], cuts[_ALIGNMENT], turned[_ALIGNMENT])
        return total
    apart = 0.0
    for p in row:
        apart += _cut(p, top, cuts[_KEPT], cuts[_ALIGNMENT], turned[_ALIGNMENT])
    top = max(top, binade)
    apart = _cut(apart, top, cuts[_TERMS], cuts[_JOINING], turned[_JOINING])
    return apart + _cut(total, top, cuts[_SUM], cuts[_JOINING], turned[_JOINING])


@jit
def _steps(
    rows: Floats, tops: Floats, binade: int, width: int, cuts: tuple[int, ...],
    turned: tuple[int, ...], rules: tuple[int, int], levels: int,
) -> Floats:  # fmt: skip
    """Moments of the steps of sums in a binade, all places of it alike."""
    moments = np.zeros(4)
    for i in range(rows.shape[0]):
        place = 2.0**width + math.floor((0.618034 * i) % 1.0 * 2.0**width)
        total = place * 2.0 ** (binade - width)
        exact = total + rows[i].sum()
        x = _aligned(total, binade, rows[i], int(tops[i]), cuts, turned)
        if x == 0.0:
            tally(moments, 1.0 / rows.shape[0], -total, -exact)
            continue
        grid = 2.0 ** (math.floor(math.log2(abs(x))) - width)
        low = math.floor(abs(x) / grid)
        up = rise(abs(x) / grid - low, rules[int(x < 0.0)], levels, is_odd(low))
        for more in range(2):
            y = math.copysign((low + more) * grid, x)
            weight = (up if more else 1.0 - up) / rows.shape[0]
            tally(moments, weight, y - total, y - exact)
    return moments


def _tuples(products: Products, terms: int, order: Fused, mirrored: bool) -> tuple[Floats, Floats]:
    """Products, (tuples, terms), and the largest exponent of each tuple."""
    a, b = operand_pairs(products)
    rng = np.random.default_rng(SEED)
    count = _TUPLES // 2 if mirrored else _TUPLES
    picked = rng.integers(0, a.size, (count, terms))
    x, y = a[picked], b[picked]
    floors = order.least_exponents or (-(10**6), -(10**6))
    exponents = sum(
        np.maximum(np.frexp(z)[1] - 1, floor) for z, floor in zip((x, y), floors, strict=True)
    )
    tops = np.where(x * y != 0.0, exponents, -(10**6)).max(axis=1).astype(np.float64)
    rows = x * y
    return (np.concatenate([rows, -rows]), np.tile(tops, 2)) if mirrored else (rows, tops)


def fused_increments(
    accumulator: Accumulator, rule: Rule, products: Products, terms: int, mirrored: bool
) -> tuple[Increments, Floats]:
    """Moments of steps of ``terms`` products, and a sample of their exact sums.

    ``mirrored``: −p is distributed as p, and nothing tells signs.
    """
    order, form = accumulator.order, accumulator.format
    assert isinstance(order, Fused)
    assert isinstance(form, FloatFormat)
    rows, tops = _tuples(products, terms, order, mirrored)
    sums, width = rows.sum(axis=1), form.mantissa_bits
    first = math.floor(math.log2(sums.std())) - _BELOW
    interior = np.zeros((_BELOW + _ABOVE, 2, 4))
    for side, sign in enumerate((1.0, -1.0)):
        own = rule.turned if side else rule
        cuts, turned = _cuts(order, bool(side)), _cuts(order, not side)
        for j in range(len(interior)):
            interior[j, side] = _steps(
                sign * rows, tops, first + j, width, cuts, turned,
                (own.code, own.turned.code), rule.levels,
            )  # fmt: skip
        interior[:, side, ERROR] *= sign
    mean, variance = exact_moments(products, terms)  # which the sample only estimates
    interior[..., SQUARE] += variance + mean**2 - np.square(sums).mean()
    none = np.zeros((len(interior), 2, 2, POINTS, 4))
    mean = 0.0 if mirrored else mean
    odd = np.zeros(len(interior))
    least = first - width
    return Increments(least, mean, math.sqrt(variance), mirrored, False, interior, none, odd), sums
