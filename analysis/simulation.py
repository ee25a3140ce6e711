"""Monte-Carlo on the emulated accumulator: the truth that theory is held to.

Samples are the outputs of GEMMs, rows × columns, so that n products of all samples cost
n (rows + columns) random numbers instead of 2 n rows · columns. That is fair because outputs that
share neither row nor column are independent, and :mod:`analysis.sum_statistics` counts what those
that share one have in common: little where products have no mean, as then they are uncorrelated,
and their squares correlate by about 1/n; much in a column where the left operand has a mean.

GEMMs come in rounds of fixed size, until a stated precision or number of samples is reached: a run
of more rounds begins with the same rounds.

A power of two scales the products down where their sum would leave the accumulator's exponent
range, as a design with loss or tensor scaling would; what is measured is the mantissa, not
overflow. Integers and fixed point are not scaled: there the user's scale is part of the question.

Exact sums are those of an emulated accumulator of 48 mantissa bits, of which FP8 operands need no
more than 49 significant ones up to n of some thousands; its own NMSE is about n · 4^-53. So every
figure is the same bits for one seed, on any machine and for any number of threads.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from analysis.distributions import Blocks, Products
from analysis.draws import Stream
from analysis.formats import Accumulator, BlockFormat, FloatFormat, float_format
from analysis.operands import Seed, operand_tiles, round_shape
from analysis.running_sum import RunningSum
from analysis.sum_statistics import Moments, SumStatistics, moments
from analysis.threads import available_threads

__all__ = [
    "MAX_SAMPLES",
    "SumStatistics",
    "Sums",
    "check_operands",
    "random_sums",
    "simulate",
    "simulate_each",
]

Floats64 = npt.NDArray[np.float64]
#: called with the additions done and to be done, as far as is known
Progress = Callable[[int, int], None]

EXACT = Accumulator(float_format(10, 48))
#: samples after which a run gives up reaching its precision
MAX_SAMPLES = 1 << 20
#: standard deviations of a sum, and of a product, that are kept in range
_SUM_REACH, _PRODUCT_REACH = 8.0, 64.0


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums of a round, and the computed ones of each accumulator, (rows, columns) float64."""

    exact: Floats64
    computed: tuple[Floats64, ...]


def _scale(accumulator: Accumulator, products: Products, n: int) -> float:
    """The power of two, at most 1, that keeps sums and products below 2^emax of their formats."""
    root = math.sqrt(products.mean_square)
    sum_reach = n * abs(products.mean) + _SUM_REACH * math.sqrt(n) * root
    spare = [0]
    for form in (accumulator.format, accumulator.outer_accumulator.format):
        if isinstance(form, FloatFormat):
            spare.append(math.floor(form.emax - math.log2(sum_reach)))
    if accumulator.product is not None:
        most = accumulator.product.format.emax
        spare.append(math.floor(most - math.log2(_PRODUCT_REACH * root)))
    return 2.0 ** min(spare)


def check_operands(accumulator: Accumulator, products: Products, n: int) -> None:
    """Raise ValueError where n is below 1, or operands lack the blocks that are summed."""
    if n < 1:
        raise ValueError(f"simulation: n (accumulation length) must be at least 1, got {n}")
    form = accumulator.format
    if not isinstance(form, BlockFormat):
        return
    given = [None if one is None else one.format for one in (products.a, products.b)]
    bits = (form.a_fraction_bits, form.b_fraction_bits)
    if given != [Blocks(accumulator.chunk or 1, one) for one in bits]:
        names = " and ".join(str(getattr(one, "name", one)) for one in given)
        raise ValueError(
            f"simulation: {form.name} sums operands in blocks of {accumulator.chunk} with"
            f" {bits[0]} and {bits[1]} fraction bits, got operands in {names}"
        )


