"""How a sum is best cut: the chunk, and the number of levels, that needs the fewest bits.

A sum of n products is cut into levels of n_1, n_2, … n_k terms, Π n_i ≥ n: n_1 products a chunk,
n_2 chunk sums, and so on; (n,) is the plain sum. What width a cut needs is said by a
:class:`Requirement`, as a real number of mantissa bits, so that the flat optimum can be seen:
between two whole widths the logarithm of what is limited is taken as linear.

To first order n_i = n^(1/k) is the best cut, and chunks of ρ√n instead of √n cost
½ log2((ρ + 1/ρ)/2) bits: half a bit at ρ = 2 + √3 (:mod:`analysis.noise_laws`). The optimum is that
of the error bound of blocked sums, (n_1 + n/n_1) u, which Wang et al. chunk for (NeurIPS 2018,
arXiv 1812.08011).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from analysis.distributions import Products
from analysis.formats import MAX_MANTISSA_BITS, Accumulator
from analysis.noise import predict
from analysis.noise_laws import NoiseLaw, check_budget
from analysis.retention import CUTOFF, MAX_BITS, check_cutoff, log_variance_lost

#: least excess that a logarithm is taken of
_TINY = 1e-300


class Requirement(Protocol):
    """What a sum must fulfil."""

    def bits(self, lengths: tuple[int, ...]) -> float:
        """Least mantissa bits at every level of so many terms, innermost first; a real number."""


@dataclass(frozen=True, slots=True)
class ByTheorem:
    """v < cutoff at every level, as published (:mod:`analysis.retention`).

    The terms of a level have ⌊log2 of the products in each⌋ more mantissa bits than a product, but
    no more than the accumulator: the chunked corollary, applied again at every level.
    """

    m_p: int  #: mantissa bits of a product
    cutoff: float = CUTOFF

    def __post_init__(self) -> None:
        check_cutoff(self.cutoff)

    def bits(self, lengths: tuple[int, ...]) -> float:
        """Least m_acc.

        Raises:
            ValueError: no width up to 60 bits suffices.
        """
        return _crossing(
            lambda m_acc: self._log_lost(m_acc, lengths), math.log(self.cutoff), MAX_BITS
        )

    def _log_lost(self, m_acc: int, lengths: tuple[int, ...]) -> float:
        lost, within = 0.0, 1
        for length in lengths:
            m_p = self.m_p if within == 1 else min(m_acc, self.m_p + within.bit_length() - 1)
            lost = max(lost, float(log_variance_lost(m_acc, m_p, length)))
            within *= length
        return lost


@dataclass(frozen=True, slots=True)
class ByNoiseLaw:
    """NMSE ≤ budget to first order (:mod:`analysis.noise_laws`)."""

    law: NoiseLaw
    budget: float

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def bits(self, lengths: tuple[int, ...]) -> float:
        """Least mantissa bits, in closed form."""
        return self.law.bits(self.budget, lengths)


@dataclass(frozen=True, slots=True)
class ByPrediction:
    """NMSE ≤ budget of the real accumulator, by :func:`analysis.noise.predict`.

    Its rounding and order are kept, width and chunk vary. An outer accumulator of its own is kept
    as it is: then only the inner width counts, and the shorter the chunk the better.
    """

    accumulator: Accumulator
    products: Products
    budget: float

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def bits(self, lengths: tuple[int, ...]) -> float:
        """Least mantissa bits of one or two levels.

        Raises:
            ValueError: three levels or more; no width suffices.
        """
        if len(lengths) > 2:
            raise ValueError(f"prediction: at most two levels, got {len(lengths)}")
        n = math.prod(lengths)
        return _crossing(
            lambda bits: predict(self._cut(bits, lengths), self.products, n).nmse,
            self.budget,
            MAX_MANTISSA_BITS,
        )

    def _cut(self, bits: int, lengths: tuple[int, ...]) -> Accumulator:
        narrow = self.accumulator.with_mantissa(bits)
        if len(lengths) == 1:
            return replace(narrow, chunk=None)
        return replace(narrow, chunk=lengths[0], outer=self.accumulator.outer)


def _crossing(excess: Callable[[int], float], limit: float, most: int) -> float:
    """Width, 1 at least, where log ``excess``, linear between widths, falls to ``limit``."""
    before = math.nan
    for bits in range(1, most + 1):
        above = math.log(max(excess(bits), _TINY) / limit)
        if above <= 0.0:
            return 1.0 if bits == 1 else bits - 1 + before / (before - above)
        before = above
    raise ValueError(f"requirement: no width up to {most} bits comes down to {limit:g}")


@dataclass(frozen=True, slots=True)
class Cut:
    """A sum in levels, and the width that it needs."""

    lengths: tuple[int, ...]  #: terms of each level, innermost first
    bits: float  #: least mantissa bits, a real number

    @property
    def chunk(self) -> int:
        """Products of an innermost sum."""
        return self.lengths[0]

    @property
    def whole_bits(self) -> int:
        """Least mantissa bits that can be built."""
        return max(1, math.ceil(self.bits))


@dataclass(frozen=True, slots=True)
class ChunkAdvice:
    """Least bits along the chunks of a sum of ``n`` products."""

    n: int
    curve: tuple[Cut, ...]  #: by chunk; the last is the plain sum

    @property
    def plain(self) -> Cut:
        """Without chunks."""
        return self.curve[-1]

    @property
    def best(self) -> Cut:
        """The cut of fewest bits, and of the longest chunk among equals: it sums least often."""
        return min(reversed(self.curve), key=lambda cut: cut.bits)

    @property
    def same_width(self) -> tuple[int, int]:
        """Least and most chunk of the curve, around the best, that need no whole bit more."""
        at = self.curve.index(self.best)
        low = high = at
        while low > 0 and self.curve[low - 1].whole_bits <= self.best.whole_bits:
            low -= 1
        while (
            high + 1 < len(self.curve) and self.curve[high + 1].whole_bits <= self.best.whole_bits
        ):
            high += 1
        return self.curve[low].chunk, self.curve[high].chunk


def chunk_curve(n: int, requirement: Requirement) -> ChunkAdvice:
    """Least bits of a sum of ``n`` products in chunks of 2 and more, √2 apart, and of √n.

    >>> from analysis.noise_laws import Rounding, noise_law
    >>> advice = chunk_curve(4096, ByNoiseLaw(noise_law(Rounding.NEAREST_EVEN), 1e-3))
    >>> advice.best.chunk, advice.best.whole_bits, advice.plain.whole_bits, advice.same_width
    (64, 6, 9, (32, 128))

    Raises:
        ValueError: n below 2.
    """
    if n < 2:
        raise ValueError(f"chunks: n (accumulation length) must be at least 2, got {n}")
    halves = range(2, 2 * n.bit_length())
    sizes = {round(2.0 ** (half / 2)) for half in halves} | {math.isqrt(n - 1) + 1}
    cuts = [(chunk, -(-n // chunk)) for chunk in sorted(sizes) if 1 < chunk < n]
    return ChunkAdvice(n, tuple(Cut(one, requirement.bits(one)) for one in (*cuts, (n,))))


def level_lengths(n: int, levels: int) -> tuple[int, ...]:
    """``levels`` nearly equal lengths that hold ``n`` products.

    >>> level_lengths(4096, 3), level_lengths(1000, 2)
    ((16, 16, 16), (32, 32))

    Raises:
        ValueError: n or the number of levels is below 1.
    """
    if n < 1 or levels < 1:
        raise ValueError(f"levels: n and their number must be at least 1, got {n} and {levels}")
    lengths = []
    for left in range(levels, 0, -1):
        length = max(1, math.ceil(n ** (1.0 / left) - 1e-9))
        lengths.append(length)
        n = -(-n // length)
    return tuple(lengths)


def level_curve(n: int, requirement: Requirement, *, most: int = 4) -> tuple[Cut, ...]:
    """Least bits in 1, 2, … ``most`` equal levels.

    First-order noise goes as k n^(1/k), least at k = ln n; but it holds for long levels only.
    """
    lengths = (level_lengths(n, levels) for levels in range(1, most + 1))
    return tuple(Cut(one, requirement.bits(one)) for one in lengths)
