"""What area and energy are broken down into."""

from enum import StrEnum


class Component(StrEnum):
    """One term of every area and every energy; a total is their sum.

    Five of them depend on the accumulator's mantissa: ``SIGNIFICAND_ADDER``,
    ``ALIGNMENT_SHIFTER`` and ``NORMALISER`` once it is wider than the product,
    ``ACCUMULATOR_REGISTERS`` and ``PARTIAL_SUMS`` always (so do ``ROUNDER`` and ``OUTER_ADDER``).
    """

    MULTIPLIER = "multiplier"  #: significand product, exact
    EXPONENT_LOGIC = "exponent_logic"  #: of the product and of the addition
    ALIGNMENT_SHIFTER = "alignment_shifter"  #: swap and right shift of the smaller addend
    SIGNIFICAND_ADDER = "significand_adder"
    NORMALISER = "normaliser"  #: leading-zero count and left shift
    ROUNDER = "rounder"
    ACCUMULATOR_REGISTERS = "accumulator_registers"  #: one per PE: OS the sum, WS the pipeline
    OPERAND_REGISTERS = "operand_registers"
    OUTER_ADDER = "outer_adder"  #: one per column, adds chunk sums
    PARTIAL_SUMS = "partial_sums"  #: their way down the column, and the accumulator memory
    OPERAND_SRAM = "operand_sram"
    DRAM = "dram"
