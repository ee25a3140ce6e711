"""Area and delay of a block: yosys maps it to standard cells, OpenSTA times them.

Offline calibration. Area is that of the cells alone: no wires, no clock tree, no placement.
Delay is the slowest path at the library's one corner (typical, 25 °C), registers' set-up included;
inputs are driven by a buffer and outputs load one.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from models.accelerator.synthesis.liberty import Library, read_library
from models.accelerator.synthesis.netlist import Netlist, read_netlist, structural_verilog

LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
TOOLS = ("yosys", "sta", "iverilog", "vvp")
#: Far beyond any path, so that slack always tells the delay.
_PERIOD_NS = 1_000.0


class Effort(Enum):
    """What abc is asked for; the value is its script. ``map -D`` alone hardly moves either."""

    RELAXED = "strash; ifraig; scorr; dc2; dch -f; amap; buffer -N 8"
    FAST = (
        "strash; ifraig; scorr; dc2; &get -n; &st; &if -g -K 6; &b; &if -g -K 6; &b; &dch -x; "
        "&nf -p; &put; buffer -c -N 4; topo; upsize; dnsize; upsize; dnsize"
    )


#: The multiplier tree's full adders as gates, so that constant inputs simplify first, …
_TREE_AS_GATES = """
(* techmap_celltype = "$fa" *)
module _80_tree (A, B, C, X, Y);
  parameter WIDTH = 1;
  (* force_downto *) input [WIDTH-1:0] A, B, C;
  (* force_downto *) output [WIDTH-1:0] X, Y;
  wire [1023:0] _TECHMAP_DO_ = "simplemap";
  wire [WIDTH-1:0] T = A ^ B;
  assign Y = T ^ C, X = (A & B) | (C & T);
endmodule
"""
#: … and what is found again afterwards as the library's cell, which abc leaves alone.
_TREE_AS_CELLS = """
(* techmap_celltype = "$fa" *)
module _80_cell (A, B, C, X, Y);
  parameter WIDTH = 1;
  (* force_downto *) input [WIDTH-1:0] A, B, C;
  (* force_downto *) output [WIDTH-1:0] X, Y;
  genvar i;
  generate for (i = 0; i < WIDTH; i = i + 1) begin : bits
    FAX1 cell (.A(A[i]), .B(B[i]), .C(C[i]), .YC(X[i]), .YS(Y[i]));
  end endgenerate
