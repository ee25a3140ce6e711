"""The definition against integer arithmetic, written here a second time.

Fixed point, fused steps and blocks; and what holds for every order: sums can be cut in pieces.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.draws import INNER, Draw, Stream
from analysis.emulation.reference import dot_exact, exact, matmul_exact, tree
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Order,
    Outside,
    Overflow,
    Rounding,
    Sequential,
    Tree,
    float_format,
)

Pairs = Sequence[tuple[float, float]]
SATURATE, WRAP = Overflow.SATURATE, Overflow.WRAP
HALF = FloatFormat("half", 5, 10, overflow=Overflow.INFINITY)
SINGLE = FloatFormat("single", 8, 23, overflow=Overflow.INFINITY)
quick = settings(max_examples=150)


def summed(pairs: Pairs, accumulator: Accumulator, start: float = 0.0) -> float:
    return float(dot_exact(pairs, accumulator, exact(start)))


def shifted(value: int, places: int, rounding: Rounding) -> int:
    """``value / 2^places`` as an integer."""
    if places <= 0:
        return value << -places
    below, half = value & ((1 << places) - 1), 1 << (places - 1)
    floor = value >> places
    match rounding:
        case Rounding.DOWN:
            return floor
        case Rounding.UP:
            return floor + (below > 0)
        case Rounding.TOWARD_ZERO:
            return floor + (below > 0 and value < 0)
        case Rounding.NEAREST_AWAY:
            return floor + (below > half or (below == half and value > 0))
        case _:
            return floor + (below > half or (below == half and floor % 2 == 1))


DETERMINISTIC = [rounding for rounding in Rounding if rounding is not Rounding.STOCHASTIC]


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_fixed_point_is_integer_arithmetic(rounding: Rounding, overflow: Overflow) -> None:
    """Operands in sixteenths, so that products are in units of 2^-8."""

    small = st.integers(-40, 40)

    @settings(max_examples=60)
    @given(st.lists(st.tuples(small, small), max_size=12), st.integers(2, 14), st.integers(-3, 10))
    def check(ints: Sequence[tuple[int, int]], width: int, fraction: int) -> None:
        total, half = 0, 1 << (width - 1)
        for a, b in ints:
            in_4096ths = (total << (12 - fraction)) + (a * b << 4)
            total = shifted(in_4096ths, 12 - fraction, rounding)
            if overflow is WRAP:
                total = (total + half) % (2 * half) - half
            total = max(-half, min(half - 1, total))
        accumulator = Accumulator(FixedFormat("fixed", width, fraction, overflow), rounding)
        computed = summed([(a / 16, b / 16) for a, b in ints], accumulator)
        assert computed == math.ldexp(total, -fraction)

    check()


# A term is an integer M and an exponent E, and worth M·2^(E − UNIT).
UNIT = 60
WHOLE = 400  #: kept bits that keep all
Term = tuple[int, int]


def significand(x: float, least: int) -> Term:
    """In half the unit; not normalised where the exponent is below the least one."""
    exponent = max(math.frexp(x)[1] - 1, least)
    return int(math.ldexp(x, UNIT // 2 - exponent)), exponent


def aligned(terms: Sequence[Term], top: int, kept_bits: int, how: Rounding) -> int:
    """Their sum in units of 2^(top − kept bits), each cut to an integer."""
    return sum(shifted(m, UNIT + top - e - kept_bits, how) for m, e in terms)


def step_sum(products: Sequence[Term], own: Sequence[Term], order: Fused) -> Term:
    """One step's sum, in units of 2^E of what is returned."""
    top = max((e for _, e in (*products, *own)), default=0)
    if order.outside is None:
        terms = (*products, *own)
        return aligned(terms, top, order.kept_bits, order.alignment), top - order.kept_bits
    highest = max((e for _, e in products), default=0)
    apart = aligned(products, highest, order.kept_bits, order.alignment)
    apart_bits, own_bits = (
        WHOLE if x is None else x for x in (order.outside.terms_bits, order.outside.sum_bits)
    )
    how = order.outside.alignment
    value = aligned([(apart, highest - order.kept_bits + UNIT)], top, apart_bits, how)
    rest = aligned(own, top, own_bits, how)
    return (value << WHOLE - apart_bits) + (rest << WHOLE - own_bits), top - WHOLE


