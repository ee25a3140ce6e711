"""The general kernels against the definition, bit for bit."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.draws import Stream
from analysis.emulation.general import accumulate
from analysis.emulation.reference import matmul_exact
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    LowestCodes,
    Outside,
    Overflow,
    Product,
    Rounding,
    Sequential,
    TopCodes,
    Tree,
    float_format,
)
from analysis.rounding import round_exact

Floats = npt.NDArray[np.float64]
NEAREST, AWAY, ZERO, UP, DOWN, STOCHASTIC = Rounding
INFINITY, WRAP = Overflow.INFINITY, Overflow.WRAP


def computed(
    a: Floats,
    b: Floats,
    accumulator: Accumulator,
    start: Floats | None = None,
    stream: Stream | None = None,
) -> Floats:
    out = np.zeros((a.shape[0], b.shape[1])) if start is None else start.copy()
    accumulate(a, b, accumulator, out, stream, (0, a.shape[0]))
    return out


def assert_same_bits(x: Floats, exact: Floats) -> None:
    """Zeros are positive and NaN has one code."""
    canonical = np.where(np.isnan(exact), np.nan, exact + 0.0)
    assert x.tobytes() == canonical.tobytes(), (x, canonical)


def assert_exact(
    a: Floats,
    b: Floats,
    accumulator: Accumulator,
    start: Floats | None = None,
    stream: Stream | None = None,
) -> None:
    try:
        exact = matmul_exact(a, b, accumulator, start=start, rng=stream)
    except ValueError as error:
        assert "must be finite" in str(error)  # noqa: PT017 - which of the two raises is the test
        with pytest.raises(ValueError, match="must be finite"):
            computed(a, b, accumulator, start, stream)
    else:
        assert_same_bits(computed(a, b, accumulator, start, stream), exact)


SIGNIFICANDS = (1.0, 1.25, 1.5, 1.75, 1 + 2.0**-7, 2 - 2.0**-9, 1 + 2.0**-20)


def operands(
    shape: tuple[int, int, int], exponent: int, rng: np.random.Generator, spread: int = 4
) -> tuple[Floats, Floats]:
    """Matrices whose products lie around 2^exponent, some far from it, some zero, some cancelling.

    Every product has at most 42 bits, at or above 2^-1074 and below 2^1000.
    """
    rows, length, columns = shape
    halves = exponent // 2, exponent - exponent // 2
    sides = []
    for size, half in zip(((rows, length), (length, columns)), halves, strict=True):
        far = rng.choice([0, 0, 0, 0, 0, -30, -60, 60, -700, 700], size)
        exponents = np.clip(half + rng.integers(-spread, spread + 1, size) + far, -510, 498)
        x = rng.choice([1, -1, 1, -1, 1, -1, 0], size) * np.ldexp(
            rng.choice(SIGNIFICANDS, size), exponents
        )
        sides.append(x)
    a, b = sides
    again = rng.integers(0, length, length // 3)  # later products undo earlier ones
    a[:, length - again.size :], b[length - again.size :] = -a[:, again], b[again]
    return a, b


def scale(number_format: FloatFormat | FixedFormat, where: float) -> int:
    """An exponent between that of the quantum (0) and that of the largest value (1)."""
    if isinstance(number_format, FixedFormat):
        last, first = -number_format.fraction_bits, number_format.width_bits
        return round(last + where * first)
    last = number_format.emin - number_format.mantissa_bits
    return round(last + where * (number_format.emax - last))


def on_grid(x: Floats, number_format: FloatFormat | FixedFormat) -> Floats:
    values = [float(round_exact(Fraction(v), number_format, ZERO)) for v in x.flat]
    return np.array(values).reshape(x.shape)


FORMATS = {
    "e5m4": float_format(5, 4),
    "e2m0": float_format(2, 0),
    "e10m48": float_format(10, 48),
    "e8m44": float_format(8, 44),
    "e4m3, one NaN": FloatFormat("ocp", 4, 3, top=TopCodes.ONE_NAN),
    "e5m2, to infinity": FloatFormat("ieee", 5, 2, overflow=INFINITY),
    "e4m6, flushing": FloatFormat("flush", 4, 6, lowest=LowestCodes.ZERO),
    "e8m23, flushing, to infinity": FloatFormat(
        "both", 8, 23, lowest=LowestCodes.ZERO, overflow=INFINITY
    ),
    "biased": FloatFormat("biased", 9, 10, 250, TopCodes.NUMBERS),
    "int8": FixedFormat("int8", 8),
    "int8, wrapping": FixedFormat("wrap8", 8, overflow=WRAP),
    "q6.10": FixedFormat("q6.10", 16, 10),
    "q2.30, wrapping": FixedFormat("q2.30", 32, 30, WRAP),
    "q53": FixedFormat("q53", 53, 20),
    "q53, wrapping": FixedFormat("q53w", 53, 500, WRAP),
    "coarse": FixedFormat("coarse", 5, -500),
}
ROUNDINGS: list[tuple[Rounding, int | None]] = [
    *((rounding, None) for rounding in Rounding),
    (STOCHASTIC, 13),
]
FUSED = {
    "four": Fused(4, 7),
    "one by one": Fused(1, 0, UP),
    "seven, nearest": Fused(7, 24, NEAREST),
    "down, floored": Fused(5, 3, DOWN, least_exponents=(-2, 1)),
    "floored beyond float64": Fused(2, 0, UP, least_exponents=(700, 700)),
    "outside": Fused(4, 9, outside=Outside()),
    "outside, cut": Fused(4, 6, AWAY, outside=Outside(8, 5, NEAREST)),
    "outside, one by one": Fused(1, 2, UP, outside=Outside(3, 4, UP)),
    "outside, sum cut": Fused(3, 40, DOWN, Outside(None, 2), (-600, -1)),
}
ORDERS: dict[str, Any] = {"one by one": Sequential(), "tree": Tree()}
MULTIPLIERS = [None, Product(float_format(4, 3)), Product(FORMATS["e4m6, flushing"], UP)]  # type: ignore[arg-type]
OUTER = [None, float_format(8, 23), FORMATS["q6.10"], FORMATS["int8, wrapping"]]


def possible(number_format: Any, rounding: Rounding, bits: int | None, **others: Any) -> Any:
    """The accumulator, with fewer random bits or none where the format is too wide for them."""
    for rounds, random_bits in ((rounding, bits), (rounding, 1), (NEAREST, None)):
        try:
            return Accumulator(number_format, rounds, random_bits=random_bits, **others)
        except ValueError:
            continue
    raise AssertionError


def in_chunks(number_format: Any, rounding: Rounding, bits: int | None, order: Any) -> Any:
    """The same sum in one go, and in chunks with several outer accumulators."""
    yield possible(number_format, rounding, bits, order=order)
    for chunk, outer_format in product((1, 6), OUTER):  # the last of 13 products stands alone
        outer = outer_format and possible(outer_format, rounding, bits)
        yield possible(number_format, rounding, bits, chunk=chunk, outer=outer, order=order)


each_rounding = pytest.mark.parametrize(("rounding", "bits"), ROUNDINGS)


def assert_exact_somewhere(accumulator: Any, number_format: Any, number: int, seed: str) -> None:
    """At the quantum, in the middle, or at the end of the format's range."""
    rng = np.random.default_rng([number, *map(ord, seed)])
    a, b = operands((1, 13, 2), scale(number_format, (0.0, 0.5, 1.0)[number % 3]), rng)
    assert_exact(a, b, accumulator, stream=Stream(number, 5, 2**40, 10 * (accumulator.chunk or 3)))


