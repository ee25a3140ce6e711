"""Products as they were measured in a network, to be summed by theory and simulation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.distributions import Operand, Products, Shape, sample_of
from analysis.formats import FloatFormat, float_format
from analysis.operand_noise import operand_noise
from analysis.quantization import quantize
from models.networks.gemm import Gemm
from models.networks.network import Network
from models.statistics import GemmFigures, GemmStatistics, PairSample, Statistics

Floats64 = npt.NDArray[np.float64]

#: of the format that holds a product: those of float32
_MANTISSA_BITS, _EXPONENT_BITS = 23, 8


def products_of(gemm: GemmStatistics, a: FloatFormat, b: FloatFormat) -> Products:
    """Products with the measured density and drift, of operands rounded to ``a`` and ``b``.

    They are the products of the stored pairs, each factor rounded to nearest even after it was
    scaled by a power of two to a root mean square in √½..√2 (as a loss scale does), with signs
    turned until their mean is that of a typical output (:func:`tilted`). They have the bits of
    exact products, or of float32 where these have more. Without a sample both factors are
    Gaussian, with means that make the drift; their kurtosis and exponents are not the measured
    ones.

    In 57 cases of a small network (:mod:`benchmarks.measured_products`), with pairs of one training
    run and operands of another, the NMSE predicted from them is 0.74 to 1.62 of the measured one;
    from Gaussians of density 1, 0.69 to 17.

    Raises:
        ValueError: fewer than two pairs, or all their products vanish in these formats.
    """
    if gemm.sample is None:
        return _gaussian_products(gemm.drift, gemm.density, a, b)
    left, right = _scaled(gemm, gemm.sample)
    products = tilted(quantize(left, a) * quantize(right, b), gemm.drift)
    terms = sample_of(products, _name(gemm))
    bits = min(a.mantissa_bits + b.mantissa_bits + 1, _MANTISSA_BITS)
    return Products(Operand(terms, float_format(_EXPONENT_BITS, bits), density=gemm.density))


def _scaled(gemm: GemmFigures, sample: PairSample) -> tuple[Floats64, Floats64]:
    """Both factors, by powers of two to a root mean square in √½..√2."""
    left, right = (
        sample_of(x, _name(gemm)).values.astype(np.float64) for x in (sample.a, sample.b)
    )
    return left, right


def _name(gemm: GemmFigures) -> str:
    return f"{gemm.layer}/{gemm.role}"


def measured_operand_noise(gemm: GemmStatistics, a: FloatFormat, b: FloatFormat) -> float:
    """NMSE of exact sums whose operands were rounded to ``a`` and ``b``, as the stored pairs say.

    As :func:`analysis.operand_noise.operand_noise`, which speaks for GEMMs without a sample:
    (Var δ + n E[δ]²)/Var(a b), zeros included; of E[δ]² what N pairs show by chance, Var δ/N, is
    taken off. Not to be had from :func:`products_of`, whose operands are rounded already.

    Raises:
        ValueError: fewer than two pairs.
    """
    if gemm.sample is None:
        return operand_noise(products_of(gemm, a, b), gemm.n)
    left, right = _scaled(gemm, gemm.sample)
    exact = left * right
    error = quantize(left, a) * quantize(right, b) - exact
    d, n = gemm.density, gemm.n
    square = max(0.0, error.mean() ** 2 - error.var() / error.size)
    power = d * error.var() + (d + (n - 1) * d**2) * square
    return float(power / (d * np.square(exact).mean() - (d * exact.mean()) ** 2))


def tilted(values: Floats64, ratio: float) -> Floats64:
    """The values with some signs turned, so that |mean| is about ``ratio`` standard deviations.

    Magnitudes stay, and so do the grids that values lie on. (A shift of all values moves them off,
    and gives weight to the many that are next to nothing.) Turned are values against the mean,
    evenly from the least to the largest: none where |mean| is larger already, all at the most.

    >>> tilted(np.array([-1.0, 1.0, -1.0, 1.0]), 3.0**-0.5).tolist()
    [1.0, 1.0, -1.0, 1.0]
    """
    direction = math.copysign(1.0, values.mean())
    against = np.flatnonzero(values * direction < 0.0)
    against = against[np.argsort(np.abs(values[against]), kind="stable")]
    wanted = ratio * math.sqrt(np.square(values).mean() / (1.0 + ratio**2))
    missing = max(0.0, wanted - abs(values.mean())) * values.size
    share = min(1.0, missing / (2.0 * np.abs(values[against]).sum())) if against.size else 0.0
    turned = np.diff(np.floor(share * np.arange(against.size + 1) + 0.5)) > 0.0
    out = values.copy()
    out[against[turned]] *= -1.0
    return out


def _gaussian_products(ratio: float, density: float, a: FloatFormat, b: FloatFormat) -> Products:
    """Products of Gaussians with mean r: mean r² and variance 1 + 2r², so r⁴ = ratio² (1 + 2r²)."""
    r = math.sqrt(ratio**2 + ratio * math.hypot(ratio, 1.0))
    first = Operand(Shape.GAUSSIAN, a, mean=r, density=density)
    return Products(first, Operand(Shape.GAUSSIAN, b, mean=r))


@dataclass(frozen=True, slots=True)
class GemmProducts:
    """What a GEMM sums, as requirements use it."""

    products: Products
    density: float  #: share of products that are not zero, as the theorem counts it
    operand_nmse: float | None = None  #: of exact sums of rounded operands; None: in theory


def products_by_gemm(
    statistics: Statistics, network: Network, formats: tuple[FloatFormat, FloatFormat]
) -> Callable[[Gemm], GemmProducts]:
    """What each GEMM of ``network`` sums, of operands rounded to the two ``formats``.

    Raises:
        ValueError: as :meth:`Statistics.of` or :func:`products_of`.
    """
    known = {
        (one.layer, one.role): GemmProducts(
            products_of(one, *formats), one.density, measured_operand_noise(one, *formats)
        )
        for one in statistics.of(network)
    }
    return lambda gemm: known[gemm.layer, gemm.role]
