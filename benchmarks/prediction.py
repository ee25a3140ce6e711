"""Time of one prediction, after warm-up.

python -m benchmarks.prediction
"""

from functools import partial

from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import Accumulator, Fused, Rounding, float_format
from analysis.noise import predict, predict_each
from benchmarks.timing import alternate, console, table

FP8 = gaussian_products(float_format(5, 2))
MEAN = Products(Operand(Shape.GAUSSIAN, mean=0.5))


def main() -> None:
    form = float_format(8, 8)
    jobs = {
        "nearest": (Accumulator(form), FP8),
        "stochastic": (Accumulator(form, Rounding.STOCHASTIC), FP8),
        "toward zero": (Accumulator(form, Rounding.TOWARD_ZERO), FP8),
        "toward −∞": (Accumulator(form, Rounding.DOWN), FP8),
        "nearest, chunks of 64": (Accumulator(form, chunk=64), FP8),
        "fused, 16 products": (Accumulator(form, order=Fused(16, 10)), FP8),
        "nearest, mean 0.5": (Accumulator(form), MEAN),
        "nearest, mean 0.5, chunks of 64": (Accumulator(form, chunk=64), MEAN),
    }
    lengths = (256, 4096, 65536)
    timed = [
        partial(predict, accumulator, products, n)
        for accumulator, products in jobs.values()
        for n in lengths
    ]
    widths = [Accumulator(float_format(8, bits)) for bits in range(4, 13)]
    *taken, table_s = alternate(*timed, partial(predict_each, widths, FP8, 4096), runs=25)
    console.print("One prediction, m_acc = 8")
    shown = table("accumulator", *(f"n = {n:,}" for n in lengths))
    for i, name in enumerate(jobs):
        shown.add_row(name, *(f"{taken[3 * i + j] * 1e3:.2f} ms" for j in range(3)))
    console.print(shown)
    console.print(f"Widths 4 to 12 of one case: {table_s * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
