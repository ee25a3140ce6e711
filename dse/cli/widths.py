"""Commands that answer with widths."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.retention import CUTOFF
from dse.bits import single
from dse.cli.output import console, print_json
from dse.options import AsJson, Batch, Cutoff, Density
from dse.tables import requirements_line, requirements_table, single_line, single_table
from models.files import write_atomically
from models.networks.loading import load_network
from models.requirements import requirements
from reports.tables import to_csv


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
    as_json: AsJson = False,
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
        print_json(asked)
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
