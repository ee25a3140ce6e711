"""Measure what the product promises to be fast, each against a rival or a floor in the same run.

    python -m benchmarks

Every figure is a median of runs that alternate with its rival's, on one thread, after a warm-up.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.emulation import matmul
from analysis.formats import Accumulator, Rounding, float_format
from analysis.retention import log_variance_lost, min_accumulator_bits
from analysis.rounding import quantize
from dse.seeds import seeds
from dse.settings import Settings
from dse.space import Space
from models.networks.loading import load_network
from models.requirements import least_bits, requirements

RUNS = 7
SHAPE = (256, 1024, 256)
OPERANDS = float_format(5, 2)
INNER = float_format(6, 9)

Floats32 = npt.NDArray[np.float32]
console = Console(width=110)


def alternate(*jobs: Callable[[], object]) -> list[float]:
    """Median seconds of each job, taken in turn after one warm-up."""
    for job in jobs:
        job()
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(RUNS):
        for job, taken in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in times]


def numpy_loop(a: Floats32, b: Floats32) -> Floats32:
    """The same sums as people write them: one rank-1 update per product, rounded as a whole."""
    total = np.zeros((a.shape[0], b.shape[1]), dtype=np.float32)
    magic = np.float32(1.5 * 2.0 ** (23 - INNER.mantissa_bits))
    for k in range(a.shape[1]):
        total += np.multiply.outer(a[:, k], b[k])
        binade = (total.view(np.int32) & np.int32(0x7F800000)).view(np.float32)
        shift = np.maximum(binade, np.float32(2.0**INNER.emin)) * magic
        total = (total + shift) - shift
    return total


def emulation() -> None:
    rng = np.random.default_rng(0)
    rows, length, columns = SHAPE
    a = quantize(rng.standard_normal((rows, length)), OPERANDS).astype(np.float32)
    b = quantize(rng.standard_normal((length, columns)), OPERANDS).astype(np.float32)
    plain = Accumulator(INNER)
    assert np.array_equal(matmul(a, b, plain), numpy_loop(a, b)), "the rivals must agree"
    ways = {
        "nearest, plain": plain,
        "nearest, chunk 64": Accumulator(INNER, chunk=64),
        "nearest, m_acc 4 (wide products)": Accumulator(float_format(6, 4)),
        "toward zero": Accumulator(INNER, Rounding.TOWARD_ZERO),
        "nearest, float32 accumulator": Accumulator(float_format(8, 23)),
    }
    console.print("Accumulating GEMM, 256×1024×256, FP8 (1,5,2) operands, (1,6,9) sums")
    table = Table(box=SIMPLE_HEAD)
    for title in ("accumulator", "GMAC/s", "× NumPy loop"):
        table.add_column(title, justify="left" if title == "accumulator" else "right")
    macs = rows * length * columns
    for name, accumulator in ways.items():
        ours, loop = alternate(
            lambda accumulator=accumulator: matmul(a, b, accumulator),  # type: ignore[misc]
            lambda: numpy_loop(a, b),
        )
        table.add_row(name, f"{macs / ours / 1e9:.2f}", f"{loop / ours:.1f}")
    table.add_row("NumPy loop, plain", f"{macs / loop / 1e9:.2f}", "1.0")
    console.print(table)


def theory() -> None:
    gemms = load_network("resnet50-imagenet").gemms()

    def whole_table() -> None:
        least_bits.cache_clear()
        requirements(gemms, 5, 64)

    short, long, table_s = alternate(
        lambda: [log_variance_lost(12, 5, 10**4) for _ in range(100)],
        lambda: [log_variance_lost(12, 5, 10**9) for _ in range(100)],
        whole_table,
    )
    lengths = np.linspace(1_000, 3_000_000, 10_000).astype(np.int64)
    batch_s = alternate(lambda: log_variance_lost(12, 5, lengths))[0]
    console.print("Variance retention")
    table = Table(box=SIMPLE_HEAD)
    table.add_column("evaluation")
    table.add_column("time", justify="right")
    table.add_row("one (m_acc, m_p, n), n = 10⁴", f"{short * 1e4:.1f} µs")
    table.add_row("one (m_acc, m_p, n), n = 10⁹", f"{long * 1e4:.1f} µs")
    table.add_row("each of 10,000 lengths up to 3·10⁶ in one call", f"{batch_s * 100:.1f} µs")
    table.add_row(f"requirement table of resnet50-imagenet, {len(gemms)} GEMMs", f"{table_s:.3f} s")
    table.add_row("least bits of n = 3,211,264", str(min_accumulator_bits(3_211_264, 5)))
    console.print(table)


def plans() -> None:
    console.print("Plan evaluations (area, energy, latency, both limits), one at a time")
    table = Table(box=SIMPLE_HEAD)
    for title in ("network", "GEMMs", "distinct", "plans/s"):
        table.add_column(title, justify="left" if title == "network" else "right")
    for name in ("resnet18-imagenet", "resnet50-imagenet"):
        space = Space(Settings(network=name), load_network(name))
        design = next(seeds(space))
        taken = alternate(lambda space=space, design=design: space.evaluate(design))[0]  # type: ignore[misc]
        counts = (len(space.gemms), len(space.groups))
        table.add_row(name, *map(str, counts), f"{1 / taken:,.0f}")
    console.print(table)


if __name__ == "__main__":
    emulation()
    theory()
    plans()
