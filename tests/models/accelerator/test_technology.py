"""Published numbers as published, and the factors fitted to them."""

import numpy as np
import pytest

from models.accelerator import technology as tech
from models.accelerator.units import HIDDEN_AND_GUARD_BITS, plain_adder


def least_relative_squares(terms: list[list[float]], published: list[float]) -> list[float]:
    scaled = np.array(terms) / np.array(published)[:, None]
    return [float(x) for x in np.linalg.lstsq(scaled, np.ones(len(published)), rcond=None)[0]]


def test_published_numbers_are_repeated() -> None:
    # peers.md §6 (arch-com, Nangate45); hardware.md §1.1 (Horowitz, ISSCC 2014)
    adders = [(a.exponent_bits, a.mantissa_bits, a.area_um2) for a in tech.ARCH_COM_ADDERS]
    assert adders == [(4, 3, 728.0), (5, 2, 809.0), (8, 23, 2271.0)]
    adds = [(a.exponent_bits, a.mantissa_bits, a.energy_pj) for a in tech.HOROWITZ_ADDS]
    assert adds == [(5, 10, 0.4), (8, 23, 0.9)]
    multipliers = [(m.bits, m.area_um2, m.energy_pj) for m in tech.HOROWITZ_MULTIPLIERS]
    assert multipliers == [(8, 282.0, 0.2), (32, 3495.0, 3.1)]
    assert [(s.kib, s.energy_pj) for s in tech.HOROWITZ_SRAM] == [(8, 10), (32, 20), (1024, 100)]
    # hardware.md §1.5 (Aladdin register; LPDDR4 512 pJ per 64 b), §1.6 (CACTI)
    assert (tech.REGISTER_FJ_PER_BIT, tech.REGISTER_UM2_PER_BIT) == (9.0, 5.98)
    assert tech.DRAM_PJ_PER_BIT == 512 / 64
    assert (tech.SRAM_UM2_AT_1_KIB, tech.SRAM_AREA_EXPONENT) == (3471.0, 0.98)
    assert tech.NODE_NM == 45


def test_integer_adders_are_rows_of_full_adders() -> None:
    # Horowitz: 36, 67 and 137 µm² for 8, 16 and 32 bits
    for bits, area_um2 in ((8, 36.0), (16, 67.0), (32, 137.0)):
        assert tech.FULL_ADDER_UM2 * bits == pytest.approx(area_um2, rel=0.06)
        assert tech.INTEGER_ADD_UM2_PER_BIT * bits == pytest.approx(area_um2, rel=0.06)
    add_8_fj = tech.INTEGER_ADD_FJ_PER_BIT * 8
    assert add_8_fj == pytest.approx(30, rel=0.2)  # 0.03 pJ


@pytest.mark.parametrize("name", ["FULL_ADDER_UM2", "HALF_ADDER_UM2", "MUX_UM2", "XOR_UM2"])
def test_cells_fill_whole_sites(name: str) -> None:
    sites = getattr(tech, name) / (0.19 * 1.4)  # Nangate45: site 0.19 µm × row 1.4 µm
    assert sites == pytest.approx(round(sites), abs=1e-9)


def counted_cells_um2(mantissa_bits: int) -> float:
    """Cells of an adder, counted here once more."""
    w = mantissa_bits + HIDDEN_AND_GUARD_BITS
    full = w * (tech.FULL_ADDER_UM2 + tech.XOR_UM2)
    muxes = 2 * w * np.log2(w) + 2 * w + w
    return float(full + muxes * tech.MUX_UM2 + (mantissa_bits + 1) * tech.HALF_ADDER_UM2)


def test_adder_factors_are_the_least_squares_fit() -> None:
    terms = [
        [counted_cells_um2(a.mantissa_bits), float(a.exponent_bits)] for a in tech.ARCH_COM_ADDERS
    ]
    fit = least_relative_squares(terms, [a.area_um2 for a in tech.ARCH_COM_ADDERS])
    factors = [tech.LOGIC_OVERHEAD, tech.EXPONENT_LOGIC_UM2_PER_BIT]
    assert factors == pytest.approx(fit, rel=1e-4)


def test_adder_energy_factor_is_the_least_squares_fit() -> None:
    areas = [
        [
            float(
                plain_adder(
                    np.array(float(a.exponent_bits)), np.array(float(a.mantissa_bits))
                ).area_um2
            )
        ]
        for a in tech.HOROWITZ_ADDS
    ]
    fit = least_relative_squares(areas, [a.energy_pj * 1e3 for a in tech.HOROWITZ_ADDS])
    assert fit == pytest.approx([tech.ADDER_FJ_PER_UM2], rel=1e-4)


def test_multiplier_factors_are_the_least_squares_fit() -> None:
    squares = [[float(m.bits**2)] for m in tech.HOROWITZ_MULTIPLIERS]
    area = least_relative_squares(squares, [m.area_um2 for m in tech.HOROWITZ_MULTIPLIERS])
    energy = least_relative_squares(squares, [m.energy_pj * 1e3 for m in tech.HOROWITZ_MULTIPLIERS])
    assert area == pytest.approx([tech.MULTIPLIER_UM2_PER_BIT2], rel=1e-3)
    assert energy == pytest.approx([tech.MULTIPLIER_FJ_PER_BIT2], rel=1e-3)
