"""The GEMMs of a network as arrays, one element per GEMM."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.networks.gemm import Gemm

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]


def ceil_div(numerator: IntArray, denominator: IntArray | int) -> IntArray:
    """``⌈a / b⌉`` in integers, exact where a float quotient is not.

    >>> ceil_div(np.array([8, 9]), 4)
    array([2, 3])
    """
    quotient: IntArray = -(-numerator // denominator)
    return quotient


@dataclass(frozen=True, slots=True, eq=False)
class GemmArrays:
    """``count`` products of ``rows × length`` by ``length × cols`` for each GEMM, shape ``(G,)``.

    ``length`` is the *effective* one, ``⌈macs / (rows · cols · count)⌉``: structural zeros are
    skipped by address generation and cost neither cycles nor traffic. The matrices of a
    convolution are larger than the tensors they are unfolded from: the last two fields.
    """

    rows: IntArray
    cols: IntArray
    length: IntArray
    count: IntArray
    macs: IntArray  #: over all ``count`` products
    left_elements: IntArray  #: distinct values in memory, over all ``count`` products
    right_elements: IntArray

    @classmethod
    def of(cls, gemms: Sequence[Gemm]) -> "GemmArrays":
        """Gather the GEMMs of a network, in their order.

        >>> from models.networks.gemm import Role
        >>> GemmArrays.of([Gemm("conv", Role.BWD, 2, 3, length=8, count=1, macs=12)]).length
        array([2])
        """
        if not gemms:
            raise ValueError("GEMM arrays: at least one GEMM is needed, got none")
        return cls(*np.array([_row(gemm) for gemm in gemms], dtype=np.int64).T)

    def with_axes(self, trailing: int) -> "GemmArrays":
        """The same GEMMs with ``trailing`` axes of size 1 for options to broadcast against."""
        shape = (-1,) + (1,) * trailing
        return GemmArrays(*(getattr(self, field.name).reshape(shape) for field in fields(self)))


def _row(gemm: Gemm) -> tuple[int, ...]:
    sizes = (gemm.rows, gemm.cols, gemm.effective_length, gemm.count, gemm.macs)
    return (*sizes, gemm.left_elements, gemm.right_elements)
