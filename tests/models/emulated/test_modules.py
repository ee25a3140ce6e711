import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.emulated import (
    Conv2d,
    Emulation,
    LayerArithmetic,
    Linear,
    branched,
    conv2d,
    linear,
)

Draw = Callable[..., Tensor]


@pytest.mark.parametrize(
    ("theirs", "ours", "arguments", "fields"),
    [
        (nn.Linear, Linear, (5, 3), {}),
        (nn.Linear, Linear, (5, 3, False), {"dtype": torch.bfloat16}),
        (nn.Conv2d, Conv2d, (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}),
        (nn.Conv2d, Conv2d, (4, 6, (1, 2), 1, 0, (1, 2)), {"bias": False}),
    ],
)
def test_modules_replace_those_of_torch(
    wide: LayerArithmetic, theirs: Any, ours: Any, arguments: Any, fields: Any
) -> None:
    torch.manual_seed(3)
    expected = theirs(*arguments, **fields)
    torch.manual_seed(3)
    found = ours(*arguments, **fields, emulation=Emulation(wide))
    assert isinstance(found, theirs)
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)
    shape = (2, 4, 7, 7) if ours is Conv2d else (2, 5)
    x = torch.randn(shape, dtype=expected.weight.dtype, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found(x).to(x.dtype), expected(x))


def test_a_model_of_emulated_layers_learns(narrow: LayerArithmetic) -> None:
    torch.manual_seed(0)
    how = Emulation(narrow)
    model = nn.Sequential(
        Conv2d(1, 4, 3, padding=1, emulation=how),
        nn.ReLU(),
        nn.Flatten(),
        Linear(64, 1, emulation=how),
    )
    x = torch.randn(32, 1, 4, 4)
    wanted = x[:, 0, 0, :1] - x[:, 0, 3, 3:]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.03)
    losses = []
    for _ in range(40):
        loss = (model(x) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_every_call_draws_from_a_seed_of_its_own(normal: Draw, stochastic: LayerArithmetic) -> None:
    how = Emulation(stochastic, seed=7)
    dense = Linear(40, 6, emulation=how)
    image = Conv2d(2, 3, 3, emulation=how)
    x, y = normal(5, 40), normal(1, 2, 6, 6)
    calls = [dense(x), image(y), dense(x)]
    parameters = dense.weight, dense.bias, stochastic
    assert torch.equal(calls[0], linear(x, *parameters, rng=branched(7, 0)))
    filters = image.weight, image.bias, stochastic
    assert torch.equal(calls[1], conv2d(y, *filters, rng=branched(7, 1)))
    assert torch.equal(calls[2], linear(x, *parameters, rng=branched(7, 2)))
    assert not torch.equal(calls[0], calls[2])
    how.calls = 2
    assert torch.equal(dense(x), calls[2])


def test_a_copy_of_a_module_counts_for_itself(normal: Draw, stochastic: LayerArithmetic) -> None:
    module = Linear(40, 6, emulation=Emulation(stochastic, seed=7))
    twin = copy.deepcopy(module)
    x = normal(5, 40)
    assert torch.equal(module(x), twin(x))
    assert module.emulation.calls == twin.emulation.calls == 1


def test_stochastic_rounding_without_a_seed_is_refused(stochastic: LayerArithmetic) -> None:
    module = Linear(2, 2, emulation=Emulation(stochastic))
    with pytest.raises(ValueError, match=r"linear: stochastic rounding .* needs rng, got None"):
        module(torch.ones(1, 2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"padding": "same"}, "padding='same', padding_mode='zeros'"),
        ({"padding": "valid"}, "padding='valid', padding_mode='zeros'"),
        ({"padding": 1, "padding_mode": "reflect"}, r"padding=\(1, 1\), padding_mode='reflect'"),
    ],
)
def test_other_padding_is_refused(wide: LayerArithmetic, fields: Any, message: str) -> None:
    with pytest.raises(
        ValueError, match=f"Conv2d: padding must be numbers of zeros, got {message}"
    ):
        Conv2d(1, 1, 3, **fields, emulation=Emulation(wide))


def test_threads_change_no_bit(normal: Draw, stochastic: LayerArithmetic) -> None:
    x, weight = normal(8, 8, 12, 12), normal(16, 8, 3, 3)

    def passes(threads: int) -> tuple[Tensor, ...]:
        own = x.clone().requires_grad_(), weight.clone().requires_grad_()
        out = conv2d(*own, None, stochastic, rng=1, threads=threads)
        return out, *torch.autograd.grad(out.square().sum(), own)

    for ours, alone in zip(passes(3), passes(1), strict=True):
        assert torch.equal(ours, alone)


def test_modules_pass_their_threads_on(
    normal: Draw, wide: LayerArithmetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int | None] = []

    def recorded(*_: Any, threads: int | None, **__: Any) -> Tensor:
        seen.append(threads)
        return torch.zeros(1)

    monkeypatch.setattr("models.emulated.modules.linear", recorded)
    monkeypatch.setattr("models.emulated.modules.conv2d", recorded)
    for number in (None, 1, 3):
        Linear(2, 2, emulation=Emulation(wide, threads=number))(torch.ones(1, 2))
        Conv2d(1, 1, 1, emulation=Emulation(wide, threads=number))(torch.ones(1, 1, 1, 1))
    assert seen == [None, None, 1, 1, 3, 3]
