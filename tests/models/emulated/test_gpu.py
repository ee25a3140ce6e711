"""How GPU tensors are dealt with, on CPU tensors that take the same way in Triton's interpreter."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed: partialsum[gpu]")

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.emulation.scan import contents
from analysis.formats import (
    Accumulator,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    TopCodes,
    Tree,
    float_format,
)
from analysis.quantization import quantize
from models.emulated import LayerArithmetic, conv2d, gpu, linear
from models.emulated import matmul as matmul_tensors
from models.emulated.product import product

Draw = Callable[..., Tensor]

E5M2, FORM = float_format(5, 2), float_format(6, 9)
SEED = Stream(7)


@pytest.mark.parametrize(
    "values",
    [
        [[0.0, -0.0]],
        [[1.0, -1.75, 2.0**-1000, 3 * 2.0**90]],
        [[5e-324, 1.0]],
        [[np.inf, 0.5]],
        [[np.nan]],
        np.array([[1e-45, 2.0**-126, 3e38]], np.float32),
        np.random.default_rng(0).standard_normal((40, 50))[::2, ::3],
    ],
)
def test_what_a_tensor_holds(monkeypatch: pytest.MonkeyPatch, values: Any) -> None:
    monkeypatch.setattr(gpu, "_SLICE", 7)
    array = np.asarray(values)
    assert gpu.contents(torch.from_numpy(array)) == contents(array)


SATURATING = FloatFormat("saturating", 4, 3, top=TopCodes.ONE_NAN)
INFINITE = FloatFormat("infinite", 5, 2, overflow=Overflow.INFINITY)
FLUSHED = FloatFormat("flushed", 5, 2, lowest=LowestCodes.ZERO)


@pytest.mark.parametrize("form", [E5M2, SATURATING, INFINITE, FLUSHED, float_format(7, 10)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operands_are_rounded_as_on_the_cpu(form: FloatFormat, dtype: Any) -> None:
    largest = float(form.largest)
    edges = [0.0, largest, largest * 1.03, largest * 1.5, 2.0**form.emin * 0.97, np.inf, np.nan]
    places = np.random.default_rng(0).standard_normal(3000) * np.exp2(np.arange(3000) % 50 - 25)
    x = np.array([*edges, *(-x for x in edges), *places]).astype(dtype)
    computed = gpu.quantized(torch.from_numpy(x), form).numpy()
    assert computed.dtype == dtype
    np.testing.assert_array_equal(computed, quantize(x, form))


@pytest.mark.parametrize(
    ("accumulator", "a"),
    [
        (Accumulator(FORM, order=Tree()), 1.0),
        (Accumulator(float_format(5, 3), Rounding.NEAREST_AWAY), 2.0**-14),
        (Accumulator(FORM), float("inf")),
    ],
)
def test_what_no_step_is_exact_for_is_left_to_the_cpu_and_said_once(
    accumulator: Accumulator, a: float, caplog: pytest.LogCaptureFixture
) -> None:
    gpu._say.cache_clear()
    left, right = torch.full((2, 3), a), torch.full((3, 2), 2.0**-9)
    with caplog.at_level(logging.WARNING, "partialsum"):
        assert gpu.product(left, right, accumulator, SEED) is None
        assert gpu.product(left, right, accumulator, SEED) is None
    assert len(caplog.messages) == 1
    assert "computed on the CPU, as no GPU step is exact: Accumulator(" in caplog.text


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """CPU tensors take the GPU's way; what it launches."""
    launches: list[Any] = []
    launch = gpu.launch

    def recorded(*arguments: Any) -> None:
        launches.append(arguments)
        launch(*arguments)

    monkeypatch.setattr(gpu, "launch", recorded)
    monkeypatch.setattr(sys.modules["models.emulated.product"], "on_gpu", lambda _: True)
    return launches


def computed_with_gradients(job: Callable[..., Tensor], *inputs: Tensor) -> list[bytes]:
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = job(*leaves)
    errors = torch.arange(1, out.numel() + 1).reshape(out.shape).to(out.dtype) / 4
    results = [out, *torch.autograd.grad(out, leaves, errors)]
    return [x.detach().numpy().tobytes() for x in results]


JOBS: list[tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = [
    (linear, [(2, 3, 6), (5, 6), (5,)]),
    (matmul_tensors, [(2, 3, 4), (4, 3)]),
    (conv2d, [(2, 4, 4, 3), (4, 2, 2, 2), (4,)]),
]


@pytest.mark.parametrize("kind", ["narrow", "stochastic"])
@pytest.mark.parametrize(("function", "shapes"), JOBS)
def test_layers_and_their_gradients(
    request: pytest.FixtureRequest,
    normal: Draw,
    function: Callable[..., Tensor],
    shapes: list[tuple[int, ...]],
    kind: str,
) -> None:
    arithmetic: LayerArithmetic = request.getfixturevalue(kind)
    more = {"stride": 2, "padding": 1, "groups": 2} if function is conv2d else {}

    def job(*inputs: Tensor) -> Tensor:
        return function(*inputs, arithmetic, rng=3, **more)

    inputs = [normal(*shape) for shape in shapes]
    on_cpu = computed_with_gradients(job, *inputs)
    launches = request.getfixturevalue("launched")
    assert computed_with_gradients(job, *inputs) == on_cpu
    assert len(launches) == 3 * more.get("groups", 1)


def test_a_product_without_an_exact_step_comes_from_the_cpu(
    launched: list[Any], normal: Draw
) -> None:
    a, b = normal(3, 4), normal(4, 2)
    tree = Accumulator(float_format(8, 7), order=Tree())
    computed = product(a, b, tree, SEED, None)
    np.testing.assert_array_equal(computed, matmul(a.numpy(), b.numpy(), tree))
    assert not launched


def test_threads_have_as_many_sums_as_keep_all_of_them_busy() -> None:
    assert gpu.registers_for(1, 4096, 4096) == (8, 4)
    assert gpu.registers_for(16, 256, 256) == (4, 4)
    assert gpu.registers_for(1, 256, 256) == (1, 1)
