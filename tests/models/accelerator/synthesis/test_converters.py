"""Converters, and logarithmic MACs, against exact arithmetic."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import Draw
from analysis.formats import FixedFormat, FloatFormat, Overflow, Rounding
from analysis.rounding import exponent, round_exact
from models.accelerator.synthesis.codes import decode, hardware_format
from models.accelerator.synthesis.fixed import (
    LogFormat,
    bfp_convert,
    fixed_to_fp,
    fp_to_fixed,
    lns_mac,
)
from models.accelerator.synthesis.simulation import simulate

NEAREST, ZERO, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
ROUNDINGS: list[tuple[Rounding, int | None]] = [(NEAREST, None), (ZERO, None), (CHANCE, 4)]
VECTORS = 2000
FORMATS = [
    hardware_format(5, 10),
    hardware_format(4, 3, subnormals=False),
    hardware_format(3, 2, bias=5),
    hardware_format(4, 3, bias=12, subnormals=False),
]

Point = tuple[tuple[int, int], FloatFormat, tuple[Rounding, int | None]]


def some(widths: Sequence[tuple[int, int]]) -> list[Point]:
    """Every fifth combination with a format and a rounding."""
    return list(product(widths, FORMATS, ROUNDINGS))[::5]


def draws(rng: np.random.Generator, r: int | None, count: int) -> list[int]:
    return [int(word) for word in rng.integers(0, 1 << (r or 1), count)]


def signed(word: int, bits: int) -> int:
    return word - (word >> (bits - 1) << bits)


def short_and_long(rng: np.random.Generator, bits: int) -> list[int]:
    """Codes of all magnitudes, the ends among them."""
    words = rng.integers(0, 1 << bits, VECTORS) >> rng.integers(0, bits, VECTORS)
    words = np.where(rng.random(VECTORS) < 0.5, words, -words)
    ends = [0, 1, -1, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]
    half = 1 << (bits - 1)
    return [*ends, *((words + half) % (2 * half) - half).tolist()]


@pytest.mark.parametrize("point", some([(16, 0), (12, 9), (5, 12), (20, -2)]))
def test_fixed_point_becomes_the_rounded_number(point: Point) -> None:
    (bits, fraction), form, (rounding, r) = point
    rng = np.random.default_rng(8)
    x = short_and_long(rng, bits)
    random = draws(rng, r, len(x))
    block = fixed_to_fp(FixedFormat("fixed", bits, fraction), form, rounding, r)
    got = decode(simulate(block, {"x": x, "random": random})["y"], form)
    for u, drawn, out in zip(x, random, got, strict=True):
        chance = None if r is None else Draw(r, drawn)
        exact = Fraction(u) * Fraction(2) ** -fraction
        assert round_exact(exact, form, rounding, chance) == out, (u, drawn)


@pytest.mark.parametrize("point", some([(16, 0), (8, 4), (4, 6), (32, 24), (6, -3)]))
def test_number_becomes_the_rounded_fixed_point(point: Point) -> None:
    (bits, fraction), form, (rounding, r) = point
    rng = np.random.default_rng(9)
    fixed = FixedFormat("fixed", bits, fraction)
    x = rng.integers(0, 1 << form.bits, VECTORS).tolist()
    random = draws(rng, r, len(x))
    out = simulate(fp_to_fixed(form, fixed, rounding, r), {"x": x, "random": random})["y"]
    for u, drawn, word in zip(decode(x, form), random, out, strict=True):
        chance = None if r is None else Draw(r, drawn)
        want = round_exact(Fraction(float(u)), fixed, rounding, chance)
        assert want == signed(word, bits) * fixed.quantum, (u, drawn)


@pytest.mark.parametrize("point", some([(16, 2), (3, 6), (1, 0), (4, 12)]))
def test_group_shares_the_largest_exponent(point: Point) -> None:
    (terms, fraction), form, (rounding, r) = point
    rng = np.random.default_rng(10)
    width, chance_bits = fraction + 2, r or 1
    x = rng.integers(0, 1 << form.bits, (VECTORS // terms + 200, terms))
    x[: len(x) // 4] >>= rng.integers(0, form.bits, (len(x) // 4, 1))  # small ones, and zeros
    random = rng.integers(0, 1 << chance_bits, x.shape)
    inputs = {"x": joined(x, form.bits), "random": joined(random, chance_bits)}
    out = simulate(bfp_convert(terms, form, fraction, rounding, r), inputs)
    for row, drawn, field, word in zip(
        decode(x, form), random.tolist(), out["exponent"], out["y"], strict=True
    ):
        values = [Fraction(float(u)) for u in row]
        shared = max([form.emin, *(exponent(u) for u in values if u != 0)])
        assert field - form.bias == shared
        fixed = FixedFormat("element", width, fraction - shared)
        for k, u in enumerate(values):
            chance = None if r is None else Draw(r, drawn[k])
            element = signed(word >> (width * k) & (1 << width) - 1, width)
            assert round_exact(u, fixed, rounding, chance) == element * fixed.quantum, (row, k)


def joined(rows: npt.NDArray[np.int64], bits: int) -> list[int]:
    return [sum(int(code) << (bits * k) for k, code in enumerate(row)) for row in rows]


def lns_product(a: int, b: int, operand: LogFormat, table: Sequence[int], dropped: int) -> int:
    """The product as ``lns_mac`` defines it."""
    magnitude_bits = operand.bits - 1
    (sign_a, log_a), (sign_b, log_b) = (divmod(x, 1 << magnitude_bits) for x in (a, b))
    quotient, remainder = divmod(log_a + log_b, 1 << operand.fraction_bits)
    magnitude = 0 if 0 in (log_a, log_b) else table[remainder] << quotient >> dropped
    return -magnitude if sign_a != sign_b else magnitude


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize(
    ("operand", "table_bits", "dropped", "bits"),
    [
        (LogFormat(3, 3), 6, 0, 24),
        (LogFormat(3, 4), 8, 8, 16),
        (LogFormat(2, 1), 1, 3, 8),
        (LogFormat(4, 3), 3, 20, 12),
    ],
)
def test_logarithmic_mac_is_its_definition(
    operand: LogFormat, table_bits: int, dropped: int, bits: int, overflow: Overflow
) -> None:
    rng = np.random.default_rng(11)
    steps = 1 << operand.fraction_bits
    with mpmath.workdps(50):
        table = [
            int(mpmath.nint(mpmath.mpf(2) ** (table_bits + mpmath.mpf(r) / steps)))
            for r in range(steps)
        ]
    form = FixedFormat("accumulator", bits, overflow=overflow)
    a, b = rng.integers(0, 1 << operand.bits, (2, VECTORS))
    a[::9] &= 1 << (operand.bits - 1)  # zeros of either sign
    s = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), VECTORS).tolist()
    inputs = {"a": a.tolist(), "b": b.tolist(), "accumulator": s}
    out = simulate(lns_mac(operand, table_bits, dropped, form), inputs)["sum"]
    for x, y, start, word in zip(a.tolist(), b.tolist(), s, out, strict=True):
        total = Fraction(start + lns_product(x, y, operand, table, dropped))
        assert round_exact(total, form, ZERO) == signed(word, bits), (x, y, start)


def test_wrapping_fixed_point_is_refused() -> None:
    fixed = FixedFormat("q8", 8, overflow=Overflow.WRAP)
    with pytest.raises(ValueError, match="q8 must saturate, got wrap"):
        fp_to_fixed(FORMATS[0], fixed, NEAREST)


def test_fixed_point_below_the_subnormals_is_refused() -> None:
    with pytest.raises(ValueError, match=r"q8 must hold 2\^-14"):
        fp_to_fixed(FORMATS[0], FixedFormat("q8", 8, 24), NEAREST)
