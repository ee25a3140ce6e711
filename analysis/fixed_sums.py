"""What fixed-point and block accumulators make of a sum: the moments of its error.

On a fixed grid the rounding of s + p, with s on the grid, errs by what p alone decides, but for the
side on which s lies: toward zero, a positive sum is cut down and a negative one up. Let the error r
have the mean c on the side of s, the variance v and the covariance w with p; the sum moves by
D = p + r, of variance b = σ² + v + 2w. As r − c = κ (D − E[D]) + noise, κ = (v + w)/b, the error of
n additions is

    e = (1 − κ) A + κ (s − nμ) + noise,    Var noise = n (v − (v + w)²/b),

where A is what c and saturation add (:mod:`analysis.walled_walk`). A walk passes a wall by 0.5826
deviations of a step (:mod:`analysis.sum_tails`), so walls stand that far outside the range.
Wrap-around leaves the final sum modulo 2^width (:mod:`analysis.integer_bounds`).

The walk is normal, in a range that it leaves as likely as the products' own sums leave theirs.

Valid where a product is small against the range: saturation of short sums with heavy tails is
underestimated (32 products of Gaussian 8-bit integers in 15 bits: an NMSE of 0.0013 where 0.0018 is
simulated). A wrapped sum is rounded by the sign that it would have unwrapped.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from analysis.distributions import Products
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    NumberFormat,
    Overflow,
    Rounding,
    Sequential,
    float_format,
)
from analysis.simulation import random_sums
from analysis.stratified import SEED, exact_moments, operand_pairs
from analysis.sum_tails import OVERSHOOT, Steps, normal_level, product_steps
from analysis.walled_walk import Moments, Walk, walled, wrapped

Floats = npt.NDArray[np.float64]

#: values that stand for a chunk's result
_RESULTS = 4096
#: block sums in a round, and rounds
_BLOCKS, _ROUNDS = (256, 256), 6
#: of the products' variance, what is none
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class SumOutcome:
    """Moments of a computed sum and of its error, computed − exact."""

    mean_error: float
    error_variance: float
    variance: float  #: of the computed sum


@dataclass(frozen=True, slots=True)
class _Rounded:
    """Errors of one addition, given the side on which the sum lies."""

    above: float  #: E[r] where s > 0
    below: float
    variance: float
    covariance: float  #: of r and p


def _upward(fractions: Floats, accumulator: Accumulator) -> tuple[Floats, Floats]:
    """Mean and variance of the error, in grid steps, of a positive sum with these fractions."""
    nothing = np.zeros_like(fractions)
    match accumulator.rounding:
        case Rounding.NEAREST_EVEN:  # a tie goes either way
            tie = fractions == 0.5
            return np.where(tie, 0.0, np.rint(fractions) - fractions), np.where(tie, 0.25, 0.0)
        case Rounding.NEAREST_AWAY:
            return np.floor(fractions + 0.5) - fractions, nothing
        case Rounding.UP:
            return np.ceil(fractions) - fractions, nothing
        case Rounding.TOWARD_ZERO | Rounding.DOWN:
            return -fractions, nothing
        case Rounding.STOCHASTIC:
            kept = fractions
            if accumulator.random_bits is not None:
                kept = np.floor(np.ldexp(fractions, accumulator.random_bits))
                kept = np.ldexp(kept, -accumulator.random_bits)
            return kept - fractions, kept * (1.0 - kept)
        case other:
            assert_never(other)


def _side(values: Floats, quantum: float, accumulator: Accumulator) -> tuple[float, float, float]:
    """E[r], Var r and Cov(r, p) where the sum is positive."""
    steps = values / quantum
    mean, variance = _upward(steps - np.floor(steps), accumulator)
    joint = float(np.mean((mean - mean.mean()) * (values - values.mean())))
    spread = float(variance.mean() + mean.var())
    return float(mean.mean()) * quantum, spread * quantum**2, joint * quantum


def _rounded(values: Floats, quantum: float, accumulator: Accumulator) -> _Rounded:
    """UP and DOWN know no side; all else treats a negative sum as the mirror image."""
    above = _side(values, quantum, accumulator)
    below = above
    if accumulator.rounding not in (Rounding.UP, Rounding.DOWN):
        mean, variance, joint = _side(-values, quantum, accumulator)
        below = (-mean, variance, joint)
    return _Rounded(above[0], below[0], 0.5 * (above[1] + below[1]), 0.5 * (above[2] + below[2]))


def _outcome(rounded: _Rounded, found: Moments, diffusion: float, n: float) -> SumOutcome:
    joint = rounded.variance + rounded.covariance
    kappa = joint / diffusion
    variance = n * (rounded.variance - joint * kappa) + (1.0 - kappa) ** 2 * found.added_variance
    variance += kappa**2 * found.variance + 2.0 * kappa * (1.0 - kappa) * found.covariance
    return SumOutcome(found.added, variance, found.variance)


def _limits(form: FixedFormat, n: float, steps: Steps | None) -> tuple[float, float]:
    """Ends of the range that a normal walk leaves as likely as the steps' own."""
    low, high = (float(end) for end in form.range)
    if steps is None:
        return low, high
    return -normal_level(steps.negated, round(n), -low), normal_level(steps, round(n), high)


def _moments(walk: Walk, form: FixedFormat, n: float, steps: Steps | None) -> Moments:
    """The walk within the format's range; ``steps`` tell how heavy its tails are."""
    low, high = _limits(form, n, steps)
    if form.overflow is Overflow.SATURATE:
        beyond = OVERSHOOT * walk.deviation
        return walled(walk, n, low - beyond, high + beyond)
    quantum, (first, last) = float(form.quantum), form.range
    return wrapped(
        walk, n, low - 0.5 * quantum, high + 0.5 * quantum, float(last - first) + quantum
    )


