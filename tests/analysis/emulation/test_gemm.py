"""``matmul`` against ``matmul_exact``, bit for bit: shapes, layouts, options, adversarial values.

Single steps by the million, at the limits of every way, are in ``test_steps.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.emulation import matmul, matmul_exact
from analysis.emulation.gemm import choose_way, product_extent
from analysis.formats import Accumulator, Rounding, float_format
from analysis.quantization import quantize

Floats = npt.NDArray[np.floating]

NEAREST, ZERO = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO
both_roundings = pytest.mark.parametrize("rounding", list(Rounding))

E5M2, E4M3, BFLOAT16, HALF = (float_format(*f) for f in ((5, 2), (4, 3), (8, 7), (5, 10)))


def way(a: Floats, b: Floats, accumulator: Accumulator) -> str:
    """Which of the four steps is taken, by lane and the length of its grid."""
    lane, grid = choose_way(product_extent(a, b), accumulator.format, accumulator.rounding)
    return f"{ {1: 'plain', 3: 'nearest', 6: 'odd'}[len(grid)] } {lane.__name__}"


def assert_same_bits(computed: Floats, exact: Floats) -> None:
    assert computed.dtype == exact.dtype == np.float64
    assert computed.shape == exact.shape
    assert computed.tobytes() == exact.tobytes()  # signs of zeros too


def assert_exact(
    a: Floats, b: Floats, accumulator: Accumulator, start: Floats | None = None, threads: int = 1
) -> None:
    computed = matmul(a, b, accumulator, start=start, threads=threads)
    assert_same_bits(np.ascontiguousarray(computed), matmul_exact(a, b, accumulator, start=start))


def operands(shape: tuple[int, int, int], form: Any = E5M2, seed: int = 0) -> tuple[Floats, Floats]:
    rows, length, columns = shape
    rng = np.random.default_rng(seed)
    spread = np.exp2(rng.integers(-6, 7, (rows, length)))
    a = quantize(rng.standard_normal((rows, length)) * spread, form)
    b = quantize(rng.standard_normal((length, columns)), form)
    return a.astype(np.float32), b.astype(np.float32)


# (operands, accumulator, rounding) and the way that must be taken
WAYS = [
    (E5M2, float_format(6, 9), NEAREST, "nearest float32"),
    (E4M3, float_format(6, 11), NEAREST, "nearest float32"),
    (E5M2, float_format(6, 9), ZERO, "odd float32"),
    (E5M2, float_format(6, 4), NEAREST, "odd float32"),  # products wider than the sum
    (E5M2, float_format(6, 12), NEAREST, "odd float32"),  # a sum too wide to be rounded twice
    (HALF, float_format(6, 9), NEAREST, "odd float32"),
    (BFLOAT16, float_format(8, 9), NEAREST, "odd float64"),  # exponents beyond float32's
    (E5M2, float_format(8, 23), NEAREST, "plain float32"),
    (HALF, float_format(8, 23), NEAREST, "plain float32"),
    (E5M2, float_format(8, 23), ZERO, "odd float64"),
    (E5M2, float_format(6, 22), ZERO, "odd float64"),
]
each_way = pytest.mark.parametrize(("form", "narrow", "rounding", "expected"), WAYS)


@each_way
def test_each_way_is_taken_and_exact(
    form: Any, narrow: Any, rounding: Rounding, expected: str
) -> None:
    a, b = operands((3, 70, 5), form)
    accumulator = Accumulator(narrow, rounding)
    assert way(a, b, accumulator) == expected
    assert_exact(a, b, accumulator)


WIDE, NARROW = float_format(8, 23), float_format(5, 2)
CHUNKS = [
    (None, None),
    *((chunk, outer) for chunk in (1, 3, 64, 500) for outer in (None, WIDE, NARROW)),
]


@each_way
@pytest.mark.parametrize(("chunk", "outer"), CHUNKS)
def test_chunks_and_outer_formats(
    form: Any, narrow: Any, rounding: Rounding, expected: str, chunk: int | None, outer: Any
) -> None:
    accumulator = Accumulator(narrow, rounding, chunk, outer and Accumulator(outer, rounding))
    a, b = operands((3, 130, 2), form, seed=1)
    assert_exact(a, b, accumulator)
    start = quantize(100 * np.random.default_rng(2).random((3, 2)), accumulator.outer_accumulator.format)
    assert_exact(a, b, accumulator, start)


@both_roundings
@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("length", [0, 1, 7])
@pytest.mark.parametrize("columns", [0, 1, 63, 64, 65])
def test_shapes(rows: int, length: int, columns: int, rounding: Rounding) -> None:
    a, b = operands((rows, length, columns))
    for chunk in (None, 4):
        accumulator = Accumulator(float_format(6, 9), rounding, chunk)
        assert_exact(a, b, accumulator)
        assert_exact(b.T, a.T, accumulator)  # more rows than columns are turned over
        assert_exact(a, b, accumulator, np.full((rows, columns), 1.5))


@both_roundings
@pytest.mark.parametrize("length", [1023, 1024, 1025, 2100])
@pytest.mark.parametrize("chunk", [None, 1, 7, 1000, 1024, 1500])
def test_lengths_around_the_internal_block(
    length: int, chunk: int | None, rounding: Rounding
) -> None:
    a, b = operands((2, length, 2), seed=length)
    assert_exact(a, b, Accumulator(float_format(6, 7), rounding, chunk))


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran order": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "float64": lambda x: x.astype(np.float64),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk", [None, 5])
def test_layouts_and_types_of_the_same_values(layout: str, chunk: int | None) -> None:
    a, b = operands((5, 33, 70))
    accumulator = Accumulator(float_format(6, 9), chunk=chunk)
    start = quantize(np.random.default_rng(5).standard_normal((5, 70)), accumulator.format)
    expected = matmul(a, b, accumulator, start=start)
    change = LAYOUTS[layout]
    computed = matmul(change(a), change(b), accumulator, start=change(start))
    assert_same_bits(np.ascontiguousarray(computed), expected)
    mixed = matmul(change(a), b, accumulator, start=start)
    assert_same_bits(np.ascontiguousarray(mixed), expected)


def test_inputs_are_left_as_they_are_and_may_be_read_only() -> None:
    a, b = operands((4, 20, 6))
    start = np.ones((4, 6))
    copies = a.copy(), b.copy(), start.copy()
    for array in (a, b, start):
        array.flags.writeable = False
    matmul(a, b, Accumulator(float_format(6, 9)), start=start)
    assert all(np.array_equal(x, y) for x, y in zip((a, b, start), copies, strict=True))


@pytest.mark.parametrize("shape", [(1, 300, 1), (7, 1500, 130), (64, 40, 64), (300, 50, 3)])
@pytest.mark.parametrize("chunk", [None, 48])
def test_threads_do_not_change_a_bit(shape: tuple[int, int, int], chunk: int | None) -> None:
    a, b = operands(shape)
    accumulator = Accumulator(float_format(6, 8), chunk=chunk)
    alone = matmul(a, b, accumulator)
    for threads in (2, 3, 4):
        assert_same_bits(matmul(a, b, accumulator, threads=threads), alone)


def test_a_long_sum_can_be_fed_in_pieces() -> None:
    a, b = operands((3, 192, 4))
    for chunk, outer in ((None, None), (32, float_format(8, 23))):
        accumulator = Accumulator(float_format(6, 6), chunk=chunk, outer=outer)
        first = matmul(a[:, :96], b[:96], accumulator)
        both = matmul(a[:, 96:], b[96:], accumulator, start=first)
        assert_same_bits(both, matmul(a, b, accumulator))


def test_zeros_have_no_sign() -> None:
    a = np.array([[-(2.0**-60), 1.0, -0.0]])
    for rounding in Rounding:
        assert_exact(a, np.array([[1.0], [0.0], [3.0]]), Accumulator(float_format(6, 3), rounding))
    assert_exact(np.ones((1, 0)), np.ones((0, 1)), Accumulator(E5M2), np.array([[-0.0]]))


def one_sum(terms: list[float], accumulator: Accumulator) -> float:
    a = np.array([terms])
    assert_exact(a, np.ones((len(terms), 1)), accumulator)
    return float(matmul(a, np.ones((len(terms), 1)), accumulator)[0, 0])


def test_a_tiny_sum_breaks_the_tie_of_a_wide_product() -> None:
    # 4.25 alone is a tie at m = 3, and goes to 4; with 2^-30 below it, it is above the tie
    accumulator = Accumulator(float_format(6, 3))
    assert one_sum([2.0**-30, 4.25], Accumulator(float_format(7, 3))) == 4.5
    assert one_sum([0.0, 4.25], accumulator) == 4.0


def test_a_wide_sum_just_below_a_tie_rounds_down() -> None:
    # 1 + 3·2^-13 is a tie at m = 12; a float32 sum does not see the 2^-24 that is missing
    accumulator = Accumulator(float_format(6, 12))
    start = np.array([[3 * 2.0**-13 - 2.0**-24]])
    assert_exact(np.ones((1, 1)), np.ones((1, 1)), accumulator, start)
    assert matmul(np.ones((1, 1)), np.ones((1, 1)), accumulator, start=start) == 1 + 2.0**-12


@both_roundings
@pytest.mark.parametrize("form", [float_format(5, 3), float_format(5, 9), float_format(8, 9)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_saturated_sum_comes_back(form: Any, sign: float, rounding: Rounding) -> None:
    accumulator = Accumulator(form, rounding)
    edge = sign * float(form.largest)
    assert one_sum([edge, edge], accumulator) == edge
    assert one_sum([edge, edge, -edge / 2], accumulator) == edge / 2
    assert one_sum([edge, edge, -edge, -edge, -edge, edge / 2], accumulator) == -edge / 2


def test_addends_that_are_swamped_are_lost() -> None:
    form = float_format(6, 3)
    assert one_sum([1.0] * 100, Accumulator(form)) == 16.0
    # 10, 20, 30, 40, then 50 → 48, 58 → 56, 66 → 64, 72 and on by an ulp of 8
    assert one_sum([1.0] * 100, Accumulator(form, chunk=10)) == 88.0


magnitudes = [0.0, 1.0, 1.5, 1.75, 3.0, 240.0, 2.0**15, 57344.0, 1 + 2.0**-7, 1 + 2.0**-10]
magnitudes += [2.0**-k for k in (3, 9, 14, 16, 30, 62, 75)]
adversarial = st.sampled_from([*magnitudes, *(-x for x in magnitudes)])
accumulators = st.builds(
    Accumulator,
    st.builds(float_format, st.integers(2, 9), st.integers(0, 30)),
    st.sampled_from(Rounding),
    st.none() | st.integers(1, 9),
)


@settings(max_examples=400, deadline=None)
@given(st.data(), accumulators)
def test_adversarial_sums(data: st.DataObject, accumulator: Accumulator) -> None:
    rows, length, columns = (data.draw(st.integers(1, most)) for most in (3, 12, 3))
    numbers = st.lists(adversarial, min_size=rows * length, max_size=rows * length)
    a = np.array(data.draw(numbers)).reshape(rows, length)
    others = st.lists(adversarial, min_size=length * columns, max_size=length * columns)
    b = np.array(data.draw(others)).reshape(length, columns)
    start = quantize(data.draw(adversarial) * np.ones((rows, columns)), accumulator.outer_accumulator.format)
    assert_exact(a, b, accumulator, data.draw(st.sampled_from([None, start])))


def test_numpy_float16_sums() -> None:
    # products of e4m2 with e4m2 are on float16's grid, and no sum overflows
    a, b = (quantize(x, float_format(4, 2)) for x in operands((4, 400, 6), seed=9))
    expected = np.cumsum((a[:, :, None] * b[None]).astype(np.float16), axis=1, dtype=np.float16)[
        :, -1
    ]
    assert np.all(np.isfinite(expected))
    assert np.array_equal(matmul(a, b, Accumulator(float_format(5, 10))), expected)


def test_numpy_float32_sums() -> None:
    a, b = operands((4, 400, 6), HALF, seed=10)
    expected = np.cumsum(a[:, :, None] * b[None], axis=1, dtype=np.float32)[:, -1]
    assert np.array_equal(matmul(a, b, Accumulator(float_format(8, 23))), expected)


def test_float32_sums_saturate_and_recover() -> None:
    huge = float(float_format(8, 23).largest)
    a = np.array([[2.0**99, 2.0**99, -(2.0**99), 2.0**-30]])
    b = np.array([[2.0**0], [1.5], [1.5], [1.0]])
    start = np.array([[huge]])
    accumulator = Accumulator(float_format(8, 23))
    assert way(a, b, accumulator) == "plain float32"
    for sign in (1.0, -1.0):
        assert_exact(sign * a, b, accumulator, sign * start)


FINE = Accumulator(float_format(6, 9))
ONE = np.ones((1, 1))


@pytest.mark.parametrize(
    ("a", "b", "start", "error", "message"),
    [
        (np.array([[np.nan]]), ONE, None, ValueError, "operands must be finite"),
        (ONE, np.array([[np.inf]]), None, ValueError, "operands must be finite"),
        (ONE, np.array([[5e-324]]), None, ValueError, "subnormal of float64"),
        (ONE, np.ones((2, 1)), None, ValueError, r"\(M, K\) and \(K, N\), got \(1, 1\) and \(2"),
        (np.ones(3), ONE, None, ValueError, r"got \(3,\) and \(1, 1\)"),
        (ONE, ONE, np.ones((1, 2)), ValueError, r"start must have shape \(1, 1\), got \(1, 2\)"),
        (ONE, ONE, np.array([[np.nan]]), ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, np.array([[1e300]]), ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, np.array([[2.0**-40]]), ValueError, "start must lie on the grid of e6m9"),
        (ONE, ONE, np.array([[1 + 2.0**-10]]), ValueError, "start must lie on the grid of e6m9"),
        (ONE * 0.1, ONE * 0.1, None, ValueError, "must fit 53 significant bits, got .* 104"),
        (ONE * 2.0**600, ONE * 2.0**600, None, ValueError, r"2\^-1074\.\.2\^1000, got"),
        (ONE * 2.0**-600, ONE * 2.0**-600, None, ValueError, r"got operands .* 2\^-1200\.\."),
        (np.ones((1, 1), dtype=np.float16), ONE, None, TypeError, "float32 or float64, got float1"),
        (ONE, np.ones((1, 1), dtype=np.int64), None, TypeError, "float32 or float64, got int64"),
    ],
)
def test_what_cannot_be_exact_is_refused(
    a: Any, b: Any, start: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        matmul(a, b, FINE, start=start)
    assert "\n" not in str(caught.value)


def test_operands_beyond_float32_with_ordinary_products() -> None:
    a, b = ONE * 2.0**-200, ONE * 2.0**200
    assert way(a, b, FINE) == "odd float64"
    assert_exact(a, b, FINE)


def test_threads_must_be_positive() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        matmul(ONE, ONE, FINE, threads=0)
