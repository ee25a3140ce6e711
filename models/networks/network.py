"""A network: named layers in order, and the batch that it is trained with."""

from collections import Counter
from typing import Annotated, Self

from pydantic import BaseModel, FailFast, Field, model_validator

from models.networks.fields import FROZEN, MAX_LAYERS, MAX_PARAMETERS, Name, Size, Source
from models.networks.gemm import Gemm
from models.networks.layers import Layer


class Network(BaseModel):
    """What is trained: every GEMM of a training step follows from the layers and a batch size.

    ``other_parameters`` (embeddings, norms) take part in no GEMM; they make the parameter count
    comparable with a published one.

    >>> from models.networks.layers import Linear
    >>> fc = Linear(name="fc", in_features=64, out_features=10, bias=True)
    >>> net = Network(name="perceptron", source="an example", layers=(fc,), default_batch=32)
    >>> net.parameters, net.macs, [gemm.length for gemm in net.gemms()]
    (650, 640, [64, 10, 32])
    """

    model_config = FROZEN

    name: Name
    source: Source  #: where shapes and batch size come from
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=MAX_LAYERS), FailFast()]
    other_parameters: Annotated[int, Field(strict=True, ge=0, le=MAX_PARAMETERS)] = 0
    default_batch: Size  #: samples

    @model_validator(mode="after")
    def _check(self) -> Self:
        name, times = Counter(layer.name for layer in self.layers).most_common(1)[0]
        if times > 1:
            raise ValueError(f"layer names must be unique, got {name!r} {times} times")
        return self

    @property
    def parameters(self) -> int:
        """Everything that is learned."""
        return self.other_parameters + sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Products of the forward pass of one sample."""
        return sum(layer.macs for layer in self.layers)

    def gemms(self, batch: int | None = None) -> tuple[Gemm, ...]:
        """The GEMMs of one training step, layer by layer in the order FWD, BWD, GRAD."""
        size = self.default_batch if batch is None else batch
        return tuple(gemm for layer in self.layers for gemm in layer.gemms(size))
