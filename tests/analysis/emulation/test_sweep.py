"""Products whose right factor is described by offsets and never written down."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.emulation.gemm import multiply_by
from analysis.emulation.sweep import Offsets
from analysis.formats import Accumulator, Rounding, float_format

Floats = npt.NDArray[np.floating]

STREAM = Stream(5)
ACCUMULATORS = [
    Accumulator(float_format(6, 5)),
    Accumulator(float_format(6, 5), Rounding.STOCHASTIC, random_bits=8),
    Accumulator(float_format(6, 5), chunk=9),
    Accumulator(float_format(3, 1), Rounding.STOCHASTIC, random_bits=8),  # general
]


class Windows(NamedTuple):
    """The windows of a convolution."""

    kernel: int
    stride: int
    dilation: int
    padding: int

    def places(self, image: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], ...]:
        """Offsets of a padded (B, C, H, W) image: of (C, kernel, kernel), of (B, out, out)."""
        batch, channels, *sides = image
        strides = np.cumprod([1, *image[:0:-1]])[::-1]
        taps = np.arange(self.kernel) * self.dilation
        reach = (self.kernel - 1) * self.dilation
        down, across = (np.arange(0, side - reach, self.stride) for side in sides)
        k_offsets = sum_of(strides[1:], np.arange(channels), taps, taps)
        return k_offsets, sum_of(strides[[0, 2, 3]], np.arange(batch), down, across)


def sum_of(strides: Any, *axes: Any) -> npt.NDArray[np.int64]:
    """All sums of one element of each axis times its stride, the last axis fastest."""
    grids = np.meshgrid(*axes, indexing="ij")
    total = sum(grid * stride for grid, stride in zip(grids, strides, strict=True))
    return np.asarray(total, dtype=np.int64).ravel()


def numbers(*shape: int) -> Floats:
    return np.random.default_rng(0).integers(-15, 16, shape).astype(np.float32)


def product(a: Floats, b: Offsets, accumulator: Accumulator) -> Floats:
    out = np.zeros((a.shape[0], b.j_offsets.size), np.float32)
    multiply_by(a, b, accumulator, out, STREAM)
    return out


def written_down(b: Offsets) -> Floats:
    return np.asarray(b.flat[b.k_offsets[:, None] + b.j_offsets])


def convolved(image: Floats, weights: Floats, windows: Windows) -> Floats:
    """The convolution in float64, window by window."""
    reach = (windows.kernel - 1) * windows.dilation
    step = windows.stride
    down, across = (range(0, side - reach, step) for side in image.shape[2:])
    out = np.empty((weights.shape[0], image.shape[0], len(down), len(across)))
    for i, top in enumerate(down):
        for j, left in enumerate(across):
            rows = slice(top, top + reach + 1, windows.dilation)
            columns = slice(left, left + reach + 1, windows.dilation)
            out[:, :, i, j] = np.tensordot(weights, image[:, :, rows, columns], ((1, 2, 3),) * 2)
    return out.reshape(weights.shape[0], -1)


WINDOWS = [
    Windows(3, 1, 1, 1),
    Windows(3, 2, 1, 1),
    Windows(3, 1, 2, 2),
    Windows(2, 3, 2, 0),
    Windows(1, 1, 1, 0),
    Windows(1, 2, 1, 0),
]


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_windows_of_an_image(windows: Windows, accumulator: Accumulator) -> None:
    around = ((0, 0), (0, 0), *((windows.padding,) * 2,) * 2)
    image = np.pad(numbers(2, 5, 9, 8), around)
    weights = numbers(6, 5, windows.kernel, windows.kernel)
    b = Offsets(image.ravel(), *windows.places(image.shape))
    a = weights.reshape(6, -1)
    expected = matmul(a, written_down(b), accumulator, rng=STREAM)
    assert np.array_equal(product(a, b, accumulator), expected)
    exact = Accumulator(float_format(8, 23))
    assert np.array_equal(product(a, b, exact), convolved(image, weights, windows))


ORDERS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "shuffled": lambda rng, size: rng.permutation(size),
    "repeated": lambda rng, size: rng.integers(0, size, size),
    "backward": lambda _rng, size: np.arange(size)[::-1].copy(),
    # as far apart as neighbours at the ends, but not in between
    "swapped inside": lambda _rng, size: np.r_[0, 2, 1, 3:size],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("of_columns", [False, True])
def test_offsets_in_any_order(order: str, of_columns: bool) -> None:
    flat, rng, accumulator = numbers(40 * 64), np.random.default_rng(1), ACCUMULATORS[0]
    ordered = ORDERS[order](rng, 64 if of_columns else 40)
    if of_columns:
        b = Offsets(flat, np.arange(40) * 64, ordered)
    else:
        b = Offsets(flat, ordered, np.arange(64) * 40)
    a = numbers(3, 40)
    assert np.array_equal(product(a, b, accumulator), matmul(a, written_down(b), accumulator))
