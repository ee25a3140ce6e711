"""No bit depends on how a product is cut: pieces of K, M, N or a batch, threads, memory."""

import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from analysis.draws import Stream
from analysis.emulation import matmul, matmul_exact, running
from analysis.formats import Accumulator, Rounding, float_format

Floats = npt.NDArray[np.floating]

NARROW, SINGLE = float_format(6, 5), Accumulator(float_format(8, 23))
STOCHASTIC = Rounding.STOCHASTIC
STREAM = Stream(77, row=3, column=9, step=120)
ACCUMULATORS = {
    "nearest": Accumulator(NARROW),
    "nearest in chunks": Accumulator(NARROW, chunk=12, outer=SINGLE),
    "8 random bits": Accumulator(NARROW, STOCHASTIC, random_bits=8),
    "8 random bits in chunks": Accumulator(NARROW, STOCHASTIC, chunk=12, random_bits=8),
    "18 random bits": Accumulator(NARROW, STOCHASTIC, random_bits=18),
    "8 random bits in float64": Accumulator(float_format(6, 20), STOCHASTIC, random_bits=8),
    "general": Accumulator(float_format(3, 1), STOCHASTIC, chunk=12, random_bits=8),
}
each_accumulator = pytest.mark.parametrize("accumulator", ACCUMULATORS.values(), ids=ACCUMULATORS)


def operands(rows: int, length: int, columns: int) -> tuple[Floats, Floats]:
    """Multiples of 1/8 below 4."""
    rng = np.random.default_rng(rows * length + columns)
    a, b = (rng.integers(-31, 32, shape) / 8 for shape in ((rows, length), (length, columns)))
    return a.astype(np.float32), b.astype(np.float32)


@each_accumulator
def test_pieces_of_k(accumulator: Accumulator) -> None:
    a, b = operands(5, 312, 7)
    whole = matmul(a, b, accumulator, rng=STREAM)
    unit = accumulator.chunk or 1  # without chunks, odd steps, at which a word is half used
    for cuts in ((0, 252, 312), (0, unit, 13 * unit, 14 * unit, 312)):
        sums = np.zeros_like(whole)
        for first, last in pairwise(cuts):
            place = STREAM.at(step=first)
            sums = matmul(a[:, first:last], b[first:last], accumulator, start=sums, rng=place)
        assert np.array_equal(sums, whole)


@each_accumulator
def test_pieces_of_m_n_and_the_batch(accumulator: Accumulator) -> None:
    a, b = operands(3 * 9, 60, 140)
    whole = matmul(a, b, accumulator, rng=STREAM)
    for first, last in ((0, 5), (5, 27)):
        place = STREAM.at(row=first)
        assert np.array_equal(matmul(a[first:last], b, accumulator, rng=place), whole[first:last])
    for first, last in ((0, 1), (1, 66), (66, 140)):
        place = STREAM.at(column=first)
        columns = matmul(a, b[:, first:last], accumulator, rng=place)
        assert np.array_equal(columns, whole[:, first:last])
    batch = matmul(a.reshape(3, 9, 60), b, accumulator, rng=STREAM)
    assert np.array_equal(batch.reshape(27, 140), whole)
    last_two = matmul(a.reshape(3, 9, 60)[1:], b, accumulator, rng=STREAM.at(row=9))
    assert np.array_equal(last_two, batch[1:])


