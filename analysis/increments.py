"""What one rounded addition does to a running sum: moments of its move and of its error, per ulp.

A sum s that lies on the grid of ulp u moves by D = R(s + p) − s where the exact one moves by the
product p, and errs by r = D − p. Deep inside a binade D depends on p/u and, in ties, on whether s/u
is odd; so the four moments

    E[D²],  E[r],  E[r²],  E[r D]

are averages over the products alone, one set per u = 2^j and side of zero, whatever the
accumulator's width. Products are a stratified sample, so operand formats (m_p) enter by themselves:
where every product is a multiple of u, r = 0. Ties to even see the stationary parity of s/u, that
of the two-state chain that the products drive.

Near the ends of a binade the ulp of s + p is not that of s. Two corrections per lattice point:

* where u > 0.3 σ the lattice is coarse, and the moments of each of the 24 points next to either
  end are averaged one by one. They make a sum near the lower end of a binade fall back more
  easily than rise, and matter in deep swamping;
* where u is smaller, nearest rounding to 2^k draws from [2^k − u/4, 2^k + u/2], so that the error
  there integrates to −3/32 u² per unit of density, of which u²/12 − (u/2)²/12 belongs to the slope
  of the density in the two binades: −u²/32 remains;
* there too, a sum that rises into the next binade loses a last bit that coarse products leave in
  it. That bit is set at rate φ, the share of products that flip it, and cleared at the edge, a
  diffusion with killing: per unit of density there the flux of odd sums is
  ½ (v ℓ + D) λ/(1 + ℓ λ), λ = (v + √(v² + 8 φ D))/(2 D), with v the drift, D = σ²/2 and ℓ = 0.58 σ,
  by which a walk of Gaussian steps overshoots (Chang and Peres, Annals of Probability 25(2),
  1997). Products that have the bit themselves cancel, being spread over it on both sides. Ties to
  even alternate above the edge, and half of the first one remains: −u/4 for what lands on it.

The flux is that of an unbounded binade in equilibrium; binades are finite, and 0.8 of it agrees
best with simulation. It is the one fitted number of the theory.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from analysis.formats import Rounding

Floats = npt.NDArray[np.float64]
jit = numba.njit(cache=True, error_model="numpy")

#: of the moments, in this order
SQUARE, ERROR, NOISE, CROSS = range(4)
#: the ends of a binade
LOWER, UPPER = 0, 1
#: lattice points near an end that are averaged one by one
POINTS = 24
#: ulps in standard deviations of a product: from here on the lattice is coarse, or nothing moves
COARSE, FROZEN = 0.3, 40.0
#: powers of two below and above a product's standard deviation that are tabulated
_BELOW, _ABOVE = 24, 22
_OVERSHOOT = 0.58
_FLUX_SHARE = 0.8
#: of the integral of the error of rounding to nearest at a power of two
_EDGE_SHIFT = 1.0 / 32.0
#: roundings as the kernels know them
_RULES = {rounding: code for code, rounding in enumerate(Rounding)}
EVEN, AWAY, TOWARD_ZERO, UP, DOWN, BY_CHANCE = range(6)
#: of a negative sum turned positive
_TURNED = {Rounding.UP: Rounding.DOWN, Rounding.DOWN: Rounding.UP}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rounding, as the kernels know it."""

    rounding: Rounding
    levels: int  #: 2^(random bits); 0: ideal

    @property
    def nearest(self) -> bool:
        """Whether ties are the only question."""
        return self.rounding in (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY)

    @property
    def symmetric(self) -> bool:
        """Whether R(−x) = −R(x)."""
        return self.rounding not in _TURNED

    @property
    def turned(self) -> "Rule":
        """What it is for −x."""
        return Rule(_TURNED.get(self.rounding, self.rounding), self.levels)

    @property
    def code(self) -> int:
        """Its number in the kernels."""
        return _RULES[self.rounding]


