"""A GPU's tensor cores against their entry in the catalogue, bit for bit.

    python -m benchmarks.tensor_cores

Prints what agrees, and writes what came back to ``tests/data/tensor_cores``, where
``tests/analysis/test_recorded_vectors.py`` checks it from then on. Two kinds of routes:

- a Triton kernel of one tile, whose instruction is read from its compiled code: what the catalogue
  speaks of;
- ``torch.mm`` and ``torch._scaled_mm``, whose kernels cuBLAS and PyTorch choose, maybe with K split
  among them. In PyTorch's source ``_scaled_mm`` with a scale for each row runs CUTLASS kernels;
  without ``use_fast_accum`` their schedule on Hopper is not one of ``FP8FastAccum``, and CUTLASS
  promotes every 4 instructions of 32 products. With one scale it sets cuBLAS's ``FAST_ACCUM``, of
  which NVIDIA says only that on Ada and Hopper sums are promoted "periodically" without it.

Written without a GPU: the kernel is compiled for every architecture, and run in Triton's
interpreter; it has not run on a GPU.
"""

import datetime
import functools
import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.catalog import ACCUMULATORS
from benchmarks.recorded_vectors import (
    SIZE,
    Comparison,
    Floats32,
    Multiply,
    Pair,
    Recording,
    Route,
    measure,
    operand_pairs,
    save,
)
from benchmarks.timing import console, table

DATA = Path("tests/data/tensor_cores")
#: compute capability to the catalogue's name (CUDA C++ Programming Guide, compute capabilities)
ARCHITECTURES = {
    (7, 0): "volta", (7, 2): "volta", (7, 5): "turing", (8, 0): "ampere", (8, 6): "ampere",
    (8, 7): "ampere", (8, 9): "ada", (9, 0): "hopper", (10, 0): "blackwell", (10, 3): "blackwell",
    (12, 0): "blackwell", (12, 1): "blackwell",
}  # fmt: skip
TYPES = {
    "float16": torch.float16, "bfloat16": torch.bfloat16, "tf32": torch.float32,
    "fp8_e4m3": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2,
}  # fmt: skip
RESULTS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
#: of Triton: the kernel adds and multiplies nothing that could be fused
OPTIONS = {"num_stages": 1, "enable_fp_fusion": False}
REASON = 200  #: characters of a refusal that are printed
_INSTRUCTION = re.compile(r"(?:wgmma\.mma_async|tcgen05\.mma|mma\.sync)[\w.:]*")


class Tried(NamedTuple):
    """A route, and how it multiplies."""

    route: Route
    multiply: Multiply


def architecture(capability: tuple[int, int]) -> str:
    """The catalogue's name for a compute capability.

    Raises:
        ValueError: the catalogue has none.
    """
    if capability not in ARCHITECTURES:
        known = ", ".join(f"{major}.{minor}" for major, minor in ARCHITECTURES)
        raise ValueError(
            f"tensor cores: compute capability must be one of {known}, got {capability}"
        )
    return ARCHITECTURES[capability]


def instructions(ptx: str) -> str:
    """The tensor-core instructions in compiled code.

    Raises:
        ValueError: there is none.
    """
    found = sorted(set(_INSTRUCTION.findall(ptx)))
    if not found:
        raise ValueError("tensor cores: the compiled code must hold their instruction, got none")
    return ", ".join(found)


def tile_arguments(entry: str, length: int) -> dict[str, Any]:
    """The kernel's constants for an entry: whole promotions, or instructions, in a step."""
    step = min(length, 128 if "fp8" in entry else 32)
    return {
        "SIZE": SIZE,
        "STEP": step,
        "IMPRECISE": step if entry.endswith("_promoted") else None,
        "HALF": entry.endswith("_to_float16"),
    }


def tile(a: Tensor, b: Tensor, entry: str) -> tuple[Tensor, Any]:
    """``a bᵀ`` by the Triton kernel, and the kernel as it was compiled."""
    from benchmarks.tensor_core_kernel import tile_kernel  # Triton is not installed everywhere

    constants = tile_arguments(entry, a.shape[1])
    out = a.new_empty((SIZE, SIZE), dtype=torch.float16 if constants["HALF"] else torch.float32)
    return out, tile_kernel[(1,)](a, b, out, a.shape[1], **constants, **OPTIONS)


def on_device(x: Floats32, operands: str, device: str = "cuda") -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).to(device).to(TYPES[operands])


def by_tile(a: Floats32, b: Floats32, route: Route, device: str = "cuda") -> Floats32:
    left, right = (on_device(x, route.operands, device) for x in (a, b.T))
    return tile(left, right, route.entry)[0].float().cpu().numpy()


def by_mm(a: Floats32, b: Floats32, route: Route) -> Floats32:
    left, right = (on_device(x, route.operands) for x in (a, b))
    if route.operands == "tf32":
        return torch.mm(left, right).cpu().numpy()
    return torch.mm(left, right, out_dtype=RESULTS[route.output]).float().cpu().numpy()


