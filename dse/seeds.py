"""Designs that theory already knows to be good, or that people would build without it."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import product

import numpy as np

from dse.space import Choice, Design, Group, Space, mean_operand_nmse
from models.accelerator.cost import hardware_chunk
from models.accelerator.spec import Accelerator, Dataflow
from models.costing import Choices, step_cost
from models.schedules import Schedule


class Aim(StrEnum):
    """What a seed makes least for every GEMM, the other breaking ties."""

    ENERGY = "energy"
    WIDTH = "width"  #: and with it the area that all GEMMs share


def per_layer_least(
    space: Space, log2_rows: int, log2_cols: int, dataflow: Dataflow, aim: Aim = Aim.ENERGY
) -> Design:
    """On one array: for every GEMM the least accepted width, at the best chunk and operands.

    Exact for this array's energy, because the energy of a step adds over GEMMs.

    Raises:
        ValueError: no operand width within the bounds meets the limit on operand noise.
    """
    bare = Design(log2_rows, log2_cols, dataflow, ())
    options = _options(space)
    table = _option_table(space, space.accelerator(bare), options)
    energy = step_cost(space.arrays, space.accelerator(bare), table).energy_total_pj
    quiet = mean_operand_nmse(table) <= space.settings.operand_nmse_limit
    if not quiet.any(axis=1).all():
        raise ValueError(
            f"operand_nmse_limit: no operand of {space.m_ops.start} to {space.m_ops.stop - 1}"
            f" mantissa bits meets {space.settings.operand_nmse_limit}"
        )
    first, second = (energy, table.m_acc) if aim is Aim.ENERGY else (table.m_acc, energy)
    order = np.lexsort((second, first, ~quiet), axis=1)
    best = tuple(options[index] for index in order[:, 0])
    return Design(log2_rows, log2_cols, dataflow, best)


def _options(space: Space) -> list[Choice]:
    return [
        Choice(m_op, chunk, 0, schedule)
        for m_op, chunk, schedule in product(space.m_ops, space.chunks, Schedule)
    ]


def _option_table(space: Space, accelerator: Accelerator, options: list[Choice]) -> Choices:
    """All options of all distinct GEMMs, ``(G, options)``."""

    def width(group: Group, option: Choice) -> int:
        inner = hardware_chunk(accelerator, group.gemm.length, option.chunk)
        return space.required(group.gemm, option, inner)

    shape = (len(space.groups), len(options))
    return Choices(
        np.broadcast_to(np.array([option.m_op for option in options]), shape),
        np.array([[width(group, option) for option in options] for group in space.groups]),
        np.broadcast_to(np.array([option.chunk for option in options]), shape),
        np.broadcast_to(np.array([option.schedule for option in options], dtype=object), shape),
    )


def seeds(space: Space) -> Iterator[Design]:
    """Per-layer least widths on arrays of every shape and dataflow, middle sizes and squares first.

    Between them they fill the first generation of an evolutionary search with feasible plans; one
    drawn at random is feasible with a probability that falls geometrically with the GEMMs.
    """
    sizes = space.settings.log2_sides
    middle = sizes[len(sizes) // 2]

    def oddness(shape: tuple[int, int]) -> tuple[int, int]:
        rows, cols = shape
        return abs(rows - middle) + abs(cols - middle), abs(rows - cols)

    for rows, cols in sorted(product(sizes, sizes), key=oddness):
        for dataflow, aim in product(Dataflow, Aim):
            yield per_layer_least(space, rows, cols, dataflow, aim)
