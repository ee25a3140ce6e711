import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.catalog import ACCUMULATORS
from analysis.distributions import (
    Blocks,
    Operand,
    Products,
    Shape,
    gaussian_products,
    sample_of,
)
from analysis.emulation import matmul_exact
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Overflow,
    Product,
    Rounding,
    float_format,
)
from analysis.noise_laws import SUM_NOISE, noise_law
from analysis.operands import ROUND, TERM_ROUND, operand_tiles, round_shape
from analysis.simulation import EXACT, SumStatistics, random_sums, simulate, simulate_each
from analysis.sum_statistics import moments

E5M2 = float_format(5, 2)
FP8 = gaussian_products(E5M2)
NEAREST, ZERO, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
#: positive terms on average, as behind a ReLU
RELU = Products(Operand(Shape.HALF_NORMAL, E5M2, density=0.5), Operand(Shape.GAUSSIAN, E5M2))


def accumulator(
    m_acc: int, rounding: Rounding = NEAREST, chunk: int | None = None, e_acc: int = 6
) -> Accumulator:
    return Accumulator(float_format(e_acc, m_acc), rounding, chunk)


@pytest.mark.parametrize("rounding", [NEAREST, ZERO, Rounding.DOWN])
@pytest.mark.parametrize("chunk", [None, 16])
def test_sums_are_those_of_the_exact_reference(rounding: Rounding, chunk: int | None) -> None:
    one = accumulator(4, rounding, chunk)
    sums = random_sums((one,), FP8, 70, shape=(2, 64), seed=5)
    ((a, b),) = operand_tiles(FP8, 70, (2, 64), 5)
    np.testing.assert_array_equal(sums.computed[0], matmul_exact(a, b, one))
    np.testing.assert_array_equal(sums.exact, a.astype(np.float64) @ b.astype(np.float64))


@pytest.mark.parametrize(
    "products",
    [
        RELU,
        gaussian_products(None),
        gaussian_products(FixedFormat("int8", 8)),
        Products(Operand(sample_of([1e-3, 3e-3, 7.0]), mean=0.5)),
    ],
)
def test_exact_sums_are_exact(products: Products) -> None:
    shape = round_shape(products, 1024)
    sums = random_sums((), products, 5000, shape=shape, seed=2)
    tiles = operand_tiles(products, 5000, shape, 2)
    exact = sum(a.astype(np.float64) @ b.astype(np.float64) for a, b in tiles)
    np.testing.assert_array_equal(sums.exact, exact)  # by BLAS: no sum needs more than 53 bits


def test_one_seed_gives_the_same_bits_alone_or_in_company() -> None:
    all_ = (accumulator(4, chunk=100), accumulator(7, ZERO), accumulator(5, CHANCE))
    together = simulate_each(all_, FP8, 5000, samples=256, seed=3)
    for one, found in zip(all_, together, strict=True):
        assert simulate(one, FP8, 5000, samples=256, seed=3) == found
        assert simulate(one, FP8, 5000, samples=256, seed=4) != found
        assert simulate(one, FP8, 5000, samples=256, seed=(3, 1)) != found


@pytest.mark.parametrize("products", [FP8, RELU, Products(Operand(Shape.HALF_NORMAL))])
@pytest.mark.parametrize("rounding", [NEAREST, CHANCE])
def test_threads_do_not_change_a_bit(products: Products, rounding: Rounding) -> None:
    one = accumulator(6, rounding, chunk=24)
    alone, shared = (
        simulate(one, products, 1200, samples=ROUND + 1, seed=1, threads=threads)
        for threads in (1, 3)
    )
    assert alone == shared


def test_a_run_of_more_rounds_begins_with_the_same_rounds() -> None:
    one = accumulator(6, CHANCE)
    rounds = [
        random_sums((one,), FP8, 64, shape=(128, 128), seed=3, number=number) for number in range(3)
    ]
    origin = float(rounds[0].exact.mean())
    first, second, third = (moments(r.exact, r.computed[0], origin) for r in rounds)
    for count, parts in ((1, first), (2, first + second), (3, first + second + third)):
        assert simulate(one, FP8, 64, samples=count * ROUND, seed=3) == parts.statistics()
    # different operands, and different draws for the same operands
    assert abs(np.corrcoef(rounds[0].exact.ravel(), rounds[1].exact.ravel())[0, 1]) < 0.04


