from pathlib import Path

import pytest

from models.accelerator.synthesis import measurements
from models.accelerator.synthesis.measurements import Measurements, Record, load, run, save
from models.accelerator.synthesis.points import Point, digest

A, B = Point("register", (("W", 2),)), Point("register", (("W", 3),), "FAST")
META = {"commit": "abc"}


def areas(seen: list[Point], point: Point) -> Record:
    seen.append(point)
    return {"area_um2": 96.0 * point.values["W"]}


def test_a_file_holds_what_was_saved(tmp_path: Path) -> None:
    stored = Measurements({A: {"area_um2": 0.5}, B: {"area_um2": 2.0}}, {"register": "x"}, META)
    save(tmp_path / "area.json", stored)
    assert load(tmp_path / "area.json") == stored
    assert load(tmp_path / "none.json") == Measurements({}, {}, {})


def test_what_is_there_is_not_measured_again_and_what_is_not_wanted_goes(tmp_path: Path) -> None:
    path, seen, said = tmp_path / "area.json", list[Point](), list[str]()
    run([A], lambda p: areas(seen, p), path, META, said.append)
    run([A, B], lambda p: areas(seen, p), path, META, said.append)
    assert seen == [A, B]
    assert load(path).records == {A: {"area_um2": 192.0}, B: {"area_um2": 288.0}}
    assert said[-1].startswith("1 of 1: register")
    run([B], lambda p: areas(seen, p), path, META, said.append)
    assert list(load(path).records) == [B]
    assert seen == [A, B]


def test_other_rtl_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "area.json", list[Point]()
    run([A], lambda p: areas(seen, p), path, META, lambda line: None)
    assert load(path).stale_blocks == ()
    monkeypatch.setattr(measurements, "digest", lambda block: digest(block) + "'")
    assert load(path).stale_blocks == ("register",)
    run([A], lambda p: areas(seen, p), path, META, lambda line: None)
    assert seen == [A, A]


def test_rtl_that_changes_during_a_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(point: Point) -> Record:
        monkeypatch.setattr(measurements, "digest", lambda block: "other")
        return {"area_um2": 1.0}

    with pytest.raises(RuntimeError, match=r"register: its RTL changed while \{'W': 2\}"):
        run([A], change, tmp_path / "area.json", META, lambda line: None)
    assert not (tmp_path / "area.json").exists()
