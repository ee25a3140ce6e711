"""Multipliers, MACs and dot products against the reference emulation, on the same random bits."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product as combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import Draw
from analysis.emulation.reference import fused_step, multiply, rounded
from analysis.formats import Accumulator, FloatFormat, Fused, Product, Rounding
from analysis.rounding import round_exact
from models.accelerator.synthesis.codes import decode, encode, hardware_format
from models.accelerator.synthesis.floating import fp_add_to, fp_dot, fp_mac, fp_mul, fp_product
from models.accelerator.synthesis.simulation import simulate

Point = tuple[Any, ...]
Words = npt.NDArray[np.int64]
NEAREST, ZERO, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
VECTORS = 2000
E4M3, E5M2 = hardware_format(4, 3), hardware_format(5, 2)
E2M1, E3M2_FLUSH = hardware_format(2, 1), hardware_format(3, 2, subnormals=False)
BF16_FLUSH = hardware_format(8, 7, subnormals=False)
OPERANDS = [(E4M3, E5M2), (E2M1, E2M1), (E3M2_FLUSH, E3M2_FLUSH), (E3M2_FLUSH, E4M3)]
ROUNDINGS = [(NEAREST, None), (ZERO, None), (CHANCE, 3), (CHANCE, 11)]
TARGETS = [
    hardware_format(5, 10),
    hardware_format(4, 2),
    hardware_format(3, 1, subnormals=False),
    hardware_format(6, 9, subnormals=False),
    hardware_format(4, 4, bias=3),
    hardware_format(4, 3, bias=11, subnormals=False),
]
ADDENDS = [E4M3, E3M2_FLUSH, hardware_format(5, 9)]
PRODUCTS = [
    None,
    Product(hardware_format(5, 3)),
    Product(hardware_format(4, 2, subnormals=False), ZERO),
]


def some(*choices: Sequence[Any], every: int) -> list[Point]:
    """One in so many combinations of the choices; a number prime to theirs meets every choice."""
    return list(combinations(*choices))[::every]


def codes(rng: np.random.Generator, number_format: FloatFormat, *shape: int) -> Words:
    """Uniform codes, a quarter of them zeros, smallest, largest and their neighbours."""
    m, top = number_format.mantissa_bits, 1 << (number_format.bits - 1)
    corners = np.array([0, 1, (1 << m) - 1, 1 << m, (1 << m) + 1, top - 1, top - (1 << m)])
    signs = rng.integers(0, 2, shape) * top
    chosen = np.where(
        rng.random(shape) < 0.25, rng.choice(corners, shape), rng.integers(0, top, shape)
    )
    return chosen + signs


def partners(rng: np.random.Generator, values: Sequence[float], into: FloatFormat) -> Words:
    """Codes of ``into`` that mostly nearly cancel the values, or lie a few binades off."""
    count, m, top = len(values), into.mantissa_bits, 1 << (into.bits - 1)
    grid = np.array([float(round_exact(-Fraction(x), into, ZERO)) for x in values])
    binades = rng.integers(-m - 3, m + 4, count) * rng.integers(0, 2, count)
    near = encode(np.abs(grid), into) + rng.integers(-2, 3, count) + (binades << m)
    flipped = np.signbit(grid) ^ (rng.random(count) < 0.2)
    near = np.clip(near, 0, top - 1) + flipped * top
    return np.where(rng.random(count) < 0.7, near, codes(rng, into, count))


def draws(rng: np.random.Generator, r: int | None, count: int) -> list[int]:
    return [int(word) for word in rng.integers(0, 1 << (r or 1), count)]


def chance(r: int | None, drawn: int) -> Draw | None:
    return None if r is None else Draw(r, drawn)


@pytest.mark.parametrize(("a", "b"), [*OPERANDS, (BF16_FLUSH, BF16_FLUSH)])
def test_exact_product_is_exact_and_normalised(a: FloatFormat, b: FloatFormat) -> None:
    rng = np.random.default_rng(1)
    x, y = codes(rng, a, VECTORS), codes(rng, b, VECTORS)
    block = fp_product(a, b)
    out = simulate(block, {"a": x.tolist(), "b": y.tolist()})
    bits = {port.name: port.width_bits for port in block.outputs}
    unit = a.bias + b.bias + bits["significand"] - 1
    for u, v, sign, exponent, significand in zip(
        decode(x, a), decode(y, b), out["sign"], out["exponent"], out["significand"], strict=True
    ):
        power = (exponent ^ 1 << (bits["exponent"] - 1)) - (1 << (bits["exponent"] - 1)) - unit
        magnitude = significand * Fraction(2) ** power
        assert (-magnitude if sign else magnitude) == Fraction(float(u)) * Fraction(float(v))
        assert significand == 0 or significand >> (bits["significand"] - 1)


@pytest.mark.parametrize("point", some(OPERANDS, TARGETS, ROUNDINGS, every=7))
def test_multiplier_is_the_rounded_product(point: Point) -> None:
    (a, b), into, (rounding, r) = point
    rng = np.random.default_rng(2)
    x, y = codes(rng, a, VECTORS), codes(rng, b, VECTORS)
    random = draws(rng, r, VECTORS)
    inputs = {"a": x.tolist(), "b": y.tolist(), "random": random}
    got = decode(simulate(fp_mul(a, b, into, rounding, r), inputs)["product"], into)
    for u, v, drawn, out in zip(decode(x, a), decode(y, b), random, got, strict=True):
        exact = multiply(float(u), float(v), None)
        assert rounded(exact, into, rounding, chance(r, drawn)) == out, (u, v, drawn)


@pytest.mark.parametrize("point", some(ADDENDS, TARGETS, ROUNDINGS, every=5))
def test_accumulator_takes_addends_of_other_formats(point: Point) -> None:
    addend, into, (rounding, r) = point
    rng = np.random.default_rng(3)
    x = codes(rng, addend, VECTORS)
    s = partners(rng, decode(x, addend).tolist(), into)
    random = draws(rng, r, VECTORS)
    inputs = {"addend": x.tolist(), "accumulator": s.tolist(), "random": random}
    got = decode(simulate(fp_add_to(addend, into, rounding, r), inputs)["sum"], into)
    for u, start, drawn, out in zip(decode(x, addend), decode(s, into), random, got, strict=True):
        exact = Fraction(float(u)) + Fraction(float(start))
        assert rounded(exact, into, rounding, chance(r, drawn)) == out, (u, start, drawn)


BFLOAT16_INTO_FLOAT32 = ((BF16_FLUSH, BF16_FLUSH), None, hardware_format(8, 23), (NEAREST, None))


@pytest.mark.parametrize(
    "point", [*some(OPERANDS, PRODUCTS, TARGETS, ROUNDINGS, every=13), BFLOAT16_INTO_FLOAT32]
)
def test_mac_is_the_rounded_sum(point: Point) -> None:
    (a, b), product, into, (rounding, r) = point
    rng = np.random.default_rng(4)
    accumulator = Accumulator(into, rounding, random_bits=r, product=product)
    x, y = codes(rng, a, VECTORS), codes(rng, b, VECTORS)
    u, v = decode(x, a), decode(y, b)
    s = partners(rng, (u * v).tolist(), into)
    random = draws(rng, r, VECTORS)
    inputs = {"a": x.tolist(), "b": y.tolist(), "accumulator": s.tolist(), "random": random}
    got = decode(simulate(fp_mac(a, b, accumulator), inputs)["sum"], into)
    for p, q, start, drawn, out in zip(u, v, decode(s, into), random, got, strict=True):
        term = multiply(float(p), float(q), product)
        assert isinstance(term, Fraction)
        exact = Fraction(float(start)) + term
        assert rounded(exact, into, rounding, chance(r, drawn)) == out, (p, q, start, drawn)


DOTS = [
    (E4M3, E4M3, 4, 13, hardware_format(8, 23)),
    (E4M3, E5M2, 5, 3, hardware_format(5, 10, subnormals=False)),
    (E2M1, E2M1, 16, 6, hardware_format(4, 2)),
    (E3M2_FLUSH, E3M2_FLUSH, 1, 25, hardware_format(6, 9)),
    (E5M2, E3M2_FLUSH, 8, 0, hardware_format(4, 3, bias=4, subnormals=False)),
]


def dot_codes(rng: np.random.Generator, form: FloatFormat, terms: int) -> Words:
    """Rows of codes, a third of them with exponents so close that terms cancel."""
    rows = codes(rng, form, VECTORS // 2, terms)
    close = rng.integers(0, 2, rows.shape) << (form.bits - 1) | (
        rows[:, :1] % (1 << (form.bits - 1))
    ) ^ rng.integers(0, 2, rows.shape)
    return np.where(rng.random((len(rows), 1)) < 0.33, close, rows)


def packed(rows: Words, bits: int) -> list[int]:
    return [sum(int(code) << (bits * k) for k, code in enumerate(row)) for row in rows]


@pytest.mark.parametrize("point", some(DOTS, ROUNDINGS, [True, False], every=3))
def test_dot_product_is_the_fused_step(point: Point) -> None:
    (a, b, terms, kept, into), (rounding, r), running = point
    rng = np.random.default_rng(5)
    order = Fused(terms, kept, least_exponents=(a.emin, b.emin))
    accumulator = Accumulator(into, rounding, order=order, random_bits=r)
    x, y = dot_codes(rng, a, terms), dot_codes(rng, b, terms)
    u, v = decode(x, a), decode(y, b)
    s = partners(rng, np.sum(u * v, axis=1).tolist(), into)
    random = draws(rng, r, len(x))
    inputs = {
        "a": packed(x, a.bits),
        "b": packed(y, b.bits),
        "accumulator": s.tolist(),
        "random": random,
    }
    got = decode(simulate(fp_dot(a, b, accumulator, running=running), inputs)["sum"], into)
    starts = decode(s, into) * running
    for p, q, start, drawn, out in zip(u, v, starts, random, got, strict=True):
        pairs = list(zip(p.tolist(), q.tolist(), strict=True))
        exact = fused_step(Fraction(float(start)), pairs, accumulator, order)
        assert rounded(exact, into, rounding, chance(r, drawn)) == out, (p, q, start, drawn)
