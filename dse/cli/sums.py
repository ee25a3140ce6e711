"""Commands that tell what an accumulator makes of a sum."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from dse.cli.output import console, errors, print_json, track, untold
from dse.equations import latex_lines, records, text_lines
from dse.options import (
    Accumulators,
    AsJson,
    Chunks,
    Density,
    ExponentBits,
    MantissaBits,
    Mean,
    MostSamples,
    OuterBits,
    Precision,
    ProductBits,
    ProductsOption,
    RandomBits,
    Roundings,
    Seed,
)
from dse.prediction import predicted_cases, predictions, simulated
from dse.progress import Advance
from dse.simulation_study import Job, Study, jobs, study_of, work
from dse.simulation_sweep import sweep
from dse.sum_grid import SumFields, SumGrid, operands, operands_line, options_of
from dse.tables import accumulators_table, predictions_table, simulations_table
from models.files import validated

#: but for what has to be said
GRID = Study(n=(1,), m_acc=(1,))
#: additions, by a guess at the samples, that are worth a progress bar: about a second
_LONG_WORK = 10**9

Row = TypeVar("Row", bound=SumFields)
Lengths = Annotated[
    list[int] | None, typer.Option("--n", help="products of a sum; may be repeated")
]


def predict(
    n: Lengths = None,
    m_acc: MantissaBits = None,
    m_p: ProductBits = None,
    e_acc: ExponentBits = GRID.e_acc,
    rounding: Roundings = None,
    random_bits: RandomBits = None,
    chunk: Chunks = None,
    m_outer: OuterBits = None,
    accumulator: Accumulators = None,
    products: ProductsOption = None,
    mean: Mean = GRID.mean,
    density: Density = GRID.density,
    simulate: Annotated[bool, typer.Option(help="put a simulation beside each prediction")] = False,
    precision: Precision = None,
    samples: MostSamples = None,
    seed: Seed = GRID.seed,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="a JSON list of objects with fields n, m_acc, m_p, rounding, chunk, m_outer, mean,"
            " products, ..., instead of the options: print a list of {retention, nmse, bias}"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Retention, NMSE and bias of a sum in theory, whatever its rounding, chunk and products.

    Every combination of the options that are repeated is a row.

    Example: partialsum predict --n 4096 --m-acc 7 --m-acc 8 --chunk none --chunk 64 --simulate
    """
    options = locals()
    if cases is not None:
        said = [name for name in ("n", "m_acc", "accumulator", "products") if options[name]]
        if said or simulate:
            raise ValueError(f"predict: --cases say all, got also {(said or ['simulate'])[0]}")
        with track("predict") if errors.is_terminal else nullcontext(untold) as advance:
            found = predicted_cases(cases, advance)
        print_json(found)
        return
    rows = predictions(validated(options_of(options, SumGrid), SumGrid))
    if simulate:
        wanted = jobs(study_of(options))
        with _watched("predict", wanted) as advance:
            rows = simulated(rows, wanted, time.perf_counter, advance)
    _show(rows, as_json, predictions_table)


def simulate(
    n: Lengths = None,
    m_acc: MantissaBits = None,
    m_p: ProductBits = None,
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
    as_json: AsJson = False,
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
    with _watched("simulate", wanted) as advance:
        rows = sweep(wanted, out, time.perf_counter, advance)
    _show(rows, as_json, simulations_table)


def accumulators() -> None:
    """The accumulators of the catalogue: real machines and published designs.

    Example: partialsum predict --n 4096 --accumulator hopper_fp8_e4m3
    """
    console.print(accumulators_table())
    console.print("fp8 alone stands for fp8_e4m3, and hyphens for underscores: hopper-fp8")


def equations(
    latex: Annotated[
        bool, typer.Option("--latex", help="as equations of a LaTeX document")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Every equation of the theory: what was published, and what follows from it.

    Example: partialsum equations --latex > equations.tex
    """
    if as_json and latex:
        raise ValueError("equations: give either --latex or --json, got both")
    if as_json:
        print_json(records())
        return
    for line in latex_lines() if latex else text_lines():
        print(line)


@contextmanager
def _watched(title: str, wanted: Sequence[Job]) -> Iterator[Advance]:
    """A progress bar where somebody waits."""
    if errors.is_terminal and work(wanted) > _LONG_WORK:
        with track(title) as advance:
            yield advance
    else:
        yield untold


def _show(rows: Sequence[Row], as_json: bool, table: Callable[[list[Row]], Table]) -> None:
    """A table for each kind of products, or all as JSON."""
    if as_json:
        print_json(rows)
        return
    for summed, same in groupby(rows, operands):
        console.print(operands_line(*summed), highlight=False, markup=False, soft_wrap=True)
        console.print(table(list(same)))
