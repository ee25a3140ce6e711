"""What was published of machines, and what their entries in the catalogue make of it."""

import csv
import functools
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.catalog import ACCUMULATORS
from analysis.distributions import Products
from analysis.formats import Accumulator, FloatFormat
from analysis.noise import predict
from analysis.simulation import simulate
from analysis.sum_statistics import SumStatistics
from benchmarks.published import (
    HOPPER,
    WANG,
    Entries,
    chunk_errors,
    own_products,
    product_error,
    rows,
    two_matrices,
    uniform_sums,
    write,
)

PLAIN, PROMOTED = HOPPER.values()


def test_fp8_products_on_hopper_err_by_nearly_two_percent() -> None:
    """DeepSeek-V3 (arXiv 2412.19437), section 3.3.2: K = 4096, "nearly 2%".

    Of sums of both signs by the rms of the exact elements, as no element's own relative error is
    bounded; it grows with the number of elements (1.98 % of 1024 × 1024). Of operands behind a
    ReLU by the element itself.
    """
    both_signs = product_error(*two_matrices(Entries.GAUSSIAN, 256), PLAIN)
    assert 0.01 < both_signs.largest_by_rms < 0.02
    assert both_signs.largest_relative > 1.0
    rectified = product_error(*two_matrices(Entries.RECTIFIED, 64), PLAIN)
    assert 0.017 < rectified.largest_relative < 0.02


@pytest.mark.parametrize(("entries", "factor"), [(Entries.GAUSSIAN, 8), (Entries.RECTIFIED, 32)])
def test_promotion_every_128_products_takes_the_error_away(entries: Entries, factor: int) -> None:
    """Cutting is biased: errors of sums of one sign add up over all 128 steps, or over 4."""
    a, b = two_matrices(entries, 64)
    plain, promoted = (product_error(a, b, name) for name in (PLAIN, PROMOTED))
    assert plain.largest_by_rms > factor * promoted.largest_by_rms
    assert plain.median_relative > factor / 2 * promoted.median_relative


@pytest.mark.parametrize("n", [16384, 65536])
def test_sums_of_wang_stand_still_at_4096(n: int) -> None:
    """Figure 3 of Wang et al. (2018). At 4096 half an ulp is 4, and no term is above 1 + √3."""
    computed, _ = uniform_sums(n, None)
    assert np.unique(computed).tolist() == [4096.0]
    assert isinstance(WANG.format, FloatFormat)
    assert 0.5 * 2.0 ** (12 - WANG.format.mantissa_bits) > 1.0 + 3.0**0.5


@pytest.mark.parametrize(("chunk", "least", "most"), [(8, 0.7, 0.8), (32, 0, 0.015), (64, 0, 5e-3)])
def test_chunks_of_32_and_64_keep_them_going(chunk: int, least: float, most: float) -> None:
    """Of chunks of 8 the outer sum, of 8,192 terms of mean 8, stands still too."""
    computed, exact = uniform_sums(65536, chunk)
    assert least <= np.mean(np.abs(computed / exact - 1.0)) < most


@pytest.mark.parametrize("n", [1024, 4096, 16384])
def test_the_best_chunk_is_near_the_root_of_the_length(n: int) -> None:
    """n1 + n/n1 roundings: least at √n, and 5/4 of that a factor of two beside it."""
    found, root = chunk_errors(n), math.isqrt(n)
    simulated = {one.chunk: one.simulated for one in found}
    predicted = {one.chunk: one.predicted for one in found}
    for nmse in (simulated, predicted):
        assert root / 2 <= min(nmse, key=lambda chunk: nmse[chunk]) <= 2 * root
        for beside in (root // 2, 2 * root):
            assert nmse[beside] == pytest.approx(1.25 * nmse[root], rel=0.1)
        assert min(nmse[root // 8], nmse[8 * root]) > 3 * nmse[root]


PREDICTED = [name for name, one in ACCUMULATORS.items() if isinstance(one.format, FloatFormat)]
#: sums that are often exact, as few bits of their products lie below the sum's grid
OVERSTATED = ("ada_fp8_e5m2", "blackwell_fp6_e2m3_to_float16", "blackwell_fp4_e2m1_to_float16")


@functools.cache
def measured(accumulator: Accumulator, products: Products, n: int) -> SumStatistics:
    return simulate(accumulator, products, n, samples=16384, seed=3, threads=1)


@pytest.mark.parametrize("n", [256, 4096])
@pytest.mark.parametrize("name", PREDICTED)
def test_machines_are_predicted(name: str, n: int) -> None:
    products = own_products(name)
    truth = measured(ACCUMULATORS[name], products, n)
    found = predict(ACCUMULATORS[name], products, n).nmse
    if max(truth.nmse, found) < 1e-12:
        return
    error = 0.25 * truth.nmse + 4.0 * truth.nmse_error
    assert found > truth.nmse - error
    if name not in OVERSTATED:
        assert found < truth.nmse + error


def test_the_study_has_a_row_for_every_machine(tmp_path: Path) -> None:
    write(list(rows(32)), tmp_path / "out" / "published.csv")
    with (tmp_path / "out" / "published.csv").open(newline="") as file:
        found = {row["accumulator"]: row for row in csv.DictReader(file)}
    assert set(found) == set(ACCUMULATORS)
    assert {name for name, row in found.items() if row["predicted_nmse"]} >= set(PREDICTED)
    assert not found["mxint8"]["operand_nmse"]
    half = found["bfloat16"]
    parity = float(half["nmse"]) / float(half["operand_nmse"])
    assert float(half["parity"]) == pytest.approx(parity)
