"""What the README shows is what the commands print."""

import re
from pathlib import Path

import pytest

from dse import cli
from models.networks.loading import load_network

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def shown() -> list[tuple[str, list[str]]]:
    """Every example of seconds that shows its output: the command, and the lines."""
    examples = (block.split("\n", 1) for block in blocks("console"))
    return [
        (command.removeprefix("$ partialsum "), [line.rstrip() for line in output.splitlines()])
        for command, output in examples
        if command.startswith(
            ("$ partialsum bits", "$ partialsum simulate", "$ partialsum predict")
        )
        and output.strip()
    ]


@pytest.mark.parametrize(("command", "lines"), shown())
def test_example_prints_what_the_readme_shows(
    command: str,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["partialsum", *command.split()])
    with pytest.raises(SystemExit):
        cli.main()
    printed = [line.rstrip() for line in capfd.readouterr().out.splitlines()]
    kept = lines[: lines.index("  ...")] if "  ..." in lines else lines
    assert printed[: len(kept)] == kept


def test_five_examples_are_checked() -> None:
    assert len(shown()) == 5


def test_network_file_of_the_readme_loads(tmp_path: Path) -> None:
    file = tmp_path / "my-network.toml"
    (text,) = blocks("toml")
    file.write_text(text)
    assert [layer.name for layer in load_network(str(file)).layers] == ["stem", "head"]
