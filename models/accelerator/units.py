"""The parts of an arithmetic unit: cells counted by structure, scaled to published units.

Areas in µm² at 45 nm, elementwise over arrays of widths.
"""

from dataclasses import dataclass

import numpy as np

from models.accelerator import technology as tech
from models.accelerator.gemms import FloatArray

#: Hidden bit, guard, round and sticky.
HIDDEN_AND_GUARD_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Adder:
    """A floating-point adder whose addends have ``fraction_bits`` and its sum ``rounded_bits``.

    Its cells are counted by structure for ``w = fraction_bits + 4`` (hidden bit, guard, round,
    sticky) and scaled by one factor; exponent logic is linear in its bits. Both factors are fitted
    to three published adders (``technology.ARCH_COM_ADDERS``), which they meet within 0.5 %.
    ``log₂ w`` is kept smooth: synthesis shows areas linear in the mantissa, without the steps
    that ``⌈log₂ w⌉`` would give.
    """

    exponent_bits: FloatArray
    fraction_bits: FloatArray
    rounded_bits: FloatArray

    @property
    def width_bits(self) -> FloatArray:
        """Significand path ``w``."""
        return self.fraction_bits + HIDDEN_AND_GUARD_BITS

    @property
    def _barrel_um2(self) -> FloatArray:
        width = self.width_bits
        return tech.LOGIC_OVERHEAD * tech.MUX_UM2 * width * np.log2(width)

    @property
    def significand_adder_um2(self) -> FloatArray:
        """``w`` full adders, each with the XOR of an effective subtraction."""
        cell_um2 = tech.FULL_ADDER_UM2 + tech.XOR_UM2
        return tech.LOGIC_OVERHEAD * cell_um2 * self.width_bits

    @property
    def alignment_shifter_um2(self) -> FloatArray:
        """Two multiplexers per bit to swap the addends, ``w log₂ w`` to shift the smaller one."""
        return self._barrel_um2 + 2 * tech.LOGIC_OVERHEAD * tech.MUX_UM2 * self.width_bits

    @property
    def normaliser_um2(self) -> FloatArray:
        """A leading-zero counter, about one multiplexer per bit, and ``w log₂ w`` to shift."""
        return self._barrel_um2 + tech.LOGIC_OVERHEAD * tech.MUX_UM2 * self.width_bits

    @property
    def rounder_um2(self) -> FloatArray:
        """Half adders that increment the rounded significand."""
        return tech.LOGIC_OVERHEAD * tech.HALF_ADDER_UM2 * (self.rounded_bits + 1)

    @property
    def exponent_logic_um2(self) -> FloatArray:
        """Everything that handles exponents, linear in their bits."""
        return tech.EXPONENT_LOGIC_UM2_PER_BIT * self.exponent_bits

    @property
    def area_um2(self) -> FloatArray:
        """All parts together."""
        return (
            self.significand_adder_um2
            + self.alignment_shifter_um2
            + self.normaliser_um2
            + self.rounder_um2
            + self.exponent_logic_um2
        )

    @property
    def energy_pj(self) -> FloatArray:
        """One addition; Horowitz' 0.4 pJ (fp16) and 0.9 pJ (fp32) within 10 %."""
        return adder_energy_pj(self.area_um2)


def plain_adder(exponent_bits: FloatArray, mantissa_bits: FloatArray) -> Adder:
    """An adder of two numbers of one format, whose sum has that format too."""
    return Adder(exponent_bits, mantissa_bits, mantissa_bits)


def product_fraction_bits(m_op: FloatArray) -> FloatArray:
    """Fraction bits ``2 m + 1`` of an exact, normalised product of two ``m``-bit fractions.

    >>> int(product_fraction_bits(np.array(2.0)))
    5
    """
    return 2 * m_op + 1


def accumulating_adder(e_op: int, e_acc: int, m_op: FloatArray, m_acc: FloatArray) -> Adder:
    """The adder of a MAC: an exact product meets an accumulator of ``m_acc`` fraction bits.

    Its path holds the wider of the two. When the product is the larger addend, its low bits meet
    the aligned sum, and after cancellation they can be the leading ones; so below the product's
    own width the adder and its shifters do not narrow: the rounder, the register and all traffic
    of sums still do. A product's exponent needs one bit more than an operand's.
    """
    exponent_bits = np.asarray(float(max(e_acc, e_op + 1)))
    return Adder(exponent_bits, np.maximum(m_acc, product_fraction_bits(m_op)), m_acc)


def adder_energy_pj(area_um2: FloatArray) -> FloatArray:
    """Energy of one use of adder logic of that area."""
    return tech.ADDER_FJ_PER_UM2 * 1e-3 * area_um2


def multiplier_um2(m_op: FloatArray) -> FloatArray:
    """An unsigned ``(m + 1) × (m + 1)``-bit multiplier; published 8 and 32 bits within 14 %."""
    return tech.MULTIPLIER_UM2_PER_BIT2 * (m_op + 1) ** 2


def multiplier_pj(m_op: FloatArray) -> FloatArray:
    """One product of ``m + 1`` by ``m + 1`` bits; published 8 and 32 bits within 2 %."""
    return tech.MULTIPLIER_FJ_PER_BIT2 * 1e-3 * (m_op + 1) ** 2
