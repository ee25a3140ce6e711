"""Evidence, level two: training with the plan's arithmetic, at and below the planned widths.

torch is imported by the processes that train, and by nothing here: whoever reads evidence needs
none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from models.plan import Plan
from models.probes.pool import run_tasks
from models.probes.records import FROZEN, TrainingRun, TrainingSettings, recipe_of
from models.probes.summary import OffsetSummary, Verdict, summarise, verdict

__all__ = ["OFFSETS", "SEEDS", "TrainingEvidence", "summarise", "training_evidence", "verdict"]

OFFSETS: tuple[int | None, ...] = (None, 0, -1, -2, -3)
SEEDS = (0, 1, 2)


class TrainingEvidence(BaseModel):
    """All training runs of one plan; what they say follows from them."""

    model_config = FROZEN

    kind: Literal["partialsum-training"] = "partialsum-training"
    network: str
    batch: int
    settings: TrainingSettings
    runs: tuple[TrainingRun, ...]

    @property
    def summaries(self) -> tuple[OffsetSummary, ...]:
        """Accuracy and loss by offset."""
        return summarise(self.runs)

    @property
    def verdict(self) -> Verdict:
        """Whether the planned widths hold."""
        return verdict(self.summaries)


@dataclass(frozen=True, slots=True)
class _Task:
    plan: Plan
    settings: TrainingSettings
    offset: int | None
    seed: int


def _train(task: _Task) -> TrainingRun:
    try:
        from models.probes.training import train  # torch: seconds, and only workers need it
    except ImportError as error:
        raise ImportError("probes need torch: install partialsum[probes]") from error
    return train(task.plan, task.settings, task.offset, task.seed)


def training_evidence(
    plan: Plan,
    settings: TrainingSettings,
    *,
    offsets: Sequence[int | None] = OFFSETS,
    seeds: Sequence[int] = SEEDS,
    workers: int = 1,
    on_run: Callable[[TrainingRun], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    finished: Sequence[TrainingRun] = (),
) -> TrainingEvidence:
    """Every offset with every seed, in that order, less the ``finished`` runs.

    ``on_run`` gets each new run as it ends, so that it can be saved and given back as finished;
    ``on_progress(done, total)`` counts runs, finished ones included. Runs do not depend on
    ``workers``.

    Raises:
        ValueError: a finished run is of another plan or of other settings.
        ImportError: torch or scikit-learn is not installed.
    """
    recipe = recipe_of(plan, settings)
    found = {(run.offset, run.seed): _of_recipe(run, recipe) for run in finished}
    wanted = [(offset, seed) for offset in offsets for seed in seeds]
    tasks = [_Task(plan, settings, *pair) for pair in wanted if pair not in found]

    def keep(index: int, run: TrainingRun) -> None:
        found[run.offset, run.seed] = run
        if on_run is not None:
            on_run(run)
        if on_progress is not None:
            on_progress(sum(pair in found for pair in wanted), len(wanted))

    run_tasks(_train, tasks, workers, keep)
    return TrainingEvidence(
        network=plan.network,
        batch=plan.batch,
        settings=settings,
        runs=tuple(found[pair] for pair in wanted),
    )


def _of_recipe(run: TrainingRun, recipe: str) -> TrainingRun:
    if run.recipe != recipe:
        raise ValueError(
            f"training run (offset {run.offset}, seed {run.seed}): must be of the recipe {recipe}"
            f" (this plan and these settings), got {run.recipe}"
        )
    return run
