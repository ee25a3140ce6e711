"""The chain from a network to a plan, its probes and its report."""

import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.retention import CUTOFF
from dse import pipeline
from dse.cli.output import console, plain, track
from dse.folder import files
from dse.options import (
    ArrayLeast,
    ArrayMost,
    Batch,
    Cutoff,
    Density,
    FloorOption,
    NetworkArgument,
    OperandLeast,
    OperandLimit,
    OperandMost,
    Out,
    RoundingOption,
    Samples,
    Seed,
    Seeds,
    Steps,
    Trials,
    Workers,
)
from dse.settings import Settings
from dse.tables import baselines_table, networks_table
from models.files import validated
from models.networks.catalog import network_names
from models.networks.loading import load_network
from models.results import SearchResult
from reports.page import Provenance

DEFAULTS = Settings(network=pipeline.PROBE_NETWORK)
#: packages whose versions can change a result
_PACKAGES = ("numpy", "scipy", "numba", "optuna", "plotly", "pydantic")


def networks() -> None:
    """The networks of the catalogue."""
    console.print(networks_table(map(load_network, network_names())))


def search(
    network: NetworkArgument,
    out: Out,
    batch: Batch = None,
    density: Density = 1.0,
    cutoff: Cutoff = CUTOFF,
    trials: Trials = DEFAULTS.trials,
    seed: Seed = DEFAULTS.seed,
    floor: FloorOption = DEFAULTS.floor,
    rounding: RoundingOption = DEFAULTS.rounding,
    operand_nmse_limit: OperandLimit = DEFAULTS.operand_nmse_limit,
    m_op_least: OperandLeast = DEFAULTS.m_op_least,
    m_op_most: OperandMost = DEFAULTS.m_op_most,
    array_least: ArrayLeast = DEFAULTS.array_least,
    array_most: ArrayMost = DEFAULTS.array_most,
) -> None:
    """Search per-layer plans, or go on with the search that the folder holds.

    Example: partialsum search resnet18-imagenet --out out/resnet18-imagenet --trials 500
    """
    found = pipeline.run_search(_settings(locals()), out, track)
    _print_outcome(found)
    _name_files(out)


def probe(
    out: Annotated[Path, typer.Argument(help="folder of a finished search")],
    samples: Samples = DEFAULTS.samples,
    seeds: Seeds = DEFAULTS.seeds,
    steps: Steps = DEFAULTS.steps,
    workers: Workers = DEFAULTS.workers,
) -> None:
    """Emulate every GEMM of the plan in a folder, and train with the criterion that made it.

    Example: partialsum probe out/resnet18-imagenet
    """
    changed = {"samples": samples, "seeds": seeds, "steps": steps, "workers": workers}
    settings = _settings({**dict(pipeline.load_settings(out)), **changed})
    evidence = pipeline.run_probes(settings, out, track)
    console.print(evidence.verdict.sentence, highlight=False)
    _name_files(out)


def report(
    out: Annotated[Path, typer.Argument(help="folder of a finished search")],
) -> None:
    """Write the page of a folder, with the probes that were run.

    Example: partialsum report out/resnet18-imagenet
    """
    page = pipeline.write_report(out, _provenance(pipeline.load_settings(out).seed))
    console.print(f"Written: {plain(str(page))}", highlight=False, soft_wrap=True)


def run(
    network: NetworkArgument,
    out: Out,
    batch: Batch = None,
    density: Density = 1.0,
    cutoff: Cutoff = CUTOFF,
    trials: Trials = DEFAULTS.trials,
    seed: Seed = DEFAULTS.seed,
    floor: FloorOption = DEFAULTS.floor,
    rounding: RoundingOption = DEFAULTS.rounding,
    operand_nmse_limit: OperandLimit = DEFAULTS.operand_nmse_limit,
    m_op_least: OperandLeast = DEFAULTS.m_op_least,
    m_op_most: OperandMost = DEFAULTS.m_op_most,
    array_least: ArrayLeast = DEFAULTS.array_least,
    array_most: ArrayMost = DEFAULTS.array_most,
    samples: Samples = DEFAULTS.samples,
    seeds: Seeds = DEFAULTS.seeds,
    steps: Steps = DEFAULTS.steps,
    workers: Workers = DEFAULTS.workers,
) -> None:
    """The whole chain: requirement, search, plan, probes and report. Goes on where it was stopped.

    Example: partialsum run resnet18-imagenet --out out/resnet18-imagenet
    """
    settings = _settings(locals())
    _print_outcome(pipeline.run_search(settings, out, track))
    evidence = pipeline.run_probes(settings, out, track)
    console.print(evidence.verdict.sentence, highlight=False)
    pipeline.write_report(out, _provenance(settings.seed))
    _name_files(out)


def _settings(values: Mapping[str, Any]) -> Settings:
    """Settings from a command's own options."""
    return validated({k: v for k, v in values.items() if k in Settings.model_fields}, Settings)


def _print_outcome(found: SearchResult) -> None:
    console.print(found.why, highlight=False)
    console.print(baselines_table(found.baselines))


def _provenance(seed: int) -> Provenance:
    return Provenance(
        command=shlex.join(["partialsum", *sys.argv[1:]]),
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions={name: version(name) for name in ("partialsum", *_PACKAGES)}
        | {"python": platform.python_version()},
        seed=seed,
    )


def _name_files(out: Path) -> None:
    console.print("Written:")
    for file in files(out):
        console.print(f"  {plain(str(file))}", highlight=False, soft_wrap=True)
