"""All figures of a report, from its records."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.probes.evidence import TrainingEvidence
from models.probes.gemms import GemmEvidence
from models.requirements import GemmRequirement
from models.results import SearchResult
from models.statistics import Statistics
from reports.figures.breakdown import breakdown_data, breakdown_drawing
from reports.figures.drawing import Drawing
from reports.figures.front import front_data, projection_drawing, space_drawing
from reports.figures.gemm_evidence import evidence_cases, evidence_drawing
from reports.figures.retention import retention_data, retention_drawing
from reports.figures.statistics import statistics_data, statistics_drawing
from reports.figures.training import accuracy_drawing, loss_curves, loss_drawing
from reports.figures.widths import width_data, width_drawing


@dataclass(frozen=True, slots=True)
class Drawings:
    """The figures by the question that they answer."""

    saves: tuple[Drawing, ...]
    bits: tuple[Drawing, ...]
    sums: tuple[Drawing, ...]  #: empty where no sums were emulated
    products: tuple[Drawing, ...]  #: empty where nothing was measured
    training: tuple[Drawing, ...]  #: empty where nothing was trained


def drawings(
    result: SearchResult,
    requirements: Sequence[GemmRequirement],
    gemm_evidence: Sequence[GemmEvidence],
    training: TrainingEvidence | None,
    statistics: Statistics | None,
) -> Drawings:
    """Every figure that there are records for."""
    front = front_data(result)
    return Drawings(
        (
            breakdown_drawing(breakdown_data(result)),
            projection_drawing(front),
            space_drawing(front),
        ),
        (
            width_drawing(width_data(result.plan, requirements)),
            retention_drawing(retention_data(result.plan)),
        ),
        (evidence_drawing(evidence_cases(gemm_evidence)),) if gemm_evidence else (),
        _of_products(statistics, result.plan.density) if statistics else (),
        _of_training(training) if training and training.runs else (),
    )


def _of_products(statistics: Statistics, density: float) -> tuple[Drawing, ...]:
    return (statistics_drawing(statistics_data(statistics, density)),)


def _of_training(training: TrainingEvidence) -> tuple[Drawing, ...]:
    return (
        loss_drawing(loss_curves(training.runs)),
        accuracy_drawing(training.summaries, training.runs),
    )
