"""torch layers whose forward and backward GEMMs round as the modelled accumulators do.

    from analysis.formats import Accumulator, float_format
    from models.emulated import Arithmetic, Conv2d, Emulation, Role

    narrow = Arithmetic(Accumulator(float_format(6, 9), chunk=64), operands=float_format(5, 2))
    layer = Conv2d(64, 128, 3, padding=1, emulation=Emulation(dict.fromkeys(Role, narrow)))

Orders of K, operands and random draws are stated in :mod:`models.emulated.functions` and
:mod:`models.emulated.convolution`.
"""

try:
    import torch as _torch  # noqa: F401  # missing, it is to be named with the extra that brings it
except ImportError as error:
    raise ImportError("emulated layers need torch: install partialsum[probes]") from error

from models.emulated.arithmetic import Arithmetic, LayerArithmetic, branched
from models.emulated.convolution import conv2d
from models.emulated.functions import linear, matmul
from models.emulated.modules import Conv2d, Emulation, Linear
from models.networks.gemm import Role

__all__ = [
    "Arithmetic",
    "Conv2d",
    "Emulation",
    "LayerArithmetic",
    "Linear",
    "Role",
    "branched",
    "conv2d",
    "linear",
    "matmul",
]
