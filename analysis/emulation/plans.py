"""The steps of a whole product: of its sums, and of the sums of its chunks' sums."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.draws import Stream
from analysis.emulation.scan import Contents, column_peaks
from analysis.emulation.steps import Draws
from analysis.emulation.ways import Extent, Way, bound, choose
from analysis.formats import Accumulator, FixedFormat, FloatFormat

Array = npt.NDArray[np.floating]


class Plan(NamedTuple):
    """The steps of a product: of the sum, or of its chunks and of the sum of their sums."""

    inner: Way
    outer: Way | None

    @property
    def drawn(self) -> bool:
        """Whether it rounds stochastically."""
        ways = (self.inner,) if self.outer is None else (self.inner, self.outer)
        return any(way.step.draws is not Draws.NONE for way in ways)

    def fits(self, stream: Stream) -> bool:
        """Whether a piece of a sum begins where the draws of two steps begin to share a word."""
        return self.inner.step.draws is not Draws.PAIRED or stream.step % 2 == 0


def extent_of(a: Array, left: Contents, right: Contents, start: Contents) -> Extent:
    """Bounds over the operands, every product and where the sums begin."""
    product_low = left.lowest + right.lowest
    held = [c for c in (left, right, start) if c.bits]
    if not (left.bits and right.bits):
        product_low = min((c.lowest for c in held), default=0)
    low = min([product_low, *(c.lowest for c in held)])
    high = max([left.highest + right.highest + 2, *(c.highest + 1 for c in held)])
    total = math.ldexp(float(column_peaks(a).sum()), right.highest + 1)
    began = math.ldexp(1.0, start.highest + 1) if start.bits else 0.0
    return Extent(left.bits + right.bits, low, high, product_low, total + began)


def plan_of(extent: Extent, accumulator: Accumulator, length: int) -> Plan | None:
    """The steps that are exact, or None where the general kernels must do it."""
    chunk = accumulator.chunk
    inner = choose(extent, accumulator, min(chunk or length, length))
    if inner is None or chunk is None:
        return None if inner is None else Plan(inner, None)
    if inner.step.draws is Draws.PAIRED and chunk % 2:
        return None
    chunks = -(-length // chunk)
    sums = _sums_of(extent, accumulator, min(chunk, length), chunks)
    outer = choose(sums, accumulator.outer_accumulator, chunks, inner)
    return None if outer is None else Plan(inner, outer)


def _sums_of(extent: Extent, inner: Accumulator, length: int, chunks: int) -> Extent:
    """The extent of chunk sums, which are what the outer accumulator adds."""
    form = inner.format
    assert isinstance(form, FloatFormat | FixedFormat)
    low = max(extent.product_low, math.frexp(float(form.quantum))[1] - 1)
    total = bound(extent, inner, length, chunks)
    if isinstance(form, FloatFormat):
        bits = form.mantissa_bits + 1
        total = min(total, chunks * float(form.largest) + extent.total)  # of which some is start's
    else:
        bits = form.width_bits
    return Extent(bits, min(low, extent.low), math.frexp(total)[1], low, total)
