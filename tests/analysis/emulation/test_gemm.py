"""``matmul`` against ``matmul_exact``, bit for bit: shapes, layouts, chunks, adversarial values.

Single steps by the million are in ``test_steps.py``; that nothing depends on how the work is cut,
in ``test_pieces.py``.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.draws import Stream
from analysis.emulation import matmul, matmul_exact
from analysis.emulation.gemm import result_type
from analysis.formats import (
    Accumulator,
    FixedFormat,
    FloatFormat,
    Fused,
    Overflow,
    Rounding,
    Tree,
    float_format,
)
from analysis.quantization import quantize

Floats = npt.NDArray[np.floating]

NEAREST, AWAY, ZERO, UP, DOWN, STOCHASTIC = Rounding
E5M2, E4M3, HALF, SINGLE = (float_format(*f) for f in ((5, 2), (4, 3), (5, 10), (8, 23)))
FINE = Accumulator(float_format(6, 9))
#: begins where a chunk of any length below does
STEP = math.lcm(*range(1, 13), 63, 64, 255, 256, 257, 258, 1000)
STREAM = Stream(2024, row=7, column=130, step=STEP)


def assert_same_bits(computed: Floats, exact: Floats) -> None:
    assert computed.shape == exact.shape
    assert np.array_equal(computed, exact, equal_nan=True)
    assert np.array_equal(np.signbit(computed), np.signbit(exact))  # of zeros too


def assert_exact(
    a: Floats, b: Floats, accumulator: Accumulator, start: Floats | None = None
) -> None:
    computed = matmul(a, b, accumulator, start=start, rng=STREAM)
    assert computed.dtype == result_type(accumulator, a, b)
    assert_same_bits(computed, matmul_exact(a, b, accumulator, start=start, rng=STREAM))


def narrow(m: int, rounding: Rounding, **options: Any) -> Accumulator:
    bits = 8 if rounding is STOCHASTIC else None
    return Accumulator(float_format(6, m), rounding, random_bits=bits, **options)


def operands(
    shape: tuple[int, int, int], form: FloatFormat = E5M2, seed: int = 0
) -> tuple[Floats, Floats]:
    rows, length, columns = shape
    rng = np.random.default_rng(seed)
    spread = np.exp2(rng.integers(-6, 7, (rows, length)))
    a = quantize(rng.standard_normal((rows, length)) * spread, form)
    b = quantize(rng.standard_normal((length, columns)), form)
    return a.astype(np.float32), b.astype(np.float32)


E8M5 = float_format(8, 5)
OUTERS = [
    None,
    Accumulator(SINGLE),
    Accumulator(HALF),
    Accumulator(E8M5, ZERO),
    Accumulator(E8M5, STOCHASTIC, random_bits=7),
    Accumulator(E8M5, STOCHASTIC, random_bits=18),
]
#: inner accumulators that are not rounded to nearest in float32, with an outer one for each
PAIRS = [
    (narrow(12, NEAREST), Accumulator(SINGLE)),  # in float64, rounded to odd first
    (narrow(9, ZERO), None),
    (narrow(9, UP), Accumulator(E8M5, STOCHASTIC, random_bits=7)),
    (narrow(9, AWAY), Accumulator(E8M5, DOWN)),
    (narrow(3, STOCHASTIC), None),
    (Accumulator(float_format(6, 9), STOCHASTIC), None),  # in float64
    (Accumulator(SINGLE), Accumulator(HALF)),
]


@pytest.mark.parametrize("chunk", [1, 7, 63, 64, 255, 256, 257, 300, 1000])
@pytest.mark.parametrize("outer", OUTERS)
def test_chunks_around_the_block_and_their_outer_sums(
    chunk: int, outer: Accumulator | None
) -> None:
    a, b = operands((3, 600, 2), seed=chunk)
    assert_exact(a, b, narrow(9, NEAREST, chunk=chunk, outer=outer))


@pytest.mark.parametrize(("inner", "outer"), PAIRS)
@pytest.mark.parametrize("chunk", [None, 1, 7, 8, 258])
def test_chunks_of_every_kind(
    inner: Accumulator, outer: Accumulator | None, chunk: int | None
) -> None:
    a, b = operands((2, 530, 3), seed=1)
    accumulator = replace(inner, chunk=chunk, outer=outer if chunk else None)
    assert_exact(a, b, accumulator)
    assert_exact(a, b, accumulator, quantize(a[:, :3] + a[:, 3:6], E5M2))


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("length", [0, 1, 7])
@pytest.mark.parametrize("columns", [0, 1, 63, 64, 65])
def test_shapes(rows: int, length: int, columns: int, rounding: Rounding) -> None:
    a, b = operands((rows, length, columns))
    for chunk in (None, 4):
        accumulator = narrow(9, rounding, chunk=chunk)
        assert_exact(a, b, accumulator)
        assert_exact(b.T, a.T, accumulator)  # more rows than columns are turned over
        assert_exact(a, b, accumulator, np.full((rows, columns), 1.5))


@pytest.mark.parametrize("rounding", [NEAREST, STOCHASTIC])
@pytest.mark.parametrize("shape", [(255, 3, 3), (261, 4, 2), (515, 2, 3), (2, 3, 259)])
def test_shapes_beyond_the_blocks_of_rows(shape: tuple[int, int, int], rounding: Rounding) -> None:
    a, b = operands(shape)
    for chunk in (None, 2):
        assert_exact(a, b, narrow(4, rounding, chunk=chunk))


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran order": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "wide rows": lambda x: np.pad(x, ((0, 0), (3, 5)))[:, 3:-5],
    "float64": lambda x: x.astype(np.float64),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rounding", [NEAREST, STOCHASTIC])
def test_layouts_and_types_of_the_same_values(layout: str, rounding: Rounding) -> None:
    a, b = operands((5, 33, 70))
    start = operands((5, 70, 0), seed=3)[0]
    change = LAYOUTS[layout]
    accumulator = narrow(9, rounding, chunk=8)
    expected = matmul(a, b, accumulator, start=start, rng=STREAM)
    computed = matmul(change(a), change(b), accumulator, start=change(start), rng=STREAM)
    assert_same_bits(computed, expected)
    assert_same_bits(matmul(change(a), b, accumulator, start=start, rng=STREAM), expected)


def test_inputs_are_left_as_they_are_and_may_be_read_only() -> None:
    a, b = operands((4, 20, 6))
    start = np.ones((4, 6))
    copies = a.copy(), b.copy(), start.copy()
    for array in (a, b, start):
        array.flags.writeable = False
    matmul(a, b, narrow(9, NEAREST), start=start)
    assert all(np.array_equal(x, y) for x, y in zip((a, b, start), copies, strict=True))


@pytest.mark.parametrize("rounding", [NEAREST, STOCHASTIC])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((), (3,)),
        ((3,), ()),
        ((2, 1), (3,)),
        ((2, 3), (1, 1)),
        ((0,), ()),
        ((1,), (4,)),
    ],
)
def test_batches_are_broadcast(
    left: tuple[int, ...], right: tuple[int, ...], rounding: Rounding
) -> None:
    rng = np.random.default_rng(5)
    a = quantize(rng.standard_normal((*left, 3, 10)), E5M2)
    b = quantize(rng.standard_normal((*right, 10, 4)), E5M2)
    accumulator = narrow(5, rounding, chunk=4)
    batch = np.broadcast_shapes(left, right)
    start = quantize(rng.standard_normal((*batch, 3, 4)), float_format(5, 3))
    computed = matmul(a, b, accumulator, start=start, rng=STREAM)
    assert computed.shape == (*batch, 3, 4)
    lefts, rights = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    for number, index in enumerate(np.ndindex(*batch)):
        place = STREAM.at(row=3 * number)
        exact = matmul_exact(
            lefts[index], rights[index], accumulator, start=start[index], rng=place
        )
        assert_same_bits(computed[index], exact)


def test_the_result_has_the_type_of_the_operands_if_that_holds_it() -> None:
    single, double = np.ones((1, 1), np.float32), np.ones((1, 1))
    wide = [Accumulator(float_format(8, 24)), Accumulator(float_format(9, 3))]
    wide.append(Accumulator(FixedFormat("int32", 32)))
    chunked = Accumulator(float_format(9, 30), chunk=2, outer=Accumulator(SINGLE))
    for accumulator in (FINE, Accumulator(FixedFormat("int16", 16)), chunked):
        assert result_type(accumulator, single, single) == np.float32
        assert result_type(accumulator, single, double) == np.float64
    for accumulator in wide:
        assert result_type(accumulator, single, single) == np.float64
    assert matmul(single, single, FINE).dtype == np.float32


def test_a_generator_gives_a_seed_and_goes_on() -> None:
    a, b = operands((2, 50, 70))
    accumulator = narrow(3, STOCHASTIC)
    rng = np.random.default_rng(8)
    first, second = (matmul(a, b, accumulator, rng=rng) for _ in range(2))
    seeds = np.random.default_rng(8).integers(2**63, size=2).tolist()
    assert_same_bits(first, matmul(a, b, accumulator, rng=seeds[0]))
    assert_same_bits(second, matmul(a, b, accumulator, rng=Stream(seeds[1])))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_zeros_have_no_sign(rounding: Rounding) -> None:
    accumulator = narrow(3, rounding)
    assert_exact(np.array([[-(2.0**-60), 1.0, -0.0]]), np.array([[1.0], [0.0], [3.0]]), accumulator)
    assert_exact(np.array([[1.0, -1.0]]), np.ones((2, 1)), accumulator)
    assert_exact(np.array([[1.0, -1.0]]), np.ones((2, 1)), replace(accumulator, chunk=1))
    assert_exact(np.ones((1, 0)), np.ones((0, 1)), accumulator, np.array([[-0.0]]))


INFINITE = FloatFormat("ieee", 6, 9, overflow=Overflow.INFINITY)


@pytest.mark.parametrize("accumulator", [FINE, Accumulator(INFINITE), narrow(5, STOCHASTIC)])
@pytest.mark.parametrize("chunk", [None, 4])
def test_infinities_and_nan(accumulator: Accumulator, chunk: int | None) -> None:
    a, b = operands((5, 12, 70))
    a[0, 3], a[1, 5], a[2, [4, 9]] = np.inf, np.nan, (np.inf, -np.inf)
    b[3, 7], b[8, 9] = 0.0, -np.inf  # ∞ · 0
    chunked = replace(accumulator, chunk=chunk)
    computed = matmul(a, b, chunked, rng=STREAM)
    exact = matmul_exact(a, b, chunked, rng=STREAM)
    assert np.array_equal(computed, exact, equal_nan=True)
    assert np.isnan(exact[1]).all()
    assert np.isnan(exact[0, 7])
    assert np.isfinite(exact[3:, :9]).all()


def one_sum(terms: list[float], accumulator: Accumulator) -> float:
    a = np.array([terms])
    assert_exact(a, np.ones((len(terms), 1)), accumulator)
    return float(matmul(a, np.ones((len(terms), 1)), accumulator)[0, 0])


def test_a_tiny_sum_breaks_the_tie_of_a_wide_product() -> None:
    # 4.25 alone is a tie at m = 3, and goes to 4; with 2^-30 below it, it is above the tie
    assert one_sum([2.0**-30, 4.25], Accumulator(float_format(7, 3))) == 4.5
    assert one_sum([0.0, 4.25], Accumulator(float_format(7, 3))) == 4.0


def test_a_wide_sum_just_below_a_tie_rounds_down() -> None:
    # 1 + 3·2^-13 is a tie at m = 12; a float32 sum does not see the 2^-24 that is missing
    start = np.array([[3 * 2.0**-13 - 2.0**-24]])
    assert_exact(np.ones((1, 1)), np.ones((1, 1)), narrow(12, NEAREST), start)
    computed = matmul(np.ones((1, 1)), np.ones((1, 1)), narrow(12, NEAREST), start=start)
    assert computed == 1 + 2.0**-12


@pytest.mark.parametrize("rounding", [NEAREST, AWAY, ZERO, UP, DOWN])
@pytest.mark.parametrize("form", [float_format(5, 3), float_format(5, 9), float_format(8, 9)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_saturated_sum_comes_back(form: FloatFormat, sign: float, rounding: Rounding) -> None:
    accumulator = Accumulator(form, rounding)
    edge = sign * float(form.largest)
    assert one_sum([edge, edge], accumulator) == edge
    assert one_sum([edge, edge, -edge / 2], accumulator) == edge / 2
    assert one_sum([edge, edge, -edge, -edge, -edge, edge / 2], accumulator) == -edge / 2


def test_addends_that_are_swamped_are_lost() -> None:
    assert one_sum([1.0] * 100, narrow(3, NEAREST)) == 16.0
    # 10, 20, 30, 40, then 50 → 48, 58 → 56, 66 → 64, 72 and on by an ulp of 8
    assert one_sum([1.0] * 100, narrow(3, NEAREST, chunk=10)) == 88.0


def last_sums(a: Floats, b: Floats, dtype: Any) -> Floats:
    """NumPy's own running sums of the products."""
    products = (a[:, :, None] * b[None]).astype(dtype)
    return np.asarray(np.cumsum(products, axis=1, dtype=dtype)[:, -1])


