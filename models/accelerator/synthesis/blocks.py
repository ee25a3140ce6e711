"""The catalogue of arithmetic blocks: module, parameters, ports and latency as frozen values."""

from dataclasses import dataclass
from pathlib import Path

from analysis.formats import Accumulator, FixedFormat, FloatFormat, Fused, Overflow, Rounding
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


def _product_formats(a: FloatFormat, b: FloatFormat) -> Parameters:
    return _format(a, "A") + _format(b, "B")


def fp_product(a: FloatFormat, b: FloatFormat) -> Block:
    """The exact product, normalised but not encoded.

    Its value is ``(−1)^sign · significand · 2^(exponent − bias_a − bias_b − m_a − m_b − 1)``.
    """
    bits = a.mantissa_bits + b.mantissa_bits + 2
    exponent_bits = 2 + max(a.exponent_bits, b.exponent_bits) + (bits - 1).bit_length()
    outputs = _ports(sign=1, exponent=exponent_bits, significand=bits)
    return Block("fp_product", _product_formats(a, b), _ports(a=a.bits, b=b.bits), outputs)


def fp_mul(
    a: FloatFormat,
    b: FloatFormat,
    number_format: FloatFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``product = round(a · b)``."""
    parameters = (
        *_product_formats(a, b),
        *_format(number_format),
        ("BIAS", a.bias + b.bias - number_format.bias),
        *_rounding(rounding, random_bits),
    )
    inputs = _ports(a=a.bits, b=b.bits, random=random_bits or 1)
    return Block("fp_mul", parameters, inputs, _ports(product=number_format.bits))


def fp_add_to(
    addend: FloatFormat,
    number_format: FloatFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``sum = round(accumulator + addend)``, the addend of a format of its own."""
    parameters = (
        *_format(addend, "A"),
        *_format(number_format),
        ("BIAS", addend.bias - number_format.bias),
        *_rounding(rounding, random_bits),
    )
    bits = number_format.bits
    inputs = _ports(addend=addend.bits, accumulator=bits, random=random_bits or 1)
    return Block("fp_add_to", parameters, inputs, _ports(sum=bits))


def fp_mac(a: FloatFormat, b: FloatFormat, accumulator: Accumulator) -> Block:
    """``sum = round(accumulator + a · b)``; the product is exact unless the accumulator rounds it."""
    form = _float_of(accumulator)
    product = accumulator.product
    if product is None:
        module = "fp_mac"
        biases: Parameters = (("BIAS", a.bias + b.bias - form.bias),)
    else:
        module = "fp_mac_rounded"
        biases = (
            *_format(product.format, "P"),
            ("BIASP", a.bias + b.bias - product.format.bias),
            ("BIAS", product.format.bias - form.bias),
            ("ROUNDINGP", _rounding(product.rounding, None)[0][1]),
        )
    parameters = (*_product_formats(a, b), *_format(form), *biases, *_chance(accumulator))
    random_bits = accumulator.random_bits or 1
    inputs = _ports(a=a.bits, b=b.bits, accumulator=form.bits, random=random_bits)
    return Block(module, parameters, inputs, _ports(sum=form.bits))


def fp_dot(
    a: FloatFormat, b: FloatFormat, accumulator: Accumulator, *, running: bool = True
) -> Block:
    """One step of a fused sum; with ``running``, the accumulator takes part in the alignment.

    Raises:
        ValueError: the order is not fused, or not the module's: cut toward zero, no sum outside,
            subnormals at their format's lowest exponent.
    """
    form, order = _float_of(accumulator), accumulator.order
    if not isinstance(order, Fused) or order != Fused(
        order.terms, order.kept_bits, least_exponents=(a.emin, b.emin)
    ):
        raise ValueError(
            "fp_dot: order must be fused, cut toward zero, with least_exponents ="
            f" {(a.emin, b.emin)} and nothing outside, got {order}"
        )
    parameters = (
        ("K", order.terms),
        *_product_formats(a, b),
        ("KEPT", order.kept_bits),
        ("RUNNING", int(running)),
        *_format(form),
        ("BIAS", a.bias + b.bias - form.bias),
        *_chance(accumulator),
    )
    inputs = _ports(
        a=order.terms * a.bits,
        b=order.terms * b.bits,
        accumulator=form.bits,
        random=accumulator.random_bits or 1,
    )
    return Block("fp_dot", parameters, inputs, _ports(sum=form.bits))


def int_mac(a_bits: int, b_bits: int, accumulator: FixedFormat) -> Block:
    """``accumulator + a · b``, saturating or wrapping as the format says."""
    parameters = (("WA", a_bits), ("WB", b_bits), *_integer(accumulator))
    bits = accumulator.width_bits
    return Block(
        "int_mac", parameters, _ports(a=a_bits, b=b_bits, accumulator=bits), _ports(sum=bits)
    )


def int_dot(terms: int, a_bits: int, b_bits: int, accumulator: FixedFormat) -> Block:
    """``accumulator`` plus the exact sum of ``terms`` products."""
    parameters = (("K", terms), ("WA", a_bits), ("WB", b_bits), *_integer(accumulator))
    bits = accumulator.width_bits
    inputs = _ports(a=terms * a_bits, b=terms * b_bits, accumulator=bits)
    return Block("int_dot", parameters, inputs, _ports(sum=bits))


def _integer(fixed: FixedFormat) -> Parameters:
    return ("W", fixed.width_bits), ("SATURATE", int(fixed.overflow is Overflow.SATURATE))


def _float_of(accumulator: Accumulator) -> FloatFormat:
    if not isinstance(accumulator.format, FloatFormat):
        raise ValueError(f"blocks: accumulator must be floating point, got {accumulator.format}")
    return accumulator.format


def _chance(accumulator: Accumulator) -> Parameters:
    return _rounding(accumulator.rounding, accumulator.random_bits)
