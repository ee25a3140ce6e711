"""Blocks that accumulate integers, and those between fixed, block and floating point."""

from dataclasses import dataclass

from analysis.formats import FixedFormat, FloatFormat, Overflow, Rounding
from models.accelerator.synthesis.blocks import (
    Block,
    Parameters,
    format_parameters,
    ports,
    rounding_parameters,
)


def int_mac(a_bits: int, b_bits: int, accumulator: FixedFormat) -> Block:
    """``accumulator + a · b``, saturating or wrapping as the format says."""
    parameters = (("WA", a_bits), ("WB", b_bits), *_integer(accumulator))
    bits = accumulator.width_bits
    return Block(
        "int_mac", parameters, ports(a=a_bits, b=b_bits, accumulator=bits), ports(sum=bits)
    )


def int_dot(terms: int, a_bits: int, b_bits: int, accumulator: FixedFormat) -> Block:
    """``accumulator`` plus the exact sum of ``terms`` products."""
    parameters = (("K", terms), ("WA", a_bits), ("WB", b_bits), *_integer(accumulator))
    bits = accumulator.width_bits
    inputs = ports(a=terms * a_bits, b=terms * b_bits, accumulator=bits)
    return Block("int_dot", parameters, inputs, ports(sum=bits))


@dataclass(frozen=True, slots=True)
class LogFormat:
    """A sign and a logarithm to base 2, unsigned fixed point; the least logarithm means zero."""

    integer_bits: int
    fraction_bits: int

    @property
    def bits(self) -> int:
        """Storage width, sign included."""
        return 1 + self.integer_bits + self.fraction_bits


def lns_mac(
    operand: LogFormat, table_bits: int, dropped_bits: int, accumulator: FixedFormat
) -> Block:
    """Multiply by adding logarithms, look up the fraction's power of two, shift, accumulate.

    With logarithms that add up to q + r/2^Q, a product is ``⌊T_r 2^q / 2^dropped⌋`` in units of
    2^(dropped − P): T_r is the integer nearest to 2^(P + r/2^Q), with P = ``table_bits`` behind
    the point. Converting each product to an integer before it is accumulated is LNS-Madam's way
    (Zhao et al., IEEE TC 2022, doi 10.1109/TC.2022.3202747); the arithmetic is our own.
    """
    parameters = (
        ("I", operand.integer_bits),
        ("Q", operand.fraction_bits),
        ("P", table_bits),
        ("DROP", dropped_bits),
        *_integer(accumulator),
    )
    bits = accumulator.width_bits
    inputs = ports(a=operand.bits, b=operand.bits, accumulator=bits)
    return Block("lns_mac", parameters, inputs, ports(sum=bits))


def fixed_to_fp(
    fixed: FixedFormat,
    number_format: FloatFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``y = round(x)``, from fixed to floating point."""
    parameters = (
        ("W", fixed.width_bits),
        ("FRACTION", fixed.fraction_bits),
        *format_parameters(number_format),
        ("BIAS", number_format.bias),
        *rounding_parameters(rounding, random_bits),
    )
    inputs = ports(x=fixed.width_bits, random=random_bits or 1)
    return Block("fixed_to_fp", parameters, inputs, ports(y=number_format.bits))


def fp_to_fixed(
    number_format: FloatFormat,
    fixed: FixedFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``y = round(x)``, from floating to fixed point, saturating.

    Raises:
        ValueError: the fixed point wraps, or saturates at subnormal numbers.
    """
    if fixed.overflow is not Overflow.SATURATE:
        raise ValueError(f"fp_to_fixed: {fixed.name} must saturate, got {fixed.overflow}")
    if number_format.subnormals and number_format.emin + fixed.fraction_bits >= fixed.width_bits:
        raise ValueError(
            f"fp_to_fixed: {fixed.name} must hold 2^{number_format.emin}, got {fixed.range[1]}"
        )
    parameters = (
        *format_parameters(number_format),
        ("BIAS", number_format.bias),
        ("W", fixed.width_bits),
        ("FRACTION", fixed.fraction_bits),
        *rounding_parameters(rounding, random_bits),
    )
    inputs = ports(x=number_format.bits, random=random_bits or 1)
    return Block("fp_to_fixed", parameters, inputs, ports(y=fixed.width_bits))


def bfp_convert(
    terms: int,
    number_format: FloatFormat,
    fraction_bits: int,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """A group's shared exponent, biased, and its elements as integers.

    The exponent E is the largest element's (at least emin); the elements are multiples of
    2^(E − ``fraction_bits``) in two's complement, ``fraction_bits`` + 2 bits wide, saturating.
    """
    parameters = (
        ("K", terms),
        *format_parameters(number_format),
        ("FRACTION", fraction_bits),
        *rounding_parameters(rounding, random_bits),
    )
    inputs = ports(x=terms * number_format.bits, random=terms * (random_bits or 1))
    outputs = ports(exponent=number_format.exponent_bits, y=terms * (fraction_bits + 2))
    return Block("bfp_convert", parameters, inputs, outputs)


def _integer(fixed: FixedFormat) -> Parameters:
    return ("W", fixed.width_bits), ("SATURATE", int(fixed.overflow is Overflow.SATURATE))
