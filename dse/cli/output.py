"""Where everything is printed: tables and data on stdout, progress and errors on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

from dse.progress import Advance

#: wide enough in a pipe or a file that the names of layers are not folded
console = Console(emoji=False, width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True, emoji=False)


def print_json(records: Sequence[BaseModel]) -> None:
    """Print a JSON list."""
    print(json.dumps([record.model_dump(mode="json") for record in records], indent=1))


def plain(text: str) -> str:
    """Text from a file, so that rich takes none of it for markup."""
    return escape(text)


@contextmanager
def track(title: str) -> Iterator[Advance]:
    """A progress bar on stderr; where that is no terminal, one line when the stage is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task(plain(title), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def untold(_done: int, _total: int) -> None:
    """Progress that nobody watches."""