@each_rounding
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_format_and_rounding(
    name: str, order: str, rounding: Rounding, bits: int | None
) -> None:
    for number, accumulator in enumerate(in_chunks(FORMATS[name], rounding, bits, ORDERS[order])):
        multiplied = replace(accumulator, product=MULTIPLIERS[number // 3 % 3])
        assert_exact_somewhere(multiplied, FORMATS[name], number, name + order + rounding)


@each_rounding
@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if isinstance(f, FloatFormat)])
@pytest.mark.parametrize("order", FUSED)
def test_every_fused_order(name: str, order: str, rounding: Rounding, bits: int | None) -> None:
    for number, accumulator in enumerate(in_chunks(FORMATS[name], rounding, bits, FUSED[order])):
        assert_exact_somewhere(accumulator, FORMATS[name], number, name + order + rounding)


def all_values(form: FloatFormat | FixedFormat) -> Floats:
    """Every finite value, in order."""
    if isinstance(form, FixedFormat):
        low, high = (int(limit / form.quantum) for limit in form.range)
        return np.arange(low, high + 1, dtype=np.float64) * float(form.quantum)
    steps = np.arange(int(form.largest / form.quantum) + 1) * float(form.quantum)
    held = [x for x in steps if round_exact(Fraction(x), form, ZERO) == Fraction(x)]
    return np.array([*(-x for x in held[:0:-1]), *held], dtype=np.float64)


