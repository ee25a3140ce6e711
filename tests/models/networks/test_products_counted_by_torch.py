"""Lengths and products against torch: its counter of operations, and sums of ones."""

from math import gcd, prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.networks.catalog import CATALOG
from models.networks.fields import as_pair
from models.networks.gemm import Role
from models.networks.layers import Conv2d, MatMul
from models.networks.transformers import LlamaShape, llama


def forward_macs(module: nn.Module, inputs: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(inputs)
    return int(counter.get_total_flops()) // 2


def module_of(layer: Conv2d) -> nn.Conv2d:
    return nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        as_pair(layer.kernel),
        as_pair(layer.stride),
        as_pair(layer.padding),
        as_pair(layer.dilation),
        layer.groups,
        layer.bias,
        dtype=torch.float64,
    )


def conv(
    channels: tuple[int, int],
    kernel: int | tuple[int, int],
    side: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Conv2d:
    return Conv2d(
        name="conv",
        in_channels=channels[0],
        out_channels=channels[1],
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        in_size=(side, side + 1),
    )


CONVOLUTIONS = [
    conv((3, 4), 3, side=8),
    conv((3, 4), 3, side=8, padding=1),
    conv((4, 6), 1, side=7),
    conv((4, 6), 1, side=7, stride=2),
    conv((4, 6), 3, side=9, stride=2, padding=1),
    conv((3, 8), 7, side=20, stride=2, padding=3),
    conv((3, 8), 11, side=35, stride=4, padding=2),
    conv((6, 6), 3, side=9, padding=1, groups=6),
    conv((6, 12), 3, side=9, stride=2, padding=1, groups=3),
    conv((4, 6), 3, side=16, padding=2, dilation=2),
    conv((4, 6), 5, side=24, stride=2, dilation=2),
    conv((4, 6), 5, side=24, stride=4, dilation=2),
    conv((4, 6), (1, 3), side=9, stride=3),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_macs_and_parameters_of_a_convolution_are_torchs(layer: Conv2d) -> None:
    module = module_of(layer)
    inputs = torch.ones(2, layer.in_channels, *layer.in_size, dtype=torch.float64)
    assert module(inputs).shape[2:] == layer.out_size
    assert forward_macs(module, inputs) == 2 * layer.macs
    assert sum(p.numel() for p in module.parameters()) == layer.parameters


@settings(max_examples=50)
@given(
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    steps=st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    bias=st.booleans(),
)
def test_macs_of_any_convolution_are_torchs(
    groups: int,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    steps: tuple[int, int, int],
    bias: bool,
) -> None:
    pair = (groups * channels[0], groups * channels[1])
    layer = conv(pair, kernel, 10, *steps, groups).model_copy(update={"bias": bias})
    inputs = torch.ones(1, layer.in_channels, *layer.in_size, dtype=torch.float64)
    assert forward_macs(module_of(layer), inputs) == layer.macs


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_lengths_of_a_convolution_are_its_numbers_of_products(layer: Conv2d) -> None:
    """With every value 1, a sum is the number of its products."""
    batch = 3
    module = module_of(layer)
    nn.init.ones_(module.weight)
    inputs = torch.ones(
        batch, layer.in_channels, *layer.in_size, dtype=torch.float64, requires_grad=True
    )
    outputs = module(inputs)
    outputs.backward(torch.ones_like(outputs))
    assert inputs.grad is not None
    assert module.weight.grad is not None
    lengths = {gemm.role: gemm.length for gemm in layer.gemms(batch)}
    assert outputs.max() == lengths[Role.FWD]
    assert module.weight.grad.max() == lengths[Role.GRAD]
    assert inputs.grad.max() == lengths[Role.BWD] // layer.window * taps_that_meet(layer)
    if as_pair(layer.stride) == (1, 1):
        assert inputs.grad.max() == lengths[Role.BWD]
    if as_pair(layer.padding) == (0, 0):
        assert inputs.grad.sum() == outputs.sum() == batch * layer.macs


def taps_that_meet(layer: Conv2d) -> int:
    """Kernel taps at one input that meet no inserted zero: every stride/gcd(stride, dilation)th."""
    axes = zip(*(as_pair(f) for f in (layer.kernel, layer.stride, layer.dilation)), strict=True)
    return prod(
        -(-kernel // (stride // gcd(stride, dilation))) for kernel, stride, dilation in axes
    )


def test_the_probe_network_is_the_torch_network_of_that_name() -> None:
    network = CATALOG["digits-cnn"]()
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    assert forward_macs(module, torch.ones(1, 1, 8, 8)) == network.macs
    assert sum(p.numel() for p in module.parameters()) == network.parameters


def test_lengths_of_grouped_query_attention_are_its_numbers_of_products() -> None:
    heads, shared, tokens, width = 8, 2, 5, 3
    shape = LlamaShape(1, 16, 24, heads, shared, head_dim=width, vocabulary=11)
    layers = {part.name: part for part in llama("tiny", "a test", shape, tokens, batch=1).layers}
    query = torch.ones(heads, tokens, width, requires_grad=True)
    key = torch.ones(shared, tokens, width, requires_grad=True)
    keys = key.repeat_interleave(heads // shared, dim=0)
    assert sums_of_ones(query, keys.transpose(1, 2), leaves=(query, key)) == lengths_of(
        layers["model.layers.0.self_attn.qk"]
    )
    weights = torch.ones(heads, tokens, tokens, requires_grad=True)
    value = torch.ones(shared, tokens, width, requires_grad=True)
    values = value.repeat_interleave(heads // shared, dim=0)
    assert sums_of_ones(weights, values, leaves=(weights, value)) == lengths_of(
        layers["model.layers.0.self_attn.pv"]
    )


def lengths_of(layer: object) -> list[int]:
    assert isinstance(layer, MatMul)
    return [gemm.length for gemm in layer.gemms(batch=1)]


def sums_of_ones(
    left: torch.Tensor, right: torch.Tensor, leaves: tuple[torch.Tensor, torch.Tensor]
) -> list[int]:
    result = left @ right
    gradients = torch.autograd.grad(result, leaves, torch.ones_like(result))
    return [int(part.max()) for part in (result, *gradients)]
