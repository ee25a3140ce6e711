"""Closed forms against an array that is walked through, register by register and cycle by cycle."""

from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest

from models.accelerator.dataflow import Counts, counts, hardware_chunk
from models.accelerator.gemms import GemmArrays
from models.accelerator.spec import Accelerator, Dataflow
from models.networks.gemm import Gemm, Role


@dataclass
class Tally:
    """What happened so far; the same names as ``Counts``."""

    cycles: int = 0
    accumulator_writes: int = 0
    column_writes: int = 0
    outer_adds: int = 0
    sum_writes: int = 0
    sum_reads: int = 0
    operand_writes: int = 0
    operand_reads: int = 0


@dataclass
class Bank:
    """Accumulator memory of one column, and the adder before it."""

    depth: int
    held: set[int] = field(default_factory=set)

    def take(self, row: int, tally: Tally) -> None:
        if row in self.held:
            tally.sum_reads += 1
            tally.outer_adds += 1
        self.held.add(row)
        tally.sum_writes += 1
        assert len(self.held) <= self.depth

    def empty(self, tally: Tally) -> None:
        tally.sum_reads += len(self.held)
        self.held.clear()


def blocks(total: int, size: int) -> list[int]:
    """Sizes of the tiles that cover ``total``."""
    return [min(size, total - start) for start in range(0, total, size)]


def walk_weight_stationary(gemm: Gemm, array: Accelerator) -> Tally:
    tally = Tally()
    several = gemm.length > array.rows
    rows_at_once = array.accumulator_depth if several else gemm.rows
    for _ in range(gemm.count):
        for rows in blocks(gemm.rows, rows_at_once):
            for cols in blocks(gemm.cols, array.cols):
                banks = [Bank(array.accumulator_depth) for _ in range(cols)]
                for weights in blocks(gemm.length, array.rows):
                    stream_rows(rows, cols, weights, array, banks if several else [], tally)
                for bank in banks:
                    bank.empty(tally)
    return tally


def stream_rows(
    rows: int, cols: int, weights: int, array: Accelerator, banks: list[Bank], tally: Tally
) -> None:
    tally.operand_reads += weights * cols
    tally.operand_writes += weights * cols
    last_cycle = 0
    for m in range(rows):
        for r in range(array.rows):
            tally.operand_reads += r < weights  # enters at the left edge
            for c in range(array.cols):
                last_cycle = max(last_cycle, m + r + c)
                tally.operand_writes += r < weights and c < cols
                tally.accumulator_writes += c < cols
        tally.column_writes += cols
        for bank in banks:
            bank.take(m, tally)
    tally.cycles += last_cycle + 1


def stream_slots(length: int, chunk: int, rows: int) -> list[int]:
    """Cycle at which each product enters PE (0, 0): bubbles keep chunk ends R cycles apart."""
    slots: list[int] = []
    now, last_end = 0, None
    for k in range(length):
        ends_chunk = (k + 1) % chunk == 0 or k + 1 == length
        if ends_chunk and last_end is not None:
            while now - last_end < rows:
                now += 1
        slots.append(now)
        if ends_chunk:
            last_end = now
        now += 1
    return slots


def walk_output_stationary(gemm: Gemm, array: Accelerator, chunk: int) -> Tally:
    tally = Tally()
    slots = stream_slots(gemm.length, chunk, array.rows)
    for _ in range(gemm.count):
        for rows in blocks(gemm.rows, array.rows):
            for cols in blocks(gemm.cols, array.cols):
                walk_tile(rows, cols, slots, array, tally)
                for _ in range(cols):
                    drain_column(rows, slots, chunk, array, tally)
    return tally


def walk_tile(rows: int, cols: int, slots: list[int], array: Accelerator, tally: Tally) -> None:
    last_cycle = 0
    for r in range(array.rows):
        for c in range(array.cols):
            last_cycle = max(last_cycle, slots[-1] + r + c)
            if r < rows and c < cols:
                tally.accumulator_writes += len(slots)
                tally.operand_writes += 2 * len(slots)
    tally.operand_reads += (rows + cols) * len(slots)  # at the left and the top edge
    tally.cycles += last_cycle + 1


@dataclass
class Chain:
    """The shift-out registers of one column: which chunk's sum of which row each one holds."""

    registers: list[tuple[int, int] | None]
    leaving: int = -1  #: the chunk that is draining

    def shift(self, tally: Tally) -> tuple[int, int] | None:
        """Move every sum of the leaving chunk down one place; the lowest one leaves."""
        foot = None
        for place in reversed(range(len(self.registers))):
            held = self.registers[place]
            if held is None or held[0] != self.leaving:
                continue
            self.registers[place] = None
            tally.column_writes += 1
            if place + 1 == len(self.registers):
                foot = held
            else:
                assert self.registers[place + 1] is None
                self.registers[place + 1] = held
        return foot

    def capture(self, place: int, chunk: int) -> None:
        assert self.registers[place] is None, "a sum was overwritten"
        self.registers[place] = (chunk, place)


def drain_column(rows: int, slots: list[int], chunk: int, array: Accelerator, tally: Tally) -> None:
    """Carry one column's sums out; unchunked ones go through the accumulators themselves."""
    chunk_ends = [*slots[chunk - 1 :: chunk]]
    if len(slots) % chunk:
        chunk_ends.append(slots[-1])
    several = len(chunk_ends) > 1
    chain, bank = Chain([None] * array.rows), Bank(array.accumulator_depth)
    arrived = 0
    next_tile = slots[-1] + array.rows + array.cols - 1
    for cycle in range(slots[-1] + 2 * array.rows):
        if cycle - array.rows in chunk_ends:  # the lowest PE has captured: start to drain
            assert all(held is None or held[0] != chain.leaving for held in chain.registers)
            chain.leaving = chunk_ends.index(cycle - array.rows)
        foot = chain.shift(tally)
        if foot is not None:
            arrived += 1
            if several:
                bank.take(foot[1], tally)
        for r in range(rows):
            if cycle - r in chunk_ends:
                chain.capture(r, chunk_ends.index(cycle - r))
                tally.column_writes += several
            if not several and cycle >= next_tile + r:
                assert chain.registers[r] is None, "the next tile overwrote a sum"
    assert arrived == rows * len(chunk_ends)
    bank.empty(tally)


