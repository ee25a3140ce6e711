"""What docs/theory.md names exists: functions, tests and figures."""

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/theory.md").read_text()


def found(name: str) -> object:
    """A module, or what stands in one."""
    module, _, attribute = name.rpartition(".")
    if "." not in module:
        return importlib.import_module(name)
    return getattr(importlib.import_module(module), attribute)


def test_every_function_that_the_page_names_can_be_imported() -> None:
    names = set(re.findall(r"`((?:analysis|models)\.\w+(?:\.\w+)*)`", PAGE))
    assert len(names) > 30
    assert all(found(name) for name in names)


def test_every_test_that_the_page_names_stands_in_its_file() -> None:
    names = set(re.findall(r"`(test_\w+)\.(test_\w+)`", PAGE))
    assert len(names) > 20
    for file, test in names:
        texts = [path.read_text() for path in (ROOT / "tests").rglob(f"{file}.py")]
        assert any(f"\ndef {test}(" in text for text in texts), f"{file}.{test}"


def test_every_figure_of_the_page_is_there() -> None:
    images = re.findall(r"\]\((images/[\w.-]+)\)", PAGE)
    assert len(images) == 5
    assert all((ROOT / "docs" / image).stat().st_size < 150_000 for image in images)
