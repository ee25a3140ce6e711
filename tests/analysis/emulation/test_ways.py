"""The edges of the conditions under which a way is chosen: exponents of a lane, range, growth.

Widths of products and accumulators, and what goes wrong beyond them, are in ``test_steps.py``.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from analysis.emulation import matmul, matmul_exact
from analysis.emulation.plans import Plan, extent_of, plan_of
from analysis.emulation.scan import contents
from analysis.emulation.steps import Lane, Method, Step
from analysis.formats import (
    Accumulator,
    FixedFormat,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    float_format,
)

Floats = npt.NDArray[np.floating]

UP, DOWN = Rounding.UP, Rounding.DOWN
FLOAT32, FLOAT64 = Lane
each_rounding = pytest.mark.parametrize("rounding", list(Rounding))


def plan(
    a: Floats, b: Floats, accumulator: Accumulator, start: Floats | None = None
) -> Plan | None:
    began = np.zeros((a.shape[0], b.shape[1])) if start is None else start
    extent = extent_of(a, contents(a), contents(b), contents(began))
    return plan_of(extent, accumulator, a.shape[1])


def step(a: Floats, b: Floats, accumulator: Accumulator, start: Floats | None = None) -> Step:
    found = plan(a, b, accumulator, start)
    assert found is not None
    return found.inner.step


def assert_exact(
    a: Floats, b: Floats, accumulator: Accumulator, start: Floats | None = None
) -> None:
    computed = matmul(a, b, accumulator, start=start, rng=1)
    exact = matmul_exact(a, b, accumulator, start=start, rng=1)
    assert computed.astype(np.float64).tobytes() == exact.tobytes()


def narrow(m: int, rounding: Rounding, exponent_bits: int = 8) -> Accumulator:
    bits = 1 if rounding is Rounding.STOCHASTIC else None
    return Accumulator(float_format(exponent_bits, m), rounding, random_bits=bits)


def column(*values: float) -> Floats:
    return np.array(values)[:, None]


@pytest.mark.parametrize(("m", "method"), [(8, Method.MAGIC), (9, Method.PLAIN)])
@pytest.mark.parametrize("clamp", [False, True])
def test_sums_that_fit_are_not_rounded(m: int, method: Method, clamp: bool) -> None:
    # the bound on |p| + |s| is 15 · 16 + 64 = 304; three times that needs 10 bits
    a, b = np.arange(-15.0, 16.0)[:, None], np.array([[15.0, -7.0, 4.0]])
    start = np.random.default_rng(m).integers(-63, 64, (31, 3)).astype(np.float64)
    accumulator = Accumulator(FloatFormat("below 256", 4 if clamp else 7, m))
    assert step(a, b, accumulator, start) == Step(FLOAT32, method, clamp=clamp)
    assert_exact(a, b, accumulator, start)


#: nearest rounding of 3-bit products in float32 needs m in 2..11
WIDTHS = [(9, rounding) for rounding in Rounding]
WIDTHS += [(m, rounding) for m in (1, 21) for rounding in Rounding if "even" not in rounding]


@pytest.mark.parametrize(("m", "rounding"), WIDTHS)
@pytest.mark.parametrize(
    ("a", "b", "starts", "lane"),
    [
        # multiples of 2^-126
        (2.0**-63, 2.0**-61, (2.0**-126, 2.0**-125, 1.0), FLOAT32),
        (2.0**-64, 2.0**-61, (2.0**-126, 2.0**-125, 1.0), FLOAT64),
        (2.0**-63, 2.0**-61, (2.0**-127,), FLOAT64),
        # three times the bound, 2^98 and twice the start, is below 2^100
        (2.0**49, 2.0**48, (0.0, 1.0, 2.0**63), FLOAT32),
        (2.0**50, 2.0**48, (0.0, 1.0, 2.0**63), FLOAT64),
    ],
)
def test_the_ends_of_float32(
    a: float, b: float, starts: tuple[float, ...], lane: Lane, m: int, rounding: Rounding
) -> None:
    left, right = column(a, -2 * a if a < 1 else 1.0), np.array([[b, 1.5 * b, -1.25 * b]])
    for s in starts:
        start = column(s, -s) * np.ones(3)
        assert step(left, right, narrow(m, rounding), start).lane is lane
        assert_exact(left, right, narrow(m, rounding), start)


@pytest.mark.parametrize("m", [0, 9, 48])
@each_rounding
def test_the_ends_of_float64(m: int, rounding: Rounding) -> None:
    accumulator = narrow(m, rounding, exponent_bits=10)
    a, b = column(2.0**-511, 2.0**-500), np.array([[2.0**-511, -3 * 2.0**-511]])
    drawn = rounding in (Rounding.NEAREST_AWAY, Rounding.STOCHASTIC)
    assert (plan(a, b, accumulator) is None) == drawn  # products below the grid
    assert plan(a / 2, b, accumulator) is None  # 2^-1023
    a, b = column(2.0**480, 1.0), np.array([[2.0**477, -3 * 2.0**476]])
    assert step(a, b, accumulator).lane is FLOAT64
    assert_exact(a, b, accumulator)
    assert plan(a * 8, b, accumulator) is None


@pytest.mark.parametrize("rounding", [Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sums_rounded_to_nearest_may_exceed_their_magnitudes(
    sign: float, rounding: Rounding
) -> None:
    # at m = 1: 3.9 → 4, 5.1 → 6, 7.1 → 8, 10.2 → 12, the largest; but all add up to 10.4 only
    a, b = np.array([[2.0, 0.5625, 0.5625, 1.125, 1.125]]), np.full((5, 1), sign * 1.9375)
    accumulator = narrow(1, rounding, exponent_bits=5)
    small = FloatFormat("below 16", 4, 1, exponent_bias=11)
    assert small.largest == 12
    assert step(a, b, accumulator).clamp is False
    assert step(a, b, replace(accumulator, format=small)).clamp
    assert_exact(a, b, replace(accumulator, format=small))


@pytest.mark.parametrize("rounding", [UP, DOWN])
@pytest.mark.parametrize("chunk", [None, 1200])
def test_products_below_the_grid_creep_up_to_the_largest(
    rounding: Rounding, chunk: int | None
) -> None:
    # every one counts 2^-9, however small: 2,048 of them leave the range of (1, 2, 9)
    sign = 1.0 if rounding is UP else -1.0
    a, b = np.full((1, 2400), sign * 2.0**-30), np.full((2400, 1), 2.0**-30)
    accumulator = Accumulator(float_format(2, 9), rounding, chunk)
    assert_exact(a, b, accumulator)
    assert_exact(a, b, replace(accumulator, chunk=1, outer=Accumulator(float_format(2, 9))))


def test_doubling_for_ever_saturates() -> None:
    # at m = 0 rounding up doubles the sum at every step: from 2^-600 to 2^511 and beyond
    a, b = np.full((1, 1300), 2.0**-300), np.full((1300, 1), 2.0**-300)
    assert_exact(a, b, Accumulator(float_format(10, 0), UP))


def test_chunk_sums_that_might_grow_without_bound_are_rounded_all_the_same() -> None:
    # (1 + 2^-2)^4096 overflows; rounded up, negative sums do not grow at all
    rng = np.random.default_rng(0)
    a, b = -rng.integers(1, 1000, (1, 9000)) * 1.0, rng.integers(1, 1000, (9000, 1)) * 1.0
    outer = Accumulator(float_format(8, 1))
    assert_exact(a, b, Accumulator(float_format(8, 2), UP, chunk=4096, outer=outer))


@each_rounding
@pytest.mark.parametrize("form", [float_format(9, 5), float_format(10, 23)])
def test_formats_beyond_the_lane_of_their_data(form: FloatFormat, rounding: Rounding) -> None:
    a, b = np.array([[1.5, -3.0, 0.25]]), column(1.0, 2.0, -5.0)
    assert_exact(a, b, narrow(form.mantissa_bits, rounding, form.exponent_bits))


def test_what_no_fast_way_does_is_left_to_the_general_kernels() -> None:
    a, b = np.array([[1.5, -3.0, 200.0]]), column(1.0, 2.0, 5.0)
    small, tiny = float_format(5, 9), np.array([[2.0**-10]])
    finite, saturating = (
        replace(small, overflow=over) for over in (Overflow.INFINITY, Overflow.SATURATE)
    )
    assert plan(a, b, Accumulator(finite)) is not None
    assert plan(a * 64, b, Accumulator(saturating)) is not None
    assert plan(a * 64, b, Accumulator(finite)) is None  # might become infinite
    flushing = Accumulator(replace(small, lowest=LowestCodes.ZERO))
    assert plan(a, b, flushing) is not None
    assert plan(a[:, :1] * tiny, b[:1] * tiny, flushing) is None  # might be flushed
    assert plan(a, b * 2.0, Accumulator(FixedFormat("int12", 12))) is None  # might overflow
    assert plan(a, b, Accumulator(FixedFormat("int16", 16))) is None  # 1.5 is off the grid
    assert plan(2 * a, b, Accumulator(FixedFormat("int16", 16))) is not None
