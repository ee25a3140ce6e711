"""The windows of a convolution over its images, as matrices that are never written down (im2col).

All three GEMMs read windows a few pixels apart over pixels laid out among zeros: FWD and GRAD over
the padded input, BWD over the errors with zeros between them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from models.emulated.product import Places, Windows


@dataclass(frozen=True, slots=True)
class Axis:
    """A convolution along one axis of its images; all in pixels.

    Raises:
        ValueError: no window fits.
    """

    size: int  #: of the input
    kernel: int
    stride: int
    padding: int
    dilation: int

    def __post_init__(self) -> None:
        padded = self.size + 2 * self.padding
        if padded < self.reach:
            raise ValueError(
                f"conv2d: a window must fit the {padded} padded pixels, got one of {self.reach}"
            )

    @property
    def reach(self) -> int:
        """From a window's first pixel to behind its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def out(self) -> int:
        """Size of the output (Dumoulin and Visin, 2016, relationship 15)."""
        return (self.size + 2 * self.padding - self.reach) // self.stride + 1


class Line(NamedTuple):
    """Along one axis: pixels laid out among zeros, and windows over them."""

    size: int  #: zeros included
    first: int  #: where pixel 0 lies; pixels that lie outside meet no window
    apart: int  #: from one pixel to the next
    windows: Places  #: where each begins
    taps: Places  #: what it reads, from there

    def overlap(self, pixels: int) -> tuple[slice, slice]:
        """Which of the pixels lie inside, and where."""
        skipped = max(0, -(self.first // self.apart))
        begin = self.first + skipped * self.apart
        inside = -(-max(0, self.size - begin) // self.apart)
        count = max(0, min(pixels - skipped, inside))
        return (
            slice(skipped, skipped + count),
            slice(begin, begin + count * self.apart, self.apart),
        )


def over_input(axis: Axis) -> Line:
    """The padded input, under windows a stride apart.

    >>> line = over_input(Axis(size=8, kernel=3, stride=2, padding=1, dilation=1))
    >>> line.size, line.first, line.windows.tolist(), line.taps.tolist()
    (9, 1, [0, 2, 4, 6], [0, 1, 2])
    """
    windows = np.arange(axis.out) * axis.stride
    size = int(windows[-1]) + axis.reach
    return Line(size, axis.padding, 1, windows, np.arange(axis.kernel) * axis.dilation)


def over_errors(axis: Axis) -> Line:
    """The errors a stride apart, under a window for every input pixel.

    >>> line = over_errors(Axis(size=8, kernel=3, stride=2, padding=1, dilation=1))
    >>> line.size, line.first, line.apart, line.windows.tolist()
    (10, 1, 2, [0, 1, 2, 3, 4, 5, 6, 7])
    """
    size = axis.size - 1 + axis.reach
    first = axis.reach - 1 - axis.padding
    taps = np.arange(axis.kernel) * axis.dilation
    return Line(size, first, axis.stride, np.arange(axis.size), taps)


Lines = tuple[Line, Line]


class Geometry(NamedTuple):
    """All that a convolution is but its numbers."""

    axes: tuple[Axis, Axis]
    groups: int

    def over_input(self) -> Lines:
        """:func:`over_input`, both axes."""
        return over_input(self.axes[0]), over_input(self.axes[1])

    def over_errors(self) -> Lines:
        """:func:`over_errors`, both axes."""
        return over_errors(self.axes[0]), over_errors(self.axes[1])


def windows_of(x: Tensor, lines: Lines, groups: int) -> list[Windows]:
    """The windows of each group of channels of ``x`` (B, C, H, W): (C/groups · taps, B · windows).

    In the order channel, row, column of a tap; and sample, row, column of a window.
    """
    batch, channels = x.shape[:2]
    high, wide = lines
    image = x.new_zeros((channels, batch, high.size, wide.size))
    rows, columns = (line.overlap(pixels) for line, pixels in zip(lines, x.shape[2:], strict=True))
    image[:, :, rows[1], columns[1]] = x.transpose(0, 1)[:, :, rows[0], columns[0]]
    sample = high.size * wide.size
    k = _outer(np.arange(channels // groups) * (batch * sample), high.taps * wide.size, wide.taps)
    j = _outer(np.arange(batch) * sample, high.windows * wide.size, wide.windows)
    return [Windows(part.flatten(), k, j) for part in image.tensor_split(groups)]


def _outer(a: Places, b: Places, c: Places) -> Places:
    """All sums of one of each, the last running fastest."""
    return (a[:, None, None] + b[:, None] + c).ravel()
