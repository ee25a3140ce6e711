"""Variance retention of a partial sum, as published by Sakr et al. (ICLR 2019).

"Accumulation Bit-Width Scaling for Ultra-Low Precision Training of Deep Networks", arXiv
1901.06588.

The published formulas, unchanged: Lemma 1 (full swamping), Theorem 1 (full and partial swamping),
the chunked corollary, sparsity, and the suitability test v(n) < 50. Notation of the paper:
``m_acc`` and ``m_p`` mantissa bits of accumulator and products, ``n`` accumulation length,
Q(x) = P(N(0, 1) > x), and

    q_i     = 2Q(2^m_acc/√i) (1 − 2Q(2^m_acc/√(i−1)))
    N_j     = 2^(m_acc−m_p+j+1)
    α_j     = (2^(m_acc−3m_p)/3) Σ_{l=1}^{j−1} 2^l (2^l − 1)(2^(l+1) − 1),     α = α_{m_p+1}
    q'_j    = N_{j−1} 2Q(2^(m_acc−m_p+j−1)/√n) (1 − 2Q(2^(m_acc−m_p+j)/√n)),   j = 2..m_p
    k3      = 1 − 2Q(2^(m_acc−m_p+1)/√n)
    VRR     = [Σ_{i=2}^{n−1} (i−α) 1{i>α} q_i + Σ_j (n−α_j) 1{n>α_j} q'_j + n k3] / (k n)

where k is the sum of the same weights without the factors (i−α), (n−α_j) and n. Two steps make it
fast and exact. Subtracting the numerator from k n cancels nothing if it is done term by term:

    1 − VRR = [Σ_{i>α} (n−i+α) q_i + Σ_j α_j 1{n>α_j} q'_j] / (k n)

and the long sums are cut into runs of a power of two of terms, each summed by the Gauss rule of the
*discrete* uniform measure (Gram polynomials), so that n terms cost O(log n).

What the paper leaves open, and how it is read here:

* the chunked width is accepted stage by stage: v < 50 inside a chunk (n1) and between chunks (n2);
* a density (non-zero ratio) shortens the accumulation to ⌈density·n⌉;
* the bit growth inside a chunk is ⌊log2 n1⌋.

The formula is odd in one place: at n ≈ 3·10^6 (m_p = 5) a 16th bit buys almost nothing over the
15th, because the partial-swamping term of stage 1 barely falls. Just above n = 2164319, where 16
bits end, 15 bits are even accepted to 2245379. It is what is published, and kept; the least width
is the first that is accepted.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, vectorize
from scipy.linalg import eigh_tridiagonal

#: v(n) below which the paper accepts a width (its section 4)
CUTOFF = 50.0
#: lengths and widths beyond which float64 cannot tell neighbouring terms apart
MAX_LENGTH = 2**40
MAX_BITS = 60

_NODES = 16
_LEVELS = 41

IntLike = int | npt.ArrayLike
Floats = npt.NDArray[np.float64]


def _gram_rule(length: int) -> tuple[Floats, Floats]:
    """Gauss rule of 16 nodes for Σ_{i=0}^{L−1} f(i), nodes counted from the middle of the run.

    Golub-Welsch on the Jacobi matrix of the Gram (discrete Chebyshev) polynomials, whose squared
    off-diagonal entries are k²(L²−k²) / (4(4k²−1)).
    """
    k = np.arange(1, _NODES, dtype=np.float64)
    off_diagonal = np.sqrt(k**2 * (float(length) ** 2 - k**2) / (4 * (4 * k**2 - 1)))
    nodes, vectors = eigh_tridiagonal(np.zeros(_NODES), off_diagonal)
    return nodes.astype(np.float64), length * np.asarray(vectors, dtype=np.float64)[0] ** 2


_RULES = [_gram_rule(2**level) for level in range(5, _LEVELS)]
_RULE_NODES = np.array([nodes for nodes, _ in _RULES])
_RULE_WEIGHTS = np.array([weights for _, weights in _RULES])


@njit(cache=True)
def _q(i: float, swamp: float) -> float:
    """q_i, with ``swamp`` = 2^m_acc/√2 so that 2Q(x) is a plain erfc."""
    return math.erfc(swamp / math.sqrt(i)) * math.erf(swamp / math.sqrt(i - 1.0))


@njit(cache=True)
def _run_level(first: int, end: int, n: int) -> int:
    """log2 of the longest run that may end before ``end`` and still be smooth for the rule.

    Not longer than its distance to n (near n, q_i falls like a geometric series) nor than a quarter
    of its own position. Below 32 terms, 0: the terms are summed one by one.
    """
    level = 0
    length = 32
    while length <= min(end - first, n - end, (end - length) // 4):
        level += 1
        length *= 2
    return level


@njit(cache=True)
def _full_swamping_sums(swamp: float, n: int, alpha: float) -> tuple[float, float]:
    """Σ (n−i+α) q_i and Σ q_i over max(2, ⌊α⌋+1) ≤ i ≤ n−1, from n downwards."""
    lost = 0.0
    mass = 0.0
    first = max(2, math.floor(min(alpha, float(n))) + 1)
    end = n
    while end > first:
        level = _run_level(first, end, n)
        before = mass
        if level == 0:
            start = max(first, end - 16)
            for i in range(start, end):
                weight = _q(float(i), swamp)
                lost += (n - i + alpha) * weight
                mass += weight
        else:
            start = end - 16 * 2**level
            middle = 0.5 * (start + end - 1)
            for node in range(_NODES):
                i = middle + _RULE_NODES[level - 1, node]
                weight = _RULE_WEIGHTS[level - 1, node] * _q(i, swamp)
                lost += (n - i + alpha) * weight
                mass += weight
        # q_i falls faster than any power of i once 2^m_acc > √i: what is left cannot be seen
        if swamp * swamp > 40.0 * end and mass - before < 1e-18 * mass:
            break
        end = start
    return lost, mass


@njit(cache=True)
def _lost(m_acc: int, m_p: int, n: int, partial: bool) -> float:
    """1 − VRR; ``partial`` tells Theorem 1 from Lemma 1 (which is m_p = 1 with every α = 0)."""
    if n < 2:
        return 0.0
    root = math.sqrt(2.0 * n)
    alpha = 0.0
    partial_lost = 0.0
    mass = math.erf(2.0 ** (m_acc - m_p + 1) / root)  # k3
    if partial:
        # divided by 3 last: every partial sum is a multiple of it, so α is exact and i > α is too
        unit = 2.0 ** (m_acc - 3 * m_p)
        thrice = 0.0
        for j in range(1, m_p + 1):
            if j > 1 and n > alpha:
                edge = 2.0 ** (m_acc - m_p + j)
                weight = edge * math.erfc(0.5 * edge / root) * math.erf(edge / root)
                partial_lost += alpha * weight
                mass += weight
            thrice += 2.0**j * (2.0**j - 1.0) * (2.0 ** (j + 1) - 1.0)
            alpha = unit * (thrice / 3.0)
    full_lost, full_mass = _full_swamping_sums(2.0**m_acc / math.sqrt(2.0), n, alpha)
    return (full_lost + partial_lost) / ((full_mass + mass) * n)


@vectorize(["float64(int64, int64, int64)"], cache=True)
def _theorem(m_acc: int, m_p: int, n: int) -> float:
    return _lost(m_acc, m_p, n, True)


@vectorize(["float64(int64, int64)"], cache=True)
def _lemma(m_acc: int, n: int) -> float:
    return _lost(m_acc, 1, n, False)


def _integers(name: str, value: IntLike, least: int, most: int) -> npt.NDArray[np.int64]:
    array = np.asarray(value)
    if array.dtype.kind == "O" and isinstance(value, int):  # beyond any integer of numpy
        raise ValueError(f"{name} must be in {least}..{most}, got {value}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    outside = (array < least) | (array > most)
    if np.any(outside):
        raise ValueError(f"{name} must be in {least}..{most}, got {array[outside].flat[0]}")
    return array.astype(np.int64)


def _widths(m_acc: IntLike) -> npt.NDArray[np.int64]:
    return _integers("m_acc (accumulator mantissa bits)", m_acc, 1, MAX_BITS)


def _lengths(n: IntLike) -> npt.NDArray[np.int64]:
    return _integers("n (accumulation length)", n, 1, MAX_LENGTH)


def _products(m_p: IntLike) -> npt.NDArray[np.int64]:
    return _integers("m_p (product mantissa bits)", m_p, 1, MAX_BITS)


def _chunks(chunk: IntLike) -> npt.NDArray[np.int64]:
    return _integers("chunk (products per inner sum)", chunk, 1, MAX_LENGTH)


def variance_retention_full_swamping(m_acc: IntLike, n: IntLike) -> Any:
    """VRR when only full swamping loses anything: Lemma 1. Arrays broadcast.

    >>> variance_retention_full_swamping([8, 9], 1).tolist()
    [1.0, 1.0]
    """
    return 1.0 - _lemma(_widths(m_acc), _lengths(n))


def variance_retention(m_acc: IntLike, m_p: IntLike, n: IntLike) -> Any:
    """VRR = Var(computed sum)/Var(exact sum), in (0, 1]: Theorem 1. Arrays broadcast.

    >>> variance_retention([8, 9], 5, 1).tolist()
    [1.0, 1.0]

    Raises:
        ValueError: m_acc or m_p not in 1..60, or n not in 1..2^40.
        TypeError: one of them is not an integer.
    """
    return 1.0 - _theorem(_widths(m_acc), _products(m_p), _lengths(n))


def _stages(
    m_acc: npt.NDArray[np.int64],
    m_p: npt.NDArray[np.int64],
    n: npt.NDArray[np.int64],
    chunk: npt.NDArray[np.int64],
    density: float,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """(length, 1 − VRR) of the inner and of the outer accumulation."""
    inner = np.minimum(chunk, n)
    outer = -(-n // inner)
    dense = np.ceil(density * inner).astype(np.int64)
    growth = np.floor(np.log2(dense)).astype(np.int64)
    return (
        (dense, _theorem(m_acc, m_p, dense)),
        (outer, _theorem(m_acc, np.minimum(m_acc, m_p + growth), outer)),
    )


def variance_retention_chunked(
    m_acc: IntLike, m_p: IntLike, n: IntLike, chunk: IntLike, *, density: float = 1.0
) -> Any:
    """VRR of n1 = chunk products per inner sum and n2 = ⌈n/n1⌉ inner sums: the chunked corollary.

    VRR(m_acc, m_p, n1) · VRR(m_acc, min(m_acc, m_p + ⌊log2 n1⌋), n2). A chunk of n or more is the
    plain form. Arrays broadcast; raises as :func:`variance_retention`.
    """
    check_density(density)
    (_, inner), (_, outer) = _stages(
        _widths(m_acc), _products(m_p), _lengths(n), _chunks(chunk), density
    )
    return (1.0 - inner) * (1.0 - outer)


def log_variance_lost(m_acc: IntLike, m_p: IntLike, n: IntLike) -> Any:
    """ln v(n) = n (1 − VRR), the logarithm of the paper's normalised exponential variance lost."""
    lengths = _lengths(n)
    return lengths * _theorem(_widths(m_acc), _products(m_p), lengths)