SMALL: list[FloatFormat | FixedFormat] = [
    float_format(3, 1),
    FloatFormat("e3m1, flushing", 3, 1, lowest=LowestCodes.ZERO),
    FloatFormat("e3m1, to infinity", 3, 1, overflow=INFINITY),
    FixedFormat("q3.2", 5, 2),
    FixedFormat("q3.2, wrapping", 5, 2, WRAP),
]
E3M2 = all_values(float_format(3, 2))
PRODUCTS = np.unique(np.outer(E3M2, E3M2))
small = pytest.mark.parametrize("form", SMALL, ids=lambda form: form.name)


def at_states(states: Floats, rows: int) -> Floats:
    return np.ascontiguousarray(np.broadcast_to(states, (rows, states.size)))


@small
@pytest.mark.parametrize("rounding", [r for r in Rounding if r is not STOCHASTIC])
def test_all_products_of_e3m2_into_all_states(form: Any, rounding: Rounding) -> None:
    accumulator, states = Accumulator(form, rounding), all_values(form)
    ones = np.ones((1, states.size))
    start = at_states(states, PRODUCTS.size)
    exact = matmul_exact(PRODUCTS[:, None], ones, accumulator, start=start)
    which = np.searchsorted(PRODUCTS, np.outer(E3M2, E3M2))
    for state, column in zip(states, exact.T, strict=True):
        sums = computed(E3M2[:, None], E3M2[None], accumulator, np.full(which.shape, state))
        assert_same_bits(sums, column[which])


@small
@pytest.mark.parametrize("bits", [1, 2, 17, None])
def test_draws_for_all_products_into_all_states(form: Any, bits: int | None) -> None:
    accumulator, states = Accumulator(form, STOCHASTIC, random_bits=bits), all_values(form)
    ones, start = np.ones((1, states.size)), at_states(states, PRODUCTS.size)
    assert_exact(PRODUCTS[:, None], ones, accumulator, start, Stream(1, 7, 3, 11))


def test_ideal_draws_of_a_wide_format_are_odd() -> None:
    # eight bits are drawn for m = 44: an even draw would differ on odd rests of nine bits
    rests = np.ldexp(np.arange(1.0, 512.0, 2.0), -44 - 9)[:, None]
    accumulator = Accumulator(float_format(8, 44), STOCHASTIC)
    assert_exact(rests, np.ones((1, 16)), accumulator, np.ones((256, 16)), Stream(1))


E2M1 = all_values(float_format(2, 1))


@pytest.mark.parametrize("alignment", [r for r in Rounding if r is not STOCHASTIC])
@pytest.mark.parametrize("least", [None, (1, 0)])
def test_fused_steps_of_all_operands_from_all_states(
    alignment: Rounding, least: tuple[int, int] | None
) -> None:
    a, states = np.stack([E2M1, np.full(E2M1.size, 0.75)], axis=1), all_values(float_format(2, 1))
    start = at_states(states, E2M1.size)
    for outside, y in product((None, Outside(1, 0, alignment)), E2M1):
        accumulator = Accumulator(float_format(2, 1), order=Fused(2, 1, alignment, outside, least))
        assert_exact(
            a, np.stack([np.full(states.size, y), np.ones(states.size)]), accumulator, start
        )


@st.composite
def float_formats(draw: st.DrawFn) -> FloatFormat:
    exponent_bits, mantissa_bits = draw(st.integers(2, 10)), draw(st.integers(0, 48))
    top = draw(st.sampled_from(TopCodes))
    overflows = [Overflow.SATURATE] + [INFINITY] * (top is TopCodes.SPECIAL)
    return FloatFormat(
        *("drawn", exponent_bits, mantissa_bits, draw(st.none() | st.integers(23, 511)), top),
        *(draw(st.sampled_from(LowestCodes)), draw(st.sampled_from(overflows))),
    )


fixed_formats = st.builds(
    FixedFormat,
    st.just("drawn"),
    st.integers(2, 53),
    st.integers(-500, 500),
    st.sampled_from([Overflow.SATURATE, WRAP]),
)
deterministic = st.sampled_from([r for r in Rounding if r is not STOCHASTIC])
kept = st.integers(0, 40)
fused_orders = st.builds(
    Fused,
    st.integers(1, 9),
    kept,
    deterministic,
    st.none() | st.builds(Outside, st.none() | kept, st.none() | kept, deterministic),
    st.none() | st.tuples(*[st.integers(-1100, 1100)] * 2),
)


