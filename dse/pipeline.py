"""The chain, stage by stage: each reads plain records from the folder and leaves plain records."""

from pathlib import Path

from analysis.requirement import Theorem
from dse import folder
from dse.calibration import (
    STEPS,
    calibrate,
    kept_statistics,
    statistics_csv,
    write_statistics,
)
from dse.evidence import kept_gemms, kept_training, probe_gemms, probe_training
from dse.outcome import outcome
from dse.progress import Track
from dse.search import open_study, search
from dse.seeds import seeds
from dse.settings import Settings
from dse.space import Space
from models.files import read_model, write_atomically
from models.networks.loading import load_network
from models.networks.network import Network
from models.plan import Plan
from models.probes.evidence import TrainingEvidence
from models.requirements import Asked, GemmRequirement, requirements
from models.results import SearchResult
from reports.page import NetworkSummary, Provenance, ReportData, render
from reports.tables import to_csv

#: products of FP8 (1, 5, 2) operands: what the requirement table is made for (Wang et al., 2018)
TABLE_M_P = 5
#: the network that can be trained here
PROBE_NETWORK = "digits-cnn"


def run_search(settings: Settings, out: Path, track: Track) -> SearchResult:
    """Search, or go on with a search, and write its tables and its plan.

    Raises:
        ValueError: the folder holds another study, or no plan is feasible.
    """
    network = load_network(settings.network)
    space = Space(settings, network)
    next(seeds(space))  # limits that nothing meets are refused before anything is written
    folder.claim(out, settings, network)
    with folder.locked(out), track(f"search {network.name}") as advance:
        study = open_study(out / folder.JOURNAL)
        search(study, space, advance)
    found = outcome(study, space)
    write_atomically(out / folder.REQUIREMENTS, to_csv(table_requirements(settings, network)))
    write_atomically(out / folder.FRONT, to_csv(found.front))
    write_atomically(out / folder.COMPARISON, to_csv(found.baselines))
    write_atomically(out / folder.SEARCH, found.model_dump_json(indent=1) + "\n")
    found.plan.save(out / folder.PLAN)
    return found


def table_requirements(settings: Settings, network: Network) -> tuple[GemmRequirement, ...]:
    """What the theorem asks of every GEMM for FP8 products and the settings' chunk."""
    return requirements(
        network.gemms(settings.batch),
        Asked(TABLE_M_P, settings.chunk, settings.density, Theorem(settings.cutoff)),
    )


def load_settings(out: Path) -> Settings:
    """The settings of a folder.

    Raises:
        ValueError: the folder has none, or they are broken.
    """
    return read_model(out / folder.SETTINGS, Settings)


def load_search(out: Path) -> SearchResult:
    """What a search left in a folder.

    Raises:
        ValueError: the folder has no finished search, or it is broken.
    """
    return read_model(out / folder.SEARCH, SearchResult)


def run_probes(settings: Settings, out: Path, track: Track) -> TrainingEvidence:
    """Emulate every GEMM of the folder's plan, and train with the criterion that made it.

    Where the plan's network cannot be trained here, the probe network gets a plan of its own by the
    same criterion and search, in the folder ``probe``. What its GEMMs multiply is measured, too.
    """
    plan = load_search(out).plan
    write_atomically(out / folder.SETTINGS, settings.model_dump_json(indent=1) + "\n")
    probe_gemms(plan, settings, out, track)
    trained = _trainable_plan(plan, settings, out, track)
    if kept_statistics(out) is None:
        steps = min(STEPS, settings.steps)
        found = calibrate(load_network(trained.network), steps, trained.batch, settings.seed, track)
        write_statistics(out / folder.STATISTICS, found)
        write_atomically(out / folder.STATISTICS_TABLE, statistics_csv(found))
    return probe_training(trained, settings, out, track)


def _trainable_plan(plan: Plan, settings: Settings, out: Path, track: Track) -> Plan:
    if plan.network == PROBE_NETWORK:
        return plan
    own = settings.model_copy(
        update={"network": PROBE_NETWORK, "batch": None, "trials": settings.probe_trials}
    )
    return run_search(own, out / folder.PROBE, track).plan


def write_report(out: Path, made: Provenance) -> Path:
    """The page of a folder, with the probes that were run."""
    settings = load_settings(out)
    network = read_model(out / folder.NETWORK, Network)
    found = load_search(out)
    trained = found.plan if found.plan.network == PROBE_NETWORK else _kept_probe_plan(out)
    training = kept_training(out, trained) if trained else None
    data = ReportData(
        network=NetworkSummary.of(network),
        batch=found.plan.batch,
        settings=settings.model_dump(mode="json"),
        requirements=table_requirements(settings, network),
        result=found,
        gemm_evidence=kept_gemms(found.plan, settings, out),
        training=training,
        statistics=kept_statistics(out),
        probe_plan=None if trained is found.plan else trained,
        provenance=made,
    )
    write_atomically(out / folder.REPORT, render(data))
    return out / folder.REPORT


def _kept_probe_plan(out: Path) -> Plan | None:
    kept = out / folder.PROBE / folder.SEARCH
    return load_search(out / folder.PROBE).plan if kept.exists() else None
