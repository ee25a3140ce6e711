from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from models.emulated import product
from models.networks.layers import Conv2d, Layer, Linear, MatMul
from models.networks.loading import load_network
from models.networks.network import Network
from models.plan import Plan
from models.probes.arithmetic import arithmetic_at
from models.probes.network import ProbeNetwork, check_plan

MakePlan = Callable[..., Plan]
DIGIT = (1, 8, 8)


def chain(*layers: Layer) -> Network:
    return Network(name="chain", source="a test", layers=layers, default_batch=2)


def conv(name: str, channels: tuple[int, int], side: int) -> Conv2d:
    return Conv2d(
        name=name, in_channels=channels[0], out_channels=channels[1], kernel=3, in_size=(side, side)
    )


def test_parameters_are_those_of_the_network() -> None:
    shapes = load_network("digits-cnn")
    network = ProbeNetwork(shapes, DIGIT)
    assert sum(parameter.numel() for parameter in network.parameters()) == shapes.parameters
    assert network.output_size == (10,)


def test_gemms_of_a_training_step_are_those_of_the_network(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[tuple[int, int]] = Counter()

    def recorded(a: Any, b: Any, *_: Any, threads: int) -> Any:
        seen[a.shape[1], a.shape[0] * b.shape[1]] += 1
        assert threads == 1
        return a.astype(np.float64) @ b

    def recorded_by(a: Any, b: Any, *rest: Any) -> None:
        seen[a.shape[1], a.shape[0] * b.j_offsets.size] += 1
        assert rest[-1] == 1  # thread

    monkeypatch.setattr(product, "matmul", lambda *given, rng, **rest: recorded(*given, **rest))
    monkeypatch.setattr(product, "multiply_by", recorded_by)
    plan = make_plan(batch=3)
    network = ProbeNetwork(load_network("digits-cnn"), DIGIT)
    network.use(arithmetic_at(plan, 0, 0, 1), seed=0)
    network(torch.zeros(3, *DIGIT)).sum().backward()
    gemms = load_network("digits-cnn").gemms(3)
    assert seen == Counter((gemm.length, gemm.rows * gemm.cols) for gemm in gemms)


def test_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (ProbeNetwork(load_network("digits-cnn"), DIGIT) for _ in range(3))
    first.initialise(1)
    torch.rand(5)
    again.initialise(1)
    other.initialise(2)
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    weight = first.weighted["conv2"].weight
    assert not torch.equal(weight, other.weighted["conv2"].weight)
    # conv2: variance 2/fan_in of 4,608 weights, known to 2 %
    assert weight.var().item() == pytest.approx(2 / 144, rel=0.1)
    assert not any(bias.any() for name, bias in first.named_parameters() if "bias" in name)


def test_a_relu_follows_every_layer_but_the_last(make_plan: MakePlan) -> None:
    network = ProbeNetwork(load_network("digits-cnn"), DIGIT)
    network.initialise(0)
    network.use(arithmetic_at(make_plan(), None, 0, 1), seed=0)
    seen: dict[str, torch.Tensor] = {}
    for name, module in network.weighted.items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: inputs[0]})
        )
    scores = network(torch.randn(4, *DIGIT, generator=torch.Generator().manual_seed(1)))
    assert (seen["conv1"] < 0).any()
    assert all((seen[name] >= 0).all() for name in ("conv2", "conv3", "fc"))
    assert (scores < 0).any()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            chain(conv("a", (1, 4), 8), conv("b", (5, 4), 6)),
            r"b: input must be \(5, 6, 6\), got \(4, 6, 6\)",
        ),
        (
            chain(conv("a", (1, 4), 8), Linear(name="fc", in_features=9, out_features=10)),
            r"fc: input must be \(9,\), got \(144,\)",
        ),
        (
            chain(MatMul(name="qk", rows=2, cols=2, length=2)),
            "qk: a probe's layer must be conv2d or linear, got matmul",
        ),
    ],
)
def test_a_network_that_is_no_chain_is_refused(network: Network, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProbeNetwork(network, DIGIT)


def test_a_plan_must_have_the_networks_gemms(make_plan: MakePlan) -> None:
    shapes = load_network("digits-cnn")
    plan = make_plan(batch=4)
    check_plan(plan, shapes)
    with pytest.raises(
        ValueError, match="fc/GRAD must have length 4 in digits-cnn at batch 4, got None"
    ):
        check_plan(plan.with_gemms(plan.gemms[:-1]), shapes)
    other = plan.model_copy(update={"batch": 8})
    with pytest.raises(
        ValueError, match=r"GRAD must have length \d+ in digits-cnn at batch 8, got"
    ):
        check_plan(other, shapes)