class Increments(NamedTuple):
    """Moments of a rounded addition, for ulps 2^least, 2^(least + 1), ...; kernels read it too."""

    least: int
    mean: float  #: of a product
    deviation: float
    #: −p is distributed as p, and rounding does not tell signs
    symmetric: bool
    nearest: bool
    interior: Floats  #: (ulps, 2 signs of the sum, 4 moments)
    #: (ulps, signs, 2 ends, lattice points, moments), to be added at each point
    edges: Floats
    odd: Floats  #: (ulps,), φ where the last bit matters, else 0


@jit
def rise(fraction: float, rule: int, levels: int, odd: float) -> float:
    """The chance that a positive x is rounded up; ``odd``: that the integer below it is odd."""
    if fraction == 0.0 or rule in (TOWARD_ZERO, DOWN):
        return 0.0
    if rule == UP:
        return 1.0
    if rule in (EVEN, AWAY):
        if fraction == 0.5:
            return odd if rule == EVEN else 1.0
        return 1.0 if fraction > 0.5 else 0.0
    return math.floor(fraction * levels) / levels if levels else fraction


@jit
def is_odd(x: float) -> float:
    """1 where the integer x is odd."""
    return x - 2.0 * math.floor(0.5 * x)


@jit
def tally(moments: Floats, weight: float, move: float, error: float) -> None:
    """Add one outcome."""
    moments[SQUARE] += weight * move * move
    moments[ERROR] += weight * error
    moments[NOISE] += weight * error * error
    moments[CROSS] += weight * error * move


@jit
def in_units(moments: Floats, ulp: float, count: int) -> None:
    """Sums in ulps to averages."""
    for which in range(4):
        moments[which] *= (ulp if which == ERROR else ulp * ulp) / count


@jit
def _odd_share(products: Floats, ulp: float) -> float:
    """The stationary share of odd s/u under ties to even."""
    from_even, from_odd, ties = 0.0, 0.0, 0
    for p in products:
        low = math.floor(p / ulp)
        fraction, odd = p / ulp - low, is_odd(low)
        ties += fraction == 0.5
        up = rise(fraction, EVEN, 0, odd)
        from_even += up * (1.0 - odd) + (1.0 - up) * odd
        up = rise(fraction, EVEN, 0, 1.0 - odd)
        from_odd += up * odd + (1.0 - up) * (1.0 - odd)
    flow = products.size - from_odd + from_even
    return from_even / flow if ties and flow > 1e-9 * products.size else 0.5


@jit
def inside(products: Floats, ulp: float, rule: int, levels: int) -> Floats:
    """The moments of a positive sum deep inside a binade."""
    share = _odd_share(products, ulp) if rule == EVEN else 0.5
    moments = np.zeros(4)
    for p in products:
        low = math.floor(p / ulp)
        fraction, odd = p / ulp - low, is_odd(low)
        up = rise(fraction, rule, levels, share * (1.0 - odd) + (1.0 - share) * odd)
        tally(moments, up, low + 1.0, 1.0 - fraction)
        tally(moments, 1.0 - up, low, -fraction)
    in_units(moments, ulp, products.size)
    return moments


@jit
def _at_point(
    products: Floats, ulp: float, rule: int, levels: int, at: float, edge: float
) -> Floats:
    """The moments of a sum of ``at`` ulps; below ``edge`` the grid is finer than above."""
    moments = np.zeros(4)
    below = 1.0 if at < edge else 0.5
    for p in products:
        x = at + p / ulp
        grid = below if x < edge else 2.0 * below
        low = math.floor(x / grid)
        fraction = x / grid - low
        up = rise(fraction, rule, levels, is_odd(low))
        tally(moments, up, (low + 1.0) * grid - at, (low + 1.0) * grid - x)
        tally(moments, 1.0 - up, low * grid - at, low * grid - x)
    in_units(moments, ulp, products.size)
    return moments


