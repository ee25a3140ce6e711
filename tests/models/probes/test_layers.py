from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from analysis.emulation import matmul_exact
from analysis.formats import Accumulator, Rounding, float_format
from models.networks import layers as shapes
from models.networks.fields import as_pair
from models.networks.gemm import Role
from models.probes.layers import Conv2d, Linear, unfolded
from models.probes.linear_algebra import Arithmetic

Array = npt.NDArray[Any]

#: loses nothing of the small integers that it is given here
WIDE = dict.fromkeys(Role, Arithmetic(float_format(10, 20), Accumulator(float_format(10, 40))))
BATCH = 2


def convolution(size: tuple[int, int] = (8, 7), **fields: Any) -> shapes.Conv2d:
    given: dict[str, Any] = {"in_channels": 2, "out_channels": 3, "kernel": 3, **fields}
    return shapes.Conv2d(name="conv", in_size=size, bias=True, **given)


CONVOLUTIONS = [
    convolution(),
    convolution(padding=1),
    convolution(padding=1, stride=2),  # the last column meets no window
    convolution(padding=(2, 0), stride=(3, 1), dilation=(1, 2)),
    convolution(kernel=(1, 4), padding=(1, 2), stride=2),
    convolution(kernel=1, stride=3),
    convolution(kernel=2, padding=3),  # wider than the kernel: a negative margin
]


