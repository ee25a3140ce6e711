"""Time of one prediction, after warm-up.

    python -m benchmarks.prediction

Each call is of another length. "First chunk": of a width, rounding and chunk that were not asked
for before.
"""

import itertools
from collections.abc import Callable

from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import Accumulator, Fused, Rounding, float_format
from analysis.noise import predict, predict_each
from analysis.sums_of_sums import sequential_sums
from benchmarks.timing import alternate, console, table

FP8 = gaussian_products(float_format(5, 2))
MEAN = Products(Operand(Shape.GAUSSIAN, mean=0.5))
LENGTHS = (256, 4096, 65536)
WIDTHS = [Accumulator(float_format(8, bits), chunk=64) for bits in range(4, 13)]


def _jobs() -> dict[str, tuple[Accumulator, Products]]:
    form = float_format(8, 8)
    plain = {one.value: (Accumulator(form, one), FP8) for one in Rounding}
    return plain | {
        "nearest, chunks of 64": (Accumulator(form, chunk=64), FP8),
        "toward zero, chunks of 64": (Accumulator(form, Rounding.TOWARD_ZERO, chunk=64), FP8),
        "fused, 16 products": (Accumulator(form, order=Fused(16, 10)), FP8),
        "nearest, mean 0.5": (Accumulator(form), MEAN),
        "nearest, mean 0.5, chunks of 64": (Accumulator(form, chunk=64), MEAN),
    }


def _again(accumulator: Accumulator, products: Products, n: int) -> Callable[[], object]:
    lengths = itertools.count(n, accumulator.chunk or 1)
    return lambda: predict(accumulator, products, next(lengths))


def _anew(call: Callable[[], object]) -> Callable[[], object]:
    def job() -> object:
        sequential_sums.cache_clear()
        return call()

    return job


def _at_once() -> object:
    return predict_each(WIDTHS, FP8, 4096)


def _one_by_one() -> object:
    return [predict(one, FP8, 4096) for one in WIDTHS]


def main() -> None:
    jobs = _jobs()
    timed = [_again(*job, n) for job in jobs.values() for n in LENGTHS]
    chunked = {name: job for name, job in jobs.items() if job[0].chunk}
    first = [_anew(_again(*job, 4096)) for job in chunked.values()]
    taken = alternate(*timed, runs=25)
    console.print("One prediction, m_acc = 8")
    shown = table("accumulator", *(f"n = {n:,}" for n in LENGTHS))
    for i, name in enumerate(jobs):
        shown.add_row(name, *(f"{taken[3 * i + j] * 1e3:.2f} ms" for j in range(3)))
    console.print(shown)
    for name, seconds in zip(chunked, alternate(*first), strict=True):
        console.print(f"First chunk: {name}: {seconds * 1e3:.1f} ms")
    each, single = alternate(_anew(_at_once), _anew(_one_by_one))
    console.print(
        f"First chunks of widths 4 to 12: {each * 1e3:.0f} ms, alone {single * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
