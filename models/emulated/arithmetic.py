"""What the GEMMs of an emulated layer compute with, and what they draw from; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.draws import GOLDEN, Stream, mix64, stream_of
from analysis.formats import Accumulator, BlockFormat, FixedFormat, FloatFormat, Fused
from analysis.quantization import quantize
from models.networks.gemm import Role

Array = npt.NDArray[Any]
Rng = Stream | np.random.Generator | int

_MASK64 = (1 << 64) - 1
#: sets branched seeds apart from the keys that :mod:`analysis.draws` makes of a seed
_BRANCH = 0x6272616E63686564


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What one GEMM computes with."""

    accumulator: Accumulator
    #: both are rounded to it; None takes them as they are
    operands: FloatFormat | FixedFormat | None = None

    def quantized(self, x: Array, threads: int | None = None) -> Array:
        """``x`` (float32 or float64) rounded to the operand format, to nearest even.

        In its own type, or in float64 where float32 does not hold the format.
        """
        return x if self.operands is None else quantize(x, self.operands, threads=threads)


#: by role, of one layer; a role that is never computed may be missing
LayerArithmetic = Mapping[Role, Arithmetic]


def mirrored(accumulator: Accumulator) -> Accumulator:
    """What gives (a b)ᵀ when it sums bᵀ aᵀ, draws excepted: what it says of a, it says of b.

    >>> block = BlockFormat("mx", width_bits=20, a_fraction_bits=3, b_fraction_bits=7)
    >>> outer = Accumulator(FloatFormat("e8m23", 8, 23))
    >>> mirrored(Accumulator(block, chunk=32, outer=outer)).format.a_fraction_bits
    7
    """
    form, order = accumulator.format, accumulator.order
    if isinstance(form, BlockFormat):
        bits = form.a_fraction_bits, form.b_fraction_bits
        form = replace(form, a_fraction_bits=bits[1], b_fraction_bits=bits[0])
    if isinstance(order, Fused) and order.least_exponents is not None:
        order = replace(order, least_exponents=order.least_exponents[::-1])
    return replace(accumulator, format=form, order=order)


def branched(seed: int, *path: int) -> int:
    """A seed of its own for every path (a step, then a layer, say) from ``seed``; 64 bits.

    >>> branched(7) == 7
    True
    >>> len({branched(7, step, layer) for step in range(100) for layer in range(100)})
    10000
    """
    for turn in path:
        seed = mix64(mix64(seed ^ _BRANCH) + (turn + 1) * GOLDEN & _MASK64)
    return seed


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an emulated function, with the gradients that follow from it.

    ``stream.row`` counts the rows (of a convolution: samples) that came before in the batch.

    Raises:
        ValueError: stochastic rounding has nothing to draw from, or the stream a column or step.
    """

    function: str  #: its name, for errors
    arithmetic: LayerArithmetic
    stream: Stream | None
    threads: int | None

    def __post_init__(self) -> None:
        chancy = [str(r) for r, one in self.arithmetic.items() if one.accumulator.stochastic]
        if chancy and self.stream is None:
            raise ValueError(
                f"{self.function}: stochastic rounding ({', '.join(chancy)}) needs rng, got None"
            )
        if self.stream is not None and (self.stream.column or self.stream.step):
            raise ValueError(f"{self.function}: rng must have column and step 0, got {self.stream}")

    def of(self, role: Role) -> Arithmetic:
        """The arithmetic of ``role``.

        Raises:
            ValueError: there is none.
        """
        try:
            return self.arithmetic[role]
        except KeyError:
            given = ", ".join(self.arithmetic) or "none"
            raise ValueError(
                f"{self.function}: arithmetic must have the role {role}, got {given}"
            ) from None

    def draws(self, role: Role) -> Stream:
        """What ``role`` draws from: a seed of its own, and where in the batch this call begins.

        GRAD sums over the rows of the batch, so that it has no result for each: there every piece
        of a batch has its own seed instead.
        """
        stream = self.stream or Stream(0)
        seed = branched(stream.seed, list(Role).index(role))
        if role is Role.GRAD:
            return Stream(branched(seed, stream.row))
        return Stream(seed, row=stream.row)


def call_of(
    function: str, arithmetic: LayerArithmetic, rng: Rng | None, threads: int | None
) -> Call:
    """The call that a public function's arguments ask for."""
    return Call(function, arithmetic, None if rng is None else stream_of(rng), threads)
