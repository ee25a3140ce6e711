"""Energy of a mapped block from its simulated switching activity.

Every net that switches costs ``½ C V²`` for the pins that it drives, and the cell behind it its
internal energy (Liberty's ``internal_power``). The netlist is simulated with each cell's own delay
at its own load, so that glitches are seen; pulses shorter than a cell's delay do not pass it. Two
energies: of all transitions, and of those alone by which a net ends a cycle with another value
than it had (glitch-free, what registers in front of every cell would leave). Left out: wires,
leakage, the loads of outputs.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from models.accelerator.synthesis.flow import run_tool
from models.accelerator.synthesis.liberty import Cell, Library
from models.accelerator.synthesis.netlist import Instance, Netlist, is_constant, verilog_header

#: Slew at which every table is read, between those of a lightly and a heavily loaded gate.
SLEW_NS = 0.12
#: Inputs change so long after the clock's edge, as if they came from flip-flops.
LAUNCH_PS = 150

Vectors = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Activity:
    """Transitions of each net over a number of cycles."""

    cycles: int
    transitions: Mapping[str, int]
    settled: Mapping[str, int]  #: cycles that end with another value than they began with


@dataclass(frozen=True, slots=True)
class Energy:
    """Mean energy of one cycle in pJ; both sums hold the clock's part."""

    glitch_free_pj: float
    total_pj: float
    clock_pj: float  #: of the flip-flops' clock pins


def net_loads_pf(netlist: Netlist, library: Library) -> dict[str, float]:
    """Capacitance of the pins that each net drives."""
    loads = dict.fromkeys(netlist.nets, 0.0)
    for instance in netlist.instances:
        for name, net in instance.nets.items():
            pin = library.cells[instance.cell].pins[name]
            if pin.function is None and not is_constant(net):
                loads[net] += pin.capacitance_pf
    return loads


def transition_pj(netlist: Netlist, library: Library) -> dict[str, float]:
    """Energy of one transition of each net: load, the driving cell, and the driven inputs."""
    loads = net_loads_pf(netlist, library)
    energies = {net: 0.5 * loads[net] * library.voltage_v**2 for net in netlist.nets}
    for instance in netlist.instances:
        for name, net in instance.nets.items():
            pin = library.cells[instance.cell].pins[name]
            if not is_constant(net):
                load_pf = 0.0 if pin.function is None else loads[net]
                energies[net] += pin.internal_pj(load_pf, SLEW_NS)
    return energies


def energy(netlist: Netlist, library: Library, activity: Activity) -> Energy:
    """Mean energy per cycle."""
    costs = transition_pj(netlist, library)
    clocks = clock_nets(netlist, library)
    clock_pj = 2 * sum(costs[net] for net in clocks)  # up and down

    def per_cycle(counts: Mapping[str, int]) -> float:
        data = sum(n * costs[net] for net, n in counts.items() if net not in clocks)
        return clock_pj + data / activity.cycles

    return Energy(per_cycle(activity.settled), per_cycle(activity.transitions), clock_pj)


def clock_nets(netlist: Netlist, library: Library) -> frozenset[str]:
    """Nets that clock a flip-flop."""
    return frozenset(
        instance.nets[register.clock]
        for instance in netlist.instances
        if (register := library.cells[instance.cell].register)
    )


def delayed_verilog(netlist: Netlist, library: Library) -> str:
    """The netlist as assignments with the delay, in ps, of each cell at its load."""
    loads = net_loads_pf(netlist, library)
    statements = (
        line
        for instance in netlist.instances
        for line in _statements(instance, library.cells[instance.cell], loads)
    )
    return "\n".join([verilog_header(netlist), *statements, "endmodule\n"])


def _statements(instance: Instance, cell: Cell, loads: Mapping[str, float]) -> Iterator[str]:
    for pin in cell.outputs:
        if (net := instance.nets.get(pin.name)) is None:
            continue
        delay_ps = max(round(1000 * pin.delay_ns(loads[net], SLEW_NS)), 1)
        assert pin.function is not None
        if cell.register is None:
            yield f"assign #{delay_ps} {net} = {_bound(pin.function, instance)};"
        elif pin.function == cell.register.state:
            yield from _flip_flop(instance, cell, net, delay_ps)
        else:
            raise ValueError(
                f"{cell.name}: {pin.name} must be the state itself, got {pin.function}"
            )


def _flip_flop(instance: Instance, cell: Cell, net: str, delay_ps: int) -> Iterator[str]:
    assert cell.register is not None
    clock, state = _bound(cell.register.clock, instance), _bound(cell.register.next_state, instance)
    yield f"reg q_{net} = 0;"
    yield f"assign {net} = q_{net};"
    yield f"always @(posedge {clock}) q_{net} <= #{delay_ps} {state};"