@st.composite
def accumulators(draw: st.DrawFn) -> Accumulator:
    def of(form: Any, **others: Any) -> Any:
        bits = draw(st.none() | st.integers(1, 32))
        return possible(form, draw(st.sampled_from(Rounding)), bits, **others)

    form = draw(float_formats() | fixed_formats)
    orders = [st.just(Sequential()), st.just(Tree())]
    multipliers = st.none() | st.builds(Product, float_formats(), deterministic)
    order: Any = draw(st.one_of(*orders, *[fused_orders] * isinstance(form, FloatFormat)))
    product = None if isinstance(order, Fused) else draw(multipliers)
    chunk = draw(st.none() | st.integers(1, 9))
    outer = of(draw(float_formats() | fixed_formats)) if chunk and draw(st.booleans()) else None
    return of(form, order=order, product=product, chunk=chunk, outer=outer)  # type: ignore[no-any-return]


@settings(max_examples=400)
@given(accumulators(), st.floats(-0.3, 1.1), st.integers(0, 2**32), st.sampled_from([0, 0, 0.1]))
def test_any_accumulator(accumulator: Accumulator, where: float, seed: int, special: float) -> None:
    rng = np.random.default_rng(seed)
    inner, outer = accumulator.format, accumulator.outer_accumulator.format
    assert not isinstance(inner, BlockFormat)
    assert not isinstance(outer, BlockFormat)
    exponent = scale(inner, where)
    a, b = operands((2, int(rng.integers(1, 20)), 2), exponent, rng)
    for x in (a, b):
        hit = rng.random(x.shape) < special
        x[hit] = rng.choice([np.inf, -np.inf, np.nan], int(hit.sum()))
    tree = accumulator.chunk is None and isinstance(accumulator.order, Tree)
    beginning = np.ldexp(rng.standard_normal((2, 2)), np.clip(exponent + 5, -900, 900))
    start = None if tree else on_grid(beginning, outer)
    assert_exact(a, b, accumulator, start, Stream(seed, seed % 99, seed % 77, seed % 1000))


def blocks(rng: np.random.Generator, shape: tuple[int, int], bits: int, run: int) -> Floats:
    """Multiples of 2^(E − bits) in each run of ``run`` rows, some of whose blocks are zero."""
    steps = rng.integers(-(2 ** (bits + 1)) + 1, 2 ** (bits + 1), shape)
    tops = rng.integers(-50, 60, (-(-shape[0] // run), shape[1])) * rng.choice([1, 1, 0], shape[1])
    zero = np.repeat(rng.random(tops.shape) < 0.2, run, axis=0)[: shape[0]]
    spread = np.repeat(tops, run, axis=0)[: shape[0]]
    largest = np.ldexp(2.0**bits, spread - bits)  # so that E is the top, whatever the others are
    x = np.ldexp(steps.astype(float), spread - bits)
    x[::run] = largest[::run]
    return np.where(zero, 0.0, x)


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, WRAP])
@pytest.mark.parametrize("bits", [(0, 0), (3, 7), (24, 24)])
@pytest.mark.parametrize("width", [3, 12, 53])
@pytest.mark.parametrize("chunk", [1, 4, 20, 1100])
def test_blocks(overflow: Overflow, bits: tuple[int, int], width: int, chunk: int) -> None:
    form = BlockFormat("block", width, *bits, overflow)
    rng = np.random.default_rng(chunk)
    length = 23 if chunk < 1000 else 2 * chunk + 5
    a, b = blocks(rng, (length, 1), bits[0], chunk).T, blocks(rng, (length, 2), bits[1], chunk)
    outer = Accumulator(float_format(8, 10), STOCHASTIC)
    accumulator = Accumulator(form, chunk=chunk, outer=outer)
    assert_exact(np.ascontiguousarray(a), b, accumulator, stream=Stream(3, 4, 5, 6 * chunk))


LONG = [
    possible(float_format(6, 5), STOCHASTIC, 7, chunk=chunk, order=order, outer=outer)
    for order in (Sequential(), Tree(), Fused(12, 9), Fused(5, 30, outside=Outside(20, 20)))
    for chunk, outer in ((None, None), (1, None), (60, Accumulator(FORMATS["q53"])), (1200, None))  # type: ignore[arg-type]
]
each_long = pytest.mark.parametrize(
    "accumulator", LONG, ids=lambda sums: f"{type(sums.order).__name__}, chunk {sums.chunk}"
)
STREAM = Stream(11, 13, 17, 1200)


def long_operands(shape: tuple[int, int, int]) -> tuple[Floats, Floats]:
    return operands(shape, 0, np.random.default_rng(shape))


def test_a_sum_just_below_a_multiple_of_the_modulus() -> None:
    # leaves of a tree are not yet on the grid: 768 − 2^-60 is −2^-60 modulo 256, yet positive
    a, b = np.array([[768.0, 2.0**-60]]), np.array([[1.0], [-1.0]]).repeat(64, axis=1)
    for rounding, bits in ROUNDINGS:
        accumulator = possible(FORMATS["int8, wrapping"], rounding, bits and 1, order=Tree())
        assert_exact(a, b, accumulator, stream=Stream(1))
        assert_exact(-a, b, accumulator, stream=Stream(2))


@each_long
@pytest.mark.parametrize("length", [1025, 2500])
def test_lengths_around_the_internal_pieces(accumulator: Accumulator, length: int) -> None:
    a, b = long_operands((1, length, 1))
    assert_exact(a, b, accumulator, stream=STREAM)


@each_long
def test_pieces_of_a_product_have_the_same_bits(accumulator: Accumulator) -> None:
    a, b = long_operands((5, 2500, 70))
    together = computed(a, b, accumulator, stream=STREAM)
    rows = np.zeros_like(together)
    for edges in pairwise((0, 2, 3, 5)):
        accumulate(a, b, accumulator, rows, STREAM, edges)
    assert_same_bits(rows, together)
    columns = [
        computed(a, np.ascontiguousarray(b[:, i:j]), accumulator, stream=STREAM.at(column=i))
        for i, j in pairwise((0, 1, 65, 70))
    ]
    assert_same_bits(np.hstack(columns), together)
    if accumulator.chunk is None and isinstance(accumulator.order, Tree):
        return  # cannot be continued
    sums = np.zeros_like(together)
    for i, j in pairwise((0, 1200, 2400, 2500)):
        part = np.ascontiguousarray(a[:, i:j])
        accumulate(part, b[i:j], accumulator, sums, STREAM.at(step=i), (0, 5))
    assert_same_bits(sums, together)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (2, 3, 0)])
