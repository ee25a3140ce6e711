"""The catalogue of arithmetic blocks: module, parameters, ports and latency as frozen values."""

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

    @property
    def name(self) -> str:
        """An identifier that no other block has.

        >>> leading_zeros(8).name
        'leading_zeros_W8'
        """
        fields = (f"{key}{value}".replace("-", "minus") for key, value in self.parameters)
        return "_".join((self.module, *fields))


def _ports(**widths_bits: int) -> tuple[Port, ...]:
    return tuple(Port(name, width_bits) for name, width_bits in widths_bits.items())


def _format(number_format: FloatFormat, suffix: str = "") -> Parameters:
    check_format(number_format)
    return (
        (f"E{suffix}", number_format.exponent_bits),
        (f"M{suffix}", number_format.mantissa_bits),
        (f"SUBNORMALS{suffix}", int(number_format.subnormals)),
    )


def _rounding(rounding: Rounding, random_bits: int | None) -> Parameters:
    """What the modules round by; without chance their random port is one idle bit wide."""
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
    outputs = _ports(count=(width_bits - 1).bit_length(), none=1)
    return Block("leading_zeros", (("W", width_bits),), _ports(x=width_bits), outputs)


def shift_left(width_bits: int, amount_bits: int) -> Block:
    """Barrel shifter to the left."""
    parameters = (("W", width_bits), ("S", amount_bits))
    return Block(
        "shift_left", parameters, _ports(x=width_bits, amount=amount_bits), _ports(y=width_bits)
    )


def shift_right_sticky(width_bits: int, amount_bits: int) -> Block:
    """Barrel shifter to the right that says whether a one fell off."""
    parameters = (("W", width_bits), ("S", amount_bits))
    inputs = _ports(x=width_bits, amount=amount_bits)
    return Block("shift_right_sticky", parameters, inputs, _ports(y=width_bits, sticky=1))


def register(width_bits: int) -> Block:
    """Flip-flops."""
    return Block("register", (("W", width_bits),), _ports(d=width_bits), _ports(q=width_bits), 1)


def fp_add(number_format: FloatFormat, rounding: Rounding, random_bits: int | None = None) -> Block:
    """``sum = round(a + b)``, all of one format."""
    chance = _rounding(rounding, random_bits)
    bits = number_format.bits
    inputs = _ports(a=bits, b=bits, random=random_bits or 1)
    return Block("fp_add", _format(number_format) + chance, inputs, _ports(sum=bits))
