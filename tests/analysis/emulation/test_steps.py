"""Single steps s + p, by the million, against integers: every way at the limits that allow it.

A step is a product of one row and one column with ``start``. The oracle shares nothing with the
kernels: s and p are int64 multiples of one power of two, added and rounded by shifts and masks.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.emulation import gemm, matmul
from analysis.emulation.gemm import Extent, Way, choose_way, nearest_grid, odd_grid
from analysis.formats import Accumulator, FloatFormat, Rounding, float_format
from analysis.quantization import quantize
from analysis.rounding import round_exact

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAREST, ZERO = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO
STEPS = 2**9  # the side of a square of steps: 262,144 of them


def rounded(total: Ints, unit: int, form: FloatFormat, rounding: Rounding) -> Floats:
    """``total``·2^unit on the grid of ``form``, by integer operations; |total| < 2^62."""
    magnitude = np.abs(total)
    top = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - 1
    top -= (magnitude >> np.maximum(top, 0)) == 0  # the conversion may have rounded up
    shift = np.maximum(top - form.mantissa_bits, form.emin - form.mantissa_bits - unit)
    shift = np.clip(shift, 0, 62)
    whole = magnitude >> shift
    if rounding is NEAREST:
        rest, half = magnitude - (whole << shift), (np.int64(1) << shift) >> 1
        whole += (shift > 0) & ((rest > half) | ((rest == half) & (whole % 2 == 1)))
    value = np.ldexp(np.sign(total) * whole.astype(np.float64), shift + unit)
    largest = float(form.largest)
    return np.asarray(np.clip(value, -largest, largest))


def test_the_oracle_is_the_definition() -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(-(2**62), 2**62, 3000) >> rng.integers(0, 62, 3000)
    for m, unit in ((3, -40), (20, -75), (0, 3)):
        for rounding in Rounding:
            form = float_format(7, m)
            exact = [round_exact(t * Fraction(2) ** unit, form, rounding) for t in total.tolist()]
            assert rounded(total, unit, form, rounding).tolist() == [float(x) for x in exact]


def significands(rng: np.random.Generator, bits: int, count: Any) -> Ints:
    """Random integers of exactly ``bits`` bits, many with long runs of zeros or of ones."""
    low = rng.integers(0, 2**bits, count) >> rng.integers(0, bits + 1, count)
    patterns = [rng.integers(0, 2**bits, count), low, (2**bits - 1) - low]
    chosen = np.choose(rng.integers(0, 3, count), patterns)
    return np.asarray(chosen | 2 ** (bits - 1), dtype=np.int64)


def signs(rng: np.random.Generator, count: Any) -> Ints:
    return np.asarray(rng.choice(np.array([-1, 1]), count))


@dataclass(frozen=True)
class Steps:
    """A square of steps: a (M, 1) · b (1, N) + start, and the exact totals in units of 2^unit."""

    a: Floats
    b: Floats
    start: Floats
    totals: Ints
    unit: int

    def mismatches(self, form: FloatFormat, rounding: Rounding) -> int:
        computed = matmul(self.a, self.b, Accumulator(form, rounding), start=self.start)
        exact = rounded(self.totals, self.unit, form, rounding)
        return int(np.count_nonzero(computed != exact))


def random_steps(q: int, form: FloatFormat, place: int, seed: int) -> Steps:
    """Products of q bits and last bit 2^place; the binade of s runs over 60 around theirs."""
    rng = np.random.default_rng(seed)
    bits_a, unit = q // 2, place - 30
    left = significands(rng, bits_a, (STEPS, 1)) * signs(rng, (STEPS, 1))
    right = significands(rng, q - bits_a, (1, STEPS)) * signs(rng, (1, STEPS))
    products = left * right
    start = random_sums(rng, products * 2.0**place, form, unit)
    return Steps(
        a=np.ldexp(left.astype(np.float64), place // 2),
        b=np.ldexp(right.astype(np.float64), place - place // 2),
        start=start,
        totals=(start * 2.0**-unit).astype(np.int64) + (products << 30),
        unit=unit,
    )


def random_sums(rng: np.random.Generator, p: Floats, form: FloatFormat, unit: int) -> Floats:
    """Sums on the accumulator's grid, multiples of 2^unit: half at random, half that bring s + p as
    near to a tie as the grid allows.
    """
    bits = form.mantissa_bits + 1
    binade = rng.integers(unit, unit + 58, p.shape)
    at_random = np.ldexp(significands(rng, bits, p.shape) * signs(rng, p.shape), binade - bits)
    top = np.frexp(p)[1]
    half_ulp = np.ldexp(1.0, top - 1 - bits + rng.integers(-1, 2, p.shape))
    tie = half_ulp * np.rint(
        p / half_ulp + rng.integers(-(2**bits) // 4, 2**bits // 4 + 1, p.shape)
    )
    hair = np.ldexp(1.0, top - rng.integers(20, 30, p.shape)) * rng.integers(-1, 2, p.shape)
    near_tie = tie - p + hair
    sums = np.where(rng.random(p.shape) < 0.5, at_random, near_tie)
    sums = quantize(np.clip(sums, -(2.0 ** (unit + 60)), 2.0 ** (unit + 60)), form, ZERO)
    return np.where(sums % 2.0**unit == 0, sums, 0.0)


#: exponent of the first bit of the products: amid those of e = 7, among its subnormals, at its top
PLACES = (0, -62, 63)


def forced(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    monkeypatch.setattr(gemm, "choose_way", lambda *_: way)


def name(way: Way) -> str:
    return f"{'nearest' if len(way.grid) == 3 else 'odd'} {way.lane.__name__}"


NEAREST_LIMITS = [(m + 1, m) for m in range(1, 11)] + [(11, 11), (2, 11), (6, 9)]
ODD_LIMITS = [(24, 21), (24, 3), (24, 0), (2, 21), (12, 10), (12, 11), (2, 12), (10, 12)]
FLOAT64_LIMITS = [(25, 9), (6, 22), (26, 24)]


LIMITS = [
    *((q, m, NEAREST, "nearest float32") for q, m in NEAREST_LIMITS),
    *((q, m, rounding, "odd float32") for q, m in ODD_LIMITS for rounding in Rounding),
    *((q, m, rounding, "odd float64") for q, m in FLOAT64_LIMITS for rounding in Rounding),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("q", "m", "rounding", "way"), LIMITS)
def test_no_step_is_wrong_at_the_limits(
    q: int, m: int, rounding: Rounding, way: str, place: int
) -> None:
    form = float_format(7, m)
    steps = random_steps(q, form, place - q, seed=100 * q + m)
    assert name(choose_way(gemm.product_extent(steps.a, steps.b), form, rounding)) == way
    assert steps.mismatches(form, rounding) == 0


@pytest.mark.parametrize(
    ("q", "m"),
    [(m + 2, m) for m in range(2, 11)] + [(12, 11)] + [(2, m) for m in range(12, 21)],
)
def test_rounding_twice_needs_its_conditions(
    monkeypatch: pytest.MonkeyPatch, q: int, m: int
) -> None:
    # q = m + 2; q = 23 − m (at m = 11, where it is not m + 2); and m = 12 and more
    form = float_format(7, m)
    forced(monkeypatch, Way(np.float32, nearest_grid(form)))
    assert random_steps(q, form, -12, seed=q).mismatches(form, NEAREST) > 0


@pytest.mark.parametrize(
    ("q", "m", "rounding"),
    # a product that float32 does not hold; a bit too few to spare: two for nearest, one for zero
    [(25, 9, NEAREST), (25, 9, ZERO), (24, 22, NEAREST), (24, 23, ZERO)],
)
def test_rounding_to_odd_in_float32_needs_its_conditions(
    monkeypatch: pytest.MonkeyPatch, q: int, m: int, rounding: Rounding
) -> None:
    form = float_format(7, m)
    forced(monkeypatch, Way(np.float32, odd_grid(form, rounding, np.float32)))
    assert random_steps(q, form, -12, seed=q).mismatches(form, rounding) > 0


@pytest.mark.parametrize(
    ("extent", "form"),
    [
        (Extent(4, -150, 0), float_format(7, 9)),
        (Extent(4, 0, 101), float_format(7, 9)),
        (Extent(4, 0, 10), float_format(8, 9)),
    ],
)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_exponents_beyond_float32_take_float64(
    extent: Extent, form: FloatFormat, rounding: Rounding
) -> None:
    assert choose_way(extent, form, rounding).lane is np.float64


EDGE_SUMS = [0.0, 2.0**-62, -(2.0**-62), 1.0, -1.0, 1.5, 2.0**63, -(2.0**63)]


@pytest.mark.parametrize("m", [1, 9, 10, 11, 21])
@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(
    ("left", "right"),
    [
        # products 2^−149 and 3·2^−149, at the end of float32's subnormals
        ([-100, -99], [(1, -49), (-1, -49)]),
        # products up to 1.5 · 2^99, the highest exponent that the extent admits being 100
        ([50, 49], [(1.5, 49), (-1.5, 48), (1, 49)]),
    ],
)
def test_exponents_at_the_ends_of_float32(
    left: list[int], right: list[tuple[float, int]], m: int, rounding: Rounding
) -> None:
    form = float_format(7, m)
    a = np.exp2(np.array(left, dtype=np.float64))[:, None]
    b = np.array([x * 2.0**e for x, e in right])[None]
    extent = gemm.product_extent(a, b)
    assert extent.lowest == -149 or extent.highest == 100
    assert choose_way(extent, form, rounding).lane is np.float32
    for s in [*EDGE_SUMS, float(form.largest), -float(form.largest), float(form.quantum)]:
        start = np.full((len(left), len(right)), s)
        computed = matmul(a, b, Accumulator(form, rounding), start=start)
        exact = [
            [float(round_exact(Fraction(x * y) + Fraction(s), form, rounding)) for y in b[0]]
            for x in a[:, 0]
        ]
        assert computed.tolist() == exact


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(("q", "m"), [(53, 48), (53, 3), (40, 40), (2, 48)])
def test_float64_steps_at_their_limits(q: int, m: int, rounding: Rounding) -> None:
    # too wide for the integers above: the definition itself, on fewer steps
    rng = np.random.default_rng(q)
    form, side = float_format(10, m), 60
    for place in (0, -480, 400):
        first = q // 2
        a = significands(rng, first, (side, 1)) * signs(rng, (side, 1)) * 1.0
        b = significands(rng, q - first, (1, side)) * np.ldexp(1.0, place - q)
        binade = place - m + rng.integers(-60, 60, (side, side))
        start = np.ldexp(significands(rng, m + 1, (side, side)).astype(np.float64), binade)
        start = quantize(start * signs(rng, (side, side)), form)
        computed = matmul(a, b, Accumulator(form, rounding), start=start)
        products = [[Fraction(x) * Fraction(y) for y in b[0].tolist()] for x in a[:, 0].tolist()]
        exact = [
            [
                float(round_exact(p + Fraction(s), form, rounding))
                for p, s in zip(*rows, strict=True)
            ]
            for rows in zip(products, start.tolist(), strict=True)
        ]
        assert computed.tolist() == exact


def values(form: FloatFormat) -> Floats:
    """Every value of a small format, both signs."""
    steps = 2**form.mantissa_bits
    fractions = np.arange(steps) / steps
    binades = np.exp2(np.arange(form.emin, form.emax + 1))[:, None]
    positive = np.concatenate([fractions * binades[0], ((1 + fractions) * binades).ravel()])
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("operand", [(2, 1), (3, 1), (3, 0)])
@pytest.mark.parametrize("accumulator", [(2, 0), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 1)])
def test_every_step_of_small_formats(
    operand: tuple[int, int], accumulator: tuple[int, int], rounding: Rounding
) -> None:
    x, form = values(float_format(*operand)), float_format(*accumulator)
    products = (x[:, None] * x[None]).ravel().tolist()
    states = values(form).tolist()
    keys = {(p, s) for p in set(products) for s in states}
    step = {(p, s): round_exact(Fraction(p) + Fraction(s), form, rounding) for p, s in keys}
    for s in states:
        start = np.full((len(x), len(x)), s)
        computed = matmul(x[:, None], x[None], Accumulator(form, rounding), start=start)
        assert computed.ravel().tolist() == [float(step[p, s]) for p in products]