@jit
def _coarse_ends(products: Floats, ulp: float, rule: int, levels: int, ends: Floats) -> None:
    """Corrections (2 ends, points, moments) of a coarse lattice."""
    edge = 2.0**34
    usual = inside(products, ulp, rule, levels)
    reach = math.ceil(np.abs(products).max() / ulp) + 1
    points = min(reach, POINTS)
    for i in range(points):
        weight = reach / points
        place = i if reach <= POINTS else int((i + (0.618034 * i) % 1.0) * weight)
        above = _at_point(products, ulp, rule, levels, edge + place, edge)
        below = _at_point(products, ulp, rule, levels, edge - place - 1, edge)
        ends[LOWER, i] = weight * (above - usual)
        ends[UPPER, i] = weight * (below - usual)


@jit
def _fine_ends(products: Floats, ulp: float, rule: int, drift: float, ends: Floats) -> float:
    """Corrections of a fine lattice, all at the point next to the end; returns φ."""
    variance, flips, whole, total = 0.0, 0, 0.0, 1e-300
    up, ups = 1e-300, 0
    for p in products:
        variance += (p - drift) ** 2 / products.size
        flips += is_odd(np.rint(p / ulp)) == 1.0
        total += abs(p)
        up += max(p, 0.0)
        ups += p > 0.0
        if 0.5 * p / ulp == math.floor(0.5 * p / ulp):
            whole += abs(p)
    odd = flips / products.size
    outward, diffusion, ahead = max(drift, 0.0), 0.5 * variance, _OVERSHOOT * math.sqrt(variance)
    decay = (outward + math.sqrt(outward**2 + 8.0 * odd * diffusion)) / (2.0 * diffusion)
    flux = 0.5 * (outward * ahead + diffusion) * decay / (1.0 + ahead * decay) if odd else 0.0
    flux *= _FLUX_SHARE * whole / total
    ends[UPPER, 0, SQUARE] = ends[UPPER, 0, NOISE] = flux * ulp
    if rule in (TOWARD_ZERO, DOWN):
        ends[UPPER, 0, ERROR] = -flux
    elif rule in (UP, AWAY):
        ends[UPPER, 0, ERROR] = flux
    elif rule == EVEN:
        ends[UPPER, 0, ERROR] = -flux * ulp * ups / up
    if rule in (EVEN, AWAY):
        ends[LOWER, 0, ERROR] = -_EDGE_SHIFT * ulp * (1.0 - whole / total)
    return odd


@jit
def _one_side(
    products: Floats, least: int, rule: int, levels: int, interior: Floats, edges: Floats,
    odd: Floats,
) -> None:  # fmt: skip
    """Fill the tables of positive sums."""
    deviation, mean = products.std(), products.mean()
    few = products[:: max(1, products.size // 512)].copy()
    for j in range(interior.shape[0]):
        ulp = 2.0 ** (least + j)
        interior[j] = inside(products, ulp, rule, levels)
        if ulp <= COARSE * deviation:
            odd[j] = _fine_ends(products, ulp, rule, mean, edges[j])
        elif ulp < FROZEN * deviation:
            _coarse_ends(few, ulp, rule, levels, edges[j])


def increments(
    products: Floats, rule: Rule, *, symmetric: bool, below: int = _BELOW, above: int = _ABOVE
) -> Increments:
    """Moments for sums of ``products``, a sample of equal weights.

    ``symmetric``: −p is as likely as p, and the sample holds both. Ulps go from 2^−below to
    2^above times the products' deviation.
    """
    deviation, mean = float(products.std()), float(products.mean())
    least, count = math.floor(math.log2(deviation)) - below, below + above
    interior = np.zeros((count, 2, 4))
    edges = np.zeros((count, 2, 2, POINTS, 4))
    odd = np.zeros(count)
    mirrored = symmetric and rule.symmetric
    for side, sign in enumerate((1.0, -1.0)):
        if side and mirrored:
            interior[:, 1], edges[:, 1] = interior[:, 0], edges[:, 0]
        else:
            turned = rule.turned if side else rule
            tables: tuple[Any, ...] = (interior[:, side], edges[:, side], odd)
            _one_side(sign * products, least, turned.code, turned.levels, *tables)
    for table in (interior, edges):
        table[:, 1, ..., ERROR] *= -1.0
    return Increments(
        least, 0.0 if mirrored else mean, deviation, mirrored, rule.nearest, interior, edges, odd
    )