@pytest.mark.parametrize("order", [Sequential(), Tree(), Fused(4, 3)])
@pytest.mark.parametrize("chunk", [None, 2])
def test_nothing_is_added(shape: tuple[int, int, int], order: Any, chunk: int | None) -> None:
    a, b = np.ones(shape[:2]), np.ones(shape[1:])
    assert_exact(a, b, Accumulator(float_format(5, 2), order=order, chunk=chunk))


def test_zeros_have_no_sign_and_nan_has_one_code() -> None:
    inner = Accumulator(FORMATS["e5m2, to infinity"])  # type: ignore[arg-type]
    a = np.array([[-0.0, -0.0], [np.inf, -np.inf], [-np.nan, 1.0]])
    sums = computed(a, np.ones((2, 1)), inner)
    assert sums.tobytes() == np.array([0.0, np.nan, np.nan]).tobytes()


FIXED = Accumulator(FixedFormat("int8", 8))
BLOCK = Accumulator(BlockFormat("mx", 24, 3, 3), chunk=2, outer=Accumulator(float_format(8, 23)))


@pytest.mark.parametrize(
    ("a", "accumulator", "message"),
    [
        ([np.inf, 1.0], FIXED, "operands of int8 must be finite"),
        ([np.nan, 1.0], replace(FIXED, chunk=1, outer=BLOCK.outer), "of int8 must be finite"),
        ([np.nan, 1.0], BLOCK, "operands of mx must be finite"),
        ([1.0, 2.0**-4], BLOCK, r"of a block of mx must be a multiple of 2\^-3, got 0.0625"),
        ([2.0**600, 1.0], BLOCK, r"of a block of mx must be a multiple of 2\^597, got 1.0"),
        ([2.0**400, 2.0**-700], BLOCK, r"of a block of mx must be a multiple of 2\^397, got"),
        ([2.0**600, 0.0], BLOCK, r"format mx: fraction bits must be in -500..500, got -594"),
        ([1.0, 1.0], Accumulator(float_format(5, 2), STOCHASTIC), "needs rng, a seed or a Stream"),
    ],
)
def test_errors_are_those_of_the_definition(a: Any, accumulator: Any, message: str) -> None:
    left, right = np.array([a]), np.ones((2, 1))
    for way in (matmul_exact, computed):
        with pytest.raises(ValueError, match=message):
            way(left, right, accumulator)
