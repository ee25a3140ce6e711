"""The draws of a stochastic rounding, for a panel of lanes at one step."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from analysis.draws import HALF_BITS, Stream, side_key
from analysis.emulation.draws import GOLDEN64, mix32, mix64
from analysis.formats import Accumulator, Rounding

_MASK64 = (1 << 64) - 1
_UPPER = np.uint64(32)
_HALF, _NONE = np.uint32(HALF_BITS), np.uint32(0)


class Chance(NamedTuple):
    """Where a level's draws come from: words of :mod:`analysis.draws`, a column to a lane.

    A lane rounds up from a rest of ``base`` − (word >> shift) ``unit``, which is 1 − draw/2^bits.
    """

    drawn: bool  #: whether the rounding is stochastic
    key: np.uint64  #: of all rows
    row: np.uint64
    counter: np.uint64  #: of the first step
    part: int  #: the half of that word with which it begins
    parts: int  #: draws to a word
    shift: np.uint32
    unit: float
    base: float


def chance_of(accumulator: Accumulator, stream: Stream | None, level: int, step: int) -> Chance:
    """The draws of one accumulator, without its outer one, whose first step has number ``step``.

    Raises:
        ValueError: stochastic rounding without a stream.
    """
    drawn = accumulator.rounding is Rounding.STOCHASTIC
    if drawn and stream is None:
        raise ValueError("matmul: stochastic rounding needs rng, a seed or a Stream, got None")
    place = stream or Stream(0)
    bits = accumulator.cut_bits if drawn else HALF_BITS
    odd = accumulator.random_bits is None
    parts = 1 if odd or bits > HALF_BITS else 2
    return Chance(
        drawn,
        np.uint64(side_key(place.seed, level, 0)),
        np.uint64(place.row & _MASK64),
        np.uint64(step // parts & _MASK64),
        step % parts,
        parts,
        np.uint32(32 + odd - bits),
        2.0 ** (odd - bits),
        1.0 - odd * 2.0**-bits,
    )


@njit(cache=True)
def turn(chance: Any, row: Any, step: Any) -> Any:
    """The part of the words that all lanes share, and how far they are shifted up."""
    number = chance.part + step
    row_key = mix64(chance.key + (chance.row + np.uint64(row)) * GOLDEN64)
    counter = chance.counter + np.uint64(number >> (chance.parts - 1))
    low_half = (chance.parts == 2) & (number & 1 == 0)
    return np.uint32(mix64(row_key + counter * GOLDEN64) >> _UPPER), _HALF if low_half else _NONE


@njit(cache=True)
def threshold(shared: Any, up: Any, place: Any, chance: Any) -> Any:
    """The rest from which a lane rounds up."""
    word = np.uint32(mix32(np.uint32(shared + place)) << up)
    return chance.base - np.float64(np.uint32(word >> chance.shift)) * chance.unit
