from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.emulated.windows import Axis, Geometry, Line, over_errors, over_input, windows_of

SIZES, KERNELS, PADDINGS, DILATIONS = (1, 4, 7), (1, 2, 3), (0, 1, 4), (1, 2)


def axes(stride: int) -> Iterator[Axis]:
    for size, kernel, padding, dilation in product(SIZES, KERNELS, PADDINGS, DILATIONS):
        if size + 2 * padding > dilation * (kernel - 1):
            yield Axis(size, kernel, stride, padding, dilation)


def laid_out(line: Line, pixels: int) -> list[int]:
    """Numbers of the pixels (from 1) where they lie; 0 elsewhere."""
    out = [0] * line.size
    source, target = line.overlap(pixels)
    out[target] = list(range(1, pixels + 1))[source]
    return out


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_pixel_lies_where_it_should_or_meets_no_window(stride: int) -> None:
    for axis in axes(stride):
        for line, pixels in ((over_input(axis), axis.size), (over_errors(axis), axis.out)):
            expected = [0] * line.size
            for pixel in range(pixels):
                place = line.first + pixel * line.apart
                if 0 <= place < line.size:
                    expected[place] = pixel + 1
            assert laid_out(line, pixels) == expected
            reads = np.add.outer(line.windows, line.taps)
            assert reads.min() >= 0
            assert reads.max() < line.size


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_window_over_the_errors_reads_those_of_the_outputs_that_read_its_pixel(
    stride: int,
) -> None:
    for axis in axes(stride):
        forward, backward = over_input(axis), over_errors(axis)
        inputs, errors = laid_out(forward, axis.size), laid_out(backward, axis.out)
        read_by = {
            (inputs[window + tap], t): o + 1
            for o, window in enumerate(forward.windows)
            for t, tap in enumerate(forward.taps)
        }
        for pixel, window in enumerate(backward.windows):
            for t, tap in enumerate(backward.taps):
                turned = axis.kernel - 1 - t
                assert errors[window + tap] == read_by.get((pixel + 1, turned), 0)


@pytest.mark.parametrize("groups", [1, 2])
def test_windows_are_in_the_order_of_torch_unfold(groups: int) -> None:
    geometry = Geometry((Axis(6, 3, 2, 1, 1), Axis(7, 2, 1, 0, 2)), groups)
    x = torch.arange(2 * 4 * 6 * 7, dtype=torch.float32).reshape(2, 4, 6, 7)
    columns = functional.unfold(x, (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1))
    expected = columns.permute(1, 0, 2).flatten(1).tensor_split(groups)
    found = windows_of(x, geometry.over_input(), groups)
    for windows, matrix in zip(found, expected, strict=True):
        written = windows.flat[torch.from_numpy(np.add.outer(windows.k_offsets, windows.j_offsets))]
        assert torch.equal(written, matrix)


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a window must fit the 6 padded pixels, got one of 7"):
        Axis(4, 4, 1, 1, 2)