def _bound(function: str, instance: Instance) -> str:
    return re.sub(r"\b[A-Z]\w*\b", lambda pin: instance.nets[pin[0]], function)


_BENCH = """\
`timescale 1ps/1ps
module bench;
  reg [{width}-1:0] rows [0:{last}];
  reg [{width}-1:0] row;
  reg clock = 0;
  integer at;
  {module} dut ({connections});
  initial begin
    $readmemh("rows.hex", rows);
    $dumpfile("activity.vcd");
    $dumpvars(1, dut);
    for (at = 0; at <= {last}; at = at + 1) begin
      clock = at > 0;  // the first inputs settle before anything is stored
      #{launch} row = rows[at];
      #{high} clock = 0;
      #{low};
    end
    $finish;
  end
endmodule
"""


def simulate_activity(
    netlist: Netlist,
    library: Library,
    vectors: Vectors,
    *,
    delay_ns: float,
    clock: str | None = None,
    warm_up: int = 1,
) -> Activity:
    """Transitions of every net while the inputs take one vector per cycle.

    A cycle is twice ``delay_ns`` long, so that every net settles. The first ``warm_up`` cycles are
    not counted; the very first has no clock edge.

    Raises:
        ValueError: the vectors are not those of the inputs, or no cycle is left to count.
        ToolError: Icarus Verilog ends with an error.
    """
    inputs = {p.name: len(p.nets) for p in netlist.ports if p.is_input and p.name != clock}
    if set(vectors) != set(inputs):
        raise ValueError(f"{netlist.name}: inputs are {sorted(inputs)}, got {sorted(vectors)}")
    cycles = len(next(iter(vectors.values())))
    if not 1 <= warm_up < cycles:
        raise ValueError(f"{netlist.name}: warm-up must be 1 to {cycles - 1}, got {warm_up}")
    period_ps = 2 * LAUNCH_PS + 2 * round(1000 * delay_ns)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.hex").write_text("\n".join(_rows(inputs, vectors)))
        text = _bench(netlist, inputs, clock, cycles, period_ps)
        (folder / "bench.v").write_text(text + delayed_verilog(netlist, library))
        run_tool(["iverilog", "-g2005", "-s", "bench", "-o", "bench", "bench.v"], folder)
        run_tool(["vvp", "-n", "bench"], folder)
        with (folder / "activity.vcd").open() as dump:
            return count_transitions(dump, period_ps, warm_up, cycles)


def _bench(
    netlist: Netlist, inputs: Mapping[str, int], clock: str | None, cycles: int, period_ps: int
) -> str:
    places, at = [f".{clock}(clock)"] if clock else [], 0
    for name, width in inputs.items():
        places.append(f".{name}(row[{at + width - 1}:{at}])")
        at += width
    return _BENCH.format(
        width=at,
        last=cycles - 1,
        module=netlist.name,
        connections=", ".join(places),
        launch=LAUNCH_PS,
        high=period_ps // 2 - LAUNCH_PS,
        low=period_ps - period_ps // 2,
    )


def _rows(inputs: Mapping[str, int], vectors: Vectors) -> Iterator[str]:
    for values in zip(*(vectors[name] for name in inputs), strict=True):
        row, at = 0, 0
        for value, width in zip(values, inputs.values(), strict=True):
            row |= (int(value) & (1 << width) - 1) << at
            at += width
        yield f"{row:x}"


def count_transitions(dump: Iterable[str], period_ps: int, warm_up: int, cycles: int) -> Activity:
    """Transitions in a value-change dump of ``cycles`` cycles, the first ``warm_up`` left out."""
    names: dict[str, str] = {}
    total, settled, current = Counter[str](), Counter[str](), Counter[str]()
    cycle = 0
    for line in dump:
        if line[0] == "#":
            if (now := int(line[1:]) // period_ps) > cycle:
                _close(current, total, settled, counted=cycle >= warm_up)
                cycle = now
        elif line[0] in "01":
            current[line[1:-1]] += 1
        elif line.startswith("$var") and re.fullmatch(r"n\d+", line.split()[4]):
            names[line.split()[3]] = line.split()[4]
    _close(current, total, settled, counted=warm_up <= cycle < cycles)
    return Activity(cycles - warm_up, _named(total, names), _named(settled, names))


def _close(
    current: Counter[str], total: Counter[str], settled: Counter[str], *, counted: bool
) -> None:
    if counted:
        total.update(current)
        settled.update(key for key, count in current.items() if count % 2)
    current.clear()


def _named(counts: Counter[str], names: Mapping[str, str]) -> dict[str, int]:
    return {names[key]: count for key, count in counts.items() if key in names}
