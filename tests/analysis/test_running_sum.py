from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.catalog import ACCUMULATORS
from analysis.distributions import Blocks, gaussian_products
from analysis.draws import Stream
from analysis.emulation import matmul, matmul_exact
from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    LowestCodes,
    Overflow,
    Product,
    Rounding,
    Tree,
    float_format,
)
from analysis.operands import operand_tiles
from analysis.running_sum import RunningSum

E5M2, NARROW, NARROWER = float_format(5, 2), float_format(6, 4), float_format(6, 3)
BY_CHANCE = Accumulator(NARROWER, Rounding.STOCHASTIC)
STREAM = Stream(5, row=3, column=64)

#: one of every kind
KINDS = {
    **{f"plain-{rounding}": Accumulator(NARROW, rounding) for rounding in Rounding},
    **{
        f"chunk-{chunk}": Accumulator(NARROW, chunk=chunk, outer=Accumulator(NARROWER))
        for chunk in (1, 7, 64, 150, 200, 999)
    },
    "chance-of-few-bits": Accumulator(NARROW, Rounding.STOCHASTIC, random_bits=4),
    "chance-in-chunks": Accumulator(NARROW, Rounding.STOCHASTIC, chunk=7),
    "chance-between-chunks": Accumulator(NARROW, chunk=64, outer=BY_CHANCE),
    "rounded-products": Accumulator(NARROW, product=Product(NARROWER)),
    "tree": Accumulator(NARROW, order=Tree()),
    "tree-by-chance": Accumulator(NARROW, Rounding.STOCHASTIC, order=Tree()),
    "adder-tree": Accumulator(NARROW, chunk=24, order=Tree()),
    "fused": Accumulator(NARROW, order=Fused(24, 10)),
    "fused-by-chance": Accumulator(NARROW, Rounding.STOCHASTIC, order=Fused(24, 10)),
    "fused-in-chunks": Accumulator(NARROW, chunk=50, order=Fused(24, 10)),
    "wrapping": Accumulator(FixedFormat("q", 7, 2, Overflow.WRAP)),
    "blocks": Accumulator(BlockFormat("b", 12, 6, 6), chunk=32, outer=Accumulator(NARROW)),
    "without-subnormals": Accumulator(FloatFormat("flush", 4, 4, lowest=LowestCodes.ZERO), chunk=7),
    "hopper": ACCUMULATORS["hopper_fp8_e5m2_promoted"],
}


def operands(one: Accumulator) -> tuple[np.ndarray, np.ndarray]:
    blocks = isinstance(one.format, BlockFormat)
    products = gaussian_products(Blocks(32, 6) if blocks else E5M2)
    ((a, b),) = operand_tiles(products, 200, (3, 64), 11)
    return a, b


@pytest.mark.parametrize("one", KINDS.values(), ids=KINDS)
@given(cuts=st.sets(st.integers(1, 199)))
@settings(max_examples=12)
def test_sums_do_not_depend_on_where_they_are_cut(one: Accumulator, cuts: set[int]) -> None:
    a, b = operands(one)
    running = RunningSum(one, (3, 64), STREAM)
    for first, last in pairwise([0, *sorted(cuts), 200]):
        running.add(a[:, first:last], b[first:last])
    np.testing.assert_array_equal(running.result(), matmul(a, b, one, rng=STREAM))


@pytest.mark.parametrize("one", KINDS.values(), ids=KINDS)
def test_sums_are_those_of_the_exact_reference(one: Accumulator) -> None:
    a, b = operands(one)
    running = RunningSum(one, (3, 5), STREAM)
    for first, last in pairwise([0, 37, 150, 200]):
        running.add(a[:, first:last], b[first:last, :5])
    np.testing.assert_array_equal(running.result(), matmul_exact(a, b[:, :5], one, rng=STREAM))


def test_rows_and_columns_draw_for_themselves() -> None:
    a, b = operands(BY_CHANCE)
    whole = matmul(a, b, BY_CHANCE, rng=STREAM)
    part = RunningSum(BY_CHANCE, (2, 60), STREAM.at(row=1, column=4))
    part.add(a[1:], b[:, 4:])
    np.testing.assert_array_equal(part.result(), whole[1:, 4:])


def test_nothing_added_is_zero() -> None:
    assert RunningSum(Accumulator(NARROW), (2, 3)).result().tolist() == [[0.0] * 3] * 2
