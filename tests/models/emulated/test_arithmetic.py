import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.emulation import matmul_exact
from analysis.formats import Accumulator, BlockFormat, FixedFormat, Fused, float_format
from models.emulated.arithmetic import Arithmetic, branched, mirrored

SEEDS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operands_are_rounded_in_their_own_type_or_left_alone(dtype: type[np.floating]) -> None:
    accumulator = Accumulator(float_format(6, 3))
    x = np.array([[1.1, -1e9, 0.0]], dtype=dtype)
    found = Arithmetic(accumulator, float_format(5, 2)).quantized(x)
    assert found.dtype == dtype
    assert found.tolist() == [[1.0, -57344.0, 0.0]]
    assert Arithmetic(accumulator).quantized(x) is x
    assert Arithmetic(accumulator, FixedFormat("int8", 8)).quantized(x).tolist() == [[1, -128, 0]]


@given(SEEDS, st.lists(st.integers(0, 2**40), max_size=4))
def test_branched_seeds_fit_64_bits_and_follow_the_path(seed: int, path: list[int]) -> None:
    found = branched(seed, *path)
    assert 0 <= found < 2**64
    assert found == branched(branched(seed, *path[:1]), *path[1:])


def test_branches_of_neighbouring_seeds_differ() -> None:
    found = {branched(seed, turn) for seed in range(200) for turn in range(200)}
    assert len(found) == 40_000
    assert branched(7, 0, 1) != branched(7, 1, 0)


BLOCK = Accumulator(
    BlockFormat("block", 30, a_fraction_bits=7, b_fraction_bits=2),
    chunk=3,
    outer=Accumulator(float_format(8, 5)),
)
#: a's subnormals count as 2^0, b's as 2^-4: three bits are kept below the largest product
FUSED = Accumulator(float_format(8, 6), order=Fused(4, 3, least_exponents=(0, -4)))
PLAIN = Accumulator(float_format(6, 3), chunk=4)


@pytest.mark.parametrize("accumulator", [BLOCK, FUSED, PLAIN])
def test_a_mirrored_accumulator_gives_the_transposed_product(accumulator: Accumulator) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(1, 64, (4, 9)) / 32
    b = rng.integers(-1, 2, (9, 5)).astype(np.float64)
    expected = matmul_exact(a, b, accumulator)
    np.testing.assert_array_equal(matmul_exact(b.T, a.T, mirrored(accumulator)).T, expected)
    assert mirrored(mirrored(accumulator)) == accumulator


def test_a_mirrored_accumulator_is_another_where_a_and_b_differ() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 64, (4, 9)) / 32, rng.integers(1, 9, (9, 5)) / 32
    assert not np.array_equal(matmul_exact(b.T, a.T, FUSED).T, matmul_exact(a, b, FUSED))
    assert mirrored(PLAIN) == PLAIN
