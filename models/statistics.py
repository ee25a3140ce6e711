"""Measured statistics of the products that each GEMM of a network sums, as a file; no torch.

``partialsum calibrate`` measures them on the network of the probes. For any other network the file
can be written by whatever has its tensors; it is JSON (the fields of :class:`Statistics`):

    {"kind": "partialsum-statistics", "version": 1,
     "network": "my-network", "batch": 32, "source": "training run 7, steps 1 to 1024",
     "gemms": [{"layer": "stem", "role": "FWD", "n": 27, "products": 262144, "density": 0.61,
                "mean_ratio": -0.02, "output_mean_ratio": 0.31, "chance_mean_ratio": 0.2,
                "drift": 0.29, "kurtosis": 14.5, "output_kurtosis": 6.2, "lag_correlation": 0.12,
                "exponents": {"least": -33, "low": -17, "high": 2, "most": 4},
                "a": {"density": 0.9, "mean_ratio": 0.4, "least": -1.3, "most": 4.1,
                      "exponents": {"least": -22, "low": -9, "high": 1, "most": 2}},
                "b": {...},
                "sample": {"a": [0.25, 1.5], "b": [-2.0, 0.75]}}]}

``a`` is the activations (FWD, GRAD) or the errors (BWD), ``b`` the weights (FWD, BWD) or the errors
(GRAD). ``sample`` may be left out. :func:`models.probes.product_statistics.measured` makes an entry
of ``gemms`` from the two matrices of a GEMM, as NumPy arrays; :mod:`models.products` says what
theory and simulation sum by it.

All ratios and kurtoses are of the products and operands *that are not zero*, and ``density`` says
how many these are: adding a zero rounds nothing, so that a sum of n products is one of density · n.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.files import read_model, shown
from models.networks.fields import Name, Size, Source
from models.networks.gemm import Role
from models.networks.network import Network

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

#: largest mean-to-standard-deviation ratio; products that are all equal have it, too
MAX_RATIO = 500.0
#: pairs of one GEMM
MAX_SAMPLE = 1 << 20
#: magnitudes that float32 has
SMALLEST, LARGEST = 2.0**-149, float(np.finfo(np.float32).max)


def _in_float32(value: float) -> float:
    if not SMALLEST <= abs(value) <= LARGEST:
        raise ValueError(f"must be a float32 that is not zero, got {value}")
    return value


Density = Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
Ratio = Annotated[float, Field(strict=True, ge=-MAX_RATIO, le=MAX_RATIO)]
Magnitude = Annotated[float, Field(strict=True, ge=0.0, le=MAX_RATIO)]
#: of a Gaussian 3, of the product of two independent ones 9
Kurtosis = Annotated[float, Field(strict=True, ge=1.0)]
#: that of a product of float64 at the most
Exponent = Annotated[int, Field(strict=True, ge=-2200, le=2200)]
Value = Annotated[float, Field(strict=True)]
Values = Annotated[
    tuple[Annotated[float, Field(strict=True), AfterValidator(_in_float32)], ...],
    Field(min_length=1, max_length=MAX_SAMPLE),
]


class Exponents(BaseModel):
    """Binary exponents ⌊log2 |x|⌋ of the values that are not zero."""

    model_config = _FROZEN

    least: Exponent
    low: Exponent  #: at most 0.1 % lie below
    high: Exponent  #: at most 0.1 % lie above
    most: Exponent

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.least <= self.low <= self.high <= self.most:
            raise ValueError(
                "exponents must rise from least over low and high to most, got"
                f" {self.least}, {self.low}, {self.high}, {self.most}"
            )
        return self


class OperandStatistics(BaseModel):
    """One factor, as its GEMM reads it: with padding and inserted zeros, values as often as read.

    Its mean ratio and exponents are of values that are not zero.
    """

    model_config = _FROZEN

    density: Density  #: share of values that are not zero
    mean_ratio: Ratio  #: mean over standard deviation
    least: Value
    most: Value
    exponents: Exponents

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least must not exceed most, got {self.least} and {self.most}")
        return self


class PairSample(BaseModel):
    """Random factors of products that are not zero: the i-th product is ``a[i] · b[i]``.

    Each pair should be scaled by powers of two that make the products of its output have a root
    mean square of about one (in the files of ``partialsum calibrate`` in √½..√2, as that of the
    factor a): a sum never mixes the scales of two outputs or two moments of training, and their
    mixture would have tails that no sum sees. Operands that vanish beside the rest of their tensor
    in a narrow format are not seen in it: :class:`Exponents` tells.
    """

    model_config = _FROZEN

    a: Values
    b: Values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.a) != len(self.b):
            raise ValueError(
                f"sample must have as many a as b, got {len(self.a)} and {len(self.b)}"
            )
        return self


class GemmFigures(BaseModel):
    """Statistics of one GEMM's products, n in a sum."""

    model_config = _FROZEN

    layer: Name
    role: Role
    n: Size  #: zeros included, also those that striding inserts
    products: Size  #: that were looked at
    density: Density  #: share of products that are not zero
    mean_ratio: Ratio  #: mean over standard deviation of all products
    #: E|mean|/(standard deviation) within an output, over outputs; 0 where none has two products
    #: that differ
    output_mean_ratio: Magnitude
    #: what it would be of independent Gaussian products of mean zero: E√(2/(π k)), k in an output
    chance_mean_ratio: Magnitude
    #: root of the mean square, over products, of the ratio within their output, less chance:
    #: √(Σ_o (k_o mean_o²/variance_o − 1) / Σ_o k_o), or 0
    drift: Magnitude
    kurtosis: Kurtosis  #: E[(p − μ)⁴]/σ⁴ of all products, of whatever output
    #: the same within an output, over those outputs; no more than density · n, so low in short sums
    output_kurtosis: Kurtosis
    #: of neighbours along K, zeros too, about the mean of their output; 0 where none varies
    lag_correlation: Annotated[float, Field(strict=True, ge=-1.0, le=1.0)]
    exponents: Exponents
    a: OperandStatistics
    b: OperandStatistics


