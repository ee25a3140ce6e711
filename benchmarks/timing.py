"""Medians of jobs that take turns, and tables of them."""

import time
from collections.abc import Callable
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

RUNS = 7
console = Console(width=110)


def alternate(*jobs: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Median seconds of each job, taken in turn after one warm-up."""
    for job in jobs:
        job()
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(runs):
        for job, taken in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in times]


def table(first: str, *others: str) -> Table:
    """A table of text in the first column and numbers in the others."""
    made = Table(box=SIMPLE_HEAD)
    made.add_column(first)
    for title in others:
        made.add_column(title, justify="right")
    return made
