"""Monte-Carlo of 10^9 additions, and where its time goes.

    python -m benchmarks.simulation

FP8 (1,5,2) operands, n = 4096, (1,6,9) sums, unless said otherwise; two threads. Medians of runs
that alternate: the whole simulation, and each of its stages alone on the same work. Stages overlap
in the whole. Terms with a mean are timed on a tenth of it.
"""

from math import prod

from analysis.distributions import Operand, Products, Shape, Side, gaussian_products
from analysis.formats import Accumulator, Rounding, float_format
from analysis.operands import operand_tiles, round_shape
from analysis.running_sum import RunningSum
from analysis.simulation import EXACT, random_sums, simulate
from analysis.sum_statistics import moments
from benchmarks.timing import alternate, console, table

ADDITIONS = 10**9
N = 4096
THREADS = 2
SUMS = float_format(6, 9)
PAIRS = gaussian_products(float_format(5, 2))
CASES = {
    "nearest": (Accumulator(SUMS), PAIRS),
    "nearest, chunk 64": (Accumulator(SUMS, chunk=64), PAIRS),
    "toward zero": (Accumulator(SUMS, Rounding.TOWARD_ZERO), PAIRS),
    "stochastic": (Accumulator(SUMS, Rounding.STOCHASTIC, random_bits=8), PAIRS),
    "operands without a format": (Accumulator(SUMS), gaussian_products(None)),
    "terms (signs)": (Accumulator(SUMS), Products(Operand(Shape.GAUSSIAN))),
    "terms with a mean": (Accumulator(SUMS), Products(Operand(Shape.GAUSSIAN, mean=0.5))),
}


def stages(accumulator: Accumulator, products: Products, rounds: int) -> list[float]:
    """Seconds of the whole, of drawing, of exact and computed sums, and of statistics."""
    shape = round_shape(products, ADDITIONS)
    tiles = list(operand_tiles(products, N, shape, 1))
    sums = random_sums((accumulator,), products, N, shape=shape, seed=1, threads=THREADS)

    def draw() -> None:
        for number in range(rounds):
            for _ in operand_tiles(products, N, shape, 1, number, THREADS):
                pass

    def add(one: Accumulator) -> None:
        for _ in range(rounds):
            running = RunningSum(one, shape, threads=THREADS)
            for a, b in tiles:
                running.add(a, b)
            running.result()

    def judge() -> None:
        for _ in range(rounds):
            moments(sums.exact, sums.computed[0], 0.0)

    samples = rounds * prod(shape)
    return alternate(
        lambda: simulate(accumulator, products, N, samples=samples, seed=1, threads=THREADS),
        draw,
        lambda: add(EXACT),
        lambda: add(accumulator),
        judge,
        runs=3,
    )


def main() -> None:
    console.print(f"Monte-Carlo of 10⁹ additions, n = {N}, {THREADS} threads: seconds, and shares")
    shown = table("accumulator, products", "s", "G/s", "draws", "exact", "computed", "statistics")
    for name, (accumulator, products) in CASES.items():
        size = prod(round_shape(products, ADDITIONS)) * N
        fewer = 10 if products.side is Side.ONES else 1  # each sum draws its own terms
        rounds = -(-ADDITIONS // (fewer * size))
        whole, *parts = stages(accumulator, products, rounds)
        seconds = whole * ADDITIONS / (rounds * size)
        shares = (f"{part / sum(parts):.0%}" for part in parts)
        shown.add_row(name, f"{seconds:.2f}", f"{ADDITIONS / seconds / 1e9:.2f}", *shares)
    console.print(shown)


if __name__ == "__main__":
    main()
