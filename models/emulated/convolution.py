"""Convolution whose three GEMMs are emulated, over windows that are never written down (im2col).

Per group, and in this order of K, which the rounding of a sum depends on:

- FWD: weights (C_out, K) by windows of the input (K, B·H_out·W_out); K is input channel, then
  kernel row and column, as in ``torch.nn.functional.unfold``;
- BWD: turned weights (C_in, K) by windows of the errors (K, B·H_in·W_in); K is output channel,
  then kernel row and column of the turned kernel, over the errors with ``stride − 1`` zeros between
  them. The zeros count in K, and so in a chunk, as they do in an array that walks the dense
  transposed convolution; adding zero rounds nothing;
- GRAD: errors (C_out, K) by windows of the input (K, C_in·kh·kw); K is sample, then output row and
  column.

These are the products of a fully connected layer, transposed: where an accumulator tells its a from
its b, the input, the errors and the input are a here, too. Operands, types, bias, ``rng`` (with
samples for rows) and ``threads`` are as in :mod:`models.emulated.functions`. What is drawn depends
on the result's channel (row) and its sample, height and width (column).

Memory beside arguments and result, whatever the kernel's size, of one GEMM at a time: both operands
as they are rounded, the image once more with its zeros, the left factor twice more, the sums of one
group, 8 bytes for every row and column of the windows, and what is packed of them: 1 MiB for each
thread, or 0.1 GiB (of a tree without chunks: 64 columns) where only the general kernels are exact.
Stochastic rounding keeps 64 MiB of hashes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from analysis.draws import Stream
from models.emulated.arithmetic import Call, LayerArithmetic, Rng, call_of, mirrored
from models.emulated.functions import widened
from models.emulated.product import Windows, product, quantized
from models.emulated.windows import Axis, Geometry, windows_of
from models.networks.fields import pair_from
from models.networks.gemm import Role

Pair = int | tuple[int, ...]


def _by_group(
    left: Sequence[Tensor], right: Sequence[Windows], call: Call, role: Role, draws: Stream
) -> Iterator[Tensor]:
    """Each group's matrix (M, K) by its windows (K, N)."""
    accumulator = mirrored(call.of(role).accumulator)
    for group, (rows, windows) in enumerate(zip(left, right, strict=True)):
        place = draws.at(row=group * rows.shape[0])
        yield product(rows, windows, accumulator, place, call.threads)


def _images(
    left: Sequence[Tensor],
    right: Sequence[Windows],
    size: tuple[int, int, int],
    call: Call,
    role: Role,
) -> Tensor:
    """These products as images (B, groups · M, H, W), where ``size`` is (B, H, W)."""
    (batch, height, width), rows = size, left[0].shape[0]
    draws = call.draws(role)
    place = Stream(draws.seed, column=draws.row * height * width)
    out = left[0].new_empty((batch, len(left), rows, height, width))
    for group, sums in enumerate(_by_group(left, right, call, role, place)):
        out[:, group] = sums.reshape(rows, *size).transpose(0, 1)
    return out.flatten(1, 2)


def _fwd(x: Tensor, weight: Tensor, geometry: Geometry, call: Call) -> Tensor:
    (high, wide), groups = geometry.axes, geometry.groups
    image, filters = quantized(call, Role.FWD, x, weight)
    right = windows_of(image, geometry.over_input(), groups)
    left = filters.flatten(1).tensor_split(groups)
    return _images(left, right, (x.shape[0], high.out, wide.out), call, Role.FWD)


def _bwd(errors: Tensor, weight: Tensor, geometry: Geometry, call: Call) -> Tensor:
    (high, wide), groups = geometry.axes, geometry.groups
    image, filters = quantized(call, Role.BWD, errors, weight)
    right = windows_of(image, geometry.over_errors(), groups)
    turned = filters.flip(2, 3).tensor_split(groups)
    left = [part.transpose(0, 1).flatten(1) for part in turned]
    return _images(left, right, (errors.shape[0], high.size, wide.size), call, Role.BWD)


def _grad(x: Tensor, errors: Tensor, geometry: Geometry, call: Call) -> Tensor:
    """(C_out, C_in/groups · kh · kw)."""
    image, flat = quantized(call, Role.GRAD, x, errors)
    right = [one.mT for one in windows_of(image, geometry.over_input(), geometry.groups)]
    left = flat.transpose(0, 1).flatten(1).tensor_split(geometry.groups)
    return torch.cat(list(_by_group(left, right, call, Role.GRAD, call.draws(Role.GRAD))))


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: Geometry, call: Call) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.call = geometry, call
        return _fwd(x, weight, geometry, call).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, errors: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        below = gradient = None
        if ctx.needs_input_grad[0]:
            below = _bwd(errors, weight, ctx.geometry, ctx.call).to(x.dtype)
        if ctx.needs_input_grad[1]:
            gradient = _grad(x, errors, ctx.geometry, ctx.call).to(x.dtype).reshape(weight.shape)
        return below, gradient, None, None


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arithmetic: LayerArithmetic,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    rng: Rng | None = None,
    threads: int | None = None,
) -> Tensor:
    """``x`` (B, C_in, H, W) under windows of ``weight`` (C_out, C_in/groups, kh, kw).

    Plus ``bias`` (C_out); (B, C_out, H_out, W_out). One image may come without its axis B. The rest
    is as of ``torch.nn.functional.conv2d``; ``padding`` is of zeros and the same on both sides.

    Raises:
        TypeError, ValueError: as :func:`models.emulated.functions.matmul`, or shapes do not match.
    """
    if x.ndim == 3:
        given = {"stride": stride, "padding": padding, "dilation": dilation}
        batch = conv2d(
            x[None], weight, bias, arithmetic, **given, groups=groups, rng=rng, threads=threads
        )
        return batch[0]
    pairs = _pair("stride", stride, 1), _pair("padding", padding, 0), _pair("dilation", dilation, 1)
    _check(x, weight, groups)
    sizes = zip(x.shape[2:], weight.shape[2:], *pairs, strict=True)
    high, wide = (Axis(*each) for each in sizes)
    geometry = Geometry((high, wide), groups)
    call = call_of("conv2d", arithmetic, rng, threads)
    x, weight = widened("conv2d", x, weight)
    out: Tensor = _Convolve.apply(x, weight, geometry, call)  # type: ignore[no-untyped-call]  # torch does not type it
    return out if bias is None else out + bias[:, None, None]


def _pair(name: str, value: Pair, low: int) -> tuple[int, int]:
    try:
        return pair_from(low)(value)
    except ValueError as error:
        raise ValueError(f"conv2d: {name} {error}") from None


def _check(x: Tensor, weight: Tensor, groups: int) -> None:
    fits = x.ndim == weight.ndim == 4 and groups >= 1 and x.shape[1] == weight.shape[1] * groups
    if not fits or weight.shape[0] % groups:
        raise ValueError(
            "conv2d: shapes must be (B, C_in, H, W) and (C_out, C_in/groups, kh, kw), got"
            f" {tuple(x.shape)} and {tuple(weight.shape)} in {groups} groups"
        )