@each_accumulator
@pytest.mark.parametrize("shape", [(1, 300, 1), (7, 400, 130), (64, 40, 64), (300, 50, 3)])
def test_threads(
    monkeypatch: pytest.MonkeyPatch, accumulator: Accumulator, shape: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(running, "_WORTH", 256)
    monkeypatch.setattr(running, "_LARGE", 1024)
    a, b = operands(*shape)
    alone = matmul(a, b, accumulator, rng=STREAM, threads=1)
    for threads in (2, 3, 4, 7, None):
        assert np.array_equal(matmul(a, b, accumulator, rng=STREAM, threads=threads), alone)


def test_the_work_of_a_large_product_is_shared_out() -> None:
    a, b = operands(300, 500, 130)
    for accumulator in (ACCUMULATORS["nearest in chunks"], ACCUMULATORS["8 random bits"]):
        alone = matmul(a, b, accumulator, rng=STREAM, threads=1)
        assert np.array_equal(matmul(a, b, accumulator, rng=STREAM, threads=4), alone)
        for i, j in ((0, 0), (255, 63), (256, 64), (299, 129)):
            place = STREAM.at(row=i, column=j)
            exact = matmul_exact(a[i : i + 1], b[:, j : j + 1], accumulator, rng=place)
            assert exact == alone[i, j]


@each_accumulator
def test_bounds_on_memory(monkeypatch: pytest.MonkeyPatch, accumulator: Accumulator) -> None:
    a, b = operands(6, 700, 70)
    whole = matmul(a, b, accumulator, rng=STREAM)
    monkeypatch.setattr(running, "_HASHES", 100)
    monkeypatch.setattr(running, "_STRETCH", 40)
    assert np.array_equal(matmul(a, b, accumulator, rng=STREAM), whole)


HUGE = 2**22


def summed(products: Any, mantissa_bits: int, chunk: int) -> tuple[int, int]:
    """Integers rounded to nearest even after every addition; sums of chunks, and theirs."""
    totals = [0, 0]
    for k in range(products.size):
        totals[0] += products[k]
        for level in range(2):
            magnitude, shift = abs(totals[level]), 0
            while magnitude >> shift >= 2 << mantissa_bits:
                shift += 1
            rest, half = magnitude & ((1 << shift) - 1), (1 << shift) >> 1
            whole = magnitude >> shift
            if shift > 0 and (rest > half or (rest == half and whole % 2 == 1)):
                whole += 1
            totals[level] = (whole << shift) * (1 if totals[level] > 0 else -1)
            if (k + 1) % chunk != 0:
                break
            if level == 0:
                totals[1] += totals[0]
                totals[0] = 0
    return totals[0], totals[1]


@pytest.mark.parametrize("chunk", [None, 64, 96])
def test_a_huge_sum(chunk: int | None) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-24, 41, HUGE).astype(np.float32) for _ in range(2))
    products = (a * b).astype(np.int64)
    inner, outer = njit(summed)(products, 9, chunk or HUGE + 1)
    accumulator = Accumulator(float_format(8, 9), chunk=chunk)
    expected = inner if chunk is None else outer
    assert matmul(a[None], b[:, None], accumulator) == expected
    columns = np.stack([b, -b], axis=1)
    assert matmul(a[None], columns, accumulator).tolist() == [[expected, -expected]]


@pytest.mark.parametrize("name", ["8 random bits", "18 random bits", "8 random bits in chunks"])
def test_a_huge_sum_by_chance(name: str) -> None:
    accumulator, (a, b) = ACCUMULATORS[name], operands(1, HUGE, 2)
    whole = matmul(a, b, accumulator, rng=STREAM)
    last = (HUGE - 480) // 12 * 12
    before = matmul(a[:, :last], b[:last], accumulator, rng=STREAM)
    place = STREAM.at(step=last)
    rest = matmul_exact(a[:, last:], b[last:], accumulator, start=before, rng=place)
    assert np.array_equal(whole, rest)


LOGGED = """
import logging
import numpy as np
from analysis.emulation import matmul
from analysis.formats import Accumulator, float_format

logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
ones = np.ones((2, 2))
for mantissa_bits in (8, 9):  # of the same step
    for chunk in (None, 2):
        matmul(ones, ones, Accumulator(float_format(6, mantissa_bits), chunk=chunk))
"""


def test_a_kernel_says_how_long_it_took_to_compile_or_load() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True, timeout=300
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for line, kernel in zip(lines, ("sweep_plain", "sweep_chunks"), strict=True):
        assert re.fullmatch(rf"partialsum INFO {kernel} compiled or .* in \d+\.\d\d s", line)
