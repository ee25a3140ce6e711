"""The part of the Liberty format that area, load, delay and switching energy need.

Grammar: Liberty User Guide, groups ``name (args) { … }``, simple attributes ``name : value ;`` and
complex attributes ``name (values) ;``. Units are those of the library that this flow uses:
µm² (its cells' size in the LEF file), pF, ns, V, and therefore pJ.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

_TOKEN = re.compile(r'"([^"]*)"|([{}():;,])|([^\s{}():;,"]+)')
_IGNORED = re.compile(r"/\*.*?\*/|\\\n", re.DOTALL)


class Group(NamedTuple):
    """One ``kind (name) { … }`` of the file, as it stands there."""

    kind: str
    name: str
    attributes: dict[str, str]
    groups: list["Group"]

    def of_kind(self, kind: str) -> Iterator["Group"]:
        """The groups of that kind directly inside this one."""
        return (group for group in self.groups if group.kind == kind)


def parse(text: str) -> Group:
    """The outermost group of a Liberty file.

    >>> library = parse('library (l) { cell (A) { area : 3; } }')
    >>> next(library.of_kind("cell")).attributes
    {'area': '3'}

    Raises:
        ValueError: the text is no Liberty file.
    """
    tokens = [quoted or mark or word for quoted, mark, word in _TOKEN.findall(_clean(text))]
    try:
        groups, _ = _body([*tokens, "}"], 0)[1:]
    except IndexError:
        raise ValueError("Liberty: a group is not closed before the text ends") from None
    if [group.kind for group in groups] != ["library"]:
        kinds = [group.kind for group in groups]
        raise ValueError(f"Liberty: expected one library group, got {kinds}")
    return groups[0]


def _clean(text: str) -> str:
    return _IGNORED.sub(" ", text)


def _body(tokens: list[str], at: int) -> tuple[dict[str, str], list[Group], int]:
    """Statements up to the closing brace, and the place behind it."""
    attributes: dict[str, str] = {}
    groups: list[Group] = []
    while tokens[at] != "}":
        name, mark = tokens[at], tokens[at + 1]
        if mark == ":":
            attributes[name], at = tokens[at + 2], at + 3
        elif mark == "(":
            close = tokens.index(")", at)
            argument, at = " ".join(t for t in tokens[at + 2 : close] if t != ","), close + 1
            if tokens[at] == "{":
                inner, within, at = _body(tokens, at + 1)
                groups.append(Group(name, argument, inner, within))
            else:
                attributes[name] = argument
        else:
            raise ValueError(f"Liberty: expected ':' or '(' after {name!r}, got {mark!r}")
        at += tokens[at] == ";"
    return attributes, groups, at + 1


@dataclass(frozen=True, slots=True)
class Table:
    """Values over load (pF, rows) and input slew (ns, columns), bilinear in between.

    Beyond its corners the table goes on with the slope of its last cell, as static timing does.

    >>> Table((0.0, 2.0), (0.0, 1.0), ((0.0, 1.0), (4.0, 5.0))).at(1.0, 0.5)
    2.5
    """

    loads_pf: tuple[float, ...]
    slews_ns: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        shape = [len(row) for row in self.values]
        if shape != [len(self.slews_ns)] * len(self.loads_pf):
            raise ValueError(
                f"table: {len(self.loads_pf)} loads × {len(self.slews_ns)} slews, rows of {shape}"
            )

    def at(self, load_pf: float, slew_ns: float) -> float:
        """The value at one load and one slew."""
        return _line(
            self.loads_pf, [_line(self.slews_ns, row, slew_ns) for row in self.values], load_pf
        )


def _line(xs: tuple[float, ...], ys: Iterable[float], x: float) -> float:
    ys = list(ys)
    if len(xs) == 1:
        return ys[0]
    i = min(max(bisect_right(xs, x) - 1, 0), len(xs) - 2)
    return ys[i] + (ys[i + 1] - ys[i]) * (x - xs[i]) / (xs[i + 1] - xs[i])


@dataclass(frozen=True, slots=True)
class Pin:
    """One pin of a cell; a function only where it is an output."""

    name: str
    capacitance_pf: float
    function: str | None  #: in Verilog
    delays: tuple[Table, ...]  #: rising and falling, of every arc; ns
    energies: tuple[Table, ...]  #: internal, rising and falling, of every arc; pJ

    def delay_ns(self, load_pf: float, slew_ns: float) -> float:
        """Mean over arcs, rising and falling."""
        return _mean(self.delays, load_pf, slew_ns)

    def internal_pj(self, load_pf: float, slew_ns: float) -> float:
        """Energy inside the cell of one transition of this pin; the load is not in it."""
        return _mean(self.energies, load_pf, slew_ns)


def _mean(tables: tuple[Table, ...], load_pf: float, slew_ns: float) -> float:
    return fmean(t.at(load_pf, slew_ns) for t in tables) if tables else 0.0


@dataclass(frozen=True, slots=True)
class Register:
    """What a flip-flop holds next, and the pin that clocks it."""

    state: str
    next_state: str
    clock: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One standard cell."""

    name: str
    area_um2: float
    pins: Mapping[str, Pin]
    register: Register | None

    @property
    def outputs(self) -> tuple[Pin, ...]:
        """The pins that the cell drives."""
        return tuple(pin for pin in self.pins.values() if pin.function is not None)


