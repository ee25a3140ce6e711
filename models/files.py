"""Files at the edge: written whole or not at all, and read with one line for whatever is wrong."""

import errno
import json
import os
import reprlib
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

#: suffix -> largest size, in bytes. TOML is for files that people write, and its parser is slow.
FORMATS = {".json": 32 * 2**20, ".toml": 2**20}
MAX_FIELDS = 100_000  #: of one JSON object: each unknown one costs an error record
MAX_DOTTED = 64  #: parts of a dotted TOML key; tomllib takes quadratic time and more over these

MAX_LINE = 1000  #: characters of an error

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80

Model = TypeVar("Model", bound=BaseModel)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write the file whole or leave the old one as it was; its folder is created.

    The content goes to a new name in the same folder, is synced, and takes the place of the file.
    A link stays, and what it points to is written.

    Raises:
        OSError: the folder or the file cannot be written, or stands for a device or a pipe.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    path = path.resolve()
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_model(path: Path, model: type[Model]) -> Model:
    """The model in a ``.json`` or ``.toml`` file.

    Raises:
        ValueError: one line with the file, the place in it, the rule and the value.
    """
    try:
        return validated(_parsed(_read(path), path.suffix.lower()), model)
    except OSError as error:
        reason = error.strerror or str(error)
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise ValueError(one_line(f"{path}: {reason}"))


def validated(data: object, model: type[Model]) -> Model:
    """The data as a model.

    Raises:
        ValueError: one line with the place of the first error, the rule and the value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # an unknown field goes first: it may well be the one that is missing, misspelled
        first = min(errors, key=lambda entry: entry["type"] != "extra_forbidden")
        reason = describe(first, data, model)
    raise ValueError(one_line(reason))


def describe(error: ErrorDetails, data: object, model: type[BaseModel]) -> str:
    """A validation error as ``place: rule, value``."""
    kind, rule, value = error["type"], error["msg"].removeprefix("Input "), error["input"]
    place, name = where(error["loc"], data), str(error["loc"][-1]) if error["loc"] else ""
    context = error.get("ctx", {})
    match kind:
        case "missing":
            rule = f"field {shown(name)} is required"
        case "union_tag_not_found":
            rule = f"field {context['discriminator']} is required"
        case "union_tag_invalid":
            rule = f"{context['discriminator']} must be one of {context['expected_tags']}"
            rule += f", got {shown(context['tag'])}"
        case "extra_forbidden":
            rule = f"field is unknown{_nearest(name, model)}"
        case "value_error":
            rule = rule.removeprefix("Value error, ")
        case _:
            rule += f", got {shown(value)}"
    return f"{place}: {rule}" if place else rule


def where(location: tuple[int | str, ...], data: object) -> str:
    """The place of an error, as one writes it in code.

    Steps that the data do not have are left out: a missing field, and the tags that pydantic puts
    between for the member of a union.

    >>> where(("layers", 1, "conv2d", "kernel"), {"layers": [{}, {"kernel": "x"}]})
    'layers[1].kernel'
    """
    text = ""
    for step in location:
        try:
            data = data[step]  # type: ignore[index]  # whatever is not a container raises
        except (TypeError, LookupError):
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step[:80]}"
    return text.removeprefix(".")


def shown(value: object) -> str:
    """A value as it goes into an error line: never long, whatever it is.

    >>> len(shown("x" * 1000)), shown(True)
    (80, 'True')
    """
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write a number of more than 4300 digits
        return "a number of thousands of digits"


def one_line(text: str) -> str:
    r"""The text with everything escaped that would break a line or move a cursor, and not long.

    >>> one_line("a\nb")
    'a\\nb'
    """
    half = MAX_LINE // 2  # a long path comes first, and the reason last
    line = text if len(text) <= MAX_LINE else f"{text[:half]}...{text[-half:]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _read(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"name must end in {' or '.join(FORMATS)}, got {shown(path.suffix)}")
    if path.exists() and not path.is_file():
        raise ValueError("is not a regular file")
    with path.open("rb") as file:
        data = file.read(FORMATS[suffix] + 1)
    if len(data) > FORMATS[suffix]:
        raise ValueError(f"a {suffix} file must not exceed {FORMATS[suffix]} bytes")
    return data.decode("utf-8-sig")


def _parsed(text: str, suffix: str) -> object:
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_fields, parse_constant=_no_number)
    if max(_dotted(text)) > MAX_DOTTED:
        raise ValueError(f"a dotted key must have at most {MAX_DOTTED} parts")
    return tomllib.loads(text)


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose fields are few and differ: the second of two equal ones would win."""
    if len(pairs) > MAX_FIELDS:
        raise ValueError(f"an object must have at most {MAX_FIELDS} fields, got {len(pairs)}")
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = sorted(name for name, _ in pairs)
        twice = next(first for first, second in pairwise(names) if first == second)
        raise ValueError(f"a field must appear once in an object, got {shown(twice)} twice")
    return fields


def _no_number(text: str) -> float:
    raise ValueError(f"numbers must be finite, got {text}")


def _dotted(text: str) -> Iterator[int]:
    """Lengths of the runs of text joined by dots that may be one dotted key."""
    run = 1
    for part in text.split("."):
        run = 1 if any(mark in part for mark in "=,\n") else run + 1
        yield run


def _nearest(name: str, model: type[BaseModel]) -> str:
    """The field of the model, or of a model within it, that is spelled most like ``name``."""
    schema = model.model_json_schema()
    parts = (schema, *schema.get("$defs", {}).values())
    known = {field for part in parts for field in part.get("properties", ())}
    close = get_close_matches(name[:100], sorted(known), n=1)
    return f", the nearest is {close[0]!r}" if close else ""
