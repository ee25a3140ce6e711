"""The grid on which the theory of a sum's error is held against simulation, and its cases.

Two parts: products on which the theory was made, and products and seeds that it had not seen when
it was finished. For every distribution of products, length and rounding all widths of the
accumulator are taken, plain and in one chunking that is drawn by lot.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from analysis.distributions import Operand, Products, Shape, sample_of
from analysis.formats import Accumulator, FloatFormat, Rounding, TopCodes, float_format
from analysis.noise import predict_each
from analysis.simulation import simulate_each
from analysis.sum_statistics import SumStatistics

LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
WIDTHS = tuple(range(4, 13))
ROUNDINGS = (
    Rounding.NEAREST_EVEN, Rounding.STOCHASTIC, Rounding.TOWARD_ZERO, Rounding.DOWN,
)  # fmt: skip
CHUNKS = (32, 64, 128)
WIDE = Accumulator(float_format(8, 23))
#: NMSE of the cases that count
LEAST, MOST = 1e-6, 0.5
BUDGETS = (1e-1, 1e-2, 1e-3, 1e-4)
FP8 = FloatFormat("fp8_e4m3", 4, 3, top=TopCodes.ONE_NAN)


def _pair(form: FloatFormat, mean: float = 0.0) -> Products:
    one = Operand(Shape.GAUSSIAN, form, mean)
    return Products(one, one)


def _terms(mantissa_bits: int, mean: float = 0.0, shape: Shape = Shape.GAUSSIAN) -> Products:
    return Products(Operand(shape, float_format(8, mantissa_bits), mean))


def _activations(mean_weight: float = 0.0) -> Products:
    """A measured sample times weights, both in FP8: a sparse, skewed layer behind a ReLU."""
    rng = np.random.default_rng(0)
    values = np.maximum(rng.standard_normal(8192) - 0.2, 0.0) * rng.standard_exponential(8192)
    return Products(
        Operand(sample_of(values, "activations"), FP8), Operand(Shape.GAUSSIAN, FP8, mean_weight)
    )


SEEN = {
    "gaussian": Products(Operand(Shape.GAUSSIAN)),
    "gaussian, mean 0.1": Products(Operand(Shape.GAUSSIAN, mean=0.1)),
    "gaussian, mean 0.5": Products(Operand(Shape.GAUSSIAN, mean=0.5)),
    "e5m1 * e5m1": _pair(float_format(5, 1)),
    "e5m2 * e5m2": _pair(float_format(5, 2)),
    "e5m3 * e5m3": _pair(float_format(5, 3)),
    "e5m5 * e5m5": _pair(float_format(5, 5)),
    "e5m2 * e5m2, means 0.5": _pair(float_format(5, 2), 0.5),
    "laplace": Products(Operand(Shape.LAPLACE)),
    "laplace in e5m7, mean 0.1": Products(Operand(Shape.LAPLACE, float_format(5, 7), 0.1)),
    "uniform": Products(Operand(Shape.UNIFORM)),
    "uniform, mean 0.5": Products(Operand(Shape.UNIFORM, mean=0.5)),
    "gaussian in e5m3": Products(Operand(Shape.GAUSSIAN, float_format(5, 3))),
    "gaussian in e5m5, mean 0.5": Products(Operand(Shape.GAUSSIAN, float_format(5, 5), 0.5)),
    "relu * gaussian, e4m3": Products(
        Operand(Shape.HALF_NORMAL, float_format(4, 3), density=0.5),
        Operand(Shape.GAUSSIAN, float_format(4, 3)),
    ),
}
UNSEEN = {
    "gaussian in e8m3": _terms(3),
    "gaussian in e8m3, mean 0.1": _terms(3, 0.1),
    "gaussian in e8m4, mean 0.5": _terms(4, 0.5),
    "gaussian in e8m5": _terms(5),
    "gaussian in e8m6, mean 0.1": _terms(6, 0.1),
    "gaussian in e8m8, mean 0.5": _terms(8, 0.5),
    "gaussian in e8m10": _terms(10),
    "gaussian in e8m11, mean 0.1": _terms(11, 0.1),
    "fp8_e4m3 * fp8_e4m3": _pair(FP8),
    "fp8_e4m3 * fp8_e4m3, means 0.4": _pair(FP8, 0.4),
    "activations * weights": _activations(),
    "activations * weights, mean 0.2": _activations(0.2),
    "activations * weights, mean 0.6": _activations(0.6),
    "laplace in e8m4, mean 0.5": _terms(4, 0.5, Shape.LAPLACE),
    "uniform in e8m7, mean 0.2": _terms(7, 0.2, Shape.UNIFORM),
}


class Part(Enum):
    """One part of the study: what is summed, and the seed of its draws."""

    SEEN = (7, SEEN)
    UNSEEN = (1947, UNSEEN)

    @property
    def seed(self) -> int:
        return self.value[0]

    @property
    def products(self) -> Mapping[str, Products]:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured and what was predicted."""

    part: str
    products: str
    n: int
    mantissa_bits: int
    rounding: str
    chunk: str
    nmse: float
    nmse_error: float
    retention: float
    retention_error: float
    bias: float
    bias_error: float
    predicted_nmse: float
    predicted_retention: float
    predicted_bias: float

    @property
    def counts(self) -> bool:
        return LEAST <= self.nmse <= MOST

    @property
    def chunked(self) -> bool:
        return self.chunk != "-"

    @property
    def label(self) -> str:
        chunk = f", chunks of {self.chunk}" if self.chunked else ""
        return f"{self.products}, n = {self.n:,}, m_acc = {self.mantissa_bits}{chunk}"

    @property
    def off(self) -> float:
        return self.predicted_nmse / self.nmse - 1.0

    @property
    def bias_fits(self) -> bool:
        return abs(self.predicted_bias - self.bias) <= max(0.05, 0.1 * abs(self.bias))

    @property
    def retention_fits(self) -> bool:
        return abs(self.predicted_retention - self.retention) <= 0.03

    @property
    def series(self) -> tuple[str, int, str, str]:
        """What it shares with the other widths."""
        return self.products, self.n, self.rounding, self.chunk


