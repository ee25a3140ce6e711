from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from analysis.distributions import (
    Blocks,
    Operand,
    Products,
    Shape,
    Side,
    gaussian_products,
    sample_of,
)
from analysis.formats import FixedFormat, FloatFormat, Rounding, float_format
from analysis.operands import (
    ROUND,
    TERM_ROUND,
    TERM_TILE,
    TILE,
    on_grid,
    operand_tiles,
    round_shape,
)
from analysis.rounding import exponent, round_exact

PAIRS = gaussian_products(float_format(5, 2))
TERMS = Products(Operand(Shape.GAUSSIAN))
SHIFTED = Products(Operand(Shape.GAUSSIAN, mean=0.5))


@pytest.mark.parametrize("samples", [1, 128, 129, 2048, 5000, 16_384])
def test_a_round_holds_the_samples_and_little_more(samples: int) -> None:
    rows, columns = round_shape(PAIRS, samples)
    assert rows % 2 == 0
    assert samples <= rows * columns < samples + 2 * columns


def test_a_round_has_a_largest_size() -> None:
    for products in (PAIRS, TERMS):
        assert round_shape(products, 10**9) == round_shape(products, ROUND) == (128, 128)
    assert round_shape(SHIFTED, 10**9) == round_shape(SHIFTED, TERM_ROUND) == (1, 4096)
    assert round_shape(SHIFTED, 1) == (1, 64)


@pytest.mark.parametrize(("products", "size"), [(PAIRS, TILE), (TERMS, TILE), (SHIFTED, TERM_TILE)])
def test_products_do_not_depend_on_the_length(products: Products, size: int) -> None:
    long = list(operand_tiles(products, size + 900, (1, 64), 7))
    short = list(operand_tiles(products, size + 10, (1, 64), 7))
    np.testing.assert_array_equal(long[0][1], short[0][1])
    np.testing.assert_array_equal(long[1][0][:, :10], short[1][0])
    np.testing.assert_array_equal(long[1][1][:10], short[1][1])


def test_tiles_rounds_and_sides_are_different_random_numbers() -> None:
    tiles = [*operand_tiles(PAIRS, 2 * TILE, (64, 64), 7), *operand_tiles(PAIRS, 9, (64, 64), 7, 1)]
    sides = [side for a, b in tiles for side in (a.T, b)]
    for one, other in combinations(sides, 2):
        length = min(len(one), len(other))
        x, y = one[:length].ravel(), other[:length].ravel()
        # correlation of independent numbers: 0 ± 1/√(64·9) = 0.04 at worst
        assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(x.size)


def test_density_is_the_share_of_left_operands_that_are_not_zero() -> None:
    ((a, b),) = operand_tiles(gaussian_products(float_format(5, 10), 0.25), TILE, (32, 64), 3)
    kept = a != 0
    assert abs(kept.mean() - 0.25) < 0.01  # a share of 131,072: ± 0.0012
    assert np.all(b != 0)
    dense = next(operand_tiles(gaussian_products(float_format(5, 10)), TILE, (32, 64), 3))[0]
    np.testing.assert_array_equal(a[kept], dense[kept])


def test_terms_with_a_mean_are_a_product_with_one() -> None:
    ((ones, terms),) = operand_tiles(SHIFTED, 100, (1, 64), 3)
    assert ones.tolist() == [[1.0] * 100]
    np.testing.assert_array_equal(terms, np.round(terms.astype(np.float64) * 2**20) / 2**20)
    assert terms.mean() == pytest.approx(0.5, abs=0.05)  # of 6,400: ± 0.0125


