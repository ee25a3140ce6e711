"""Bits of the GPU's kernel against the CPU's, and its speed against the floor of an H100.

    python -m benchmarks.gpu

The floor counts a GPU's lane operations per product: 29e12 a second on an H100 (132
multiprocessors of 128 lanes at 1.74 GHz). The kernel's time is without, the product's with the look
at the operands that chooses the step.
"""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.formats import Accumulator, Rounding, float_format
from analysis.quantization import quantize
from benchmarks.timing import alternate, console, table
from models.emulated import gpu

DEVICE = "cuda"
LANE_OPERATIONS = 29e12
OPERANDS, FORM = float_format(5, 2), float_format(6, 9)
SHAPES = ((4096, 4096, 4096), (256, 1024, 256))
DRAWS = Stream(7)
STOCHASTIC = Accumulator(FORM, Rounding.STOCHASTIC, random_bits=8)
#: accumulators and the operations that a product takes
CASES = {
    "nearest": (Accumulator(FORM), 4),
    "nearest, chunk 64": (Accumulator(FORM, chunk=64), 4),
    "toward zero": (Accumulator(FORM, Rounding.TOWARD_ZERO), 2),
    "stochastic, 8 bits": (STOCHASTIC, 10),
}


def operands(rows: int, length: int, columns: int) -> list[Tensor]:
    """Normal variates, (rows, length) and (length, columns), on the GPU."""
    rng = np.random.default_rng(0)
    drawn = (
        rng.standard_normal(shape, np.float32) for shape in ((rows, length), (length, columns))
    )
    return [torch.from_numpy(quantize(x, OPERANDS)).to(DEVICE) for x in drawn]


def accumulators() -> Iterator[Accumulator]:
    """Every rounding, with and without chunks, in formats that take different steps."""
    formats = (FORM, float_format(5, 3), float_format(8, 23), float_format(8, 30))
    for form, rounding, chunk in product(formats, Rounding, (None, 1, 64)):
        bits = 8 if rounding is Rounding.STOCHASTIC and form.mantissa_bits < 23 else None
        yield Accumulator(form, rounding, chunk, random_bits=bits)


def agreement() -> None:
    """Compare bits, in a shape that divides no tile."""
    a, b = operands(133, 301, 147)
    agree = compared = 0
    for accumulator in accumulators():
        computed = gpu.product(a, b, accumulator, DRAWS)
        if computed is None:  # the CPU's in any case
            continue
        expected = matmul(a.cpu().numpy(), b.cpu().numpy(), accumulator, rng=DRAWS)
        same = computed.cpu().numpy().tobytes() == expected.tobytes()
        agree, compared = agree + same, compared + 1
        if not same:
            console.print(f"differs: {accumulator}")
    console.print(f"{agree} of {compared} products have the CPU's bits")


def rates(shape: tuple[int, int, int], accumulator: Accumulator) -> list[float]:
    """Products per second of the kernel, and with the choice of its step."""
    a, b = operands(*shape)
    steps = gpu.plan(a, b, accumulator, DRAWS)
    assert steps is not None
    out, right = a.new_empty((1, shape[0], shape[2])), gpu.right_of(b, ())

    def kernel() -> None:
        gpu.launch(a[None], right, out, steps, accumulator, DRAWS)
        torch.cuda.synchronize()

    def whole() -> None:
        gpu.product(a, b, accumulator, DRAWS)
        torch.cuda.synchronize()

    return [math.prod(shape) / taken for taken in alternate(kernel, whole)]


def speed() -> None:
    shown = table("product", "kernel: GMAC/s", "% of the floor", "with its choice: GMAC/s")
    for shape, (name, (accumulator, operations)) in product(SHAPES, CASES.items()):
        kernel, whole = rates(shape, accumulator)
        shown.add_row(
            f"{'×'.join(map(str, shape))}, {name}",
            f"{kernel / 1e9:,.0f}",
            f"{100 * kernel * operations / LANE_OPERATIONS:.0f}",
            f"{whole / 1e9:,.0f}",
        )
    console.print(shown)


if __name__ == "__main__":
    if torch.cuda.is_available():
        console.print(f"Accumulating GEMM on {torch.cuda.get_device_name()}, FP8 operands")
        agreement()
        speed()
    else:
        console.print("There is no GPU here: the kernel is not measured.")
