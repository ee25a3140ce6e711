import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.distributions import Sample, gaussian_products
from analysis.formats import Accumulator, FloatFormat, float_format
from analysis.noise import predict
from analysis.operand_noise import operand_noise
from analysis.operands import operand_tiles, round_shape
from analysis.requirement import operand_formats
from models.networks.gemm import Role
from models.networks.layers import Linear
from models.networks.network import Network
from models.products import (
    measured_operand_noise,
    products_by_gemm,
    products_of,
    tilted,
)
from models.statistics import (
    MAX_RATIO,
    Exponents,
    GemmStatistics,
    OperandStatistics,
    PairSample,
    Statistics,
)

Array = npt.NDArray[Any]
E5M2 = float_format(5, 2)
EXPONENTS = Exponents(least=-9, low=-5, high=1, most=2)
OPERAND = OperandStatistics(density=1.0, mean_ratio=0.1, least=-2.0, most=3.0, exponents=EXPONENTS)


def gemm(**fields: Any) -> GemmStatistics:
    """Only density, drift and sample say anything of the products."""
    figures: dict[str, Any] = {
        "layer": "fc",
        "role": Role.FWD,
        "n": 64,
        "products": 100,
        "density": 0.5,
        "mean_ratio": -0.125,
        "output_mean_ratio": 0.5,
        "chance_mean_ratio": 0.25,
        "drift": 0.25,
        "kurtosis": 9.5,
        "output_kurtosis": 4.0,
        "lag_correlation": 0.0,
        "exponents": EXPONENTS,
        "a": OPERAND,
        "b": OPERAND,
    }
    return GemmStatistics.model_validate({**figures, **fields})


def sampled(a: Array, b: Array, **fields: Any) -> GemmStatistics:
    return gemm(sample=PairSample(a=tuple(a.tolist()), b=tuple(b.tolist())), **fields)


def drawn(one: GemmStatistics, form: FloatFormat) -> Array:
    products = products_of(one, form, form)
    tiles = operand_tiles(products, 4096, round_shape(products, 256), seed=1)
    return np.concatenate([(a[:, :, None] * b[None]).ravel() for a, b in tiles])


def test_products_of_a_sample_are_those_of_the_rounded_factors() -> None:
    rng = np.random.default_rng(3)
    # 2^-40 and 2^30: far outside of the format, were they not scaled
    a = np.ldexp(rng.standard_normal(500).astype(np.float32), -40)
    b = np.ldexp(rng.standard_normal(500).astype(np.float32), 30)
    products = products_of(sampled(a, b, drift=0.0, density=0.25), E5M2, E5M2)
    operand = products.a
    assert isinstance(operand.distribution, Sample)
    assert (products.b, operand.density, operand.mean) == (None, 0.25, 0.0)
    assert isinstance(operand.format, FloatFormat)
    assert operand.format.mantissa_bits == 5  # 2 + 2 + 1

    def rounded(x: Array) -> Array:
        """Three significant bits; no value is below the format's normal numbers after scaling."""
        fraction, exponent = np.frexp(x)
        return np.asarray(np.ldexp(np.rint(fraction * 8.0), exponent - 3))

    normal = (np.abs(a) > 2.0**-50) & (np.abs(b) > 2.0**20)
    assert normal.sum() > 400
    expected = (rounded(a) * rounded(b))[normal]
    ratio = operand.distribution.values[normal] / expected
    assert len(set(ratio.tolist())) == 1  # one power of two between them
    assert math.frexp(ratio[0])[0] == 0.5


def test_drawn_products_have_the_density_and_the_drift() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 4096))
    for one in (
        sampled(a, b, density=0.4, drift=0.3),
        gemm(density=0.4, drift=0.3),
    ):
        values = drawn(one, float_format(8, 7))
        kept = values[values != 0.0]
        assert kept.size / values.size == pytest.approx(0.4, abs=0.01)
        assert abs(kept.mean()) / kept.std() == pytest.approx(0.3, abs=0.02)


def test_the_largest_drift_can_be_drawn_without_a_sample() -> None:
    assert products_of(gemm(drift=MAX_RATIO), E5M2, E5M2).mean > 0.0


