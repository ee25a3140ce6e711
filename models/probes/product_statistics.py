"""Statistics of a GEMM's products from its two matrices; NumPy only.

A GEMM is here two arrays, ``a`` (groups, lines, n) and ``b`` (groups, lines, n): each line of ``a``
is multiplied with each of ``b`` in its group, and the n products along K are one output's sum.
Products are taken in float64, where those of float32 operands are exact.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from models.networks.gemm import Role
from models.statistics import (
    LARGEST,
    MAX_RATIO,
    SMALLEST,
    Exponents,
    GemmStatistics,
    OperandStatistics,
    PairSample,
)

Array = npt.NDArray[Any]
Floats64 = npt.NDArray[np.float64]

#: products that are looked at, if there are that many, and the fewest outputs whatever their length
PRODUCTS, LEAST_OUTPUTS = 1 << 18, 64
#: share of exponents that lie outside of low..high, on either side
_TAIL = 0.001
#: products of one output that differ by less, relative to their mean, are equal but for rounding
_EQUAL = 1e-10


def measured(
    layer: str, role: Role, a: Array, b: Array, rng: np.random.Generator, pairs: int
) -> GemmStatistics:
    """Statistics of products, of all operands, and a sample of ``pairs`` (if there are that many).

    Of a GEMM with more than :data:`PRODUCTS` products as many as that are looked at: all those of
    random outputs, at least :data:`LEAST_OUTPUTS`.

    Raises:
        ValueError: values are not finite, or all products are zero.
    """
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{layer}/{role}: operands must be finite")
    left, right = _outputs(a, b, rng)
    products = left * right
    there = products != 0.0
    if not there.any():
        raise ValueError(f"{layer}/{role}: products must not all be zero")
    kept = products[there]
    return GemmStatistics(
        layer=layer,
        role=role,
        n=products.shape[1],
        products=products.size,
        density=float(there.mean()),
        mean_ratio=mean_ratio(kept),
        kurtosis=kurtosis(kept),
        **_within_outputs(products, there),
        lag_correlation=_lag_correlation(products),
        exponents=_exponents(kept),
        a=_operand(a),
        b=_operand(b),
        sample=_sample(left, right, rng, pairs),
    )


def _outputs(a: Array, b: Array, rng: np.random.Generator) -> tuple[Floats64, Floats64]:
    """The factors of random outputs, (outputs, n) each; of all, where they are few."""
    shape = (a.shape[0], a.shape[1], b.shape[1])
    total, wanted = math.prod(shape), max(LEAST_OUTPUTS, PRODUCTS // a.shape[2])
    picked = np.arange(total)
    if total > wanted:
        picked = rng.choice(total, wanted, replace=False)
    group, i, j = np.unravel_index(picked, shape)
    return a[group, i].astype(np.float64), b[group, j].astype(np.float64)


def mean_ratio(values: Array) -> float:
    """Mean over standard deviation, at most :data:`MAX_RATIO`, which equal values have.

    >>> mean_ratio(np.array([1.0, 3.0])), mean_ratio(np.array([-2.0, -2.0]))
    (2.0, -500.0)
    """
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if abs(mean) >= MAX_RATIO * deviation:
        return math.copysign(MAX_RATIO, mean)
    return mean / deviation


def kurtosis(values: Floats64) -> float:
    """E[(x − μ)⁴]/σ⁴; 1, the least there is, of equal values.

    >>> kurtosis(np.array([-1.0, 0.0, 0.0, 1.0]))
    2.0
    """
    off = values - values.mean()
    peak = np.abs(off).max()
    if peak == 0.0:
        return 1.0
    squares = np.square(off / peak)
    return max(1.0, float(np.square(squares).mean() / squares.mean() ** 2))


def _within_outputs(products: Floats64, there: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Means over outputs of what their own products show, zeros aside."""
    count = np.maximum(there.sum(axis=1), 1)
    mean = products.sum(axis=1) / count
    off = np.where(there, products - mean[:, None], 0.0)
    deviation = np.sqrt(np.square(off).sum(axis=1) / count)
    differ = deviation > _EQUAL * np.abs(mean)
    if not differ.any():
        nothing = dict.fromkeys(("output_mean_ratio", "chance_mean_ratio", "drift"), 0.0)
        return {**nothing, "output_kurtosis": 1.0}
    count, deviation = count[differ], deviation[differ]
    ratio = np.minimum(np.abs(mean[differ]) / deviation, MAX_RATIO)
    beyond = (count * ratio**2 - 1.0).sum() / count.sum()
    fourth = ((off[differ] / deviation[:, None]) ** 4).sum(axis=1) / count
    return {
        "output_mean_ratio": float(ratio.mean()),
        "chance_mean_ratio": float(np.sqrt(2.0 / (math.pi * count)).mean()),
        "drift": math.sqrt(max(0.0, float(beyond))),
        "output_kurtosis": max(1.0, float(fourth.mean())),
    }