@pytest.mark.parametrize("shape", [Shape.GAUSSIAN, Shape.LAPLACE, Shape.UNIFORM])
def test_symmetric_terms_take_random_signs(shape: Shape) -> None:
    ((signs, terms),) = operand_tiles(Products(Operand(shape, float_format(6, 5))), 999, (8, 64), 3)
    assert set(signs.flat) == {-1.0, 1.0}
    assert abs(signs.mean()) < 5 / np.sqrt(signs.size)
    assert abs(np.corrcoef(signs) - np.eye(8)).max() < 5 / np.sqrt(999)
    assert terms.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "term",
    [
        Operand(Shape.HALF_NORMAL),
        Operand(Shape.GAUSSIAN, mean=0.1),
        Operand(sample_of([-1.0, 1.0])),
        Operand(Shape.GAUSSIAN, FixedFormat("int4", 4)),
    ],
)
def test_other_terms_keep_their_signs(term: Operand) -> None:
    assert Products(term).side is Side.ONES
    assert Products(term, Operand(Shape.GAUSSIAN)).side is Side.OPERAND


@pytest.mark.parametrize("products", [PAIRS, SHIFTED])
def test_threads_that_draw_ahead_change_nothing(products: Products) -> None:
    n, shape = 3 * TILE + 5, (1, 64)
    alone, ahead = (list(operand_tiles(products, n, shape, 3, threads=t)) for t in (1, 3))
    for one, other in zip(alone, ahead, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_operands_without_a_format_are_on_the_grid_of_pairs() -> None:
    for side in next(operand_tiles(gaussian_products(None), 50, (64, 64), 3)):
        np.testing.assert_array_equal(side, np.round(side * 2**10) / 2**10)
        assert len(np.unique(side)) > 2000  # and on no coarser one


@pytest.mark.parametrize("form", [float_format(5, 2), FixedFormat("q3.4", 8, 4)])
def test_operands_are_on_their_formats_grid(form: FloatFormat | FixedFormat) -> None:
    for side in next(operand_tiles(gaussian_products(form), 500, (64, 64), 3)):
        exact = [
            round_exact(Fraction(float(x)), form, Rounding.NEAREST_EVEN) for x in side.flat[:500]
        ]
        np.testing.assert_array_equal(side.flat[:500], np.array(exact, dtype=np.float64))


def test_two_operands_may_have_two_formats() -> None:
    wide, narrow = float_format(5, 10), float_format(2, 1)
    products = Products(Operand(Shape.GAUSSIAN, wide), Operand(Shape.GAUSSIAN, narrow))
    a, b = next(operand_tiles(products, 500, (64, 64), 3))
    assert len(np.unique(np.abs(a))) > 1000
    assert set(np.unique(np.abs(b))) <= {0.0, 0.5, 1.0, 1.5, 2.0, 3.0}  # all of e2m1 but for inf


def test_fixed_point_is_used_to_its_range() -> None:
    ((_, b),) = operand_tiles(gaussian_products(FixedFormat("int8", 8)), TILE, (2, 64), 3)
    assert b.std() == pytest.approx(127 / 4, rel=0.01)
    assert (b.min(), b.max()) == (-128, 127)  # four standard deviations: one of 16,000


@pytest.mark.parametrize("length", [1, 32, 50])
def test_a_block_shares_the_exponent_of_its_largest(length: int) -> None:
    x = np.random.default_rng(1).standard_normal((length, 7), dtype=np.float32)
    rounded = on_grid(x, Blocks(32, 6))
    for at in range(0, length, 32):
        for raw, found in zip(x[at : at + 32].T, rounded[at : at + 32].T, strict=True):
            shared = exponent(max(abs(Fraction(float(z))) for z in raw))
            grid = Fraction(2) ** (shared - 6)
            nearest = [round(Fraction(float(z)) / grid) for z in raw]
            clipped = [min(max(z, -127), 127) * grid for z in nearest]
            assert found.tolist() == [float(z) for z in clipped]


def test_a_block_of_zeros_stays_so() -> None:
    zeros = np.zeros((4, 2), dtype=np.float32)
    np.testing.assert_array_equal(on_grid(zeros, Blocks(4, 6)), zeros)


def test_fewer_than_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        round_shape(PAIRS, 0)