def test_numpy_float16_sums() -> None:
    # products of e4m2 with e4m2 are on float16's grid, and no sum overflows
    a, b = (quantize(x, float_format(4, 2)) for x in operands((4, 400, 6), seed=9))
    expected = last_sums(a, b, np.float16)
    assert np.all(np.isfinite(expected))
    assert np.array_equal(matmul(a, b, Accumulator(HALF)), expected)


def test_numpy_float32_sums() -> None:
    a, b = operands((4, 400, 6), HALF, seed=10)
    assert np.array_equal(matmul(a, b, Accumulator(SINGLE)), last_sums(a, b, np.float32))


magnitudes = [0.0, 1.0, 1.5, 1.75, 3.0, 240.0, 2.0**15, 57344.0, 1 + 2.0**-7, 1 + 2.0**-10]
magnitudes += [2.0**-k for k in (3, 9, 14, 16, 30, 62, 75)]
adversarial = st.sampled_from([*magnitudes, *(-x for x in magnitudes)])
formats = st.builds(float_format, st.integers(2, 9), st.integers(0, 30))
deterministic = st.builds(Accumulator, formats, st.sampled_from([NEAREST, AWAY, ZERO, UP, DOWN]))
bits_drawn = st.none() | st.integers(1, 22)
drawn = st.builds(Accumulator, formats, st.just(STOCHASTIC), random_bits=bits_drawn)
#: few of the steps that there are, as every pair of inner and outer is compiled by itself
truncating = st.builds(
    Accumulator, st.builds(float_format, st.just(9), st.integers(0, 30)), st.just(ZERO)
)
chunked = st.builds(replace, truncating, chunk=st.integers(1, 9), outer=st.none() | truncating)


