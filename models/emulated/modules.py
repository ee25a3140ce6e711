"""Drop-in replacements of torch's layers, with torch's own parameters and their initial values."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from models.emulated.arithmetic import LayerArithmetic, branched
from models.emulated.convolution import conv2d
from models.emulated.functions import linear


@dataclass(slots=True)
class Emulation:
    """How layers compute.

    Layers may share one: every forward pass of any of them is a call, and the n-th call draws from
    a seed of its own, branched from ``seed`` (not from those of the calls before, so that ``calls``
    can be set to go on where a run was left). Without stochastic rounding no seed is needed.
    """

    arithmetic: LayerArithmetic
    seed: int | None = None
    threads: int | None = None
    calls: int = 0  #: forward passes so far; counted here, which is why this value is not frozen

    def next_seed(self) -> int | None:
        """The seed of this call; the next one has another."""
        number, self.calls = self.calls, self.calls + 1
        return None if self.seed is None else branched(self.seed, number)


class Linear(nn.Linear):
    """``torch.nn.Linear`` by :func:`~models.emulated.functions.linear`."""

    def __init__(self, *args: Any, emulation: Emulation, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.emulation = emulation

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        how = self.emulation
        return linear(
            x, self.weight, self.bias, how.arithmetic, rng=how.next_seed(), threads=how.threads
        )


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` by :func:`~models.emulated.convolution.conv2d`.

    Raises:
        ValueError: padding is not of zeros, or given by a word.
    """

    def __init__(self, *args: Any, emulation: Emulation, **fields: Any) -> None:
        super().__init__(*args, **fields)
        if isinstance(self.padding, str) or self.padding_mode != "zeros":
            raise ValueError(
                "Conv2d: padding must be numbers of zeros, got"
                f" padding={self.padding!r}, padding_mode={self.padding_mode!r}"
            )
        self.emulation = emulation

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H_out, W_out)."""
        how = self.emulation
        return conv2d(
            x,
            self.weight,
            self.bias,
            how.arithmetic,
            stride=self.stride,
            padding=self.padding,  # type: ignore[arg-type]  # no string: checked at the start
            dilation=self.dilation,
            groups=self.groups,
            rng=how.next_seed(),
            threads=how.threads,
        )
