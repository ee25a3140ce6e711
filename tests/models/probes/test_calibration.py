"""Operand matrices against torch's own convolution and gradients; training against a plain loop."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from analysis.distributions import gaussian_products
from analysis.emulation import matmul
from analysis.formats import Accumulator, float_format
from analysis.noise import predict
from analysis.quantization import quantize
from models.emulated import Arithmetic, Conv2d, Emulation, Linear, Role
from models.networks import layers as shapes
from models.networks.loading import load_network
from models.networks.network import Network
from models.probes import calibration
from models.probes.arithmetic import BASELINE
from models.probes.calibration import PAIRS, measure_statistics, moments, operand_matrices
from models.probes.data import load_digits
from models.probes.records import TrainingSettings
from models.probes.training import batches
from models.products import products_of
from models.statistics import Statistics

FLOAT32 = Emulation(dict.fromkeys(Role, Arithmetic(BASELINE)), threads=1)
DIGITS = load_network("digits-cnn")


def unheard(_done: int, _total: int) -> None:
    """Progress that nobody follows."""


def run(steps: int, seed: int = 0, network: Network = DIGITS, batch: int = 8) -> Statistics:
    return measure_statistics(network, TrainingSettings(steps=steps), batch, seed, unheard)


def tiny(*more: shapes.Layer) -> Network:
    """A strided convolution in groups between an ordinary one and the scores."""
    layers = (
        shapes.Conv2d(
            name="in", in_channels=1, out_channels=4, kernel=3, padding=1, in_size=(8, 8),
            input_gradient=False,
        ),
        shapes.Conv2d(
            name="mid", in_channels=4, out_channels=6, kernel=(3, 2), stride=(2, 3), padding=(1, 0),
            groups=2, in_size=(8, 8),
        ),
        *more,
        shapes.Linear(name="out", in_features=6 * 4 * 3, out_features=10),
    )  # fmt: skip
    return Network(name="tiny", source="a test", layers=layers, default_batch=8)


CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "groups": 2},
    {"kernel_size": 2, "dilation": 2, "padding": 2, "stride": 2},
]


def sums(layer: Conv2d | Linear, role: Role, *tensors: torch.Tensor) -> torch.Tensor:
    """(groups, lines of a, lines of b), exact but for float64."""
    a, b = operand_matrices(layer, role, *(x.detach() for x in tensors))
    return torch.from_numpy(np.einsum("gik,gjk->gij", a.astype(np.float64), b.astype(np.float64)))


@pytest.mark.parametrize("fields", CONVOLUTIONS)
def test_products_of_a_convolution_sum_to_what_torch_computes(fields: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(1)
    layer = Conv2d(4, 6, **fields, bias=False, emulation=FLOAT32)
    x = torch.randn(3, 4, 7, 8, generator=generator, requires_grad=True)
    own = nn.Conv2d(4, 6, **fields, bias=False).double()
    own.weight.data = layer.weight.detach().double()
    wide = x.detach().double().requires_grad_()
    y = own(wide)
    errors = torch.randn(y.shape, generator=generator)
    y.backward(errors.double())
    given = (layer, x, layer.weight, errors)
    groups = layer.groups

    forward = sums(layer, Role.FWD, *given[1:])  # (groups, batch · places, channels)
    forward = forward.reshape(groups, 3, *y.shape[2:], -1).permute(1, 0, 4, 2, 3).flatten(1, 2)
    torch.testing.assert_close(forward, y.detach())
    backward = sums(layer, Role.BWD, *given[1:])
    backward = backward.reshape(groups, 3, 7, 8, -1).permute(1, 0, 4, 2, 3).flatten(1, 2)
    torch.testing.assert_close(backward, wide.grad)
    gradient = sums(layer, Role.GRAD, *given[1:]).mT
    torch.testing.assert_close(gradient.reshape(own.weight.shape), own.weight.grad)


def test_windows_are_in_the_order_of_unfold() -> None:
    layer = Conv2d(2, 3, 3, padding=1, stride=2, emulation=FLOAT32)
    x = torch.randn(2, 2, 6, 6)
    a, b = operand_matrices(layer, Role.FWD, x, layer.weight.detach(), torch.zeros(2, 3, 3, 3))
    unfolded = functional.unfold(x, 3, padding=1, stride=2)  # (batch, K, places)
    np.testing.assert_array_equal(a[0], unfolded.transpose(1, 2).flatten(0, 1).numpy())
    np.testing.assert_array_equal(b[0], layer.weight.detach().flatten(1).numpy())


def test_products_of_a_linear_layer_sum_to_what_torch_computes() -> None:
    layer = Linear(5, 4, emulation=FLOAT32)
    x, errors, weight = torch.randn(7, 5), torch.randn(7, 4), layer.weight.detach()
    given = (x, weight, errors)
    x64, weight64, errors64 = (each.double() for each in given)
    torch.testing.assert_close(sums(layer, Role.FWD, *given)[0], x64 @ weight64.T)
    torch.testing.assert_close(sums(layer, Role.BWD, *given)[0], errors64 @ weight64)
    torch.testing.assert_close(sums(layer, Role.GRAD, *given)[0], x64.T @ errors64)


def test_every_gemm_of_the_network_is_measured() -> None:
    for network in (DIGITS, tiny()):
        found = run(2, network=network)
        assert found.of(network) == found.gemms
        assert [one.n for one in found.gemms] == [gemm.length for gemm in network.gemms(8)]


def test_a_seed_gives_the_same_bits() -> None:
    first = run(3, network=tiny())
    assert run(3, network=tiny()).model_dump_json() == first.model_dump_json()
    assert run(3, seed=1, network=tiny()) != first


def test_training_does_not_depend_on_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step's figures are the same, whatever was measured before it."""

    def last(looked_at: tuple[int, ...]) -> Statistics:
        monkeypatch.setattr(calibration, "moments", lambda steps: looked_at)
        monkeypatch.setattr(calibration, "PAIRS", 10 * len(looked_at))
        return run(4, network=tiny())

    alone, after = last((4,)), last((1, 2, 4))
    for one, three in zip(alone.gemms, after.gemms, strict=True):
        assert one.sample is not None
        assert three.sample is not None
        assert one.sample.a == three.sample.a[-10:]


