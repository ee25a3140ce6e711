import numpy as np
import numpy.typing as npt
import pytest

from analysis.formats import float_format
from analysis.operands import TILE, grid_of, operand_tiles, quantize_float32
from analysis.rounding import quantize


def finite_float32(count: int, seed: int) -> npt.NDArray[np.float32]:
    """Random bit patterns: every exponent, subnormals too."""
    words = np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)
    values = words.view(np.float32)
    return np.asarray(values[np.isfinite(values)], dtype=np.float32)


def midpoints(m: int) -> npt.NDArray[np.float32]:
    """Values of m + 1 fraction bits in 1..2: half of them are ties."""
    return np.arange(2.0 ** (m + 1), 2.0 ** (m + 2), dtype=np.float32) / np.float32(2 ** (m + 1))


@pytest.mark.parametrize("exponent_bits", range(2, 9))
@pytest.mark.parametrize("mantissa_bits", [0, 1, 2, 5, 10, 20, 21, 22])
def test_fast_rounding_equals_the_definition(exponent_bits: int, mantissa_bits: int) -> None:
    number_format = float_format(exponent_bits, mantissa_bits)
    ties = midpoints(min(mantissa_bits, 12))
    small = ties * np.float32(float(number_format.quantum) * 2)
    extremes = np.array([0.0, -0.0, np.inf, -np.inf, 3e38, -3e38], dtype=np.float32)
    x = np.concatenate([finite_float32(40_000, 1), ties, -ties, small, -small, extremes])
    fast = quantize_float32(x, number_format)
    assert fast.dtype == np.float32
    np.testing.assert_array_equal(fast.astype(np.float64), quantize(x, number_format))


def test_fast_rounding_leaves_its_argument_alone_and_keeps_nan() -> None:
    x = np.array([1.1, np.nan], dtype=np.float32)
    y = quantize_float32(x, float_format(5, 2))
    assert x[0] == np.float32(1.1)
    assert y[0] == 1.0
    assert np.isnan(y[1])


@pytest.mark.parametrize("samples", [1, 128, 129, 2048, 5000, 100_000])
def test_grid_holds_the_samples_and_little_more(samples: int) -> None:
    rows, columns = grid_of(samples)
    assert rows % 2 == 0
    assert samples <= rows * columns < samples + 2 * columns


def test_products_do_not_depend_on_the_length() -> None:
    e5m2 = float_format(5, 2)
    long = list(operand_tiles(e5m2, TILE + 900, (2, 64), 7, 0.5))
    short = list(operand_tiles(e5m2, TILE + 10, (2, 64), 7, 0.5))
    np.testing.assert_array_equal(long[0][0], short[0][0])
    np.testing.assert_array_equal(long[1][0][:, :10], short[1][0])
    np.testing.assert_array_equal(long[1][1][:10], short[1][1])


def test_tiles_are_different_random_numbers() -> None:
    first, second = operand_tiles(float_format(5, 2), 2 * TILE, (2, 64), 7)
    # correlation of independent numbers: 0 ± 1/√(64·4096) = 0.002
    assert abs(np.corrcoef(first[1].ravel(), second[1].ravel())[0, 1]) < 0.01


def test_density_is_the_share_of_products_that_are_not_zero() -> None:
    ((a, b),) = operand_tiles(float_format(5, 10), TILE, (32, 64), 3, 0.25)
    kept = a != 0
    assert abs(kept.mean() - 0.25) < 0.01  # a share of 131,072: ± 0.0012
    assert np.all(b != 0)
    dense = next(operand_tiles(float_format(5, 10), TILE, (32, 64), 3))[0]
    np.testing.assert_array_equal(a[kept], dense[kept])


def test_operands_are_standard_normal_and_on_their_grid() -> None:
    ((_, b),) = operand_tiles(float_format(5, 2), TILE, (2, 64), 3)
    assert abs(b.std() - 1) < 0.02
    assert abs(b.mean()) < 0.01
    np.testing.assert_array_equal(b, quantize(b, float_format(5, 2)))


def test_fewer_than_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        grid_of(0)
