"""The accelerator as a frozen value that is saved with a plan."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from analysis.formats import MAX_EXPONENT_BITS

#: The memory's depth is what this many bits per sum make of its capacity.
NOMINAL_SUM_BITS = 32


class Dataflow(StrEnum):
    """Which operand of a GEMM stays in a PE."""

    OUTPUT_STATIONARY = "output-stationary"  #: each PE sums one output, in place
    WEIGHT_STATIONARY = "weight-stationary"  #: sums pass down a column of weights


class Accelerator(BaseModel):
    """A ``rows × cols`` array of MACs with its memories, at 45 nm (``technology.NODE_NM``).

    ``accumulator_kib`` is what the accumulator memory would hold at 32 bits per sum, in one bank
    per column: that fixes its *depth*, and narrower sums make it narrower at the same depth.

    >>> Accelerator(rows=32, cols=32).accumulator_depth
    512

    Raises:
        pydantic.ValidationError: a field is out of range or unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rows: int = Field(default=32, ge=2, le=4096)
    #: from 2 columns on, a finished output-stationary tile leaves while the next one fills
    cols: int = Field(default=32, ge=2, le=4096)
    dataflow: Dataflow = Dataflow.OUTPUT_STATIONARY
    e_op: int = Field(default=5, ge=2, le=8, description="operand exponent bits")
    e_acc: int = Field(
        default=6, ge=2, le=MAX_EXPONENT_BITS, description="accumulator exponent bits"
    )
    sram_kib: int = Field(default=512, ge=1, le=1 << 20)
    accumulator_kib: int = Field(default=64, ge=1, le=1 << 20)
    #: LPDDR4-3200 on 64 bits
    dram_gb_per_s: float = Field(default=25.6, gt=0, le=1e5)
    #: what 45 nm arrays are published at: BitFusion's PE table, FAST
    clock_mhz: float = Field(default=500.0, gt=0, le=1e4)

    @model_validator(mode="after")
    def _accumulator_memory_holds_one_tile(self) -> "Accelerator":
        if self.accumulator_depth < self.rows:
            raise ValueError(
                f"accelerator: accumulator_kib must hold one {NOMINAL_SUM_BITS}-bit sum per PE,"
                f" {self.rows} × {self.cols} of them, got {self.accumulator_kib} KiB"
            )
        return self

    @property
    def accumulator_depth(self) -> int:
        """Sums that one column's bank of accumulator memory holds."""
        return self.accumulator_kib * 1024 * 8 // NOMINAL_SUM_BITS // self.cols

    @property
    def sram_bits(self) -> int:
        """Capacity of the operand memory."""
        return self.sram_kib * 1024 * 8
