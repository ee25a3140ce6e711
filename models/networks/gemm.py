"""One matrix product of a training step: what the theory, the cost model and the probes all see."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """The three GEMMs of a layer's training step."""

    FWD = "FWD"  #: activations
    BWD = "BWD"  #: errors (gradient with respect to the layer's input)
    GRAD = "GRAD"  #: gradient with respect to the weights


class Operands(NamedTuple):
    """Distinct values that the factors of a GEMM have in memory, over all ``count`` products."""

    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Gemm:
    """``count`` independent products of a ``rows × length`` by a ``length × cols`` matrix.

    ``length`` is the accumulation length n of the theory. Structural zeros (the ones that a strided
    convolution inserts into its error pass) count in ``length`` but not in ``macs``.

    ``operands`` says how much of memory the two matrices really are: that of a convolution repeats
    each input in all the windows that it lies in, but memory holds it once.

    >>> Gemm("fc", Role.FWD, rows=256, cols=1000, length=512, count=1, macs=131_072_000).share
    1.0
    >>> conv = Gemm("conv", Role.FWD, rows=36, cols=1, length=9, count=1, macs=324,
    ...             operands=Operands(left=64, right=9))
    >>> conv.left_elements, conv.right_elements, conv.out_elements
    (64, 9, 36)
    """

    layer: str
    role: Role
    rows: int
    cols: int
    length: int
    count: int
    macs: int  #: products that are not structurally zero, over all ``count`` matrices
    operands: Operands | None = None  #: None: the matrices as they are, less structural zeros

    def __post_init__(self) -> None:
        sizes = (self.rows, self.cols, self.length, self.count, self.macs)
        if min(sizes) < 1:
            raise ValueError(
                f"GEMM {self.layer}/{self.role}: rows, cols, length, count and macs"
                f" must be at least 1, got {sizes}"
            )
        if self.macs > self.rows * self.cols * self.length * self.count:
            raise ValueError(
                f"GEMM {self.layer}/{self.role}: {self.macs} macs do not fit"
                f" {self.count} × {self.rows} × {self.cols} × {self.length}"
            )
        if self.operands is not None:
            self._check_operand("left", self.operands.left, self.rows)
            self._check_operand("right", self.operands.right, self.cols)

    def _check_operand(self, side: str, elements: int, lines: int) -> None:
        entries = self.count * lines * self.length
        if not 1 <= elements <= entries:
            raise ValueError(
                f"GEMM {self.layer}/{self.role}: {side} operand must have 1..{entries} elements,"
                f" as its {self.count} × {lines} × {self.length} matrix, got {elements}"
            )

    @property
    def share(self) -> float:
        """Share of the products that are not structurally zero."""
        return self.macs / (self.rows * self.cols * self.length * self.count)

    @property
    def effective_length(self) -> int:
        """Products per output if structural zeros are skipped, ``⌈macs / outputs⌉``."""
        return -(-self.macs // self.out_elements)

    @property
    def left_elements(self) -> int:
        """Distinct values of the left factor in memory, over all ``count`` products."""
        if self.operands is None:
            return self.count * self.rows * self.effective_length
        return self.operands.left

    @property
    def right_elements(self) -> int:
        """Distinct values of the right factor in memory, over all ``count`` products."""
        if self.operands is None:
            return self.count * self.effective_length * self.cols
        return self.operands.right

    @property
    def out_elements(self) -> int:
        """Values of the result, over all ``count`` products."""
        return self.count * self.rows * self.cols

    @property
    def shape(self) -> tuple[Role, int, int, int, int, int, Operands]:
        """Everything but the layer's name: GEMMs of one shape have one requirement and one cost."""
        operands = Operands(self.left_elements, self.right_elements)
        return (self.role, self.rows, self.cols, self.length, self.count, self.macs, operands)
