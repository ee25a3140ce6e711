"""The random bits of an array's stochastic rounding, compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from analysis.draws import ARRAY, HALF_BITS, Stream
from analysis.emulation.draws import mix32, places, turns


@njit(cache=True, nogil=True)
def _mix(words: Any, place: Any) -> None:
    for i in range(words.size):
        words[i] = mix32(np.uint32(words[i] + place))


def array_bits(stream: Stream, first: int, count: int, bits: int, odd: bool) -> npt.NDArray[Any]:
    """(count,) random uint16 or uint32 that begin with the draws of elements number ``first`` on.

    A draw is as of :func:`analysis.draws.draw`, without the bit that an ``odd`` one has set.

    >>> from analysis.draws import draw
    >>> drawn = array_bits(Stream(7), first=3, count=2, bits=8, odd=False) >> 8
    >>> drawn.tolist() == [draw(Stream(7), ARRAY, step, 8, odd=False).value for step in (3, 4)]
    True
    """
    halves = int(not odd and bits <= HALF_BITS)  # two elements share a word
    step = stream.step + first
    counter, part = step >> halves, step & halves
    counters = (step + count - 1 >> halves) - counter + 1
    words: npt.NDArray[Any] = turns(stream.seed, ARRAY, stream.row, 1, counter, counters)[0]
    _mix(words, places(stream.seed, ARRAY, stream.column, 1)[0])
    if not halves:
        return words
    return words.astype("<u4", copy=False).view("<u2")[part : part + count]
