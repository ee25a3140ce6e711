"""One tile of a matrix product by tensor-core instructions, in ascending order of K.

Triton 3.9 compiles it to ``mma.sync`` for compute capability 8.0, 8.9 and 12.0, ``wgmma`` for 9.0
and ``tcgen05.mma`` for 10.0 (``tests/analysis/test_tensor_cores.py`` reads it from the code), and
to no tensor-core instruction for 7.5.
"""

import triton
import triton.language as tl


def _tile(  # type: ignore[no-untyped-def]  # Triton compiles annotations, too
    a, b, out, length,
    SIZE: tl.constexpr, STEP: tl.constexpr, IMPRECISE: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """``out = a bᵀ``, of ``a`` and ``b`` (SIZE, length); the length is a multiple of STEP.

    HALF: sums in float16, else in float32. IMPRECISE: FP8 products that Hopper sums before they are
    added in float32; None: all.
    """
    lines, inner = tl.arange(0, SIZE), tl.arange(0, STEP)
    sums_type: tl.constexpr = tl.float16 if HALF else tl.float32
    sums = tl.zeros((SIZE, SIZE), dtype=sums_type)
    for first in range(0, length, STEP):
        x = tl.load(a + lines[:, None] * length + first + inner[None, :])
        y = tl.load(b + lines[None, :] * length + first + inner[:, None])
        sums = tl.dot(
            x, y, sums, input_precision="tf32", max_num_imprecise_acc=IMPRECISE,
            out_dtype=sums_type,
        )  # fmt: skip
    tl.store(out + lines[:, None] * SIZE + lines[None, :], sums)


tile_kernel = triton.jit(_tile)
