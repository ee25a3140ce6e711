"""Probes of a plan, kept in the folder so that what has been run is not run again."""

from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from dse import folder
from dse.progress import Track
from dse.settings import Settings
from models.files import read_model, write_atomically
from models.plan import Plan
from models.probes.evidence import TrainingEvidence, training_evidence
from models.probes.gemms import GemmEvidence, gemm_evidence
from models.probes.records import TrainingRun, TrainingSettings, recipe_of
from reports.tables import to_csv


class GemmProbe(BaseModel):
    """Emulated dot products of a plan, and of what they were asked."""

    recipe: str  #: of the plan, the number of samples and the seed
    rows: tuple[GemmEvidence, ...]


def kept_gemms(plan: Plan, settings: Settings, out: Path) -> tuple[GemmEvidence, ...] | None:
    """The rows in the folder, if they are of this plan and these settings."""
    file = out / folder.GEMM_PROBE
    if not file.exists():
        return None
    kept = read_model(file, GemmProbe)
    return kept.rows if kept.recipe == _gemm_recipe(plan, settings) else None


def _gemm_recipe(plan: Plan, settings: Settings) -> str:
    text = f"{plan.model_dump_json()} {settings.samples} {settings.seed}"
    return sha256(text.encode()).hexdigest()[:16]


def probe_gemms(
    plan: Plan, settings: Settings, out: Path, track: Track
) -> tuple[GemmEvidence, ...]:
    """Every GEMM of ``plan`` at, one and two bits below its width; read back if it was run."""
    kept = kept_gemms(plan, settings, out)
    if kept is not None:
        return kept
    with track("probe every GEMM") as advance:
        rows = gemm_evidence(
            plan,
            seed=settings.seed,
            samples=settings.samples,
            workers=settings.workers,
            on_progress=advance,
        )
    record = GemmProbe(recipe=_gemm_recipe(plan, settings), rows=rows)
    write_atomically(out / folder.GEMM_PROBE, record.model_dump_json() + "\n")
    write_atomically(out / folder.GEMM_PROBE_TABLE, to_csv(rows))
    return rows


def kept_training(out: Path, plan: Plan) -> TrainingEvidence | None:
    """The training runs in the folder that are of this plan."""
    file = out / folder.TRAINING
    if not file.exists():
        return None
    kept = read_model(file, TrainingEvidence)
    recipe = recipe_of(plan, kept.settings)
    runs = tuple(run for run in kept.runs if run.recipe == recipe)
    return kept.model_copy(update={"runs": runs}) if runs else None


def probe_training(plan: Plan, settings: Settings, out: Path, track: Track) -> TrainingEvidence:
    """Training with float32 sums, and at and below the planned widths; goes on from kept runs."""
    asked = TrainingSettings(steps=settings.steps)
    kept = kept_training(out, plan)
    recipe = recipe_of(plan, asked)
    runs = [run for run in kept.runs if run.recipe == recipe] if kept else []
    about = {"network": plan.network, "batch": plan.batch, "settings": asked}

    def save(run: TrainingRun) -> None:
        runs.append(run)
        _write(out, TrainingEvidence.model_validate({**about, "runs": tuple(runs)}))

    with track(f"train {plan.network}") as advance:
        evidence = training_evidence(
            plan,
            asked,
            seeds=range(settings.seed, settings.seed + settings.seeds),
            workers=settings.workers,
            on_run=save,
            on_progress=advance,
            finished=tuple(runs),
        )
    _write(out, evidence)
    write_atomically(out / folder.TRAINING_TABLE, to_csv(evidence.summaries))
    return evidence


def _write(out: Path, evidence: TrainingEvidence) -> None:
    write_atomically(out / folder.TRAINING, evidence.model_dump_json() + "\n")
