"""Speed of the accumulating product, against the floor of the machine and against its rivals.

    python -m benchmarks.emulation

The floor counts SIMD operations per product on two vector ports, as most cores have: frequency ×
2 × lanes / operations. (A core with more ports can be faster than that.) The frequency is that of a
chain of dependent shifts and xors, measured beside the kernels. Everything is a median of runs that
alternate with each other.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import binding
from numba import njit

from analysis.emulation import matmul
from analysis.emulation.tile import machine_of
from analysis.formats import Accumulator, Fused, Product, Rounding, Tree, float_format
from analysis.quantization import quantize
from analysis.threads import available_threads
from benchmarks.peers import installed
from benchmarks.timing import alternate, console, table

Floats32 = npt.NDArray[np.float32]

OPERANDS = float_format(5, 2)
FORM = float_format(6, 9)
WIDE = Accumulator(float_format(8, 23))
CHUNK = 64
#: (M, K, N) of a plain product, and of a convolution of 128 by 128 channels, 3×3, on 8192 places
SHAPES = {
    "256×1024×256": (256, 1024, 256),
    "conv, forward": (128, 1152, 8192),
    "conv, weight gradient": (128, 8192, 1152),
}


class Case(NamedTuple):
    """An accumulator, and the SIMD operations that a product takes; None: no floor is claimed."""

    name: str
    accumulator: Accumulator
    operations: float | None = None
    double: bool = False  #: float64 lanes


STOCHASTIC = Accumulator(FORM, Rounding.STOCHASTIC, random_bits=8)
CASES = (
    Case("nearest", Accumulator(FORM), 4),
    Case("nearest, chunk 64", Accumulator(FORM, chunk=CHUNK), 4),
    Case("nearest, subnormal floor (e5m10)", Accumulator(float_format(5, 10)), 5),
    Case("nearest, floor, saturation (e4m9)", Accumulator(float_format(4, 9)), 7),
    Case("toward zero", Accumulator(FORM, Rounding.TOWARD_ZERO), 2),
    Case("toward zero, chunk 64", Accumulator(FORM, Rounding.TOWARD_ZERO, CHUNK), 2),
    Case("toward zero (e8m13), promoted every 128", Accumulator(
        float_format(8, 13), Rounding.TOWARD_ZERO, 128, WIDE), 2),
    Case("stochastic, 8 bits", STOCHASTIC, 10),
    Case("stochastic, 8 bits, chunk 64", Accumulator(
        FORM, Rounding.STOCHASTIC, CHUNK, random_bits=8), 10),
    Case("stochastic, ideal", Accumulator(FORM, Rounding.STOCHASTIC), 16, double=True),
    Case("nearest, products wider than the sum (m 4)", Accumulator(float_format(6, 4)), 4, True),
    Case("nearest, m 30", Accumulator(float_format(8, 30)), 4, double=True),
    Case("float32", WIDE, 1),
)  # fmt: skip
#: what the general kernels compute
GENERAL = (
    Case("fused, 32 terms, 13 bits kept", Accumulator(
        float_format(8, 13), Rounding.TOWARD_ZERO, order=Fused(32, 13))),
    Case("products rounded to e5m2", Accumulator(FORM, product=Product(OPERANDS))),
    Case("tree of 16, then sequential", Accumulator(FORM, chunk=16, order=Tree())),
)  # fmt: skip


@njit(cache=True)
def _chain(x: Any, turns: int) -> Any:
    for _ in range(turns):  # six dependent operations of one cycle each
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


def gigahertz() -> float:
    """The fastest of many short chains: the others shared the core."""
    turns, fastest = 100_000, float("inf")
    for _ in range(50):
        begun = time.perf_counter()
        _chain(np.uint64(88172645463325252), turns)
        fastest = min(fastest, time.perf_counter() - begun)
    return 6 * turns / fastest / 1e9


def lanes() -> int:
    """float32 lanes of a vector."""
    found = binding.get_host_cpu_features()
    features = ",".join(f"+{name}" for name, there in found.items() if there)
    return machine_of(features).vector_bits // 32


def operands(shape: tuple[int, int, int]) -> tuple[Floats32, Floats32]:
    rows, length, columns = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, length), dtype=np.float32)
    b = rng.standard_normal((length, columns), dtype=np.float32) / np.sqrt(np.float32(length))
    return quantize(a, OPERANDS), quantize(b, OPERANDS)


def numpy_loop(a: Floats32, b: Floats32) -> Floats32:
    """The same sums as people write them: one rank-1 update per product, rounded as a whole."""
    total = np.zeros((a.shape[0], b.shape[1]), dtype=np.float32)
    magic = np.float32(1.5 * 2.0 ** (23 - FORM.mantissa_bits))
    for k in range(a.shape[1]):
        total += np.multiply.outer(a[:, k], b[k])
        binade = (total.view(np.int32) & np.int32(0x7F800000)).view(np.float32)
        shift = np.maximum(binade, np.float32(2.0**FORM.emin)) * magic
        total = (total + shift) - shift
    return total


def torch_loop(a: Floats32, b: Floats32) -> Floats32:
    """The same in torch, in place."""
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    total = torch.zeros(a.shape[0], b.shape[1])
    binade = torch.empty_like(total)
    for k in range(a.shape[1]):
        total.addr_(left[:, k], right[k])
        torch.bitwise_and(total.view(torch.int32), 0x7F800000, out=binade.view(torch.int32))
        binade.clamp_(min=2.0**FORM.emin).mul_(1.5 * 2.0 ** (23 - FORM.mantissa_bits))
        total.add_(binade).sub_(binade)
    return total.numpy()


def ours(name: str, shape: tuple[int, int, int], cases: tuple[Case, ...]) -> None:
    a, b = operands(shape)
    macs = float(np.prod(shape))
    cores, wide, clock = available_threads(), lanes(), gigahertz()
    console.print(
        f"{name}: products of e5m2, sums of e6m9 unless said; {clock:.2f} GHz, {wide} lanes"
    )
    shown = table("accumulator", "GMAC/s, 1 thread", "of floor", f"GMAC/s, {cores} threads")
    for case in cases:
        one, many = alternate(*(
            lambda threads=threads, case=case: matmul(
                a, b, case.accumulator, rng=0, threads=threads)
            for threads in (1, cores)
        ))  # fmt: skip
        speed = macs / one / 1e9
        floor = ""
        if case.operations is not None:
            per_cycle = 2 * (wide // 2 if case.double else wide) / case.operations
            floor = f"{speed / (clock * per_cycle):.2f}"
        shown.add_row(case.name, f"{speed:.1f}", floor, f"{macs / many / 1e9:.1f}")
    console.print(shown)


def rivals() -> None:
    """Other ways to the same sums on the first shape, and plain float32 products."""
    shape = SHAPES["256×1024×256"]
    a, b = operands(shape)
    exact = matmul(a, b, Accumulator(FORM))
    macs = float(np.prod(shape))
    torch.set_num_threads(1)
    jobs: dict[str, Callable[[Floats32, Floats32], Any]] = {
        "partialsum": lambda a, b: matmul(a, b, Accumulator(FORM), threads=1),
        "NumPy loop": numpy_loop,
        "torch loop": torch_loop,
        "float32 product (torch), not rounded": lambda a, b: (
            torch.from_numpy(a) @ torch.from_numpy(b)
        ).numpy(),
    }
    shown = table("one thread, 256×1024×256", "GMAC/s", "same bits")
    times = alternate(*(lambda job=job: job(a, b) for job in jobs.values()))
    for (name, job), taken in zip(jobs.items(), times, strict=True):
        same = np.array_equal(job(a, b), exact)
        shown.add_row(name, f"{macs / taken / 1e9:.2f}", "yes" if same else "no")
    for peer in installed():
        small = tuple(x[: peer.rows] if i == 0 else x[:, : peer.rows] for i, x in enumerate((a, b)))
        begun = time.perf_counter()
        result = peer.product(*small)
        taken = time.perf_counter() - begun
        same = np.array_equal(result, exact[: peer.rows, : peer.rows])
        speed = peer.rows**2 * shape[1] / taken / 1e9
        shown.add_row(
            f"{peer.name} ({peer.rows}×1024×{peer.rows})", f"{speed:.3f}", "yes" if same else "no"
        )
    console.print(shown)


if __name__ == "__main__":
    for name, shape in SHAPES.items():
        ours(name, shape, CASES)
    ours("256×1024×256, general kernels", SHAPES["256×1024×256"], GENERAL)
    rivals()
