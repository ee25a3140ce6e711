"""Retention, NMSE and bias of computed sums beside exact ones, with clustered standard errors.

Samples are the outputs of GEMMs, (rows, columns). Outputs that share neither row nor column are
independent; those that share one depend on each other, and the standard errors count it. They are
clustered both ways, by rows + by columns − by single outputs (Cameron, Gelbach and Miller, "Robust
Inference with Multiway Clustering", Journal of Business & Economic Statistics 29(2), 2011), of the
linearised figures: with x the exact sum, e the error, μ and σ² their means and variances, R the
retention and N the NMSE, the deviations of one sample are

    R:     (2 (x − μ_x)(e − μ_e) + (e − μ_e)² − (R − 1)(x − μ_x)²)/σ_x²
    N:     (e² − N (x − μ_x)²)/σ_x²
    bias:  (e − μ_e)/σ_x − ½ bias ((x − μ_x)²/σ_x² − 1)

All are linear in v = (1, x, e, x², xe, e²), so the sums of v and of v vᵀ over outputs, rows and
columns are all that has to be kept; GEMMs drawn independently just add up. In e, and not in
computed sums, because an accumulator that errs by 1e-9 shall not be judged by what cancels.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats64 = npt.NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over samples of v and of v vᵀ, x counted from ``origin``; of one origin they add up."""

    origin: float
    samples: int
    sums: Floats64  #: (6,)
    cells: Floats64  #: (6, 6), Σ v vᵀ
    shared: Floats64  #: (6, 6), Σ V Vᵀ of the sums V over rows, and over columns, less ``cells``

    def __add__(self, other: "Moments") -> "Moments":
        assert self.origin == other.origin
        return Moments(
            self.origin,
            self.samples + other.samples,
            self.sums + other.sums,
            self.cells + other.cells,
            self.shared + other.shared,
        )

    def statistics(self) -> SumStatistics:
        """The figures so far.

        Raises:
            ValueError: the exact sums are all equal.
        """
        _, x, e, xx, xe, ee = (float(mean) for mean in self.sums / self.samples)
        variance = xx - x * x
        if not variance > 0.0:
            raise ValueError(f"simulation: exact sums must differ, got {self.samples:,} equal ones")
        change = (2.0 * (xe - x * e) + ee - e * e) / variance
        nmse, deviation = ee / variance, math.sqrt(variance)
        bias = e / deviation
        spread = _weights(one=x * x, x=-2.0 * x, xx=1.0) / variance
        joint = _weights(one=x * e, x=-e, e=-x, xe=1.0) / variance
        noise = _weights(one=e * e, e=-2.0 * e, ee=1.0) / variance
        off = _weights(one=-e, e=1.0) / deviation
        return SumStatistics(
            self.samples,
            1.0 + change,
            self._error(2.0 * joint + noise - change * spread),
            nmse,
            self._error(_weights(ee=1.0 / variance) - nmse * spread),
            bias,
            self._error(off - 0.5 * bias * (spread - _weights(one=1.0))),
        )

    def _error(self, weights: Floats64) -> float:
        """Standard error of the mean of weights·v; never below that of independent samples."""
        cells = _quadratic(self.cells, weights)
        return math.sqrt(max(_quadratic(self.shared, weights), cells, 0.0)) / self.samples


def _weights(
    *,
    one: float = 0.0,
    x: float = 0.0,
    e: float = 0.0,
    xx: float = 0.0,
    xe: float = 0.0,
    ee: float = 0.0,
) -> Floats64:
    """A linear function of v."""
    return np.array([one, x, e, xx, xe, ee])


def _quadratic(form: Floats64, weights: Floats64) -> float:
    return float((form * weights * weights[:, None]).sum())


def moments(exact: Floats64, computed: Floats64, origin: float) -> Moments:
    """Of one GEMM's sums, (rows, columns); of a single row, samples are independent.

    Raises:
        ValueError: a computed sum is infinite or NaN.
    """
    if not np.isfinite(computed).all():
        overflown = int(computed.size - np.isfinite(computed).sum())
        raise ValueError(
            f"simulation: sums must be finite, got {overflown:,} of {computed.size:,} that"
            " overflowed"
        )
    x, e = exact - origin, computed - exact
    v = np.stack([np.ones_like(x), x, e, x * x, x * e, e * e])
    cells = _gram(v.reshape(6, -1))
    if 1 in exact.shape:
        return Moments(origin, exact.size, v.sum(axis=(1, 2)), cells, cells)
    shared = _gram(v.sum(axis=2)) + _gram(v.sum(axis=1)) - cells
    return Moments(origin, exact.size, v.sum(axis=(1, 2)), cells, shared)


def _gram(v: Floats64) -> Floats64:
    """Σ v vᵀ over the second axis; not by BLAS, whose bits depend on its threads."""
    return np.array([[float((one * other).sum()) for other in v] for one in v])


def statistics(exact: Floats64, computed: Floats64) -> SumStatistics:
    """Of one GEMM's sums, (rows, columns).

    >>> statistics(np.array([[1.0, 3.0]]), np.array([[2.0, 4.0]])).nmse
    1.0

    Raises:
        ValueError: the exact sums are all equal, or a computed one is infinite or NaN.
    """
    return moments(exact, computed, float(exact.mean())).statistics()
