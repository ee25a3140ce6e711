"""A grid of Monte-Carlo runs, row by row into a table that is gone on with, not begun again."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from analysis.simulation import simulate
from dse.progress import Advance
from dse.simulation_study import Case, Job
from dse.sum_grid import described
from dse.sweep_file import read_records, write_records

#: seconds between two times that the file is written
_SAVE_EVERY_S = 5.0
_MOST_DIGITS = 5  #: behind the point; smaller figures are printed with exponents
#: parts of a row that the progress bar tells apart
_PARTS = 1000


class SimulationRow(Case):
    """A case, and what was found (:class:`analysis.simulation.SumStatistics`)."""

    samples: int
    retention: float
    retention_error: float
    nmse: float
    nmse_error: float
    bias: float
    bias_error: float
    seconds: float

    @property
    def case(self) -> Case:
        """What it follows from."""
        return Case.model_validate(self.model_dump(include=set(Case.model_fields)))


def sweep(
    wanted: Sequence[Job], file: Path | None, clock: Callable[[], float], advance: Advance
) -> list[SimulationRow]:
    """A row of each job, in that order; those that the file already holds are not run again.

    New rows are put behind the file's, every few seconds and at the end, however it ends.

    Raises:
        ValueError: the file holds something else, or a simulation cannot be done.
        ImportError: it is a Parquet file, and pyarrow is not installed.
    """
    rows = [] if file is None else read_records(file, SimulationRow)
    known = {row.case: row for row in rows}
    missing = [job for job in wanted if job.case not in known]
    saved, saved_at = len(rows), clock()
    try:
        for number, job in enumerate(missing):
            row = _run(job, clock, partial(_tell, advance, missing, number))
            known[job.case] = row
            rows.append(row)
            if file is not None and clock() > saved_at + _SAVE_EVERY_S:
                _save(file, rows)
                saved, saved_at = len(rows), clock()
    finally:
        if file is not None and len(rows) > saved:
            _save(file, rows)
    return [known[job.case] for job in wanted]


def _save(file: Path, rows: Sequence[SimulationRow]) -> None:
    """Write the rows, and behind them those that another run has put there meanwhile."""
    ours = {row.case for row in rows}
    others = [row for row in read_records(file, SimulationRow) if row.case not in ours]
    write_records(file, [*rows, *others])


def _run(job: Job, clock: Callable[[], float], on_progress: Advance) -> SimulationRow:
    case, begun = job.case, clock()
    found = simulate(
        job.accumulator,
        job.products,
        case.n,
        precision=case.precision,
        samples=case.most_samples,
        seed=case.seed,
        on_progress=on_progress,
    )
    return SimulationRow(**dict(case), **asdict(found), seconds=clock() - begun)


def _tell(advance: Advance, jobs: Sequence[Job], number: int, done: int, expected: int) -> None:
    """Rows weigh as much as their sums are long."""
    lengths = [job.case.n for job in jobs]
    before = sum(lengths[:number]) * _PARTS
    advance(before + lengths[number] * _PARTS * done // expected, sum(lengths) * _PARTS)


def cells(row: SimulationRow) -> tuple[str, ...]:
    """A row as it is printed: accumulator, n, samples, and the three figures."""
    measured = (
        row.retention, row.retention_error, row.nmse, row.nmse_error, row.bias, row.bias_error
    )  # fmt: skip
    return described(row), f"{row.n:,}", f"{row.samples:,}", *measured_figures(*measured)


def measured_figures(*measured: float) -> list[str]:
    """Figures with their standard errors, each behind its figure."""
    return [shown(*pair) for pair in zip(measured[::2], measured[1::2], strict=True)]


def shown(value: float, error: float) -> str:
    """A figure with the digits that its standard error leaves, and that error.

    >>> shown(0.99861, 0.00011), shown(3.164e-4, 1.6e-6), shown(1.0, 0.0)
    ('0.9986 ± 0.0001', '3.16e-04 ± 2e-06', '1 ± 0')
    """
    if error <= 0.0:
        return f"{value:g} ± 0"
    digits = max(0, -math.floor(math.log10(error)))
    if digits <= _MOST_DIGITS:
        return f"{value:.{digits}f} ± {error:.{digits}f}"
    power = math.floor(math.log10(max(abs(value), error)))
    return f"{value:.{max(0, power + digits)}e} ± {error:.0e}"
