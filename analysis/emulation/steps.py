"""One addition of an accumulator, as a choice of machine operations: the vocabulary of the kernels.

``tile.py`` emits a step, ``ways.py`` proves which one is exact for given data and fills in its
words. A step is passed to compiled code as a type, so each is compiled once, and cached on disk,
for all formats; what depends on the format is in its :class:`Word`.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import types
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox


class Lane(StrEnum):
    """What carries a sum."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Method(StrEnum):
    """How s + p is brought to the accumulator's grid."""

    PLAIN = "plain"  #: the lane's own rounding is the accumulator's, or nothing is ever rounded
    MAGIC = "magic"  #: add and subtract 1.5·2^(F − 1 − m) ulps
    SIGNED_MAGIC = "signed-magic"  #: the same with the sign of s + p, for rounding toward zero
    ODD_MAGIC = "odd-magic"  #: s + p rounded to odd first
    MASK = "mask"  #: drop the low bits
    AWAY = "away"  #: add half an ulp, drop the low bits
    RANDOM = "random"  #: add random bits below the ulp, drop the low bits


class Mode(IntEnum):
    """The rounding mode the lane's unit is in (the codes of C's FLT_ROUNDS, and LLVM's)."""

    TOWARD_ZERO = 0
    NEAREST = 1
    UP = 2
    DOWN = 3


class Draws(StrEnum):
    """Which bits of the hash a random step takes."""

    NONE = "none"
    PAIRED = "paired"  #: half a word a step, two steps at once
    HALF = "half"  #: half a word a step, one step at a time
    WHOLE = "whole"  #: a word a step


@dataclass(frozen=True, slots=True)
class Step:
    """The machine operations of one addition."""

    lane: Lane
    method: Method
    floor: bool = False  #: raise the binade to emin: the products reach below the subnormals' grid
    clamp: bool = False  #: saturate: the sums may leave the range
    draws: Draws = Draws.NONE


class Word(IntEnum):
    """Where a format's constants stand in the words of a step."""

    EXPONENT = 0  #: mask of the exponent field
    MAGIC = 1  #: 1.5·2^(F − 1 − m), a float
    FLOOR = 2  #: 2^emin, a float
    LARGEST = 3  #: a float
    KEEP = 4  #: mask of the bits kept
    HALF = 5  #: half an ulp's bit
    SHIFT_EVEN = 6  #: to the right, of the hash at an even step (to the left, around, if paired)
    SHIFT_ODD = 7  #: ... at an odd one
    RANDOM = 8  #: mask of the random bits after the shift
    ONES = 9  #: bits set beside them
    PLACE = 10  #: to the left, to where they are added
    SIGN = 11  #: mask of the sign


_HERE = Path(__file__).parent
_SOURCES = ["steps.py", "emitter.py", "tile.py", "draws.py", "../draws.py"]
#: of what kernels are made from: numba looks for changes only where a kernel is defined, and would
#: take one that is cached on disk for one that another text emits
_DIGEST = sha256(b"".join((_HERE / name).read_bytes() for name in _SOURCES)).hexdigest()[:12]


class StepType(types.Type):
    """A step as numba sees it: a type without a value."""

    def __init__(self, step: Step) -> None:
        self.step = step
        super().__init__(name=f"Step({', '.join(map(str, _fields(step)))}, {_DIGEST})")


def _fields(step: Step) -> tuple[Any, ...]:
    return (step.lane, step.method, step.floor, step.clamp, step.draws)


_type_of = cache(StepType)


@typeof_impl.register(Step)
def _typeof_step(step: Step, _context: Any) -> StepType:
    return _type_of(step)


register_model(StepType)(models.OpaqueModel)


@unbox(StepType)
def _unbox_step(_type: Any, _value: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())
