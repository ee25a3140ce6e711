"""Integer MACs and dot products against fixed-point rounding."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from analysis.emulation import matmul_exact
from analysis.formats import Accumulator, FixedFormat, Overflow, Rounding
from analysis.rounding import round_exact
from models.accelerator.synthesis.fixed import int_dot, int_mac
from models.accelerator.synthesis.simulation import simulate

VECTORS = 2000


def integers(rng: np.random.Generator, bits: int, *shape: int) -> npt.NDArray[np.int64]:
    """A third of them at the ends of the range."""
    half = 1 << (bits - 1)
    ends = rng.choice([-half, 1 - half, -1, 0, 1, half - 1], shape)
    return np.where(rng.random(shape) < 0.33, ends, rng.integers(-half, half, shape))


def signed(words: list[int], bits: int) -> list[int]:
    return [word - (word >> (bits - 1) << bits) for word in words]


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize(
    ("a_bits", "b_bits", "bits"), [(8, 8, 32), (8, 4, 12), (4, 8, 6), (2, 2, 2)]
)
def test_integer_mac_is_the_fixed_point_sum(
    a_bits: int, b_bits: int, bits: int, overflow: Overflow
) -> None:
    rng = np.random.default_rng(6)
    form = FixedFormat("accumulator", bits, overflow=overflow)
    a, b, s = (integers(rng, width, VECTORS).tolist() for width in (a_bits, b_bits, bits))
    out = simulate(int_mac(a_bits, b_bits, form), {"a": a, "b": b, "accumulator": s})["sum"]
    for x, y, start, got in zip(a, b, s, signed(out, bits), strict=True):
        exact = Fraction(start + x * y)
        assert round_exact(exact, form, Rounding.NEAREST_EVEN) == got, (x, y, start)


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize(
    ("terms", "a_bits", "b_bits", "bits"),
    [(16, 8, 8, 24), (4, 4, 4, 8), (7, 8, 2, 11), (1, 4, 4, 7)],
)
def test_integer_dot_product_is_a_chunk_into_the_outer_accumulator(
    terms: int, a_bits: int, b_bits: int, bits: int, overflow: Overflow
) -> None:
    rng = np.random.default_rng(7)
    wide, form = FixedFormat("exact", 40), FixedFormat("accumulator", bits, overflow=overflow)
    accumulator = Accumulator(wide, chunk=terms, outer=Accumulator(form))
    a, b = (integers(rng, width, VECTORS // 3, terms) for width in (a_bits, b_bits))
    s = integers(rng, bits, len(a))
    inputs = {
        "a": [
            sum((int(x) % (1 << a_bits)) << (a_bits * k) for k, x in enumerate(row)) for row in a
        ],
        "b": [
            sum((int(x) % (1 << b_bits)) << (b_bits * k) for k, x in enumerate(row)) for row in b
        ],
        "accumulator": s.tolist(),
    }
    out = signed(simulate(int_dot(terms, a_bits, b_bits, form), inputs)["sum"], bits)
    for x, y, start, got in zip(a.astype(float), b.astype(float), s, out, strict=True):
        beginning = np.array([[float(start)]])
        want = matmul_exact(x[None], y[:, None], accumulator, start=beginning)
        assert want.item() == got, (x, y, start)
