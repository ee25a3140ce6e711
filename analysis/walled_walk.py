"""A sum as a Brownian motion that is pulled toward or from zero, between two walls or without.

Per unit of time the sum s drifts by μ plus a pull c, which depends on its sign, and has the
variance b; A gathers what the pull adds and the pushes R of walls that keep s in range:
A = ∫c dt + R. Let f(s, t) be the density of s, g = E[A; s] and h = E[A²; s]. In jumps between
neighbouring cells,

    ∂f/∂t = L f,    ∂g/∂t = L g + B f,    ∂h/∂t = L h + 2 B g + B₂ f,

B and B₂ being the mean and mean square of what A gains: c, and −Δ at each jump that the upper wall
stops, +Δ at the lower. Time advances by an L-stable scheme of order two with γ = 1 − 1/√2
(Alexander, SIAM J. Numer. Anal. 14(6), 1977).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_banded
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]

#: deviations of the sum that matter, and by which a drift must pass zero to leave it
_REACH = 8.0
#: least and most cells
_CELLS, _MOST_CELLS = 256, 4096
#: steps of time: of the time so far, and in deviations of the sum that it drifts
_STEP, _DRIFT_STEP = 0.1, 0.3
_GAMMA = 1.0 - 1.0 / math.sqrt(2.0)


@dataclass(frozen=True, slots=True)
class Walk:
    """What moves the sum in a unit of time, one product."""

    mean: float  #: μ
    above: float  #: c where s > 0
    below: float  #: c where s < 0
    diffusion: float  #: b

    @property
    def deviation(self) -> float:
        """√b."""
        return math.sqrt(self.diffusion)

    def extent(self, n: float) -> tuple[float, float]:
        """Between what the sum stays, all but certainly."""
        drifts = (0.0, n * (self.mean + self.above), n * (self.mean + self.below))
        reach = _REACH * self.deviation * math.sqrt(n)
        return min(drifts) - reach, max(drifts) + reach


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the sum s and of A, what drift and walls add."""

    mean: float
    variance: float
    added: float  #: E[A]
    added_variance: float
    covariance: float  #: of s and A


def _cells(walk: Walk, n: float, walls: tuple[float, float]) -> tuple[Floats, float]:
    """Centres of equal cells between the walls, or as far as the sum reaches; and their width."""
    extent = walk.extent(n)
    low, high = max(walls[0], extent[0]), min(walls[1], extent[1])
    drift = max(abs(walk.mean + walk.above), abs(walk.mean + walk.below))
    finest = math.ceil((high - low) * drift / walk.diffusion)  # rates stay positive
    count = min(max(_CELLS, finest), _MOST_CELLS)
    width = (high - low) / count
    return np.asarray(low + width * (np.arange(count) + 0.5)), width


@dataclass(frozen=True, slots=True, eq=False)
class _Jumps:
    """Rates between neighbouring cells, and what A gains."""

    up: Floats
    down: Floats
    gain: Floats  #: B
    square: Floats  #: B₂


def _jumps(walk: Walk, cells: Floats, width: float) -> _Jumps:
    pull = np.where(cells > 0.0, walk.above, walk.below)
    drift = walk.mean + pull
    spread = np.maximum(walk.diffusion, np.abs(drift) * width)
    up, down = (spread + drift * width) / 2 / width**2, (spread - drift * width) / 2 / width**2
    gain, square = pull.copy(), np.zeros_like(cells)
    gain[-1] -= width * up[-1]
    gain[0] += width * down[0]
    square[-1], square[0] = width**2 * up[-1], width**2 * down[0]
    up[-1] = down[0] = 0.0
    return _Jumps(up, down, gain, square)


def _solved(jumps: _Jumps, step: float, fields: Floats) -> Floats:
    """(1 − step F)⁻¹ of f, g and h (3, cells), F being the right-hand sides."""
    bands = np.zeros((3, fields.shape[1]))
    bands[0, 1:] = -step * jumps.down[1:]
    bands[1] = 1.0 + step * (jumps.up + jumps.down)
    bands[2, :-1] = -step * jumps.up[:-1]
    f = solve_banded((1, 1), bands, fields[0])
    g = solve_banded((1, 1), bands, fields[1] + step * jumps.gain * f)
    pushed = 2.0 * jumps.gain * g + jumps.square * f
    return np.stack([f, g, solve_banded((1, 1), bands, fields[2] + step * pushed)])


