import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.distributions import gaussian_products
from analysis.formats import Accumulator, Rounding, float_format
from analysis.simulation import SumStatistics, simulate
from dse import simulation_sweep
from dse.cli import output, sums
from dse.simulation_study import Study, jobs, study_of
from dse.simulation_sweep import SimulationRow, sweep
from dse.sum_grid import accumulator_of
from dse.sweep_file import read_records

Partialsum = Callable[..., tuple[int, str, str]]
#: rows of milliseconds
QUICK = ("simulate", "--samples", "64")
GRID = (
    *QUICK, "--n", "16", "--n", "40", "--m-acc", "3", "--m-acc", "5", "--chunk", "none", "--chunk",
    "8", "--rounding", "stochastic", "--rounding", "toward-zero",
)  # fmt: skip


def untimed(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return [{**row, "seconds": ""} for row in csv.DictReader(lines)]


def one_line(err: str) -> str:
    assert err.count("\n") == 1, err
    assert err.startswith("partialsum: ")
    return err


def test_a_row_is_what_its_seed_gives(partialsum: Partialsum) -> None:
    code, out, _ = partialsum(*QUICK, "--n", 40, "--m-acc", 4, "--chunk", 8, "--m-outer", 6,
        "--rounding", "stochastic", "--random-bits", 5, "--density", 0.5, "--json")  # fmt: skip
    assert code == 0
    (row,) = json.loads(out)
    outer = Accumulator(float_format(6, 6), Rounding.STOCHASTIC, random_bits=5)
    one = Accumulator(float_format(6, 4), Rounding.STOCHASTIC, 8, outer, random_bits=5)
    products = gaussian_products(float_format(5, 2), density=0.5)
    found = simulate(one, products, 40, samples=64, seed=row["seed"])
    names = SumStatistics.__dataclass_fields__
    assert {name: row[name] for name in names} == {name: getattr(found, name) for name in names}


def test_options_that_are_repeated_make_a_grid(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "sums.csv"
    code, out, _ = partialsum(*GRID, "--products", "e5m2*e5m2", "--products", "laplace",
        "--json", "-o", file)  # fmt: skip
    assert code == 0
    rows = [SimulationRow.model_validate(row) for row in json.loads(out)]
    assert len(rows) == 2**5
    assert len({row.seed for row in rows}) == 2**5
    assert len({row.case for row in rows}) == 2**5
    assert [row.products for row in rows] == ["e5m2*e5m2"] * 16 + ["laplace"] * 16
    assert {(row.n, row.m_acc, row.chunk, row.rounding) for row in rows} == {
        (n, m, chunk, rounding)
        for n in (16, 40)
        for m in (3, 5)
        for chunk in (None, 8)
        for rounding in (Rounding.STOCHASTIC, Rounding.TOWARD_ZERO)
    }
    assert [row["m_acc"] for row in untimed(file)] == [str(row.m_acc) for row in rows]


def test_a_seed_is_the_rows_own_whatever_stands_around_it(partialsum: Partialsum) -> None:
    _, out, _ = partialsum(*GRID, "--json")
    whole = {row["seed"]: row for row in json.loads(out)}
    _, out, _ = partialsum(*QUICK, "--n", 40, "--m-acc", 5, "--chunk", 8, "--rounding",
        "stochastic", "--json")  # fmt: skip
    (alone,) = json.loads(out)
    assert {**whole[alone["seed"]], "seconds": 0} == {**alone, "seconds": 0}
    _, out, _ = partialsum(*GRID, "--seed", 1, "--json")
    assert whole.keys().isdisjoint(row["seed"] for row in json.loads(out))


def test_csv_and_parquet_agree(partialsum: Partialsum, tmp_path: Path) -> None:
    files = [tmp_path / "sums.csv", tmp_path / "sums.parquet"]
    for file in files:
        assert partialsum(*GRID, "-o", file)[0] == 0
    text, binary = (read_records(file, SimulationRow) for file in files)
    assert [row.model_copy(update={"seconds": 0.0}) for row in text] == [
        row.model_copy(update={"seconds": 0.0}) for row in binary
    ]
    assert list(pd.read_csv(files[0])) == list(pd.read_parquet(files[1]))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_finished_table_is_left_as_it_is(
    partialsum: Partialsum, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"sums.{suffix}"
    partialsum(*GRID, "-o", file)
    before, at = file.read_bytes(), file.stat().st_mtime_ns
    monkeypatch.setattr(simulation_sweep, "simulate", None)  # nothing is run again
    code, out, _ = partialsum(*GRID, "-o", file, "--json")
    assert (code, len(json.loads(out))) == (0, 16)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, at)


def test_a_sweep_that_was_stopped_goes_on_to_the_same_table(
    partialsum: Partialsum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, halves = tmp_path / "straight.csv", tmp_path / "halves.csv"
    partialsum(*GRID, "-o", straight)
    calls = 0

    def stopped(*arguments: object, **named: object) -> SumStatistics:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return simulate(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(simulation_sweep, "simulate", stopped)
    code, _, err = partialsum(*GRID, "-o", halves)
    assert (code, "the same command goes on" in err) == (130, True)
    kept = halves.read_bytes()
    assert len(untimed(halves)) == 5
    partialsum(*GRID, "-o", halves)
    assert calls == 6 + 11
    assert halves.read_bytes().startswith(kept)
    assert untimed(halves) == untimed(straight)


def test_rows_of_another_grid_stay_in_the_table(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "sums.csv"
    partialsum(*QUICK, "--n", 16, "--m-acc", 3, "-o", file)
    before = file.read_bytes()
    _, out, _ = partialsum(*QUICK, "--n", 16, "--m-acc", 4, "-o", file, "--json")
    assert [row["m_acc"] for row in json.loads(out)] == [4]
    assert file.read_bytes().startswith(before)
    assert [row["m_acc"] for row in untimed(file)] == ["3", "4"]


def test_a_long_sweep_is_saved_on_the_way(tmp_path: Path) -> None:
    wanted = jobs(Study(n=(8, 9, 10), m_acc=(3,), most_samples=64))
    file, seen = tmp_path / "sums.csv", []
    ticks = iter(range(0, 1000, 3))  # three seconds a glance, five between two times it is saved

    def advance(done: int, total: int) -> None:
        seen.append((done / total, len(untimed(file)) if file.exists() else 0))

    rows = sweep(wanted, file, lambda: next(ticks), advance)
    assert [saved for _, saved in seen] == [0, 1, 2]
    assert [done for done, _ in seen] == pytest.approx([8 / 27, 17 / 27, 1])
    assert len(untimed(file)) == len(rows) == 3
    assert rows[0].seconds == 3


def test_rows_that_another_run_puts_there_meanwhile_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "sums.csv"
    ours, theirs = (jobs(Study(n=(16,), m_acc=(m_acc,), most_samples=64)) for m_acc in (3, 5))

    def meanwhile(_done: int, _total: int) -> None:
        if not file.exists():
            sweep(theirs, file, lambda: 0.0, lambda *_: None)

    sweep(ours, file, lambda: 0.0, meanwhile)
    held = {row.case for row in read_records(file, SimulationRow)}
    assert held == {job.case for job in (*ours, *theirs)}


def test_an_empirical_sample_is_summed_and_named(partialsum: Partialsum, tmp_path: Path) -> None:
    sample, file = tmp_path / "=mine.npy", tmp_path / "sums.csv"
    np.save(sample, np.random.default_rng(1).laplace(0, 1e-4, 1000))
    words = (*QUICK, "--n", 16, "--m-acc", 3, "--products", f"{sample}:e5m2*e5m2", "-o", file)
    assert partialsum(*words)[0] == 0
    before = file.read_bytes()
    assert partialsum(*words)[0] == 0
    assert file.read_bytes() == before
    np.save(sample, np.ones(5))
    assert partialsum(*words)[0] == 0
    assert len({row["products"] for row in untimed(file)}) == 2


def test_a_file_that_a_spreadsheet_would_run_is_known_again(
    partialsum: Partialsum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("=mine.npy", np.arange(5.0))
    words = (*QUICK, "--n", 16, "--m-acc", 3, "--products", "=mine.npy", "-o", "sums.csv")
    partialsum(*words)
    partialsum(*words)
    (row,) = untimed(Path("sums.csv"))
    assert row["products"].startswith("'=mine.npy#")


def test_named_accumulators(partialsum: Partialsum) -> None:
    code, out, _ = partialsum(*QUICK, "--n", 64, "--accumulator", "hopper_fp8_e5m2",
        "--accumulator", "wang_2018")  # fmt: skip
    assert code == 0
    assert "hopper_fp8_e5m2" in out
    assert "wang_2018" in out


def test_the_table_shows_each_row(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("simulate", "--n", 1000, "--m-acc", 5, "--chunk", "none", "--chunk",
        32, "--m-outer", 12, "--products", "laplace:e5m3", "--mean", 0.25)  # fmt: skip
    assert code == 0
    assert "laplace:e5m3, mean 0.25, density 1" in out
    plain, chunked = (line for line in out.splitlines() if "±" in line)
    assert plain.split()[:4] == ["e6m5", "nearest-even", "1,000", "8,192"]
    assert chunked.split()[:6] == ["e6m5", "nearest-even,", "chunk", "32", "into", "m12"]


def test_precision_is_asked_for_unless_samples_are_given(partialsum: Partialsum) -> None:
    def row(*words: object) -> dict[str, Any]:
        code, out, _ = partialsum("simulate", "--n", 16, "--m-acc", 3, *words, "--json")
        assert code == 0
        (found,) = json.loads(out)
        assert isinstance(found, dict)
        return found

    assert row()["precision"] == 0.02
    assert row()["seed"] == row("--samples", 128)["seed"]  # more effort goes on with the same sums
    assert row()["nmse_error"] <= 0.02 * row()["nmse"]
    assert (row("--samples", 128)["precision"], row("--samples", 128)["samples"]) == (None, 128)
    bounded = row("--samples", 20_000, "--precision", 1e-4)
    assert (bounded["precision"], bounded["samples"]) == (1e-4, 2 * 128 * 128)


def test_a_bar_is_shown_where_somebody_waits(
    partialsum: Partialsum, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*QUICK, "--n", 64, "--m-acc", 3)
    assert partialsum(*words)[2] == ""
    monkeypatch.setattr(sums, "_LONG_WORK", 1)
    assert partialsum(*words)[2] == ""
    monkeypatch.setattr(type(output.errors), "is_terminal", True)
    assert "simulate" in partialsum(*words)[2]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--n", 0, "--m-acc", 3], ["n[0]", "greater than or equal to 1", "0"]),
        (["--n", 10**30, "--m-acc", 3], ["n[0]", "less than or equal"]),
        (["--n", 8], ["m_acc or accumulator", "neither"]),
        (["--m-acc", 8], ["field 'n' is required"]),
        (["--n", 8, "--m-acc", 60], ["e6m60", "0..48"]),
        (["--n", 8, "--m-acc", 3, "--e-acc", 1], ["e1m3", "2..10"]),
        (["--n", 8, "--m-acc", 3, "--chunk", 0], ["chunk must be at least 1", "0"]),
        (["--n", 8, "--m-acc", 3, "--chunk", "few"], ["chunk[0]", "'few'"]),
        (["--n", 8, "--m-acc", 3, "--m-outer", 3], ["m_outer needs a chunk"]),
        (["--n", 8, "--m-acc", 3, "--random-bits", 3], ["random_bits", "nearest-even"]),
        (["--n", 8, "--m-acc", 3, "--rounding", "up"], ["--rounding", "up"]),
        (["--n", 8, "--m-acc", 3, "--accumulator", "float32"], ["accumulator", "m_acc"]),
        (["--n", 8, "--accumulator", "float32", "--chunk", 4], ["accumulator", "chunk"]),
        (["--n", 8, "--accumulator", "float31"], ["'float31'", "'float32'"]),
        (
            ["--n", 8, "--accumulator", "mxint8", "--products", "e5m2*e5m2"],
            ["mxint8", "blocks of 32", "e5m2"],
        ),
        (["--n", 8, "--m-acc", 3, "--products", "gausian"], ["'gausian'", "'gaussian'"]),
        (["--n", 8, "--m-acc", 3, "--products", "missing.npy"], ["missing.npy"]),
        (["--n", 8, "--m-acc", 3, "--density", 0], ["density", "(0, 1]", "0.0"]),
        (["--n", 8, "--m-acc", 3, "--mean", "nan"], ["mean", "nan"]),
        (["--n", 8, "--m-acc", 3, "--precision", 0], ["precision", "0"]),
        (["--n", 8, "--m-acc", 3, "--samples", 0], ["most_samples", "0"]),
        (["--n", 8, "--m-acc", 3, "--seed", -1], ["seed", "-1"]),
        (["--n", 8, "--m-acc", 3, "-o", "sums.txt"], ["sums.txt", ".csv or .parquet"]),
        (["--n", 8, "--m-acc", 3, "-o", "."], [".csv or .parquet"]),
        (["--n", 8, "--m-acc", 3, "-o", "theirs.csv"], ["theirs.csv", "holds something else"]),
    ],
)
def test_bad_input_is_one_line_and_code_2_and_writes_nothing(
    partialsum: Partialsum,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[object],
    parts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("theirs.csv").write_text("a,b\n1,2\n")
    to = [] if "-o" in words else ["-o", "sums.csv"]
    code, out, err = partialsum("simulate", *words, *to)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in one_line(err)
    assert [file.name for file in tmp_path.iterdir()] == ["theirs.csv"]
    assert Path("theirs.csv").read_text() == "a,b\n1,2\n"


def test_every_combination_stands_once() -> None:
    twice = jobs(Study(n=(8, 8), m_acc=(3, 3), chunk=(None, 4), m_outer=5))
    assert [(job.case.chunk, job.case.m_outer) for job in twice] == [(None, None), (4, 5)]
    assert [job.accumulator for job in twice] == [accumulator_of(job.case) for job in twice]


def test_what_is_not_said_is_as_the_study_has_it() -> None:
    options = {"n": [8], "m_acc": [3], "chunk": None, "samples": None, "precision": None}
    assert study_of(options) == Study(n=(8,), m_acc=(3,), precision=0.02)
