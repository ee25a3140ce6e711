"""A mapped netlist: standard cells, the nets between them, and the ports."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.accelerator.synthesis.liberty import Library


@dataclass(frozen=True, slots=True)
class Port:
    """One port, its nets from the least significant bit."""

    name: str
    is_input: bool
    nets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """One cell of the netlist."""

    cell: str
    nets: Mapping[str, str]  #: by pin


@dataclass(frozen=True)
class Netlist:
    """Nets are Verilog names or the constants ``1'b0`` and ``1'b1``."""

    name: str
    ports: tuple[Port, ...]
    instances: tuple[Instance, ...]

    @property
    def cells(self) -> Counter[str]:
        """How many of each cell."""
        return Counter(instance.cell for instance in self.instances)

    @property
    def nets(self) -> tuple[str, ...]:
        """Every net that is not constant, in order of appearance."""
        found = [net for port in self.ports for net in port.nets]
        found += [net for instance in self.instances for net in instance.nets.values()]
        return tuple(dict.fromkeys(net for net in found if not is_constant(net)))

    def area_um2(self, library: Library) -> float:
        """Sum of the cells' areas."""
        return sum(library.cells[cell].area_um2 * count for cell, count in self.cells.items())

    def register_bits(self, library: Library) -> int:
        """Flip-flops."""
        return sum(n for name, n in self.cells.items() if library.cells[name].register)


def is_constant(net: str) -> bool:
    """Whether the net is tied to 0 or 1."""
    return net.startswith("1'b")


def read_netlist(text: str, top: str) -> Netlist:
    """One module as ``write_json`` of yosys gives it.

    Raises:
        ValueError: the module is not there.
    """
    modules = json.loads(text)["modules"]
    if top not in modules:
        raise ValueError(f"netlist: no module {top!r}, only {sorted(modules)}")
    module = modules[top]
    ports = tuple(
        Port(name, port["direction"] == "input", tuple(map(_net, port["bits"])))
        for name, port in module["ports"].items()
    )
    return Netlist(top, ports, tuple(map(_instance, module["cells"].values())))


def _instance(cell: dict[str, Any]) -> Instance:
    connections = {pin: _net(bits[0]) for pin, bits in cell["connections"].items() if bits}
    return Instance(cell["type"], connections)


def _net(bit: int | str) -> str:
    """Yosys numbers nets and writes constants as text; what is undefined may be 0."""
    if isinstance(bit, int):
        return f"n{bit}"
    return "1'b1" if bit == "1" else "1'b0"


def verilog_header(netlist: Netlist) -> str:
    """The module's opening: ports, a wire for each net, and the ports' connections."""
    names = ", ".join(port.name for port in netlist.ports)
    return "\n".join(
        [
            f"module {netlist.name}({names});",
            *map(_declaration, netlist.ports),
            *(f"wire {net};" for net in netlist.nets),
            *(line for port in netlist.ports for line in _connections(port)),
        ]
    )


def _declaration(port: Port) -> str:
    return f"{'input' if port.is_input else 'output'} [{len(port.nets) - 1}:0] {port.name};"


def _connections(port: Port) -> Iterator[str]:
    for i, net in enumerate(port.nets):
        inner, outer = net, f"{port.name}[{i}]"
        yield f"assign {inner} = {outer};" if port.is_input else f"assign {outer} = {inner};"


def structural_verilog(netlist: Netlist) -> str:
    """The netlist as instances of its cells."""
    return "\n".join(
        [verilog_header(netlist), *map(_instantiation, enumerate(netlist.instances)), "endmodule\n"]
    )


def _instantiation(numbered: tuple[int, Instance]) -> str:
    number, instance = numbered
    pins = ", ".join(f".{pin}({net})" for pin, net in instance.nets.items())
    return f"{instance.cell} u{number} ({pins});"
