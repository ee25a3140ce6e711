"""Blocks with registers: around a combinational one, and those that sum in chunks."""

from collections.abc import Sequence

from analysis.formats import Accumulator, FloatFormat
from models.accelerator.synthesis.blocks import Block, Port
from models.accelerator.synthesis.floating import fp_add_to, fp_mac

#: maximal-length feedback by register width (Alfke, Xilinx XAPP 052, 1996, table 3)
LFSR_TAPS = {8: (8, 6, 5, 4), 16: (16, 15, 13, 4), 24: (24, 23, 22, 17), 32: (32, 22, 2, 1)}

_WRAPPER = """\
module {name} ({ports});
{registers}
    {module} #({parameters}) core ({connections});
endmodule
"""


def registered(block: Block) -> Block:
    """The block between input and output registers, so that its two areas can be told apart.

    An accumulator input becomes the register of the output ``sum``, which an input ``first``
    clears: it is what each processing element would hold.

    Raises:
        ValueError: the block has registers of its own.
    """
    if block.latency_cycles:
        raise ValueError(f"registered: {block.name} must be combinational, has a clock")
    fed_back = any(port.name == "accumulator" for port in block.inputs)
    inputs = tuple(port for port in block.inputs if port.name != "accumulator")
    if fed_back:
        inputs = (Port("first", 1), *inputs)
    name = f"{block.name}_registered"
    source = _WRAPPER.format(
        name=name,
        ports=", ".join(_header(inputs, block.outputs)),
        registers="\n".join(_registers(inputs, block.outputs)),
        module=block.module,
        parameters=", ".join(f".{key}({value})" for key, value in block.parameters),
        connections=", ".join(_connection(port, fed_back) for port in block.inputs + block.outputs),
    )
    return Block(name, (), inputs, block.outputs, 2, source)


def _header(inputs: Sequence[Port], outputs: Sequence[Port]) -> list[str]:
    ins = [f"input [{port.width_bits - 1}:0] {port.name}" for port in inputs]
    outs = [f"output [{port.width_bits - 1}:0] {port.name}" for port in outputs]
    return ["input clk", *ins, *outs]


def _registers(inputs: Sequence[Port], outputs: Sequence[Port]) -> list[str]:
    ends = [(port, port.name, f"{port.name}_core") for port in inputs]
    ends += [(port, f"{port.name}_core", port.name) for port in outputs]
    return [
        f"    wire [{port.width_bits - 1}:0] {port.name}_core;\n"
        f"    register #(.W({port.width_bits})) {port.name}_register"
        f" (.clk(clk), .d({before}), .q({after}));"
        for port, before, after in ends
    ]


def _connection(port: Port, fed_back: bool) -> str:
    if port.name == "accumulator":
        return f".accumulator(first_core ? {port.width_bits}'b0 : sum)"
    return f".{port.name}({port.name}_core)"


def lfsr(width_bits: int, steps: int) -> Block:
    """Pseudo-random bits, ``steps`` new ones a cycle at the low end of ``state``.

    Raises:
        ValueError: no feedback is tabulated for the width, or it is less than ``steps``.
    """
    if width_bits not in LFSR_TAPS or not 1 <= steps <= width_bits:
        raise ValueError(
            f"lfsr: width must be one of {list(LFSR_TAPS)} and at least steps, got"
            f" {width_bits} and {steps}"
        )
    taps = sum(1 << (tap - 1) for tap in LFSR_TAPS[width_bits])
    parameters = (("W", width_bits), ("TAPS", taps), ("STEPS", steps))
    inputs = (Port("load", 1), Port("seed", width_bits))
    return Block("lfsr", parameters, inputs, (Port("state", width_bits),), 1)


def fp_pe(a: FloatFormat, b: FloatFormat, accumulator: Accumulator) -> Block:
    """A MAC with exact products and the register of its running sum."""
    mac = fp_mac(a, b, accumulator)
    if accumulator.product is not None:
        raise ValueError(f"fp_pe: products must be exact, got {accumulator.product}")
    inputs = (Port("first", 1), *(port for port in mac.inputs if port.name != "accumulator"))
    return Block("fp_pe", mac.parameters, inputs, mac.outputs, 1)


def fp_chunked_column(
    elements: int, a: FloatFormat, b: FloatFormat, accumulator: Accumulator
) -> Block:
    """Elements that sum chunks into their own registers, and one outer adder for all of them.

    One chunk a cycle joins its outer sum, so chunks must be at least as long as there are
    elements, and begin one cycle apart. One element is a chunked MAC.

    Raises:
        ValueError: no chunk, or one shorter than the elements are many.
    """
    if accumulator.chunk is None or accumulator.chunk < elements:
        raise ValueError(
            f"fp_chunked_column: chunk must be at least {elements}, got {accumulator.chunk}"
        )
    inner = fp_pe(a, b, accumulator)
    form, outer = accumulator.format, accumulator.outer_accumulator
    assert isinstance(form, FloatFormat)
    if not isinstance(outer.format, FloatFormat):
        raise ValueError(f"fp_chunked_column: outer must be floating point, got {outer.format}")
    add = fp_add_to(form, outer.format, outer.rounding, outer.random_bits)
    outer_parameters = tuple((f"{key}O", value) for key, value in add.parameters if key[-1] != "A")
    inputs = (
        *(Port(port.name, elements * port.width_bits) for port in inner.inputs),
        Port("valid", 1),
        Port("outer_first", 1),
        Port("index", max(elements - 1, 1).bit_length()),
        Port("outer_random", outer.random_bits or 1),
    )
    parameters = (("PES", elements), *inner.parameters, *outer_parameters)
    return Block("fp_chunked_column", parameters, inputs, add.outputs, 1)
