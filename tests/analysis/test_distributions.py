import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from analysis.distributions import (
    Blocks,
    Distribution,
    Operand,
    Products,
    Sample,
    Shape,
    gaussian_products,
    sample_of,
)
from analysis.formats import FixedFormat, float_format
from analysis.operands import operand_tiles

DRAWS = 1 << 20
SKEWED = sample_of(np.random.default_rng(2).gamma(0.5, 7.0, 5000), "gamma")


def drawn(distribution: Distribution, seed: int = 1) -> npt.NDArray[np.float64]:
    values = distribution.draw(np.random.default_rng(seed), (DRAWS // 64, 64))
    assert values.dtype == np.float32
    assert values.shape == (DRAWS // 64, 64)
    return values.astype(np.float64).ravel()


# E[z⁴], the fourth moment: 3 of a Gaussian, 6 of Laplace, 9/5 of a uniform one (of unit variance)
FOURTH = {Shape.GAUSSIAN: 3, Shape.LAPLACE: 6, Shape.UNIFORM: 1.8, Shape.HALF_NORMAL: 3}


@pytest.mark.parametrize("shape", Shape)
def test_draws_have_the_moments_that_are_stated(shape: Shape) -> None:
    z = drawn(shape)
    error = 5 / np.sqrt(DRAWS)
    assert z.mean() == pytest.approx(shape.mean, abs=error)
    assert (z**2).mean() == pytest.approx(shape.mean_square, abs=error * FOURTH[shape] ** 0.5)
    assert (z**4).mean() == pytest.approx(FOURTH[shape], rel=0.05)


@pytest.mark.parametrize("shape", Shape)
def test_draws_are_spread_as_the_distribution_says(shape: Shape) -> None:
    exact = {
        Shape.GAUSSIAN: stats.norm(),
        Shape.LAPLACE: stats.laplace(scale=0.5**0.5),
        Shape.UNIFORM: stats.uniform(-(3**0.5), 2 * 3**0.5),
        Shape.HALF_NORMAL: stats.halfnorm(),
    }
    assert stats.kstest(drawn(shape)[:100_000], exact[shape].cdf).pvalue > 1e-4


def test_an_empirical_sample_reproduces_its_moments() -> None:
    z, values = drawn(SKEWED), SKEWED.values.astype(np.float64)
    for power in (1, 2, 3):
        error = 5 * float(np.std(values**power)) / np.sqrt(DRAWS)
        assert (z**power).mean() == pytest.approx((values**power).mean(), abs=error)
    assert SKEWED.mean == pytest.approx(values.mean())
    assert SKEWED.mean_square == pytest.approx((values**2).mean())
    assert set(z) == set(values)


@pytest.mark.parametrize("size", [1e-200, 1e-20, 1.0, 3.7, 1e20, 1e200])
def test_a_sample_is_scaled_by_a_power_of_two(size: float) -> None:
    raw = size * np.array([1.0, -2.5, 0.0, 3.25])
    found = sample_of(raw)
    ratio = found.values[found.values != 0] / raw[raw != 0]
    assert np.ptp(np.log2(ratio)) < 1e-6
    assert np.log2(ratio[0]) == pytest.approx(round(np.log2(ratio[0])), abs=1e-6)
    assert 0.5**0.5 <= found.mean_square**0.5 <= 2**0.5


def test_samples_are_equal_by_their_values() -> None:
    one, same, other = sample_of([1.0, 2.0], "x"), sample_of([1.0, 2.0], "y"), sample_of([2.0, 1.0])
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert Operand(one) == Operand(same)
    assert sample_of(range(5)) != Shape.GAUSSIAN
    with pytest.raises(ValueError, match="read-only"):
        one.values[0] = 5.0


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [1.0, np.nan], [np.inf, 1.0]])
def test_a_sample_that_is_none_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=f"mine.npy: a sample must .* got {len(values)} values"):
        sample_of(values, "mine.npy")


OPERANDS = [
    Operand(Shape.GAUSSIAN, mean=0.5),
    Operand(Shape.HALF_NORMAL, density=0.5),
    Operand(Shape.LAPLACE, mean=-2.0, density=0.3),
    Operand(SKEWED, mean=0.25, density=0.9),
    Operand(Shape.UNIFORM, FixedFormat("int16", 16), mean=0.1),
    Operand(Shape.GAUSSIAN, Blocks(32, 6), mean=0.3),
]


@pytest.mark.parametrize("operand", OPERANDS)
def test_operands_have_the_moments_that_are_stated(operand: Operand) -> None:
    terms = np.concatenate([b for _, b in operand_tiles(Products(operand), 4096, (1, 128), 5)])
    square = np.square(terms, dtype=np.float64)
    mean_error = 5 * terms.std() / np.sqrt(terms.size) + 1e-3 * operand.scale
    square_error = 5 * square.std() / np.sqrt(terms.size) + 1e-3 * operand.scale**2
    assert terms.mean(dtype=np.float64) == pytest.approx(operand.expectation, abs=mean_error)
    assert square.mean() == pytest.approx(operand.mean_square, abs=square_error)


def test_a_mean_counts_in_standard_deviations() -> None:
    spread = Shape.HALF_NORMAL.mean_square - Shape.HALF_NORMAL.mean**2
    assert Operand(Shape.HALF_NORMAL, mean=2.0).shift == pytest.approx(2 * spread**0.5)
    assert Operand(Shape.LAPLACE, mean=2.0).shift == 2.0


def test_products_have_the_moments_of_independent_factors() -> None:
    a, b = Operand(Shape.GAUSSIAN, mean=3.0), Operand(Shape.HALF_NORMAL)
    assert Products(a, b).mean == pytest.approx(3 * Shape.HALF_NORMAL.mean)
    assert Products(a, b).mean_square == pytest.approx(10.0)
    assert (Products(a).mean, Products(a).mean_square) == (3.0, 10.0)


def test_gaussian_products_thin_the_first_operand_only() -> None:
    products = gaussian_products(float_format(5, 2), density=0.5)
    assert products.b is not None
    assert (products.a.density, products.b.density) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": 2000.0}, "mean must be at most 1000 standard deviations, got 2000.0"),
        ({"mean": float("nan")}, "mean must be at most 1000 standard deviations, got nan"),
        ({"density": 0.0}, r"density .* must be in \(0, 1\], got 0.0"),
    ],
)
def test_operands_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Operand(Shape.GAUSSIAN, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "bits", "message"),
    [
        (24, 6, "size must be a power of two up to 1024, got 24"),
        (2048, 6, "size must be a power of two up to 1024, got 2048"),
        (0, 6, "size must be a power of two up to 1024, got 0"),
        (32, 23, "fraction bits must be in 0..22, got 23"),
    ],
)
def test_blocks_out_of_range_are_refused(size: int, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blocks(size, bits)


def test_a_sample_is_a_distribution() -> None:
    distribution: Distribution = SKEWED
    assert isinstance(distribution, Sample)
