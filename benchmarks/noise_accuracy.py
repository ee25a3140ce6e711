"""Theory of the real accumulator against simulation, over widths, roundings, chunks and products.

    python -m benchmarks.noise_accuracy [SAMPLES]

Writes out/noise_accuracy.csv, a row for each case; prints the shares of cases within the limits,
for cases whose measured NMSE is in 1e-6..0.5, and the worst of them. SAMPLES (8192) are those of
each case; of the longest sums it takes half.
"""

import csv
import itertools
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.distributions import Operand, Products, Shape
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import predict
from analysis.simulation import simulate_each
from benchmarks.timing import console, table

LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
WIDTHS = range(4, 13)
ROUNDINGS = (
    Rounding.NEAREST_EVEN, Rounding.STOCHASTIC, Rounding.TOWARD_ZERO, Rounding.DOWN,
)  # fmt: skip
CHUNKS = (32, 64, 128)
WIDE = Accumulator(float_format(8, 23))
RANGE = (1e-6, 0.5)


def _pair(mantissa_bits: int, mean: float = 0.0) -> Products:
    one = Operand(Shape.GAUSSIAN, float_format(5, mantissa_bits), mean)
    return Products(one, one)


PRODUCTS = {
    "gaussian": Products(Operand(Shape.GAUSSIAN)),
    "gaussian, mean 0.1": Products(Operand(Shape.GAUSSIAN, mean=0.1)),
    "gaussian, mean 0.5": Products(Operand(Shape.GAUSSIAN, mean=0.5)),
    "e5m1 * e5m1": _pair(1),
    "e5m2 * e5m2": _pair(2),
    "e5m3 * e5m3": _pair(3),
    "e5m5 * e5m5": _pair(5),
    "e5m2 * e5m2, means 0.5": _pair(2, 0.5),
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


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured and what was predicted."""

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
        return RANGE[0] <= self.nmse <= RANGE[1]

    @property
    def off(self) -> float:
        return self.predicted_nmse / self.nmse - 1.0

    @property
    def bias_fits(self) -> bool:
        return abs(self.predicted_bias - self.bias) <= max(0.05, 0.1 * abs(self.bias))

    @property
    def retention_fits(self) -> bool:
        return abs(self.predicted_retention - self.retention) <= 0.03


def accumulators(name: str, n: int) -> Iterator[Accumulator]:
    """Plain sums of every width and rounding, and most of them in one of the chunkings."""
    rng = random.Random(f"{name} {n}")
    for bits, rounding in itertools.product(WIDTHS, ROUNDINGS):
        form = float_format(8, bits)
        yield Accumulator(form, rounding)
        chunk, outer = rng.choice(CHUNKS), rng.choice((None, WIDE))
        if chunk <= n and rng.random() < 0.7:
            yield Accumulator(form, rounding, chunk=chunk, outer=outer)


def _cases(name: str, n: int, samples: int) -> Iterator[Case]:
    chosen, products = list(accumulators(name, n)), PRODUCTS[name]
    samples = samples // 2 if n == LENGTHS[-1] else samples
    measured = simulate_each(chosen, products, n, samples=samples, seed=7, threads=1)
    for one, truth in zip(chosen, measured, strict=True):
        found = predict(one, products, n)
        outer = "wide" if one.outer is not None else "equal"
        chunk = "-" if one.chunk is None else f"{one.chunk} {outer}"
        bits = int(getattr(one.format, "mantissa_bits"))  # noqa: B009 - formats are of floats
        yield Case(
            name, n, bits, one.rounding.value, chunk,
            truth.nmse, truth.nmse_error, truth.retention, truth.retention_error, truth.bias,
            truth.bias_error, found.nmse, found.retention, found.bias,
        )  # fmt: skip


def shares(cases: list[Case]) -> None:
    shown = table("rounding", "chunks", "cases", "≤ 10 %", "≤ 25 %", "retention", "bias")
    groups = [(r.value, c) for r in ROUNDINGS for c in (False, True)]
    for rounding, chunked in [*groups, ("all", None)]:
        group = [
            one
            for one in cases
            if rounding in (one.rounding, "all") and chunked in ((one.chunk != "-"), None)
        ]
        parts = (
            [abs(one.off) <= 0.1 for one in group],
            [abs(one.off) <= 0.25 for one in group],
            [one.retention_fits for one in group],
            [one.bias_fits for one in group],
        )
        chunks = "" if chunked is None else "yes" if chunked else "no"
        share = [f"{sum(part) / len(group):.1%}" for part in parts]
        shown.add_row(rounding, chunks, str(len(group)), *share)
    console.print(shown)


def worst(cases: list[Case], count: int = 20) -> None:
    shown = table("products", "n", "m", "rounding", "chunk", "NMSE", "off", "bias off")
    for one in sorted(cases, key=lambda one: -abs(one.off))[:count]:
        shown.add_row(
            one.products, str(one.n), str(one.mantissa_bits), one.rounding, one.chunk,
            f"{one.nmse:.2e} ± {one.nmse_error / one.nmse:.1%}", f"{one.off:+.1%}",
            f"{one.predicted_bias - one.bias:+.3f}",
        )  # fmt: skip
    console.print(shown)


def main(samples: int) -> None:
    cases: list[Case] = []
    for n, name in itertools.product(LENGTHS, PRODUCTS):
        cases += _cases(name, n, samples)
        console.print(f"{name}, n = {n}: {len(cases)} cases so far")
    path = Path("out/noise_accuracy.csv")
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(cases[0])))
        writer.writeheader()
        writer.writerows(map(asdict, cases))
    counted = [one for one in cases if one.counts]
    shares(counted)
    worst(counted)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8192)
