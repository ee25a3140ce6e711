"""Memory laws against published points."""

import pytest

from models.accelerator import technology as tech
from models.accelerator.memory import sram_pj_per_bit, sram_um2


@pytest.mark.parametrize(
    ("published", "residual"), list(zip(tech.HOROWITZ_SRAM, (0.0, 0.0, 0.131), strict=True))
)
def test_sram_energy_leaves_the_stated_residuals(
    published: tech.PublishedSramRead, residual: float
) -> None:
    law_pj = 64 * sram_pj_per_bit(published.kib)
    assert law_pj / published.energy_pj - 1 == pytest.approx(residual, abs=1e-3)


def test_sram_energy_is_within_its_factor_of_cacti() -> None:
    # hardware.md §1.6, CACTI 7, 45 nm, read and write of 64 bits; Accelergy's 128 KB buffer 26 pJ
    for kib, cacti_pj in ((1, 1.43), (1, 2.91), (8, 5.29), (32, 14.9), (128, 33.0), (128, 26.0)):
        assert 1.0 < 64 * sram_pj_per_bit(kib) / cacti_pj < 2.6


def test_sram_area_is_nearly_proportional() -> None:
    assert sram_um2(1) == 3471.0  # CACTI 7
    assert sram_um2(256) / (256 * sram_um2(1)) == pytest.approx(256**-0.02)
