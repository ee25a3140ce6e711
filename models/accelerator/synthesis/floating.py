"""Floating-point blocks: adders, multipliers, MACs and aligned dot products."""

from analysis.formats import Accumulator, FloatFormat, Fused, Rounding, Sequential
from models.accelerator.synthesis.blocks import (
    Block,
    Parameters,
    format_parameters,
    ports,
    rounding_parameters,
)


def fp_add(number_format: FloatFormat, rounding: Rounding, random_bits: int | None = None) -> Block:
    """``sum = round(a + b)``, all of one format."""
    chance = rounding_parameters(rounding, random_bits)
    bits = number_format.bits
    inputs = ports(a=bits, b=bits, random=random_bits or 1)
    return Block("fp_add", format_parameters(number_format) + chance, inputs, ports(sum=bits))


def fp_product(a: FloatFormat, b: FloatFormat) -> Block:
    """The exact product, normalised but not encoded.

    Its value is ``(−1)^sign · significand · 2^(exponent − bias_a − bias_b − m_a − m_b − 1)``.
    """
    bits = a.mantissa_bits + b.mantissa_bits + 2
    exponent_bits = 2 + max(a.exponent_bits, b.exponent_bits) + (bits - 1).bit_length()
    outputs = ports(sign=1, exponent=exponent_bits, significand=bits)
    return Block("fp_product", _operands(a, b), ports(a=a.bits, b=b.bits), outputs)


def fp_mul(
    a: FloatFormat,
    b: FloatFormat,
    number_format: FloatFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``product = round(a · b)``."""
    parameters = (
        *_operands(a, b),
        *format_parameters(number_format),
        ("BIAS", a.bias + b.bias - number_format.bias),
        *rounding_parameters(rounding, random_bits),
    )
    inputs = ports(a=a.bits, b=b.bits, random=random_bits or 1)
    return Block("fp_mul", parameters, inputs, ports(product=number_format.bits))


def fp_add_to(
    addend: FloatFormat,
    number_format: FloatFormat,
    rounding: Rounding,
    random_bits: int | None = None,
) -> Block:
    """``sum = round(accumulator + addend)``, the addend of a format of its own."""
    parameters = (
        *format_parameters(addend, "A"),
        *format_parameters(number_format),
        ("BIAS", addend.bias - number_format.bias),
        *rounding_parameters(rounding, random_bits),
    )
    bits = number_format.bits
    inputs = ports(addend=addend.bits, accumulator=bits, random=random_bits or 1)
    return Block("fp_add_to", parameters, inputs, ports(sum=bits))


def fp_mac(a: FloatFormat, b: FloatFormat, accumulator: Accumulator) -> Block:
    """``sum = round(accumulator + a · b)``; product exact unless the accumulator rounds it.

    Raises:
        ValueError: the accumulator is not floating point, or adds in another order.
    """
    form = _float_of(accumulator)
    if not isinstance(accumulator.order, Sequential):
        raise ValueError(f"fp_mac: order must be sequential, got {accumulator.order}")
    product = accumulator.product
    if product is None:
        module = "fp_mac"
        biases: Parameters = (("BIAS", a.bias + b.bias - form.bias),)
    else:
        module = "fp_mac_rounded"
        biases = (
            *format_parameters(product.format, "P"),
            ("BIASP", a.bias + b.bias - product.format.bias),
            ("BIAS", product.format.bias - form.bias),
            ("ROUNDINGP", rounding_parameters(product.rounding, None)[0][1]),
        )
    parameters = (*_operands(a, b), *format_parameters(form), *biases, *_chance(accumulator))
    random_bits = accumulator.random_bits or 1
    inputs = ports(a=a.bits, b=b.bits, accumulator=form.bits, random=random_bits)
    return Block(module, parameters, inputs, ports(sum=form.bits))


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
        *_operands(a, b),
        ("KEPT", order.kept_bits),
        ("RUNNING", int(running)),
        *format_parameters(form),
        ("BIAS", a.bias + b.bias - form.bias),
        *_chance(accumulator),
    )
    inputs = ports(
        a=order.terms * a.bits,
        b=order.terms * b.bits,
        accumulator=form.bits,
        random=accumulator.random_bits or 1,
    )
    return Block("fp_dot", parameters, inputs, ports(sum=form.bits))


def _operands(a: FloatFormat, b: FloatFormat) -> Parameters:
    return format_parameters(a, "A") + format_parameters(b, "B")


def _chance(accumulator: Accumulator) -> Parameters:
    return rounding_parameters(accumulator.rounding, accumulator.random_bits)


def _float_of(accumulator: Accumulator) -> FloatFormat:
    if not isinstance(accumulator.format, FloatFormat):
        raise ValueError(f"blocks: accumulator must be floating point, got {accumulator.format}")
    return accumulator.format