def test_what_is_looked_at_is_what_training_computes() -> None:
    """Step 1, from torch's own layers with the same start: every figure of the operands."""
    found = run(1, network=tiny())
    by_gemm = {(one.layer, one.role): one for one in found.gemms}
    probe = calibration.probe_of(tiny(), 0)
    data = load_digits(360, 0).train
    chosen = next(batches(len(data.digits), 8, 1, 0))
    x = torch.from_numpy(data.pixels[chosen])
    first, second, last = (module.weight for module in probe.weighted.values())
    y1 = functional.conv2d(x, first, padding=1)
    hidden = functional.conv2d(y1.relu(), second, stride=(2, 3), padding=(1, 0), groups=2)
    y2 = hidden.relu().flatten(1)
    scores = y2 @ last.T
    loss = functional.cross_entropy(scores, torch.from_numpy(data.digits[chosen]))
    y1_errors, score_errors = torch.autograd.grad(loss, [y1, scores])
    expected = {
        ("out", Role.FWD): (y2, last),
        ("out", Role.BWD): (score_errors, last),
        ("out", Role.GRAD): (y2, score_errors),
        ("in", Role.GRAD): (x, y1_errors),
    }
    for key, (a, b) in expected.items():
        one = by_gemm[key]
        assert one.a.most == pytest.approx(a.max().item(), rel=1e-4)
        assert one.b.least == pytest.approx(b.min().item(), rel=1e-4)
        # padding adds zeros to the input of a convolution only
        assert key[0] == "in" or one.a.density == float((a != 0).float().mean())
        kept = b[b != 0]
        ratio = (kept.mean() / kept.std()).item()
        assert one.b.mean_ratio == pytest.approx(ratio, rel=1e-3, abs=1e-6)
        assert one.b.density == pytest.approx(float((b != 0).float().mean()), abs=1e-6)


def test_samples_have_their_size_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    network = tiny()
    settings = TrainingSettings(steps=5)
    found = measure_statistics(network, settings, 8, 0, lambda *at: told.append(at))
    assert told == [(step, 5) for step in range(1, 6)]
    assert "at steps 1, 2, 4, 5 of 5" in found.source
    for one in found.gemms:
        assert one.sample is not None
        assert len(one.sample.a) <= PAIRS


def test_moments_are_powers_of_two_and_the_last_step() -> None:
    assert [moments(steps) for steps in (1, 2, 3, 8)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4, 8)]


def test_networks_that_do_not_fit_the_digits_are_refused() -> None:
    head = shapes.Linear(name="out", in_features=64, out_features=7)
    wrong = Network(name="seven", source="a test", layers=(head,), default_batch=8)
    with pytest.raises(ValueError, match=r"seven: output must be \(10,\), got \(7,\)"):
        run(1, network=wrong)
    with pytest.raises(ValueError, match=r"input must be \(3, 32, 32\), got \(1, 8, 8\)"):
        run(1, network=load_network("resnet32-cifar10"))


def test_a_batch_beyond_the_images_is_refused() -> None:
    with pytest.raises(ValueError, match="batch must be at most the 1437 training images"):
        run(1, batch=2000)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (5.0, r"training must stay finite, but step \d did not"),
        (100.0, "conv1/GRAD: products must not all be zero"),  # every unit is dead
    ],
)
def test_training_that_is_lost_is_refused(rate: float, message: str) -> None:
    settings = TrainingSettings(steps=8, learning_rate=rate)
    with pytest.raises(ValueError, match=message):
        measure_statistics(DIGITS, settings, 8, 0, unheard)


def test_measured_products_predict_what_the_real_operands_do() -> None:
    """BWD of the third convolution, whose products are mostly zero, at 6 bits."""
    operands, accumulator = float_format(8, 2), Accumulator(float_format(8, 6))
    probe = calibration.probe_of(DIGITS, 0)
    *_, (_, tensors) = calibration.training_tensors(probe, TrainingSettings(steps=8), 64, 0)
    pair = operand_matrices(probe.weighted["conv3"], Role.BWD, *tensors["conv3"])
    a, b = (quantize(np.ascontiguousarray(x[0, :512]), operands) for x in pair)
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    squares = np.square(a, dtype=np.float64) @ np.square(b.T, dtype=np.float64)
    variance = squares - np.square(exact) / a.shape[1]
    computed = matmul(a, np.ascontiguousarray(b.T), accumulator, threads=1)
    nmse = (np.square(computed - exact)[variance > 0.0] / variance[variance > 0.0]).mean()
    one = next(g for g in run(8, batch=64).gemms if (g.layer, g.role) == ("conv3", Role.BWD))
    predicted = predict(accumulator, products_of(one, operands, operands), one.n).nmse
    assumed = predict(accumulator, gaussian_products(operands), one.n).nmse
    assert 0.5 < predicted / nmse < 2.0
    assert assumed / nmse > 4.0