def random_array(rng: np.random.Generator, dataflow: Dataflow) -> Accelerator:
    rows, cols = (int(x) for x in rng.integers(2, 7, size=2))
    return Accelerator(rows=rows, cols=cols, dataflow=dataflow, accumulator_kib=1)


def random_gemm(rng: np.random.Generator, most_rows: int) -> Gemm:
    rows = int(rng.integers(1, most_rows))
    cols, length = (int(x) for x in rng.integers(1, 20, size=2))
    count = int(rng.integers(1, 3))
    return Gemm("g", Role.FWD, rows, cols, length, count, rows * cols * length * count)


def as_tally(found: Counts) -> Tally:
    return Tally(**{f.name: int(getattr(found, f.name).item()) for f in fields(Tally)})


@pytest.mark.parametrize("seed", range(150))
def test_weight_stationary_counts_equal_the_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = random_array(rng, Dataflow.WEIGHT_STATIONARY)
    gemm = random_gemm(rng, most_rows=12)
    if seed % 3 == 0:  # about as many rows as the memory is deep, or twice as many
        rows = array.accumulator_depth * int(rng.integers(1, 3)) + int(rng.integers(-1, 2))
        gemm = replace(gemm, rows=rows, macs=rows * gemm.cols * gemm.length * gemm.count)
    found = counts(GemmArrays.of([gemm]), array, np.array(0))
    assert as_tally(found) == walk_weight_stationary(gemm, array)


@pytest.mark.parametrize("seed", range(300))
def test_output_stationary_counts_equal_the_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = random_array(rng, Dataflow.OUTPUT_STATIONARY)
    gemm = random_gemm(rng, most_rows=20)
    chunk = int(rng.integers(0, 22))
    found = counts(GemmArrays.of([gemm]), array, np.array(chunk))
    assert as_tally(found) == walk_output_stationary(gemm, array, chunk or gemm.length)


def test_walks_reach_every_case() -> None:
    """The random arrays above do stall, do reload weights, and do have partial tiles."""
    assert stream_slots(length=4, chunk=2, rows=5) == [0, 1, 2, 6]
    deep = Gemm("g", Role.FWD, 150, 1, 19, 1, 150 * 19)
    array = Accelerator(rows=4, cols=4, dataflow=Dataflow.WEIGHT_STATIONARY, accumulator_kib=1)
    assert array.accumulator_depth == 64
    assert walk_weight_stationary(deep, array).operand_reads == 3 * 19 + 150 * 19  # three passes


def test_scale_sims_output_stationary_cycles_are_met() -> None:
    # peers.md §6, SCALE-Sim v3: GEMM (M, N, K) = (256, 128, 64) on 32 × 32; it counts one less
    gemm = GemmArrays.of([Gemm("g", Role.FWD, 256, 128, 64, 1, 256 * 128 * 64)])
    assert counts(gemm, Accelerator(), np.array(0)).cycles.tolist() == [4031 + 1]


def test_scale_sims_weight_stationary_cycles_are_met_but_for_the_weight_load() -> None:
    # the same GEMM: 2799, in which each of 2 × 4 tiles waits R = 32 cycles for its weights
    gemm = GemmArrays.of([Gemm("g", Role.FWD, 256, 128, 64, 1, 256 * 128 * 64)])
    array = Accelerator(dataflow=Dataflow.WEIGHT_STATIONARY)
    assert counts(gemm, array, np.array(0)).cycles.tolist() == [2799 + 1 - 2 * 4 * 32]


def test_long_chunks_cost_no_cycles_and_short_ones_stall() -> None:
    gemm = GemmArrays.of([Gemm("g", Role.FWD, 32, 32, 1024, 1, 32 * 32 * 1024)])
    cycles = counts(gemm, Accelerator(), np.array([0, 64, 32, 16])).cycles.tolist()
    assert cycles[0] == cycles[1] == cycles[2] == 1024 + 62
    assert cycles[3] == 16 + 63 * 32 + 62


@pytest.mark.parametrize(
    ("dataflow", "length", "chunk", "n1"),
    [
        (Dataflow.WEIGHT_STATIONARY, 4608, None, 32),
        (Dataflow.WEIGHT_STATIONARY, 4608, 64, 32),
        (Dataflow.WEIGHT_STATIONARY, 9, 4, 9),
        (Dataflow.OUTPUT_STATIONARY, 4608, None, 4608),
        (Dataflow.OUTPUT_STATIONARY, 4608, 0, 4608),
        (Dataflow.OUTPUT_STATIONARY, 4608, 64, 64),
        (Dataflow.OUTPUT_STATIONARY, 9, 64, 9),
    ],
)
def test_the_chunk_is_what_the_hardware_has(
    dataflow: Dataflow, length: int, chunk: int | None, n1: int
) -> None:
    assert hardware_chunk(Accelerator(rows=32, dataflow=dataflow), length, chunk) == n1


def test_impossible_chunks_are_refused() -> None:
    with pytest.raises(ValueError, match="length must be at least 1 product, got 0"):
        hardware_chunk(Accelerator(), 0, None)
    with pytest.raises(ValueError, match="chunk must be at least 0 products, got -1"):
        hardware_chunk(Accelerator(), 8, -1)
