"""What theory says of sums, and beside it what simulation measures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from pydantic import BaseModel, RootModel

from analysis.noise import SumError, predict
from dse.progress import Advance
from dse.simulation_study import Job
from dse.simulation_sweep import SimulationRow, measured_figures, sweep
from dse.sum_grid import Sum, SumFields, SumGrid, described, single_sum, sums_of
from models.files import read_model

_FIGURES = ("retention", "nmse", "bias")
_MEASURED = tuple(f"{name}{end}" for name in _FIGURES for end in ("", "_error"))


class Prediction(SumFields):
    """A sum, its predicted error, and its simulated one where that was asked for."""

    retention: float
    nmse: float
    bias: float
    samples: int | None = None
    simulated_retention: float | None = None
    simulated_retention_error: float | None = None
    simulated_nmse: float | None = None
    simulated_nmse_error: float | None = None
    simulated_bias: float | None = None
    simulated_bias_error: float | None = None

    def beside(self, row: SimulationRow) -> Self:
        """With the simulation's figures."""
        return self.model_copy(
            update={"samples": row.samples}
            | {f"simulated_{name}": getattr(row, name) for name in _MEASURED}
        )


def predictions(grid: SumGrid) -> list[Prediction]:
    """The error of every sum of a grid.

    Raises:
        ValueError: a name or a number means nothing, or theory does not know such a sum.
    """
    return [Prediction(**dict(one.fields), **asdict(_predicted(one))) for one in sums_of(grid)]


def simulated(
    rows: Sequence[Prediction], wanted: Sequence[Job], clock: Callable[[], float], advance: Advance
) -> list[Prediction]:
    """The predictions for a study's sums, with its simulations beside them."""
    measured = sweep(wanted, None, clock, advance)
    return [row.beside(other) for row, other in zip(rows, measured, strict=True)]


class _Cases(RootModel[tuple[SumGrid, ...]]):
    """What a file of cases holds."""


class Error(BaseModel):
    """What an accumulator makes of a sum (:class:`analysis.noise.SumError`)."""

    retention: float
    nmse: float
    bias: float


def predicted_cases(file: Path, advance: Advance) -> list[Error]:
    """The errors of the sums in a JSON file: a list of objects with the fields of a grid.

    Raises:
        ValueError: one line with the file, the place in it, the rule and the value.
    """
    found: list[Error] = []
    cases = read_model(file, _Cases).root
    for number, case in enumerate(cases):
        advance(number, len(cases))
        try:
            found.append(Error(**asdict(_predicted(single_sum(case)))))
        except ValueError as error:
            raise ValueError(f"{file}: [{number}]: {error}") from error
    return found


def _predicted(one: Sum) -> SumError:
    return predict(one.accumulator, one.products, one.fields.n)


def lines(row: Prediction) -> Iterator[tuple[str, ...]]:
    """A row as it is printed: accumulator, n, and the figures; measured ones below them."""
    figures = (f"{row.retention:.4f}", f"{row.nmse:.3g}", f"{row.bias:.3g}")
    yield described(row), f"{row.n:,}", "" if row.samples is None else "predicted", *figures
    if row.samples is not None:
        measured = (getattr(row, f"simulated_{name}") for name in _MEASURED)
        yield "", "", "simulated", *measured_figures(*measured)
