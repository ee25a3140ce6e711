"""The same bits on every machine: other vectors, no fused operations, other modes of the unit."""

import hashlib
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
import pytest
from llvmlite import ir
from numba import njit
from numba.core.registry import cpu_target

from analysis.draws import Stream
from analysis.emulation import matmul, matmul_exact
from analysis.emulation.steps import Draws, Lane, Method, Mode, Step
from analysis.emulation.tile import Machine, _tile_function, machine_of, set_rounding
from analysis.formats import Accumulator, Rounding, float_format

Floats = npt.NDArray[np.floating]

NEAREST, AWAY, ZERO, UP, DOWN, STOCHASTIC = Rounding
E6M9, SINGLE = float_format(6, 9), float_format(8, 23)
#: one for every method, lane and kernel, few of the rest
ACCUMULATORS = {
    "magic": Accumulator(E6M9),
    "odd": Accumulator(float_format(6, 4)),
    "mask": Accumulator(E6M9, ZERO),
    "signed magic": Accumulator(float_format(3, 5), ZERO),
    "up": Accumulator(float_format(3, 5), UP),
    "down in float64": Accumulator(float_format(6, 22), DOWN),
    "away": Accumulator(E6M9, AWAY),
    "paired": Accumulator(E6M9, STOCHASTIC, random_bits=8),
    "whole": Accumulator(E6M9, STOCHASTIC),
    "plain": Accumulator(SINGLE),
    "chunks": Accumulator(E6M9, chunk=48, outer=Accumulator(SINGLE)),
    "random chunks": Accumulator(E6M9, STOCHASTIC, chunk=10, random_bits=8),
    "general": Accumulator(float_format(3, 5), AWAY),
}


def operands(length: int = 300) -> tuple[Floats, Floats]:
    """Of 3 significant bits and over some binades, float32."""
    rng = np.random.default_rng(6)
    shapes = (37, length), (length, 70)
    a, b = (rng.integers(-7, 8, shape) * np.exp2(rng.integers(-6, 3, shape)) for shape in shapes)
    return a.astype(np.float32), b.astype(np.float32)


def digest() -> str:
    """Of all products."""
    a, b = operands()
    results = (matmul(a, b, accumulator, rng=Stream(9)) for accumulator in ACCUMULATORS.values())
    return hashlib.sha256(b"".join(out.tobytes() for out in results)).hexdigest()


def machine() -> Machine:
    """The tile on this machine."""
    _triple, _name, features = cpu_target.target_context.codegen().magic_tuple()
    return machine_of(features)


ELSEWHERE = """
import runpy, sys
names = runpy.run_path(sys.argv[1])
print(*names["machine"](), names["digest"]())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86")
@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [("haswell", "+avx2,+fma", Machine(256, 2)), ("x86-64", "", Machine(128, 2))],
)
def test_other_targets_give_the_same_bits(
    tmp_path: Path, name: str, features: str, expected: Machine
) -> None:
    forced = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, __file__],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **forced, "NUMBA_CACHE_DIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *tile, computed = done.stdout.split()
    assert Machine(*map(int, tile)) == expected
    assert computed == digest()


@pytest.mark.parametrize(
    "step",
    [
        Step(Lane.FLOAT32, Method.MAGIC, floor=True, clamp=True),
        Step(Lane.FLOAT64, Method.ODD_MAGIC),
        Step(Lane.FLOAT32, Method.RANDOM, draws=Draws.PAIRED),
    ],
)
def test_a_tile_compiles_for_arm(step: Step) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite has no AArch64 target")
    module = ir.Module()
    function = _tile_function(module, step, machine_of("+neon"))
    function.linkage = "external"
    parsed = llvm.parse_assembly(str(module))
    parsed.triple = "aarch64-unknown-linux-gnu"
    assembly = target.create_target_machine(opt=3).emit_assembly(parsed)
    assert (".4s" if step.lane is Lane.FLOAT32 else ".2d") in assembly  # NEON's vectors


def _enter(mode: Any) -> None:
    set_rounding(mode)  # type: ignore[call-arg]  # numba gives the context


enter: Any = njit(_enter)


def rounds_to_nearest(one: float = 1.0, half_ulp: float = 2.0**-53) -> bool:
    """Whether Python's own sums in this thread do."""
    sums = [one + half_ulp, one + 1.5 * half_ulp, -one - half_ulp, -one - 1.5 * half_ulp]
    return sums == [1.0, 1.0 + 2.0**-52, -1.0, -1.0 - 2.0**-52]


@pytest.mark.parametrize("mode", [Mode.TOWARD_ZERO, Mode.UP, Mode.DOWN])
@pytest.mark.parametrize("name", ACCUMULATORS)
def test_the_thread_may_be_in_another_rounding_mode(name: str, mode: Mode) -> None:
    (a, b), accumulator = operands(), ACCUMULATORS[name]
    expected = matmul(a, b, accumulator, rng=Stream(9))
    enter(mode)
    try:
        computed = matmul(a, b, accumulator, rng=Stream(9))
        kept = not rounds_to_nearest()
    finally:
        enter(Mode.NEAREST)
    assert kept
    assert computed.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_a_thread_that_rounds_to_nearest_does_so_afterwards(name: str) -> None:
    a, b = operands(20)

    def multiplied() -> bool:
        matmul(a, b, ACCUMULATORS[name], rng=Stream(9), threads=1)
        return rounds_to_nearest()

    assert multiplied()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(multiplied).result()


def test_a_thread_is_left_as_it_was_after_an_error() -> None:
    enter(Mode.UP)
    try:
        with pytest.raises(ValueError, match="grid"):
            matmul(np.ones((1, 1)), np.ones((1, 1)), Accumulator(E6M9), start=np.full((1, 1), 0.1))
        kept = not rounds_to_nearest()
    finally:
        enter(Mode.NEAREST)
    assert kept


@pytest.mark.parametrize("rounding", [NEAREST, AWAY, ZERO])
@pytest.mark.parametrize(("low_a", "low_b"), [(-70, -70), (-145, 20)])
def test_a_thread_may_flush_subnormals(low_a: int, low_b: int, rounding: Rounding) -> None:
    # float32's own: as results, or as operands
    torch = pytest.importorskip("torch")
    accumulator = Accumulator(float_format(8, 7), rounding)
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-7, 8, shape) * 1.0 for shape in ((5, 9), (9, 70)))
    a, b = (x.astype(np.float32) for x in (np.ldexp(a, low_a), np.ldexp(b, low_b)))
    start = np.full((5, 70), 2.0**-130, np.float32)
    expected = matmul_exact(a, b, accumulator, start=start)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine does not flush subnormals")
    try:
        flushing = float(np.float32(2.0**-126) * np.float32(0.5)) == 0.0
        computed = matmul(a, b, accumulator, start=start)
    finally:
        torch.set_flush_denormal(False)
    assert flushing
    assert np.array_equal(computed, expected)
