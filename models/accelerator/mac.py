"""The logic of one MAC, by component; its registers belong to the array.

Nothing here is fitted to a MAC, so MACs test the model. An e5m2 MAC into e6m9 comes to 0.50 pJ and
1320 µm²; our own synthesis of an FP8 MAC gave 1058 gate equivalents, at 0.47 fJ and 0.798 µm² each
0.50 pJ and 844 µm². arch-com's fused multiply-adds (Nangate45; single rounding of a wide sum, all
special values) are 2.0 to 2.4 times these areas for e4m3, e5m2, bfloat16 and float32 alike.
"""

from models.accelerator import technology as tech
from models.accelerator.components import Component
from models.accelerator.gemms import FloatArray
from models.accelerator.spec import Accelerator
from models.accelerator.units import (
    Adder,
    accumulating_adder,
    adder_energy_pj,
    multiplier_pj,
    multiplier_um2,
)


def mac_logic_um2(
    accelerator: Accelerator, m_op: FloatArray, m_acc: FloatArray
) -> dict[Component, FloatArray]:
    """Area of an exact multiplier and the adder that takes its product."""
    adder = accumulating_adder(accelerator.e_op, accelerator.e_acc, m_op, m_acc)
    parts = _adder_parts_um2(adder)
    exponent_sum_um2 = tech.INTEGER_ADD_UM2_PER_BIT * accelerator.e_op
    parts[Component.EXPONENT_LOGIC] = parts[Component.EXPONENT_LOGIC] + exponent_sum_um2
    return {Component.MULTIPLIER: multiplier_um2(m_op)} | parts


def mac_logic_pj(
    accelerator: Accelerator, m_op: FloatArray, m_acc: FloatArray
) -> dict[Component, FloatArray]:
    """Energy of one multiplication and one addition; bits beyond these widths are gated off."""
    adder = accumulating_adder(accelerator.e_op, accelerator.e_acc, m_op, m_acc)
    parts = {part: adder_energy_pj(area) for part, area in _adder_parts_um2(adder).items()}
    exponent_sum_pj = tech.INTEGER_ADD_FJ_PER_BIT * 1e-3 * accelerator.e_op
    parts[Component.EXPONENT_LOGIC] = parts[Component.EXPONENT_LOGIC] + exponent_sum_pj
    return {Component.MULTIPLIER: multiplier_pj(m_op)} | parts


def _adder_parts_um2(adder: Adder) -> dict[Component, FloatArray]:
    return {
        Component.EXPONENT_LOGIC: adder.exponent_logic_um2,
        Component.ALIGNMENT_SHIFTER: adder.alignment_shifter_um2,
        Component.SIGNIFICAND_ADDER: adder.significand_adder_um2,
        Component.NORMALISER: adder.normaliser_um2,
        Component.ROUNDER: adder.rounder_um2,
    }


def operand_bits(accelerator: Accelerator, m_op: FloatArray) -> FloatArray:
    """Storage width of an operand, ``1 + e + m``.

    >>> import numpy as np
    >>> int(operand_bits(Accelerator(), np.array(2.0)))
    8
    """
    return 1 + accelerator.e_op + m_op


def sum_bits(accelerator: Accelerator, m_acc: FloatArray) -> FloatArray:
    """Storage width of a partial sum, ``1 + e + m``.

    >>> import numpy as np
    >>> int(sum_bits(Accelerator(), np.array(9.0)))
    16
    """
    return 1 + accelerator.e_acc + m_acc
