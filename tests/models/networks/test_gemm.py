"""One product of matrices: its invariants, and what it has in memory."""

from dataclasses import replace

import pytest

from models.networks.gemm import Gemm, Operands, Role

CONV = Gemm("conv", Role.FWD, 36, 4, 9, 2, 2592, Operands(left=128, right=72))


def test_matrices_are_in_memory_as_they_are() -> None:
    gemm = Gemm("fc", Role.FWD, rows=2, cols=3, length=5, count=7, macs=210)
    assert (gemm.left_elements, gemm.right_elements, gemm.out_elements) == (70, 105, 42)
    assert gemm.shape == replace(gemm, layer="other", operands=Operands(70, 105)).shape


def test_structural_zeros_are_not_in_memory() -> None:
    # 42 outputs share 80 products: 2 each
    gemm = Gemm("up", Role.BWD, rows=2, cols=3, length=5, count=7, macs=80)
    assert gemm.effective_length == 2
    assert (gemm.left_elements, gemm.right_elements) == (28, 42)


def test_operands_are_part_of_the_shape() -> None:
    assert CONV.shape != replace(CONV, operands=None).shape
    assert CONV.shape != replace(CONV, operands=Operands(127, 72)).shape


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (Operands(0, 72), r"GEMM conv/FWD: left operand must have 1\.\.648 elements.*got 0"),
        (Operands(649, 72), r"as its 2 × 36 × 9 matrix, got 649"),
        (Operands(128, 73), r"right operand must have 1\.\.72 elements.*2 × 4 × 9 matrix, got 73"),
    ],
)
def test_operands_are_no_larger_than_their_matrices(operands: Operands, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONV, operands=operands)


def test_empty_products_are_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1, got"):
        replace(CONV, count=0)
    with pytest.raises(ValueError, match="2593 macs do not fit 2 × 36 × 4 × 9"):
        replace(CONV, macs=2593)
