"""Single steps s + p, by the million, against integers: every way at the limits that allow it.

A step is a product of one row and one column with ``start``. The oracle shares nothing with the
kernels: s and p are multiples of one power of two, added as integers (int64, or Python's where they
need more than 62 bits) and rounded by shifts; its draws are ``analysis.draws`` in NumPy's uint64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import GOLDEN, INNER, MIX32, MIX64, OUTER, Stream, draw, side_key
from analysis.emulation import gemm, matmul
from analysis.emulation.plans import Plan, extent_of, plan_of
from analysis.emulation.scan import contents
from analysis.emulation.steps import Draws, Lane, Method, Mode, Step
from analysis.emulation.ways import Way, _words
from analysis.formats import Accumulator, FloatFormat, Rounding, float_format
from analysis.rounding import round_exact

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]  #: int64, or Python's integers as objects

NEAREST, AWAY, ZERO, UP, DOWN, STOCHASTIC = Rounding
FLOAT32, FLOAT64 = Lane
SIDE, SLOW_SIDE = 2**9, 2**7  # of a square of steps: 262,144 of them in int64
STREAM = Stream(2**63 + 11, row=2**33 + 5, column=70_001, step=2**32 + 6)


def bit_length(x: Ints) -> Ints:
    """Of integers that are not negative."""
    if x.dtype == object:
        return np.asarray(np.frompyfunc(int.bit_length, 1, 1)(x), dtype=np.int64)
    top = np.frexp(x.astype(np.float64))[1].astype(np.int64)
    return np.asarray(top - (x >> np.maximum(top - 1, 0) == 0))  # the conversion may round up


def rounded(
    total: Ints, unit: int, accumulator: Accumulator, draws: npt.NDArray[np.int64] | None = None
) -> Floats:
    """``total``·2^unit as the accumulator rounds it, by integer operations."""
    form, magnitude, negative = accumulator.format, np.abs(total), total < 0
    assert isinstance(form, FloatFormat)
    binade = np.maximum(bit_length(magnitude) - 1 + unit, form.emin)
    shift = np.maximum(binade - form.mantissa_bits - unit, 0)
    assert total.dtype == object or shift.max(initial=0) <= 62
    whole = magnitude >> shift
    rest, half = magnitude - (whole << shift), (np.ones_like(total) << shift) >> 1
    match accumulator.rounding:
        case Rounding.NEAREST_EVEN:
            up = (rest > half) | ((rest == half) & (whole % 2 == 1) & (shift > 0))
        case Rounding.NEAREST_AWAY:
            up = (rest >= half) & (shift > 0)
        case Rounding.TOWARD_ZERO:
            up = np.zeros(total.shape, dtype=bool)
        case Rounding.UP:
            up = (rest > 0) & ~negative
        case Rounding.DOWN:
            up = (rest > 0) & negative
        case Rounding.STOCHASTIC:
            assert draws is not None
            below = shift - accumulator.cut_bits
            seen = (rest >> np.maximum(below, 0)) << np.maximum(-below, 0)
            up = seen + draws >> accumulator.cut_bits > 0
        case _:
            assert_never(accumulator.rounding)
    value = np.ldexp((whole + up).astype(np.float64), shift + unit)
    return np.asarray(np.minimum(value, float(form.largest)) * np.where(negative, -1.0, 1.0))


def hashed(x: npt.NDArray[np.uint64], mix: tuple[int, ...], bits: int) -> npt.NDArray[np.uint64]:
    a, first, b, second, c = (np.uint64(constant) for constant in mix)
    kept = np.uint64(2**bits - 1)
    x = (x ^ (x >> a)) * first & kept
    x = (x ^ (x >> b)) * second & kept
    return x ^ (x >> c)


def drawn(
    accumulator: Accumulator, stream: Stream, shape: tuple[int, int], level: int = INNER
) -> npt.NDArray[np.int64]:
    """:func:`analysis.draws.draw` of the stream's step for all outputs of a matrix."""
    bits = accumulator.cut_bits
    ideal = accumulator.random_bits is None
    whole = ideal or bits > 16
    golden, half = np.uint64(GOLDEN), np.uint64(32)
    counter = (stream.step if whole else stream.step // 2) * GOLDEN % 2**64
    rows = np.arange(shape[0], dtype=np.uint64)[:, None] + np.uint64(stream.row)
    columns = np.arange(shape[1], dtype=np.uint64)[None] + np.uint64(stream.column)
    row_keys = hashed(side_key(stream.seed, level, 0) + rows * golden, MIX64, 64)
    turns = hashed(row_keys + np.uint64(counter), MIX64, 64) >> half
    places = hashed(side_key(stream.seed, level, 1) + columns * golden, MIX64, 64) >> half
    words = hashed((turns + places) & np.uint64(2**32 - 1), MIX32, 32).astype(np.int64)
    if ideal:
        return 2 * (words >> (33 - bits)) + 1
    if whole:
        return words >> (32 - bits)
    return (words >> (16 * (stream.step % 2)) & 0xFFFF) >> (16 - bits)


@pytest.mark.parametrize("kind", [np.int64, object])
@pytest.mark.parametrize(("m", "unit"), [(3, -40), (20, -75), (0, 3)])
@pytest.mark.parametrize("rounding", list(Rounding))
def test_the_oracle_is_the_definition(kind: Any, m: int, unit: int, rounding: Rounding) -> None:
    rng = np.random.default_rng(0)
    total = (rng.integers(-(2**62), 2**62, 2000) >> rng.integers(0, 62, 2000)).astype(kind)
    total = total << rng.integers(0, 90, 2000) if kind is object else total
    for bits in (1, 9, 16, 17, None) if rounding is STOCHASTIC else (None,):
        accumulator = Accumulator(float_format(7, m), rounding, random_bits=bits)
        at = Stream(5, row=3, column=2**40, step=7)
        odd = bits is None
        chances = [draw(at.at(column=j), INNER, 7, accumulator.cut_bits, odd) for j in range(2000)]
        draws = drawn(accumulator, at, (1, 2000))[0]
        assert draws.tolist() == [chance.value for chance in chances]
        values = [t * Fraction(2) ** unit for t in total.tolist()]
        exact = [
            float(round_exact(x, float_format(7, m), rounding, chance))
            for x, chance in zip(values, chances, strict=True)
        ]
        assert rounded(total, unit, accumulator, draws).tolist() == exact


def significands(rng: np.random.Generator, bits: int, shape: Any, kind: Any = np.int64) -> Ints:
    """Random integers of exactly ``bits`` bits, many with long runs of zeros or of ones."""
    low = rng.integers(0, 2**bits, shape) >> rng.integers(0, bits + 1, shape)
    patterns = [rng.integers(0, 2**bits, shape), low, (2**bits - 1) - low]
    chosen = np.choose(rng.integers(0, 3, shape), patterns) | 2 ** (bits - 1)
    chosen.flat[0] = 2**bits - 1  # so that no bit is missing
    return np.asarray(chosen * rng.choice(np.array([-1, 1]), shape), dtype=kind)


def on_grid(x: Floats, form: FloatFormat, unit: int) -> Floats:
    """``x`` cut to the format and to multiples of 2^unit."""
    binade = np.maximum(np.frexp(x)[1] - 1, form.emin)
    grid = np.maximum(binade - form.mantissa_bits, unit)
    cut = np.ldexp(np.trunc(np.ldexp(x, -grid)), grid)
    return np.asarray(np.clip(cut, -float(form.largest), float(form.largest)))


@dataclass(frozen=True)
class Steps:
    """A square of steps: a (M, 1) · b (1, N) + start, and the exact totals in units of 2^unit."""

    a: Floats
    b: Floats
    start: Floats
    totals: Ints
    unit: int

    def plan(self, accumulator: Accumulator) -> Plan | None:
        held = (contents(x) for x in (self.a, self.b, self.start))
        return plan_of(extent_of(self.a, *held), accumulator, self.a.shape[1])

    def second(self) -> "Steps":
        """The same after a product that is zero, which changes the step that draws."""
        a, b = np.pad(self.a, ((0, 0), (1, 0))), np.pad(self.b, ((1, 0), (0, 0)))
        return replace(self, a=a, b=b)

    def mismatches(self, accumulator: Accumulator) -> int:
        """In how many steps the last sum, the outer one if there is one, is not the exact one."""
        computed = matmul(self.a, self.b, accumulator, start=self.start, rng=STREAM)
        summed, draws = accumulator.outer or accumulator, None
        if summed.rounding is STOCHASTIC:
            last = STREAM.at(step=self.a.shape[1] - 1)
            level = INNER if accumulator.outer is None else OUTER
            draws = drawn(summed, last, computed.shape, level)
        exact = rounded(self.totals, self.unit, summed, draws)
        return int(np.count_nonzero(computed != exact))


def is_wide(q: int, m: int) -> bool:
    """Whether only a float64 lane can do this, whose own last bits must be in view then."""
    return max(q, m) > 25


def random_steps(q: int, form: FloatFormat, places: tuple[int, int], bottom: int) -> Steps:
    """Products of q bits, the last of them in 2^places[0] … 2^places[1], and sums from 2^bottom up.

    int64 holds all in a window of 60 bits.
    """
    rng = np.random.default_rng(q)
    wide = is_wide(q, form.mantissa_bits)
    kind, side, window = (object, SLOW_SIDE, 120) if wide else (np.int64, SIDE, 60)
    top = min(max(places[1] + q, form.emax) + 2, bottom + window)
    assert places[1] + q < top + 2
    first = max(1, q // 2)
    left = significands(rng, first, (side, 1), kind)
    right = significands(rng, max(1, q - first), (1, side), kind)
    place = np.linspace(*places, side).astype(np.int64)[:, None]
    apart = places[0] // 2
    a = np.ldexp(left.astype(np.float64), place - apart)
    b = np.ldexp(right.astype(np.float64), apart)
    hair = (49, 60) if wide else (20, 30)
    start = random_sums(rng, a * b, form, (bottom, top), hair)
    totals = integers(start, bottom, kind) + ((left * right) << (place - bottom))
    return Steps(a, b, start, totals, bottom)


def integers(x: Floats, unit: int, kind: Any) -> Ints:
    """x / 2^unit, which is whole."""
    if kind is np.int64:
        return np.ldexp(x, -unit).astype(np.int64)
    fractions, exponents = np.frexp(x)
    whole = np.ldexp(fractions, 53).astype(np.int64).astype(object)
    shift = exponents.astype(np.int64) - 53 - unit
    return np.asarray((whole << np.maximum(shift, 0)) >> np.maximum(-shift, 0))


def random_sums(
    rng: np.random.Generator,
    p: Floats,
    form: FloatFormat,
    ends: tuple[int, int],
    hairs: tuple[int, int],
) -> Floats:
    """Sums on the accumulator's grid: half at random, half that bring s + p near to a tie."""
    (bottom, top), bits = ends, form.mantissa_bits + 1
    binade = rng.integers(bottom, top, p.shape)
    at_random = np.ldexp(significands(rng, bits, p.shape).astype(np.float64), binade - bits)
    exponents = np.frexp(p)[1]
    half_ulp = np.ldexp(1.0, exponents - 1 - bits + rng.integers(-1, 2, p.shape))
    away = rng.integers(-(2**bits), 2**bits + 1, p.shape) >> rng.integers(0, bits + 1, p.shape)
    tie = half_ulp * np.rint(p / half_ulp + away)
    hair = np.ldexp(1.0, exponents - rng.integers(*hairs, p.shape)) * rng.integers(-1, 2, p.shape)
    sums = np.where(rng.random(p.shape) < 0.5, at_random, tie - p + hair)
    limit = 2.0 ** (top - 1)
    return on_grid(np.clip(sums, -limit, limit), form, bottom)


def amid(q: int, m: int) -> Steps:
    """Products around 1, far from both ends of the format."""
    return random_steps(q, float_format(7, m), (-q, -q), -64 if is_wide(q, m) else -34)


def low(q: int, m: int) -> Steps:
    """Products around the smallest number, and fractions of it."""
    quantum = -62 - m
    bottom = quantum - q - 3
    return random_steps(q, float_format(7, m), (bottom, quantum + 2), bottom)


def high(q: int, m: int) -> Steps:
    """Products around the largest number."""
    return random_steps(q, float_format(7, m), (62 - q, 64 - q), -54 if is_wide(q, m) else 6)


def both(q: int, m: int) -> Steps:
    """Products from below the smallest number to beyond the largest, in a format of few binades."""
    bottom = -2 - m - 1
    return random_steps(q, float_format(3, m), (bottom, max(bottom, 5 - q)), bottom)


Situation = Callable[[int, int], Steps]
#: whether products reach below the smallest number, and beyond the largest
ENDS: dict[Situation, tuple[bool, bool]] = {
    amid: (False, False),
    low: (True, False),
    high: (False, True),
    both: (True, True),
}
EXPONENT_BITS: dict[Situation, int] = {amid: 7, low: 7, high: 7, both: 3}


class Case(NamedTuple):
    situation: Situation
    q: int
    accumulator: Accumulator
    step: Step  #: which must be taken

    def __str__(self) -> str:
        name = f"{self.step.lane}-{self.step.method}-{self.situation.__name__}-q{self.q}"
        return f"{name}-{self.accumulator.format.name}-r{self.accumulator.random_bits}"

    @property
    def steps(self) -> Steps:
        form = self.accumulator.format
        assert isinstance(form, FloatFormat)
        return self.situation(self.q, form.mantissa_bits)


def cases(
    rounding: Rounding,
    lane: Lane,
    method: Method,
    pairs: Sequence[tuple[int, int]],
    situations: Sequence[Situation] = tuple(ENDS),
) -> list[Case]:
    """Widths (q, m) of products and accumulators at the limits of a method's conditions."""
    return [
        Case(
            situation,
            q,
            Accumulator(float_format(EXPONENT_BITS[situation], m), rounding),
            Step(lane, method, *ENDS[situation]),
        )
        for situation in situations
        for q, m in pairs
    ]


def random_cases(
    lane: Lane, draws: Draws, rows: Sequence[tuple[int, int, int | None]]
) -> list[Case]:
    """The same for rows (q, m, random bits)."""
    return [
        Case(
            situation,
            q,
            Accumulator(float_format(7, m), STOCHASTIC, random_bits=bits),
            Step(lane, Method.RANDOM, *ENDS[situation], draws),
        )
        for situation in (amid, high)
        for q, m, bits in rows
    ]


TWICE = [*((m + 1, m) for m in range(1, 11)), (11, 11), (2, 11), (6, 9)]
BELOW, ABOVE = (low, both), (amid, high)
CASES = [
    *cases(NEAREST, FLOAT32, Method.PLAIN, [(24, 23), (2, 23)], ABOVE),
    *cases(NEAREST, FLOAT32, Method.MAGIC, TWICE),
    *cases(NEAREST, FLOAT64, Method.MAGIC, [(26, 25), (2, 25), (25, 24)]),
    *cases(NEAREST, FLOAT64, Method.MAGIC, [(13, 12)], [amid]),
    *cases(NEAREST, FLOAT64, Method.ODD_MAGIC, [(53, 48), (2, 48)]),
    *cases(NEAREST, FLOAT64, Method.ODD_MAGIC, [(53, 3), (53, 25), (4, 2), (11, 9)], [amid]),
    *cases(ZERO, FLOAT32, Method.MASK, [(24, 23), (24, 0), (2, 23), (12, 10)], ABOVE),
    *cases(ZERO, FLOAT64, Method.MASK, [(53, 48), (25, 9), (2, 24)], ABOVE),
    *cases(ZERO, FLOAT32, Method.SIGNED_MAGIC, [(24, 21), (24, 0), (2, 21)], BELOW),
    *cases(ZERO, FLOAT64, Method.SIGNED_MAGIC, [(53, 48), (25, 9), (2, 22)], BELOW),
    *cases(AWAY, FLOAT32, Method.AWAY, [(24, 22), (24, 0), (2, 22), (12, 10)], ABOVE),
    *cases(AWAY, FLOAT64, Method.AWAY, [(53, 48), (25, 3), (2, 23)], ABOVE),
    *(
        case
        for rounding in (UP, DOWN)
        for case in (
            *cases(rounding, FLOAT32, Method.MAGIC, [(24, 21), (24, 0), (2, 21), (12, 10)]),
            *cases(rounding, FLOAT64, Method.MAGIC, [(53, 48), (25, 9), (2, 22)]),
        )
    ),
    *random_cases(FLOAT32, Draws.PAIRED, [(24, 22, 1), (24, 15, 8), (2, 7, 16), (24, 7, 16)]),
    *random_cases(FLOAT32, Draws.WHOLE, [(24, 6, 17), (2, 6, 17), (24, 3, 20), (24, 0, 23)]),
    *random_cases(FLOAT64, Draws.HALF, [(53, 36, 16), (53, 44, 8), (2, 48, 4), (24, 16, 8)]),
    *random_cases(FLOAT64, Draws.WHOLE, [(53, 20, 32), (2, 35, 17), (24, 9, None), (53, 44, None)]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_step_is_wrong_at_the_limits(case: Case) -> None:
    steps = case.steps
    plan = steps.plan(case.accumulator)
    assert plan is not None
    assert plan.inner.step == case.step
    assert steps.mismatches(case.accumulator) == 0
    if case.step.draws is not Draws.NONE:  # the other half of a word
        assert steps.second().mismatches(case.accumulator) == 0


@pytest.mark.parametrize(
    ("rounding", "q", "m", "bits", "step"),
    [
        (NEAREST, 10, 9, None, Step(FLOAT32, Method.MAGIC)),
        (NEAREST, 11, 9, None, Step(FLOAT64, Method.ODD_MAGIC)),
        (ZERO, 24, 23, None, Step(FLOAT32, Method.MASK)),
        (AWAY, 24, 22, None, Step(FLOAT32, Method.AWAY)),
        (STOCHASTIC, 24, 7, 16, Step(FLOAT32, Method.RANDOM, draws=Draws.HALF)),
        (STOCHASTIC, 24, 6, 17, Step(FLOAT32, Method.RANDOM, draws=Draws.WHOLE)),
    ],
)
def test_no_outer_sum_is_wrong_at_the_limits(
    rounding: Rounding, q: int, m: int, bits: int | None, step: Step
) -> None:
    outer = Accumulator(float_format(7, m), rounding, random_bits=bits)
    accumulator = Accumulator(float_format(8, q - 1), chunk=1, outer=outer)
    steps = amid(q, m)
    plan = steps.plan(accumulator)
    assert plan is not None
    assert plan.outer is not None
    assert plan.outer.step == step
    assert steps.mismatches(accumulator) == 0
    assert steps.second().mismatches(accumulator) == 0


@pytest.mark.parametrize("situation", [low, both])
@pytest.mark.parametrize(("q", "m"), [(6, 2), (24, 22), (24, 7), (2, 13)])
@pytest.mark.parametrize("rounding", [AWAY, STOCHASTIC])
def test_no_step_of_the_general_kernels_is_wrong(
    situation: Situation, q: int, m: int, rounding: Rounding
) -> None:
    form = float_format(EXPONENT_BITS[situation], m)
    accumulator = Accumulator(form, rounding, random_bits=9 if rounding is STOCHASTIC else None)
    steps = situation(q, m)
    assert steps.plan(accumulator) is None
    assert steps.mismatches(accumulator) == 0


def forced(
    monkeypatch: pytest.MonkeyPatch, step: Step, accumulator: Accumulator, mode: Mode
) -> None:
    assert isinstance(accumulator.format, FloatFormat)
    way = Way(step, _words(step, accumulator, accumulator.format), mode)
    monkeypatch.setattr(gemm, "plan_of", lambda *_: Plan(way, None))


@pytest.mark.parametrize(
    ("lane", "q", "m"),
    # q = m + 2; q = F − m − 1, where it is not m + 2; 2m + 2 > F
    [
        *((FLOAT32, m + 2, m) for m in range(2, 11)),
        (FLOAT32, 12, 11),
        *((FLOAT32, 2, m) for m in range(12, 21)),
        (FLOAT64, 27, 25),
        (FLOAT64, 2, 26),
    ],
)
def test_rounding_twice_needs_its_conditions(
    monkeypatch: pytest.MonkeyPatch, lane: Lane, q: int, m: int
) -> None:
    accumulator, steps = Accumulator(float_format(7, m)), amid(q, m)
    plan = steps.plan(accumulator)
    assert plan is None or plan.inner.step != Step(lane, Method.MAGIC)
    forced(monkeypatch, Step(lane, Method.MAGIC), accumulator, Mode.NEAREST)
    assert steps.mismatches(accumulator) > 0


NARROW = Accumulator(float_format(7, 9))
TRUNCATED, DOWNWARD = replace(NARROW, rounding=ZERO), replace(NARROW, rounding=DOWN)
AWAYWARD = replace(NARROW, rounding=AWAY)
CHANCED = replace(NARROW, rounding=STOCHASTIC, random_bits=8)
TRUNCATING, NEARBY, DOWNHILL = Mode.TOWARD_ZERO, Mode.NEAREST, Mode.DOWN


@pytest.mark.parametrize(
    ("situation", "q", "accumulator", "step", "mode"),
    [
        # truncated, lifted by half an ulp or by chance, or directed, all after a nearest sum
        (amid, 6, TRUNCATED, Step(FLOAT32, Method.MASK), NEARBY),
        (amid, 12, AWAYWARD, Step(FLOAT32, Method.AWAY), NEARBY),
        (amid, 6, CHANCED, Step(FLOAT32, Method.RANDOM, draws=Draws.PAIRED), NEARBY),
        (amid, 6, DOWNWARD, Step(FLOAT32, Method.MAGIC), NEARBY),
        (amid, 6, TRUNCATED, Step(FLOAT32, Method.MAGIC), TRUNCATING),  # the magic has t's sign
        # no bit to spare for the magic, for half an ulp
        (amid, 2, Accumulator(float_format(7, 22)), Step(FLOAT32, Method.MAGIC), NEARBY),
        (amid, 2, Accumulator(float_format(7, 23), AWAY), Step(FLOAT32, Method.AWAY), TRUNCATING),
        # no floor though products reach below the smallest number
        (low, 6, NARROW, Step(FLOAT32, Method.MAGIC), NEARBY),
        (low, 6, NARROW, Step(FLOAT64, Method.ODD_MAGIC), NEARBY),
        (low, 6, DOWNWARD, Step(FLOAT32, Method.MAGIC), DOWNHILL),
        (low, 6, TRUNCATED, Step(FLOAT32, Method.MASK), TRUNCATING),
        (low, 6, AWAYWARD, Step(FLOAT32, Method.AWAY), TRUNCATING),
        (low, 6, CHANCED, Step(FLOAT32, Method.RANDOM, draws=Draws.PAIRED), TRUNCATING),
        # no clamp though sums leave the range
        (high, 6, NARROW, Step(FLOAT32, Method.MAGIC), NEARBY),
        (high, 6, NARROW, Step(FLOAT64, Method.ODD_MAGIC), NEARBY),
        (high, 6, TRUNCATED, Step(FLOAT32, Method.MASK), TRUNCATING),
        (high, 6, AWAYWARD, Step(FLOAT32, Method.AWAY), TRUNCATING),
        (high, 6, CHANCED, Step(FLOAT32, Method.RANDOM, draws=Draws.PAIRED), TRUNCATING),
    ],
)
def test_every_way_needs_its_conditions(
    monkeypatch: pytest.MonkeyPatch,
    situation: Situation,
    q: int,
    accumulator: Accumulator,
    step: Step,
    mode: Mode,
) -> None:
    assert isinstance(accumulator.format, FloatFormat)
    steps = situation(q, accumulator.format.mantissa_bits)
    plan = steps.plan(accumulator)
    assert plan is None or plan.inner[::2] != (step, mode)
    forced(monkeypatch, step, accumulator, mode)
    assert steps.mismatches(accumulator) > 0
