"""The first-order laws against exact covariances, the theory of the real sum, and simulation."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import sympy as sp

from analysis.distributions import Operand, Products, Shape
from analysis.formats import Accumulator, FloatFormat, Rounding, float_format
from analysis.noise import predict
from analysis.noise_laws import NEAREST_NOISE, NoiseLaw, check_budget, noise_law
from analysis.quantization import quantize
from analysis.simulation import simulate

Floats = npt.NDArray[np.float64]
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))
NEAREST, CUT, BY_CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
DRIFT_ALONE = NoiseLaw(sp.Integer(0), sp.Integer(1))


def drift_by_counting(lengths: tuple[int, ...]) -> Fraction:
    """E[(Σ all partial sums of all levels)²]/n: each product counts in those from its own on."""
    counts = (sum(length - at for length, at in zip(lengths, place, strict=True))
              for place in product(*map(range, lengths)))  # fmt: skip
    return Fraction(sum(count**2 for count in counts), math.prod(lengths))


@pytest.mark.parametrize("lengths", [(4000,), (300, 200), (40, 30, 50), (20, 20, 20, 20)])
def test_shifts_add_up_as_the_partial_sums_do(lengths: tuple[int, ...]) -> None:
    exact = drift_by_counting(lengths)
    law = DRIFT_ALONE.scaled(lengths)
    # 1 + O(1/n_i): a partial sum of i terms counts i + ½ in a sum, i in an integral
    assert float(exact / Fraction(law.p, law.q)) == pytest.approx(1.0, abs=2.5 / min(lengths))


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_k_equal_levels_in_closed_form(levels: int) -> None:
    x = sp.Symbol("x")
    expected = levels * (3 * levels + 1) * x**2 / sp.Integer(12)
    assert sp.expand(DRIFT_ALONE.scaled([x] * levels) - expected) == 0


def test_equal_levels_are_the_best() -> None:
    law = noise_law(CUT)
    best = law.scaled([16, 16, 16])
    for cut in [(8, 32, 16), (32, 8, 16), (4, 32, 32), (16, 8, 32), (64, 64, 1)]:
        assert law.scaled(cut) > best


def test_random_bits_lead_from_truncation_to_the_ideal() -> None:
    laws = [noise_law(CUT), *(noise_law(BY_CHANCE, bits) for bits in range(1, 12))]
    drifts = [float(law.drift) for law in laws]
    assert np.allclose(np.divide(drifts[1:], drifts[:-1]), 0.25)
    ideal = noise_law(BY_CHANCE)
    assert ideal.drift == 0
    assert float(laws[-1].noise) == pytest.approx(float(ideal.noise), rel=1e-6)
    assert laws[0].noise == noise_law(NEAREST).noise == ideal.noise / 2


@pytest.mark.parametrize("random_bits", [1, 2, 3])
def test_variance_and_shift_of_a_rounding_by_few_random_bits(random_bits: int) -> None:
    # f uniform over an ulp, as a fine midpoint rule; up with probability ⌊2^r f⌋/2^r
    h, f = 2.0**-random_bits, (np.arange(1 << 12) + 0.5) / (1 << 12)
    up = np.floor(f / h) * h
    shift, square = np.mean(up - f), np.mean(up * (1 - f) ** 2 + (1 - up) * f**2)
    law = noise_law(BY_CHANCE, random_bits)
    assert shift == pytest.approx(-h / 2, rel=1e-12)
    ratio = (square - shift**2) / (1 / 12)  # to nearest: ulp²/12
    assert float(law.noise / NEAREST_NOISE) == pytest.approx(ratio, rel=1e-6)


CASES = [
    (NEAREST, None, 1024, None, 0.03),
    (NEAREST, None, 4096, 64, 0.05),
    (BY_CHANCE, None, 4096, None, 0.03),
    (BY_CHANCE, None, 4096, 64, 0.02),
    (BY_CHANCE, 2, 1024, None, 0.05),
    (BY_CHANCE, 4, 1024, None, 0.05),
    (CUT, None, 1024, None, 0.05),
    (CUT, None, 4096, 256, 0.05),
    (CUT, None, 4096, 64, 0.1),  # chunk sums lie on a grid: less is cut
]


@pytest.mark.parametrize(("rounding", "random_bits", "n", "chunk", "tolerance"), CASES)
def test_small_errors_obey_the_law(
    rounding: Rounding, random_bits: int | None, n: int, chunk: int | None, tolerance: float
) -> None:
    accumulator = Accumulator(float_format(8, 14), rounding, chunk=chunk, random_bits=random_bits)
    lengths = (n,) if chunk is None else (chunk, n // chunk)
    expected = noise_law(rounding, random_bits).nmse(14, lengths)
    assert predict(accumulator, GAUSSIAN, n).nmse == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("rounding", [NEAREST, CUT])
def test_two_levels_against_simulation(rounding: Rounding) -> None:
    accumulator = Accumulator(float_format(8, 11), rounding, chunk=64)
    measured = simulate(accumulator, GAUSSIAN, 4096, samples=8192, seed=1, threads=1)
    expected = noise_law(rounding).nmse(11, (64, 64))
    assert 4.0 * measured.nmse_error < 0.1 * expected, "too short to say anything"
    assert measured.nmse == pytest.approx(expected, abs=4.0 * measured.nmse_error + 0.1 * expected)


def sums_in_levels(
    lengths: tuple[int, ...], form: FloatFormat, rounding: Rounding, seed: int, samples: int = 8192
) -> tuple[Floats, Floats]:
    """Exact sums and computed ones, every level added up in ``form``."""
    rng = np.random.default_rng(seed)

    def level(of: int) -> tuple[Floats, Floats]:
        if of < 0:
            p = rng.standard_normal(samples)
            return p, p
        exact, computed = np.zeros(samples), np.zeros(samples)
        for _ in range(lengths[of]):
            term, rounded = level(of - 1)
            exact += term
            computed = quantize(computed + rounded, form, rounding)
        return exact, computed

    return level(len(lengths) - 1)


@pytest.mark.parametrize("rounding", [NEAREST, CUT])
def test_three_levels_against_emulation(rounding: Rounding) -> None:
    lengths = (16, 16, 16)
    exact, computed = sums_in_levels(lengths, float_format(8, 10), rounding, seed=3)
    squares = (computed - exact) ** 2 / math.prod(lengths)
    error = float(squares.std() / math.sqrt(squares.size))
    expected = noise_law(rounding).nmse(10, lengths)
    assert 4.0 * error < 0.1 * expected, "too short to say anything"
    # levels of 16 terms: 1/16 of first order's own, and chunk sums on a grid
    assert squares.mean() == pytest.approx(expected, abs=4.0 * error + 0.15 * expected)


def test_bits_are_those_that_meet_the_budget() -> None:
    law = noise_law(CUT)
    assert law.nmse(law.bits(1e-3, (64, 8)), (64, 8)) == pytest.approx(1e-3, rel=1e-12)


def test_what_has_no_law_is_said() -> None:
    with pytest.raises(ValueError, match="must not be directed, got toward-plus-infinity"):
        noise_law(Rounding.UP)
    with pytest.raises(ValueError, match="nearest-even cannot have 4 random bits"):
        noise_law(NEAREST, 4)
    with pytest.raises(ValueError, match="stochastic cannot have 0 random bits"):
        noise_law(BY_CHANCE, 0)
    for budget in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"positive and finite, got {budget}"):
            check_budget(budget)
