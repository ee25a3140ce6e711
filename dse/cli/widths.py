"""Commands that answer with widths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from dse.bits import (
    CriterionName,
    ProductsOf,
    Question,
    answers,
    details,
    judged,
    measured_products,
    single,
)
from dse.calibration import STEPS, statistics_csv, write_statistics
from dse.calibration import calibrate as measure
from dse.cli.output import console, print_json, track
from dse.options import (
    AsJson,
    Batch,
    CriterionOption,
    CsvOut,
    Cutoff,
    Density,
    MaxBias,
    Mean,
    NetworkArgument,
    NmseBudget,
    OneAccumulator,
    OneProducts,
    OneRounding,
    Parity,
    ProductMantissa,
    Seed,
)
from dse.pipeline import PROBE_NETWORK
from dse.scaling import scaled
from dse.sum_grid import options_of
from dse.tables import (
    criteria_table,
    noise_line,
    requirements_line,
    requirements_table,
    scaling_table,
    single_line,
    single_table,
    statistics_table,
    verdicts_line,
    verdicts_table,
)
from models.files import validated, write_atomically
from models.networks.gemm import Gemm
from models.networks.loading import load_network
from reports.tables import to_csv

USUAL = Question()
InnerProducts = Annotated[
    int, typer.Option("--chunk", help="products per inner sum of the chunked width")
]


def bits(
    network: Annotated[
        str | None, typer.Argument(help="a network of the catalogue, or a .toml or .json file")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="length of one sum, instead")] = None,
    m_p: ProductMantissa = None,
    chunk: InnerProducts = USUAL.chunk,
    batch: Batch = None,
    density: Density = USUAL.density,
    criterion: CriterionOption = None,
    cutoff: Cutoff = USUAL.cutoff,
    nmse: NmseBudget = USUAL.nmse,
    parity: Parity = USUAL.parity,
    max_bias: MaxBias = USUAL.max_bias,
    rounding: OneRounding = USUAL.rounding,
    products: OneProducts = None,
    mean: Mean = USUAL.mean,
    accumulator: OneAccumulator = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="what partialsum calibrate measured of the network: sum that instead"),
    ] = None,
    as_json: AsJson = False,
    csv: CsvOut = None,
) -> None:
    """Least accumulator mantissa bits of one sum, or of every GEMM of a network.

    By the published theorem, by a budget of noise, or so that the accumulator cannot be seen beside
    the rounding of the operands; or whether a named accumulator is enough.

    Example: partialsum bits resnet18-imagenet --chunk 64 --criterion all
    """
    question = validated(options_of(locals(), Question), Question)
    if (network is None) == (n is None):
        raise ValueError("bits: give either a network or --n, got " + ("both" if n else "neither"))
    shapes = None if network is None else load_network(network)
    gemms = [single(_positive(n))] if shapes is None else shapes.gemms(batch)
    products_of: ProductsOf = question.summed
    if statistics is not None:
        products_of = measured_products(statistics, shapes, question)
    if question.accumulator is not None:
        _judge(gemms, question, products_of, as_json, csv)
        return
    found = answers(gemms, question, products_of)
    if _as_data(found, as_json, csv):
        return
    if network is None:
        for asked in found:
            console.print(single_line(asked, question.density))
        console.print(noise_line(question.summed_text, question.rounding), highlight=False)
        console.print(single_table(details(found, question), found[0].chunk))
    else:
        console.print(requirements_line(found))
        if question.criterion not in (None, CriterionName.THEOREM):
            summed = "what was measured" if statistics else question.summed_text
            console.print(noise_line(summed, question.rounding), highlight=False)
        one = len(question.criteria) == 1
        console.print(requirements_table(found) if one else criteria_table(found))


def calibrate(
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file of the statistics")],
    network: Annotated[
        str, typer.Argument(help="a network of the catalogue or a file, that learns the digits")
    ] = PROBE_NETWORK,
    steps: Annotated[int, typer.Option(help="of training")] = STEPS,
    batch: Batch = None,
    seed: Seed = 0,
    csv: CsvOut = None,
) -> None:
    """Measure what the GEMMs of a network multiply while it trains in float32.

    Density, means, kurtosis, exponents and ranges of every GEMM, and a sample of its products, for
    --statistics of other commands. models/statistics.py documents the file: for a network that
    cannot be trained here, whatever has its tensors can write one.

    Example: partialsum calibrate digits-cnn -o digits.json
    """
    if out.suffix.lower() != ".json":
        raise ValueError(f"{out}: name must end in .json, got {out.suffix!r}")
    found = measure(load_network(network), steps, batch, seed, track)
    write_statistics(out, found)
    if csv is not None:
        write_atomically(csv, statistics_csv(found))
    console.print(statistics_table(found))


def scale(
    network: NetworkArgument,
    batch: Annotated[
        list[int] | None, typer.Option(help="samples per step; may be repeated")
    ] = None,
    tokens: Annotated[
        list[int] | None, typer.Option(help="of a sequence of a transformer; may be repeated")
    ] = None,
    m_p: ProductMantissa = None,
    chunk: InnerProducts = USUAL.chunk,
    density: Density = USUAL.density,
    criterion: CriterionOption = None,
    cutoff: Cutoff = USUAL.cutoff,
    nmse: NmseBudget = USUAL.nmse,
    parity: Parity = USUAL.parity,
    max_bias: MaxBias = USUAL.max_bias,
    rounding: OneRounding = USUAL.rounding,
    products: OneProducts = None,
    mean: Mean = USUAL.mean,
    as_json: AsJson = False,
    csv: CsvOut = None,
) -> None:
    """Least widths against batch size and sequence length: how GRAD grows.

    Example: partialsum scale llama3-8b --tokens 2048 --tokens 8192 --tokens 131072
    """
    question = validated(options_of(locals(), Question), Question)
    found = scaled(network, batch or (), tokens or (), question)
    if not _as_data(found, as_json, csv):
        console.print(requirements_line(found))
        if question.criterion not in (None, CriterionName.THEOREM):
            console.print(noise_line(question.summed_text, question.rounding), highlight=False)
        console.print(scaling_table(found))


def _judge(
    gemms: Sequence[Gemm],
    question: Question,
    products_of: ProductsOf,
    as_json: bool,
    csv: Path | None,
) -> None:
    found = judged(gemms, question, products_of)
    if not _as_data(found, as_json, csv):
        test = f"{question.noise_criterion.label}, of {question.summed_text}"
        console.print(verdicts_line(found, test), highlight=False)
        console.print(verdicts_table(found))


def _as_data(records: Sequence[BaseModel], as_json: bool, csv: Path | None) -> bool:
    """Write the records where that is asked for; whether they were printed."""
    if csv is not None:
        write_atomically(csv, to_csv(records))
    if as_json:
        print_json(records)
    return as_json


def _positive(n: int | None) -> int:
    if n is None or n < 1:
        raise ValueError(f"n (accumulation length) must be at least 1, got {n}")
    return n
