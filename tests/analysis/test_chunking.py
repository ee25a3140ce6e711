"""The chunk advisor against theorem, prediction and simulation."""

import math
from dataclasses import dataclass

import pytest

from analysis.chunking import (
    ByNoiseLaw,
    ByPrediction,
    ByTheorem,
    ChunkAdvice,
    Cut,
    Requirement,
    chunk_curve,
    level_curve,
    level_lengths,
)
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import predict
from analysis.noise_laws import noise_law
from analysis.retention import log_variance_lost, log_variance_lost_chunked
from analysis.simulation import simulate

NEAREST, CUT, BY_CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))
FP8 = gaussian_products(float_format(5, 2))
LAW = ByNoiseLaw(noise_law(NEAREST), 1e-3)


def sums(mantissa_bits: int, rounding: Rounding = NEAREST, **more: object) -> Accumulator:
    return Accumulator(float_format(8, mantissa_bits), rounding, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [100, 4608, 50_000])
@pytest.mark.parametrize("chunk", [7, 64, None])
def test_whole_bits_are_the_theorems_least_width(n: int, chunk: int | None) -> None:
    lengths = (n,) if chunk is None else (chunk, -(-n // chunk))
    cut = Cut(lengths, ByTheorem(5).bits(lengths))
    lost = [float(log_variance_lost_chunked(m, 5, n, chunk or n)) for m in range(1, 20)]
    assert cut.whole_bits == 1 + next(i for i, one in enumerate(lost) if one < math.log(50.0))
    below, above = lost[cut.whole_bits - 2], lost[cut.whole_bits - 1]
    share = cut.bits - (cut.whole_bits - 1)
    assert below * (above / below) ** share == pytest.approx(math.log(50.0), rel=1e-9)


def test_a_third_level_of_the_theorem_has_grown_by_both_below() -> None:
    lengths = (16, 8, 400)
    stages = [(16, 5), (8, 9), (400, 12)]  # m_p, then + log2 16, then + log2 128
    for m_acc in (12, 13, 16):
        lost = max(float(log_variance_lost(m_acc, m_p, n)) for n, m_p in stages)
        found = ByTheorem(5, cutoff=math.exp(lost)).bits(lengths)
        assert found == pytest.approx(m_acc, abs=1e-6)


@pytest.mark.parametrize("n", [64, 4096, 10**6])
@pytest.mark.parametrize("rounding", [NEAREST, BY_CHANCE, CUT])
def test_to_first_order_the_best_chunk_is_the_square_root(n: int, rounding: Rounding) -> None:
    advice = chunk_curve(n, ByNoiseLaw(noise_law(rounding), 1e-3))
    assert advice.best.lengths == (math.isqrt(n), math.isqrt(n))


def test_chunks_of_the_theorem_are_near_the_square_root_too() -> None:
    for n in (1000, 4608, 100_000, 802_816):
        advice = chunk_curve(n, ByTheorem(5))
        assert 0.5 < advice.best.chunk / math.sqrt(n) < 2.0
        assert advice.plain.bits - advice.best.bits > 2.0


def test_the_curve_is_convex_in_the_logarithm_around_its_optimum() -> None:
    advice = chunk_curve(2**16, LAW)
    falls = [cut.bits for cut in advice.curve if cut.chunk <= 2**8]
    rises = [cut.bits for cut in advice.curve if cut.chunk >= 2**8]
    assert falls == sorted(falls, reverse=True)
    assert rises == sorted(rises)
    assert advice.plain.lengths == (2**16,)
    assert [cut.chunk for cut in advice.curve] == sorted({cut.chunk for cut in advice.curve})


@pytest.mark.parametrize("rounding", [NEAREST, BY_CHANCE, CUT])
def test_predicted_bits_are_where_the_nmse_meets_the_budget(rounding: Rounding) -> None:
    cut = Cut((64, 32), ByPrediction(sums(8, rounding), FP8, 1e-3).bits((64, 32)))
    enough, less = (
        predict(sums(bits, rounding, chunk=64), FP8, 2048).nmse
        for bits in (cut.whole_bits, cut.whole_bits - 1)
    )
    assert enough <= 1e-3 < less
    share = cut.bits - (cut.whole_bits - 1)
    assert less * (enough / less) ** share == pytest.approx(1e-3, rel=1e-9)


def test_prediction_and_first_order_agree_where_errors_are_small() -> None:
    law, found = LAW, ByPrediction(sums(8), GAUSSIAN, 1e-3)
    for lengths in ((4096,), (64, 64), (16, 256)):
        assert found.bits(lengths) == pytest.approx(law.bits(lengths), abs=0.1)


def test_simulation_confirms_the_advised_width_and_one_less() -> None:
    cut = chunk_curve(4096, ByPrediction(sums(8), FP8, 1e-3)).best
    enough, less = (
        simulate(sums(bits, chunk=cut.chunk), FP8, 4096, samples=8192, seed=2, threads=1)
        for bits in (cut.whole_bits, cut.whole_bits - 1)
    )
    assert enough.nmse + 4 * enough.nmse_error < 1e-3 < less.nmse - 4 * less.nmse_error


def test_with_a_wide_outer_sum_short_chunks_are_best() -> None:
    promoted = sums(8, chunk=8, outer=Accumulator(float_format(8, 23)))
    advice = chunk_curve(4096, ByPrediction(promoted, FP8, 1e-3))
    assert advice.best.chunk == 2
    inner = ByPrediction(sums(8), FP8, 1e-3).bits((64,))
    assert {cut.chunk: cut.bits for cut in advice.curve}[64] == pytest.approx(inner, abs=0.05)


@dataclass(frozen=True, slots=True)
class Valley:
    """A made-up requirement: bits by chunk."""

    floor: float

    def bits(self, lengths: tuple[int, ...]) -> float:
        return max(self.floor, 4.0 + abs(math.log2(lengths[0]) - 3.0))


def test_the_range_of_the_same_whole_width() -> None:
    valley: Requirement = Valley(floor=0.0)
    advice = chunk_curve(64, valley)
    assert advice.best == Cut((8, 8), 4.0)
    assert advice.same_width == (8, 8)
    flat = chunk_curve(64, Valley(floor=4.6))
    assert flat.best.chunk == 11  # the longest of those at 4.6
    assert flat.best.whole_bits == 5
    assert flat.same_width == (4, 16)


def test_the_range_may_reach_both_ends() -> None:
    advice = ChunkAdvice(8, (Cut((2, 4), 3.2), Cut((4, 2), 3.1), Cut((8,), 3.9)))
    assert advice.same_width == (2, 8)
    assert advice.best.whole_bits == 4


@pytest.mark.parametrize("n", [1, 2, 97, 4096, 10**6, 2**40])
@pytest.mark.parametrize("levels", [1, 2, 3, 7])
def test_levels_hold_all_products_and_are_nearly_equal(n: int, levels: int) -> None:
    lengths = level_lengths(n, levels)
    assert len(lengths) == levels
    assert math.prod(lengths) >= n
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) - 1 < n ** (1 / levels) + 1e-9


def test_levels_to_first_order() -> None:
    curve = level_curve(4096, LAW, most=4)
    assert [cut.lengths for cut in curve] == [(4096,), (64, 64), (16,) * 3, (8,) * 4]
    terms = [4096, 128, 48, 32]  # k n^(1/k)
    for cut, count in zip(curve, terms, strict=True):
        assert cut.bits == pytest.approx(curve[0].bits + 0.5 * math.log2(count / 4096))


def test_no_bits_are_fewer_than_one() -> None:
    assert ByTheorem(5).bits((2,)) == 1.0
    assert Cut((2,), LAW.bits((2,)) - 20.0).whole_bits == 1


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        chunk_curve(1, LAW)
    with pytest.raises(ValueError, match="at least 1, got 0 and 2"):
        level_lengths(0, 2)
    with pytest.raises(ValueError, match="at most two levels, got 3"):
        ByPrediction(sums(8), FP8, 1e-3).bits((4, 4, 4))
    with pytest.raises(ValueError, match=r"positive and finite, got -1"):
        ByPrediction(sums(8), FP8, -1.0)
    with pytest.raises(ValueError, match=r"positive and finite, got 0"):
        ByNoiseLaw(noise_law(NEAREST), 0.0)
    with pytest.raises(ValueError, match="cutoff"):
        ByTheorem(5, cutoff=1.0)
    narrow_outside = sums(8, chunk=8, outer=sums(3))
    with pytest.raises(ValueError, match=r"no width up to \d+ bits comes down to 0.0001"):
        ByPrediction(narrow_outside, FP8, 1e-4).bits((8, 512))
