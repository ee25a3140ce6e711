"""Everything that a run depends on, as one value that is saved with its results."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from analysis.formats import Rounding
from analysis.retention import CUTOFF

#: fields that may change between two runs into one folder: they add work, but not another study;
#: the network is compared by its layers, not by the name of its file
_FREE = ("network", "trials", "workers", "samples", "seeds", "steps", "probe_trials")


def _power_of_two(value: int) -> int:
    if value.bit_count() != 1:
        raise ValueError(f"must be a power of two, got {value}")
    return value


Side = Annotated[int, Field(ge=2, le=4096), AfterValidator(_power_of_two)]


class Floor(StrEnum):
    """The narrowest accumulator that a search may use, whatever the theorem accepts."""

    #: m_acc ≥ m_p, so that a product alone is held exactly: the theorem counts variance, and asks
    #: for a single bit where few products are summed, which training does not stand
    PRODUCT = "product"
    NONE = "none"  #: as published


class Settings(BaseModel):
    """A run: the network, what is asked of its sums, the bounds of the space, and the effort."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: str = Field(min_length=1, description="catalogue name, or a .toml or .json file")
    batch: int | None = Field(None, ge=1, le=2**31, description="None: the network's own")

    density: float = Field(1.0, gt=0.0, le=1.0, description="share of products that are not zero")
    cutoff: float = Field(CUTOFF, gt=1.0, description="a width is accepted while v(n) is below")
    operand_nmse_limit: float = Field(
        0.01,
        gt=0.0,
        le=1.0,
        description="most noise that operand rounding may cause, averaged over training; ours: it"
        " admits the two mantissa bits of FP8 training (Wang et al., 2018) and refuses one",
    )
    floor: Floor = Floor.PRODUCT
    rounding: Rounding = Rounding.NEAREST_EVEN
    chunk: int = Field(64, ge=1, le=2**40, description="chunk of the requirement table")

    m_op_least: int = Field(1, ge=1, le=10)
    m_op_most: int = Field(4, ge=1, le=10)
    array_least: Side = Field(8, description="fewest rows and columns of the array")
    array_most: Side = Field(128, description="most rows and columns of the array")
    sram_kib: int = Field(512, ge=1, le=1 << 20)
    accumulator_kib: int = Field(64, ge=1, le=1 << 20)
    dram_gb_per_s: float = Field(25.6, gt=0.0, le=1e5)
    clock_mhz: float = Field(500.0, gt=0.0, le=1e4)
    e_op: int = Field(5, ge=2, le=8)
    e_acc: int = Field(6, ge=2, le=8)

    trials: int = Field(300, ge=1, le=10**6)
    seed: int = Field(0, ge=0, le=2**31)
    workers: int = Field(2, ge=1, le=256)
    samples: int = Field(2048, ge=64, le=10**6, description="dot products per emulated case")
    seeds: int = Field(5, ge=2, le=100, description="training runs per width")
    steps: int = Field(200, ge=1, le=10**5, description="of each training run")
    probe_trials: int = Field(150, ge=1, le=10**6, description="search of the probe network")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.m_op_least > self.m_op_most:
            raise ValueError(
                f"m_op_least must be at most m_op_most = {self.m_op_most}, got {self.m_op_least}"
            )
        if self.array_least > self.array_most:
            raise ValueError(
                f"array_least must be at most array_most = {self.array_most},"
                f" got {self.array_least}"
            )
        return self

    @property
    def log2_sides(self) -> range:
        """Logarithms of the sides that an array may have."""
        return range(self.array_least.bit_length() - 1, self.array_most.bit_length())

    def identity(self) -> dict[str, object]:
        """The fields that make it this study and not another."""
        return {k: v for k, v in self.model_dump(mode="json").items() if k not in _FREE}
