"""All products of 8-bit operands added to all values of small accumulators, for every rounding.

The oracle looks sums up in the sorted list of the accumulator's values, as Python's integers.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import INNER, Stream, draw
from analysis.emulation import matmul
from analysis.formats import Accumulator, FloatFormat, Rounding, TopCodes, float_format

Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[Any]  #: Python's integers

E5M2 = float_format(5, 2)
E4M3 = FloatFormat("OCP e4m3", 4, 3, top=TopCodes.ONE_NAN)
#: no product of theirs lies below its grid
FINE = {
    E5M2: FloatFormat("e6m1 from 2^-33", 6, 1, exponent_bias=33),
    E4M3: FloatFormat("e5m2 from 2^-19", 5, 2, exponent_bias=18),
}
UNIT = -40  #: exponent of what sums, products and midpoints are multiples of
STREAM = Stream(3, row=11, column=64, step=4)


def values(form: FloatFormat) -> Floats:
    """Every finite value of a small format, in order."""
    fractions = np.arange(2**form.mantissa_bits) / 2**form.mantissa_bits
    binades = np.exp2(np.arange(form.emin, form.emax + 1))[:, None]
    magnitudes = np.concatenate([fractions * binades[0], ((1 + fractions) * binades).ravel()])
    magnitudes = magnitudes[magnitudes <= float(form.largest)]
    return np.concatenate([-magnitudes[:0:-1], magnitudes])


def integers(x: Floats) -> Objects:
    """x / 2^UNIT."""
    low = np.frompyfunc(int, 1, 1)(np.ldexp(x, -UNIT))
    return np.asarray(low)


class Neighbours(NamedTuple):
    """Where exact sums lie among the accumulator's values; the nearer to zero is the inner one."""

    inner: Floats
    outer: Floats
    even: npt.NDArray[np.bool_]  #: whether the inner one's last bit is zero
    past: Objects  #: distance from the inner one
    apart: Objects  #: ... of the two

    def rounded(self, rounding: Rounding) -> Floats:
        twice, negative = 2 * self.past, self.outer < self.inner
        outward = {
            Rounding.NEAREST_EVEN: (twice > self.apart) | ((twice == self.apart) & ~self.even),
            Rounding.NEAREST_AWAY: twice >= self.apart,
            Rounding.TOWARD_ZERO: np.zeros(self.inner.shape, dtype=bool),
            Rounding.UP: (self.past > 0) & ~negative,
            Rounding.DOWN: (self.past > 0) & negative,
        }
        return np.where(outward[rounding], self.outer, self.inner)

    def seen(self, bits: int) -> npt.NDArray[np.int64]:
        """The distance in 2^-bits of a step, cut."""
        return np.asarray((self.past << bits) // self.apart, dtype=np.int64)


def neighbours(totals: Objects, form: FloatFormat) -> Neighbours:
    table = values(form)[values(form).size // 2 :]
    whole, magnitude = integers(table), np.abs(totals)
    inner = np.searchsorted(whole, magnitude, side="right") - 1
    outer = np.minimum(inner + 1, table.size - 1)  # saturated
    past = np.where(outer > inner, magnitude - whole[inner], 0)
    sign = np.where(totals < 0, -1.0, 1.0)
    apart = np.maximum(whole[outer] - whole[inner], 1)
    return Neighbours(table[inner] * sign, table[outer] * sign, inner % 2 == 0, past, apart)


@pytest.mark.parametrize("accumulator", [float_format(4, 3), E4M3, float_format(3, 2), None])
@pytest.mark.parametrize("operand", [E5M2, E4M3], ids=lambda form: form.name)
def test_every_step_of_small_formats(operand: FloatFormat, accumulator: FloatFormat | None) -> None:
    form, x = accumulator or FINE[operand], values(operand)
    a, b, shape = x[:, None], x[None], (x.size, x.size)
    distinct, where = np.unique(a * b, return_inverse=True)
    where = where.reshape(shape)
    states = values(form)
    around = neighbours(integers(states)[:, None] + integers(distinct), form)
    expected = {rounding: around.rounded(rounding) for rounding in list(Rounding)[:5]}
    for rounding, table in expected.items():
        for state, row in zip(states, table, strict=True):
            computed = matmul(a, b, Accumulator(form, rounding), start=np.full(shape, state))
            assert np.array_equal(computed, row[where])
    bits = 6
    seen, chance = around.seen(bits), Accumulator(form, Rounding.STOCHASTIC, random_bits=bits)
    places = [STREAM.at(row=i, column=j) for i, j in np.ndindex(shape)]
    draws = [draw(place, INNER, STREAM.step, bits, odd=False).value for place in places]
    lift = np.array(draws).reshape(shape)
    for index, state in enumerate(states):
        computed = matmul(a, b, chance, start=np.full(shape, state), rng=STREAM)
        outward = seen[index][where] + lift >> bits > 0
        row = np.where(outward, around.outer[index][where], around.inner[index][where])
        assert np.array_equal(computed, row)
