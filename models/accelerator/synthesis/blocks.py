"""A block as a frozen value: module, parameters, ports, latency; and the parts of the others.

The catalogue goes on in :mod:`floating`, :mod:`fixed` and :mod:`sequential`.
"""

from dataclasses import dataclass
from pathlib import Path

from analysis.formats import FloatFormat, Rounding
from models.accelerator.synthesis.codes import check_format

RTL = Path(__file__).parent / "rtl"
#: every module; those that a block does not use are left out by simulation and synthesis
SOURCES = tuple(sorted(RTL.glob("*.v")))

#: how the modules number the roundings
_ROUNDINGS = {Rounding.NEAREST_EVEN: 0, Rounding.TOWARD_ZERO: 1, Rounding.STOCHASTIC: 2}

Parameters = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module; two's complement where it is an integer."""

    name: str
    width_bits: int


@dataclass(frozen=True, slots=True)
class Block:
    """A module with its parameters."""

    module: str
    parameters: Parameters
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    latency_cycles: int = 0  #: 0: combinational; otherwise a port ``clk`` besides the inputs
    source: str = ""  #: of a module that is not in ``rtl/``

    @property
    def name(self) -> str:
        """An identifier that no other block has.

        >>> leading_zeros(8).name
        'leading_zeros_W8'
        """
        fields = (f"{key}{value}".replace("-", "minus") for key, value in self.parameters)
        return "_".join((self.module, *fields))


def ports(**widths_bits: int) -> tuple[Port, ...]:
    """Ports by name."""
    return tuple(Port(name, width_bits) for name, width_bits in widths_bits.items())


def format_parameters(number_format: FloatFormat, suffix: str = "") -> Parameters:
    """A format's widths, as the modules' parameters with this suffix.

    Raises:
        ValueError: the modules do not have the format.
    """
    check_format(number_format)
    return (
        (f"E{suffix}", number_format.exponent_bits),
        (f"M{suffix}", number_format.mantissa_bits),
        (f"SUBNORMALS{suffix}", int(number_format.subnormals)),
    )


def rounding_parameters(rounding: Rounding, random_bits: int | None) -> Parameters:
    """What the modules round by; without chance their random port is one idle bit wide.

    Raises:
        ValueError: another rounding, or random bits that it does not draw or lacks.
    """
    if rounding not in _ROUNDINGS:
        raise ValueError(f"blocks: rounding must be one of {', '.join(_ROUNDINGS)}, got {rounding}")
    if (rounding is Rounding.STOCHASTIC) != (random_bits is not None):
        raise ValueError(
            "blocks: stochastic rounding, and no other, needs random bits, got"
            f" {rounding} with {random_bits}"
        )
    if random_bits is not None and random_bits < 1:
        raise ValueError(f"blocks: random bits must be at least 1, got {random_bits}")
    return ("ROUNDING", _ROUNDINGS[rounding]), ("R", random_bits or 1)


def leading_zeros(width_bits: int) -> Block:
    """Count of leading zeros, and whether there is nothing else."""
    outputs = ports(count=(width_bits - 1).bit_length(), none=1)
    return Block("leading_zeros", (("W", width_bits),), ports(x=width_bits), outputs)


def shift_left(width_bits: int, amount_bits: int) -> Block:
    """Barrel shifter to the left."""
    parameters = (("W", width_bits), ("S", amount_bits))
    return Block(
        "shift_left", parameters, ports(x=width_bits, amount=amount_bits), ports(y=width_bits)
    )


def shift_right_sticky(width_bits: int, amount_bits: int) -> Block:
    """Barrel shifter to the right that says whether a one fell off."""
    parameters = (("W", width_bits), ("S", amount_bits))
    inputs = ports(x=width_bits, amount=amount_bits)
    return Block("shift_right_sticky", parameters, inputs, ports(y=width_bits, sticky=1))


def register(width_bits: int) -> Block:
    """Flip-flops."""
    return Block("register", (("W", width_bits),), ports(d=width_bits), ports(q=width_bits), 1)
