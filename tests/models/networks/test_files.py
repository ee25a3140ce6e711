import json
import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from models.files import FORMATS, MAX_LINE, one_line, read_model, shown, validated, write_atomically


class Disc(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["disc"] = "disc"
    radius: Annotated[int, Field(strict=True, ge=1)]


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["square"] = "square"
    side: Annotated[int, Field(strict=True, ge=1)]


class Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: Annotated[str, Field(min_length=1)]
    shapes: list[Annotated[Disc | Square, Field(discriminator="kind")]] = []


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "drawing.json"
    drawing = Drawing(title="größer", shapes=[Disc(radius=3), Square(side=2)])
    write_atomically(path, drawing.model_dump_json())
    assert read_model(path, Drawing) == drawing
    assert [entry.name for entry in path.parent.iterdir()] == ["drawing.json"]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path: Path) -> None:
    path = written(tmp_path, "plan.json", "old")
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = written(tmp_path, "plan.json", "old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", "x")
    usual = written(tmp_path, "usual", "x")
    assert (tmp_path / "ours").stat().st_mode == usual.stat().st_mode


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml = written(tmp_path, "d.toml", 'title = "a"\n[[shapes]]\nkind = "disc"\nradius = 1\n')
    marked = b'\xef\xbb\xbf{"title": "a", "shapes": [{"kind": "disc", "radius": 1}]}'
    assert read_model(toml, Drawing) == read_model(written(tmp_path, "d.JSON", marked), Drawing)


DISC = '{"kind": "disc", "radius": %s}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.json", "", r"Expecting value: line 1 column 1 \(char 0\)"),
        ("d.json", '{"title": "a", "shapes": [{"kind"', r"delimiter: line 1 column 34 \(char 33\)"),
        ("d.json", b'{"title": "\xff"}', "can't decode byte 0xff in position 11"),
        ("d.json", "[" * 100_000, "is nested too deeply"),
        ("d.json", "[]", r"should be a valid dictionary or instance of Drawing, got \[\]"),
        ("d.json", "{}", "field 'title' is required"),
        ("d.json", '{"title": "a", "title": "b"}', "a field must appear once .* 'title' twice"),
        ("d.json", '{"title": NaN}', "numbers must be finite, got NaN"),
        ("d.json", '{"title": ""}', "title: String should have at least 1 character, got ''"),
        ("d.json", '{"titel": "a"}', "titel: field is unknown, the nearest is 'title'"),
        (
            "d.json",
            '{"title": "a", "shape": 1}',
            "shape: field is unknown, the nearest is 'shapes'",
        ),
        ("d.json", '{"title": "a", "\\n\\u001b": 1}', r"^[^\n\x1b]*\\n\\x1b: field is unknown$"),
        ("d.json", '{"title": "a", "shapes": [{}]}', r"shapes\[0\]: field 'kind' is required"),
        (
            "d.json",
            '{"title": "a", "shapes": [{"kind": "ring"}]}',
            r"shapes\[0\]: 'kind' must be one of 'disc', 'square', got 'ring'",
        ),
        (
            "d.json",
            '{"title": "a", "shapes": [%s, {"kind": "disc"}]}' % (DISC % 1),
            r"shapes\[1\]: field 'radius' is required",
        ),
        (
            "d.json",
            '{"title": "a", "shapes": [%s]}' % (DISC % -1),
            r"shapes\[0\]\.radius: should be greater than or equal to 1, got -1",
        ),
        (
            "d.json",
            '{"title": "a", "shapes": [%s]}' % (DISC % "true"),
            r"shapes\[0\]\.radius: should be a valid integer, got True",
        ),
        (
            "d.json",
            '{"title": "a", "shapes": [%s]}' % (DISC % '1, "raduis": 1'),
            r"shapes\[0\]\.raduis: field is unknown, the nearest is 'radius'",
        ),
        ("d.json", '{"title": %s}' % ("1" * 5000), "digits"),
        ("d.toml", "title = 0x%s" % ("f" * 10_000), "got a number of thousands of digits"),
        ("d.toml", "title", r"after a key .*\(at end of document\)|at line 1"),
        ("d.toml", 'title = "a"\ntitle = "b"', "Cannot overwrite a value"),
        ("d.toml", "a." * 100_000 + "a = 1", "a dotted key must have at most 64 parts"),
        ("d.toml", "title = nan", "title: should be a valid string, got nan"),
        ("d.yaml", "title: a", r"name must end in \.json or \.toml, got '\.yaml'"),
    ],
)
def test_a_broken_file_ends_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=message) as caught:
        read_model(path, Drawing)
    assert_one_line(str(caught.value), path)


def assert_one_line(text: str, path: Path) -> None:
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < MAX_LINE + 10


def test_a_file_that_is_not_there_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file or directory") as caught:
        read_model(tmp_path / "none.json", Drawing)
    assert_one_line(str(caught.value), tmp_path / "none.json")


def test_a_folder_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("folder.json", "pipe.json"):
        with pytest.raises(ValueError, match="is not a regular file"):
            read_model(tmp_path / name, Drawing)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_huge_file_is_not_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"huge{suffix}"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(ValueError, match=f"must not exceed {FORMATS[suffix]} bytes"):
        read_model(path, Drawing)


def test_a_strange_path_ends_in_one_line() -> None:
    for name in ("a\0b.json", "a\nb.json", "x" * 5000 + ".json"):
        with pytest.raises(
            ValueError, match=r": (embedded null byte|No such|File name too)"
        ) as caught:
            read_model(Path(name), Drawing)
        assert str(caught.value).isprintable()


def test_an_object_of_very_many_fields_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "d.json", json.dumps({str(i): i for i in range(100_001)}))
    with pytest.raises(ValueError, match="at most 100000 fields, got 100001"):
        read_model(path, Drawing)


def test_data_without_a_file_are_checked_the_same_way() -> None:
    assert validated({"title": "a"}, Drawing) == Drawing(title="a")
    with pytest.raises(ValueError, match=r"^field 'title' is required$"):
        validated({}, Drawing)


def test_a_long_value_is_shown_short() -> None:
    assert len(shown({str(i): "x" * 1000 for i in range(1000)})) < 500
    assert len(one_line("x" * 10**6)) < MAX_LINE + 10


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    write_atomically(link, "new")
    assert (link.is_symlink(), real.read_text()) == (True, "new")


def test_what_stands_for_a_device_or_a_pipe_is_left(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(OSError, match="is not a regular file") as raised:
            write_atomically(path, "new")
        assert raised.value.filename == str(path)
        assert not path.is_file()