@settings(max_examples=400)
@given(st.data(), deterministic | drawn | chunked)
def test_adversarial_sums(data: st.DataObject, accumulator: Accumulator) -> None:
    rows, length, columns = (data.draw(st.integers(1, most)) for most in (3, 12, 3))
    numbers = st.lists(adversarial, min_size=rows * length, max_size=rows * length)
    a = np.array(data.draw(numbers)).reshape(rows, length)
    others = st.lists(adversarial, min_size=length * columns, max_size=length * columns)
    b = np.array(data.draw(others)).reshape(length, columns)
    grid = accumulator.outer_accumulator.format
    assert isinstance(grid, FloatFormat)
    start = quantize(data.draw(adversarial) * np.ones((rows, columns)), grid)
    assert_exact(a, b, accumulator, data.draw(st.sampled_from([None, start])))


ONE = np.ones((1, 1))


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "message"),
    [
        (ONE, np.array([[5e-324]]), {}, ValueError, "must lie in 2^-1074..2^1000, got operands"),
        (ONE, np.ones((2, 1)), {}, ValueError, "(..., M, K) and (..., K, N), got (1, 1) and (2"),
        (np.ones(3), ONE, {}, ValueError, "got (3,) and (1, 1)"),
        (ONE, ONE, {"start": np.ones((1, 2))}, ValueError, "shape (1, 1), got (1, 2)"),
        (ONE, ONE, {"start": ONE * np.inf}, ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, {"start": 1.0}, TypeError, "start must be of type ndarray, got 1.0"),
        ([[1.0]], ONE, {}, TypeError, "an operand must be of type ndarray, got"),
        (ONE, ONE, {"rng": 1.5}, TypeError, "or a Stream, got 1.5"),
        (ONE, ONE, {"start": ONE * 1e300}, ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, {"start": ONE * 2.0**-40}, ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, {"start": ONE + 2.0**-10}, ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, {"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        (ONE, ONE, {"rng": -1}, ValueError, "seed must be in 0..2^64 - 1, got -1"),
        (ONE * 0.1, ONE * 0.1, {}, ValueError, "must fit 53 significant bits, got operands that"),
        (ONE * 2.0**600, ONE * 2.0**600, {}, ValueError, "2^-1074..2^1000, got operands that need"),
        (ONE * 2.0**-600, ONE * 2.0**-600, {}, ValueError, "got operands that need 2^-1200.."),
        (np.ones((1, 1), np.float16), ONE, {}, TypeError, "float32 or float64, got float16"),
        (ONE, np.ones((1, 1), np.int64), {}, TypeError, "float32 or float64, got int64"),
    ],
)
def test_what_is_refused(
    a: Any, b: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        matmul(a, b, FINE, **options)
    assert "\n" not in str(caught.value)


def test_batches_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must broadcast, got \(2, 1, 1\) and \(3, 1, 1\)"):
        matmul(np.ones((2, 1, 1)), np.ones((3, 1, 1)), FINE)


def test_stochastic_rounding_needs_a_source_of_chance() -> None:
    with pytest.raises(ValueError, match="needs rng, a seed or a Stream, got None"):
        matmul(ONE, ONE, narrow(3, STOCHASTIC))


def test_a_piece_begins_where_a_chunk_or_a_fused_step_does() -> None:
    for options in ({"chunk": 4}, {"order": Fused(4, 9)}):
        with pytest.raises(
            ValueError, match="a chunk or fused step of 4 products does, got step = 6"
        ):
            matmul(ONE, ONE, Accumulator(float_format(6, 9), **options), rng=Stream(1, step=6))


def test_a_sum_that_became_nan_goes_on_and_a_tree_of_nothing_is_zero() -> None:
    start = np.array([[np.nan, 1.0]])
    assert_exact(np.ones((1, 3)), np.ones((3, 2)), FINE, start)
    assert_exact(np.ones((1, 0)), np.ones((0, 2)), Accumulator(float_format(6, 9), order=Tree()))
