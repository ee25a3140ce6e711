"""A point: one block of ``rtl/`` at one choice of its parameters, and the sources it is made of."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from models.accelerator.synthesis.flow import Design, Effort

RTL = Path(__file__).parent / "rtl"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One block of ``rtl/`` at one choice of its parameters."""

    block: str
    parameters: tuple[tuple[str, int], ...]
    effort: str = Effort.RELAXED.name

    @property
    def values(self) -> dict[str, int]:
        """The parameters by name."""
        return dict(self.parameters)

    @property
    def design(self) -> Design:
        """What is given to the tools."""
        clock = "clk" if _has_clock(self.block) else None
        return Design(self.block, self.parameters, sources(self.block), clock)


def sources(block: str) -> tuple[Path, ...]:
    """The block's file and those of all modules that it instantiates, directly or not."""
    found: dict[str, Path] = {}
    pending = [block]
    while pending:
        module = pending.pop()
        found[module] = RTL / f"{module}.v"
        words = set(re.findall(r"\w+", _code(found[module])))
        pending += [other for other in _modules() if other in words and other not in found]
    return tuple(found[module] for module in sorted(found))


def digest(block: str) -> str:
    """Tells whether the RTL under a block has changed; comments and spaces do not count."""
    words = [word for path in sources(block) for word in _code(path).split()]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def _modules() -> list[str]:
    return sorted(path.stem for path in RTL.glob("*.v"))


def _code(path: Path) -> str:
    return re.sub(r"//[^\n]*", "", path.read_text())


def _has_clock(block: str) -> bool:
    return re.search(r"\binput\s+clk\b", _code(RTL / f"{block}.v")) is not None


def grid(block: str, **choices: Iterable[int]) -> Iterator[Point]:
    """Every combination of the choices.

    >>> [point.values for point in grid("fp_add", E=[5], M=[2, 3])]
    [{'E': 5, 'M': 2}, {'E': 5, 'M': 3}]
    """
    for values in product(*choices.values()):
        yield Point(block, tuple(zip(choices, values, strict=True)))