def _level(
    accumulator: Accumulator, values: Floats, n: float, steps: Steps | None = None
) -> SumOutcome:
    """A sum of ``n`` terms distributed as the sample ``values``, in fixed point."""
    form = accumulator.format
    assert isinstance(form, FixedFormat)
    mean, exact = float(values.mean()), float(values.var())
    rounded = _rounded(values, float(form.quantum), accumulator)
    diffusion = exact + rounded.variance + 2.0 * rounded.covariance
    if diffusion <= _NOTHING * exact:  # every term is rounded to the same
        return SumOutcome(n * rounded.above, n * exact, 0.0)
    walk = Walk(mean, rounded.above, rounded.below, diffusion)
    return _outcome(rounded, _moments(walk, form, n, steps), diffusion, n)


@lru_cache(maxsize=64)
def _block_sums(accumulator: Accumulator, products: Products, n: int) -> SumOutcome:
    """Sums of a block of ``n``, exact but for overflow: sampled, because they share their scale.

    The moments of the exact sums are known, and correct the sample's.
    """
    wide = Accumulator(
        accumulator.format, chunk=accumulator.chunk, outer=Accumulator(float_format(10, 48))
    )
    rounds = [
        random_sums((wide,), products, n, shape=_BLOCKS, seed=SEED, number=number)
        for number in range(_ROUNDS)
    ]
    exact = np.concatenate([one.exact for one in rounds])
    error = np.concatenate([one.computed[0] for one in rounds]) - exact
    mean, variance = exact_moments(products, n)
    ratio = variance / float(exact.var())
    slope = float(np.mean((exact - exact.mean()) * error)) / float(exact.var())
    mean_error = float(error.mean()) - slope * (float(exact.mean()) - mean)
    return SumOutcome(mean_error, ratio * float(error.var()), ratio * float((exact + error).var()))


def inner_outcome(accumulator: Accumulator, products: Products, n: int) -> SumOutcome:
    """What the inner accumulator makes of ``n`` random products, at most a chunk.

    Block sums are a fixed sample: what overflows less often than once in some 2^17 is not seen.

    Raises:
        ValueError: as :func:`fixed_outcome`, but for the outer accumulator; n above the chunk.
    """
    form, most = accumulator.format, accumulator.chunk or max(n, 1)
    if not 1 <= n <= most:
        raise ValueError(f"fixed sums: n of a chunk must be in 1..{most}, got {n}")
    if not isinstance(form, FixedFormat | BlockFormat):
        raise ValueError(f"fixed sums: a format must be of fixed point or blocks, got {form.name}")
    if accumulator.order != Sequential() or accumulator.product is not None:
        raise ValueError(
            f"fixed sums: products must be exact and added one by one, got {accumulator.order},"
            f" {accumulator.product}"
        )
    if isinstance(form, BlockFormat):
        return _block_sums(accumulator, products, n)
    a, b = operand_pairs(products)
    return _level(accumulator, a * b, n, product_steps(products))


def chunk_results(mean: float, deviation: float, form: NumberFormat) -> Floats:
    """A sample of chunk's results: normal, on their grid where that is the same for all chunks."""
    normal = ndtri((np.arange(_RESULTS) + 0.5) / _RESULTS)
    normal /= normal.std()
    if not isinstance(form, FixedFormat):
        return np.asarray(mean + deviation * normal)
    quantum = float(form.quantum)
    before = math.sqrt(max(0.0, deviation**2 - quantum**2 / 12.0))  # rounding adds the rest
    return np.asarray(np.rint((mean + before * normal) / quantum) * quantum)


def _composed(inner: SumOutcome, outer: SumOutcome, exact: float, chunks: float) -> SumOutcome:
    """Errors of chunks, each with the variance ``exact`` before rounding, and of their sum."""
    shared = 0.5 * (inner.variance + inner.error_variance - exact)  # Cov(result, its error)
    slope = shared / inner.variance if inner.variance > 0.0 else 0.0
    with_terms = 0.5 * (outer.variance - outer.error_variance - chunks * inner.variance)
    variance = chunks * inner.error_variance + outer.error_variance + 2.0 * slope * with_terms
    return SumOutcome(chunks * inner.mean_error + outer.mean_error, variance, outer.variance)


def fixed_outcome(accumulator: Accumulator, products: Products, n: int) -> SumOutcome:
    """What a fixed-point accumulator makes of sums of ``n`` random products.

    Chunks may be of fixed point or blocks, and are counted as n/chunk; for chunks of fixed point or
    blocks under a floating-point sum see :func:`inner_outcome`.

    >>> from analysis.distributions import gaussian_products
    >>> int4 = FixedFormat("int4", 4)
    >>> fixed_outcome(Accumulator(FixedFormat("int32", 32)), gaussian_products(int4), 64).mean_error
    0.0

    Raises:
        ValueError: n below 1, another kind of format, a tree, or products that are rounded.
    """
    chunk = accumulator.chunk
    if chunk is None:
        return inner_outcome(accumulator, products, n)
    outer = accumulator.outer_accumulator
    if not isinstance(outer.format, FixedFormat):
        raise ValueError(
            f"fixed sums: the outer sum must be of fixed point, got {outer.format.name}"
        )
    length = min(n, chunk)
    inner, chunks = inner_outcome(accumulator, products, length), n / length
    mean, exact = exact_moments(products, length)
    results = chunk_results(mean + inner.mean_error, math.sqrt(inner.variance), accumulator.format)
    return _composed(inner, _level(outer, results, chunks), exact, chunks)
