"""Blocks with registers: whole sums against the emulation, and what a register must not change."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from sympy import primefactors

from analysis.draws import INNER, OUTER, Stream, draw
from analysis.emulation import matmul
from analysis.formats import Accumulator, FixedFormat, FloatFormat, Rounding
from models.accelerator.synthesis.blocks import register
from models.accelerator.synthesis.codes import decode, hardware_format
from models.accelerator.synthesis.fixed import int_mac
from models.accelerator.synthesis.floating import fp_add
from models.accelerator.synthesis.sequential import (
    LFSR_TAPS,
    fp_chunked_column,
    fp_pe,
    lfsr,
    registered,
)
from models.accelerator.synthesis.simulation import simulate

Words = npt.NDArray[np.int64]
NEAREST, ZERO, CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
E4M3, E5M2 = hardware_format(4, 3), hardware_format(5, 2, subnormals=False)
E6M9, E5M5 = hardware_format(6, 9), hardware_format(5, 5, subnormals=False)


def operands(seed: int, sums: int, terms: int) -> tuple[Words, Words]:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 1 << E4M3.bits, (sums, terms)),
        rng.integers(0, 1 << E5M2.bits, (sums, terms)),
    )


def emulated(a: Words, b: Words, accumulator: Accumulator, seed: int) -> npt.NDArray[np.float64]:
    """The dot products of the rows; number j draws as output (j, 0)."""
    x, y = decode(a, E4M3), decode(b, E5M2)
    return np.array(
        [
            matmul(x[j : j + 1], y[j : j + 1].T, accumulator, rng=Stream(seed, row=j)).item()
            for j in range(len(x))
        ]
    )


def drawn(level: int, row: int, step: int, accumulator: Accumulator) -> int:
    if accumulator.random_bits is None:
        return 0
    return draw(Stream(3, row=row), level, step, accumulator.random_bits, odd=False).value


@pytest.mark.parametrize(
    "accumulator",
    [
        Accumulator(E6M9),
        Accumulator(E5M5, ZERO),
        Accumulator(E6M9, CHANCE, random_bits=6),
    ],
)
def test_processing_element_sums_as_the_emulation(accumulator: Accumulator) -> None:
    sums, terms = 60, 64
    a, b = operands(12, sums, terms)
    random = [drawn(INNER, j, step, accumulator) for j in range(sums) for step in range(terms)]
    inputs = {
        "first": [int(step == 0) for _ in range(sums) for step in range(terms)] + [1],
        "a": [*a.ravel().tolist(), 0],
        "b": [*b.ravel().tolist(), 0],
        "random": [*random, 0],
    }
    out = simulate(fp_pe(E4M3, E5M2, accumulator), inputs)["sum"]
    assert isinstance(accumulator.format, FloatFormat)
    got = decode(out, accumulator.format)[terms - 1 :: terms]
    assert np.array_equal(got, emulated(a, b, accumulator, 3))


CHUNKED = [
    (1, 2, Accumulator(E5M5, chunk=4, outer=Accumulator(E6M9))),
    (1, 3, Accumulator(E6M9, ZERO, chunk=8)),
    (4, 4, Accumulator(E5M5, chunk=4, outer=Accumulator(E6M9, CHANCE, random_bits=5))),
    (
        5,
        6,
        Accumulator(
            E6M9, CHANCE, chunk=8, outer=Accumulator(hardware_format(8, 12), ZERO), random_bits=4
        ),
    ),
]


@pytest.mark.parametrize(("elements", "chunks", "accumulator"), CHUNKED)
def test_chunks_join_the_outer_sum_as_the_emulation_says(
    elements: int, chunks: int, accumulator: Accumulator
) -> None:
    n1 = accumulator.chunk
    assert n1 is not None
    terms, rounds = n1 * chunks, 30
    a, b = operands(13, elements * rounds, terms)
    inputs = column_inputs(a, b, elements, accumulator)
    block = fp_chunked_column(elements, E4M3, E5M2, accumulator)
    settling = n1 + elements  # then every element has given a chunk
    out = simulate(block, inputs, settling_cycles=settling)["sum"]
    outer = accumulator.outer_accumulator.format
    assert isinstance(outer, FloatFormat)
    got = decode(out, outer)
    want = emulated(a, b, accumulator, 3)
    compared = 0
    for at in range(settling, len(inputs["valid"])):
        sum_, chunk = divmod((at - inputs["index"][at]) // n1 - 1, chunks)
        if inputs["valid"][at] and chunk == 0 and sum_ > 0:
            number = (sum_ - 1) * elements + inputs["index"][at]
            assert got[at - settling] == want[number], (at, number)
            compared += 1
    assert compared == elements * (rounds - 1)


def column_inputs(
    a: Words, b: Words, elements: int, accumulator: Accumulator
) -> dict[str, list[int]]:
    """Element i works on sums i, i + elements, … and begins i cycles late."""
    n1, terms = accumulator.chunk or 1, a.shape[1]
    outer = accumulator.outer_accumulator
    names = ("first", "a", "b", "random", "valid", "outer_first", "index", "outer_random")
    rows: dict[str, list[int]] = {name: [] for name in names}
    for at in range(len(a) // elements * terms):
        words = dict.fromkeys(names, 0)
        for i in range(elements):
            sum_, step = divmod(max(at - i, 0), terms)
            number = sum_ * elements + i
            words["first"] |= (step % n1 == 0) << i
            words["a"] |= int(a[number, step]) << (E4M3.bits * i)
            words["b"] |= int(b[number, step]) << (E5M2.bits * i)
            bits = drawn(INNER, number, step, accumulator)
            words["random"] |= bits << (i * (accumulator.random_bits or 1))
            if at - i >= n1 and (at - i) % n1 == 0:  # the chunk before has just ended
                before, chunk = divmod((at - i) // n1 - 1, terms // n1)
                words |= {"valid": 1, "index": i, "outer_first": int(chunk == 0)}
                words["outer_random"] = drawn(OUTER, before * elements + i, chunk, outer)
        for name in names:
            rows[name].append(words[name])
    return rows


def test_registers_around_an_adder_only_delay_it() -> None:
    rng = np.random.default_rng(15)
    inputs = {name: rng.integers(0, 1 << E6M9.bits, 500).tolist() for name in ("a", "b")}
    inputs["random"] = [0] * 500
    block = fp_add(E6M9, NEAREST)
    late = simulate(registered(block), inputs)["sum"]
    assert late == simulate(block, inputs)["sum"][:-2]


def test_registers_around_a_mac_make_it_accumulate() -> None:
    rng = np.random.default_rng(16)
    a, b = rng.integers(-128, 128, (2, 40, 25))
    form = FixedFormat("int20", 20)
    inputs = {
        "first": [int(step == 0) for _ in range(40) for step in range(25)] + [1, 1],
        "a": [*a.ravel().tolist(), 0, 0],
        "b": [*b.ravel().tolist(), 0, 0],
    }
    out = simulate(registered(int_mac(8, 8, form)), inputs)["sum"][24::25]
    want = [
        matmul(x[None].astype(float), y[:, None].astype(float), Accumulator(form)).item()
        for x, y in zip(a, b, strict=True)
    ]
    assert [word - (word >> 19 << 20) for word in out] == want


def test_a_clocked_block_is_not_wrapped_again() -> None:
    with pytest.raises(ValueError, match="register_W8 must be combinational"):
        registered(register(8))


def shifted(state: int, width: int, steps: int) -> int:
    for _ in range(steps):
        bit = sum(state >> (tap - 1) for tap in LFSR_TAPS[width]) & 1
        state = (state << 1 | bit) & (1 << width) - 1
    return state


@pytest.mark.parametrize("width", LFSR_TAPS)
@pytest.mark.parametrize("steps", [1, 5, 8])
def test_feedback_register_steps_as_its_polynomial(width: int, steps: int) -> None:
    count = 1000
    inputs = {"load": [1] + [0] * count, "seed": [7] * (count + 1)}
    out = simulate(lfsr(width, steps), inputs)["state"]
    assert out[0] == 7
    assert all(new == shifted(old, width, steps) for old, new in pairwise(out))


@pytest.mark.parametrize("width", LFSR_TAPS)
def test_feedback_has_the_maximal_period(width: int) -> None:
    # primitive: x^(2^w - 1) = 1 modulo the polynomial, and no such power by a proper divisor
    order = (1 << width) - 1
    polynomial = 1 | sum(1 << tap for tap in LFSR_TAPS[width])
    assert power_of_x(order, polynomial) == 1
    for prime in primefactors(order):
        assert power_of_x(order // prime, polynomial) != 1


def power_of_x(n: int, polynomial: int) -> int:
    """x^n modulo a polynomial over the field of two elements."""
    result = 1
    for bit in bin(n)[2:]:
        result = reduced(sum((result >> i & 1) << 2 * i for i in range(64)), polynomial)
        if bit == "1":
            result = reduced(result << 1, polynomial)
    return result


def reduced(x: int, polynomial: int) -> int:
    while (gap := x.bit_length() - polynomial.bit_length()) >= 0:
        x ^= polynomial << gap
    return x


def test_feedback_of_untabulated_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of \[8, 16, 24, 32\].*got 9 and 2"):
        lfsr(9, 2)


@pytest.mark.parametrize("width", [1, 13])
def test_register_delays_by_a_cycle(width: int) -> None:
    d = np.random.default_rng(14).integers(0, 1 << width, 100).tolist()
    assert simulate(register(width), {"d": d})["q"] == d[:-1]
