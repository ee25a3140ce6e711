"""The adder against the definition of rounding, on the same random bits."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from analysis.draws import Draw
from analysis.formats import FloatFormat, Rounding
from analysis.rounding import round_exact
from models.accelerator.synthesis.codes import decode, hardware_format
from models.accelerator.synthesis.floating import fp_add
from models.accelerator.synthesis.simulation import simulate

NEAREST, ZERO, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
VECTORS = 3000


def neighbours(rng: np.random.Generator, number_format: FloatFormat) -> tuple[list[int], list[int]]:
    """Codes at random, corners among them, and second ones that are mostly near the first."""
    bits = number_format.bits
    top = 1 << (bits - 1)
    m = number_format.mantissa_bits
    corners = np.array([0, 1, (1 << m) - 1, 1 << m, (1 << m) + 1, top - 1, top - 2])
    corners = np.concatenate([corners, corners + top])
    a = rng.integers(0, 2 * top, VECTORS)
    far = rng.integers(0, 2 * top, VECTORS)
    near = (a + (rng.integers(-m - 2, m + 3, VECTORS) << m) + rng.integers(-2, 3, VECTORS)) ^ (
        rng.integers(0, 2, VECTORS) << (bits - 1)
    )
    b = np.where(rng.random(VECTORS) < 0.7, near % (2 * top), far)
    pairs = np.array(np.meshgrid(corners, corners)).reshape(2, -1)
    return [*pairs[0].tolist(), *a.tolist()], [*pairs[1].tolist(), *b.tolist()]


ROUNDINGS = [(NEAREST, None), (ZERO, None), (CHANCE, 1), (CHANCE, 5), (CHANCE, 14)]
WIDTHS = [(2, 1), (4, 3), (6, 9), (8, 23)]
POINTS = list(product(WIDTHS, [True, False], ROUNDINGS))[::3]


@pytest.mark.parametrize(("widths", "subnormals", "chances"), POINTS)
def test_adder_is_the_rounded_sum(
    widths: tuple[int, int], subnormals: bool, chances: tuple[Rounding, int | None]
) -> None:
    (e, m), (rounding, r) = widths, chances
    rng = np.random.default_rng(8 * e + m)
    number_format = hardware_format(e, m, subnormals=subnormals)
    a, b = neighbours(rng, number_format)
    random = rng.integers(0, 1 << (r or 1), len(a)).tolist()
    codes = simulate(fp_add(number_format, rounding, r), {"a": a, "b": b, "random": random})["sum"]
    got = decode(codes, number_format)
    for x, y, drawn, out in zip(
        decode(a, number_format), decode(b, number_format), random, got, strict=True
    ):
        chance = None if r is None else Draw(r, drawn)
        exact = Fraction(float(x)) + Fraction(float(y))
        assert round_exact(exact, number_format, rounding, chance) == out, (x, y, drawn)
