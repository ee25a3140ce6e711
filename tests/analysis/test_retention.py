"""The published formulas: their numbers, their limits, their oddity, and what they refuse.

Numbers marked § are of the project's facts on accumulation, computed there by independent code.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.requirement import Theorem, min_accumulator_bits
from analysis.retention import (
    log_variance_lost,
    log_variance_lost_chunked,
    variance_retention,
    variance_retention_chunked,
    variance_retention_full_swamping,
)

LIMIT = math.log(50.0)

# §1.7, m_p = 5
LARGEST_N = {
    5: 196, 6: 534, 7: 1486, 8: 3919, 9: 10160, 10: 26560, 11: 64894, 12: 164163, 13: 422328,
    14: 961479, 15: 2245379,
}  # fmt: skip
LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
RETENTION = {
    5: ("0.992193230", "0.959837106", "0.709001649", "0.564379397", "0.475617564", "0.418928282"),
    6: ("0.998134899", "0.996050491", "0.945290475", "0.697042145", "0.563833986", "0.475715525"),
    7: ("0.999522923", "0.999049355", "0.998000849", "0.921690895", "0.690253865", "0.563543191"),
    8: ("0.999846635", "0.999749212", "0.999520021", "0.998973599", "0.892639953", "0.686627826"),
    9: ("0.999998028", "0.999904426", "0.999871302", "0.999758829", "0.999443456", "0.864773047"),
}
FULL_SWAMPING = [
    (5, 256, "0.858735175"), (6, 1024, "0.826899576"), (7, 4096, "0.816563159"),
    (8, 4096, "0.997933321"), (5, 65536, "0.419019499"),
]  # fmt: skip
CHUNK_64 = [
    (5, 1024, "0.988627874"), (5, 4096, "0.984447406"), (5, 16384, "0.952343878"),
    (5, 65536, "0.703466637"), (8, 4096, "0.999722889"), (8, 65536, "0.999304630"),
    (10, 262144, "0.999931051"),
]  # fmt: skip


@pytest.mark.parametrize("m_acc", RETENTION)
def test_theorem_1_repeats_the_table(m_acc: int) -> None:
    values = variance_retention(m_acc, 5, LENGTHS)
    assert tuple(f"{value:.9f}" for value in values) == RETENTION[m_acc]


@pytest.mark.parametrize(("m_acc", "n", "expected"), FULL_SWAMPING)
def test_lemma_1_repeats_the_table(m_acc: int, n: int, expected: str) -> None:
    assert f"{variance_retention_full_swamping(m_acc, n):.9f}" == expected


@pytest.mark.parametrize(("m_acc", "n", "expected"), CHUNK_64)
def test_chunked_product_repeats_the_table(m_acc: int, n: int, expected: str) -> None:
    assert f"{variance_retention_chunked(m_acc, 5, n, 64):.9f}" == expected


@pytest.mark.parametrize(("m_acc", "n"), LARGEST_N.items())
def test_largest_accepted_length_repeats_the_table(m_acc: int, n: int) -> None:
    assert log_variance_lost(m_acc, 5, n) < LIMIT <= log_variance_lost(m_acc, 5, n + 1)
    assert min_accumulator_bits(n, 5) == m_acc
    assert min_accumulator_bits(n + 1, 5) > m_acc


def test_a_16th_bit_buys_nothing_at_three_million() -> None:
    # §1.7: "m_acc 16 accepts no more than 15; the next step is 17". Published, kept, shown.
    v14, v15, v16, v17 = log_variance_lost([14, 15, 16, 17], 5, 3_000_000)
    assert v14 / v15 > 3
    assert v15 / v16 < 1.5
    assert v16 / v17 > 10
    assert min_accumulator_bits(LARGEST_N[15] + 1, 5) == 17
    # just below, 15 bits pass and 16 do not: the least width is the first that passes
    assert log_variance_lost(15, 5, 2_200_000) < LIMIT < log_variance_lost(16, 5, 2_200_000)


FORWARD = (147, 576, 1152, 2304, 4608)  # C_in·k·k of ResNet-18, conv0 and blocks 1 to 4
GRADIENT = (3211264, 802816, 200704, 50176, 12544)  # 256·H·W, the same layers


def test_least_widths_of_resnet18() -> None:
    # §1.9, m_p = 5: the theorem's widths, which the paper's table does not always repeat
    assert [min_accumulator_bits(n, 5) for n in FORWARD] == [5, 7, 7, 8, 9]
    assert [min_accumulator_bits(n, 5) for n in GRADIENT] == [17, 14, 13, 11, 10]
    half = [min_accumulator_bits(n, 5, density=0.5) for n in GRADIENT]
    assert half == [15, 13, 12, 10, 9]


def test_chunked_least_widths_of_resnet18() -> None:
    # §1.9 has 11, 10, 8, 7, 6(5)
    assert [min_accumulator_bits(n, 5, chunk=64) for n in GRADIENT] == [11, 10, 8, 7, 5]


def test_density_shortens_the_chunk_and_not_the_number_of_chunks() -> None:
    # §1.9's 11, 9, 8, 6, 5 take density·n/chunk for the outer length; §1.5, followed here, keeps n2
    half = [min_accumulator_bits(n, 5, chunk=64, density=0.5) for n in GRADIENT]
    assert half == [11, 10, 8, 7, 5]
    shorter = [_width_with_shorter_outer_sum(n) for n in GRADIENT]
    assert shorter == [11, 9, 8, 6, 5]


def _width_with_shorter_outer_sum(n: int) -> int:
    outer = -(-n // 128)
    widths = range(1, 20)
    accepted = (m for m in widths if log_variance_lost(m, min(m, 5 + 5), outer) < LIMIT)
    return max(min_accumulator_bits(32, 5), next(accepted))


widths = st.integers(1, 60)
product_widths = st.integers(1, 60)
lengths = st.integers(0, 40).flatmap(lambda k: st.integers(2**k // 2 + 1, 2**k))


@given(widths, product_widths, lengths)
def test_retention_is_a_share(m_acc: int, m_p: int, n: int) -> None:
    assert 0.0 < variance_retention(m_acc, m_p, n) <= 1.0
    assert 0.0 < variance_retention_full_swamping(m_acc, n) <= 1.0
    assert log_variance_lost(m_acc, m_p, n) >= 0.0


@given(st.integers(1, 16), lengths, lengths, st.none() | st.integers(1, 4096))
def test_longer_sums_never_need_less(m_p: int, n: int, other: int, chunk: int | None) -> None:
    short, long = sorted((n, other))
    least = min_accumulator_bits(short, m_p, chunk=chunk)
    assert least <= min_accumulator_bits(long, m_p, chunk=chunk)


@pytest.mark.parametrize("m_p", [2, 5, 9])
def test_least_width_never_falls_on_a_dense_grid(m_p: int) -> None:
    grid = np.unique(np.r_[1:1500, np.geomspace(1500, 4e5, 4000).astype(int)])
    accepted = log_variance_lost(np.arange(1, 20)[:, None], m_p, grid) < LIMIT
    least = np.argmax(accepted, axis=0)
    assert accepted.any(axis=0).all()
    assert np.all(np.diff(least) >= 0)


@given(st.integers(1, 16), lengths)
def test_wide_accumulators_retain_everything(m_p: int, n: int) -> None:
    assert log_variance_lost(60, m_p, n) < 1e-12


@given(widths, st.integers(1, 24), lengths, st.floats(0.01, 1.0))
def test_a_chunk_of_everything_is_the_plain_sum(m: int, m_p: int, n: int, density: float) -> None:
    dense = math.ceil(density * n)
    for chunk in (n, min(2 * n, 2**40)):
        chunked = variance_retention_chunked(m, m_p, n, chunk, density=density)
        assert chunked == variance_retention(m, m_p, dense)
        lost = log_variance_lost_chunked(m, m_p, n, chunk, density=density)
        assert lost == log_variance_lost(m, m_p, dense)


@given(widths, st.integers(1, 24), lengths, st.integers(1, 2**20))
def test_chunks_retain_the_product_and_are_judged_by_the_worse_stage(
    m_acc: int, m_p: int, n: int, chunk: int
) -> None:
    inner = min(chunk, n)
    outer = math.ceil(Fraction(n, inner))
    grown = min(m_acc, m_p + inner.bit_length() - 1)
    product = variance_retention(m_acc, m_p, inner) * variance_retention(m_acc, grown, outer)
    assert variance_retention_chunked(m_acc, m_p, n, chunk) == product
    stages = log_variance_lost(m_acc, m_p, inner), log_variance_lost(m_acc, grown, outer)
    assert log_variance_lost_chunked(m_acc, m_p, n, chunk) == max(stages)


def test_broadcasting_equals_one_at_a_time() -> None:
    m_acc, m_p, n = np.array([[4], [9], [14]]), 5, np.array([1, 2, 77, 4096, 10**9])
    for function in (variance_retention, log_variance_lost):
        table = function(m_acc, m_p, n)
        assert table.shape == (3, 5)
        single = [[function(int(m), m_p, int(k)) for k in n] for m in m_acc[:, 0]]
        assert table.tolist() == single
    chunked = variance_retention_chunked(m_acc, m_p, n, np.array([1, 8, 8, 64, 64]))
    assert chunked[2, 3] == variance_retention_chunked(14, 5, 4096, 64)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64])
def test_every_integer_type_is_a_whole_number(dtype: Any) -> None:
    assert variance_retention(dtype(6), dtype(5), dtype(100)) == variance_retention(6, 5, 100)


@pytest.mark.parametrize(
    ("n", "m_p", "options", "error", "message"),
    [
        (0, 5, {}, ValueError, r"n \(accumulation length\) must be in 1\..*got 0"),
        (-4, 5, {}, ValueError, "got -4"),
        (2**40 + 1, 5, {}, ValueError, r"1\.\.1099511627776, got 1099511627777"),
        (2**80, 5, {}, ValueError, rf"1\.\.1099511627776, got {2**80}"),
        (100, 0, {}, ValueError, r"m_p \(product mantissa bits\) must be in 1\.\.60, got 0"),
        (100, 61, {}, ValueError, "got 61"),
        (10.0, 5, {}, TypeError, "must be a whole number, got 10.0"),
        (100, 5.0, {}, TypeError, "must be a whole number, got 5.0"),
        ("100", 5, {}, TypeError, "must be a whole number, got '100'"),
        (True, 5, {}, TypeError, "must be a whole number, got True"),
        (100, True, {}, TypeError, "must be a whole number, got True"),
        (100, 5, {"chunk": 0}, ValueError, r"chunk .* must be in 1\..*got 0"),
        (100, 5, {"chunk": 2.5}, TypeError, r"chunk .* must be a whole number"),
        (100, 5, {"chunk": False}, TypeError, r"chunk .* must be a whole number, got False"),
        (100, 5, {"density": 0.0}, ValueError, r"density .* must be in \(0, 1\], got 0.0"),
        (100, 5, {"density": 1.5}, ValueError, "got 1.5"),
        (100, 5, {"density": math.nan}, ValueError, r"density .* got nan"),
    ],
)
def test_what_is_no_sum_is_refused(
    n: Any, m_p: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        min_accumulator_bits(n, m_p, **options)


@pytest.mark.parametrize("cutoff", [1.0, math.nan, math.inf])
def test_a_cutoff_is_finite_and_above_1(cutoff: float) -> None:
    with pytest.raises(ValueError, match=rf"cutoff on v\(n\) .* above 1, got {cutoff}"):
        Theorem(cutoff)


@pytest.mark.parametrize("m_acc", [0, 61])
def test_widths_out_of_range_are_refused(m_acc: int) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: variance_retention(m_acc, 5, 10),
        lambda: variance_retention_full_swamping(m_acc, 10),
        lambda: log_variance_lost(m_acc, 5, 10),
        lambda: variance_retention_chunked(m_acc, 5, 10, 2),
    )
    for call in calls:
        with pytest.raises(ValueError, match=rf"m_acc .* must be in 1\.\.60, got {m_acc}"):
            call()
