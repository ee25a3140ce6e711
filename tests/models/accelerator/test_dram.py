"""What crosses the chip's edge, against a walk with an SRAM that is filled and emptied."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.accelerator.components import Component
from models.accelerator.cost import gemm_cost
from models.accelerator.dataflow import counts
from models.accelerator.dram import dram_input_bits, output_bits
from models.accelerator.gemms import FloatArray, GemmArrays
from models.accelerator.spec import Accelerator, Dataflow
from models.networks.catalog import CATALOG
from models.networks.gemm import Gemm, Operands, Role

MAC_AND_REGISTERS = (
    Component.MULTIPLIER,
    Component.EXPONENT_LOGIC,
    Component.ALIGNMENT_SHIFTER,
    Component.SIGNIFICAND_ADDER,
    Component.NORMALISER,
    Component.ROUNDER,
    Component.ACCUMULATOR_REGISTERS,
    Component.OPERAND_REGISTERS,
)


def dense(rows: int, cols: int, length: int, count: int = 1) -> Gemm:
    return Gemm("g", Role.FWD, rows, cols, length, count, rows * cols * length * count)


def unfolded(gemm: Gemm, left: int, right: int) -> Gemm:
    """The same matrices, but ``left`` and ``right`` distinct values in each product."""
    return replace(gemm, operands=Operands(gemm.count * left, gemm.count * right))


@st.composite
def gemms(draw: st.DrawFn) -> Gemm:
    size = st.integers(1, 60)
    gemm = dense(draw(size), draw(size), draw(size), draw(st.integers(1, 3)))
    if draw(st.booleans()):
        return gemm
    left = draw(st.integers(1, gemm.rows * gemm.length))
    return unfolded(gemm, left, draw(st.integers(1, gemm.cols * gemm.length)))


@st.composite
def accelerators(draw: st.DrawFn) -> Accelerator:
    return Accelerator(
        rows=draw(st.integers(2, 8)),
        cols=draw(st.integers(2, 8)),
        dataflow=draw(st.sampled_from(Dataflow)),
        sram_kib=draw(st.integers(1, 8)),
        accumulator_kib=1,
    )


word_widths = st.integers(2, 29)


def moved(gemm: Gemm, array: Accelerator, word_bits: int) -> float:
    return float(dram_input_bits(GemmArrays.of([gemm]), array, np.asarray(float(word_bits)))[0])


@dataclass
class Sram:
    """Holds tiles, never more than fit, and counts the words brought into it or past it."""

    capacity: int
    held: dict[str, Fraction] = field(default_factory=dict)
    moved: Fraction = Fraction(0)

    def load(self, tile: str, words: Fraction) -> None:
        if tile not in self.held:
            self.held[tile] = words
            self.moved += words
        assert sum(self.held.values()) <= self.capacity

    def stream(self, words: Fraction) -> None:
        self.moved += words


def tiles_of(lines: int, tile: int, elements: Fraction) -> list[Fraction]:
    """Words of each tile of an operand: shares of what is distinct in it."""
    sizes = [min(tile, lines - start) for start in range(0, lines, tile)]
    return [elements * size / lines for size in sizes]


def block_sides(gemm: Gemm, array: Accelerator) -> tuple[int, int]:
    match array.dataflow:
        case Dataflow.OUTPUT_STATIONARY:
            return array.rows, array.cols
        case Dataflow.WEIGHT_STATIONARY if gemm.length > array.rows:
            return array.accumulator_depth, array.cols
        case _:
            return gemm.rows, array.cols


def walk_streaming(a: list[Fraction], b: list[Fraction], sram: Sram) -> None:
    for rows in a:
        for cols in b:
            sram.stream(rows)
            sram.stream(cols)


def panels_of(staying: list[Fraction], passing: Fraction, capacity: int) -> list[range]:
    """Runs of tiles, each as long as half of the SRAM allows, and what must wait beside it."""
    panels, start = [], 0
    while start < len(staying):
        end = start + 1
        while end < len(staying) and fits(sum(staying[start : end + 1]), passing, capacity):
            end += 1
        panels.append(range(start, end))
        start = end
    return panels


def fits(panel: Fraction | int, passing: Fraction, capacity: int) -> bool:
    return 2 * panel <= capacity and panel + passing <= capacity


def walk_staying(staying: list[Fraction], passing: list[Fraction], sram: Sram) -> bool:
    """Load panel after panel and take all of the other operand past each; False: no tile fits."""
    if 2 * staying[0] > sram.capacity:
        return False
    for panel in panels_of(staying, passing[0], sram.capacity):
        sram.held.clear()
        for tile in panel:
            sram.load(f"staying {tile}", staying[tile])
        for index, words in enumerate(passing):
            if len(panel) == 1:
                sram.stream(words)
                continue
            for _ in panel:
                sram.load(f"passing {index}", words)
            del sram.held[f"passing {index}"]
    return True


def cheapest_walk(gemm: Gemm, array: Accelerator, word_bits: int) -> Fraction:
    rows, cols = block_sides(gemm, array)
    a = tiles_of(gemm.rows, rows, Fraction(gemm.left_elements, gemm.count))
    b = tiles_of(gemm.cols, cols, Fraction(gemm.right_elements, gemm.count))
    streamed, with_a, with_b = (Sram(array.sram_bits // word_bits) for _ in range(3))
    walk_streaming(a, b, streamed)
    walks = [streamed.moved]
    walks += [with_a.moved] if walk_staying(a, b, with_a) else []
    walks += [with_b.moved] if walk_staying(b, a, with_b) else []
    return gemm.count * word_bits * min(walks)


@given(gemms(), accelerators(), word_widths)
def test_dram_traffic_is_the_cheapest_of_three_walks(
    gemm: Gemm, array: Accelerator, word_bits: int
) -> None:
    walked = float(cheapest_walk(gemm, array, word_bits))
    assert moved(gemm, array, word_bits) == pytest.approx(walked, rel=1e-12)


@given(gemms(), accelerators(), word_widths)
def test_every_tensor_is_read_at_least_once(gemm: Gemm, array: Accelerator, word_bits: int) -> None:
    compulsory = (gemm.left_elements + gemm.right_elements) * word_bits
    assert moved(gemm, array, word_bits) >= compulsory * (1 - 1e-12)


@given(gemms(), accelerators(), word_widths, st.integers(1, 64))
def test_more_sram_never_moves_more(
    gemm: Gemm, array: Accelerator, word_bits: int, more_kib: int
) -> None:
    larger = array.model_copy(update={"sram_kib": array.sram_kib + more_kib})
    assert moved(gemm, larger, word_bits) <= moved(gemm, array, word_bits) * (1 + 1e-12)


@given(gemms(), accelerators(), word_widths)
def test_dram_sends_no_more_than_the_array_takes_from_its_sram(
    gemm: Gemm, array: Accelerator, word_bits: int
) -> None:
    """Streaming both operands is the order in which the array reads them, weights included."""
    folded = replace(gemm, operands=None)
    reads = int(counts(GemmArrays.of([folded]), array, np.array(0)).operand_reads.item())
    assert moved(folded, array, word_bits) <= reads * word_bits


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("rows", [3, 64, 65, 200])
def test_operands_of_which_no_tile_fits_stream_as_the_array_reads_them(
    dataflow: Dataflow, rows: int
) -> None:
    # two tiles of one column or row of 5000 words each, against half of 8192 bits
    gemm = dense(rows, 9, 5000)
    array = Accelerator(rows=4, cols=4, dataflow=dataflow, sram_kib=1, accumulator_kib=1)
    reads = int(counts(GemmArrays.of([gemm]), array, np.array(0)).operand_reads.item())
    assert moved(gemm, array, 8) == 8 * reads


def test_operands_that_fit_move_once() -> None:
    assert moved(dense(64, 32, 16), Accelerator(sram_kib=8), 8) == (64 * 16 + 16 * 32) * 8


def test_a_single_tile_stays_although_nothing_fits_beside_it() -> None:
    # of 8192 bits: a row tile 2 · 200 · 8 = 3200, a column tile 8000, all of A 4800
    gemm = dense(3, 10, 200)
    array = Accelerator(rows=2, cols=5, sram_kib=1, accumulator_kib=1)
    assert moved(gemm, array, 8) == 4800 + 2 * 16_000


def test_a_small_last_tile_joins_the_last_panel() -> None:
    # half of 8192 bits holds 5 rows of 800: tiles of 2, 2 and 1 rows are one panel
    gemm = dense(5, 100, 100)
    array = Accelerator(rows=2, cols=2, sram_kib=1, accumulator_kib=1)
    assert moved(gemm, array, 8) == 5 * 800 + 80_000
    # and 7 rows are two: 4, then 3
    assert moved(dense(7, 100, 100), array, 8) == 7 * 800 + 2 * 80_000


def test_unfolding_is_free_at_the_edge_of_the_chip() -> None:
    gemm, array = dense(3136, 64, 576), Accelerator()
    input_words, weights = 64 * 58 * 58, 576 * 64
    assert moved(unfolded(gemm, input_words, weights), array, 8) == 8 * (input_words + weights)


def test_wide_and_narrow_operands_have_their_own_schedules() -> None:
    # half of 512 KiB holds 262 rows of 1000 at 8 bits, so 8 tiles of 32; at 4 bits all 300
    gemms = GemmArrays.of([dense(300, 300, 1000)]).with_axes(1)
    words = dram_input_bits(gemms, Accelerator(), np.array([[8.0, 4.0]])) / [8, 4]
    assert words.tolist() == [[3 * 300_000, 2 * 300_000]]


def test_outputs_leave_at_operand_width() -> None:
    bits = output_bits(GemmArrays.of([dense(4, 5, 6, 7)]), np.asarray(8.0))
    assert bits.tolist() == [4 * 5 * 7 * 8]


def resnet18_step(batch: int) -> tuple[Gemm, ...]:
    return CATALOG["resnet18-imagenet"]().gemms(batch)


def step_energy_pj(gemms: tuple[Gemm, ...], array: Accelerator) -> dict[str, FloatArray]:
    return gemm_cost(GemmArrays.of(gemms), array, 2, 9, 64).summed().energy_pj


@pytest.mark.parametrize("side", [32, 64])
def test_a_training_step_moves_a_few_times_its_tensors(side: int) -> None:
    """Between each tensor once, 3.2 GB at 8 bits, and six times that: GRAD's long columns, which
    stream for every block of sums, are most of the rest.
    """
    gemms, array = resnet18_step(256), Accelerator(rows=side, cols=side)
    once = sum(g.left_elements + g.right_elements + g.out_elements for g in gemms)
    assert 3.0e9 < once < 3.5e9
    moved_bytes = float(step_energy_pj(gemms, array)["dram"]) / 8.0 / 8
    assert once < moved_bytes < 6 * once


@pytest.mark.parametrize("side", [32, 64])
def test_a_training_step_costs_picojoules_per_mac(side: int) -> None:
    """The MAC with its registers 0.5 to 1.5 pJ (our synthesis of an FP8 MAC: 0.5 pJ of logic);
    all together 1 to 5 pJ (Timeloop, Eyeriss-like, 16 bits, AlexNet: 5.5 pJ, hardware.md §1.5).
    """
    gemms = resnet18_step(256)
    macs = sum(gemm.macs for gemm in gemms)
    energy_pj = step_energy_pj(gemms, Accelerator(rows=side, cols=side))
    assert 0.5 < sum(float(energy_pj[part]) for part in MAC_AND_REGISTERS) / macs < 1.5
    assert 1.0 < sum(map(float, energy_pj.values())) / macs < 5.0


@pytest.mark.parametrize("side", [32, 64])
def test_a_training_step_is_bound_by_compute(side: int) -> None:
    # 1.36e12 MACs at 500 MHz: 2.7 s on 1024 PEs, 0.67 s on 4096, and a little for the tiles' ends
    gemms, array = resnet18_step(256), Accelerator(rows=side, cols=side)
    step = gemm_cost(GemmArrays.of(gemms), array, 2, 9, 64).summed()
    ideal_s = sum(gemm.macs for gemm in gemms) / side**2 / 500e6
    assert ideal_s < float(step.latency_s) < 1.3 * ideal_s


def test_inference_of_one_image_is_dominated_by_weights_from_dram() -> None:
    """AlexNet at batch 1 reads its 61 million weights for 0.7 GMACs: each once, which is more than
    half of all energy (62 % in Timeloop's references of one layer, hardware.md §1.5).
    """
    gemms = tuple(g for g in CATALOG["alexnet-imagenet"]().gemms(1) if g.role is Role.FWD)
    energy_pj = step_energy_pj(gemms, Accelerator())
    assert 0.5 < float(energy_pj["dram"]) / sum(map(float, energy_pj.values())) < 0.75


def test_panels_of_the_walk_hold_what_fits() -> None:
    tiles = [Fraction(30), Fraction(30), Fraction(10)]
    assert panels_of(tiles, Fraction(60), 140) == [range(0, 3)]
    assert panels_of(tiles, Fraction(90), 140) == [range(0, 1), range(1, 3)]
    assert panels_of(tiles, Fraction(120), 140) == [range(0, 1), range(1, 2), range(2, 3)]
    assert walk_staying(tiles, tiles, Sram(60))
    assert not walk_staying(tiles, tiles, Sram(59))
