"""The definition of an accumulating matrix product, in exact rational arithmetic.

Slow and short: what the compiled kernels are held to, bit for bit.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from analysis.formats import Accumulator, FloatFormat, Rounding
from analysis.rounding import round_exact


def accumulate(
    terms: Iterable[Fraction], start: Fraction, number_format: FloatFormat, rounding: Rounding
) -> Fraction:
    """``start`` plus the terms, one after the other, rounded after every addition.

    >>> from analysis.formats import float_format
    >>> terms = [Fraction(1, 4)] * 8
    >>> accumulate(terms, Fraction(4), float_format(5, 2), Rounding.NEAREST_EVEN)
    Fraction(4, 1)
    """
    total = start
    for term in terms:
        total = round_exact(total + term, number_format, rounding)
    return total


def dot_exact(products: Sequence[Fraction], accumulator: Accumulator, start: Fraction) -> Fraction:
    """One dot product from its exact products; ``start`` is where the (outer) sum begins."""
    inner, rounding = accumulator.format, accumulator.rounding
    if accumulator.chunk is None:
        return accumulate(products, start, inner, rounding)
    chunks = (
        products[first : first + accumulator.chunk]
        for first in range(0, len(products), accumulator.chunk)
    )
    sums = (accumulate(chunk, Fraction(0), inner, rounding) for chunk in chunks)
    return accumulate(sums, start, accumulator.outer_format, rounding)


def matmul_exact(
    a: npt.NDArray[np.floating],
    b: npt.NDArray[np.floating],
    accumulator: Accumulator,
    start: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float64]:
    """``a`` (M, K) times ``b`` (K, N), summed in order of K by ``accumulator``; float64 (M, N)."""
    out = np.zeros((a.shape[0], b.shape[1])) if start is None else start.astype(np.float64)
    rows = [[Fraction(float(x)) for x in row] for row in a]
    columns = [[Fraction(float(x)) for x in column] for column in b.T]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            products = [x * y for x, y in zip(row, column, strict=True)]
            out[i, j] = float(dot_exact(products, accumulator, Fraction(float(out[i, j]))))
    return out