def _advanced(jumps: _Jumps, step: float, fields: Floats) -> Floats:
    early = _solved(jumps, _GAMMA * step, fields)
    return _solved(jumps, _GAMMA * step, fields + (1.0 - _GAMMA) / _GAMMA * (early - fields))


def _moments(cells: Floats, fields: Floats) -> Moments:
    f, g, h = fields
    mean, added = float(cells @ f), float(g.sum())
    variance = float((cells - mean) ** 2 @ f)
    covariance = float(cells @ g) - mean * added
    return Moments(mean, variance, added, float(h.sum()) - added**2, covariance)


def _walked(walk: Walk, n: float, walls: tuple[float, float]) -> Moments:
    cells, width = _cells(walk, n, walls)
    jumps = _jumps(walk, cells, width)
    fields = np.zeros((3, cells.size))
    at = min(max(int(np.searchsorted(cells, 0.0)), 1), cells.size - 1)
    share = -float(cells[at - 1]) / width
    fields[0, at - 1 : at + 1] = 1.0 - share, share
    pace, time = walk.deviation / max(abs(walk.mean), 1e-300), 0.0
    while time < n:
        step = max(1.0, _STEP * time)
        step = min(step, _DRIFT_STEP * pace * math.sqrt(max(time, 1.0)), n - time)
        fields, time = _advanced(jumps, step, fields), time + step
    found = _moments(cells, fields)
    spread = share * (1.0 - share) * width**2  # of the start, which lay between two cells
    return Moments(
        found.mean, found.variance - spread, found.added, found.added_variance, found.covariance
    )


def free(walk: Walk, n: float) -> Moments:
    """After ``n`` products without walls.

    All is known once a drift has left zero, or if both sides pull alike.
    """
    if walk.above == walk.below:
        mean = n * (walk.mean + walk.above)
        return Moments(mean, n * walk.diffusion, n * walk.above, 0.0, 0.0)
    away = (_REACH * walk.deviation / walk.mean) ** 2 if walk.mean else math.inf
    found = _walked(walk, min(n, away), (-math.inf, math.inf))
    rest, pull = max(0.0, n - away), walk.above if walk.mean > 0.0 else walk.below
    return Moments(
        found.mean + rest * (walk.mean + pull),
        found.variance + rest * walk.diffusion,
        found.added + rest * pull,
        found.added_variance,
        found.covariance,
    )


def walled(walk: Walk, n: float, low: float, high: float) -> Moments:
    """After ``n`` products between two walls."""
    extent = walk.extent(n)
    if low < extent[0] and extent[1] < high:
        return free(walk, n)
    return _walked(walk, n, (low, high))


def wrapped(walk: Walk, n: float, low: float, high: float, whole: float) -> Moments:
    """After ``n`` products without walls, then brought between ``low`` and ``high``.

    The sum is normal, and k ``whole`` ranges are taken from it in the window number k.
    """
    end = free(walk, n)
    deviation = math.sqrt(end.variance)
    reach = (_REACH + 1.0) * deviation
    k = np.arange(
        min(0, math.floor((end.mean - reach - low) / whole)),
        max(0, math.ceil((end.mean + reach - high) / whole)) + 1,
    )
    ends = np.append(k, k[-1] + 1)
    edges = (np.where(ends > 0, high - whole, low) + whole * ends - end.mean) / deviation
    share = np.diff(ndtr(edges))
    offset = -deviation * np.diff(np.exp(-0.5 * edges**2)) / math.sqrt(2.0 * math.pi)
    lost = -whole * k
    mean = float(lost @ share)
    variance, joint = float((lost - mean) ** 2 @ share), float(lost @ offset)
    shared = end.covariance / end.variance * joint  # of the pull and what is lost
    return Moments(
        end.mean + mean,
        end.variance + variance + 2.0 * joint,
        end.added + mean,
        end.added_variance + variance + 2.0 * shared,
        end.covariance + joint + shared + variance,
    )
