"""Random numbers by counting: what a stochastic rounding draws depends on where it stands.

The draw of a step is a function of (seed, level, row, column, step) and nothing else, so threads,
tiles and the split of a batch cannot change it. ``level`` is 0 for the inner sum, 1 for the outer
one and 2 for arrays that are quantised.

Two 64-bit hashes, one of (seed, level, row, counter) and one of (seed, level, column), are cheap
because a GEMM needs them only once for each pair; the 32-bit mix of their sum is what every lane
computes. The 64-bit finaliser is variant 13 of Stafford's ("Better bit mixing", 2011), used with
the golden-ratio increment as in SplitMix64 (Steele, Lea and Flood, OOPSLA 2014); the 32-bit one is
Wellons' "lowbias32" with the constants found by TheIronBorn (hash-prospector, 2019).

A draw of up to 16 bits is the top of half a word: an even step takes the low half of the word of
counter step/2, an odd one the high half. Longer draws take the word of counter = step.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MIX64 = (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31)
MIX32 = (16, 0x21F0AAAD, 15, 0x735A2D97, 15)
INNER, OUTER, ARRAY = 0, 1, 2  #: levels
HALF_BITS = 16
_MASK64 = (1 << 64) - 1
_MASK32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Stream:
    """A seed, and where in the whole result and sum this call's first row, column, step lie.

    >>> Stream(7).at(row=128) == Stream(7, row=128)
    True

    Raises:
        ValueError: the seed does not fit 64 bits, or a place is negative.
    """

    seed: int
    row: int = 0
    column: int = 0
    step: int = 0  #: products that came before

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= _MASK64:
            raise ValueError(f"stream: seed must be in 0..2^64 - 1, got {self.seed}")
        if min(self.row, self.column, self.step) < 0:
            raise ValueError(f"stream: places must not be negative, got {self}")

    def at(self, row: int = 0, column: int = 0, step: int = 0) -> "Stream":
        """The stream of a piece that begins so far into this one."""
        return replace(self, row=self.row + row, column=self.column + column, step=self.step + step)


def stream_of(rng: "Stream | np.random.Generator | int") -> Stream:
    """The stream that ``rng`` stands for: itself, its seed, or a seed drawn from a generator.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(rng, Stream):
        return rng
    if isinstance(rng, np.random.Generator):
        return Stream(int(rng.integers(2**63)))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
        return Stream(int(rng))
    raise TypeError(f"rng must be a seed, a numpy.random.Generator or a Stream, got {rng!r}")


class Draw(NamedTuple):
    """A random integer in 0..2^bits − 1."""

    bits: int
    value: int


def mix64(x: int) -> int:
    """Stafford's variant 13, on 64 bits."""
    a, first, b, second, c = MIX64
    x = (x ^ (x >> a)) * first & _MASK64
    x = (x ^ (x >> b)) * second & _MASK64
    return x ^ (x >> c)


def mix32(x: int) -> int:
    """Three xor-shifts and two multiplications, on 32 bits."""
    a, first, b, second, c = MIX32
    x = (x ^ (x >> a)) * first & _MASK32
    x = (x ^ (x >> b)) * second & _MASK32
    return x ^ (x >> c)


def side_key(seed: int, level: int, side: int) -> int:
    """The 64-bit key of all rows (side 0) or columns (side 1) of a level."""
    return mix64(mix64(seed) + (2 * level + side + 1) * GOLDEN & _MASK64)


def word(seed: int, level: int, row: int, column: int, counter: int) -> int:
    """32 random bits of one output at one count."""
    row_key = mix64(side_key(seed, level, 0) + row * GOLDEN & _MASK64)
    turn = mix64(row_key + counter * GOLDEN & _MASK64) >> 32
    place = mix64(side_key(seed, level, 1) + column * GOLDEN & _MASK64) >> 32
    return mix32(turn + place & _MASK32)


def draw(stream: Stream, level: int, step: int, bits: int, odd: bool) -> Draw:
    """The draw of ``bits`` bits at ``step`` of the output (stream.row, stream.column).

    An ``odd`` one, as the ideal rounding takes, has one bit more, which is set.
    """
    place = (stream.seed, level, stream.row, stream.column)
    if odd:
        return Draw(bits, 2 * (word(*place, step) >> (33 - bits)) + 1)
    if bits > HALF_BITS:
        return Draw(bits, word(*place, step) >> (32 - bits))
    half = word(*place, step // 2) >> (HALF_BITS * (step % 2)) & 0xFFFF
    return Draw(bits, half >> (HALF_BITS - bits))