def test_products_that_vanish_are_refused() -> None:
    # the other factor of each product is below 2^-16, E5M2's least number, after scaling
    a, b = np.array([1.0, 2.0**-30]), np.array([2.0**-30, 1.0])
    with pytest.raises(ValueError, match="fc/FWD: a sample must be two or more"):
        products_of(sampled(a, b), E5M2, E5M2)


def test_one_pair_is_no_sample() -> None:
    for function in (products_of, measured_operand_noise):
        with pytest.raises(ValueError, match=r"fc/FWD: a sample .* got 1 values"):
            function(sampled(np.ones(1), np.ones(1)), E5M2, E5M2)


def test_tilting_keeps_magnitudes_and_reaches_the_ratio() -> None:
    values = np.random.default_rng(5).standard_t(3, 4096)
    for ratio in (0.05, 0.1, 0.4):  # above that of the values, 0.03
        found = tilted(values, ratio)
        np.testing.assert_array_equal(np.abs(found), np.abs(values))
        assert abs(found.mean()) / found.std() == pytest.approx(ratio, rel=0.05)
        assert found.mean() * values.mean() > 0.0
    np.testing.assert_array_equal(tilted(values, 0.0), values)
    one_way = tilted(values, MAX_RATIO)
    assert (one_way > 0.0).all() or (one_way < 0.0).all()


def test_measured_products_can_be_predicted() -> None:
    """Gaussian factors, as a sample and as a distribution, err alike."""
    a, b = np.random.default_rng(6).standard_normal((2, 4096))
    accumulator = Accumulator(float_format(8, 6))
    known = gemm(drift=0.0, density=0.5)
    expected = predict(accumulator, products_of(known, E5M2, E5M2), 512)
    found = predict(accumulator, products_of(sampled(a, b, drift=0.0), E5M2, E5M2), 512)
    assert found.nmse == pytest.approx(expected.nmse, rel=0.1)


def test_every_gemm_has_its_products() -> None:
    layer = Linear(name="fc", in_features=64, out_features=3, input_gradient=False)
    network = Network(name="one", source="a test", layers=(layer,), default_batch=4)
    gemms = (gemm(), gemm(role=Role.GRAD, n=4, density=0.25))
    statistics = Statistics(network="one", batch=4, source="a test", gemms=gemms)
    found = products_by_gemm(statistics, network, operand_formats(6))
    of = {asked.role: found(asked).products for asked in network.gemms(8)}
    assert of[Role.GRAD] == products_of(gemms[1], *operand_formats(6))
    assert of[Role.FWD] == products_of(gemms[0], *operand_formats(6))
    other = network.model_copy(update={"name": "two"})
    with pytest.raises(ValueError, match="must be of the network 'two', got 'one'"):
        products_by_gemm(statistics, other, operand_formats(6))


@pytest.mark.parametrize("density", [1.0, 0.25])
def test_noise_of_operands_is_that_of_theory_for_gaussian_pairs(density: float) -> None:
    a, b = np.random.default_rng(7).standard_normal((2, 100_000))
    expected = operand_noise(gaussian_products(E5M2), 4096)
    found = measured_operand_noise(sampled(a, b, density=density, n=4096), E5M2, E5M2)
    assert found == pytest.approx(expected, rel=0.02)
    bare = gemm(drift=0.0, density=density)
    assert measured_operand_noise(bare, E5M2, E5M2) == pytest.approx(expected, rel=0.05)


def test_noise_of_operands_has_the_square_of_their_bias_n_times() -> None:
    """1.125 rounds to 1 (to even): of products ±1.125, E[δ] = −0.125 times their mean sign."""
    a = np.full(4000, 1.125)
    b = np.where(np.arange(4000) % 4, 1.0, -1.0)  # three of four are positive: mean sign 1/2
    mean, variance = -0.125 / 2, 0.125**2 * (1 - 0.25)
    square = mean**2 - variance / 4000
    exact = 1.125**2 * (1 - 0.25)
    found = measured_operand_noise(sampled(a, b, density=1.0, n=64), E5M2, E5M2)
    assert found == pytest.approx((variance + 64 * square) / exact, rel=1e-9)
