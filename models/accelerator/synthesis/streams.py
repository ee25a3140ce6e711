"""What a MAC's inputs do while it sums Gaussian data, and the MAC with its accumulator's register.

Operands are standard normal numbers quantised to their format. Integers, and formats of at most
three exponent bits, are used with scaled blocks only: every 32 of their numbers are scaled so that
the largest becomes the format's largest. Sums are 64 products long and start anew at zero.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.quantization import quantize
from models.accelerator.synthesis.codes import encode, hardware_format
from models.accelerator.synthesis.energy import Vectors
from models.accelerator.synthesis.flow import Design
from models.accelerator.synthesis.points import Point

Integers = npt.NDArray[np.int64]

SUM_LENGTH = 64
#: One sum to settle in, and those that are counted.
SUMS = 9
SCALED_BLOCK = 32
_WIDEST_SCALED_EXPONENT = 3

_UNIT = """\
module mac_unit (
    input clk, input first, {inputs}, output reg [{width}-1:0] accumulator
);
    wire [{width}-1:0] sum;
    {block} #({parameters}) mac (
        {connections}, .sum(sum), .accumulator(accumulator & {{{width}{{~first}}}})
    );
    always @(posedge clk) accumulator <= sum;
endmodule
"""


def mac_unit(point: Point, folder: Path) -> Design:
    """The MAC of a point with the register of its accumulator, cleared where ``first`` is set."""
    widths = _input_widths(point)
    own = point.values
    text = _UNIT.format(
        inputs=", ".join(f"input [{width}-1:0] {name}" for name, width in widths.items()),
        connections=", ".join(f".{name}({name})" for name in widths),
        width=own["W"] if _is_integer(point) else 1 + own["E"] + own["M"],
        block=point.block,
        parameters=", ".join(f".{name}({value})" for name, value in point.parameters),
    )
    path = folder / "mac_unit.v"
    path.write_text(text)
    return Design("mac_unit", (), (*point.design.sources, path), "clk")


def vectors(point: Point, rng: np.random.Generator) -> Vectors:
    """The inputs of ``mac_unit``, cycle by cycle."""
    own = point.values
    cycles = SUMS * SUM_LENGTH
    operand = _integers if _is_integer(point) else _codes
    columns = {name: operand(own, name.upper(), cycles, rng) for name in "ab"}
    if not _is_integer(point):
        columns["random"] = rng.integers(0, 1 << own.get("R", 1), cycles)
    columns["first"] = (np.arange(cycles) % SUM_LENGTH == 0).astype(np.int64)
    return {name: column.tolist() for name, column in columns.items()}


def _is_integer(point: Point) -> bool:
    return "WA" in point.values


def _input_widths(point: Point) -> dict[str, int]:
    own = point.values
    if _is_integer(point):
        return {"a": own["WA"], "b": own["WB"]}
    fields = {name: 1 + own[f"E{name.upper()}"] + own[f"M{name.upper()}"] for name in "ab"}
    return {**fields, "random": own.get("R", 1)}


def _integers(own: Mapping[str, int], name: str, count: int, rng: np.random.Generator) -> Integers:
    largest = (1 << (own[f"W{name}"] - 1)) - 1
    return np.rint(_scaled_blocks(count, largest, rng)).astype(np.int64)


def _codes(own: Mapping[str, int], name: str, count: int, rng: np.random.Generator) -> Integers:
    e, m = own[f"E{name}"], own[f"M{name}"]
    number_format = hardware_format(e, m, subnormals=bool(own[f"SUBNORMALS{name}"]))
    if e <= _WIDEST_SCALED_EXPONENT:
        data = _scaled_blocks(count, float(number_format.largest), rng)
    else:
        data = rng.standard_normal(count)
    return encode(quantize(data, number_format), number_format)


def _scaled_blocks(count: int, largest: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    data = rng.standard_normal((count // SCALED_BLOCK, SCALED_BLOCK))
    scales: npt.NDArray[np.float64] = largest / np.abs(data).max(axis=1, keepdims=True)
    return (data * scales).ravel()