def _lag_correlation(products: Floats64) -> float:
    off = products - products.mean(axis=1, keepdims=True)
    power = float(np.square(off).sum())
    return float((off[:, 1:] * off[:, :-1]).sum()) / power if power > 0.0 else 0.0


def _exponents(values: Array) -> Exponents:
    """Of values that are not zero."""
    exponents = np.frexp(values)[1] - 1
    least = int(exponents.min())
    shares = np.cumsum(np.bincount((exponents - least).ravel())) / exponents.size
    low, high = np.searchsorted(shares, (_TAIL, 1.0 - _TAIL))
    return Exponents(
        least=least, low=least + int(low), high=least + int(high), most=int(exponents.max())
    )


def _operand(values: Array) -> OperandStatistics:
    kept = values[values != 0.0]
    return OperandStatistics(
        density=kept.size / values.size,
        mean_ratio=mean_ratio(kept),
        least=float(values.min()),
        most=float(values.max()),
        exponents=_exponents(kept),
    )


def _sample(left: Floats64, right: Floats64, rng: np.random.Generator, pairs: int) -> PairSample:
    """Random pairs, those of an output scaled by powers of two to factors and products near one."""
    products = left * right
    there = np.flatnonzero(products)
    picked = rng.choice(there, min(pairs, there.size), replace=False)
    output = picked // products.shape[1]
    first, whole = (_scales(x, products != 0.0)[output] for x in (left, products))
    a, b = np.ldexp(left.flat[picked], -first), np.ldexp(right.flat[picked], first - whole)
    magnitudes = np.abs([a, b])
    fits = (magnitudes.min(axis=0) >= SMALLEST) & (magnitudes.max(axis=0) <= LARGEST)
    return PairSample(a=_decimals(a[fits]), b=_decimals(b[fits]))


def _scales(values: Floats64, there: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Of each output, the power of two that is nearest to the root mean square; 0 without any."""
    squares = np.square(np.where(there, values, 0.0)).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.rint(0.5 * np.log2(np.where(squares > 0.0, squares, 1.0))).astype(np.int64)


def _decimals(values: Floats64) -> tuple[float, ...]:
    """float32 numbers as the shortest decimals that name them, so that files stay short."""
    return tuple(float(str(value)) for value in values.astype(np.float32))


def over_moments(moments: Sequence[GemmStatistics]) -> GemmStatistics:
    """One GEMM over several moments of training: means, the widest ranges, the joint sample.

    Figures are of one moment each, because a sum never mixes two: errors shrink as training goes
    on, and a mixture of their scales would have tails that no sum sees.
    """
    first = moments[0]
    samples = [one.sample for one in moments if one.sample is not None]
    return first.model_copy(
        update={
            "products": sum(one.products for one in moments),
            "density": fmean(one.density for one in moments),
            "mean_ratio": fmean(one.mean_ratio for one in moments),
            "output_mean_ratio": fmean(one.output_mean_ratio for one in moments),
            "chance_mean_ratio": fmean(one.chance_mean_ratio for one in moments),
            "drift": math.sqrt(fmean(one.drift**2 for one in moments)),
            "kurtosis": fmean(one.kurtosis for one in moments),
            "output_kurtosis": fmean(one.output_kurtosis for one in moments),
            "lag_correlation": fmean(one.lag_correlation for one in moments),
            "exponents": _widest(one.exponents for one in moments),
            "a": _operands_over([one.a for one in moments]),
            "b": _operands_over([one.b for one in moments]),
            "sample": PairSample(
                a=tuple(chain.from_iterable(one.a for one in samples)),
                b=tuple(chain.from_iterable(one.b for one in samples)),
            ),
        }
    )


def _operands_over(moments: Sequence[OperandStatistics]) -> OperandStatistics:
    return OperandStatistics(
        density=fmean(one.density for one in moments),
        mean_ratio=fmean(one.mean_ratio for one in moments),
        least=min(one.least for one in moments),
        most=max(one.most for one in moments),
        exponents=_widest(one.exponents for one in moments),
    )


def _widest(ranges: Iterable[Exponents]) -> Exponents:
    every = list(ranges)
    return Exponents(
        least=min(one.least for one in every),
        low=min(one.low for one in every),
        high=max(one.high for one in every),
        most=max(one.most for one in every),
    )