def log_variance_lost_chunked(
    m_acc: IntLike, m_p: IntLike, n: IntLike, chunk: IntLike, *, density: float = 1.0
) -> Any:
    """The larger ln v of the two stages of a chunked sum; taking them one by one is our reading.

    With chunk ≥ n there is one stage, of ⌈density·n⌉ products. Arrays broadcast.
    """
    check_density(density)
    (n1, inner), (n2, outer) = _stages(
        _widths(m_acc), _products(m_p), _lengths(n), _chunks(chunk), density
    )
    return np.maximum(n1 * inner, n2 * outer)


def check_sum(n: int, m_p: int, chunk: int | None, density: float) -> None:
    """Raise ValueError or TypeError unless these describe a sum."""
    _lengths(n), _products(m_p), _chunks(n if chunk is None else chunk)
    check_density(density)


def check_density(density: float) -> None:
    """Raise ValueError unless ``density`` is in (0, 1]."""
    if not 0.0 < density <= 1.0:
        raise ValueError(f"density (share of non-zero products) must be in (0, 1], got {density}")


def check_cutoff(cutoff: float) -> None:
    """Raise ValueError unless ``cutoff`` is finite and above 1 (v(n) never falls below 1)."""
    if not 1.0 < cutoff < math.inf:
        raise ValueError(f"cutoff on v(n) must be a finite number above 1, got {cutoff}")
