"""A torch network from the layers of a :class:`~models.networks.network.Network`, as they are."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from models.emulated import Conv2d, Emulation, LayerArithmetic, Linear, branched
from models.networks import layers as shapes
from models.networks.fields import as_pair
from models.networks.network import Network
from models.plan import Plan

Size = tuple[int, ...]  #: of one sample


class ProbeNetwork(nn.Module):
    """Convolutions, then fully connected layers, with a ReLU after each but the last.

    Raises:
        ValueError: a layer does not take what the one before it gives, or is of another kind.
    """

    def __init__(self, network: Network, image: Size) -> None:
        super().__init__()
        self.weighted: dict[str, Conv2d | Linear] = {}
        size = image
        for layer in network.layers:
            module = self.weighted[layer.name] = _module(layer)
            size = _output_size(layer, size)
            self.add_module(layer.name.replace(".", "_"), module)
        self.output_size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) to the scores of the last layer."""
        for number, module in enumerate(self.weighted.values()):
            if isinstance(module, Linear):
                x = x.flatten(1)
            x = module(torch.relu(x) if number else x)
        return x

    def initialise(self, seed: int) -> None:
        """Gaussian weights of variance 2/fan_in (He et al., ICCV 2015, equation 10); biases 0."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in self.weighted.values():
                fan_in = math.prod(module.weight.shape[1:])
                module.weight.normal_(0.0, math.sqrt(2.0 / fan_in), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()

    def use(self, table: Mapping[str, LayerArithmetic], seed: int) -> None:
        """Compute with ``table`` (by layer and role) from now on, drawing from ``seed``.

        On one thread: probes share out the cores among processes.
        """
        for number, (name, module) in enumerate(self.weighted.items()):
            module.emulation = Emulation(table[name], branched(seed, number), threads=1)


def _module(layer: shapes.Layer) -> Conv2d | Linear:
    """The layer in torch; its arithmetic is set before every step."""
    match layer:
        case shapes.Conv2d():
            fields = (layer.kernel, layer.stride, layer.padding, layer.dilation)
            sizes = (layer.in_channels, layer.out_channels, *map(as_pair, fields))
            return Conv2d(*sizes, layer.groups, layer.bias, emulation=Emulation({}))
        case shapes.Linear():
            sizes = (layer.in_features, layer.out_features)
            return Linear(*sizes, layer.bias, emulation=Emulation({}))
        case _:
            raise ValueError(f"{layer.name}: a probe's layer must be conv2d or linear, got matmul")


def _output_size(layer: shapes.Layer, size: Size) -> Size:
    """What ``layer`` makes of a sample of ``size``."""
    if isinstance(layer, shapes.Conv2d):
        _check_input(layer.name, (layer.in_channels, *layer.in_size), size)
        return layer.out_channels, *layer.out_size
    assert isinstance(layer, shapes.Linear)
    _check_input(layer.name, (layer.in_features,), (math.prod(size),))
    return (layer.out_features,)


def _check_input(name: str, wanted: Size, given: Size) -> None:
    if wanted != given:
        raise ValueError(f"{name}: input must be {wanted}, got {given}")


def check_plan(plan: Plan, network: Network) -> None:
    """Raise ValueError unless ``plan`` has each GEMM of ``network``, with its length."""
    wanted = {(gemm.layer, gemm.role): gemm.length for gemm in network.gemms(plan.batch)}
    given = {(gemm.layer, gemm.role): gemm.length for gemm in plan.gemms}
    for layer, role in (*wanted, *given):
        need, got = wanted.get((layer, role)), given.get((layer, role))
        if need != got:
            raise ValueError(
                f"plan: {layer}/{role} must have length {need} in {network.name}"
                f" at batch {plan.batch}, got {got}"
            )
