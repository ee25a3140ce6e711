"""Commands that say what may be done about a sum."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from analysis.overflow import RangeLimits
from dse.advice import bound_rows, cut_rows, range_rows, remedy_rows
from dse.bits import Question
from dse.cli.output import console, print_json
from dse.integers import integer_rows
from dse.options import (
    AsJson,
    Cutoff,
    Density,
    ExponentBits,
    Mean,
    NmseBudget,
    OneProducts,
    OneRounding,
    OuterBits,
    Parity,
    ProductBits,
    ProductMantissa,
    RandomBits,
)
from dse.sum_grid import Sum, SumGrid, described, operands, operands_line, options_of, single_sum
from dse.tables import rows_table
from models.files import validated

USUAL, GRID, LIMITS = Question(), SumGrid(n=(1,), m_acc=(1,)), RangeLimits()

Length = Annotated[int, typer.Option("--n", help="products of a sum")]
Width = Annotated[int | None, typer.Option("--m-acc", help="mantissa bits of the accumulator")]
Chunk = Annotated[int | None, typer.Option("--chunk", help="products per inner sum")]
Named = Annotated[str | None, typer.Option("--accumulator", help="of the catalogue, instead")]
Summed = Annotated[
    str | None, typer.Option("--products", help="what is summed, as in partialsum predict")
]


class OneCriterion(StrEnum):
    """When a width is enough (:mod:`analysis.requirement`)."""

    THEOREM = "theorem"
    NMSE = "nmse"
    PARITY = "parity"


Failure = Annotated[float, typer.Option(help="probability with which a bound may not hold")]


def chunk(
    n: Length,
    m_p: ProductMantissa = None,
    criterion: Annotated[
        OneCriterion, typer.Option(help="as in partialsum bits")
    ] = OneCriterion.PARITY,
    cutoff: Cutoff = USUAL.cutoff,
    nmse: NmseBudget = USUAL.nmse,
    parity: Parity = USUAL.parity,
    rounding: OneRounding = USUAL.rounding,
    products: OneProducts = None,
    mean: Mean = USUAL.mean,
    density: Density = USUAL.density,
    as_json: AsJson = False,
) -> None:
    """The chunk that needs the fewest bits, the curve around it, and more levels than two.

    Bits are real numbers, so that the flat optimum is seen. Levels of noise are of first order.

    Example: partialsum chunk --n 1000000 --m-p 5
    """
    question = validated(options_of(locals(), Question), Question)
    chunks, levels = cut_rows(n, question)
    if as_json:
        print_json([*chunks, *levels])
        return
    label = question.noise_criterion.label
    if criterion is OneCriterion.THEOREM:
        label = question.criteria[0].label
    of = f"n = {n:,}, {question.summed_text}, {rounding}, {label}"
    console.print(of, highlight=False, markup=False)
    console.print(rows_table(chunks))
    order = "" if criterion is OneCriterion.THEOREM else ", to first order: products on no grid"
    console.print(f"Equal levels{order}")
    console.print(rows_table(levels))


def remedies(
    n: Length,
    m_acc: Width = None,
    m_p: ProductBits = None,
    e_acc: ExponentBits = GRID.e_acc,
    rounding: OneRounding = USUAL.rounding,
    random_bits: RandomBits = None,
    chunk: Chunk = None,
    m_outer: OuterBits = None,
    accumulator: Named = None,
    products: Summed = None,
    mean: Mean = GRID.mean,
    density: Density = GRID.density,
    as_json: AsJson = False,
) -> None:
    """What can be done about a sum's error, what it is worth and what it costs.

    Example: partialsum remedies --n 4608 --m-acc 6
    """
    one = single_sum(validated(options_of(locals(), SumGrid), SumGrid))
    _show(remedy_rows(one), as_json, _heading(one))


def bounds(
    n: Length,
    m_acc: Width = None,
    e_acc: ExponentBits = GRID.e_acc,
    rounding: OneRounding = USUAL.rounding,
    random_bits: RandomBits = None,
    chunk: Chunk = None,
    m_outer: OuterBits = None,
    accumulator: Named = None,
    failure: Failure = 1e-6,
    as_json: AsJson = False,
) -> None:
    """Bounds on a sum's error, for certain and with a probability, from the literature.

    Example: partialsum bounds --n 4096 --accumulator hopper_fp8_e4m3
    """
    one = single_sum(validated(options_of(locals(), SumGrid), SumGrid))
    rows = bound_rows(one, failure)
    heading = f"|computed − exact| ≤ relative · Σ|p| + absolute: {described(one.fields)}, n = {n:,}"
    if not rows:
        heading = f"No bound holds: {described(one.fields)}, n = {n:,}"
    _show(rows, as_json, heading)


def exponents(
    n: Length,
    m_acc: Annotated[int, typer.Option(help="mantissa bits of the accumulator")],
    products: Summed = None,
    mean: Mean = GRID.mean,
    density: Density = GRID.density,
    log2_scale: Annotated[
        int | None,
        typer.Option(
            min=-500,
            max=500,
            help="products are multiplied by two to this power (default: centred)",
        ),
    ] = None,
    overflow: Annotated[
        float, typer.Option(help="most probability that a partial sum overflows")
    ] = LIMITS.overflow,
    underflow: Annotated[
        float, typer.Option(help="largest share of products below the least value")
    ] = LIMITS.underflow,
    as_json: AsJson = False,
) -> None:
    """Exponent bits: what overflows and underflows, the loss scale, and the fewest that suffice.

    Example: partialsum exponents --n 4096 --m-acc 9 --products fp8_e5m2*fp8_e5m2
    """
    one = single_sum(validated(options_of(locals(), SumGrid), SumGrid))
    limits = RangeLimits(overflow, underflow)
    heading = f"{m_acc} mantissa bits, n = {n:,}: {operands_line(*operands(one.fields))}"
    _show(range_rows(m_acc, one.products, n, limits, log2_scale), as_json, heading)


def integer(
    products: Annotated[
        str,
        typer.Argument(help="two integer types, as u8*s8, or two float formats, for exact sums"),
    ],
    n: Annotated[int | None, typer.Option("--n", help="products of a sum")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="a .npy file of integer weights (out, K), instead of --n")
    ] = None,
    tile: Annotated[int | None, typer.Option(help="products of an inner sum")] = None,
    failure: Failure = 1e-6,
    as_json: AsJson = False,
) -> None:
    """Width of an integer or exact accumulator, by every rule from the literature.

    Example: partialsum integer u8*s8 --n 4608 --tile 64
    """
    _show(integer_rows(products, n, weights, tile, failure), as_json, None)


def _heading(one: Sum) -> str:
    of = operands_line(*operands(one.fields))
    return f"{described(one.fields)}, n = {one.fields.n:,}: {of}"


def _show(rows: Sequence[BaseModel], as_json: bool, heading: str | None) -> None:
    if as_json:
        print_json(rows)
        return
    if heading is not None:
        console.print(heading, highlight=False, markup=False, soft_wrap=True)
    if rows:
        console.print(rows_table(rows))
