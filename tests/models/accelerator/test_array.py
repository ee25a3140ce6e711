"""Area of the whole array by component."""

from itertools import pairwise

import numpy as np
import pytest

from models.accelerator import technology as tech
from models.accelerator.array import area_um2
from models.accelerator.components import Component
from models.accelerator.memory import sram_um2
from models.accelerator.spec import Accelerator, Dataflow
from models.accelerator.units import plain_adder

FIVE_OF_THE_ACCUMULATOR = (
    Component.SIGNIFICAND_ADDER,
    Component.ALIGNMENT_SHIFTER,
    Component.NORMALISER,
    Component.ACCUMULATOR_REGISTERS,
    Component.PARTIAL_SUMS,
)


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("part", FIVE_OF_THE_ACCUMULATOR)
def test_area_of_each_part_grows_with_the_accumulator(
    part: Component, dataflow: Dataflow, chunked: bool
) -> None:
    array = Accelerator(dataflow=dataflow)
    areas = [area_um2(array, 2, m, chunked)[part] for m in range(5, 24)]  # product: 5 bits
    assert all(a < b for a, b in pairwise(areas))


@pytest.mark.parametrize("part", [Component.ACCUMULATOR_REGISTERS, Component.PARTIAL_SUMS])
def test_registers_and_sums_narrow_below_the_product_too(part: Component) -> None:
    areas = [area_um2(Accelerator(), 7, m, chunked=True)[part] for m in range(16)]
    assert all(a < b for a, b in pairwise(areas))


def test_every_component_is_listed_and_none_is_negative() -> None:
    areas = area_um2(Accelerator(), 2, 9, chunked=False)
    assert list(areas) == [part.value for part in Component]
    assert min(areas.values()) == areas["dram"] == 0.0


def test_output_stationary_chunks_cost_what_they_need() -> None:
    array = Accelerator(rows=8, cols=4, e_acc=6, accumulator_kib=64)
    plain, chunked = (area_um2(array, 2, 9, flag) for flag in (False, True))
    adder_um2 = float(plain_adder(np.asarray(6.0), np.asarray(9.0)).area_um2)
    assert plain["outer_adder"] == 0.0
    assert chunked["outer_adder"] == pytest.approx(4 * adder_um2)  # one per column
    shift_out_um2 = 8 * 4 * 16 * tech.REGISTER_UM2_PER_BIT
    memory_um2 = 4 * sram_um2(64 / 4 / 2)  # 16-bit sums in banks for 32-bit ones
    extra = chunked["partial_sums"] - plain["partial_sums"]
    assert extra == pytest.approx(shift_out_um2 + memory_um2)


def test_weight_stationary_hardware_is_chunked_anyway() -> None:
    array = Accelerator(dataflow=Dataflow.WEIGHT_STATIONARY)
    assert area_um2(array, 2, 9, chunked=False) == area_um2(array, 2, 9, chunked=True)
    assert area_um2(array, 2, 9, chunked=False)["outer_adder"] > 0


def test_weights_are_double_buffered() -> None:
    output, weight = (area_um2(Accelerator(dataflow=d), 2, 9, True) for d in Dataflow)
    assert weight["operand_registers"] == pytest.approx(1.5 * output["operand_registers"])


def test_pe_area_scales_with_the_array() -> None:
    small, large = (area_um2(Accelerator(rows=r, cols=16), 2, 9, False) for r in (16, 32))
    assert large["multiplier"] == pytest.approx(2 * small["multiplier"])
    assert large["accumulator_registers"] == pytest.approx(2 * small["accumulator_registers"])
    assert large["operand_sram"] == small["operand_sram"]


def test_widths_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"m_acc must be in 0\.\.48, got 49"):
        area_um2(Accelerator(), 2, 49, False)
    with pytest.raises(ValueError, match=r"m_op must be in 0\.\.23, got -1"):
        area_um2(Accelerator(), -1, 9, False)
