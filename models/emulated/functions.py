"""Matrix products and fully connected layers whose gradients are emulated products, too.

``c = a b`` has three GEMMs, each with an accumulator and an operand format of its own:

- FWD: ``a b``, K along the rows of b;
- BWD, the gradient of a: ``dc bᵀ``, K along the columns of b;
- GRAD, the gradient of b: ``aᵀ dc``, K along the rows of a.

A factor that was broadcast along axes of the batch has one gradient for all of it: in its sum these
axes come before K. ``linear`` is ``x Wᵀ``, so that its GRAD sums over all samples (and tokens), in
order. Each GEMM rounds its operands anew, to nearest even. A bias and its gradient are torch's own
sums in the type of the result, outside any GEMM.

Operands may be float32 and float64, and float16 and bfloat16, which are taken as the float32 that
they are: the result is float32, or float64 if an operand is, and a sum wider than that is rounded
to it as it leaves the accumulator. torch rounds the gradient of a narrower tensor to that tensor's
type. Gradients cannot be differentiated again.

Stochastic rounding draws from ``rng``: a seed, a generator, or a :class:`~analysis.draws.Stream`
whose row says how many rows (in a batch of matrices: of all of them) came before, which makes the
pieces of a batch have the FWD and BWD of the whole. Each role has a seed of its own, branched from
it. Results do not depend on ``threads`` (None: all cores).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.emulated.arithmetic import Call, LayerArithmetic, Rng, call_of
from models.emulated.product import product, quantized
from models.networks.gemm import Role

_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def widened(function: str, *operands: Tensor) -> tuple[Tensor, ...]:
    """The operands in one type, float32 or float64, that holds them all.

    Raises:
        TypeError: an operand has another type than the four that are taken.
    """
    for operand in operands:
        if operand.dtype not in _TYPES:
            raise TypeError(
                f"{function}: operands must be float16, bfloat16, float32 or float64,"
                f" got {operand.dtype}"
            )
    wide = any(operand.dtype is torch.float64 for operand in operands)
    return tuple(operand.to(torch.float64 if wide else torch.float32) for operand in operands)


def _gemm(left: Tensor, right: Tensor, call: Call, role: Role) -> Tensor:
    a, b = quantized(call, role, left, right)
    sums = product(a, b, call.of(role).accumulator, call.draws(role), call.threads)
    return sums.to(left.dtype)


def _joined(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """(*batch, K, N) with some axes of the batch joined to K, before it."""
    batch = x.ndim - 2
    first = batch - len(axes)
    return x.movedim(axes, tuple(range(first, batch))).flatten(first, batch)


def _gradient(turned: Tensor, right: Tensor, factor: torch.Size, call: Call, role: Role) -> Tensor:
    """``turnedᵀ right``, summed over the axes along which a factor of this shape was broadcast."""
    ndim = max(turned.ndim, right.ndim)
    turned, right = (x[(None,) * (ndim - x.ndim)] for x in (turned, right))
    batch = np.broadcast_shapes(turned.shape[:-2], right.shape[:-2])
    own = (1,) * (ndim - len(factor)) + factor[:-2]
    axes = tuple(axis for axis, size in enumerate(batch) if own[axis] == 1 and size != 1)
    sums = _gemm(_joined(turned, axes).mT, _joined(right, axes), call, role)
    return sums.reshape(factor)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, call: Call) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.call = call
        return _gemm(a, b, call, Role.FWD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, errors: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b = ctx.saved_tensors
        needs_a, needs_b, _ = ctx.needs_input_grad
        return (
            _gradient(errors.mT, b.mT, a.shape, ctx.call, Role.BWD) if needs_a else None,
            _gradient(a, errors, b.shape, ctx.call, Role.GRAD) if needs_b else None,
            None,
        )


def _multiply(a: Tensor, b: Tensor, call: Call) -> Tensor:
    a, b = widened(call.function, a, b)
    out: Tensor = _Multiply.apply(a, b, call)  # type: ignore[no-untyped-call]  # torch does not type it
    return out


def matmul(
    a: Tensor,
    b: Tensor,
    arithmetic: LayerArithmetic,
    *,
    rng: Rng | None = None,
    threads: int | None = None,
) -> Tensor:
    """``a`` (..., M, K) times ``b`` (..., K, N), leading axes broadcast; (..., M, N).

    >>> from analysis.formats import Accumulator, float_format
    >>> from models.emulated.arithmetic import Arithmetic
    >>> ones = torch.ones(1, 100)
    >>> narrow = {Role.FWD: Arithmetic(Accumulator(float_format(6, 3)))}
    >>> matmul(ones, ones.T, narrow).tolist()  # 16 + 1 rounds to 16
    [[16.0]]

    Raises:
        TypeError: an operand is no floating-point tensor, or wider than float64.
        ValueError: shapes do not match, a role is computed that ``arithmetic`` lacks, stochastic
            rounding has no ``rng``, or operands are too wide for exact products.
    """
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: shapes must be (..., M, K) and (..., K, N), got {tuple(a.shape)} and"
            f" {tuple(b.shape)}"
        )
    return _multiply(a, b, call_of("matmul", arithmetic, rng, threads))


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arithmetic: LayerArithmetic,
    *,
    rng: Rng | None = None,
    threads: int | None = None,
) -> Tensor:
    """``x`` (..., in) times ``weight`` (out, in) transposed, plus ``bias`` (out); (..., out).

    Raises:
        TypeError, ValueError: as :func:`matmul`.
    """
    if x.ndim < 1 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: shapes must be (..., in) and (out, in), got {tuple(x.shape)} and"
            f" {tuple(weight.shape)}"
        )
    call = call_of("linear", arithmetic, rng, threads)
    rows = x.reshape(-1, x.shape[-1]) if x.ndim < 2 else x
    out = _multiply(rows, weight.mT, call).reshape(*x.shape[:-1], weight.shape[0])
    return out if bias is None else out + bias
