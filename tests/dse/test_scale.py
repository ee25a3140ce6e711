import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.networks.loading import load_network

Partialsum = Callable[..., tuple[int, str, str]]


def test_every_size_has_the_requirements_of_its_own(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("scale", "digits-cnn", "--batch", 8, "--batch", 64, "--json")
    assert code == 0
    rows = json.loads(out)
    for batch in (8, 64):
        _, alone, _ = partialsum("bits", "digits-cnn", "--batch", batch, "--json")
        own = [one for one in rows if one["batch"] == batch]
        assert [{**one, "batch": batch, "tokens": None} for one in json.loads(alone)] == own


def test_grad_of_a_transformer_grows_with_its_sequence(partialsum: Partialsum) -> None:
    _, out, _ = partialsum("scale", "gpt2-small", "--tokens", 128, "--tokens", 4096, "--json")
    rows = json.loads(out)
    head = [one for one in rows if (one["layer"], one["role"]) == ("lm_head", "GRAD")]
    assert [one["n"] for one in head] == [512 * 128, 512 * 4096]
    assert head[0]["plain_bits"] < head[1]["plain_bits"]
    assert load_network("gpt2-small", 128).layers[-1].name == "lm_head"


def test_the_table_has_a_line_for_each_size_and_criterion(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    file = tmp_path / "scale.csv"
    words = ("--batch", 1, "--batch", 2, "--criterion", "all", "--csv", file)
    code, out, _ = partialsum("scale", "digits-cnn", *words)
    lines = [line.split() for line in out.splitlines() if "parity" in line or "<" in line]
    assert (code, len(lines)) == (0, 4)
    assert lines[0][0] == "1"
    assert len(file.read_text().splitlines()) == 1 + 2 * 3 * len(load_network("digits-cnn").gemms())


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["resnet18-imagenet", "--tokens", 8], ["resnet18-imagenet", "tokens", "8"]),
        (["bert-base", "--tokens", 0], ["bert-base", "tokens", "0"]),
        (["digits-cnn", "--batch", 0], ["batch", "0"]),
        (["nowhere", "--batch", 1], ["nowhere"]),
    ],
)
def test_bad_sizes_are_one_line(
    partialsum: Partialsum, words: list[object], parts: list[str]
) -> None:
    code, out, err = partialsum("scale", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in err


def test_equations_as_text_latex_and_records(partialsum: Partialsum) -> None:
    code, text, _ = partialsum("equations")
    _, latex, _ = partialsum("equations", "--latex")
    _, out, _ = partialsum("equations", "--json")
    rows = json.loads(out)
    assert code == 0
    assert latex.count(r"\begin{equation}") == latex.count(r"\end{equation}") == len(rows)
    for row in rows:
        assert row["latex"] in latex
        assert row["expression"] in text
        assert row["says"] in text
    assert {"VRR", "v", "noise: longest sum", "theorem: least width"} <= {r["name"] for r in rows}