def test_stochastic_rounding_draws_anew_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    ((a, b),) = operand_tiles(FP8, 64, (128, 128), 3)
    monkeypatch.setattr("analysis.simulation.operand_tiles", lambda *_: iter([(a, b)]))
    found = [
        random_sums((accumulator(3, CHANCE),), FP8, 64, shape=(128, 128), seed=3, number=number)
        for number in range(2)
    ]
    errors = [(one.computed[0] - one.exact).ravel() for one in found]
    assert abs(np.corrcoef(errors[0], errors[1])[0, 1]) < 0.04  # 5/√16384


@pytest.mark.parametrize("precision", [0.02, 0.008, 0.005])
def test_a_run_stops_at_the_precision_and_not_before(precision: float) -> None:
    one = accumulator(6)
    found = simulate(one, FP8, 200, precision=precision, seed=1)
    assert found.nmse_error <= precision * found.nmse
    assert found.retention_error <= precision
    if found.samples > ROUND:
        less = simulate(one, FP8, 200, samples=found.samples - ROUND, seed=1)
        assert less.nmse_error > precision * less.nmse


def test_precision_is_bounded_by_the_samples() -> None:
    found = simulate(accumulator(6), FP8, 20, precision=1e-6, samples=2 * ROUND, seed=1)
    assert found.samples == 2 * ROUND


def test_samples_are_rounded_up_to_rounds() -> None:
    assert simulate(accumulator(6), FP8, 20, seed=1).samples == ROUND
    assert simulate(accumulator(6), FP8, 20, samples=2000, seed=1).samples == 2048
    assert simulate(accumulator(6), FP8, 20, samples=ROUND + 1, seed=1).samples == 2 * ROUND
    found = simulate(accumulator(6), Products(RELU.a), 20, samples=TERM_ROUND + 1, seed=1)
    assert found.samples == 2 * TERM_ROUND


def test_in_company_all_reach_the_precision() -> None:
    wide, narrow = accumulator(12, ZERO), accumulator(4)
    both = simulate_each((wide, narrow), FP8, 100, precision=0.007, seed=1)
    assert all(one.nmse_error <= 0.007 * one.nmse for one in both)
    assert both[0].samples == both[1].samples


@pytest.mark.parametrize("precision", [None, 0.007])
def test_progress_counts_additions(precision: float | None) -> None:
    seen: list[tuple[int, int]] = []
    both = (accumulator(4), accumulator(5))
    simulate_each(
        both, FP8, 9000, samples=4 * ROUND, precision=precision, seed=1,
        on_progress=lambda *at: seen.append(at),
    )  # fmt: skip
    done = [at for at, _ in seen]
    assert done == sorted(set(done))
    assert seen[0] == (2 * 4096 * ROUND, 2 * 9000 * ROUND * (4 if precision is None else 1))
    assert seen[-1][0] == seen[-1][1]


def terms(bits: int) -> Products:
    return Products(Operand(Shape.GAUSSIAN, float_format(6, bits)))


# facts/accumulation.md §1.8: (m_acc, n), retention to nearest, toward zero, by chance
RETENTION = [
    (5, 1024, 0.970, 0.050, 1.054),
    (5, 4096, 0.874, 0.011, 1.152),
    (6, 4096, 0.980, 0.026, 1.068),
    (7, 4096, 0.996, 0.053, 1.016),
    (6, 256, 1.005, 0.362, 1.008),
]
# ibid., relative RMS error to nearest
RMS_ERROR = [(5, 1024, 0.150), (5, 4096, 0.292), (6, 4096, 0.147), (7, 4096, 0.073)]


