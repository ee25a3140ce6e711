"""Blocks run on vectors by Icarus Verilog (``iverilog``, ``vvp``)."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from models.accelerator.synthesis.blocks import SOURCES, Block, Port

Vectors = Mapping[str, Sequence[int]]

_BENCH = """\
module bench;
    reg [{inputs}-1:0] vectors [0:{last}];
    reg [{inputs}-1:0] in;
    wire [{outputs}-1:0] out;
    reg clk;
    integer at, file;
    {module} #({parameters}) dut ({connections});
    initial begin
        $readmemh("in.hex", vectors);
        file = $fopen("out.hex");
        clk = 0;
        for (at = 0; at <= {last}; at = at + 1) begin
            in = vectors[at];
            #1 $fdisplay(file, "%h", out);
            clk = 1;
            #1 clk = 0;
        end
        $fclose(file);
    end
endmodule
"""


def simulator_missing() -> str | None:
    """The first program of Icarus Verilog that is not there; None where all are."""
    return next((tool for tool in ("iverilog", "vvp") if shutil.which(tool) is None), None)


def simulate(
    block: Block, vectors: Vectors, *, settling_cycles: int | None = None
) -> dict[str, list[int]]:
    """What the outputs are for each vector of inputs, as unsigned integers.

    A negative integer stands for its two's complement. A clocked block sees one vector in each
    cycle, and its outputs are read before the edge that ends it; those of the first
    ``settling_cycles`` (by default the block's latency) are left out.

    Raises:
        RuntimeError: Icarus Verilog is not there or refuses the block, or an output is undefined.
        ValueError: the vectors are not those of the block's inputs.
    """
    if (missing := simulator_missing()) is not None:
        raise RuntimeError(f"simulation of {block.name}: needs {missing}, which is not on the path")
    _check_vectors(block, vectors)
    rows = list(zip(*(vectors[port.name] for port in block.inputs), strict=True))
    with TemporaryDirectory() as folder:
        (Path(folder) / "in.hex").write_text("\n".join(_join(block.inputs, row) for row in rows))
        (Path(folder) / "bench.v").write_text(block.source + _bench(block, len(rows)))
        _run(block, ["iverilog", "-g2005", "-s", "bench", "-o", "bench", "bench.v"], folder)
        _run(block, ["vvp", "-n", "bench"], folder)
        lines = (Path(folder) / "out.hex").read_text().split()
    lines = lines[block.latency_cycles if settling_cycles is None else settling_cycles :]
    columns = zip(*(_split(block, line) for line in lines), strict=True)
    return {p.name: list(column) for p, column in zip(block.outputs, columns, strict=True)}


def _check_vectors(block: Block, vectors: Vectors) -> None:
    names = [port.name for port in block.inputs]
    if sorted(vectors) != sorted(names):
        raise ValueError(f"simulation of {block.name}: inputs are {names}, got {list(vectors)}")
    lengths = {len(column) for column in vectors.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"simulation of {block.name}: inputs must be equally long and not empty, got lengths"
            f" {sorted(lengths)}"
        )
    for port in block.inputs:
        least, most = -(1 << (port.width_bits - 1)), (1 << port.width_bits) - 1
        off = [value for value in vectors[port.name] if not least <= value <= most]
        if off:
            raise ValueError(
                f"simulation of {block.name}: {port.name} must fit {port.width_bits} bits,"
                f" got {off[0]}"
            )


def _bench(block: Block, count: int) -> str:
    connections = [*_slices("in", block.inputs), *_slices("out", block.outputs)]
    if block.latency_cycles:
        connections.append(".clk(clk)")
    return _BENCH.format(
        inputs=sum(port.width_bits for port in block.inputs),
        outputs=sum(port.width_bits for port in block.outputs),
        last=count - 1,
        module=block.module,
        parameters=", ".join(f".{key}({value})" for key, value in block.parameters),
        connections=", ".join(connections),
    )


def _slices(bus: str, ports: Sequence[Port]) -> list[str]:
    """Connections of ports to a bus, the first at the bottom."""
    places, at = [], 0
    for port in ports:
        places.append(f".{port.name}({bus}[{at + port.width_bits - 1}:{at}])")
        at += port.width_bits
    return places


def _join(ports: Sequence[Port], values: Sequence[int]) -> str:
    word, at = 0, 0
    for port, value in zip(ports, values, strict=True):
        word |= (int(value) & (1 << port.width_bits) - 1) << at
        at += port.width_bits
    return f"{word:x}"


def _split(block: Block, line: str) -> list[int]:
    try:
        word = int(line, 16)
    except ValueError:
        raise RuntimeError(f"simulation of {block.name}: output is undefined, got {line}") from None
    values = []
    for port in block.outputs:
        values.append(word & (1 << port.width_bits) - 1)
        word >>= port.width_bits
    return values


def _run(block: Block, command: list[str], folder: str) -> None:
    sources = [str(path) for path in SOURCES] if command[0] == "iverilog" else []
    done = subprocess.run([*command, *sources], cwd=folder, capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise RuntimeError(f"simulation of {block.name}: {command[0]} says {done.stderr.strip()}")
