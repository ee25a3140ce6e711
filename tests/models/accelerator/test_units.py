"""The calibrated units against what they were calibrated to, and against what they were not."""

from itertools import pairwise

import numpy as np
import pytest

from models.accelerator import technology as tech
from models.accelerator.components import Component
from models.accelerator.gemms import FloatArray
from models.accelerator.mac import mac_logic_pj, mac_logic_um2
from models.accelerator.spec import Accelerator
from models.accelerator.units import (
    accumulating_adder,
    multiplier_pj,
    multiplier_um2,
    plain_adder,
    product_fraction_bits,
)

ADDER_PARTS = (
    Component.SIGNIFICAND_ADDER,
    Component.ALIGNMENT_SHIFTER,
    Component.NORMALISER,
)


def num(value: float) -> FloatArray:
    return np.asarray(float(value))


def mac_um2(e_op: int, m_op: int, e_acc: int, m_acc: int) -> float:
    array = Accelerator(e_op=e_op, e_acc=e_acc)
    return sum(float(area) for area in mac_logic_um2(array, num(m_op), num(m_acc)).values())


def mac_pj(e_op: int, m_op: int, e_acc: int, m_acc: int) -> float:
    array = Accelerator(e_op=e_op, e_acc=e_acc)
    return sum(float(energy) for energy in mac_logic_pj(array, num(m_op), num(m_acc)).values())


@pytest.mark.parametrize(
    ("published", "residual"),
    list(zip(tech.ARCH_COM_ADDERS, (0.0050, -0.0036, -0.0014), strict=True)),
)
def test_adder_areas_leave_the_stated_residuals(
    published: tech.PublishedAdder, residual: float
) -> None:
    adder = plain_adder(num(published.exponent_bits), num(published.mantissa_bits))
    assert float(adder.area_um2) / published.area_um2 - 1 == pytest.approx(residual, abs=2e-4)


@pytest.mark.parametrize(
    ("published", "residual"), list(zip(tech.HOROWITZ_ADDS, (0.078, -0.092), strict=True))
)
def test_adder_energies_leave_the_stated_residuals(
    published: tech.PublishedAddEnergy, residual: float
) -> None:
    adder = plain_adder(num(published.exponent_bits), num(published.mantissa_bits))
    assert float(adder.energy_pj) / published.energy_pj - 1 == pytest.approx(residual, abs=1e-3)


def test_energy_between_the_published_adders_is_underestimated_as_stated() -> None:
    half, single = (plain_adder(num(e), num(m)) for e, m in ((5, 10), (8, 23)))
    slope = float(single.energy_pj - half.energy_pj) / (0.9 - 0.4)  # Horowitz
    assert slope - 1 == pytest.approx(-0.23, abs=0.01)


@pytest.mark.parametrize(
    ("published", "area", "energy"),
    list(zip(tech.HOROWITZ_MULTIPLIERS, (-0.141, 0.109), (-0.016, 0.016), strict=True)),
)
def test_multipliers_leave_the_stated_residuals(
    published: tech.PublishedMultiplier, area: float, energy: float
) -> None:
    m_op = num(published.bits - 1)  # a significand of m + 1 bits
    assert float(multiplier_um2(m_op)) / published.area_um2 - 1 == pytest.approx(area, abs=1e-3)
    assert float(multiplier_pj(m_op)) / published.energy_pj - 1 == pytest.approx(energy, abs=1e-3)


def test_an_exponent_bit_costs_more_than_a_mantissa_bit_saves() -> None:
    # peers.md §6: arch-com's e5m2 adder is larger than its e4m3
    assert plain_adder(num(5), num(2)).area_um2 > plain_adder(num(4), num(3)).area_um2


def test_fp8_mac_agrees_with_synthesis() -> None:
    # hardware.md §1.7, §3.1: 1058 GE; 0.47 fJ per GE at 45 nm; NAND2 of Nangate45 0.798 µm²
    assert mac_pj(5, 2, 6, 9) == pytest.approx(1058 * 0.47e-3, rel=0.25)
    assert 1.0 < mac_um2(5, 2, 6, 9) / (1058 * 0.798) < 2.0


def test_float32_mac_is_of_horowitz_order() -> None:
    # multiply 3.7 pJ + add 0.9 pJ; his multiplier rounds and normalises, ours does not
    assert 0.5 < mac_pj(8, 23, 8, 23) / (3.7 + 0.9) < 1.0


@pytest.mark.parametrize(
    ("e", "m", "fused_um2"), [(4, 3, 2332), (5, 2, 2305), (8, 7, 5207), (8, 23, 12361)]
)
def test_fused_multiply_adds_are_the_same_factor_larger(e: int, m: int, fused_um2: float) -> None:
    # arch-com, Nangate45 (peers.md §6): one fused rounding and special values
    assert 2.0 < fused_um2 / mac_um2(e, m, e, m) < 2.4


def test_narrow_accumulation_saves_what_was_published() -> None:
    # Sakr et al. 2019, figure 1b: 1.5 to 2.2 times from 32-bit to narrow accumulation
    assert 1.5 < mac_um2(5, 2, 8, 23) / mac_um2(5, 2, 6, 9) < 2.2


@pytest.mark.parametrize("m_op", [0, 2, 3, 7])
@pytest.mark.parametrize("part", ADDER_PARTS)
def test_adder_path_is_flat_below_the_product_and_grows_above(part: Component, m_op: int) -> None:
    array = Accelerator()
    product = int(product_fraction_bits(num(m_op)))
    areas = [float(mac_logic_um2(array, num(m_op), num(m))[part]) for m in range(24)]
    for m, (area, next_area) in enumerate(pairwise(areas)):
        assert (next_area > area) == (m >= product)
        assert next_area >= area


def test_rounder_grows_with_every_accumulator_bit() -> None:
    rounders = [float(accumulating_adder(5, 6, num(3), num(m)).rounder_um2) for m in range(24)]
    assert all(a < b for a, b in pairwise(rounders))


def test_adder_is_nearly_linear_in_its_mantissa() -> None:
    # hardware.md §0.2: terms in m² or m log m add nothing to a linear law
    m = np.arange(2.0, 24.0)
    areas = plain_adder(num(6), m).area_um2
    fit = np.polynomial.Polynomial.fit(m, areas, deg=1)(m)
    assert np.max(np.abs(fit / areas - 1)) < 0.04


def test_exponent_logic_holds_the_products_exponent() -> None:
    narrow, wide = (accumulating_adder(5, e, num(2), num(9)).exponent_bits for e in (4, 6))
    assert float(narrow) == float(wide) == 6


def test_energy_of_each_part_follows_its_area() -> None:
    areas = mac_logic_um2(Accelerator(), num(2), num(9))
    energies = mac_logic_pj(Accelerator(), num(2), num(9))
    assert areas.keys() == energies.keys()
    for part in (*ADDER_PARTS, Component.ROUNDER):
        expected_pj = float(areas[part]) * tech.ADDER_FJ_PER_UM2 / 1000
        assert float(energies[part]) == pytest.approx(expected_pj)
