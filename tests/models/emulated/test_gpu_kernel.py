"""The GPU's kernel, in Triton's interpreter on the CPU, against the CPU's products, bit for bit.

What those are held to is in ``tests/analysis/emulation``. CUDA's instructions for directed sums are
not run here; that the kernel compiles to them is tested, which takes no GPU.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed: partialsum[gpu]")

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.emulation.steps import Word
from analysis.formats import Accumulator, FixedFormat, FloatFormat, Rounding, float_format
from analysis.quantization import quantize
from models.emulated import gpu
from models.emulated.gpu_kernel import Constants, Operation, operation
from models.emulated.product import Windows

Floats = npt.NDArray[np.floating]

FEW, E5M2, HALF, FORM = (float_format(*bits) for bits in ((3, 2), (5, 2), (5, 10), (6, 9)))
SEED = Stream(7)
#: an even share of ties, cancellation, swamping, and values beside powers of two
MAGNITUDES = (0.0, 1.0, 1.5, 1.75, 3.0, 240.0, 2.0**12, 57344.0, 2.0**-3, 2.0**-9, 2.0**-16)


def adversarial(shape: tuple[int, ...], form: FloatFormat = E5M2, seed: int = 0) -> Floats:
    """Half of them normal variates in many binades, half of them :data:`MAGNITUDES`."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(shape) * np.exp2(rng.integers(-6, 7, shape))
    chosen = rng.choice(np.array(MAGNITUDES), shape) * rng.choice(np.array([-1, 1]), shape)
    values = np.where(rng.random(shape) < 0.5, normal, chosen)
    return quantize(values, form).astype(np.float32)


def operands(
    rows: int, length: int, columns: int, form: FloatFormat = E5M2
) -> tuple[Floats, Floats]:
    return adversarial((rows, length), form, 1), adversarial((length, columns), form, 2)


def assert_same_bits(computed: Tensor | None, expected: Floats) -> None:
    assert computed is not None
    assert computed.shape == expected.shape
    assert computed.numpy().dtype == expected.dtype
    assert computed.numpy().tobytes() == expected.tobytes()  # signs of zeros, too


def assert_exact(a: Floats, b: Floats, accumulator: Accumulator, draws: Stream = SEED) -> None:
    computed = gpu.product(torch.from_numpy(a), torch.from_numpy(b), accumulator, draws)
    assert_same_bits(computed, matmul(a, b, accumulator, rng=draws))


def random(form: FloatFormat, random_bits: int | None, **more: Any) -> Accumulator:
    return Accumulator(form, Rounding.STOCHASTIC, random_bits=random_bits, **more)


NEAREST, AWAY, ZERO = Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY, Rounding.TOWARD_ZERO
UP, DOWN = Rounding.UP, Rounding.DOWN
# (operands, accumulator) and the step that is exact for them: lane, method, draws, floor, clamp
STEPS = [
    (E5M2, Accumulator(float_format(8, 23)), "float32 plain none"),
    (FEW, Accumulator(FixedFormat("fixed", 24, 8)), "float32 plain none"),
    (FEW, Accumulator(FixedFormat("fixed", 40, 8)), "float64 plain none"),
    (E5M2, Accumulator(float_format(7, 9)), "float32 magic none"),
    (E5M2, Accumulator(float_format(5, 9)), "float32 magic none floor clamp"),
    (HALF, Accumulator(float_format(8, 9)), "float64 odd-magic none"),
    (E5M2, Accumulator(float_format(7, 9), UP), "float32 magic none"),
    (E5M2, Accumulator(float_format(7, 9), DOWN), "float32 magic none"),
    (E5M2, Accumulator(float_format(5, 9), UP), "float32 magic none floor clamp"),
    (HALF, Accumulator(float_format(8, 30), DOWN), "float64 magic none"),
    (E5M2, Accumulator(float_format(7, 9), ZERO), "float32 mask none"),
    (E5M2, Accumulator(float_format(8, 23), ZERO), "float32 mask none"),
    (E5M2, Accumulator(float_format(5, 3), ZERO), "float32 signed-magic none floor clamp"),
    (HALF, Accumulator(float_format(8, 30), ZERO), "float64 mask none"),
    (E5M2, Accumulator(float_format(7, 9), AWAY), "float32 away none"),
    (HALF, Accumulator(float_format(8, 30), AWAY), "float64 away none"),
    (E5M2, random(float_format(7, 9), 8), "float32 random paired"),
    (E5M2, random(float_format(7, 6), 16), "float32 random paired"),
    (E5M2, random(float_format(7, 3), 20), "float32 random whole"),
    (E5M2, random(float_format(7, 9), 16), "float64 random half"),
    (E5M2, random(float_format(7, 9), None), "float64 random whole"),
]


