"""A product of two tensors' matrices: all that depends on the device that computes it."""

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.draws import Stream
from analysis.emulation import matmul
from analysis.emulation.gemm import multiply_by, result_type
from analysis.emulation.sweep import Offsets
from analysis.formats import Accumulator
from models.emulated.arithmetic import Array, Call
from models.networks.gemm import Role

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """A matrix (K, N) that is not written down: ``flat[k_offsets[k] + j_offsets[j]]``."""

    flat: Tensor  #: of one axis, contiguous
    k_offsets: Places
    j_offsets: Places

    @property
    def mT(self) -> "Windows":  # noqa: N802  # as of a tensor
        """The transposed matrix (N, K)."""
        return Windows(self.flat, self.j_offsets, self.k_offsets)


def on_gpu(x: Tensor) -> bool:
    """Whether the GPU's kernel is to be asked first."""
    return x.is_cuda


def _gpu() -> ModuleType:
    try:
        from models.emulated import gpu  # imports triton, which the CPU does without
    except ImportError as error:
        raise ImportError("emulated layers on GPUs need triton: install partialsum[gpu]") from error
    return gpu


def quantized(call: Call, role: Role, *operands: Tensor) -> list[Tensor]:
    """The operands as the GEMM of ``role`` takes them."""
    one = call.of(role)
    if one.operands is not None and all(map(on_gpu, operands)):
        return [_gpu().quantized(x, one.operands) for x in operands]
    arrays = [one.quantized(_array(x), call.threads) for x in operands]
    return [torch.from_numpy(x).to(y.device) for x, y in zip(arrays, operands, strict=True)]


def product(
    a: Tensor, b: Tensor | Windows, accumulator: Accumulator, draws: Stream, threads: int | None
) -> Tensor:
    """``a`` (..., M, K) times ``b`` (..., K, N), or times windows (K, N).

    Bit for bit, and in the type, that :func:`analysis.emulation.matmul` gives.
    """
    if on_gpu(a):
        found: Tensor | None = _gpu().product(a, b, accumulator, draws)
        if found is not None:
            return found
    if isinstance(b, Windows):
        sums = _by_windows(_array(a), b, accumulator, draws, threads)
    elif a.ndim >= b.ndim and math.prod(b.shape[:-2]) == 1:  # one product, not many with this b
        left, right = _array(a.flatten(0, -2)), _array(b.reshape(b.shape[-2:]))
        sums = matmul(left, right, accumulator, rng=draws, threads=threads)
        sums = sums.reshape(*a.shape[:-1], b.shape[-1])
    else:
        sums = matmul(_array(a), _array(b), accumulator, rng=draws, threads=threads)
    return torch.from_numpy(sums).to(a.device)


def _by_windows(
    a: Array, b: Windows, accumulator: Accumulator, draws: Stream, threads: int | None
) -> Array:
    right = Offsets(_array(b.flat), b.k_offsets, b.j_offsets)
    out = np.zeros((a.shape[0], b.j_offsets.size), result_type(accumulator, a, right.flat))
    multiply_by(a, right, accumulator, out, draws, threads)
    return out


def _array(x: Tensor) -> Array:
    if x.device.type not in ("cpu", "cuda"):
        raise ValueError(f"emulated product: tensors must be on the CPU or CUDA, got {x.device}")
    array: Array = x.detach().cpu().numpy()
    return array
