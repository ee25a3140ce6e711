import builtins
import math
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dse.sweep_file import read_records, write_records
from reports.tables import to_csv


class Kind(StrEnum):
    SMALL = "small"


class Record(BaseModel):
    name: str
    kind: Kind | None
    count: int | None
    size: float


RECORDS = [
    Record(name="a, 'b' \"c\"", kind=Kind.SMALL, count=2**63 - 1, size=0.1 + 0.2),
    Record(name="ω", kind=None, count=None, size=-1e-300),
    Record(name="x*y", kind=None, count=-5, size=math.pi * 1e200),
]


@pytest.fixture(params=["csv", "parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "folder" / f"sweep.{request.param}"


def test_records_come_back_as_they_went(file: Path) -> None:
    assert read_records(file, Record) == []
    write_records(file, RECORDS[:1])
    write_records(file, RECORDS)
    assert read_records(file, Record) == RECORDS


def test_columns_are_typed_even_where_a_field_is_empty(tmp_path: Path) -> None:
    from pyarrow import parquet

    write_records(tmp_path / "x.parquet", RECORDS[1:2])
    schema = parquet.read_schema(tmp_path / "x.parquet")
    assert [str(kind) for kind in schema.types] == ["string", "string", "int64", "double"]
    assert schema.names == list(Record.model_fields)


FOREIGN = {
    "empty.csv": b"",
    "other.csv": b"a,b\n1,2\n",
    "more.csv": to_csv(RECORDS).replace("size", "size,more").encode(),
    "ragged.csv": b"name,kind,count,size\nx,small,1\n",
    "wrong.csv": b"name,kind,count,size\nx,large,1,2\n",
    "quoted.csv": b'name,kind,count,size\n"x,small,1,2\n',
    "binary.csv": bytes(range(256)),
    "empty.parquet": b"",
    "text.parquet": b"name,kind,count,size\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match=f"{name}: holds something else, and is left as it is: "):
        read_records(tmp_path / name, Record)


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    class Other(BaseModel):
        name: str

    write_records(tmp_path / "x.parquet", [Other(name="x")])
    with pytest.raises(ValueError, match=r"left as it is: columns .* none named \['kind'\]"):
        read_records(tmp_path / "x.parquet", Record)


@pytest.mark.parametrize("name", ["x.txt", "x", "x.CSV", "x.csv.gz"])
def test_other_suffixes_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name must end in .csv or .parquet, got"):
        read_records(tmp_path / name, Record)


def test_a_folder_is_refused(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(ValueError, match="is not a regular file"):
        read_records(file, Record)


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"x.parquet: Parquet needs pyarrow: install partialsum"):
        read_records(tmp_path / "x.parquet", Record)
    assert read_records(tmp_path / "x.csv", Record) == []
