"""Rounding of arrays to formats, against a copy in the same run.

    python -m benchmarks.quantization

64 MiB of float32 into an array that is there already, unless said otherwise. "× copy" is the
bandwidth, of what is read and written, over that of ``np.copyto`` on as many threads: medians of
runs that alternate.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from analysis.catalog import FORMATS
from analysis.formats import FixedFormat, FloatFormat, Rounding
from analysis.quantization import quantize
from benchmarks.timing import alternate, console, table

Array = npt.NDArray[Any]
Format = FloatFormat | FixedFormat

ELEMENTS = 1 << 24
CACHED = 1 << 16  #: elements, 256 KiB of float32: a second-level cache
THREADS = (1, 2)
NEAREST, STOCHASTIC = Rounding.NEAREST_EVEN, Rounding.STOCHASTIC


def copy(x: Array, out: Array, threads: int) -> None:
    """``np.copyto``, shared out as the rounding is."""
    if threads == 1:
        np.copyto(out, x)
        return
    edges = pairwise([x.size * cut // threads for cut in range(threads + 1)])
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda edge: np.copyto(out[slice(*edge)], x[slice(*edge)]), edges))


def rates(x: Array, form: Format, threads: int, **options: Any) -> tuple[str, str]:
    """(G elements per second, × copy) of one rounding."""
    target, out = np.empty_like(x), quantize(x, form)
    ours, copies = alternate(
        lambda: quantize(x, form, rng=1, threads=threads, out=out, **options),
        lambda: copy(x, target, threads),
    )
    moved = (x.nbytes + out.nbytes) / (2 * x.nbytes)
    return f"{x.size / ours / 1e9:.2f}", f"{moved * copies / ours:.2f}"


def formats(x: Array) -> None:
    console.print("To nearest even")
    shown = table("format", "G/s", "× copy", "2 threads: G/s", "× copy")
    for name, form in FORMATS.items():
        shown.add_row(name, *(rate for threads in THREADS for rate in rates(x, form, threads)))
    console.print(shown)


def other_ways(x: Array) -> None:
    console.print("Other roundings and types, one thread")
    shown = table("to e5m2", "G/s", "× copy")
    for rounding in Rounding:
        if rounding not in (NEAREST, STOCHASTIC):
            shown.add_row(rounding, *rates(x, FORMATS["e5m2"], 1, rounding=rounding))
    for bits in (8, None):
        options = {"rounding": STOCHASTIC, "random_bits": bits}
        title = f"stochastic, {bits or 'ideal'}"
        shown.add_row(title, *rates(x, FORMATS["e5m2"], 1, **options))
    double = x[: ELEMENTS // 2].astype(np.float64)
    shown.add_row("nearest even, of float64", *rates(double, FORMATS["e5m2"], 1))
    shown.add_row("nearest even, 256 KiB", *rates(x[:CACHED], FORMATS["e5m2"], 1))
    console.print(shown)


def new_arrays(x: Array) -> None:
    console.print("A new array for every result, one thread")
    shown = table("way", "G/s", "× x.copy()")
    names = {"e5m2": ml_dtypes.float8_e5m2, "bfloat16": ml_dtypes.bfloat16}
    for name, dtype in names.items():
        ours, theirs, copies = alternate(
            lambda form=FORMATS[name]: quantize(x, form, threads=1),  # type: ignore[misc]
            lambda dtype=dtype: x.astype(dtype).astype(np.float32),  # type: ignore[misc]
            x.copy,
        )
        for title, taken in ((name, ours), (f"{name} by ml_dtypes, there and back", theirs)):
            shown.add_row(title, f"{x.size / taken / 1e9:.2f}", f"{copies / taken:.2f}")
    console.print(shown)


if __name__ == "__main__":
    sample = np.random.default_rng(0).standard_normal(ELEMENTS, dtype=np.float32)
    formats(sample)
    other_ways(sample)
    new_arrays(sample)
