"""Rounding noise to first order: of operands, and of a sum that is rounded to nearest.

A value x rounded to m fraction bits errs by a uniform fraction of its ulp, of mean square ulp²/12.
Over a significand that is log-uniform in its binade, E[ulp²] = 4^−m E[x²] · 3/(8 ln 2): the mean of
4^⌊log2 x⌋/x² is (1/ln 2) ∫_1^2 dt/t³ = 3/(8 ln 2).

A sum s_i of i products of variance σ² meets that error at every addition with E[s_i²] = iσ², and
the errors add up as a random walk: Σ_i iσ² ≈ n²σ²/2. Divided by Var(s_n) = nσ² this gives

    NMSE ≈ c n 4^−m_acc,     c = 3/(8 ln 2) / 24.

Valid while NMSE ≪ 1, for zero-mean products whose own grid lies below the sum's ulp. Chunks
compose: the inner sums err by c n1 4^−m of the whole variance, the outer sum by c n2 4^−m.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

#: E[ulp²]/(4^−m E[x²]) over a log-uniform significand
_ULP_MEAN_SQUARE = 3.0 / (8.0 * math.log(2.0))
SUM_NOISE = _ULP_MEAN_SQUARE / 24.0


def operand_nmse(m_op: npt.ArrayLike) -> Any:
    """NMSE of a dot product whose operands are both rounded to ``m_op`` fraction bits (nearest).

    Each operand errs by 3/(8 ln 2)/12 · 4^−m of its power, and the two errors are independent.
    """
    return 2.0 * _ULP_MEAN_SQUARE / 12.0 * np.exp2(-2.0 * np.asarray(m_op, dtype=np.float64))


def accumulation_nmse(m_acc: npt.ArrayLike, n: npt.ArrayLike, chunk: npt.ArrayLike) -> Any:
    """First-order NMSE of a sum of ``n`` products, rounded to nearest in chunks of ``chunk``.

    ``chunk`` ≥ n is the plain sum. Both accumulators keep ``m_acc`` bits. Arrays broadcast.
    """
    length = np.asarray(n, dtype=np.float64)
    inner = np.minimum(np.asarray(chunk, dtype=np.float64), length)
    outer = np.ceil(length / inner)
    roundings = np.where(outer > 1, inner + outer, inner)
    return SUM_NOISE * roundings * np.exp2(-2.0 * np.asarray(m_acc, dtype=np.float64))
