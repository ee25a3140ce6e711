"""First-order noise against Monte-Carlo; every comparison allows five standard errors."""

import numpy as np
import numpy.typing as npt
import pytest

from analysis.formats import Rounding, float_format
from analysis.noise_laws import SUM_NOISE, noise_law, operand_nmse
from analysis.quantization import quantize

LAW = noise_law(Rounding.NEAREST_EVEN)
Floats = npt.NDArray[np.float64]


def agrees(samples: Floats, expected: float, bias: float = 0.0) -> bool:
    """The mean of ``samples`` is ``expected``, up to sampling error and a share ``bias`` of it."""
    error = float(samples.std() / np.sqrt(samples.size))
    assert error < 0.05 * expected, "the simulation is too short to say anything"
    return abs(float(samples.mean()) - expected) < 5 * error + bias * expected


def scales(rng: np.random.Generator, count: int) -> Floats:
    """Log-uniform over a binade: then the significands of the samples are log-uniform too."""
    return np.exp2(rng.random(count))


def summation_errors(m_acc: int, n: int, chunk: int, count: int, seed: int) -> Floats:
    """(computed − exact)²/(n σ²) of ``count`` chunked sums of Gaussian terms."""
    rng = np.random.default_rng(seed)
    form, sigma = float_format(8, m_acc), scales(rng, count)
    exact, inner, total = np.zeros(count), np.zeros(count), np.zeros(count)
    for k in range(1, n + 1):
        term = sigma * rng.standard_normal(count)
        exact += term
        inner = quantize(inner + term, form)
        if k % chunk == 0:
            total, inner = quantize(total + inner, form), np.zeros(count)
    return np.asarray((total - exact) ** 2 / (n * sigma**2))


@pytest.mark.parametrize("m_op", [4, 7])
def test_noise_of_rounded_operands(m_op: int) -> None:
    rng = np.random.default_rng(m_op)
    form, shape = float_format(8, m_op), (40_000, 16)
    sigma_x, sigma_y = scales(rng, shape[0])[:, None], scales(rng, shape[0])[:, None]
    x, y = sigma_x * rng.standard_normal(shape), sigma_y * rng.standard_normal(shape)
    error = np.sum(quantize(x, form) * quantize(y, form) - x * y, axis=1)
    samples = error**2 / (shape[1] * (sigma_x * sigma_y)[:, 0] ** 2)
    assert agrees(samples, float(operand_nmse(m_op)))


@pytest.mark.parametrize(("m_acc", "n"), [(8, 64), (9, 256), (11, 512)])
def test_noise_of_a_plain_sum(m_acc: int, n: int) -> None:
    samples = summation_errors(m_acc, n, n, count=12_000, seed=m_acc)
    # Σ i over 1..n is n(n + 1)/2, first order takes n²/2
    assert agrees(samples, LAW.nmse(m_acc, (n,)), bias=1 / n)


@pytest.mark.parametrize(("n", "chunk"), [(256, 16), (512, 32), (512, 8)])
def test_noise_of_a_chunked_sum(n: int, chunk: int) -> None:
    samples = summation_errors(9, n, chunk, count=12_000, seed=chunk)
    assert agrees(samples, LAW.nmse(9, (chunk, n // chunk)), bias=2 / min(chunk, n // chunk))


def test_the_constant_is_that_of_rms_error_at_one_term() -> None:
    # ../shared facts, accumulation §7: relative RMSE = 0.150 · 2^−m √n for rounding to nearest
    assert f"{np.sqrt(SUM_NOISE):.3f}" == "0.150"


def test_measured_error_grows_like_n_and_falls_by_four_per_bit() -> None:
    lengths = [32, 64, 128, 256]
    nmse = [summation_errors(10, n, n, count=6_000, seed=5).mean() for n in lengths]
    assert np.polyfit(np.log2(lengths), np.log2(nmse), 1)[0] == pytest.approx(1.0, abs=0.05)
    bits = [7, 8, 9, 10]
    nmse = [summation_errors(m, 64, 64, count=6_000, seed=6).mean() for m in bits]
    assert np.polyfit(bits, np.log2(nmse), 1)[0] == pytest.approx(-2.0, abs=0.05)


def test_a_bit_is_worth_four_times_the_noise() -> None:
    assert operand_nmse(3) == 4 * operand_nmse(4)
    assert operand_nmse([3, 4]).shape == (2,)
