"""Memory laws against published points, and the DRAM schedule against its own loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.accelerator import technology as tech
from models.accelerator.gemms import GemmArrays
from models.accelerator.memory import dram_input_bits, output_bits, sram_pj_per_bit, sram_um2
from models.networks.gemm import Gemm, Role


def one(rows: int, cols: int, length: int, count: int) -> GemmArrays:
    macs = rows * cols * length * count
    return GemmArrays.of([Gemm("g", Role.FWD, rows, cols, length, count, macs)])


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


def walk_panels(resident_bits: int, streamed_bits: int, panel_bits: int) -> int:
    """Load panels until the operand is through, streaming the other past each."""
    moved = 0
    while resident_bits > 0:
        panel = min(panel_bits, resident_bits)
        moved += panel + streamed_bits
        resident_bits -= panel
    return moved


@given(
    rows=st.integers(1, 60),
    cols=st.integers(1, 60),
    length=st.integers(1, 60),
    count=st.integers(1, 3),
    word_bits=st.integers(2, 24),
    sram_kib=st.integers(1, 4),
)
def test_dram_traffic_is_the_cheaper_of_two_walks(
    rows: int, cols: int, length: int, count: int, word_bits: int, sram_kib: int
) -> None:
    sram_bits = sram_kib * 8192
    a, b = rows * length * word_bits, length * cols * word_bits
    walked = min(walk_panels(a, b, sram_bits // 2), walk_panels(b, a, sram_bits // 2))
    bits = np.asarray(float(word_bits))
    moved = dram_input_bits(one(rows, cols, length, count), bits, sram_bits)
    assert moved.tolist() == [count * walked]


def test_operands_that_fit_move_once() -> None:
    moved = dram_input_bits(one(64, 32, 16, 1), np.asarray(8.0), 8 * 1024 * 8)
    assert moved.tolist() == [(64 * 16 + 16 * 32) * 8]


def test_outputs_leave_at_operand_width() -> None:
    assert output_bits(one(4, 5, 6, 7), np.asarray(8.0)).tolist() == [4 * 5 * 7 * 8]
