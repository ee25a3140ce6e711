"""Counters, shifters and codes; what the simulator and the catalogue refuse."""

import numpy as np
import pytest

from analysis.formats import Accumulator, Fused, Rounding, float_format
from models.accelerator.synthesis.blocks import leading_zeros, shift_left, shift_right_sticky
from models.accelerator.synthesis.codes import decode, encode, hardware_format
from models.accelerator.synthesis.floating import fp_add, fp_dot, fp_mac
from models.accelerator.synthesis.simulation import simulate

NEAREST = Rounding.NEAREST_EVEN
E4M3 = hardware_format(4, 3)


@pytest.mark.parametrize("width", [2, 3, 5, 8, 11])
def test_leading_zeros_of_every_word(width: int) -> None:
    words = list(range(1 << width))
    out = simulate(leading_zeros(width), {"x": words})
    assert out["none"] == [int(x == 0) for x in words]
    assert out["count"][1:] == [width - x.bit_length() for x in words[1:]]


@pytest.mark.parametrize(("width", "amount_bits"), [(1, 1), (5, 2), (7, 3), (12, 5), (40, 6)])
def test_shifters_shift(width: int, amount_bits: int) -> None:
    rng = np.random.default_rng(17)
    x = rng.integers(0, 1 << width, 2000).tolist()
    amount = rng.integers(0, 1 << amount_bits, 2000).tolist()
    inputs = {"x": x, "amount": amount}
    pairs = list(zip(x, amount, strict=True))
    left = simulate(shift_left(width, amount_bits), inputs)["y"]
    assert left == [(word << by) % (1 << width) for word, by in pairs]
    right = simulate(shift_right_sticky(width, amount_bits), inputs)
    assert right["y"] == [word >> by for word, by in pairs]
    assert right["sticky"] == [int(word % (1 << by) > 0) for word, by in pairs]


@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize(("e", "m", "bias"), [(2, 1, None), (4, 3, 2), (3, 7, -1)])
def test_codes_are_the_formats_values(e: int, m: int, bias: int | None, subnormals: bool) -> None:
    form = hardware_format(e, m, bias=bias, subnormals=subnormals)
    magnitudes = decode(np.arange(1 << (e + m)), form)
    own = magnitudes > 0
    assert magnitudes.max() == form.largest
    assert magnitudes[own].min() == (form.quantum if subnormals else 2.0**form.emin)
    assert np.all(np.diff(magnitudes[own]) > 0)
    assert np.array_equal(encode(magnitudes[own], form), np.flatnonzero(own))
    assert encode(0.0, form) == 0


@pytest.mark.parametrize("value", [2.0**-10, 1.0625, 512.0, np.inf])
def test_values_off_the_format_have_no_code(value: float) -> None:
    with pytest.raises(ValueError, match=f"e4m3 has no value {value}"):
        encode([1.0, value], E4M3)


def test_formats_with_special_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="top codes of e4m3 must be numbers, got special"):
        fp_add(float_format(4, 3), NEAREST)
    with pytest.raises(ValueError, match="e4m0 must have at least 1 mantissa bit, got 0"):
        hardware_format(4, 0)


def test_roundings_without_a_module_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rounding must be one of .*, got nearest-away"):
        fp_add(E4M3, Rounding.NEAREST_AWAY)
    with pytest.raises(ValueError, match="needs random bits, got stochastic with None"):
        fp_mac(E4M3, E4M3, Accumulator(E4M3, Rounding.STOCHASTIC))


def test_orders_without_a_module_are_refused() -> None:
    with pytest.raises(ValueError, match="fp_mac: order must be sequential, got Fused"):
        fp_mac(E4M3, E4M3, Accumulator(E4M3, order=Fused(4, 10)))
    with pytest.raises(ValueError, match=r"with least_exponents = \(-6, -6\)"):
        fp_dot(E4M3, E4M3, Accumulator(E4M3, order=Fused(4, 10)))


def test_vectors_of_other_ports_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs are \['x'\], got \['y'\]"):
        simulate(leading_zeros(4), {"y": [1]})
    with pytest.raises(ValueError, match="x must fit 4 bits, got 16"):
        simulate(leading_zeros(4), {"x": [16]})
    with pytest.raises(ValueError, match="equally long and not empty"):
        simulate(shift_left(4, 2), {"x": [1], "amount": []})
