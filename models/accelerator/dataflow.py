"""Cycles and accesses of a GEMM on the array, as closed forms.

The array is ``R × C``, the GEMM ``M × N`` of length ``K``; ``n1`` products make a chunk sum and
``n2 = ⌈K / n1⌉`` chunk sums an output. Tiles follow each other without overlap; the last one
leaves while the next GEMM starts.
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from models.accelerator.gemms import GemmArrays, IntArray, ceil_div
from models.accelerator.spec import Accelerator, Dataflow


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What one GEMM does, over all ``count`` products; numbers of words unless said otherwise."""

    cycles: IntArray
    accumulator_writes: IntArray  #: of the register in each PE
    column_writes: IntArray  #: of registers on a sum's way out: shift-out chain, column's foot
    outer_adds: IntArray
    sum_writes: IntArray  #: to the accumulator memory
    sum_reads: IntArray  #: from it: n2 - 1 to be added to, one to leave
    operand_writes: IntArray  #: of operand registers in the PEs
    operand_reads: IntArray  #: from the operand SRAM


def hardware_chunk(accelerator: Accelerator, length: int, chunk: int | None) -> int:
    """The inner length n1 that the hardware really has for sums of ``length`` products.

    Weight-stationary sums have the array's rows, whatever chunk is asked for; output-stationary
    ones the chunk asked for, or the whole length for ``None`` or 0.

    >>> array = Accelerator(rows=32, dataflow=Dataflow.WEIGHT_STATIONARY)
    >>> hardware_chunk(array, length=4608, chunk=64)
    32
    """
    if length < 1:
        raise ValueError(f"hardware chunk: length must be at least 1 product, got {length}")
    if chunk is not None and chunk < 0:
        raise ValueError(f"hardware chunk: chunk must be at least 0 products, got {chunk}")
    return int(inner_length(accelerator, np.asarray(length), np.asarray(chunk or 0)))


def inner_length(accelerator: Accelerator, length: IntArray, chunk: IntArray) -> IntArray:
    """``hardware_chunk`` over arrays; a chunk of 0 is the whole length."""
    match accelerator.dataflow:
        case Dataflow.WEIGHT_STATIONARY:
            return np.minimum(length, accelerator.rows)
        case Dataflow.OUTPUT_STATIONARY:
            return np.where(chunk == 0, length, np.minimum(chunk, length))
        case _:
            assert_never(accelerator.dataflow)


def block_of_sums(gemms: GemmArrays, accelerator: Accelerator) -> tuple[IntArray, IntArray]:
    """Rows and columns of the outputs that the array keeps until all their products are in.

    Output-stationary: the PEs, ``R × C``. Weight-stationary: what the accumulator memory holds,
    its depth in each of C columns; sums of one chunk need no memory, so that all M rows pass by.

    >>> from models.networks.gemm import Gemm, Role
    >>> gemm = GemmArrays.of([Gemm("fc", Role.FWD, 1000, 20, length=64, count=1, macs=1_280_000)])
    >>> for dataflow in Dataflow:
    ...     block_of_sums(gemm, Accelerator(dataflow=dataflow))
    (array([32]), array([20]))
    (array([512]), array([20]))
    """
    match accelerator.dataflow:
        case Dataflow.OUTPUT_STATIONARY:
            rows: IntArray = np.minimum(gemms.rows, accelerator.rows)
        case Dataflow.WEIGHT_STATIONARY:
            held = np.minimum(gemms.rows, accelerator.accumulator_depth)
            rows = np.where(gemms.length > accelerator.rows, held, gemms.rows)
        case _:
            assert_never(accelerator.dataflow)
    return rows, np.minimum(gemms.cols, accelerator.cols)


def counts(gemms: GemmArrays, accelerator: Accelerator, chunk: IntArray) -> Counts:
    """Cycles and accesses on this array; equal to walking through the loops."""
    n1 = inner_length(accelerator, gemms.length, chunk)
    match accelerator.dataflow:
        case Dataflow.WEIGHT_STATIONARY:
            return _weight_stationary(gemms, accelerator)
        case Dataflow.OUTPUT_STATIONARY:
            return _output_stationary(gemms, accelerator, n1)
        case _:
            assert_never(accelerator.dataflow)


