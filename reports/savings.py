"""What the chosen plan saves against each baseline, as a whole and where accumulating is paid."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from models.accelerator.components import Component
from models.results import Baseline, SearchResult
from reports.text import area, change, quantity

_MEMORY = frozenset({Component.OPERAND_SRAM.value, Component.DRAM.value})
_ACCUMULATION = frozenset(
    {
        Component.ALIGNMENT_SHIFTER.value,
        Component.SIGNIFICAND_ADDER.value,
        Component.NORMALISER.value,
        Component.ROUNDER.value,
        Component.ACCUMULATOR_REGISTERS.value,
        Component.OUTER_ADDER.value,
        Component.PARTIAL_SUMS.value,
    }
)


class Scope(Enum):
    """Which components are counted."""

    ALL = "all components"
    ARRAY = "without operand SRAM and DRAM"
    ACCUMULATION = "accumulation only"

    def includes(self, component: str) -> bool:
        """Whether the component counts.

        >>> Scope.ARRAY.includes("dram"), Scope.ARRAY.includes("partial_sums")
        (False, True)
        """
        if self is Scope.ARRAY:
            return component not in _MEMORY
        return self is Scope.ALL or component in _ACCUMULATION

    def total(self, parts: Mapping[str, float]) -> float:
        """Sum over the components that count."""
        return sum(value for component, value in parts.items() if self.includes(component))


class Unit(Enum):
    """What is compared, in the unit that the value is kept in."""

    AREA = "µm²"
    ENERGY = "pJ"
    TIME = "ms"

    def show(self, value: float) -> str:
        """The value for a reader.

        >>> Unit.ENERGY.show(62_016e9), Unit.TIME.show(38_873.0)
        ('62.0 J', '38.9 s')
        """
        if self is Unit.AREA:
            return area(value)
        base = {Unit.ENERGY: (1e-12, "J"), Unit.TIME: (1e-3, "s")}[self]
        return quantity(value * base[0], base[1])


@dataclass(frozen=True, slots=True)
class Saving:
    """One quantity of the chosen plan and of a baseline."""

    name: str
    unit: Unit
    chosen: float
    other: float

    @property
    def change(self) -> float:
        """Relative change from baseline to plan; negative where the plan saves."""
        return self.chosen / self.other - 1.0 if self.other else 0.0

    @property
    def verdict(self) -> str:
        """The change in words: ``25 % less``, ``the same`` or ``3.0 % more``.

        >>> Saving("area", Unit.AREA, 75.0, 100.0).verdict
        '25 % less'
        """
        if self.change == 0.0:
            return "the same"
        return f"{change(self.change)[1:]} {'less' if self.change < 0 else 'more'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The chosen plan against one baseline."""

    baseline: Baseline
    savings: tuple[Saving, ...]

    def saving(self, name: str) -> Saving:
        """The one of that name."""
        return next(saving for saving in self.savings if saving.name == name)


def scoped(quantity_name: str, scope: Scope) -> str:
    """The name of a saving.

    >>> scoped("energy", Scope.ALL), scoped("area", Scope.ACCUMULATION)
    ('energy', 'area, accumulation only')
    """
    return quantity_name if scope is Scope.ALL else f"{quantity_name}, {scope.value}"


def comparisons(result: SearchResult) -> tuple[Comparison, ...]:
    """The chosen plan, which is the last baseline, against each of the others."""
    *others, chosen = result.baselines
    return tuple(Comparison(other, _savings(chosen, other)) for other in others)


def _savings(chosen: Baseline, other: Baseline) -> tuple[Saving, ...]:
    parts = (
        ("area", Unit.AREA, chosen.area_um2, other.area_um2),
        ("energy", Unit.ENERGY, chosen.energy_pj, other.energy_pj),
    )
    found = [
        Saving(scoped(name, scope), unit, scope.total(ours), scope.total(theirs))
        for name, unit, ours, theirs in parts
        for scope in Scope
    ]
    return (*found, Saving("latency", Unit.TIME, chosen.latency_ms, other.latency_ms))


def component_name(component: str) -> str:
    """A component as a reader knows it.

    >>> component_name("operand_sram"), component_name("rounder")
    ('operand SRAM', 'rounder')
    """
    words = component.replace("_", " ").split(" ")
    return " ".join(word.upper() if word in {"sram", "dram"} else word for word in words)


def components(result: SearchResult) -> tuple[str, ...]:
    """Every component that any baseline has, in the order of the cost model."""
    present = {c: None for b in result.baselines for c in (*b.area_um2, *b.energy_pj)}
    known = [component.value for component in Component if component.value in present]
    return (*known, *_others(present, known))


def _others(present: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    return tuple(component for component in present if component not in known)
