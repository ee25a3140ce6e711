"""Monte-Carlo on the emulated accumulator: the truth that theory is held to.

The products are those of two standard Gaussians, both rounded to nearest into the operand format,
independent over K. Samples are the outputs of one GEMM, rows × columns, so that n products of all
samples cost n (rows + columns) random numbers instead of 2 n rows · columns. That is fair because

- outputs that share neither row nor column are independent;
- outputs that share a row are uncorrelated, computed and exact alike: turning the sign of one
  column turns the sign of its outputs alone, as every rounding here is odd. So the mean of all
  samples has the variance of independent ones;
- their squares are not quite uncorrelated: given a row, Var(s) is its sum of squares, which itself
  scatters by 2/n. The correlation of two squares is about 1/n, and the standard errors count it:
  they are clustered both ways, by rows + by columns − by single outputs (Cameron, Gelbach and
  Miller, "Robust Inference with Multiway Clustering", Journal of Business & Economic Statistics
  29(2), 2011).

A power of two scales the products down where 8 standard deviations of the sum would leave the
accumulator's exponent range, as a design with loss or tensor scaling would; what is measured is
the mantissa, not overflow.

The computed sums are the same bits for one seed, on any machine; the exact ones are float64, and
BLAS may place their last bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.emulation import matmul
from analysis.formats import Accumulator, FloatFormat
from analysis.operands import Floats32, Seed, grid_of, operand_tiles
from analysis.retention import check_density

Floats64 = npt.NDArray[np.float64]

#: products per exact partial sum: short enough for BLAS to stay on one core
_RUN = 128


@dataclass(frozen=True, slots=True)
class SumStatistics:
    """What an accumulator makes of random sums; each figure with its standard error."""

    samples: int
    retention: float  #: Var(computed)/Var(exact)
    retention_error: float
    nmse: float  #: E[(computed − exact)²]/Var(exact)
    nmse_error: float
    bias: float  #: E[computed − exact], in standard deviations of the exact sum
    bias_error: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums, and the computed ones of each accumulator, (rows, columns) float64."""

    exact: Floats64
    computed: tuple[Floats64, ...]


class RunningSum:
    """The sums of one accumulator, fed K in pieces; where K is cut changes no bit."""

    def __init__(self, accumulator: Accumulator, shape: tuple[int, int]) -> None:
        self._accumulator = accumulator
        self._inner = replace(accumulator, chunk=None, outer=None)
        self._outer = accumulator.outer_accumulator
        self._total: Any = np.zeros(shape)
        self._open: Any = np.zeros(shape)  # the sum of a chunk that is not full yet
        self._filled = 0

    def add(self, a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> None:
        """Continue by ``a`` (M, K) times ``b`` (K, N): whole chunks at once, the rest as parts."""
        chunk = self._accumulator.chunk
        if chunk is None:
            self._total = matmul(a, b, self._inner, start=self._total)
            return
        first, length = 0, a.shape[1]
        while first < length:
            whole = 0 if self._filled else (length - first) // chunk * chunk
            last = first + (whole or min(length - first, chunk - self._filled))
            piece = a[:, first:last], b[first:last]
            if whole:
                self._total = matmul(*piece, self._accumulator, start=self._total)
            else:
                self._add_part(*piece, chunk)
            first = last

    def _add_part(
        self, a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], chunk: int
    ) -> None:
        self._open = matmul(a, b, self._inner, start=self._open)
        self._filled += a.shape[1]
        if self._filled == chunk:
            self._close()

    def _close(self) -> None:
        """Add the open chunk's sum in the outer accumulator: a product with 1, of length 1."""
        flat = self._open.reshape(1, -1)
        total = matmul(np.ones((1, 1)), flat, self._outer, start=self._total.reshape(1, -1))
        self._total, self._filled = total.reshape(self._open.shape), 0
        self._open = np.zeros_like(self._open)

    def result(self) -> Floats64:
        """The sums, an unfinished chunk included."""
        if self._filled:
            self._close()
        return np.asarray(self._total)


