"""Other emulators, where they are installed, on ``benchmarks.emulation``'s sums: e6m9, nearest.

None is a dependency. What each computes, and where it differs, is in ``docs/peers.md``.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
E, M = 6, 9


class Peer(NamedTuple):
    """A tool, the rows and columns that it can do in about a second, and its product."""

    name: str
    package: str
    rows: int
    product: Callable[[Array, Array], Array]


def _by_steps(a: Array, b: Array, rounded: Callable[[Array], Array]) -> Array:
    total = np.zeros((a.shape[0], b.shape[1]))
    for k in range(a.shape[1]):
        total = rounded(total + a[:, k : k + 1].astype(np.float64) * b[k : k + 1])
    return total


def pychop(a: Array, b: Array) -> Array:
    import pychop as peer

    peer.backend("numpy")
    return _by_steps(a, b, peer.Chop(exp_bits=E, sig_bits=M, rmode=1))


def gfloat(a: Array, b: Array) -> Array:
    from gfloat import Domain, FormatInfo, round_ndarray

    form = FormatInfo(
        name="e6m9", k=1 + E + M, precision=M + 1, bias=2 ** (E - 1) - 1, domain=Domain.Extended,
        num_high_nans=2**M - 1, has_subnormals=True, has_nz=True, is_signed=True,
        is_twos_complement=False,
    )  # fmt: skip
    return _by_steps(a, b, lambda x: round_ndarray(form, x))


def apytypes(a: Array, b: Array) -> Array:
    from apytypes import APyFloatAccumulatorContext, APyFloatArray, QuantizationMode

    x, y = (APyFloatArray.from_float(v, exp_bits=5, man_bits=2) for v in (a, b))
    even = QuantizationMode.TIES_EVEN
    with APyFloatAccumulatorContext(exp_bits=E, man_bits=M, quantization=even):
        product = x @ y
    assert isinstance(product, APyFloatArray)
    return np.asarray(product.to_numpy())


def mptorch(a: Array, b: Array) -> Array:
    import torch
    from mptorch.quant import float_mm

    x, y = (torch.tensor(v, dtype=torch.float32) for v in (a, b))
    return np.asarray(float_mm(x, y, man_add=M, exp_add=E, rounding="nearest").numpy())


def qtorch(a: Array, b: Array) -> Array:
    import torch
    from qtorch.quant import float_quantize

    x, y = (torch.tensor(v, dtype=torch.float32) for v in (a, b))
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        product = x[:, k : k + 1] * y[k : k + 1]
        total = float_quantize(total + product, exp=E, man=M, rounding="nearest")
    return np.asarray(total.numpy())


PEERS = (
    Peer("pychop", "pychop", 64, pychop),
    Peer("gfloat", "gfloat", 64, gfloat),
    Peer("APyTypes (rounds products)", "apytypes", 128, apytypes),
    Peer("MPTorch", "mptorch", 128, mptorch),
    Peer("QPyTorch (ties away)", "qtorch", 128, qtorch),
)


def installed() -> Iterator[Peer]:
    """The peers that can be imported here."""
    return (peer for peer in PEERS if find_spec(peer.package) is not None)