@pytest.mark.parametrize(("m_acc", "n", "nearest", "toward_zero", "by_chance"), RETENTION)
def test_retention_of_gaussian_terms_is_the_published_one(
    m_acc: int, n: int, nearest: float, toward_zero: float, by_chance: float
) -> None:
    # the table's own errors are not recorded; Var(computed)/nσ² of 2,000 samples, say, has one of
    # √(2/2000) = 3 %, of which the ratio to Var(exact) that is taken here is free
    three = [accumulator(m_acc, rounding) for rounding in (NEAREST, ZERO, CHANCE)]
    found, truncated, drawn = simulate_each(three, terms(5), n, samples=4096, seed=8)
    assert abs(found.retention - nearest) < math.hypot(3 * found.retention_error, 2 * 0.03)
    assert abs(drawn.retention - by_chance) < math.hypot(3 * drawn.retention_error, 2 * 0.03)
    off = abs(truncated.retention - toward_zero)
    assert off < 3 * truncated.retention_error + 0.1 * toward_zero


@pytest.mark.parametrize(("m_acc", "n", "published"), RMS_ERROR)
def test_rms_error_of_gaussian_terms_is_the_published_one(
    m_acc: int, n: int, published: float
) -> None:
    found = simulate(accumulator(m_acc), terms(5), n, samples=4096, seed=8)
    assert abs(found.nmse - published**2) < 4 * found.nmse_error


@pytest.mark.parametrize(("m_acc", "n", "nearest", "toward_zero", "by_chance"), RETENTION)
def test_retention_of_products_is_close_to_that_of_gaussian_terms(
    m_acc: int, n: int, nearest: float, toward_zero: float, by_chance: float
) -> None:
    # products of Gaussians have heavier tails (kurtosis 9, not 3) and more often no bit below the
    # sum's ulp: a little more survives, most where truncation loses every typical term
    three = [accumulator(m_acc, rounding) for rounding in (NEAREST, ZERO, CHANCE)]
    found, truncated, drawn = simulate_each(three, FP8, n, samples=4096, seed=1)
    assert abs(found.retention - nearest) < math.hypot(3 * found.retention_error, 2 * 0.03)
    assert abs(drawn.retention - by_chance) < math.hypot(3 * drawn.retention_error, 2 * 0.03)
    assert 0.95 * toward_zero < truncated.retention < 1.3 * toward_zero


LENGTHS = np.array([256, 512, 1024, 2048, 4096])
WIDTHS = np.array([8, 9, 10, 11, 12])  # NMSE below 0.001, where the law is meant to hold


def slope(x: np.ndarray, y: list[float]) -> float:
    return float(np.polyfit(x, np.log2(y), 1)[0])


def nmse(m_acc: int, n: int, chunk: int | None = None, rounding: Rounding = NEAREST) -> float:
    one = accumulator(m_acc, rounding, chunk)
    return simulate(one, gaussian_products(float_format(5, 8)), n, samples=8192, seed=2).nmse


@pytest.mark.parametrize("rounding", [NEAREST, CHANCE])
def test_error_grows_in_proportion_to_the_length(rounding: Rounding) -> None:
    found = [nmse(10, int(n), rounding=rounding) for n in LENGTHS]
    assert slope(np.log2(LENGTHS), found) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rounding", [NEAREST, CHANCE])
def test_error_falls_fourfold_with_each_bit(rounding: Rounding) -> None:
    found = [nmse(int(m), 1024, rounding=rounding) for m in WIDTHS]
    assert slope(WIDTHS, found) == pytest.approx(-2, abs=0.05)


