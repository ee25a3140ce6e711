"""The operands of an emulated GEMM: rounded to their format fast, and drawn at random.

Samples come in rounds, each the outputs of one GEMM, and K is drawn in tiles of fixed length, each
from a random stream of its own: the k-th product of a sample depends on the seed, k, the round and
its shape, and on nothing else.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import assert_never

import numpy as np
import numpy.typing as npt

from analysis.distributions import Blocks, Operand, OperandFormat, Products, Side
from analysis.formats import FixedFormat, FloatFormat
from analysis.quantization import quantize

Floats32 = npt.NDArray[np.float32]
Seed = int | Sequence[int]

#: products per random stream; of terms times one, which are many, fewer. Part of what a seed means
TILE, TERM_TILE = 4096, 1024
#: most samples of a round, likewise
ROUND, TERM_ROUND = 128 * 128, 4096
_PANEL = 64  #: columns that the emulation computes at once


def round_shape(products: Products, samples: int) -> tuple[int, int]:
    """(rows, columns) of the GEMM of a round, of at most ``samples`` samples but for rounding up.

    Nearly square, with an even number of rows; terms that cannot be shared stand in one row.

    >>> from analysis.distributions import gaussian_products
    >>> [round_shape(gaussian_products(None), samples) for samples in (1, 2048, 10**6)]
    [(2, 64), (32, 64), (128, 128)]

    Raises:
        ValueError: fewer than one sample.
    """
    if samples < 1:
        raise ValueError(f"simulation: samples must be at least 1, got {samples}")
    if products.side is Side.ONES:
        return 1, _PANEL * math.ceil(min(samples, TERM_ROUND) / _PANEL)
    samples = min(samples, ROUND)
    columns = _PANEL * math.ceil(math.sqrt(samples) / _PANEL)
    return 2 * math.ceil(samples / (2 * columns)), columns


def operand_tiles(
    products: Products,
    n: int,
    shape: tuple[int, int],
    seed: Seed,
    number: int = 0,
    threads: int = 1,
) -> Iterator[tuple[Floats32, Floats32]]:
    """The operands of round ``number``, tile by tile of K: (rows, k) and (k, columns), float32.

    ``threads`` draw ahead, one tile each.
    """
    size = TERM_TILE if products.side is Side.ONES else TILE
    with ThreadPoolExecutor(threads) as pool:
        drawn: deque[Future[tuple[Floats32, Floats32]]] = deque()
        for tile in range(-(-n // size)):
            length = min(size, n - tile * size)
            drawn.append(pool.submit(_tile, products, length, shape, seed, (number, tile)))
            if len(drawn) > threads:
                yield drawn.popleft().result()
        while drawn:
            yield drawn.popleft().result()


def _tile(
    products: Products, length: int, shape: tuple[int, int], seed: Seed, place: tuple[int, int]
) -> tuple[Floats32, Floats32]:
    first, zeros, second, other_zeros = (
        np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(*place, use))))
        for use in range(4)
    )
    rows, columns = (length, shape[0]), (length, shape[1])
    if products.b is not None:
        left = _drawn(products.a, products.grid, rows, first, zeros)
        right = _drawn(products.b, products.grid, columns, second, other_zeros)
        return np.ascontiguousarray(left.T), right
    right = _drawn(products.a, products.grid, columns, first, zeros)
    signs = np.ones(rows[::-1], dtype=np.float32)
    if products.side is Side.SIGNS:
        signs -= 2.0 * second.integers(0, 2, signs.shape, dtype=np.bool_)
    return signs, right


def _drawn(
    operand: Operand,
    grid: FixedFormat,
    shape: tuple[int, int],
    values: np.random.Generator,
    zeros: np.random.Generator,
) -> Floats32:
    """Values of an operand, (k, rows or columns)."""
    x = operand.distribution.draw(values, shape)
    if operand.shift:
        x += np.float32(operand.shift)
    if operand.density < 1.0:
        x *= zeros.random(shape, dtype=np.float32) < operand.density
    if operand.scale != 1.0:
        x *= np.float32(operand.scale)
    return on_grid(x, grid if operand.format is None else operand.format)


def on_grid(x: Floats32, form: OperandFormat) -> Floats32:
    """``x`` (k, any) rounded to nearest even to an operand's format.

    >>> on_grid(np.array([[5.0], [1.2], [0.3]], dtype=np.float32), Blocks(2, 1)).ravel().tolist()
    [4.0, 2.0, 0.25]
    """
    match form:
        case FloatFormat() | FixedFormat():
            return quantize(x, form, threads=1).astype(np.float32, copy=False)
        case Blocks():
            return _in_blocks(x, form)
        case _:
            assert_never(form)


def _in_blocks(x: Floats32, form: Blocks) -> Floats32:
    """Blocks along the first axis; the last one may be shorter."""
    peaks = np.maximum.reduceat(np.abs(x), np.arange(0, len(x), form.size), axis=0)
    exponents = np.frexp(peaks)[1] - 1 - form.fraction_bits
    grid = np.repeat(exponents, form.size, axis=0)[: len(x)]
    most = np.float32(2 ** (form.fraction_bits + 1) - 1)
    return np.asarray(np.ldexp(np.clip(np.rint(np.ldexp(x, -grid)), -most, most), grid))