def _exact(a: Floats32, b: Floats32) -> Any:
    """``a`` times ``b`` in float64, in runs of K and then their sum."""
    rows, length = a.shape
    whole = length // _RUN * _RUN
    left = a[:, :whole].astype(np.float64).reshape(rows, -1, _RUN).swapaxes(0, 1)
    right = b[:whole].astype(np.float64).reshape(-1, _RUN, b.shape[1])
    tail = a[:, whole:].astype(np.float64) @ b[whole:].astype(np.float64)
    return (left @ right).sum(axis=0) + tail


def _scale(accumulator: Accumulator, n: int) -> float:
    """The power of two, at most 1, that keeps 8√n product deviations below 2^emax."""
    emax = min(accumulator.format.emax, accumulator.outer_accumulator.format.emax)
    return 2.0 ** min(0, emax - 3 - math.ceil(0.5 * math.log2(n)))


def random_sums(
    accumulators: Sequence[Accumulator],
    operands: FloatFormat,
    n: int,
    *,
    samples: int,
    seed: Seed,
    density: float = 1.0,
) -> Sums:
    """Sums of ``n`` random products by each accumulator, from one pass over the operands."""
    check_density(density)
    if n < 1:
        raise ValueError(f"simulation: n (accumulation length) must be at least 1, got {n}")
    shape = grid_of(samples)
    exact = np.zeros(shape)
    scales = [_scale(accumulator, n) for accumulator in accumulators]
    running = [RunningSum(accumulator, shape) for accumulator in accumulators]
    for a, b in operand_tiles(operands, n, shape, seed, density):
        exact += _exact(a, b)
        scaled = {scale: a * np.float32(scale) for scale in set(scales)}
        for scale, one in zip(scales, running, strict=True):
            one.add(scaled[scale], b)
    results = (one.result() / scale for scale, one in zip(scales, running, strict=True))
    return Sums(exact, tuple(results))


def simulate_each(
    accumulators: Sequence[Accumulator],
    operands: FloatFormat,
    n: int,
    *,
    samples: int,
    seed: Seed,
    density: float = 1.0,
) -> tuple[SumStatistics, ...]:
    """:func:`simulate` for several accumulators on the same operands; each as it would be alone."""
    sums = random_sums(accumulators, operands, n, samples=samples, seed=seed, density=density)
    return tuple(statistics(sums.exact, computed) for computed in sums.computed)


def simulate(
    accumulator: Accumulator,
    operands: FloatFormat,
    n: int,
    *,
    samples: int,
    seed: Seed,
    density: float = 1.0,
) -> SumStatistics:
    """What ``accumulator`` makes of ``n`` products of Gaussians rounded to ``operands``.

    ``samples`` is rounded up to a whole grid of rows and columns (:func:`grid_of`). ``density`` is
    the share of products that are not zero.

    Raises:
        ValueError: n or samples below 1, density outside (0, 1], or every sum drawn is zero.
    """
    (only,) = simulate_each(
        (accumulator,), operands, n, samples=samples, seed=seed, density=density
    )
    return only


def statistics(exact: Floats64, computed: Floats64) -> SumStatistics:
    """Retention, NMSE and bias of (rows, columns) of samples, with clustered standard errors."""
    variance = float(exact.var())
    if variance == 0.0:
        raise ValueError(f"simulation: exact sums must differ, got {exact.size} equal ones")
    error = computed - exact
    spread = np.square(exact - exact.mean())
    retention = _ratio(np.square(computed - computed.mean()), spread)
    nmse = _ratio(np.square(error), spread)
    deviation = math.sqrt(variance)
    bias = float(error.mean()) / deviation
    bias_error = clustered_error(error / deviation - bias)
    return SumStatistics(exact.size, *retention, *nmse, bias, bias_error)


def _ratio(top: Floats64, bottom: Floats64) -> tuple[float, float]:
    """mean(top)/mean(bottom) and its standard error, by linearisation."""
    mean = float(bottom.mean())
    ratio = float(top.mean()) / mean
    return ratio, clustered_error((top - ratio * bottom) / mean)


def clustered_error(deviations: Floats64) -> float:
    """Standard error of the mean of samples that depend on each other along rows and columns.

    ``deviations`` are from that mean. Never below the error of independent samples.
    """
    cells = float(np.square(deviations).sum())
    by_rows = float(np.square(deviations.sum(axis=1)).sum())
    by_columns = float(np.square(deviations.sum(axis=0)).sum())
    return math.sqrt(max(by_rows + by_columns - cells, cells)) / deviations.size