def accumulators(part: Part, name: str, n: int) -> Iterator[Accumulator]:
    """Sums of every width and rounding, plain and in the chunking that was drawn for them."""
    rng = random.Random(f"{part.seed} {name} {n}")
    for rounding in ROUNDINGS:
        chunk = rng.choice([one for one in CHUNKS if one <= n])
        outer = rng.choice((None, WIDE))
        for bits in WIDTHS:
            form = float_format(8, bits)
            yield Accumulator(form, rounding)
            yield Accumulator(form, rounding, chunk=chunk, outer=outer)


def measured(part: Part, name: str, n: int, samples: int) -> tuple[SumStatistics, ...]:
    """Of the longest sums half the samples."""
    return simulate_each(
        list(accumulators(part, name, n)), part.products[name], n,
        samples=samples // 2 if n == LENGTHS[-1] else samples, seed=part.seed, threads=1,
    )  # fmt: skip


def cases(part: Part, name: str, n: int, samples: int) -> Iterator[Case]:
    chosen = list(accumulators(part, name, n))
    predicted = predict_each(chosen, part.products[name], n)
    found = zip(chosen, measured(part, name, n, samples), predicted, strict=True)
    for one, truth, theory in found:
        outer = "wide" if one.outer is not None else "equal"
        chunk = "-" if one.chunk is None else f"{one.chunk} {outer}"
        assert isinstance(one.format, FloatFormat)
        yield Case(
            part.name.lower(), name, n, one.format.mantissa_bits, one.rounding.value, chunk,
            truth.nmse, truth.nmse_error, truth.retention, truth.retention_error, truth.bias,
            truth.bias_error, theory.nmse, theory.retention, theory.bias,
        )  # fmt: skip


def every_case(samples: int) -> Iterator[Case]:
    for part in Part:
        for n, name in itertools.product(LENGTHS, part.products):
            yield from cases(part, name, n, samples)


@dataclass(frozen=True, slots=True)
class Requirement:
    """The least width whose NMSE keeps a budget; one more than the widest where none does."""

    series: tuple[str, int, str, str]
    budget: float
    measured: int
    predicted: int


def _least(nmse: Mapping[int, float], budget: float) -> int:
    return min((bits for bits, one in nmse.items() if one <= budget), default=WIDTHS[-1] + 1)


def requirements(found: list[Case]) -> Iterator[Requirement]:
    rows: dict[tuple[str, int, str, str], list[Case]] = {}
    for one in found:
        rows.setdefault(one.series, []).append(one)
    for series, budget in itertools.product(rows, BUDGETS):
        truth = {one.mantissa_bits: one.nmse for one in rows[series]}
        theory = {one.mantissa_bits: one.predicted_nmse for one in rows[series]}
        yield Requirement(series, budget, _least(truth, budget), _least(theory, budget))