def _output_stationary(gemms: GemmArrays, array: Accelerator, n1: IntArray) -> Counts:
    """Every PE keeps one output; operands pass right and down.

    ``⌈M/R⌉ ⌈N/C⌉ (K_stream + R + C - 2)`` cycles. The sums of an unchunked tile shift out
    through the accumulators themselves while the next tile fills; chunk sums through registers of
    their own.
    """
    n2 = ceil_div(gemms.length, n1)
    row_tiles, col_tiles = ceil_div(gemms.rows, array.rows), ceil_div(gemms.cols, array.cols)
    tile_cycles = _stream_cycles(gemms.length, n1, n2, array.rows) + array.rows + array.cols - 2
    in_memory = _sums_in_memory(gemms, n2)
    return Counts(
        cycles=gemms.count * row_tiles * col_tiles * tile_cycles,
        accumulator_writes=gemms.macs,
        column_writes=_shift_writes(gemms, n2, array.rows),
        outer_adds=gemms.count * gemms.rows * gemms.cols * (n2 - 1),
        sum_writes=in_memory,
        sum_reads=in_memory,
        operand_writes=2 * gemms.macs,
        operand_reads=gemms.count
        * gemms.length
        * (gemms.rows * col_tiles + gemms.cols * row_tiles),
    )


def _stream_cycles(length: IntArray, n1: IntArray, n2: IntArray, rows: int) -> IntArray:
    """Cycles to feed one tile, bubbles included.

    A column drains R sums per chunk, so no chunk ends less than R cycles after the one before.
    """
    first = np.minimum(n1, length)
    last = length - (n2 - 1) * n1
    later = (n2 - 2) * np.maximum(n1, rows) + np.maximum(last, rows)
    return np.where(n2 == 1, length, first + later)


def _shift_writes(gemms: GemmArrays, n2: IntArray, rows: int) -> IntArray:
    """Register writes of sums on their way out of the array.

    A sum in row r (of R, from 0) is written R - r times down to the column's foot, and once more
    on entering the shift-out chain if it is one of several.
    """
    full, rest = gemms.rows // rows, gemms.rows % rows
    moves = full * (rows * (rows + 1) // 2) + rest * rows - rest * (rest - 1) // 2
    captures = np.where(n2 > 1, gemms.rows, 0)
    writes: IntArray = gemms.count * gemms.cols * n2 * (moves + captures)
    return writes


def _weight_stationary(gemms: GemmArrays, array: Accelerator) -> Counts:
    """R × C weights stay while rows of the other operand stream by; sums pass down R registers.

    ``⌈K/R⌉ ⌈N/C⌉ (M_pass + R + C - 2)`` cycles per pass over at most as many rows as the
    accumulator memory is deep. Weights are double-buffered: the next ones load, over a bus per
    column, while rows stream. Sums pass PEs without a weight unchanged, but are registered.
    """
    n2 = ceil_div(gemms.length, array.rows)
    col_tiles = ceil_div(gemms.cols, array.cols)
    passes = ceil_div(gemms.rows, block_of_sums(gemms, array)[0])
    stream_cycles = gemms.rows + passes * (array.rows + array.cols - 2)
    column_sums = gemms.count * gemms.rows * gemms.cols * n2
    weight_loads = gemms.count * gemms.length * gemms.cols * passes
    in_memory = _sums_in_memory(gemms, n2)
    return Counts(
        cycles=gemms.count * n2 * col_tiles * stream_cycles,
        accumulator_writes=column_sums * array.rows,
        column_writes=column_sums,
        outer_adds=gemms.count * gemms.rows * gemms.cols * (n2 - 1),
        sum_writes=in_memory,
        sum_reads=in_memory,
        operand_writes=gemms.macs + weight_loads,
        operand_reads=weight_loads + gemms.count * gemms.rows * gemms.length * col_tiles,
    )


def _sums_in_memory(gemms: GemmArrays, n2: IntArray) -> IntArray:
    """Chunk sums that pass the accumulator memory: none where one chunk is the whole sum."""
    return np.where(n2 > 1, gemms.count * gemms.rows * gemms.cols * n2, 0)