endmodule
"""
#: Signed products without sign extension (Baugh and Wooley 1973): what weighs negatively is added
#: inverted, with constants that make up for it. The tool's own rows are as wide as the result.
_SIGNED_PRODUCT = """
(* techmap_celltype = "$mul" *)
module _80_signed_product (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 2;
  parameter B_WIDTH = 2;
  parameter Y_WIDTH = 4;
  localparam M = A_WIDTH - 1;
  localparam N = B_WIDTH - 1;
  input [M:0] A;
  input [N:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = !A_SIGNED || !B_SIGNED || M < 1 || N < 1;
  wire [M+N+1:0] low = A[M-1:0] * B[N-1:0];
  wire [M-1:0] by_b = ~(A[M-1:0] & {M{B[N]}});
  wire [N-1:0] by_a = ~(B[N-1:0] & {N{A[M]}});
  wire [M+N+1:0] one = 1;
  wire signed [M+N+1:0] product = low + (by_b << N) + (by_a << M)
    + ({A[M] & B[N]} << (M + N)) + ((one << M) + (one << N) + (one << (M + N + 1)));
  assign Y = product;
endmodule
"""
#: Full-adder cells are small and slow. They serve the multiplier tree only: before ``techmap``
#: nothing else is in gates. In other adders they keep abc from sharing logic.
_TREE = {
    Effort.RELAXED: (
        "techmap -map tree_as_gates.v; opt -full; extract_fa -fa; techmap -map tree_as_cells.v; opt"
    ),
    Effort.FAST: "opt",
}


@dataclass(frozen=True, slots=True)
class Design:
    """One module with its parameters."""

    module: str
    parameters: tuple[tuple[str, int], ...]
    sources: tuple[Path, ...]
    clock: str | None = None  #: the clock's port; None where the module is combinational


@dataclass(frozen=True, slots=True)
class Synthesis:
    """One mapped and timed design."""

    netlist: Netlist
    area_um2: float
    register_bits: int
    delay_ns: float


class ToolError(RuntimeError):
    """A tool ended with an error; its own words are in the message."""


def missing_tools() -> list[str]:
    """What the flow needs and this machine lacks."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return lacking if LIBERTY.exists() else [*lacking, str(LIBERTY)]


def osu_library() -> Library:
    """The OSU 180 nm cells (1.8 V, typical) of Debian's ``qflow-tech-osu018``."""
    return read_library(LIBERTY.read_text())


def synthesise(design: Design, effort: Effort, library: Library) -> Synthesis:
    """Area and delay of one design.

    Raises:
        ToolError: yosys or OpenSTA ends with an error.
    """
    with TemporaryDirectory() as folder:
        netlist = _mapped(design, effort, Path(folder))
        return Synthesis(
            netlist,
            netlist.area_um2(library),
            netlist.register_bits(library),
            _delay_ns(netlist, design.clock, Path(folder)),
        )


def _mapped(design: Design, effort: Effort, folder: Path) -> Netlist:
    (folder / "tree_as_gates.v").write_text(_TREE_AS_GATES)
    (folder / "tree_as_cells.v").write_text(_TREE_AS_CELLS)
    for path in design.sources:
        (folder / f"source_{path.name}").write_text(parametrised(path.read_text(), design))
    (folder / "signed_product.v").write_text(_SIGNED_PRODUCT)
    (folder / "abc.script").write_text(effort.value.replace("; ", "\n"))
    (folder / "run.ys").write_text("\n".join(_yosys_script(design, effort)))
    run_tool(["yosys", "-q", "run.ys"], folder)
    return read_netlist((folder / "netlist.json").read_text(), design.module)


def parametrised(source: str, design: Design) -> str:
    """Verilog in which the design's values are its module's defaults.

    Yosys' own ``-chparam`` takes no negative number.

    >>> design = Design("m", (("W", 3),), ())
    >>> parametrised("module m #(parameter W = 8, parameter V = W) (); endmodule", design)
    'module m #(parameter W = 3, parameter V = W) (); endmodule'

    Raises:
        ValueError: the module has no such parameter.
    """
    if (module := re.search(rf"\bmodule {design.module}\b.*?\bendmodule\b", source, re.S)) is None:
        return source
    text = module[0]
    for name, value in design.parameters:
        text, found = re.subn(rf"(\bparameter\s+{name}\s*=\s*)[^,)\n/]+", rf"\g<1>{value}", text)
        if not found:
            raise ValueError(f"{design.module}: no parameter {name!r}, got {value} for it")
    return source.replace(module[0], text)


def _yosys_script(design: Design, effort: Effort) -> Sequence[str]:
    return (
        f"read_liberty -lib -ignore_miss_func {LIBERTY}",
        *(f"read_verilog source_{path.name}" for path in design.sources),
        f"hierarchy -check -top {design.module}",
        "proc; flatten; opt -full; memory; opt -full; wreduce; peepopt; opt_clean",
        "techmap -map signed_product.v; opt -full; wreduce; alumacc; maccmap; opt -full",
        _TREE[effort],
        f"techmap; opt -full; dfflibmap -liberty {LIBERTY}; opt",
        f"abc -liberty {LIBERTY} -script abc.script",
        "opt_clean -purge; write_json netlist.json",
    )


def _delay_ns(netlist: Netlist, clock: str | None, folder: Path) -> float:
    (folder / "netlist.v").write_text(structural_verilog(netlist))
    (folder / "timing.tcl").write_text("\n".join(_timing_script(netlist.name, clock)))
    report = run_tool(["sta", "-no_splash", "-exit", "timing.tcl"], folder)
    return _PERIOD_NS - slack_ns(report)


def _timing_script(module: str, clock: str | None) -> Sequence[str]:
    port = f" [get_ports {clock}]" if clock else ""
    return (
        f"read_liberty {LIBERTY}",
        "read_verilog netlist.v",
        f"link_design {module}",
        f"create_clock -name clock -period {_PERIOD_NS}{port}",
        "set_input_delay 0 -clock clock [all_inputs]",
        "set_output_delay 0 -clock clock [all_outputs]",
        "set_driving_cell -lib_cell BUFX2 [all_inputs]",
        "set_load 0.03 [all_outputs]",
        "report_checks -path_delay max -digits 6",
        "exit",
    )


def slack_ns(report: str) -> float:
    """The slack in a report of OpenSTA.

    >>> slack_ns("  9.5  slack (MET)")
    9.5

    Raises:
        ToolError: the report has no path.
    """
    for line in report.splitlines():
        if "slack" in line:
            return float(line.split()[0])
    raise ToolError(f"sta: no timed path in the report:\n{report}")


def run_tool(command: Sequence[str], folder: Path) -> str:
    """What a tool prints.

    Raises:
        ToolError: it ends with an error.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or "Error:" in done.stdout:
        raise ToolError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return done.stdout