@pytest.mark.parametrize(("m_acc", "n", "chunk"), [(9, 1024, 1024), (8, 4096, 64), (10, 3000, 100)])
def test_error_is_that_of_the_first_order_law(m_acc: int, n: int, chunk: int) -> None:
    # the law takes significands as log-uniform, which is right to a few per cent
    measured = nmse(m_acc, n, chunk)
    levels = (n,) if chunk >= n else (chunk, n // chunk)
    assert measured == pytest.approx(noise_law(NEAREST).nmse(m_acc, levels), rel=0.1)
    assert pytest.approx(0.0225, rel=0.01) == SUM_NOISE


def test_stochastic_rounding_errs_twice_as_much_as_to_nearest() -> None:
    # a fraction u of an ulp errs by u(1 − u) in the mean square: 1/6 on average, not 1/12
    assert nmse(9, 1024, rounding=CHANCE) / nmse(9, 1024) == pytest.approx(2, rel=0.05)


def test_bias_of_symmetric_products_is_none() -> None:
    for rounding in (NEAREST, Rounding.NEAREST_AWAY, ZERO, CHANCE):
        found = simulate(accumulator(6, rounding), FP8, 300, samples=2048, seed=6)
        assert abs(found.bias) < 4 * found.bias_error


#: terms with a mean of half their deviation
DRIFT = Products(Operand(Shape.GAUSSIAN, float_format(6, 8), mean=0.5))


def test_stochastic_rounding_has_no_bias_whatever_the_mean() -> None:
    few, ideal, cut = (
        simulate(replace(accumulator(7, rounding), random_bits=bits), DRIFT, 1024, seed=6)
        for rounding, bits in ((CHANCE, 12), (CHANCE, None), (ZERO, None))
    )
    assert abs(few.bias) < 4 * few.bias_error
    assert abs(ideal.bias) < 4 * ideal.bias_error
    assert cut.bias < -50 * ideal.bias_error


def test_truncation_is_biased_in_proportion_to_the_length() -> None:
    # a step from s loses half an ulp, 2^-m 2^⌊log2 s⌋ / 2, and s is 2i after i terms: over a
    # binade of s from 2^j these are 2^j/2 steps, so n = 2^k terms lose 2^-m n²/3; the sum's
    # deviation is √n
    drift = Products(Operand(Shape.GAUSSIAN, mean=2.0))
    found = [
        simulate(accumulator(16, ZERO), drift, int(n), samples=4096, seed=5).bias for n in LENGTHS
    ]
    law = [-(2.0**-16) * n**1.5 / 3 for n in LENGTHS]
    assert found == pytest.approx(law, rel=0.03)


def test_rounding_down_drifts_down_whatever_the_products() -> None:
    down, up = (
        simulate(accumulator(8, rounding), FP8, 300, samples=2048, seed=6)
        for rounding in (Rounding.DOWN, Rounding.UP)
    )
    assert down.bias < -20 * down.bias_error
    assert up.bias == pytest.approx(-down.bias, abs=4 * math.hypot(up.bias_error, down.bias_error))


@pytest.mark.parametrize("products", [FP8, RELU, DRIFT])
@pytest.mark.parametrize("e_acc", [2, 3, 4, 6, 8])
def test_sums_never_saturate(e_acc: int, products: Products) -> None:
    # 44 mantissa bits lose nothing, whatever the exponents, unless the sum leaves their range
    found = simulate(accumulator(44, e_acc=e_acc), products, 5000, samples=512, seed=1)
    assert found.nmse < 1e-12
    assert found.retention == pytest.approx(1.0, abs=1e-6)


def test_rounded_products_never_saturate() -> None:
    coarse = FloatFormat("e3m20", 3, 20, overflow=Overflow.INFINITY)
    one = Accumulator(float_format(8, 23), product=Product(coarse))
    found = simulate(one, Products(Operand(Shape.LAPLACE), Operand(Shape.LAPLACE)), 500, seed=1)
    assert found.nmse < 1e-8


def test_density_shortens_the_sum() -> None:
    thin_products = gaussian_products(E5M2, density=0.25)
    sums = random_sums((), thin_products, 4000, shape=(32, 64), seed=9)
    quantised = 1.017  # E[x²] of a Gaussian x rounded to e5m2 is within 2 % of 1
    assert sums.exact.var() == pytest.approx(1000 * quantised**2, rel=0.15)  # ± 3 %
    thin = simulate(accumulator(5), thin_products, 4096, samples=2048, seed=9)
    short = simulate(accumulator(5), FP8, 1024, samples=2048, seed=10)
    assert abs(thin.nmse - short.nmse) < 4 * math.hypot(thin.nmse_error, short.nmse_error)


def test_a_sample_of_gaussian_values_is_a_gaussian() -> None:
    measured = sample_of(np.random.default_rng(1).normal(0, 3e-5, 100_000))
    sampled = Products(Operand(measured, E5M2), Operand(measured, E5M2))
    found, drawn = (simulate(accumulator(5), p, 500, seed=4) for p in (sampled, FP8))
    assert found.nmse == pytest.approx(drawn.nmse, rel=0.03)
    assert found.retention == pytest.approx(drawn.retention, abs=0.02)


@pytest.mark.parametrize("name", sorted(ACCUMULATORS))
def test_every_named_accumulator_can_be_simulated(name: str) -> None:
    one = ACCUMULATORS[name]
    blocks = isinstance(one.format, BlockFormat)
    form = Blocks(32, 6) if blocks else FixedFormat("int8", 8) if "int" in name else E5M2
    found = simulate(one, gaussian_products(form), 200, samples=64, seed=1)
    assert found.retention == pytest.approx(1, abs=0.2)
    if name in ("int32", "int32_wrap"):  # 200 · 127² < 2^31: every sum fits
        assert found.nmse == 0.0


def test_a_fused_step_cuts_less_where_it_keeps_more() -> None:
    found = [
        simulate(
            Accumulator(float_format(8, 23), order=Fused(32, kept)), FP8, 4096, samples=512, seed=1
        ).nmse
        for kept in (9, 11, 13)
    ]
    assert found[0] > 10 * found[1] > 100 * found[2] > 0


@pytest.mark.parametrize(
    "products", [FP8, RELU, terms(5), DRIFT], ids=["pair", "relu", "signed", "terms"]
)
def test_standard_errors_are_the_spread_over_seeds(products: Products) -> None:
    one = accumulator(3, ZERO)
    found = [simulate(one, products, 20, samples=1024, seed=seed) for seed in range(80)]
    truth = simulate(one, products, 20, samples=30 * ROUND, seed=1000)
    for name in ("retention", "nmse", "bias"):
        off = np.array([getattr(each, name) for each in found]) - getattr(truth, name)
        z = off / np.array([getattr(each, f"{name}_error") for each in found])
        # of 80 independent ones: a deviation known to 8 %, a mean to 0.11
        assert np.std(z) == pytest.approx(1, abs=0.3), name
        assert abs(z.mean()) < 0.5, name


def test_errors_of_several_rounds_are_the_spread_over_seeds() -> None:
    found = [simulate(accumulator(3), RELU, 16, samples=2 * ROUND, seed=seed) for seed in range(40)]
    for name in ("retention", "nmse", "bias"):
        spread = np.std([getattr(one, name) for one in found])
        stated = np.sqrt(np.mean([getattr(one, f"{name}_error") ** 2 for one in found]))
        assert stated == pytest.approx(spread, rel=0.4), name  # known to 11 %


def test_the_exact_sum_is_far_better_than_what_it_judges() -> None:
    found = simulate(EXACT, gaussian_products(None), 3000, samples=512, seed=1)
    assert found == SumStatistics(512, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n .accumulation length. must be at least 1, got 0"),
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"precision": 0.0}, "precision must be positive, got 0.0"),
        ({"precision": math.nan}, "precision must be positive, got nan"),
        ({"products": gaussian_products(E5M2, 1e-9)}, "exact sums must differ, got 128 equal ones"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    given = {"products": FP8, "n": 10, "samples": 128, "seed": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        simulate(accumulator(5), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [E5M2, Blocks(16, 6), Blocks(32, 5), None])
def test_a_block_sum_needs_operands_in_its_blocks(form: FloatFormat | Blocks | None) -> None:
    with pytest.raises(ValueError, match="mxint8 sums operands in blocks of 32 with 6 and 6"):
        simulate(ACCUMULATORS["mxint8"], gaussian_products(form), 64, samples=64, seed=1)


def test_large_operands_are_scaled_into_range() -> None:
    half = Accumulator(FloatFormat("half", 5, 10, overflow=Overflow.INFINITY))
    large = gaussian_products(FixedFormat("int12", 12))
    found = simulate(half, large, 10, samples=64, seed=1)  # products of 500²; half ends at 65504
    assert found.nmse < 0.01
