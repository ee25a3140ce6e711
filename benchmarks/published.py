"""Named machines and published observations, emulated.

    python -m benchmarks.published

DeepSeek-V3's error of long FP8 sums on Hopper, the stagnation of Wang et al. (2018), and chunks
near √n, as tables; and for every accumulator of the catalogue the NMSE of sums of n products of its
own operands: predicted, simulated, beside what rounding those operands has already cost
(``out/published.csv``).
"""

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt

from analysis.catalog import ACCUMULATORS, named_format
from analysis.distributions import Blocks, Operand, Products, Shape
from analysis.emulation import matmul
from analysis.formats import Accumulator, float_format
from analysis.noise import predict
from analysis.operand_noise import operand_noise
from analysis.quantization import quantize
from analysis.simulation import simulate_each
from analysis.sum_statistics import SumStatistics
from benchmarks.timing import console, table
from dse.products import default_products, parse_products

Floats = npt.NDArray[np.float64]

LENGTHS = (256, 1024, 4096, 16384, 65536)
CSV = Path("out/published.csv")
HOPPER = {"without": "hopper_fp8_e4m3", "every 128": "hopper_fp8_e4m3_promoted"}
#: the sums of Wang et al. (2018), without their chunks
WANG = Accumulator(float_format(6, 9))
TERMS = Products(Operand(Shape.GAUSSIAN))


@dataclass(frozen=True, slots=True)
class ProductError:
    """Errors of a matrix product against the exact one, in four readings of "relative error".

    That of elements, |error|/|exact|, has no bound where sums of both signs come close to zero.
    """

    median_relative: float  #: the median of |error|/|exact|
    largest_relative: float  #: the largest |error|/|exact|
    largest_by_rms: float  #: the largest |error| over the root mean square of exact elements
    largest_by_largest: float  #: the largest |error| over the largest exact element


def product_error(a: Floats, b: Floats, accumulator: str) -> ProductError:
    """Of ``a`` times ``b``, both rounded to FP8 E4M3 first."""
    e4m3 = named_format("fp8_e4m3")
    a, b = quantize(a, e4m3), quantize(b, e4m3)
    exact = a @ b
    error = np.abs(matmul(a, b, ACCUMULATORS[accumulator]) - exact)
    there = exact != 0.0
    relative = error[there] / np.abs(exact[there])
    largest = float(error.max())
    return ProductError(
        float(np.median(relative)),
        float(relative.max()),
        largest / math.sqrt(np.mean(exact**2)),
        largest / float(np.abs(exact).max()),
    )


class Entries(StrEnum):
    """What the two matrices of DeepSeek-V3 may have held."""

    GAUSSIAN = "gaussian"
    RECTIFIED = "rectified"  #: max(0, z): behind a ReLU
    UNIFORM = "uniform"  #: between 0 and 1

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        match self:
            case Entries.GAUSSIAN:
                return rng.standard_normal(shape)
            case Entries.RECTIFIED:
                return np.maximum(rng.standard_normal(shape), 0.0)
            case Entries.UNIFORM:
                return rng.random(shape)
            case _:
                assert_never(self)


def two_matrices(entries: Entries, size: int, length: int = 4096) -> tuple[Floats, Floats]:
    """Random ones, (size, length) and (length, size)."""
    rng = np.random.default_rng(1)
    return entries.draw(rng, (size, length)), entries.draw(rng, (length, size))


def uniform_sums(n: int, chunk: int | None, samples: int = 64) -> tuple[Floats, Floats]:
    """Computed and exact sums of uniform terms, mean 1 and deviation 1, in (1,6,9) sums.

    Wang et al. (NeurIPS 2018, arXiv 1812.08011), figure 3.
    """
    root = math.sqrt(3.0)
    terms = np.random.default_rng(0).uniform(1.0 - root, 1.0 + root, (samples, n))
    terms = np.rint(terms * 2.0**20) * 2.0**-20
    computed = matmul(terms, np.ones((n, 1)), Accumulator(WANG.format, chunk=chunk))
    return computed[:, 0].astype(np.float64), terms.sum(axis=1)


@dataclass(frozen=True, slots=True)
class ChunkError:
    """NMSE of sums of n Gaussian terms, (1,6,9), in chunks."""

    chunk: int
    simulated: float
    predicted: float


