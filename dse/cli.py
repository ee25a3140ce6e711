"""The command line: the only place that prints, reads the clock, and exits."""

import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from io import TextIOWrapper
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analysis.retention import CUTOFF
from dse import pipeline
from dse.bits import single
from dse.folder import files
from dse.options import (
    Accumulators,
    ArrayLeast,
    ArrayMost,
    Batch,
    Chunks,
    Cutoff,
    Density,
    ExponentBits,
    FloorOption,
    Lengths,
    MantissaBits,
    Mean,
    MostSamples,
    NetworkArgument,
    OperandLeast,
    OperandLimit,
    OperandMost,
    Out,
    OuterBits,
    Precision,
    ProductsOption,
    RandomBits,
    RoundingOption,
    Roundings,
    Samples,
    Seed,
    Seeds,
    Steps,
    Trials,
    Workers,
)
from dse.progress import Advance
from dse.settings import Settings
from dse.simulation_study import Study, jobs, study_of, work
from dse.simulation_sweep import operands, sweep
from dse.tables import (
    baselines_table,
    networks_table,
    requirements_line,
    requirements_table,
    simulations_table,
    single_line,
    single_table,
)
from models.files import one_line, validated, write_atomically
from models.networks.catalog import network_names
from models.networks.loading import load_network
from models.requirements import requirements
from models.results import SearchResult
from reports.page import Provenance
from reports.tables import to_csv

app = typer.Typer(
    help="How narrow may each accumulator be, layer by layer, and what does that buy?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: wide enough in a pipe or a file that the names of layers are not folded
console = Console(emoji=False, width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True, emoji=False)

DEFAULTS = Settings(network=pipeline.PROBE_NETWORK)
#: of one simulation, but for what has to be said
GRID = Study(products=("gaussian",), n=(1,), m_acc=(1,))
#: additions, by a guess at the samples, that are worth a progress bar: about a second
_LONG_WORK = 10**9
#: what typer makes of Ctrl-C: 128 + SIGINT, as shells do
_INTERRUPTED = 130
#: packages whose versions can change a result
_PACKAGES = ("numpy", "scipy", "numba", "optuna", "plotly", "pydantic")


@app.command()
def bits(
    network: Annotated[
        str | None, typer.Argument(help="a network of the catalogue, or a .toml or .json file")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="length of one sum, instead")] = None,
    m_p: Annotated[int, typer.Option(help="mantissa bits of a product; 5 for FP8 (1,5,2)")] = 5,
    chunk: Annotated[int, typer.Option(help="products per inner sum of the chunked width")] = 64,
    batch: Batch = None,
    density: Density = 1.0,
    cutoff: Cutoff = CUTOFF,
    as_json: Annotated[bool, typer.Option("--json", help="print the data as JSON")] = False,
    csv: Annotated[Path | None, typer.Option(help="write the data to this file")] = None,
) -> None:
    """Least accumulator mantissa bits of one sum, or of every GEMM of a network.

    Example: partialsum bits resnet18-imagenet --chunk 64
    """
    if (network is None) == (n is None):
        raise ValueError("bits: give either a network or --n, got " + ("both" if n else "neither"))
    gemms = [single(_positive(n))] if network is None else load_network(network).gemms(batch)
    asked = requirements(gemms, m_p, chunk, density, cutoff)
    if csv is not None:
        write_atomically(csv, to_csv(asked))
    if as_json:
        _print_json(asked)
    elif network is None:
        console.print(single_line(asked[0], density, cutoff))
        console.print(single_table(asked[0], density))
    else:
        console.print(requirements_line(asked))
        console.print(requirements_table(asked))


def _positive(n: int | None) -> int:
    if n is None or n < 1:
        raise ValueError(f"n (accumulation length) must be at least 1, got {n}")
    return n


def _print_json(records: Sequence[BaseModel]) -> None:
    print(json.dumps([record.model_dump(mode="json") for record in records], indent=1))


def _plain(text: str) -> str:
    """Text from a file, so that rich takes none of it for markup."""
    return escape(text)


@app.command()
def networks() -> None:
    """The networks of the catalogue."""
    console.print(networks_table(map(load_network, network_names())))


@contextmanager
def _track(title: str) -> Iterator[Advance]:
    """A progress bar on stderr; where that is no terminal, one line when the stage is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task(_plain(title), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@app.command()
def simulate(
    n: Lengths,
    m_acc: MantissaBits = None,
    e_acc: ExponentBits = GRID.e_acc,
    rounding: Roundings = None,
    random_bits: RandomBits = None,
    chunk: Chunks = None,
    m_outer: OuterBits = None,
    accumulator: Accumulators = None,
    products: ProductsOption = None,
    mean: Mean = GRID.mean,
    density: Density = GRID.density,
    precision: Precision = None,
    samples: MostSamples = None,
    seed: Seed = GRID.seed,
    as_json: Annotated[bool, typer.Option("--json", help="print the data as JSON")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="go on with this .csv or .parquet table"),
    ] = None,
) -> None:
    """Sum random products bit for bit as an accumulator does: retention, NMSE and bias.

    Every combination of the options that are repeated is a row. Without --precision and --samples
    the precision is 0.02. A row that the table holds is not run again.

    Example: partialsum simulate --n 4096 --m-acc 8 --m-acc 9 --chunk none --chunk 64 -o sums.csv
    """
    wanted = jobs(study_of(locals()))
    long = errors.is_terminal and work(wanted) > _LONG_WORK
    with _track("simulate") if long else nullcontext(_untold) as advance:
        rows = sweep(wanted, out, time.perf_counter, advance)
    if as_json:
        _print_json(rows)
    else:
        for (products_name, mean, density), same in groupby(rows, operands):
            of = f"{products_name}, mean {mean:g}, density {density:g}"
            console.print(of, highlight=False, markup=False, soft_wrap=True)
            console.print(simulations_table(same))


def _untold(_done: int, _total: int) -> None:
    pass


@app.command()
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
    found = pipeline.run_search(_settings(locals()), out, _track)
    _print_outcome(found)
    _name_files(out)


@app.command()
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
    evidence = pipeline.run_probes(settings, out, _track)
    console.print(evidence.verdict.sentence, highlight=False)
    _name_files(out)


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="folder of a finished search")],
) -> None:
    """Write the page of a folder, with the probes that were run.

    Example: partialsum report out/resnet18-imagenet
    """
    page = pipeline.write_report(out, _provenance(pipeline.load_settings(out).seed))
    console.print(f"Written: {_plain(str(page))}", highlight=False, soft_wrap=True)


@app.command()
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
    _print_outcome(pipeline.run_search(settings, out, _track))
    evidence = pipeline.run_probes(settings, out, _track)
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
        console.print(f"  {_plain(str(file))}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run a command; bad input is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dash gets a mark
    try:
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:
            errors.print("partialsum: stopped; the same command goes on from here")
        sys.exit(code)
    except typer.TyperException as error:
        _fail(f"{error.format_message()} In: partialsum {shlex.join(sys.argv[1:])}")
    except OSError as error:
        _fail(f"{error.filename2 or error.filename or 'file'}: {error.strerror or error}")
    except (ValueError, ImportError) as error:
        _fail(str(error))


def _fail(reason: str) -> None:
    print(f"partialsum: {one_line(reason)}", file=sys.stderr)
    sys.exit(2)