def random_sums(
    accumulators: Sequence[Accumulator],
    products: Products,
    n: int,
    *,
    shape: tuple[int, int],
    seed: Seed,
    number: int = 0,
    threads: int = 1,
    on_products: Callable[[int], None] | None = None,
) -> Sums:
    """Sums of ``n`` random products by each accumulator, from one pass over round ``number``.

    ``on_products`` is told the products of each sum so far.

    Raises:
        ValueError: n below 1, or operands without the blocks that an accumulator sums.
    """
    for accumulator in accumulators:
        check_operands(accumulator, products, n)
    stream = Stream(_word(seed), row=number * shape[0])
    exact = RunningSum(EXACT, shape, threads=threads)
    scales = [_scale(accumulator, products, n) for accumulator in accumulators]
    running = [RunningSum(accumulator, shape, stream, threads) for accumulator in accumulators]
    done = 0
    for a, b in operand_tiles(products, n, shape, seed, number, threads):
        exact.add(a, b)
        scaled = {scale: a * np.float32(scale) for scale in set(scales)}
        for scale, one in zip(scales, running, strict=True):
            one.add(scaled[scale], b)
        done += a.shape[1]
        if on_products is not None:
            on_products(done)
    results = (one.result() / scale for scale, one in zip(scales, running, strict=True))
    return Sums(exact.result(), tuple(results))


def _word(seed: Seed) -> int:
    """64 bits of a seed, for stochastic rounding."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def simulate_each(
    accumulators: Sequence[Accumulator],
    products: Products,
    n: int,
    *,
    precision: float | None = None,
    samples: int | None = None,
    seed: Seed,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[SumStatistics, ...]:
    """:func:`simulate` for several accumulators on the same operands.

    Each as it would be alone; but where a precision is asked for, all go on until all have it.
    """
    shape, rounds = _effort(products, precision, samples)
    threads = available_threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"simulation: threads must be at least 1, got {threads}")
    each = math.prod(shape) * len(accumulators)
    found: list[Moments] = []
    figures: tuple[SumStatistics, ...] = ()
    done, expected = 0, rounds if precision is None else 1
    while done < expected:
        tell = None if on_progress is None else partial(_tell, on_progress, each, n, done, expected)
        sums = random_sums(
            accumulators, products, n, shape=shape, seed=seed, number=done, threads=threads,
            on_products=tell,
        )  # fmt: skip
        found = _added(found, sums)
        figures = tuple(one.statistics() for one in found)
        done += 1
        if precision is not None:
            expected = min(rounds, math.ceil(done * max(_excess(figures, precision))))
    return figures


def _effort(
    products: Products, precision: float | None, samples: int | None
) -> tuple[tuple[int, int], int]:
    """The shape of a round, and the most rounds."""
    if precision is not None and not 0.0 < precision < math.inf:
        raise ValueError(f"simulation: precision must be positive, got {precision}")
    if samples is None:
        size = math.prod(round_shape(products, MAX_SAMPLES))
        samples = size if precision is None else MAX_SAMPLES
    shape = round_shape(products, samples)
    return shape, -(-samples // math.prod(shape))


def _tell(
    on_progress: Progress, each: int, n: int, done: int, expected: int, products: int
) -> None:
    on_progress((done * n + products) * each, expected * n * each)


def _added(found: Sequence[Moments], sums: Sums) -> list[Moments]:
    origin = found[0].origin if found else float(sums.exact.mean())
    more = [moments(sums.exact, computed, origin) for computed in sums.computed]
    return [one + other for one, other in zip(found, more, strict=True)] if found else more


def _excess(figures: Sequence[SumStatistics], precision: float) -> Iterator[float]:
    """How many times the samples so far each accumulator needs; 1 where they suffice."""
    for one in figures:
        relative = one.nmse_error / one.nmse if one.nmse > 0.0 else 0.0
        yield max(1.0, relative / precision, one.retention_error / precision) ** 2


def simulate(
    accumulator: Accumulator,
    products: Products,
    n: int,
    *,
    precision: float | None = None,
    samples: int | None = None,
    seed: Seed,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> SumStatistics:
    """What ``accumulator`` makes of sums of ``n`` random products.

    Stops at the first round after which the standard error of the NMSE is at most ``precision``
    times the NMSE and that of the retention at most ``precision``, or at ``samples`` (by default
    2^20 then), rounded up to whole rounds (:func:`analysis.operands.round_shape`). Without a
    precision it takes just ``samples``; without either, one round. ``on_progress(done, expected)``
    counts additions. Neither ``threads`` (None: all cores) nor the machine changes a bit.

    Raises:
        ValueError: n or samples below 1, a precision that is not positive, operands without the
            blocks that the accumulator sums, exact sums that are all equal, or computed ones that
            overflow to infinity.
    """
    (only,) = simulate_each(
        (accumulator,), products, n, precision=precision, samples=samples, seed=seed,
        threads=threads, on_progress=on_progress,
    )  # fmt: skip
    return only