@dataclass(frozen=True)
class Library:
    """The cells of one Liberty file, at one corner."""

    name: str
    voltage_v: float
    cells: Mapping[str, Cell]

    @cached_property
    def gate_um2(self) -> float:
        """Area of one gate equivalent, this library's two-input NAND.

        Raises:
            ValueError: no cell computes the NAND of two inputs.
        """
        for cell in self.cells.values():
            if [pin.function for pin in cell.outputs] == ["(~(A & B))"]:
                return cell.area_um2
        raise ValueError(f"{self.name}: no cell has the function (!(A B)), a two-input NAND")


def verilog_function(function: str) -> str:
    """A Liberty function in Verilog: ``!`` not, juxtaposed and, ``+`` or, ``^`` exclusive or.

    >>> verilog_function("(!((A B)+C))")
    '(~((A & B)|C))'
    """
    spaced = re.sub(r"(?<=[\w)'])\s+(?=[\w(!])", " & ", function.strip())
    return spaced.replace("!", "~").replace("+", "|")


def read_library(text: str) -> Library:
    """The cells of a Liberty file.

    Raises:
        ValueError: no Liberty file, or one whose tables are slew by load.
    """
    group = parse(text)
    for template in group.groups:
        if template.attributes.get("variable_2") == "total_output_net_capacitance":
            raise ValueError(f"{template.name}: rows must be loads, got loads as columns")
    cells = {cell.name: _cell(cell) for cell in group.of_kind("cell")}
    return Library(group.name, float(group.attributes["nom_voltage"]), cells)


def _cell(group: Group) -> Cell:
    pins = {pin.name: _pin(pin) for pin in group.of_kind("pin")}
    register = next((_register(ff) for ff in group.of_kind("ff")), None)
    return Cell(group.name, float(group.attributes["area"]), pins, register)


def _register(group: Group) -> Register:
    state = group.name.split()[0]
    return Register(state, *(verilog_function(group.attributes[a]) for a in _REGISTER))


_REGISTER = ("next_state", "clocked_on")


def _pin(group: Group) -> Pin:
    function = group.attributes.get("function")
    return Pin(
        group.name,
        float(group.attributes.get("capacitance", 0.0)),
        None if function is None else verilog_function(function),
        _tables(group.of_kind("timing"), ("cell_rise", "cell_fall")),
        _tables(group.of_kind("internal_power"), ("rise_power", "fall_power")),
    )


def _tables(arcs: Iterable[Group], kinds: tuple[str, str]) -> tuple[Table, ...]:
    return tuple(_table(group) for arc in arcs for group in arc.groups if group.kind in kinds)


def _table(group: Group) -> Table:
    first, values = _numbers(group, "index_1"), _numbers(group, "values")
    if "index_2" not in group.attributes:
        return Table((0.0,), first, (values,))
    columns = _numbers(group, "index_2")
    width = len(columns)
    rows = tuple(values[i : i + width] for i in range(0, len(values), width))
    return Table(first, columns, rows)


def _numbers(group: Group, name: str) -> tuple[float, ...]:
    return tuple(float(number) for number in re.split(r"[,\s]+", group.attributes[name].strip()))
