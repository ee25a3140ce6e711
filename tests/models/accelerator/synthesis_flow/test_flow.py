"""The flow on modules whose area and logic are known beforehand."""

import random
from itertools import pairwise, product
from pathlib import Path

import pytest

from models.accelerator.synthesis.energy import simulate_activity
from models.accelerator.synthesis.flow import (
    Design,
    Effort,
    Synthesis,
    ToolError,
    osu_library,
    slack_ns,
    synthesise,
)

RTL = """
module hold #(parameter W = 1) (input clk, input [W-1:0] d, output reg [W-1:0] q);
  always @(posedge clk) q <= d;
endmodule
module nand2 (input a, input b, output y); assign y = ~(a & b); endmodule
module times #(parameter N = 4) (input [N-1:0] a, input [N-1:0] b, output [2*N-1:0] y);
  assign y = a * b;
endmodule
module signed_times #(parameter N = 4) (
  input signed [N-1:0] a, input signed [N-2:0] b, output signed [2*N+1:0] y
);
  assign y = a * b;
endmodule
module plus #(parameter N = 4) (input [N-1:0] a, input [N-1:0] b, output [N:0] y);
  assign y = a + b;
endmodule
"""


@pytest.fixture
def rtl(tmp_path: Path) -> Path:
    path = tmp_path / "rtl.v"
    path.write_text(RTL)
    return path


def synthesised(
    rtl: Path, module: str, effort: Effort = Effort.RELAXED, **values: int
) -> Synthesis:
    clock = "clk" if module == "hold" else None
    design = Design(module, tuple(values.items()), (rtl,), clock)
    return synthesise(design, effort, osu_library())


@pytest.mark.usefixtures("tools")
def test_registers_are_flip_flops_and_nothing_else(rtl: Path) -> None:
    found = synthesised(rtl, "hold", W=7)
    assert found.netlist.cells == {"DFFPOSX1": 7}
    assert found.register_bits == 7
    assert found.area_um2 == 7 * 96  # 9.6 µm × 10 µm in the library's LEF file


@pytest.mark.usefixtures("tools")
def test_a_nand_is_one_gate_equivalent(rtl: Path) -> None:
    found = synthesised(rtl, "nand2")
    assert found.netlist.cells == {"NAND2X1": 1}
    assert found.area_um2 == osu_library().gate_um2


@pytest.mark.usefixtures("tools")
def test_a_multiplier_has_full_adder_cells_and_an_adder_none(rtl: Path) -> None:
    assert synthesised(rtl, "times", N=6).netlist.cells["FAX1"] > 0
    assert synthesised(rtl, "plus", N=12).netlist.cells["FAX1"] == 0


@pytest.mark.usefixtures("tools")
def test_fast_is_larger_and_faster(rtl: Path) -> None:
    relaxed, fast = (synthesised(rtl, "plus", effort, N=16) for effort in Effort)
    assert fast.delay_ns < relaxed.delay_ns
    assert fast.area_um2 > relaxed.area_um2


def settled_outputs(found: Synthesis, vectors: dict[str, list[int]]) -> list[int]:
    """How often each bit of ``y`` ends a cycle with another value, and that glitches are seen."""
    library = osu_library()
    activity = simulate_activity(found.netlist, library, vectors, delay_ns=found.delay_ns)
    assert sum(activity.transitions.values()) > sum(activity.settled.values())
    nets = next(port.nets for port in found.netlist.ports if port.name == "y")
    return [activity.settled.get(net, 0) for net in nets]


def changes(outputs: list[int], width: int) -> list[int]:
    """How often each bit differs from one output to the next."""
    flips = [before ^ after for before, after in pairwise(outputs)]
    return [sum(flip >> bit & 1 for flip in flips) for bit in range(width)]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("effort", Effort)
def test_the_annotated_netlist_settles_to_the_product_within_the_timed_delay(
    rtl: Path, effort: Effort
) -> None:
    drawn = random.Random(7)
    a, b = ([drawn.getrandbits(4) for _ in range(200)] for _ in range(2))
    outputs = settled_outputs(synthesised(rtl, "times", effort, N=4), {"a": a, "b": b})
    assert outputs == changes([x * y for x, y in zip(a, b, strict=True)], 8)


@pytest.mark.usefixtures("tools")
def test_a_signed_product_is_that_of_the_integers(rtl: Path) -> None:
    pairs = list(product(range(-8, 8), range(-4, 4)))
    random.Random(3).shuffle(pairs)
    a, b = (list(column) for column in zip(*pairs, strict=True))
    outputs = settled_outputs(synthesised(rtl, "signed_times", N=4), {"a": a, "b": b})
    assert outputs == changes([x * y for x, y in pairs], 10)


@pytest.mark.usefixtures("tools")
def test_a_tool_that_fails_is_quoted(rtl: Path) -> None:
    with pytest.raises(ToolError, match="absent"):
        synthesised(rtl, "absent")


def test_a_report_without_a_path_is_an_error() -> None:
    with pytest.raises(ToolError, match="no timed path in the report"):
        slack_ns("No paths found.")
