"""The script for a GPU, as far as it can be tested without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.catalog import TENSOR_CORES
from benchmarks import tensor_cores
from benchmarks.recorded_vectors import SIZE, Floats32, Pair, Route
from benchmarks.tensor_cores import (
    ARCHITECTURES,
    TYPES,
    Tried,
    architecture,
    by_tile,
    instructions,
    mm_routes,
    recorded,
    scaled_mm_routes,
    tile_routes,
)


def test_every_architecture_of_the_catalogue_has_a_compute_capability() -> None:
    assert set(ARCHITECTURES.values()) == {machine for machine, *_ in TENSOR_CORES}
    with pytest.raises(ValueError, match=r"must be one of 7.0, .*, got \(6, 1\)"):
        architecture((6, 1))


def test_every_entry_of_a_machine_that_pytorch_can_feed_has_a_tile() -> None:
    found = [one.route.entry for one in tile_routes("hopper")]
    assert len(found) == len(set(found))
    narrow = [f"{name}_to_float16" for name in TYPES if name not in ("bfloat16", "tf32")]
    promoted = ["fp8_e4m3_promoted", "fp8_e5m2_promoted"]
    assert set(found) == {f"hopper_{name}" for name in (*TYPES, *narrow, *promoted)}


@pytest.mark.parametrize("machine", sorted(set(ARCHITECTURES.values())))
def test_routes_of_a_machine_are_held_against_its_own_entries(machine: str) -> None:
    every = [*tile_routes(machine), *mm_routes(machine), *scaled_mm_routes(machine)]
    assert every
    assert len({one.route for one in every}) == len(every)
    for route in (one.route for one in every):
        assert route.entry.startswith(f"{machine}_")
        assert route.operands in TYPES


def test_sums_that_are_not_fast_are_promoted_on_hopper_and_unknown_on_ada() -> None:
    def entries(machine: str) -> set[str]:
        return {one.route.entry for one in scaled_mm_routes(machine)}

    fp8 = {"fp8_e4m3", "fp8_e5m2"}
    assert entries("blackwell") == {f"blackwell_{name}" for name in fp8}
    assert entries("hopper") == {f"hopper_{name}{end}" for name in fp8 for end in ("", "_promoted")}
    assert entries("ada") == {f"ada_{name}" for name in fp8}
    assert not [one for one in scaled_mm_routes("ada") if "not fast" in one.route.name]
    assert entries("ampere") == set()


@pytest.mark.parametrize("entry", ["hopper_float16", "hopper_tf32", "hopper_float16_to_float16"])
@pytest.mark.parametrize("length", [32, 128])
def test_the_kernel_multiplies(entry: str, length: int) -> None:
    """In Triton's interpreter, which does not round as a tensor core does: integers."""
    pytest.importorskip("triton")
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(-3, 4, shape).astype(np.float32) for shape in ((SIZE, length), (length, SIZE))
    )
    assert np.array_equal(by_tile(a, b, Route("tile", entry), "cpu"), a @ b)


def test_instructions_are_read_from_compiled_code() -> None:
    code = "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {...};\n" * 2
    assert instructions(code) == "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3"
    with pytest.raises(ValueError, match="must hold their instruction, got none"):
        instructions("fma.rn.f32 %f1, %f2, %f3, %f4;")


COMPILE = """
import json, sys, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from benchmarks.tensor_core_kernel import tile_kernel as kernel
from benchmarks.tensor_cores import OPTIONS, instructions, tile_arguments

NAMES = {"float16": "fp16", "bfloat16": "bf16", "tf32": "fp32", "fp8_e4m3": "fp8e4nv"}

def compiled(capability, operands, entry):
    constants = tile_arguments(entry, 128)
    operand = "*" + NAMES[operands]
    types = {"a": operand, "b": operand, "out": "*fp16" if constants["HALF"] else "*fp32"}
    types |= {"length": "i32"} | dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, types, constexprs=constants)
    target = GPUTarget("cuda", capability, 32)
    ptx = triton.compile(source, target, options=OPTIONS).asm["ptx"]
    return instructions(ptx), ptx.count("add.f32") + ptx.count("add.rn.f32")

print(json.dumps([compiled(*each) for each in json.loads(sys.argv[1])]))
"""
#: compute capability, operands, entry, what it compiles to (PTX ISA 8.8, sections 9.7.14-9.7.16)
COMPILED = (
    (80, "float16", "ampere_float16", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"),
    (80, "tf32", "ampere_tf32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"),
    (89, "fp8_e4m3", "ada_fp8_e4m3", "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32"),
    (90, "float16", "hopper_float16", "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16"),
    (90, "float16", "hopper_float16_to_float16",
     "wgmma.mma_async.sync.aligned.m64n64k16.f16.f16.f16"),
    (90, "bfloat16", "hopper_bfloat16", "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16"),
    (90, "tf32", "hopper_tf32", "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32"),
    (90, "fp8_e4m3", "hopper_fp8_e4m3",
     "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3"),
    (90, "fp8_e4m3", "hopper_fp8_e4m3_promoted",
     "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3"),
    (100, "float16", "blackwell_float16", "tcgen05.mma.cta_group::1.kind::f16"),
    (100, "fp8_e4m3", "blackwell_fp8_e4m3", "tcgen05.mma.cta_group::1.kind::f8f6f4"),
)  # fmt: skip
THREADS = 128


def test_the_kernel_compiles_to_the_instruction_of_each_architecture(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    settings = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE, json.dumps([each[:3] for each in COMPILED])],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for (*_, entry, instruction), (found, additions) in zip(
        COMPILED, json.loads(run.stdout), strict=True
    ):
        assert found == instruction
        # one float32 addition for each sum after four instructions, and none otherwise
        assert additions == (SIZE * SIZE // THREADS if entry.endswith("_promoted") else 0)


def as_the_catalogue(route: Route) -> Tried:
    return Tried(route, lambda a, b: route.expected(Pair(a, b)))


def test_what_a_gpu_does_not_offer_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_a: Floats32, _b: Floats32) -> Floats32:
        raise RuntimeError("no kernel\nof that kind")

    right = as_the_catalogue(Route("fake", "hopper_fp8_e4m3"))
    refused = Tried(Route("other", "hopper_fp8_e4m3", "bfloat16"), refuse)
    for name, routes in (("tile", []), ("mm", [right]), ("scaled_mm", [refused])):
        monkeypatch.setattr(tensor_cores, f"{name}_routes", lambda _machine, it=routes: it)
    monkeypatch.setattr(tensor_cores, "described", lambda: {"device": "fake"})
    found = recorded("hopper")
    assert capsys.readouterr().out == "not offered: other: no kernel of that kind\n"
    (comparison,) = found.comparisons()
    assert comparison.route == right.route
    assert comparison.differing == 0
    assert comparison.elements == len(found.operands["fp8_e4m3"]) * SIZE**2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    tensor_cores.main()
    assert "no GPU" in capsys.readouterr().out