def integers(*shape: int, seed: int = 0) -> torch.Tensor:
    values = np.random.default_rng(seed).integers(-9, 10, shape)
    return torch.from_numpy(values.astype(np.float64))


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_wide_convolution_is_that_of_torch(layer: shapes.Conv2d) -> None:
    module = Conv2d(layer, torch.float64)
    module.by_role = WIDE
    module.weight.data = integers(*module.weight.shape, seed=1)
    assert module.bias is not None
    module.bias.data = integers(layer.out_channels, seed=2)
    x = integers(BATCH, layer.in_channels, *layer.in_size, seed=3).requires_grad_()
    errors = integers(BATCH, layer.out_channels, *layer.out_size, seed=4)
    out = module(x)
    found = torch.autograd.grad(out, (x, module.weight, module.bias), errors)

    plain = [t.detach().clone().requires_grad_() for t in (x, module.weight, module.bias)]
    expected = functional.conv2d(
        plain[0],
        plain[1],
        plain[2],
        as_pair(layer.stride),
        as_pair(layer.padding),
        as_pair(layer.dilation),
    )
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(found, torch.autograd.grad(expected, plain, errors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_wide_linear_layer_is_that_of_torch() -> None:
    module = Linear(
        shapes.Linear(name="fc", in_features=7, out_features=4, bias=True), torch.float64
    )
    module.by_role = WIDE
    module.weight.data = integers(4, 7, seed=1)
    assert module.bias is not None
    module.bias.data = integers(4, seed=2)
    x, errors = integers(5, 7, seed=3).requires_grad_(), integers(5, 4, seed=4)
    found = torch.autograd.grad(module(x), (x, module.weight, module.bias), errors)
    plain = [t.detach().clone().requires_grad_() for t in (x, module.weight, module.bias)]
    expected = functional.linear(*plain)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(found, torch.autograd.grad(expected, plain, errors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_a_wide_layer_still_rounds_its_operands() -> None:
    """Against the float64 module on operands that were quantised beforehand, gradients included."""
    layer = CONVOLUTIONS[2]
    by_role = {
        role: Arithmetic(float_format(5, m_op), Accumulator(float_format(10, 44)))
        for role, m_op in ((Role.FWD, 2), (Role.BWD, 3), (Role.GRAD, 4))
    }
    module = Conv2d(layer, torch.float64)
    module.by_role = by_role
    generator = torch.Generator().manual_seed(1)
    module.weight.data.normal_(generator=generator)
    shape = (BATCH, layer.in_channels, *layer.in_size)
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    errors = torch.randn(
        (BATCH, layer.out_channels, *layer.out_size), generator=generator, dtype=torch.float64
    )
    out = module(x)
    below, weights = torch.autograd.grad(out, (x, module.weight), errors)

    def float64(role: Role) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(output, error below, weight gradient) of the quantised operands of one GEMM."""
        one = by_role[role]
        a, w, e = (
            torch.from_numpy(one.quantized(t.detach().numpy())).requires_grad_()
            for t in (x, module.weight, errors)
        )
        y = functional.conv2d(a, w, None, as_pair(layer.stride), as_pair(layer.padding))
        gradients = torch.autograd.grad(y, (a, w), e)
        return y, gradients[0], gradients[1]

    torch.testing.assert_close(out, float64(Role.FWD)[0], rtol=0, atol=1e-11)
    torch.testing.assert_close(below, float64(Role.BWD)[1], rtol=0, atol=1e-11)
    torch.testing.assert_close(weights, float64(Role.GRAD)[2], rtol=0, atol=1e-11)


def input_windows(layer: shapes.Conv2d, x: Array) -> Array:
    """im2col written out: one row per output, K in the order channel, kernel row, column."""
    kernel, stride, padding = (
        as_pair(field) for field in (layer.kernel, layer.stride, layer.padding)
    )
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    rows = []
    for b, i, j in product(range(x.shape[0]), *map(range, layer.out_size)):
        corner = [
            padded[b, c, i * stride[0] + u, j * stride[1] + v]
            for c, u, v in product(range(x.shape[1]), *map(range, kernel))
        ]
        rows.append(corner)
    return np.array(rows)


def error_windows(layer: shapes.Conv2d, errors: Array) -> Array:
    """One row per input pixel: the error that each tap of the turned kernel meets, or zero."""
    kernel, stride, padding = (
        as_pair(field) for field in (layer.kernel, layer.stride, layer.padding)
    )
    rows = []
    for b, i, j in product(range(errors.shape[0]), *map(range, layer.in_size)):
        row = []
        for c, u, v in product(range(errors.shape[1]), *map(range, kernel)):
            # turned: tap u of the dense pass is kernel row kh − 1 − u
            down = i + padding[0] - (kernel[0] - 1 - u)
            right = j + padding[1] - (kernel[1] - 1 - v)
            y, x = down // stride[0], right // stride[1]
            inside = 0 <= y < layer.out_size[0] and 0 <= x < layer.out_size[1]
            on_grid = down % stride[0] == 0 and right % stride[1] == 0
            row.append(errors[b, c, y, x] if inside and on_grid else 0.0)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("stride", [1, 2])
def test_narrow_convolution_is_the_exact_reference_bit_for_bit(
    stride: int, rounding: Rounding
) -> None:
    layer = convolution((5, 5), padding=1, stride=stride)
    by_role = {
        role: Arithmetic(
            float_format(5, m_op), Accumulator(float_format(6, m_acc), rounding, chunk)
        )
        for role, m_op, m_acc, chunk in (
            (Role.FWD, 2, 3, 4),
            (Role.BWD, 3, 4, 10),
            (Role.GRAD, 2, 2, None),
        )
    }
    module = Conv2d(layer)
    module.by_role = by_role
    generator = torch.Generator().manual_seed(5)
    module.weight.data.normal_(generator=generator)
    x = torch.randn((BATCH, 2, 5, 5), generator=generator, requires_grad=True)
    errors = torch.randn((BATCH, 3, *layer.out_size), generator=generator)
    out = module(x)
    below, weights = torch.autograd.grad(out, (x, module.weight), errors)

    def exact(role: Role, a: Array, b: Array) -> Array:
        return matmul_exact(a, b, by_role[role].accumulator)

    def quantized(role: Role, t: torch.Tensor) -> Array:
        return by_role[role].quantized(t.detach().numpy())

    w = quantized(Role.FWD, module.weight).reshape(3, -1)
    y = exact(Role.FWD, input_windows(layer, quantized(Role.FWD, x)), w.T)
    y = y.reshape(BATCH, *layer.out_size, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(out.detach().numpy(), y)

    w = quantized(Role.BWD, module.weight)[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, 2)
    e = exact(Role.BWD, error_windows(layer, quantized(Role.BWD, errors)), w)
    e = e.reshape(BATCH, 5, 5, 2).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(below.numpy(), e)

    flat = quantized(Role.GRAD, errors).transpose(1, 0, 2, 3).reshape(3, -1)
    g = exact(Role.GRAD, flat, input_windows(layer, quantized(Role.GRAD, x)))
    np.testing.assert_array_equal(weights.numpy(), g.reshape(3, 2, 3, 3))


def test_narrow_linear_layer_is_the_exact_reference_bit_for_bit() -> None:
    narrow = Arithmetic(float_format(5, 2), Accumulator(float_format(6, 3), chunk=4))
    module = Linear(shapes.Linear(name="fc", in_features=10, out_features=6))
    module.by_role = dict.fromkeys(Role, narrow)
    generator = torch.Generator().manual_seed(5)
    module.weight.data.normal_(generator=generator)
    x = torch.randn((9, 10), generator=generator, requires_grad=True)
    errors = torch.randn((9, 6), generator=generator)
    out = module(x)
    below, weights = torch.autograd.grad(out, (x, module.weight), errors)
    a, w, e = (narrow.quantized(t.detach().numpy()) for t in (x, module.weight, errors))
    for found, left, right in ((out, a, w.T), (below, e, w), (weights, e.T, a)):
        expected = matmul_exact(left, right, narrow.accumulator)
        np.testing.assert_array_equal(found.detach().numpy(), expected)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_windows_are_in_the_order_of_torch_unfold(layer: shapes.Conv2d) -> None:
    kernel, stride, dilation = (
        as_pair(field) for field in (layer.kernel, layer.stride, layer.dilation)
    )
    x = integers(BATCH, 2, 9, 9)
    expected = functional.unfold(x, kernel, dilation, 0, stride)
    expected = expected.permute(1, 0, 2).reshape(expected.shape[1], -1)
    assert torch.equal(unfolded(x, kernel, stride, dilation), expected)


def test_groups_are_refused() -> None:
    grouped = convolution(in_channels=2, out_channels=4, groups=2)
    with pytest.raises(ValueError, match="conv: a probe's groups must be 1, got 2"):
        Conv2d(grouped)