def chunk_errors(n: int, samples: int = 4096) -> list[ChunkError]:
    """For chunks of √n/8 to 8 √n; ``n`` is a power of four."""
    chunks = [math.isqrt(n) * 2**i // 8 for i in range(7)]
    sums = [Accumulator(WANG.format, chunk=chunk) for chunk in chunks]
    found = simulate_each(sums, TERMS, n, samples=samples, seed=1, threads=1)
    return [
        ChunkError(chunk, truth.nmse, predict(one, TERMS, n).nmse)
        for chunk, one, truth in zip(chunks, sums, found, strict=True)
    ]


def own_products(accumulator: str) -> Products:
    """Products of Gaussians in the format of its operands; FP8 (1,5,2) where it takes any."""
    return parse_products(default_products(accumulator, None), 0.0, 1.0).products


@dataclass(frozen=True, slots=True)
class Row:
    """A named accumulator's sums of n products."""

    accumulator: str
    n: int
    predicted_nmse: float | None  #: None: not predicted, as integers and blocks
    nmse: float
    nmse_error: float  #: the standard error of the simulated NMSE
    operand_nmse: float | None  #: what rounding the operands has already cost; None: in blocks
    parity: float | None  #: nmse over operand_nmse


def _row(name: str, products: Products, n: int, truth: SumStatistics) -> Row:
    blocks = isinstance(products.a.format, Blocks)
    operands = None if blocks else operand_noise(products, n)
    try:
        predicted = predict(ACCUMULATORS[name], products, n).nmse
    except ValueError:
        predicted = None
    parity = None if operands is None else truth.nmse / operands
    return Row(name, n, predicted, truth.nmse, truth.nmse_error, operands, parity)


def rows(n: int) -> Iterator[Row]:
    """Of every named accumulator; those of the same operands are simulated together, once each."""
    samples = 4096 if n <= 4096 else 1024
    by_products: dict[Products, list[str]] = {}
    for name in ACCUMULATORS:
        by_products.setdefault(own_products(name), []).append(name)
    for products, names in by_products.items():
        distinct = list(dict.fromkeys(ACCUMULATORS[name] for name in names))
        found = simulate_each(distinct, products, n, samples=samples, seed=1)
        truth = dict(zip(distinct, found, strict=True))
        yield from (_row(name, products, n, truth[ACCUMULATORS[name]]) for name in names)


def write(found: list[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in found)


def deepseek() -> None:
    """DeepSeek-V3 (arXiv 2412.19437), section 3.3.2: "nearly 2%", of which relative error it does
    not say."""
    shown = table(
        "matrices, promotion", "median relative", "largest", "largest/rms", "largest/largest"
    )
    sizes = [(Entries.GAUSSIAN, 1024), *((entries, 256) for entries in Entries)]
    for (entries, size), (promotion, name) in itertools.product(sizes, HOPPER.items()):
        found = product_error(*two_matrices(entries, size), name)
        figures = (f"{100 * figure:.3g} %" for figure in asdict(found).values())
        shown.add_row(f"{entries} {size}×4096×{size}, {promotion}", *figures)
    console.print(
        "Relative errors of Hopper's FP8 products, K = 4096 (published: nearly 2 %)", shown
    )


def wang() -> None:
    shown = table("chunk", *(f"n = {n:,}" for n in (4096, 16384, 65536)))
    for chunk in (None, 8, 32, 64, 128, 256):
        errors = []
        for n in (4096, 16384, 65536):
            computed, exact = uniform_sums(n, chunk)
            errors.append(f"{float(np.mean(np.abs(computed / exact - 1.0))):.2g}")
        shown.add_row("plain" if chunk is None else str(chunk), *errors)
    console.print(
        "Mean relative error of (1,6,9) sums of uniform terms, mean 1, deviation 1", shown
    )


def chunks() -> None:
    shown = table("chunk", "simulated", "predicted")
    for n in (1024, 4096, 16384):
        for one in chunk_errors(n):
            shown.add_row(f"n = {n:,}: {one.chunk}", f"{one.simulated:.3g}", f"{one.predicted:.3g}")
    console.print("NMSE of (1,6,9) sums of Gaussian terms", shown)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2e}"


def main() -> None:
    deepseek()
    wang()
    chunks()
    found = [row for n in LENGTHS for row in rows(n)]
    write(found, CSV)
    shown = table("accumulator, n = 4,096", "predicted", "simulated", "operands", "parity")
    for row in found:
        if row.n == 4096:
            figures = (row.predicted_nmse, row.nmse, row.operand_nmse, row.parity)
            shown.add_row(row.accumulator, *map(_figure, figures))
    console.print("NMSE of sums of products of their own operands", shown, f"Written: {CSV}")


if __name__ == "__main__":
    main()