class GemmStatistics(GemmFigures):
    """The figures, and random products to be summed again."""

    sample: PairSample | None = None

    @property
    def figures(self) -> GemmFigures:
        """The figures alone: a row of a table."""
        return GemmFigures.model_validate(self.model_dump(exclude={"sample"}))


class Statistics(BaseModel):
    """What was measured of a network's GEMMs."""

    model_config = _FROZEN

    kind: Literal["partialsum-statistics"] = "partialsum-statistics"
    version: Literal[1] = 1
    network: Name
    batch: Size  #: samples; the lengths of GRAD follow from it
    source: Source  #: how it was measured
    gemms: Annotated[tuple[GemmStatistics, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        (gemm, times), *_ = Counter((one.layer, one.role) for one in self.gemms).most_common(1)
        if times > 1:
            raise ValueError(f"gemms must be unique, got {gemm[0]}/{gemm[1]} {times} times")
        return self

    def of(self, network: Network) -> tuple[GemmStatistics, ...]:
        """The statistics of each GEMM of ``network``, in its order; others are left out.

        Raises:
            ValueError: they are of another network, one is missing or of another length.
        """
        if self.network != network.name:
            raise ValueError(
                f"statistics: must be of the network {shown(network.name)}, got"
                f" {shown(self.network)}"
            )
        known = {(one.layer, one.role): one for one in self.gemms}
        found = []
        for gemm in network.gemms(self.batch):
            one = known.get((gemm.layer, gemm.role))
            if one is None or one.n != gemm.length:
                raise ValueError(
                    f"statistics of {self.network}: {gemm.layer}/{gemm.role} must be there with"
                    f" n = {gemm.length} at batch {self.batch}, got"
                    f" {'none' if one is None else f'n = {one.n}'}"
                )
            found.append(one)
        return tuple(found)


def load_statistics(path: Path) -> Statistics:
    """The statistics in a ``.json`` file.

    Raises:
        ValueError: one line with the file, the place in it, the rule and the value.
    """
    return read_model(path, Statistics)
