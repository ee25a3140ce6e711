"""Short sums, added up term by term on a fixed sample of paths.

What the theory of long sums leaves out matters where a sum ends after some dozens of terms: heavy
tails and zeros among the products, the low bits that they leave in the sum, the first terms. So the
error of such a sum is a quadrature over its terms. Step t of path i takes the product of rank
π_t(i), where each π_t is a pseudo-random permutation: a Latin hypercube, in which every step sees
the whole distribution once (McKay, Beckman and Conover, Technometrics 21(2), 1979). With N paths an
error of variance v has its mean to √(v/N), and its square to about √(2/N) of v.

A float64 x is rounded to m fraction bits as an integer: with w = 52 − m bits to drop, all
roundings are (x + a) with w bits cleared, where a is 0 toward zero, 2^w − 1 away from it, 2^(w−1)
to nearest (less one where x is even, for ties), and uniform below 2^w by chance.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.increments import AWAY, BY_CHANCE, DOWN, EVEN, UP, Floats, Rule, jit

FEW = 8
#: paths at least, and roundings of one width up to which there are more of them
PATHS, _ROUNDINGS, _MOST_PATHS = 1 << 12, 1 << 22, 1 << 17
_BLOCK = 512  #: of paths that stay in the cache


@jit
def _mixed(i: int, key: int, bits: int) -> int:
    """A permutation of 0..2^bits − 1: odd factors and shifts to the right are one to one."""
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    for _ in range(2):
        key = key * 6364136223846793005 + 1442695040888963407
        i = (i * ((key >> 20) | 1) + (key >> 40)) & mask
        i ^= i >> half
    return i


@jit
def _draw(terms: Floats, step: int, start: int, bits: int, p: Floats, chances: Any) -> None:
    """Products of one step of a block of paths, and 52 random bits each."""
    for k in range(p.size):
        rank = _mixed(start + k, 2 * step + 1, bits)
        p[k] = terms[(rank * terms.size) >> bits]
    for k in range(p.size):
        rank = _mixed(start + k, 2 * step + 2, bits)
        chances[k] = (rank << (52 - bits)) | (1 << (51 - bits))


@jit
def _added(
    s: Floats, e: Floats, p: Floats, chances: Any, width: int, rule: int, level_bits: int
) -> None:
    """s ← round(s + p), e ← e + its error."""
    x = s + p
    whole = x.view(np.int64)
    drop = 52 - width
    mask, half = (np.int64(1) << drop) - 1, np.int64(1) << (drop - 1)
    for k in range(x.size):
        add = np.int64(0)
        if rule == EVEN:
            add = half - 1 + ((whole[k] >> drop) & 1)
        elif rule == AWAY:
            add = half
        elif rule == UP:
            add = np.int64(0) if whole[k] < 0 else mask
        elif rule == DOWN:
            add = mask if whole[k] < 0 else np.int64(0)
        elif rule == BY_CHANCE:
            add = chances[k] >> width
            if level_bits >= 0:
                add = (chances[k] >> (52 - level_bits)) << (drop - level_bits)
        whole[k] = (whole[k] + add) & ~mask
    for k in range(x.size):
        e[k] += x[k] - (s[k] + p[k])
        s[k] = x[k]


def rounded_sum(
    x: Floats, y: Floats, chances: Floats, width: int, rule: Rule
) -> tuple[Floats, Floats]:
    """x + y rounded to ``width`` fraction bits, and the errors; ``chances`` in 0..1."""
    s, e = x.copy(), np.zeros_like(x)
    whole = (chances * 2.0**52).astype(np.int64)
    _added(s, e, y, whole, width, rule.code, _level_bits(rule))
    return s, e


def _level_bits(rule: Rule) -> int:
    """Random bits, −1 if ideal."""
    return rule.levels.bit_length() - 1


@jit
def _paths(
    terms: Floats, n: int, bits: int, widths: Any, rule: int, level_bits: int
) -> tuple[Floats, Floats]:
    """Computed sums and their errors, (widths, paths)."""
    count = 1 << bits
    sums, errors = np.zeros((widths.size, count)), np.zeros((widths.size, count))
    p, chances = np.zeros(_BLOCK), np.zeros(_BLOCK, np.int64)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        for step in range(n):
            _draw(terms, step, start, bits, p, chances)
            for i in range(widths.size):
                _added(sums[i, block], errors[i, block], p, chances, widths[i], rule, level_bits)
    return sums, errors


@dataclass(frozen=True, slots=True, eq=False)
class ShortSum:
    """A sample of computed sums, in ascending order, and what is known of them and their errors."""

    values: Floats
    moments: Floats  #: E[s], Var s, E[e], Var e and Cov(s, e)


def _short_sum(s: Floats, e: Floats, mean: float, variance: float) -> ShortSum:
    """The mean and variance of exact sums are known; those of the sample only correlate."""
    joint = np.cov(s - e, e, ddof=0)
    noise, lean = float(joint[1, 1]), float(joint[0, 1])
    square = float(e.mean()) ** 2 - noise / e.size  # of a mean error, without the sample's own
    error = math.copysign(math.sqrt(max(square, 0.0)), float(e.mean()))
    moments = [mean + error, variance + 2.0 * lean + noise, error, noise, lean + noise]
    return ShortSum(np.sort(s), np.array(moments))


def paths_of(n: int) -> int:
    """How many paths of ``n`` terms are taken.

    >>> [paths_of(n) for n in (8, 32, 128, 4096)]
    [131072, 131072, 32768, 4096]
    """
    return min(max(PATHS, 1 << (_ROUNDINGS // n).bit_length() - 1), _MOST_PATHS)


def short_sums(
    terms: Floats, widths: tuple[int, ...], rule: Rule, n: int, paths: int | None = None
) -> tuple[ShortSum, ...]:
    """Sums of ``n`` of the ``terms`` at several widths; ``paths``: a power of two."""
    bits = (paths_of(n) if paths is None else paths).bit_length() - 1
    found = _paths(np.sort(terms), n, bits, np.array(widths), rule.code, _level_bits(rule))
    mean, variance = n * float(terms.mean()), n * float(terms.var())
    return tuple(_short_sum(s, e, mean, variance) for s, e in zip(*found, strict=True))
