"""The field types that layers and networks are made of: every value bounded, nothing coerced.

The bounds are far above any real network. They keep the products of sizes within what a float can
hold further down the chain, and make a hostile file end in one line.
"""

import reprlib
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

MAX_SIZE = 2**31  #: of a dimension, a channel count, a batch
MAX_PARAMETERS = 2**62
MAX_LAYERS = 100_000
MAX_NAME = 200  #: characters

#: what a layer and a network have in common: they do not change, and know their fields
FROZEN = ConfigDict(frozen=True, extra="forbid")


def printable(text: str) -> str:
    """The text itself, if it holds something to see and nothing that moves a cursor.

    >>> printable("layer1.0.conv1")
    'layer1.0.conv1'

    Raises:
        ValueError: the text is blank or holds a control or formatting character.
    """
    if not text.strip():
        raise ValueError(f"must not be blank, got {text!r}")
    if not text.isprintable():
        bad = next(character for character in text if not character.isprintable())
        raise ValueError(f"must be printable, got the character {bad!a}")
    return text


def whole(value: object, low: int) -> bool:
    """Whether the value is a whole number in ``low..MAX_SIZE``; a truth value is none.

    >>> whole(3, 1), whole(True, 1), whole(3.0, 1)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= MAX_SIZE


def pair_from(low: int) -> Callable[[object], tuple[int, int]]:
    """A validator that reads ``3`` and ``[3, 3]`` alike as ``(3, 3)``, each at least ``low``.

    >>> pair_from(1)([3, 5]), pair_from(0)(2)
    ((3, 5), (2, 2))
    """

    def pair(value: object) -> tuple[int, int]:
        parts = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        if len(parts) != 2 or not all(whole(part, low) for part in parts):
            raise ValueError(
                f"must be a whole number or a pair of them in {low}..{MAX_SIZE},"
                f" got {reprlib.repr(value)}"
            )
        return parts[0], parts[1]

    return pair


def as_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a field that a validator of :func:`pair_from` has read."""
    return value if isinstance(value, tuple) else (value, value)


def checked_batch(batch: int) -> int:
    """The batch itself, in samples, if it is a whole number in ``1..MAX_SIZE``.

    Raises:
        ValueError: it is not.
    """
    if not whole(batch, 1):
        raise ValueError(f"batch: must be a whole number in 1..{MAX_SIZE}, got {batch!r}")
    return batch


Size = Annotated[int, Field(strict=True, ge=1, le=MAX_SIZE)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[
    str, Field(strict=True, min_length=1, max_length=MAX_NAME), AfterValidator(printable)
]
Source = Annotated[
    str, Field(strict=True, min_length=1, max_length=2000), AfterValidator(printable)
]
Pair = Annotated[int | tuple[int, int], BeforeValidator(pair_from(1))]
Margin = Annotated[int | tuple[int, int], BeforeValidator(pair_from(0))]
