import pytest

from reports.page import _file
from reports.palette import CYCLE, DARK_SURFACE, GREY, LIGHT_SURFACE, contrast

#: WCAG 2.2: 1.4.11 for graphics, 1.4.3 for text
GRAPHICS, TEXT = 3.0, 4.5


@pytest.mark.parametrize("surface", [LIGHT_SURFACE, DARK_SURFACE])
@pytest.mark.parametrize("colour", [*CYCLE, GREY])
def test_marks_stand_out_on_a_light_and_on_a_dark_page(colour: str, surface: str) -> None:
    assert contrast(colour, surface) >= GRAPHICS


def _themes() -> list[dict[str, str]]:
    """The custom properties of each theme of the style sheet."""
    themes = []
    for block in _file("page.css").split("--page:")[1:]:
        text = "--page:" + block.split("}")[0]
        pairs = (entry.split(":") for entry in text.split(";") if ":" in entry)
        themes.append({name.strip(): value.strip() for name, value in pairs})
    return themes


def test_there_are_a_light_a_dark_and_a_printed_theme() -> None:
    assert [theme["--surface"] for theme in _themes()] == [
        LIGHT_SURFACE,
        DARK_SURFACE,
        LIGHT_SURFACE,
    ]


@pytest.mark.parametrize("theme", _themes(), ids=["light", "dark", "print"])
@pytest.mark.parametrize("ink", ["--text", "--muted", "--accent", "--good", "--open", "--bad"])
def test_text_can_be_read_on_every_ground(theme: dict[str, str], ink: str) -> None:
    for ground in ("--page", "--surface", "--code"):
        assert contrast(theme[ink], theme[ground]) >= TEXT, ground
