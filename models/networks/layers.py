"""Layers as data. From each follow the three GEMMs of its training step.

With the letters of the paper (Sakr et al., 2019, section 2): a layer multiplies activations by
weights (FWD), errors by transposed weights (BWD), and activations by errors (GRAD). Only products
of matrices are counted: the sums of a bias gradient, a norm or a softmax are no GEMM.
"""

from math import prod
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from models.networks.fields import FROZEN, Flag, Margin, Name, Pair, Size, as_pair, checked_batch
from models.networks.gemm import Gemm, Operands, Role


class Conv2d(BaseModel):
    """A two-dimensional convolution, as a GEMM over unfolded windows (im2col).

    Per group, with ``g`` groups and a ``kh × kw`` kernel, accumulation lengths are

    - FWD: ``C_in/g · kh · kw``
    - BWD: ``C_out/g · kh · kw``, of which a strided convolution fills only a part, as it inserts
      zeros between the errors (Dumoulin and Visin, 2016, section 4.5)
    - GRAD: ``batch · H_out · W_out``

    Memory holds the tensors, not the unfolded matrices: input and weights for FWD, error of the
    output and weights for BWD, input and error of the output for GRAD.

    >>> stem = Conv2d(name="conv1", in_channels=3, out_channels=64, kernel=7, stride=2, padding=3,
    ...               in_size=(224, 224), input_gradient=False)
    >>> [(gemm.role.name, gemm.length) for gemm in stem.gemms(batch=2)]
    [('FWD', 147), ('GRAD', 25088)]
    """

    model_config = FROZEN

    kind: Literal["conv2d"] = "conv2d"
    name: Name
    in_channels: Size
    out_channels: Size
    kernel: Pair  #: (height, width), or one number for both; so too stride, padding, dilation
    stride: Pair = (1, 1)
    padding: Margin = (0, 0)  #: zeros added on each side
    dilation: Pair = (1, 1)
    groups: Size = 1
    in_size: tuple[Size, Size]  #: (height, width) of the input
    bias: Flag = False
    input_gradient: Flag = True  #: whether anything before the layer learns, so that BWD is needed

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{self.name}: in_channels and out_channels must be divisible by groups,"
                f" got {self.in_channels} and {self.out_channels} in {self.groups} groups"
            )
        if min(self.out_size) < 1:
            raise ValueError(
                f"{self.name}: output must be at least 1 × 1, got {self.out_size}"
                f" from an input of {self.in_size}"
            )
        return self

    @property
    def out_size(self) -> tuple[int, int]:
        """(height, width) of the output (Dumoulin and Visin, 2016, relationship 15)."""
        return self._out(0), self._out(1)

    def _out(self, axis: int) -> int:
        fields = (self.kernel, self.stride, self.padding, self.dilation)
        kernel, stride, padding, dilation = (as_pair(field)[axis] for field in fields)
        return (self.in_size[axis] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1

    @property
    def window(self) -> int:
        """Products of one output and one input channel: ``kh · kw``."""
        return prod(as_pair(self.kernel))

    @property
    def weights(self) -> int:
        """Elements of the kernel, over all groups."""
        return self.out_channels * (self.in_channels // self.groups) * self.window

    @property
    def inputs(self) -> int:
        """Elements of the input of one sample."""
        return self.in_channels * prod(self.in_size)

    @property
    def outputs(self) -> int:
        """Elements of the output of one sample."""
        return self.out_channels * prod(self.out_size)

    @property
    def parameters(self) -> int:
        """Weights, and biases where there are any."""
        return self.weights + self.bias * self.out_channels

    @property
    def macs(self) -> int:
        """Products of the forward pass of one sample; those with padded zeros count, as usual."""
        length = self.in_channels // self.groups * self.window
        return prod(self.out_size) * self.out_channels * length

    def gemms(self, batch: int) -> tuple[Gemm, ...]:
        """FWD, BWD (unless nothing before the layer learns) and GRAD, each ``groups`` times."""
        checked_batch(batch)
        backward = (self._bwd(batch),) if self.input_gradient else ()
        return self._fwd(batch), *backward, self._grad(batch)

    def _fwd(self, batch: int) -> Gemm:
        rows, cols = batch * prod(self.out_size), self.out_channels // self.groups
        length = self.in_channels // self.groups * self.window
        stored = Operands(batch * self.inputs, self.weights)
        return self._gemm(Role.FWD, rows, cols, length, batch * self.macs, stored)

    def _bwd(self, batch: int) -> Gemm:
        rows, cols = batch * prod(self.in_size), self.in_channels // self.groups
        length = self.out_channels // self.groups * self.window
        # wide padding makes the output larger than the input: errors that met only padding are
        # not multiplied, so no more than the dense product can be due
        macs = min(batch * self.macs, rows * cols * length * self.groups)
        stored = Operands(batch * self.outputs, self.weights)
        return self._gemm(Role.BWD, rows, cols, length, macs, stored)

    def _grad(self, batch: int) -> Gemm:
        rows = self.in_channels // self.groups * self.window
        cols, length = self.out_channels // self.groups, batch * prod(self.out_size)
        stored = Operands(batch * self.inputs, batch * self.outputs)
        return self._gemm(Role.GRAD, rows, cols, length, batch * self.macs, stored)

    def _gemm(
        self, role: Role, rows: int, cols: int, length: int, macs: int, stored: Operands
    ) -> Gemm:
        """One pass over all groups.

        The right tensor is its matrix. The left one, unfolded, is mostly larger than itself; if
        not, there are values that no window meets (a stride beyond the kernel, wide padding), and
        the matrix bounds those that are read.
        """
        left = min(stored.left, self.groups * rows * length)
        operands = stored._replace(left=left)
        return Gemm(self.name, role, rows, cols, length, self.groups, macs, operands)


class Linear(BaseModel):
    """A fully connected layer, applied at ``positions`` places (tokens) of each sample.

    Accumulation lengths: FWD ``in_features``, BWD ``out_features``, GRAD ``batch · positions``.

    >>> [gemm.length for gemm in Linear(name="fc", in_features=512, out_features=10).gemms(64)]
    [512, 10, 64]
    """

    model_config = FROZEN

    kind: Literal["linear"] = "linear"
    name: Name
    in_features: Size
    out_features: Size
    positions: Size = 1  #: per sample
    bias: Flag = False
    input_gradient: Flag = True  #: whether anything before the layer learns, so that BWD is needed

    @property
    def parameters(self) -> int:
        """Weights, and biases where there are any."""
        return (self.in_features + self.bias) * self.out_features

    @property
    def macs(self) -> int:
        """Products of the forward pass of one sample."""
        return self.in_features * self.out_features * self.positions

    def gemms(self, batch: int) -> tuple[Gemm, ...]:
        """FWD, BWD (unless nothing before the layer learns) and GRAD."""
        n = checked_batch(batch) * self.positions
        x, y = self.in_features, self.out_features
        forward = _dense(self.name, Role.FWD, n, y, x)
        backward = (_dense(self.name, Role.BWD, n, x, y),) if self.input_gradient else ()
        return forward, *backward, _dense(self.name, Role.GRAD, x, y, n)


class MatMul(BaseModel):
    """A product ``C = A·B`` of two activations: ``rows × length`` by ``length × cols``.

    There are no weights: BWD is the error of A, and what is called GRAD is here the error of B,
    an activation too. Accumulation lengths: FWD ``length``, BWD ``cols``, GRAD ``rows``. Each
    sample has ``count`` such products, one for every head.

    In grouped-query attention the G query heads that share a key head are one product with
    ``G · tokens`` rows, so that the error of the shared keys sums over these heads too:

    >>> scores = MatMul(name="qk", rows=4 * 8192, cols=8192, length=128, count=8)
    >>> [gemm.length for gemm in scores.gemms(batch=1)]
    [128, 8192, 32768]
    """

    model_config = FROZEN

    kind: Literal["matmul"] = "matmul"
    name: Name
    rows: Size
    cols: Size
    length: Size
    count: Size = 1  #: per sample

    @property
    def parameters(self) -> int:
        """None: both factors are activations."""
        return 0

    @property
    def macs(self) -> int:
        """Products of the forward pass of one sample."""
        return self.rows * self.cols * self.length * self.count

    def gemms(self, batch: int) -> tuple[Gemm, ...]:
        """FWD (C), BWD (the error of A) and GRAD (the error of B)."""
        count = checked_batch(batch) * self.count
        m, n, k = self.rows, self.cols, self.length
        return (
            _dense(self.name, Role.FWD, m, n, k, count),
            _dense(self.name, Role.BWD, m, k, n, count),
            _dense(self.name, Role.GRAD, k, n, m, count),
        )


def _dense(name: str, role: Role, rows: int, cols: int, length: int, count: int = 1) -> Gemm:
    """A GEMM without structural zeros, whose matrices are the tensors."""
    return Gemm(name, role, rows, cols, length, count, macs=rows * cols * length * count)


Layer = Annotated[Conv2d | Linear | MatMul, Field(discriminator="kind")]
