import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dse import folder
from dse.evidence import kept_training
from models.networks.loading import load_network
from models.plan import load_plan

#: a run that takes seconds: the smallest network, few trials, short probes
QUICK = ("--trials", "12", "--samples", "64", "--seeds", "2", "--steps", "2", "--workers", "1")

Partialsum = Callable[..., tuple[int, str, str]]

TABLES = (folder.FRONT, folder.COMPARISON, folder.REQUIREMENTS, folder.PLAN, folder.SEARCH)


def one_line(err: str) -> str:
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert err.startswith("partialsum: ")
    return err


def test_bits_of_one_sum_answers_plain_and_chunked(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("bits", "--n", 4608, "--m-p", 5, "--chunk", 64)
    assert code == 0
    assert "n = 4,608, m_p = 5: 9 mantissa bits; in chunks of 64: 4" in out


def test_bits_of_a_network_shows_every_layer_and_gemm(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("bits", "resnet18-imagenet", "--chunk", 64, "--batch", 256)
    assert code == 0
    for layer in load_network("resnet18-imagenet").layers:
        assert layer.name in out
    assert "3,211,264" in out  # conv1 GRAD at batch 256: 256 · 112 · 112
    assert "17 / 11" in out  # accumulation.md 1.9, dense


def test_json_and_csv_give_the_same_data(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "bits.csv"
    code, out, _ = partialsum("bits", "digits-cnn", "--density", 0.5, "--json", "--csv", file)
    assert code == 0
    records = json.loads(out)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(records) == len(rows) == len(load_network("digits-cnn").gemms())
    for record, row in zip(records, rows, strict=True):
        assert {name: str(value) for name, value in record.items()} == row


def test_network_from_a_file_has_the_same_answer(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(load_network("digits-cnn").model_dump_json())
    _, from_file, _ = partialsum("bits", file, "--json")
    _, from_catalogue, _ = partialsum("bits", "digits-cnn", "--json")
    assert json.loads(from_file) == json.loads(from_catalogue)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["bits", "resnet19"], ["'resnet19'", "'resnet18-imagenet'"]),
        (["bits", "--n", "0"], ["n (accumulation length)", "at least 1", "0"]),
        (["bits", "--n", "-5"], ["n (accumulation length)", "-5"]),
        (["bits", "--n", "4", "--m-p", "0"], ["m_p", "1..60", "0"]),
        (["bits", "--n", "4", "--density", "0"], ["density", "(0, 1]", "0.0"]),
        (["bits", "--n", "4", "--density", "1.5"], ["density", "(0, 1]", "1.5"]),
        (["bits", "--n", "4", "--density", "nan"], ["density", "nan"]),
        (["bits", "--n", "4", "--chunk", "0"], ["chunk", "0"]),
        (["bits", "--n", "4", "--cutoff", "1"], ["cutoff", "above 1", "1.0"]),
        (["bits", "--n", str(10**30)], ["n (accumulation length)", str(10**30)]),
        (["bits", "digits-cnn", "--batch", "0"], ["batch", "0"]),
        (["bits", "digits-cnn", "--n", "4"], ["either a network or --n", "both"]),
        (["bits"], ["either a network or --n", "neither"]),
        (["bits", "--n", "four"], ["--n", "four"]),
        (["bits", "missing.toml"], ["missing.toml"]),
        (["bogus"], ["bogus"]),
        (["search", "digits-cnn", "--out", "x", "--density", "2"], ["density", "2"]),
        (["search", "digits-cnn", "--out", "x", "--trials", "0"], ["trials", "0"]),
        (["search", "digits-cnn", "--out", "x", "--array-most", "48"], ["power of two", "48"]),
        (["search", "digits-cnn", "--out", "x", "--m-op-least", "5"], ["m_op_least", "5"]),
        (["search", "digits-cnn", "--out", "x", "--operand-nmse-limit", "1e-9"], ["1e-09"]),
        (["bits", "digits-cnn", "--csv", "."], [".: Is a directory"]),
        (["report", "nowhere"], ["nowhere"]),
        (["probe", "nowhere"], ["nowhere"]),
    ],
)
def test_bad_input_is_one_line_and_code_2_and_writes_nothing(
    partialsum: Partialsum,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    parts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = partialsum(*words)
    assert code == 2
    assert out == ""
    for part in parts:
        assert part in one_line(err)
    assert list(tmp_path.rglob("*.json")) == []


def test_search_resumes_where_it_ended_and_names_its_files(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    code, out, _ = partialsum("search", "digits-cnn", "--out", straight, "--trials", 50)
    assert code == 0
    for name in TABLES:
        assert str(straight / name) in out
    partialsum("search", "digits-cnn", "--out", halves, "--trials", 7)
    partialsum("search", "digits-cnn", "--out", halves, "--trials", 50)
    for name in TABLES:
        assert (straight / name).read_bytes() == (halves / name).read_bytes()


def test_folder_of_another_study_is_refused_and_kept(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    partialsum("search", "digits-cnn", "--out", tmp_path, "--trials", 5)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for words, parts in (
        (["--seed", 1], ["seed", "= 0", "has 1"]),
        (["--density", 0.5], ["density", "1.0", "0.5"]),
    ):
        code, _, err = partialsum("search", "digits-cnn", "--out", tmp_path, *words)
        assert code == 2
        for part in ("holds another study", *parts):
            assert part in one_line(err)
    code, _, err = partialsum("search", "alexnet-imagenet", "--out", tmp_path)
    assert (code, "study of another network" in one_line(err)) == (2, True)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_folder_in_use_is_refused(partialsum: Partialsum, tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        code, _, err = partialsum("search", "digits-cnn", "--out", tmp_path, "--trials", 3)
    assert (code, "another partialsum is at work" in one_line(err)) == (2, True)


def test_lock_of_a_killed_search_is_not_waited_for(
    partialsum: Partialsum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    partialsum("search", "digits-cnn", "--out", "out", "--trials", 3)
    Path("out/study.journal.lock").symlink_to("out/study.journal")
    assert partialsum("search", "digits-cnn", "--out", "out", "--trials", 4)[0] == 0


def test_report_leaves_out_the_training_of_another_plan(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    partialsum("run", "digits-cnn", "--out", tmp_path, *QUICK)
    plan = load_plan(tmp_path / folder.PLAN)
    assert kept_training(tmp_path, plan) is not None
    assert kept_training(tmp_path, plan.model_copy(update={"batch": 32})) is None


def test_output_that_is_a_file_is_refused(partialsum: Partialsum, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    code, _, err = partialsum("search", "digits-cnn", "--out", taken)
    assert (code, "must be a folder" in one_line(err)) == (2, True)
    assert taken.read_text() == "mine"


@pytest.mark.parametrize("broken", [folder.SETTINGS, folder.SEARCH, folder.NETWORK])
def test_truncated_record_is_one_line_that_names_it(
    partialsum: Partialsum, tmp_path: Path, broken: str
) -> None:
    partialsum("search", "digits-cnn", "--out", tmp_path, "--trials", 5)
    text = (tmp_path / broken).read_text()
    (tmp_path / broken).write_text(text[: len(text) // 2])
    code, _, err = partialsum("report", tmp_path)
    assert (code, broken in one_line(err)) == (2, True)
    assert not (tmp_path / folder.REPORT).exists()


@pytest.mark.parametrize("emptied", ["front", "baselines", "gemm_energy_pj"])
def test_record_edited_by_hand_is_one_line(
    partialsum: Partialsum, tmp_path: Path, emptied: str
) -> None:
    partialsum("search", "digits-cnn", "--out", tmp_path, "--trials", 3)
    record = json.loads((tmp_path / folder.SEARCH).read_text())
    (tmp_path / folder.SEARCH).write_text(json.dumps({**record, emptied: []}))
    code, _, err = partialsum("report", tmp_path)
    assert (code, emptied in one_line(err)) == (2, True)


def test_whole_chain_leaves_every_file_and_runs_nothing_twice(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    words = ("run", "digits-cnn", "--out", tmp_path, *QUICK)
    code, out, err = partialsum(*words)
    assert code == 0, err
    names = (
        *TABLES,
        folder.GEMM_PROBE,
        folder.GEMM_PROBE_TABLE,
        folder.TRAINING,
        folder.TRAINING_TABLE,
        folder.REPORT,
    )
    for name in names:
        assert str(tmp_path / name) in out
    assert out.rstrip().endswith(folder.REPORT)
    assert not (tmp_path / folder.PROBE).exists()  # digits-cnn is its own probe network
    kept = {name: (tmp_path / name).read_bytes() for name in names if name != folder.REPORT}
    (tmp_path / folder.REPORT).unlink()
    assert partialsum(*words)[0] == 0
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert (tmp_path / folder.REPORT).exists()


def test_network_that_cannot_be_trained_here_gets_a_probe_plan(
    partialsum: Partialsum, tmp_path: Path
) -> None:
    file = tmp_path / "small.json"
    network = load_network("digits-cnn")
    renamed = network.model_copy(update={"name": "small", "layers": network.layers[-1:]})
    file.write_text(renamed.model_dump_json())
    out_folder = tmp_path / "out"
    code, _, err = partialsum("run", file, "--out", out_folder, *QUICK)
    assert code == 0, err
    assert load_plan(out_folder / folder.PLAN).network == "small"
    assert load_plan(out_folder / folder.PROBE / folder.PLAN).network == "digits-cnn"
    page = (out_folder / folder.REPORT).read_text()
    assert "that validates the criterion, not the training of small" in page


def test_stopping_says_how_to_go_on(
    partialsum: Partialsum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dse.pipeline.search", interrupt)
    code, _, err = partialsum("search", "digits-cnn", "--out", tmp_path)
    assert code == 130
    assert "the same command goes on" in err


def test_terminal_of_ascii_gets_marks_for_what_it_cannot_show() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dse", "bits", "digits-cnn"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "4,096" in done.stdout


def test_catalogue_is_listed(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("networks")
    assert code == 0
    assert "8,030,261,248" in out  # llama3-8b