def by_scaled_mm(a: Floats32, b: Floats32, route: Route, *, fast: bool, row_wise: bool) -> Floats32:
    left, right = (on_device(x, route.operands) for x in (a, b.T))
    shapes = ((a.shape[0], 1), (1, b.shape[1])) if row_wise else ((1,), (1,))
    scale_a, scale_b = (torch.ones(shape, device=left.device) for shape in shapes)
    product = torch._scaled_mm(
        left, right.t(), scale_a, scale_b, out_dtype=RESULTS[route.output], use_fast_accum=fast
    )
    return product.float().cpu().numpy()


def tile_routes(machine: str) -> Iterator[Tried]:
    """By the kernel: every entry of the architecture whose operands PyTorch has."""
    for entry in ACCUMULATORS:
        route = Route(f"tile, {entry}", entry)
        if entry.startswith(f"{machine}_") and route.operands in TYPES:
            yield Tried(route, functools.partial(by_tile, route=route))


def mm_routes(machine: str) -> Iterator[Tried]:
    """By ``torch.mm``; cuBLAS sums float16 in float32 and rounds at last."""
    for operands, output in (
        ("float16", "float32"), ("float16", "float16"), ("bfloat16", "float32"),
        ("bfloat16", "bfloat16"), ("tf32", "float32"),
    ):  # fmt: skip
        if (entry := f"{machine}_{operands}") in ACCUMULATORS:
            route = Route(f"torch.mm, {operands} to {output}", entry, output)
            yield Tried(route, functools.partial(by_mm, route=route))


def scaled_entry(machine: str, operands: str, fast: bool) -> str | None:
    """What ``torch._scaled_mm`` should compute; None: the catalogue does not say."""
    name = f"{machine}_{operands}"
    match machine:
        case "hopper":
            return name if fast else f"{name}_promoted"
        case "ada":  # promotes at an interval that nobody has published
            return name if fast else None
        case _:
            return name if name in ACCUMULATORS else None


def scaled_mm_routes(machine: str) -> Iterator[Tried]:
    """By ``torch._scaled_mm``, with one scale or one for each row, all of them 1."""
    chosen = itertools.product(("fp8_e4m3", "fp8_e5m2"), (True, False), (False, True), RESULTS)
    for operands, fast, row_wise, output in chosen:
        entry = scaled_entry(machine, operands, fast)
        if entry is not None:
            how = f"{'fast' if fast else 'not fast'}, {'rows' if row_wise else 'one scale'}"
            route = Route(f"torch._scaled_mm, {operands} to {output}, {how}", entry, output)
            by = functools.partial(by_scaled_mm, route=route, fast=fast, row_wise=row_wise)
            yield Tried(route, by)


def with_instruction(tried: Tried) -> Tried:
    """A tile's route with the instruction that its compiled code holds."""
    left = on_device(np.ones((SIZE, 128), np.float32), tried.route.operands)
    _, compiled = tile(left, left, tried.route.entry)
    return Tried(
        replace(tried.route, instruction=instructions(compiled.asm["ptx"])), tried.multiply
    )


def described() -> dict[str, str]:
    """The machine, for the header of a recording."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = "unknown"
    if shutil.which(query[0]):
        lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        driver = lines[0]
    return {
        "device": torch.cuda.get_device_name(),
        "compute_capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "driver": driver,
        "cuda": str(torch.version.cuda),
        "torch": torch.__version__,
        "triton": version("triton"),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def recorded(machine: str) -> Recording:
    """Every route that this GPU offers, on all vectors."""
    operands: dict[str, dict[str, Pair]] = {}
    results: dict[Route, dict[str, Floats32]] = {}
    for tried in (*tile_routes(machine), *mm_routes(machine), *scaled_mm_routes(machine)):
        form = tried.route.operands
        pairs = operands.setdefault(form, operand_pairs(form))
        try:
            offered = with_instruction(tried) if tried.route.name.startswith("tile") else tried
            results[offered.route] = measure(offered.multiply, pairs)
        except Exception as refusal:  # of PyTorch, cuBLAS or Triton: none of one type
            reason = " ".join(str(refusal).split())[:REASON]
            console.print(f"not offered: {tried.route.name}: {reason}", highlight=False)
    return Recording(described(), operands, results)


def show(found: list[Comparison]) -> None:
    shown = table("route, and the entry it is held against", "elements", "differ", "instruction")
    for one in found:
        name = f"{one.route.name} = {one.route.entry}"
        instruction = one.route.instruction or "a library's choice"
        shown.add_row(name, f"{one.elements:,}", f"{one.differing:,}", instruction)
    console.print(shown)
    for one in found:
        for mismatch in one.first:
            console.print(f"{one.route.name}: {mismatch}")


def main() -> None:
    if not torch.cuda.is_available():
        console.print("There is no GPU here: nothing is compared.")
        return
    for name in (
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
    ):
        setattr(torch.backends.cuda.matmul, name, False)
    torch.backends.cuda.matmul.allow_tf32 = True
    recording = recorded(architecture(torch.cuda.get_device_capability()))
    show(list(recording.comparisons()))
    name = re.sub(r"\W+", "-", recording.machine["device"]).strip("-").lower()
    save(recording, DATA / f"{name}.npz")
    console.print(f"Written: {DATA / name}.npz")


if __name__ == "__main__":
    main()