def fused_sum(pairs: Pairs, start: float, accumulator: Accumulator) -> float:
    order, form = accumulator.order, accumulator.format
    assert isinstance(order, Fused)
    assert isinstance(form, FloatFormat)
    least_a, least_b = order.least_exponents or (-1000, -1000)
    total = start
    for at in range(0, len(pairs), order.terms):
        step = [
            (significand(a, least_a), significand(b, least_b))
            for a, b in pairs[at : at + order.terms]
            if a and b
        ]
        products = [(ma * mb, ea + eb) for (ma, ea), (mb, eb) in step]
        mantissa, exponent = significand(total, form.emin)
        own = [(mantissa << UNIT // 2, exponent)] if total else []
        value, unit = step_sum(products, own, order)
        last = max(value.bit_length() - 1 + unit, form.emin) - form.mantissa_bits
        total = math.ldexp(shifted(value, last - unit, accumulator.rounding), last)
    return total


halves = st.floats(-4, 4, width=16) | st.sampled_from([1.0, -1.0, 2.0**-24, 2.0**-14])
tiny = st.integers(-9, 9).map(lambda k: k * 2.0**-24)
half_pairs = st.tuples(halves, halves)
bits = st.integers(0, 26)
alignments = st.sampled_from(DETERMINISTIC)
fused_orders = st.builds(
    Fused,
    terms=st.integers(1, 9),
    kept_bits=bits,
    alignment=alignments,
    outside=st.none() | st.builds(Outside, st.none() | bits, st.none() | bits, alignments),
    least_exponents=st.sampled_from([None, (-14, -14), (-6, -14)]),
)
results = st.sampled_from([SINGLE, HALF, float_format(8, 13), float_format(6, 3)])


@settings(max_examples=600)
@given(
    st.lists(half_pairs, max_size=24) | st.lists(st.tuples(halves, tiny), max_size=24),
    halves | tiny,
    st.builds(Accumulator, results, alignments, order=fused_orders),
)
def test_fused_steps_are_integer_arithmetic(
    pairs: Pairs, start: float, accumulator: Accumulator
) -> None:
    assert summed(pairs, accumulator, start) == fused_sum(pairs, start, accumulator)


@st.composite
def blocks(draw: st.DrawFn, form: BlockFormat, length: int) -> tuple[Pairs, float]:
    """Operands of one block, and its sum, in units of the grids that the largest of them place."""
    columns, unit, total = [], 0, 0
    for fraction_bits in (form.a_fraction_bits, form.b_fraction_bits):
        top = 2 ** (fraction_bits + 1) - 1
        steps = draw(st.lists(st.integers(-top, top), min_size=length - 1, max_size=length - 1))
        largest = draw(st.integers(2**fraction_bits, top))
        grid = draw(st.integers(-8, 8))
        columns.append((grid, [*steps, draw(st.sampled_from([largest, -largest]))]))
        unit += grid
    half = 1 << (form.width_bits - 1)
    for a, b in zip(columns[0][1], columns[1][1], strict=True):
        total += a * b
        if form.overflow is WRAP:
            total = (total + half) % (2 * half) - half
        total = max(-half, min(half - 1, total))
    sides = ([math.ldexp(step, grid) for step in steps] for grid, steps in columns)
    return list(zip(*sides, strict=True)), math.ldexp(total, unit)


@quick
@given(st.data(), st.integers(4, 14), st.sampled_from([SATURATE, WRAP]), st.integers(1, 5))
def test_blocks_are_integer_sums_added_in_the_outer_format(
    data: st.DataObject, width: int, overflow: Overflow, length: int
) -> None:
    form = BlockFormat("block", width, 3, 2, overflow)
    drawn = data.draw(st.lists(blocks(form, length), max_size=4))
    total = np.float32(0.5)
    for _, value in drawn:
        total += np.float32(value)
    pairs = [pair for operands, _ in drawn for pair in operands]
    accumulator = Accumulator(form, chunk=length, outer=Accumulator(SINGLE))
    assert summed(pairs, accumulator, 0.5) == total


def test_blocks_and_fixed_point_refuse_what_they_cannot_hold() -> None:
    block = Accumulator(BlockFormat("b", 12, 3, 3), chunk=4, outer=Accumulator(SINGLE))
    with pytest.raises(ValueError, match=r"block of b must be a multiple of 2\^-3, got 0\.0625"):
        summed([(1.0, 1.0), (0.0625, 1.0)], block)
    fixed = Accumulator(FixedFormat("i", 8))
    for accumulator, name in ((block, "b"), (fixed, "i")):
        for x in (math.inf, math.nan):
            with pytest.raises(ValueError, match=f"operands of {name} must be finite"):
                summed([(x, 1.0)], accumulator)


LARGE = float(float_format(5, 2).largest)


@pytest.mark.parametrize(
    ("terms", "infinity", "saturate"),
    [
        # IEEE 754-2019, sections 6.1 and 7.2; a format that saturates has no infinity to keep
        ([math.inf, 1.0], math.inf, LARGE),
        ([-math.inf, 1.0], -math.inf, -LARGE),
        ([math.inf, -math.inf], math.nan, -LARGE),
        ([math.nan, 1.0], math.nan, math.nan),
        ([LARGE, LARGE], math.inf, LARGE),
        ([LARGE, LARGE, -LARGE], math.inf, 0.0),
        ([LARGE, LARGE / 16], LARGE, LARGE),  # less than half a step more
    ],
)
@pytest.mark.parametrize("order", [Sequential(), Fused(1, 24)])
def test_infinities_and_what_is_too_large(
    order: Order, terms: list[float], infinity: float, saturate: float
) -> None:
    for overflow, expected in ((Overflow.INFINITY, infinity), (SATURATE, saturate)):
        form = FloatFormat("f", 5, 2, overflow=overflow)
        computed = summed([(x, 1.0) for x in terms], Accumulator(form, order=order))
        assert np.array_equal(computed, expected, equal_nan=True)


def test_zero_times_infinity_is_no_number() -> None:
    for order in (Sequential(), Tree(), Fused(2, 24)):
        assert math.isnan(summed([(0.0, math.inf), (1.0, 1.0)], Accumulator(HALF, order=order)))


STOCHASTIC = Rounding.STOCHASTIC
NARROW = float_format(6, 4)
CUT_SHORT = [
    (Accumulator(NARROW), 5),
    (Accumulator(NARROW, STOCHASTIC, random_bits=7), 5),
    (Accumulator(NARROW, STOCHASTIC, random_bits=20), 5),
    (Accumulator(NARROW, STOCHASTIC), 6),
    (Accumulator(NARROW, STOCHASTIC, chunk=4), 8),
    (Accumulator(NARROW, STOCHASTIC, chunk=4, order=Tree()), 8),
    (Accumulator(NARROW, STOCHASTIC, chunk=6, order=Fused(2, 12)), 6),
    (Accumulator(NARROW, STOCHASTIC, order=Fused(3, 12)), 9),
]


@pytest.mark.parametrize(("accumulator", "at"), CUT_SHORT)
def test_a_product_is_the_sum_of_its_pieces(accumulator: Accumulator, at: int) -> None:
    """Rows, columns and steps that begin elsewhere draw what they would have drawn in place."""
    rng, stream = np.random.default_rng(3), Stream(11)
    a, b = rng.standard_normal((3, 17)), rng.standard_normal((17, 4))
    whole = matmul_exact(a, b, accumulator, rng=stream)
    first = matmul_exact(a[:, :at], b[:at], accumulator, rng=stream)
    second = matmul_exact(a[:, at:], b[at:], accumulator, start=first, rng=stream.at(step=at))
    assert np.array_equal(second, whole)
    corner = matmul_exact(a[1:], b[:, 2:], accumulator, rng=stream.at(row=1, column=2))
    assert np.array_equal(corner, whole[1:, 2:])


@pytest.mark.parametrize("count", range(2, 20))
def test_the_sums_of_a_tree_draw_level_by_level_each_for_itself(count: int) -> None:
    drawn = []

    def draws(level: int, step: int, accumulator: Accumulator) -> Draw:
        drawn.append((level, step))
        return Draw(1, 0)

    tree([Fraction(1)] * count, Accumulator(NARROW, STOCHASTIC, order=Tree()), draws, 10)
    assert drawn == [(INNER, 10 + step) for step in range(count - 1)]


def test_stochastic_sums_need_a_seed() -> None:
    with pytest.raises(ValueError, match="stochastic rounding needs rng"):
        summed([(1.0, 1.0)], Accumulator(NARROW, STOCHASTIC))
