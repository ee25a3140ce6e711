"""What a training probe is asked for, and what it found.

No torch here, so that reports can read it. Every record is a frozen pydantic model:
``model_dump_json`` writes it, ``models.files.read_model`` reads it back.
"""

from hashlib import sha256
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

from models.plan import Plan

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

#: share of the steps, at the end, over which a final loss is averaged
_LAST = 0.1


class TrainingSettings(BaseModel):
    """How a probe trains: stochastic gradient descent, its rate falling linearly to zero.

    The batch is the plan's, since the GRAD lengths follow from it.
    """

    model_config = FROZEN

    steps: int = Field(default=150, ge=1, le=10**6)
    learning_rate: float = Field(default=0.05, gt=0.0, le=100.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    #: errors are multiplied by 2^this on their way back, so that narrow formats can hold them
    loss_scale_log2: int = Field(default=10, ge=0, le=30)
    check_every: int = Field(default=25, ge=1, description="steps between two accuracies")
    test_images: int = Field(default=360, ge=10, le=1700)
    split_seed: int = Field(default=0, ge=0)


class Check(BaseModel):
    """Accuracy on the test images after so many steps."""

    model_config = FROZEN

    step: int
    accuracy: float


class TrainingRun(BaseModel):
    """One training run, at one offset from the planned widths and with one seed."""

    model_config = FROZEN

    recipe: str  #: of plan and settings, see :func:`recipe_of`
    offset: int | None  #: bits off the plan; None is the baseline, float32 accumulators
    seed: int
    widths: tuple[int, ...]  #: accumulator mantissa bits that were used, in the plan's order
    losses: tuple[float, ...]  #: of every step, before its update
    curve: tuple[Check, ...]
    #: on the test images at the end; 0 where the weights are not finite, which classify nothing
    accuracy: float
    #: loss or weights not finite, or an accuracy no better than a guess. Sums clamp, so that a lost
    #: run mostly ends with dead units and a loss of ln 10, not with an infinity
    diverged: bool
    test_images: int

    @property
    def final_loss(self) -> float | None:
        """Mean loss of the last tenth of the steps; None where the first step already failed."""
        last = self.losses[-max(1, round(_LAST * len(self.losses))) :]
        return fmean(last) if last else None


def recipe_of(plan: Plan, settings: TrainingSettings) -> str:
    """A fingerprint of everything that a run depends on, but for its offset and seed."""
    text = plan.model_dump_json() + settings.model_dump_json()
    return sha256(text.encode()).hexdigest()[:16]
