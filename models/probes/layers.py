"""Convolution and fully connected layer whose three GEMMs run in emulated arithmetic.

Orders of K, which the rounding of a sum depends on:

- FWD: input channel, then kernel row and column (im2col as ``torch.nn.functional.unfold``);
- BWD: output channel, then kernel row and column of the turned kernel, over the errors with
  ``stride − 1`` zeros between them. The zeros count in K, and so in a chunk, as they do in an array
  that walks the dense transposed convolution; adding zero rounds nothing;
- GRAD: sample, then output row and column.

Operands are quantised before they are unfolded, which only copies them. Bias and its gradient are
float32, outside any GEMM.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import layers as shapes
from models.networks.fields import as_pair
from models.networks.gemm import Role
from models.probes.linear_algebra import Arithmetic, LayerArithmetic


def _quantized(x: Tensor, arithmetic: Arithmetic) -> Tensor:
    return torch.from_numpy(arithmetic.quantized(x.detach().contiguous().numpy()))


def _product(a: Tensor, b: Tensor, arithmetic: Arithmetic) -> Tensor:
    return torch.from_numpy(arithmetic.product(a.numpy(), b.numpy()))


def _images(matrix: Tensor, batch: int, size: tuple[int, int]) -> Tensor:
    """(C, B·H·W) as (B, C, H, W)."""
    return matrix.reshape(-1, batch, *size).transpose(0, 1).contiguous()


def unfolded(
    x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    """The windows of (B, C, H, W) as columns (C·kh·kw, B·H_out·W_out): a view, copied once.

    As ``torch.nn.functional.unfold``, with the samples side by side, and a few times faster.
    """
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        x = x.unfold(2 + axis, reach, stride[axis])
    windows = x[..., :: dilation[0], :: dilation[1]]
    return windows.permute(1, 4, 5, 0, 2, 3).reshape(x.shape[1] * kernel[0] * kernel[1], -1)


def _windows(x: Tensor, layer: shapes.Conv2d) -> Tensor:
    """Columns (C_in·kh·kw, B·H_out·W_out) of the input."""
    high, wide = as_pair(layer.padding)
    padded = functional.pad(x, (wide, wide, high, high))
    return unfolded(padded, *(as_pair(f) for f in (layer.kernel, layer.stride, layer.dilation)))


def _error_windows(errors: Tensor, layer: shapes.Conv2d) -> Tensor:
    """Columns (C_out·kh·kw, B·H_in·W_in) of the errors, zeros inserted and padded."""
    stride, dilation = as_pair(layer.stride), as_pair(layer.dilation)
    kernel, padding = as_pair(layer.kernel), as_pair(layer.padding)
    spread = [(size - 1) * step + 1 for size, step in zip(errors.shape[2:], stride, strict=True)]
    dense = errors.new_zeros((*errors.shape[:2], *spread))
    dense[:, :, :: stride[0], :: stride[1]] = errors
    margins: list[int] = []
    for axis in (1, 0):  # pad wants the last axis first, and crops where a margin is negative
        before = dilation[axis] * (kernel[axis] - 1) - padding[axis]
        margins += [before, layer.in_size[axis] + padding[axis] - spread[axis]]
    return unfolded(functional.pad(dense, margins), kernel, (1, 1), dilation)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, layer: shapes.Conv2d, by_role: LayerArithmetic
    ) -> Tensor:
        fwd = by_role[Role.FWD]
        windows = _windows(_quantized(x, fwd), layer)
        ctx.save_for_backward(x, weight, windows)
        ctx.layer, ctx.by_role = layer, by_role
        sums = _product(_quantized(weight, fwd).flatten(1), windows, fwd)
        return _images(sums, x.shape[0], layer.out_size)

    @staticmethod
    def backward(ctx: Any, errors: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight, windows = ctx.saved_tensors
        below = (
            _convolve_back(errors, weight, ctx.layer, ctx.by_role[Role.BWD])
            if ctx.needs_input_grad[0]
            else None
        )
        grad = ctx.by_role[Role.GRAD]
        flat = _quantized(errors, grad).transpose(0, 1).flatten(1)
        if grad.operands != ctx.by_role[Role.FWD].operands:
            windows = _windows(_quantized(x, grad), ctx.layer)
        return below, _product(flat, windows.T, grad).reshape(weight.shape), None, None


def _convolve_back(errors: Tensor, weight: Tensor, layer: shapes.Conv2d, bwd: Arithmetic) -> Tensor:
    turned = _quantized(weight, bwd).flip(2, 3).transpose(0, 1).flatten(1)
    windows = _error_windows(_quantized(errors, bwd), layer)
    return _images(_product(turned, windows, bwd), errors.shape[0], layer.in_size)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, by_role: LayerArithmetic) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.by_role = by_role
        fwd = by_role[Role.FWD]
        return _product(_quantized(x, fwd), _quantized(weight, fwd).T, fwd)

    @staticmethod
    def backward(ctx: Any, errors: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        below = None
        if ctx.needs_input_grad[0]:
            bwd = ctx.by_role[Role.BWD]
            below = _product(_quantized(errors, bwd), _quantized(weight, bwd), bwd)
        grad = ctx.by_role[Role.GRAD]
        return below, _product(_quantized(errors, grad).T, _quantized(x, grad), grad), None


class Conv2d(nn.Module):
    """A convolution of the shape ``layer``; set ``by_role`` before it is used."""

    def __init__(self, layer: shapes.Conv2d, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if layer.groups != 1:
            raise ValueError(f"{layer.name}: a probe's groups must be 1, got {layer.groups}")
        self.layer = layer
        self.by_role: LayerArithmetic = {}
        shape = (layer.out_channels, layer.in_channels, *as_pair(layer.kernel))
        self.weight = nn.Parameter(torch.zeros(shape, dtype=dtype))
        self.bias = (
            nn.Parameter(torch.zeros(layer.out_channels, dtype=dtype)) if layer.bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H_out, W_out)."""
        out: Tensor = _Convolve.apply(x, self.weight, self.layer, self.by_role)  # type: ignore[no-untyped-call]  # torch does not type it
        return out if self.bias is None else out + self.bias.reshape(-1, 1, 1)


class Linear(nn.Module):
    """A fully connected layer of the shape ``layer``; set ``by_role`` before it is used."""

    def __init__(self, layer: shapes.Linear, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layer = layer
        self.by_role: LayerArithmetic = {}
        shape = (layer.out_features, layer.in_features)
        self.weight = nn.Parameter(torch.zeros(shape, dtype=dtype))
        self.bias = (
            nn.Parameter(torch.zeros(layer.out_features, dtype=dtype)) if layer.bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) to (B, out_features)."""
        out: Tensor = _Multiply.apply(x, self.weight, self.by_role)  # type: ignore[no-untyped-call]  # torch does not type it
        return out if self.bias is None else out + self.bias
