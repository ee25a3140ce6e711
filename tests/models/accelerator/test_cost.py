"""The cost table: sums, broadcasting, monotonicity, and the order of magnitude."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.accelerator import technology as tech
from models.accelerator.components import Component
from models.accelerator.cost import CostTable, GemmArrays, area_um2, gemm_cost
from models.accelerator.spec import Accelerator, Dataflow
from models.accelerator.units import plain_adder
from models.networks.gemm import Gemm, Role

FIVE_OF_THE_ACCUMULATOR = (
    Component.SIGNIFICAND_ADDER,
    Component.ALIGNMENT_SHIFTER,
    Component.NORMALISER,
    Component.ACCUMULATOR_REGISTERS,
    Component.PARTIAL_SUMS,
)

sizes = st.integers(1, 3000)
m_ops, m_accs, chunks = st.integers(0, 23), st.integers(0, 48), st.integers(0, 600)


@st.composite
def gemms(draw: st.DrawFn) -> Gemm:
    rows, cols, length = draw(sizes), draw(sizes), draw(sizes)
    count = draw(st.integers(1, 40))
    outputs = rows * cols * count
    macs = draw(st.integers(1, outputs * length))
    return Gemm("g", draw(st.sampled_from(Role)), rows, cols, length, count, macs)


@st.composite
def accelerators(draw: st.DrawFn) -> Accelerator:
    return Accelerator(
        rows=draw(st.integers(2, 128)),
        cols=draw(st.integers(2, 128)),
        dataflow=draw(st.sampled_from(Dataflow)),
        sram_kib=draw(st.integers(1, 4096)),
        dram_gb_per_s=draw(st.floats(0.1, 1000)),
    )


def dense(rows: int, cols: int, length: int, count: int = 1) -> Gemm:
    return Gemm("g", Role.FWD, rows, cols, length, count, rows * cols * length * count)


def everything(table: CostTable) -> list[np.ndarray]:
    return [table.cycles, table.latency_s, *table.energy_pj.values()]


@given(gemms(), accelerators(), m_ops, m_accs, chunks)
def test_costs_are_finite_positive_and_add_up(
    gemm: Gemm, array: Accelerator, m_op: int, m_acc: int, chunk: int
) -> None:
    table = gemm_cost(GemmArrays.of([gemm]), array, m_op, m_acc, chunk)
    assert list(table.energy_pj) == [part.value for part in Component]
    for values in everything(table):
        assert values.shape == (1,)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    parts = sum(float(values[0]) for values in table.energy_pj.values())
    assert float(table.energy_total_pj[0]) == pytest.approx(parts, rel=1e-12)
    assert float(table.latency_s[0]) >= float(table.cycles[0]) / (array.clock_mhz * 1e6)
    assert int(table.cycles[0]) * array.rows * array.cols >= gemm.macs


@given(st.lists(st.tuples(gemms(), m_ops, m_accs, chunks), min_size=1, max_size=5), accelerators())
def test_vectors_equal_one_at_a_time_and_steps_their_sum(
    plan: list[tuple[Gemm, int, int, int]], array: Accelerator
) -> None:
    layers, m_op, m_acc, chunk = zip(*plan, strict=True)
    table = gemm_cost(
        GemmArrays.of(layers), array, np.array(m_op), np.array(m_acc), np.array(chunk)
    )
    alone = [gemm_cost(GemmArrays.of([g]), array, *widths) for g, *widths in plan]
    for values, *singles in zip(everything(table), *map(everything, alone), strict=True):
        assert values.tolist() == [single.item() for single in singles]
    step = table.summed()
    assert step.energy_total_pj == pytest.approx(sum(t.energy_total_pj[0] for t in alone))
    assert step.latency_s == pytest.approx(sum(t.latency_s[0] for t in alone))
    assert step.cycles == sum(int(t.cycles[0]) for t in alone)


def test_options_are_trailing_axes() -> None:
    array = Accelerator()
    layers = GemmArrays.of([dense(100, 50, 300), dense(64, 20, 4000, count=3)])
    m_op = np.array([2, 3])  # one per GEMM
    m_acc = np.array([[5, 9, 12]])  # three options, for every GEMM
    chunk = np.array([[0, 64, 16], [0, 128, 8]])
    table = gemm_cost(layers, array, m_op, m_acc, chunk)
    assert {values.shape for values in everything(table)} == {(2, 3)}
    for option in range(3):
        column = gemm_cost(layers, array, m_op, m_acc[:, option], chunk[:, option])
        assert table.energy_total_pj[:, option].tolist() == column.energy_total_pj.tolist()
        assert table.cycles[:, option].tolist() == column.cycles.tolist()
    assert table.summed().energy_total_pj.shape == (3,)


def test_a_count_repeats_the_product() -> None:
    once, thrice = (
        gemm_cost(GemmArrays.of([dense(70, 30, 200, count)]), Accelerator(), 2, 9, 64)
        for count in (1, 3)
    )
    for one, three in zip(everything(once), everything(thrice), strict=True):
        assert three.tolist() == pytest.approx((3 * one).tolist(), rel=1e-12)


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("chunk", [0, 64])
@pytest.mark.parametrize("part", FIVE_OF_THE_ACCUMULATOR)
def test_energy_of_each_part_grows_with_the_accumulator(
    part: Component, chunk: int, dataflow: Dataflow
) -> None:
    m_acc = np.arange(5, 24)[None]  # from the width of the product on
    layer = GemmArrays.of([dense(100, 50, 300)])
    table = gemm_cost(layer, Accelerator(dataflow=dataflow), 2, m_acc, chunk)
    energies = table.energy_pj[part][0].tolist()
    assert all(a < b for a, b in pairwise(energies))


def test_below_the_product_registers_sums_and_rounding_still_narrow() -> None:
    table = gemm_cost(GemmArrays.of([dense(100, 50, 300)]), Accelerator(), 4, [[3, 7]], 64)
    narrowing = {part for part, (a, b) in ((p, e[0]) for p, e in table.energy_pj.items()) if a < b}
    assert narrowing == {"accumulator_registers", "partial_sums", "rounder", "outer_adder"}


def test_weight_stationary_arrays_have_one_chunk() -> None:
    array = Accelerator(dataflow=Dataflow.WEIGHT_STATIONARY)
    table = gemm_cost(GemmArrays.of([dense(100, 50, 300)]), array, 2, 9, [[0, 16, 1000]])
    assert len(set(table.energy_total_pj[0].tolist())) == 1


def test_chunking_is_not_free() -> None:
    table = gemm_cost(GemmArrays.of([dense(100, 50, 300)]), Accelerator(), 2, 9, [[0, 64, 16]])
    energies = table.energy_total_pj[0].tolist()
    assert energies[0] < energies[1] < energies[2]


def test_structural_zeros_cost_nothing() -> None:
    zeros = Gemm("g", Role.BWD, 100, 50, 1200, 1, 100 * 50 * 300)
    inserted, plain = (
        gemm_cost(GemmArrays.of([g]), Accelerator(), 2, 9, 64) for g in (zeros, dense(100, 50, 300))
    )
    assert inserted.energy_total_pj.tolist() == plain.energy_total_pj.tolist()
    assert inserted.cycles.tolist() == plain.cycles.tolist()


def test_latency_is_bound_by_memory_or_by_compute() -> None:
    thin = GemmArrays.of([dense(1, 4096, 4096)])  # a matrix times a vector
    slow, fast = (
        gemm_cost(thin, Accelerator(sram_kib=65536, dram_gb_per_s=bw), 2, 9, 0) for bw in (1.0, 1e5)
    )
    words = 4096 * 4096 + 4096 + 4096  # 8 bits each
    assert slow.latency_s.tolist() == pytest.approx([words / 1e9])
    assert fast.latency_s.tolist() == pytest.approx((fast.cycles / 500e6).tolist())


def test_dram_energy_is_the_words_that_cross_the_edge() -> None:
    table = gemm_cost(GemmArrays.of([dense(64, 32, 16)]), Accelerator(), 2, 9, 0)
    words = 64 * 16 + 16 * 32 + 64 * 32
    assert table.energy_pj["dram"].tolist() == [words * 8 * tech.DRAM_PJ_PER_BIT]


def test_a_small_gemm_is_priced_by_hand() -> None:
    """2 × 2 × 4 in chunks of 2 on 2 × 2 PEs: 16 MACs, 8-bit operands, 16-bit sums;
    4 outer additions; 8 sums written to memory and read back; per column two chunks of two sums,
    each captured, of which one moves once and one twice; 16 operands to the array from 16 that
    arrive; 4 outputs, written and read.
    """
    array = Accelerator(rows=2, cols=2, e_op=5, e_acc=6, sram_kib=8, accumulator_kib=1)
    table = gemm_cost(GemmArrays.of([dense(2, 2, 4)]), array, 2, 9, 2)
    bank_pj_per_bit = 2.5 / 64  # Horowitz' law at half a KiB
    expected_pj = {
        "multiplier": 16 * 9 * tech.MULTIPLIER_FJ_PER_BIT2 / 1e3,
        "accumulator_registers": 16 * 16 * 0.009,
        "operand_registers": 16 * 2 * 8 * 0.009,
        "outer_adder": 4 * float(plain_adder(np.array(6.0), np.array(9.0)).energy_pj),
        "partial_sums": 16 * ((8 + 8) * bank_pj_per_bit + 2 * 2 * (2 + 3) * 0.009),
        "operand_sram": 8 * (16 + 16 + 4 + 4) * 10 / 64,
        "dram": 8 * (16 + 4) * 8.0,
    }
    found_pj = {part: float(table.energy_pj[part][0]) for part in expected_pj}
    assert found_pj == pytest.approx(expected_pj)


def test_a_large_gemm_costs_a_few_picojoules_per_mac() -> None:
    """Timeloop's 45 nm output-stationary reference is 10.9 pJ per MAC, Eyeriss-like 5.5 pJ
    (hardware.md §1.5, 16 bits, 118.46 and 59.28 µJ for 10,838,016 MACs); ours has 8-bit operands.
    """
    layer = dense(4096, 512, 2048)
    table = gemm_cost(GemmArrays.of([layer]), Accelerator(), 2, 9, 64)
    assert 1.0 < float(table.energy_total_pj[0]) / layer.macs < 5.5


def test_an_eight_bit_array_fits_a_die() -> None:
    # 1024 PEs and 576 KiB of memory: a few mm² at 45 nm
    assert 2.0 < sum(area_um2(Accelerator(), 2, 9, chunked=True).values()) / 1e6 < 5.0


@pytest.mark.parametrize(
    ("m_op", "m_acc", "chunk", "message"),
    [
        (24, 9, 0, r"m_op must be in 0\.\.23, got 24"),
        (2, [[9, 60]], 0, r"m_acc must be in 0\.\.48, got 60"),
        (2, 9, -64, r"chunk must be in 0\.\.1099511627776, got -64"),
        (2, [9, 9, 9], 0, r"axis 0 must be 1 or the number of GEMMs, 2, got shape \(3,\)"),
    ],
)
def test_bad_options_are_named(m_op: int, m_acc: object, chunk: int, message: str) -> None:
    layers = GemmArrays.of([dense(2, 3, 4), dense(5, 6, 7)])
    with pytest.raises(ValueError, match=message):
        gemm_cost(layers, Accelerator(), m_op, m_acc, chunk)  # type: ignore[arg-type]


def test_fractions_of_a_bit_are_refused() -> None:
    with pytest.raises(TypeError, match="m_acc must be integers, got float64"):
        gemm_cost(GemmArrays.of([dense(2, 3, 4)]), Accelerator(), 2, np.array([9.5]), 0)