def described(op: Operation) -> str:
    step = op.step
    named = [step.lane, step.method, step.draws]
    return " ".join([*named, *["floor"] * step.floor, *["clamp"] * step.clamp])


@pytest.mark.parametrize(("form", "accumulator", "step"), STEPS)
def test_every_step(form: FloatFormat, accumulator: Accumulator, step: str) -> None:
    a, b = operands(8, 13, 16, form)
    steps = gpu.plan(torch.from_numpy(a), torch.from_numpy(b), accumulator, SEED)
    assert steps is not None
    assert described(operation(steps.inner, native=False)) == step
    assert_exact(a, b, accumulator)


@pytest.mark.parametrize("accumulator", [step[1] for step in STEPS if "floor" in step[2]])
def test_sums_below_the_normal_range(accumulator: Accumulator) -> None:
    a, b = operands(8, 13, 16)
    assert_exact(a * 2.0**-13, b * 2.0**-13, accumulator)


def test_a_tiny_sum_breaks_a_tie() -> None:
    # at m = 9, 1 + 2^-10 is a tie, and goes to 1; a float64 does not see the 2^-60 beside it
    signs = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    tiny = np.array([[1.0], [1.0], [-1.0], [-1.0]]) * 2.0**-60
    a = np.hstack([tiny, signs * (1 + 2.0**-10)])
    form = float_format(8, 9)
    assert_exact(a, np.ones((2, 1)), Accumulator(form))
    assert matmul(a, np.ones((2, 1)), Accumulator(form))[0] == 1 + 2.0**-9


CHUNKS = [
    Accumulator(FORM, chunk=1),
    Accumulator(FORM, ZERO, 8, Accumulator(float_format(8, 23))),
    Accumulator(float_format(7, 9), UP, 5, Accumulator(HALF, DOWN)),
    Accumulator(FORM, chunk=100, outer=Accumulator(E5M2, ZERO)),
    Accumulator(FORM, chunk=11, outer=Accumulator(float_format(8, 30), AWAY)),
    random(FORM, 8, chunk=10),
    random(FORM, 8, chunk=4, outer=Accumulator(float_format(8, 12))),
    Accumulator(FORM, chunk=3, outer=random(float_format(7, 9), 20)),
]


@pytest.mark.parametrize("accumulator", CHUNKS)
def test_chunks_and_outer_accumulators(accumulator: Accumulator) -> None:
    assert_exact(*operands(5, 23, 7), accumulator)


@pytest.mark.parametrize("registers", [(1, 1), (2, 4)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 3, 33), (16, 8, 16), (20, 9, 40)])
def test_shapes_that_do_and_do_not_fill_tiles(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], registers: tuple[int, int]
) -> None:
    monkeypatch.setattr(gpu, "REGISTERS", (registers,))
    assert_exact(*operands(*shape), random(FORM, 8, chunk=8))


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 3, 0), (2, 0, 3)])
def test_empty_products(shape: tuple[int, int, int]) -> None:
    assert_exact(*operands(*shape), Accumulator(FORM))


@pytest.mark.parametrize(
    "draws",
    [
        Stream(2**64 - 1),
        Stream(7, row=3, column=5),
        Stream(7, row=2**40 + 1, column=2**33, step=2**34 + 20),
    ],
)
@pytest.mark.parametrize("random_bits", [8, 20, None])
def test_draws_depend_on_the_place_in_the_whole(draws: Stream, random_bits: int | None) -> None:
    assert_exact(*operands(4, 10, 3), random(float_format(7, 3), random_bits), draws)
    assert_exact(*operands(4, 10, 3), random(float_format(7, 3), random_bits, chunk=4), draws)


