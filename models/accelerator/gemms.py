"""The GEMMs of a network as arrays, one element per GEMM."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    skipped by address generation and cost neither cycles nor traffic.
    """

    rows: IntArray
    cols: IntArray
    length: IntArray
    count: IntArray
    macs: IntArray  #: over all ``count`` products

    @classmethod
    def of(cls, gemms: Sequence[Gemm]) -> "GemmArrays":
        """Gather the GEMMs of a network, in their order.

        >>> from models.networks.gemm import Role
        >>> GemmArrays.of([Gemm("conv", Role.BWD, 2, 3, length=8, count=1, macs=12)]).length
        array([2])
        """
        if not gemms:
            raise ValueError("GEMM arrays: at least one GEMM is needed, got none")
        table = [(g.rows, g.cols, _effective_length(g), g.count, g.macs) for g in gemms]
        return cls(*np.array(table, dtype=np.int64).T)

    def with_axes(self, trailing: int) -> "GemmArrays":
        """The same GEMMs with ``trailing`` axes of size 1 for options to broadcast against."""
        shape = (-1,) + (1,) * trailing
        fields = (self.rows, self.cols, self.length, self.count, self.macs)
        return GemmArrays(*(field.reshape(shape) for field in fields))


def _effective_length(gemm: Gemm) -> int:
    return -(-gemm.macs // (gemm.rows * gemm.cols * gemm.count))
