import numpy as np
import pytest

from models.accelerator.gemms import GemmArrays, ceil_div
from models.networks.gemm import Gemm, Operands, Role


def test_ceil_div_is_exact_where_floats_are_not() -> None:
    big = 2**60 + 1
    assert ceil_div(np.array([big]), 2**30).tolist() == [2**30 + 1]


def test_effective_length_skips_structural_zeros() -> None:
    # 2 × 3 outputs, twice, of length 10, of which a third is not zero: ceil(40 / 12)
    gemms = GemmArrays.of([Gemm("conv", Role.BWD, 2, 3, length=10, count=2, macs=40)])
    assert gemms.length.tolist() == [4]
    assert gemms.macs.tolist() == [40]


def test_dense_gemms_keep_their_length_and_order() -> None:
    pair = [Gemm(name, Role.FWD, 2, 3, k, 1, 6 * k) for name, k in (("a", 7), ("b", 5))]
    assert GemmArrays.of(pair).length.tolist() == [7, 5]


def test_tensors_are_gathered_with_their_matrices() -> None:
    conv = Gemm("conv", Role.FWD, 36, 4, 9, 2, 2592, Operands(left=128, right=72))
    gemms = GemmArrays.of([conv, Gemm("fc", Role.FWD, 2, 3, 5, 1, 30)]).with_axes(1)
    assert gemms.left_elements.tolist() == [[128], [10]]
    assert gemms.right_elements.tolist() == [[72], [15]]


def test_no_gemms_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one GEMM is needed, got none"):
        GemmArrays.of([])
