"""Records of one kind in a CSV or Parquet file that holds nothing else."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from models.files import validated, write_atomically
from reports.tables import to_csv

Record = TypeVar("Record", bound=BaseModel)
Rows = list[dict[str, Any]]

CSV, PARQUET = ".csv", ".parquet"


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """The records in the file; none where there is no file.

    Raises:
        ValueError: the name has another suffix, or the file holds anything else.
        ImportError: it is a Parquet file, and pyarrow is not installed.
    """
    readers: dict[str, Callable[[Path, list[str]], Rows]] = {CSV: _csv, PARQUET: _parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path}: name must end in {' or '.join(readers)}, got {path.suffix!r}")
    if path.suffix == PARQUET:
        _arrow(path)  # missing, it is told before the work and not after it
    if not path.exists():
        return []
    if not path.is_file():
        raise ValueError(f"{path}: is not a regular file")
    try:
        rows = readers[path.suffix](path, list(kind.model_fields))
        return [validated(row, kind) for row in rows]
    except ValueError as error:
        raise ValueError(f"{path}: holds something else, and is left as it is: {error}") from error


def write_records(path: Path, records: Sequence[BaseModel]) -> None:
    """Write the file whole, or leave the old one as it was."""
    write_atomically(path, to_parquet(path, records) if path.suffix == PARQUET else to_csv(records))


def to_parquet(path: Path, records: Sequence[BaseModel]) -> bytes:
    """The records as the contents of a Parquet file: whole numbers, floats and strings."""
    arrow, parquet = _arrow(path)
    types = {int: arrow.int64(), float: arrow.float64()}
    columns = [
        arrow.field(name, types.get(_plain(field.annotation), arrow.string()))
        for name, field in type(records[0]).model_fields.items()
    ]
    rows = [record.model_dump(mode="json") for record in records]
    buffer = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, arrow.schema(columns)), buffer)
    return buffer.getvalue()


def _plain(annotation: Any) -> Any:
    """The type that is optional."""
    return next((kind for kind in get_args(annotation) if kind is not type(None)), annotation)


def _csv(path: Path, columns: list[str]) -> Rows:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            _check_columns(next(reader, []), columns)
            rows = list(reader)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    filled = ([cell or None for cell in row] for row in rows)
    return [dict(zip(columns, row, strict=True)) for row in filled]


def _parquet(path: Path, columns: list[str]) -> Rows:
    arrow, parquet = _arrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(file.schema_arrow.names, columns)
            rows: Rows = file.read().to_pylist()
    except arrow.ArrowException as error:
        raise ValueError(str(error)) from error
    return rows


def _check_columns(found: list[str], columns: list[str]) -> None:
    if found != columns:
        missing = [name for name in columns if name not in found]
        raise ValueError(f"columns must be those of a sweep, got none named {missing[:1]}")


def _arrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(f"{path}: Parquet needs pyarrow: install partialsum[parquet]") from error
    return pyarrow, parquet