def test_a_sum_that_begins_at_half_a_word_of_draws_is_left_to_the_cpu() -> None:
    a, b = (torch.from_numpy(x) for x in operands(2, 5, 2))
    assert gpu.product(a, b, random(FORM, 8), Stream(7, step=1)) is None
    assert gpu.product(a, b, random(FORM, 8), Stream(7, step=2)) is not None


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.mT.contiguous().mT,
    "strided": lambda x: x.repeat_interleave(2, -1).repeat_interleave(3, -2)[..., ::3, ::2],
    "float64": lambda x: x.double(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("left", "right"), [((3, 9), (9, 5)), ((3, 2, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 6))]
)
def test_layouts_and_batches(layout: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = adversarial(left), adversarial(right, seed=1)
    accumulator = random(FORM, 8)
    change = LAYOUTS[layout]
    changed = change(torch.from_numpy(a)), change(torch.from_numpy(b))
    computed = gpu.product(*changed, accumulator, SEED)
    expected = matmul(changed[0].numpy(), changed[1].numpy(), accumulator, rng=SEED)
    assert_same_bits(computed, expected)


def test_windows_of_an_image() -> None:
    image, weight = adversarial((30,)), adversarial((3, 4), seed=1)
    k_offsets, j_offsets = np.array([0, 1, 6, 7]), np.array([0, 1, 2, 6, 7, 8, 12, 20])
    windows = Windows(torch.from_numpy(image), k_offsets, j_offsets)
    computed = gpu.product(torch.from_numpy(weight), windows, Accumulator(FORM), SEED)
    written = image[k_offsets[:, None] + j_offsets]
    assert_same_bits(computed, matmul(weight, written, Accumulator(FORM)))


def test_zeros_have_no_sign() -> None:
    a, b = np.array([[-1.0, 1.0], [-0.0, 0.0]], np.float32), np.ones((2, 1), np.float32)
    for rounding in (NEAREST, ZERO, DOWN):
        assert_exact(a, b, Accumulator(FORM, rounding))


def test_the_constants_of_a_step_are_in_the_order_of_its_words() -> None:
    assert Constants._fields == tuple(word.name.lower() for word in Word)


COMPILE = """
import json, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from analysis.emulation.steps import Draws, Lane, Method, Mode, Step
from analysis.emulation.ways import Way
from models.emulated.gpu_kernel import operation, product_kernel as kernel

def step(lane, method, mode, draws=Draws.NONE):
    return operation(Way(Step(Lane(lane), Method(method), True, True, draws), None, mode), True)

def ptx(inner, outer):
    pointers = {"a": "*fp32", "b": "*fp32", "out": "*fp32"}
    pointers |= dict.fromkeys(("k_offsets", "j_offsets", "words", "origin"), "*i64")
    constants = {"inner": inner, "outer": outer, "TILE": (2, 2, 8, 16), "UNROLL": 2}
    types = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in kernel.arg_names}
    source, target = ASTSource(kernel, types, constexprs=constants), GPUTarget("cuda", 90, 32)
    return triton.compile(source, target, options={"enable_fp_fusion": False}).asm["ptx"]

nearest, zero, up, down = Mode.NEAREST, Mode.TOWARD_ZERO, Mode.UP, Mode.DOWN
print(json.dumps([
    ptx(step("float32", "magic", nearest), None),
    ptx(step("float32", "random", zero, Draws.PAIRED), step("float32", "signed-magic", zero)),
    ptx(step("float64", "magic", up), step("float64", "magic", down)),
    ptx(step("float32", "mask", zero), step("float64", "odd-magic", nearest)),
]))
"""
SUMS, PRODUCTS = 2 * 2, 2 + 1  # of a thread; products in a row, and those left over


def test_the_kernel_compiles_to_an_instruction_for_each_mode(tmp_path: Path) -> None:
    settings = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    nearest, zero, directed, odd = json.loads(run.stdout)
    assert nearest.count("fma.rn.f32") == 3 * SUMS * PRODUCTS
    assert zero.count("fma.rz.ftz.f32") == SUMS * (PRODUCTS + 3)
    assert directed.count("fma.rp.f64") == 3 * SUMS * PRODUCTS
    assert directed.count("fma.rm.f64") == 3 * SUMS
    assert odd.count("fma.rz.ftz.f32") == SUMS * PRODUCTS
    for instruction in ("add.ftz", "sub.ftz", "mul.ftz", "fma.rn.ftz", "cvt.ftz"):
        assert instruction not in nearest + zero + directed + odd
