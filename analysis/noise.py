"""What rounding does to a sum: retention, NMSE and bias of any accumulator.

:func:`predict` tells what :mod:`analysis.simulation` would measure, without random numbers of the
caller's. One rounded addition moves the sum by a random amount that depends on the sum's binade
alone (:mod:`analysis.increments`), which makes a long sum a random walk
(:mod:`analysis.random_walk`) until a mean of the products carries it away from zero
(:mod:`analysis.drifting_sum`). Short sums are added up term by term (:mod:`analysis.short_sums`,
:mod:`analysis.lattice_sum`), trees level by level (:mod:`analysis.tree_sums`); a fused step is one
increment (:mod:`analysis.fused_increments`), and chunks compose (:mod:`analysis.sums_of_sums`).

To first order, and in closed form: :mod:`analysis.noise_laws`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.distributions import Products
from analysis.fixed_sums import SumOutcome, fixed_outcome
from analysis.formats import Accumulator, FixedFormat, FloatFormat
from analysis.noisy_terms import Outcome
from analysis.stratified import exact_moments
from analysis.sums_of_sums import predicted


@dataclass(frozen=True, slots=True)
class SumError:
    """What an accumulator makes of a sum of n random products."""

    retention: float  #: Var(computed)/Var(exact)
    nmse: float  #: E[(computed − exact)²]/Var(exact)
    bias: float  #: E[computed − exact], in standard deviations of the exact sum


def _check(n: int) -> None:
    if n < 1:
        raise ValueError(f"predict: n (accumulation length) must be at least 1, got {n}")


def predict(accumulator: Accumulator, products: Products, n: int) -> SumError:
    """What ``accumulator`` makes of sums of ``n`` random products, in theory.

    The exponent range is taken to suffice, as it does in a simulation, which scales products into
    it. Where n is no multiple of the chunk, n/chunk chunks are counted. The first call for a
    distribution of products and a rounding tabulates its increments, for any width and length.

    Made for NMSE below ½; above, it tells that the sum is lost, not how far. In 3,882 simulated
    cases of :mod:`benchmarks.noise_study`, with products that were not used in making it, the NMSE
    is within 10 % in 97.2 %, within 25 % in all; of all its 5,760 series the least width that keeps
    an NMSE is the same in 99.0 %, else one bit off. The first chunk of a width, rounding and length
    is added up on a sample of paths, which takes milliseconds; more of the same are free.

    Raises:
        ValueError: n below 1; products that are all equal; sums in fixed point or in blocks whose
            products are rounded, that are added in a tree, or by an outer sum of another kind.
    """
    _check(n)
    return _sum_error(accumulator, products, n, (_width(accumulator),))


def predict_each(
    accumulators: Sequence[Accumulator], products: Products, n: int
) -> tuple[SumError, ...]:
    """:func:`predict` for several accumulators; chunks that differ in width are summed together."""
    _check(n)
    widths: dict[Accumulator, set[int]] = {}
    for one in accumulators:
        widths.setdefault(_kind(one), set()).add(_width(one))
    return tuple(
        _sum_error(one, products, n, tuple(sorted(widths[_kind(one)]))) for one in accumulators
    )


def _kind(accumulator: Accumulator) -> Accumulator:
    """All but the width, where that can vary."""
    floating = isinstance(accumulator.format, FloatFormat)
    return accumulator.with_mantissa(1) if floating else accumulator


def _width(accumulator: Accumulator) -> int:
    form = accumulator.format
    return form.mantissa_bits if isinstance(form, FloatFormat) else form.width_bits


def _sum_error(
    accumulator: Accumulator, products: Products, n: int, widths: tuple[int, ...]
) -> SumError:
    _, variance = exact_moments(products, n)
    outcome: Outcome | SumOutcome
    if isinstance(accumulator.outer_accumulator.format, FixedFormat):
        outcome = fixed_outcome(accumulator, products, n)
    else:
        outcome = predicted(accumulator, products, n, widths)
    noise, mean_error = outcome.error_variance / variance, outcome.mean_error / math.sqrt(variance)
    spread = math.sqrt(max(noise, 0.0))  # no sum's deviation differs by more than its error's
    least, most = max(0.0, 1.0 - spread) ** 2, (1.0 + spread) ** 2
    retention = min(max(outcome.variance / variance, least), most)
    return SumError(retention, noise + mean_error**2, mean_error)
