"""Widths against published values, and against the emulated accumulator on the worst inputs."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.catalog import named_format
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.emulation import matmul
from analysis.emulation.reference import dot_exact
from analysis.formats import Accumulator, FixedFormat, FloatFormat, Overflow, float_format
from analysis.integer_bounds import (
    Integers,
    channel_ranges,
    data_type_width,
    exact_width,
    kulisch_width,
    kulisch_width_published,
    norm_cap,
    outer_width,
    overflow_probability,
    range_width,
    statistical_width,
    tiled_widths,
    weight_norm_width,
    zero_centred_cap,
)
from analysis.operands import operand_tiles

Ints = npt.NDArray[np.int64]
UNSIGNED, SIGNED = Integers(8, signed=False), Integers(8, signed=True)
SATURATE, WRAP = Overflow.SATURATE, Overflow.WRAP
KINDS = st.builds(Integers, st.integers(2, 6), st.booleans())


def emulated(weights: Ints, x: Ints, width: int, overflow: Overflow = SATURATE) -> Ints:
    """W x by the emulated accumulator of that width."""
    form = FixedFormat("acc", width, overflow=overflow)
    sums = matmul(weights.astype(np.float64), x.astype(np.float64), Accumulator(form))
    return sums.astype(np.int64)


def worst_inputs(weights: Ints, x: Integers) -> Ints:
    """For every channel, the inputs of its largest and of its least sum: (K, 2 · out)."""
    top = np.where(weights > 0, x.largest, x.least)
    bottom = np.where(weights > 0, x.least, x.largest)
    return np.concatenate([top, bottom]).T


# accumulation facts, section 4: A2Q's data-type bound for 64, 576 and 4608 products
@pytest.mark.parametrize(("x", "widths"), [(UNSIGNED, (23, 26, 29)), (SIGNED, (22, 25, 28))])
def test_published_data_type_widths(x: Integers, widths: tuple[int, ...]) -> None:
    assert tuple(data_type_width(x, SIGNED, length) for length in (64, 576, 4608)) == widths


def test_published_caps_on_weights() -> None:
    # accumulation facts, section 4: P = 16, N = 8 unsigned: A2Q 127.996, A2Q+ 256.996
    assert f"{float(norm_cap(16, UNSIGNED)):.3f}" == "127.996"
    assert f"{float(zero_centred_cap(16, UNSIGNED)):.3f}" == "256.996"


@given(KINDS, st.integers(1, 10**6), st.integers(1, 40))
def test_caps_are_the_widths_turned_around(x: Integers, norm: int, width: int) -> None:
    assert (norm <= norm_cap(width, x)) == (weight_norm_width(x, norm) <= width)


@given(KINDS, st.data())
def test_the_exact_width_is_enough_and_one_bit_less_is_not(
    x: Integers, data: st.DataObject
) -> None:
    size = data.draw(st.integers(2, 7))
    row = st.lists(st.integers(-8, 7), min_size=size, max_size=size)
    weights = np.array(data.draw(st.lists(row, min_size=1, max_size=3)))
    inputs, width = worst_inputs(weights, x), exact_width(weights, x)
    exact = weights @ inputs
    least, largest = channel_ranges(weights, x)
    assert exact.max() == largest.max()
    assert exact.min() == least.min()
    if exact.min() >= 0:  # FixedFormat is signed
        width += 1
    if width < 3:
        return
    assert (emulated(weights, inputs, width) == exact).all()
    assert (emulated(weights, inputs, width - 1) != exact).any()


@given(KINDS, KINDS, st.integers(1, 6))
def test_published_widths_are_enough_and_at_most_a_bit_too_many(
    x: Integers, w: Integers, length: int
) -> None:
    for weight in (w.least, w.largest):
        weights = np.full((1, length), weight)
        inputs, exact = worst_inputs(weights, x), weights @ worst_inputs(weights, x)
        norm = int(np.abs(weights).sum())
        narrow, wide = weight_norm_width(x, norm), data_type_width(x, w, length)
        assert narrow <= wide
        assert (emulated(weights, inputs, max(2, narrow)) == exact).all()
        tight = exact_width(weights, x)
        assert tight <= narrow <= tight + 1 + (not x.signed)


def test_zero_centred_weights_gain_a_bit_for_unsigned_inputs() -> None:
    weights = np.array([[100, 28, -128]])  # ‖w‖₁ = 256, within A2Q+'s cap for 16 bits
    inputs = worst_inputs(weights, UNSIGNED)
    assert np.abs(weights).sum() <= zero_centred_cap(16, UNSIGNED)
    assert np.abs(weights).sum() > norm_cap(16, UNSIGNED)
    assert exact_width(weights, UNSIGNED) == 16
    assert (emulated(weights, inputs, 16) == weights @ inputs).all()
    assert exact_width(np.array([[100, 29, -129]]), UNSIGNED) == 17  # ‖w‖₁ = 258: beyond it


def test_finn_counts_no_sign_where_nothing_is_negative() -> None:
    weights = np.array([[1, 2, 3], [0, 1, 1]])
    assert exact_width(weights, UNSIGNED) == (6 * 255).bit_length() == 11
    assert exact_width(-weights, UNSIGNED) == 12
    assert exact_width(weights, UNSIGNED, multiple=8) == 16
    assert range_width(0, 0) == 1


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_ranges_fill_their_width(one: int, other: int) -> None:
    least, largest = sorted((one, other))
    width = range_width(least, largest)
    if least >= 0:
        assert largest < 2**width
        assert width == 1 or largest >= 2 ** (width - 1)
    else:
        half = 2 ** (width - 1)
        assert -half <= least <= largest < half
        assert -half // 2 > least or largest >= half // 2 or width == 1


@given(st.integers(4, 20), st.integers(1, 1000), st.integers(1, 1000))
def test_outer_sums_of_full_inner_ones_fit(inner: int, tile: int, tiles: int) -> None:
    width = outer_width(inner, tile * tiles, tile)
    assert tiles * 2 ** (inner - 1) <= 2 ** (width - 1) < 2 * tiles * 2 ** (inner - 1)


def test_tiles_are_narrower_than_the_whole() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-128, 128, (16, 512))
    found = tiled_widths(weights, UNSIGNED, 64)
    inner = [exact_width(weights[:, at : at + 64], UNSIGNED) for at in range(0, 512, 64)]
    assert found.inner == max(inner) < exact_width(weights, UNSIGNED)
    assert found.outer == found.inner + 3  # eight tiles
    inputs = worst_inputs(weights, UNSIGNED)
    outer = Accumulator(FixedFormat("outer", found.outer))
    tiled = Accumulator(FixedFormat("inner", found.inner), chunk=64, outer=outer)
    sums = matmul(weights.astype(np.float64), inputs.astype(np.float64), tiled)
    assert (sums == weights @ inputs).all()


def test_wrapping_needs_the_final_sum_only() -> None:
    weights, x = np.array([[100, 100, 100, -100, -100, -100]]), np.full((6, 1), 100)
    assert emulated(weights, x, 16, WRAP) == 0  # partial sums reach 30,000
    assert emulated(weights, x, 15, WRAP) == 0
    assert emulated(weights, x, 15, SATURATE) != 0


INT4 = FixedFormat("int4", 4)
RELU = Products(Operand(Shape.HALF_NORMAL, INT4, density=0.5), Operand(Shape.GAUSSIAN, INT4))


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
@pytest.mark.parametrize("products", [RELU, gaussian_products(INT4)])
def test_overflow_is_as_likely_as_in_draws(products: Products, overflow: Overflow) -> None:
    n, samples, wrong = 256, 0, 0
    width = statistical_width(products, n, overflow, 0.02) - 1  # so that some do
    form = FixedFormat("acc", width, overflow=overflow)
    for seed in range(4):
        for a, b in operand_tiles(products, n, (128, 128), seed):
            exact = a.astype(np.float64) @ b
            computed = matmul(a, b, Accumulator(form))
            wide = np.abs(exact) >= 2 ** (width - 1)
            wrong += int((computed != exact).sum() if overflow is SATURATE else wide.sum())
            samples += exact.size
            assert overflow is SATURATE or ((computed != exact) <= wide).all()
    found = overflow_probability(width, products, n, overflow)
    assert found > 0.02
    assert wrong / samples == pytest.approx(found, rel=0.12)


def test_statistical_widths_lie_between_the_sum_and_the_worst_case() -> None:
    products = gaussian_products(FixedFormat("int8", 8))
    widths = [
        statistical_width(products, 4608, overflow, failure)
        for overflow, failure in ((WRAP, 1e-3), (SATURATE, 1e-3), (SATURATE, 1e-12))
    ]
    assert widths == sorted(widths)
    assert widths[-1] < data_type_width(SIGNED, SIGNED, 4608)
    assert overflow_probability(widths[1], products, 4608, SATURATE) <= 1e-3
    assert overflow_probability(widths[1] - 1, products, 4608, SATURATE) > 1e-3


FORMATS = ["fp8_e5m2", "fp8_e4m3", "fp8_e5m2fnuz", "fp8_e4m3fnuz", "fp6_e3m2", "fp4_e2m1"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("other", ["fp8_e4m3", "fp4_e2m1"])
def test_the_kulisch_width_is_enough_and_one_bit_less_is_not(name: str, other: str) -> None:
    a, b = named_format(name), named_format(other)
    assert isinstance(a, FloatFormat)
    assert isinstance(b, FloatFormat)
    n, quantum = 5, a.quantum * b.quantum
    width = kulisch_width(a, b, n)
    largest, least = (
        [(float(a.largest), float(b.largest))] * n,
        (float(a.quantum), float(b.quantum)),
    )
    exact = n * a.largest * b.largest

    def computed(pairs: list[tuple[float, float]], bits: int) -> Fraction:
        assert quantum.numerator == 1
        form = FixedFormat("kulisch", bits, quantum.denominator.bit_length() - 1)
        result = dot_exact(pairs, Accumulator(form))
        assert isinstance(result, Fraction)
        return result

    if width <= 53:
        assert computed(largest, width) == exact
        assert computed([least], width) == quantum
        assert computed(largest, width - 1) != exact
    assert exact / quantum < 2 ** (width - 1) <= 2 * exact / quantum
    # published: 2^E exponents, of which IEEE formats lose two at the top
    published = kulisch_width_published(a, b, n)
    assert width <= published


def test_the_published_kulisch_width_is_exact_where_top_codes_are_numbers() -> None:
    form = named_format("fp8_e5m2fnuz")
    assert isinstance(form, FloatFormat)
    # 2^5 + 2 + 2^5 + 2 − 1 + ⌈log2 n⌉; 1.75² n < 2^⌈log2 n⌉ · 4
    assert kulisch_width_published(form, form, 4096) == 67 + 12 == kulisch_width(form, form, 4096)
    ieee = float_format(5, 2)
    assert kulisch_width(ieee, ieee, 4096) == kulisch_width_published(ieee, ieee, 4096) - 2


def test_what_widths_refuse() -> None:
    with pytest.raises(ValueError, match=r"bits must be in 1\.\.32, got 0"):
        Integers(0, signed=True)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        data_type_width(SIGNED, SIGNED, 0)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        weight_norm_width(SIGNED, -1)
    with pytest.raises(TypeError, match="weights must be integers, got float64"):
        exact_width(np.ones((2, 2)), SIGNED)
    with pytest.raises(ValueError, match=r"shape \(out, K\), got \(2,\)"):
        exact_width([1, 2], SIGNED)
    with pytest.raises(ValueError, match="less than 2"):
        exact_width([[2**30]], SIGNED)
    with pytest.raises(ValueError, match="of bits must be at least 1, got 0"):
        exact_width([[1]], SIGNED, multiple=0)
    with pytest.raises(ValueError, match="must not be empty, got 3"):
        range_width(3, 2)


def test_what_tiles_and_probabilities_refuse() -> None:
    with pytest.raises(ValueError, match=r"a tile must be .*, got 5"):
        outer_width(16, 4, 5)
    with pytest.raises(ValueError, match=r"a tile must be .*, got 0"):
        tiled_widths([[1, 2]], SIGNED, 0)
    with pytest.raises(ValueError, match="must be of fixed point, got None"):
        overflow_probability(16, gaussian_products(None), 64, WRAP)
    with pytest.raises(ValueError, match="got overflow = infinity"):
        overflow_probability(16, RELU, 64, Overflow.INFINITY)
    with pytest.raises(ValueError, match="at least 1 bit, got 0"):
        overflow_probability(0, RELU, 64, WRAP)
    with pytest.raises(ValueError, match="failure must lie between 0 and 1, got 2"):
        statistical_width(RELU, 64, WRAP, 2.0)
