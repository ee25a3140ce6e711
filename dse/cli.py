"""The command line: the only place that prints, reads the clock, and exits."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from analysis.retention import CUTOFF
from dse import pipeline
from dse.bits import by_layer, details, single
from dse.folder import files
from dse.settings import Settings
from models.files import one_line, validated, write_atomically
from models.networks.catalog import network_names
from models.networks.gemm import Role
from models.networks.loading import load_network
from models.requirements import GemmRequirement, requirements
from reports.tables import to_csv

app = typer.Typer(
    help="How narrow may each accumulator be, layer by layer, and what does that buy?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
errors = Console(stderr=True)

NetworkArgument = Annotated[
    str, typer.Argument(help="a network of the catalogue, or a .toml or .json file")
]
Batch = Annotated[int | None, typer.Option(help="samples per step [default: the network's own]")]
Density = Annotated[float, typer.Option(help="share of products that are not zero")]
Cutoff = Annotated[float, typer.Option(help="a width is accepted while v(n) is below this")]
Out = Annotated[Path, typer.Option("--out", "-o", help="folder for everything that is written")]


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
        _print_single(asked[0], density, cutoff)
    else:
        _print_network(asked)


def _positive(n: int | None) -> int:
    if n is None or n < 1:
        raise ValueError(f"n (accumulation length) must be at least 1, got {n}")
    return n


def _print_json(records: Sequence[BaseModel]) -> None:
    print(json.dumps([record.model_dump(mode="json") for record in records], indent=1))


def _print_single(asked: GemmRequirement, density: float, cutoff: float) -> None:
    console.print(
        f"n = {asked.n:,}, m_p = {asked.m_p}: [bold]{asked.plain_bits}[/bold] mantissa bits;"
        f" in chunks of {asked.chunk}: [bold]{asked.chunked_bits}[/bold]"
        f" (v < {cutoff:g}, density {density:g})"
    )
    table = Table(box=SIMPLE_HEAD)
    for title in ("m_acc", "VRR", "ln v", "VRR, chunked", "ln v, chunked"):
        table.add_column(title, justify="right")
    for row in details(asked, density):
        cells = (row.retention, row.log_lost, row.chunked_retention, row.chunked_log_lost)
        table.add_row(str(row.m_acc), *(f"{cell:.6g}" for cell in cells))
    console.print(table)


def _print_network(asked: Sequence[GemmRequirement]) -> None:
    chunk = max(one.chunk for one in asked)
    table = Table(
        title=f"Least accumulator mantissa bits: plain / in chunks of {chunk}"
        f" (m_p = {asked[0].m_p})",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("layer", overflow="fold")
    for role in Role:
        table.add_column(f"{role} n", justify="right", no_wrap=True)
        table.add_column("bits", justify="right", no_wrap=True, style="bold")
    for layer, roles in by_layer(asked):
        table.add_row(_plain(layer), *(cell for role in Role for cell in _cells(roles.get(role))))
    console.print(table)


def _cells(one: GemmRequirement | None) -> tuple[str, str]:
    return ("–", "–") if one is None else (f"{one.n:,}", f"{one.plain_bits} / {one.chunked_bits}")


def _plain(text: str) -> str:
    """Text from a file, so that rich takes none of it for markup."""
    return text.replace("[", r"\[")


@app.command()
def networks() -> None:
    """The networks of the catalogue."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("network", no_wrap=True)
    for title in ("layers", "parameters", "MACs per sample", "batch"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in network_names():
        network = load_network(name)
        counts = (len(network.layers), network.parameters, network.macs, network.default_batch)
        table.add_row(name, *(f"{count:,}" for count in counts))
    console.print(table)


@contextmanager
def _track(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr where that is a terminal; a line at the end where it is not."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task(_plain(title), total=total)
        yield lambda done: progress.update(task, completed=done)


@app.command()
def search(
    network: NetworkArgument,
    out: Out,
    batch: Batch = None,
    density: Density = 1.0,
    cutoff: Cutoff = CUTOFF,
    trials: Annotated[int, typer.Option(help="of the search, earlier ones included")] = 300,
    seed: Annotated[int, typer.Option(help="of everything that is random")] = 0,
) -> None:
    """Search per-layer plans; go on with a search that the folder holds.

    Example: partialsum search resnet18-imagenet --out out/resnet18-imagenet
    """
    settings = _settings(
        network=network, batch=batch, density=density, cutoff=cutoff, trials=trials, seed=seed
    )
    found = pipeline.run_search(settings, out, _track)
    console.print(found.why)
    _name_files(out)


def _settings(**values: Any) -> Settings:
    return validated(values, Settings)


def _name_files(out: Path) -> None:
    console.print("\nWritten:")
    for file in files(out):
        console.print(f"  {_plain(str(file))}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run a command; bad input is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except KeyboardInterrupt:
        errors.print("partialsum: stopped; the same command goes on from here")
        sys.exit(130)
    except typer.TyperException as error:
        _fail(f"{error.format_message()} In: partialsum {shlex.join(sys.argv[1:])}")
    except (ValueError, OSError) as error:
        _fail(str(error))


def _fail(reason: str) -> None:
    print(f"partialsum: {one_line(reason)}", file=sys.stderr)
    sys.exit(2)
