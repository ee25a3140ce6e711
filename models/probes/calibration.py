"""Statistics of the products of a probe network's GEMMs while it trains in float32.

Training is that of :mod:`models.probes.training`, with operands as they are, sums in float32 one by
one (the baseline's) and errors that are not scaled: a loss scale of 2^k adds k to the exponents of
errors. Looked at are the steps 1, 2, 4, 8, ... and the last. All runs on one thread: a seed gives
the same bits, on another machine as far as torch's own operations do (the loss, the gradients of
biases).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from models.emulated import Arithmetic, Conv2d, Linear
from models.emulated.product import Windows
from models.emulated.windows import Axis, Geometry, windows_of
from models.networks.gemm import Gemm, Role
from models.networks.network import Network
from models.probes.arithmetic import BASELINE
from models.probes.data import CLASSES, SIDE, Images, load_digits
from models.probes.network import ProbeNetwork
from models.probes.product_statistics import Array, measured, over_moments
from models.probes.records import TrainingSettings
from models.probes.training import batches, is_finite, one_thread, update
from models.statistics import GemmStatistics, Statistics

#: pairs of operands that are kept of each GEMM, over all moments
PAIRS = 4096

#: of a layer in one step: input, weights, errors of the output
Tensors = list[Tensor]


def measure_statistics(
    network: Network,
    settings: TrainingSettings,
    batch: int,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> Statistics:
    """Statistics of every GEMM of ``network`` over ``settings.steps`` steps on the digits.

    Raises:
        ValueError: the network does not fit the images or their classes, the batch not the data;
            training does not stay finite, or all products of a GEMM are zero.
    """
    gemms, steps = network.gemms(batch), moments(settings.steps)
    pairs = -(-PAIRS // len(steps))
    found: list[list[GemmStatistics]] = []
    with one_thread():
        trained = probe_of(network, seed)
        for step, tensors in training_tensors(trained, settings, batch, seed):
            on_progress(step, settings.steps)
            if step in steps:
                found.append(
                    [
                        _measured(gemm, trained, tensors, (seed, step, place), pairs)
                        for place, gemm in enumerate(gemms)
                    ]
                )
    return Statistics(
        network=network.name,
        batch=batch,
        source=f"UCI optical digits in float32, seed {seed}, at steps"
        f" {', '.join(map(str, steps))} of {settings.steps}",
        gemms=tuple(map(over_moments, zip(*found, strict=True))),
    )


def moments(steps: int) -> tuple[int, ...]:
    """The powers of two up to ``steps``, and ``steps`` itself.

    >>> moments(100)
    (1, 2, 4, 8, 16, 32, 64, 100)
    """
    return (*(2**k for k in range((steps - 1).bit_length())), steps)


def probe_of(network: Network, seed: int) -> ProbeNetwork:
    """The network with its first weights, summing in float32.

    Raises:
        ValueError: it does not fit the images or their classes.
    """
    probe = ProbeNetwork(network, (1, SIDE, SIDE))
    if probe.output_size != (CLASSES,):
        raise ValueError(f"{network.name}: output must be {(CLASSES,)}, got {probe.output_size}")
    probe.initialise(seed)
    plain = dict.fromkeys(Role, Arithmetic(BASELINE))
    probe.use(dict.fromkeys(probe.weighted, plain), seed)
    return probe


def training_tensors(
    network: ProbeNetwork, settings: TrainingSettings, batch: int, seed: int
) -> Iterator[tuple[int, Mapping[str, Tensors]]]:
    """Each step from 1 on, with the tensors of every layer that it computed with.

    Raises:
        ValueError: the batch does not fit the data, or training does not stay finite.
    """
    data = load_digits(settings.test_images, settings.split_seed).train
    optimiser = torch.optim.SGD(network.parameters(), momentum=settings.momentum, foreach=False)
    every = batches(len(data.digits), batch, settings.steps, seed)
    with _watched(network) as seen:
        for step, chosen in enumerate(every, start=1):
            rate = settings.learning_rate * (1.0 - (step - 1) / settings.steps)
            optimiser.param_groups[0]["lr"] = rate
            images = Images(data.pixels[chosen], data.digits[chosen])
            loss = update(network, optimiser, images, 1.0)
            if not (math.isfinite(loss) and is_finite(network)):
                raise ValueError(f"calibration: training must stay finite, but step {step} did not")
            yield step, seen


@contextmanager
def _watched(network: ProbeNetwork) -> Iterator[Mapping[str, Tensors]]:
    """By layer, the tensors of the last step."""
    seen: dict[str, Tensors] = {}
    handles = [
        module.register_forward_hook(partial(_note, seen, name))
        for name, module in network.weighted.items()
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _note(
    seen: dict[str, Tensors],
    name: str,
    module: Conv2d | Linear,
    inputs: tuple[Tensor],
    output: Tensor,
) -> None:
    seen[name] = [inputs[0].detach(), module.weight.detach().clone()]
    output.register_hook(seen[name].append)  # type: ignore[no-untyped-call]  # torch does not type it


def _measured(
    gemm: Gemm,
    network: ProbeNetwork,
    tensors: Mapping[str, Tensors],
    seed: tuple[int, ...],
    pairs: int,
) -> GemmStatistics:
    a, b = operand_matrices(network.weighted[gemm.layer], gemm.role, *tensors[gemm.layer])
    return measured(gemm.layer, gemm.role, a, b, np.random.default_rng(seed), pairs)


def operand_matrices(
    layer: Conv2d | Linear, role: Role, x: Tensor, weight: Tensor, errors: Tensor
) -> tuple[Array, Array]:
    """Both factors of a GEMM as (groups, lines, n), K in the order in which the layer sums.

    Of a convolution the windows are written down (im2col), zeros of padding and striding included.
    """
    if isinstance(layer, Linear):
        a, b = {
            Role.FWD: (x, weight),
            Role.BWD: (errors, weight.mT),
            Role.GRAD: (x.mT, errors.mT),
        }[role]
        return a.numpy()[None], b.numpy()[None]
    geometry, groups = _geometry(layer, x), layer.groups
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    match role:
        case Role.FWD:
            windows = _written(windows_of(x, geometry.over_input(), groups))
            return windows.swapaxes(1, 2), filters.flatten(2).numpy()
        case Role.BWD:
            windows = _written(windows_of(errors, geometry.over_errors(), groups))
            turned = filters.flip(3, 4).transpose(1, 2).flatten(2)
            return windows.swapaxes(1, 2), turned.numpy()
        case Role.GRAD:
            windows = _written(windows_of(x, geometry.over_input(), groups))
            by_channel = errors.transpose(0, 1).reshape(groups, errors.shape[1] // groups, -1)
            return windows, by_channel.numpy()
        case _:
            assert_never(role)


def _geometry(layer: Conv2d, x: Tensor) -> Geometry:
    assert not isinstance(layer.padding, str)  # as Conv2d checks
    fields = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    high, wide = (Axis(*sizes) for sizes in zip(x.shape[2:], *fields, strict=True))
    return Geometry((high, wide), layer.groups)


def _written(windows: list[Windows]) -> Array:
    """(groups, K, N)."""
    return np.stack([w.flat.numpy()[w.k_offsets[:, None] + w.j_offsets] for w in windows])
