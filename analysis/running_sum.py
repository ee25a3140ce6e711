"""The sums of one accumulator over a long K that is fed in pieces."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.formats import Accumulator, BlockFormat, Fused, Rounding, Sequential, Tree

Array = npt.NDArray[np.floating]
Floats64 = npt.NDArray[np.float64]


class RunningSum:
    """The sums of one accumulator, fed K in pieces; where K is cut changes no bit.

    ``stream`` is what stochastic rounding draws from, at the place of the first row, column and
    product. Products that must come together are kept until they are there: a fused step, a block,
    the chunk that a tree adds, all of K where one tree adds it.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        shape: tuple[int, int],
        stream: Stream | None = None,
        threads: int | None = None,
    ) -> None:
        self._accumulator = accumulator
        self._stream = Stream(0) if stream is None else stream
        self._threads = threads
        self._held: list[tuple[Array, Array]] = []
        self._done = 0  # products in the two sums:
        self._total: Any = np.zeros(shape)
        self._open: Any = np.zeros(shape)  # of a chunk that is not full yet
        self._filled = 0  # products in it

    def add(self, a: Array, b: Array) -> None:
        """Continue by ``a`` (M, K) times ``b`` (K, N)."""
        self._held.append((a, b))
        length = sum(piece.shape[1] for piece, _ in self._held)
        unit = _unit(self._accumulator)
        whole = 0 if unit is None else length // unit * unit
        if whole > 0:
            a, b = self._taken()
            if whole < length:
                self._held = [(a[:, whole:], b[whole:])]
            self._add(a[:, :whole], b[:whole])

    def result(self) -> Floats64:
        """The sums, an unfinished chunk included; nothing can be added afterwards."""
        if self._held:
            self._add(*self._taken())
        if self._filled:
            self._close()
        return np.asarray(self._total, dtype=np.float64)

    def _taken(self) -> tuple[Array, Array]:
        """All that is held, which then is nothing."""
        left, right = zip(*self._held, strict=True)
        self._held = []
        if len(left) == 1:
            return left[0], right[0]
        return np.concatenate(left, axis=1), np.concatenate(right)

    def _add(self, a: Array, b: Array) -> None:
        """Whole chunks at once, the rest as parts."""
        chunk = self._accumulator.chunk
        if chunk is None or _unit(self._accumulator) != 1:
            self._add_whole(a, b)
            return
        first, length = 0, a.shape[1]
        while first < length:
            whole = 0 if self._filled else (length - first) // chunk * chunk
            last = first + (whole or min(length - first, chunk - self._filled))
            piece = a[:, first:last], b[first:last]
            if whole:
                self._add_whole(*piece)
            else:
                self._add_part(*piece, chunk)
            first = last

    def _add_whole(self, a: Array, b: Array) -> None:
        start = self._total if self._done else None  # a tree cannot have one
        self._total = self._product(a, b, self._accumulator, start)

    def _add_part(self, a: Array, b: Array, chunk: int) -> None:
        inner = replace(self._accumulator, chunk=None, outer=None)
        self._open = self._product(a, b, inner, self._open)
        self._filled += a.shape[1]
        if self._filled == chunk:
            self._close()

    def _product(self, a: Array, b: Array, accumulator: Accumulator, start: Any) -> Any:
        place = self._stream.at(step=self._done)
        self._done += a.shape[1]
        return matmul(a, b, accumulator, rng=place, start=start, threads=self._threads)

    def _close(self) -> None:
        """Add the open chunk's sum in the outer accumulator: a chunk of one product, with 1.

        Draws depend on the row: each is then a product of its own in a batch.
        """
        form, outer = self._accumulator.format, self._accumulator.outer_accumulator
        products = self._stream.step + self._done - self._filled
        place = replace(self._stream, step=products // (self._accumulator.chunk or 1))
        rows = len(self._open) if outer.rounding is Rounding.STOCHASTIC else 1
        sums, totals = (x.reshape(rows, 1, -1) for x in (self._open, self._total))
        closing = Accumulator(form, chunk=1, outer=outer)
        total = matmul(np.ones((rows, 1, 1)), sums, closing, rng=place, start=totals)
        self._total, self._filled = total.reshape(self._open.shape), 0
        self._open = np.zeros_like(self._open)


def _unit(accumulator: Accumulator) -> int | None:
    """How many products must come together; None: all."""
    match accumulator.order:
        case Tree():
            return accumulator.chunk
        case Fused(terms=terms):
            return accumulator.chunk or terms
        case Sequential():
            block = isinstance(accumulator.format, BlockFormat)
            return accumulator.chunk if block else 1
