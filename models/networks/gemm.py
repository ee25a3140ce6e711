"""One matrix product of a training step: what the theory, the cost model and the probes all see."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The three GEMMs of a layer's training step."""

    FWD = "FWD"  #: activations
    BWD = "BWD"  #: errors (gradient with respect to the layer's input)
    GRAD = "GRAD"  #: gradient with respect to the weights


@dataclass(frozen=True, slots=True)
class Gemm:
    """``count`` independent products of a ``rows × length`` by a ``length × cols`` matrix.

    ``length`` is the accumulation length n of the theory. Structural zeros (the ones that a strided
    convolution inserts into its error pass) count in ``length`` but not in ``macs``.

    >>> Gemm("fc", Role.FWD, rows=256, cols=1000, length=512, count=1, macs=131_072_000).share
    1.0
    """

    layer: str
    role: Role
    rows: int
    cols: int
    length: int
    count: int
    macs: int  #: products that are not structurally zero, over all ``count`` matrices

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

    @property
    def share(self) -> float:
        """Share of the products that are not structurally zero."""
        return self.macs / (self.rows * self.cols * self.length * self.count)

    @property
    def shape(self) -> tuple[Role, int, int, int, int, int]:
        """Everything but the layer's name: GEMMs of one shape have one requirement and one cost."""
        return (self.role, self.rows, self.cols, self.length, self.count, self.macs)
