from pathlib import Path

import pytest

from models.accelerator.synthesis import points as module
from models.accelerator.synthesis.grids import fast, points, relaxed
from models.accelerator.synthesis.points import Point, digest, sources


def test_points_are_many_and_none_is_named_twice() -> None:
    found = points()
    assert len(set(found)) == len(found)
    assert len(relaxed()) >= 300  # the number that the calibration promises


def test_adders_span_the_formats_of_training() -> None:
    adders = [point.values for point in relaxed() if point.block == "fp_add"]
    assert {values["E"] for values in adders} == {4, 5, 6, 7, 8}
    assert (min(v["M"] for v in adders), max(v["M"] for v in adders)) == (2, 23)
    assert {values["ROUNDING"] for values in adders} == {0, 1, 2}


def test_fast_points_are_among_the_relaxed_ones() -> None:
    every = relaxed()
    assert {Point(p.block, p.parameters) for p in fast(every)} <= set(every)


def test_the_clock_is_found_where_there_is_one() -> None:
    assert Point("register", (("W", 2),)).design.clock == "clk"
    assert Point("shift_left", (("W", 4), ("S", 2))).design.clock is None


def test_sources_are_the_modules_below_a_block() -> None:
    names = [path.stem for path in sources("fp_add")]
    assert {"fp_add", "fp_round", "significand_add", "leading_zeros"} <= set(names)
    assert "register" not in names


def test_a_digest_follows_the_code_below_and_not_the_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RTL", tmp_path)
    top, below = tmp_path / "top.v", tmp_path / "below.v"
    top.write_text("module top(input a); below b(.a(a)); endmodule // below\n")
    below.write_text("module below(input a); endmodule\n")
    before = digest("top")
    top.write_text("// other words\nmodule top(input a);\n  below b(.a(a)); endmodule")
    assert digest("top") == before
    below.write_text("module below(input a, input b); endmodule\n")
    assert digest("top") != before
