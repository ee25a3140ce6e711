"""A few of the committed numbers, found again."""

import pytest

from models.accelerator.synthesis.flow import Effort, osu_library, synthesise
from models.accelerator.synthesis.measurements import RESULTS, load
from models.accelerator.synthesis.points import Point

AREA = load(RESULTS / "area.json")
#: one cheap point of several blocks
AGAIN = [
    Point("leading_zeros", (("W", 16),)),
    Point("register", (("W", 16),)),
    Point("fp_add", (("E", 5), ("M", 4), ("SUBNORMALS", 1), ("ROUNDING", 1))),
    Point("fp_add", (("E", 4), ("M", 2), ("SUBNORMALS", 1), ("ROUNDING", 0)), Effort.FAST.name),
    Point("int_mac", (("WA", 4), ("WB", 4), ("W", 18), ("SATURATE", 1))),
]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("point", AGAIN, ids=lambda point: f"{point.block}-{point.effort}")
def test_synthesis_finds_the_committed_area_and_delay(point: Point) -> None:
    library = osu_library()
    found = synthesise(point.design, Effort[point.effort], library)
    stored = AREA.records[point]
    # other versions of the tools optimise otherwise; neighbouring points differ by as much
    assert found.area_um2 == pytest.approx(stored["area_um2"], rel=0.1)
    assert found.delay_ns == pytest.approx(stored["delay_ns"], rel=0.2)
    assert found.register_bits == stored["register_bits"]
    flip_flops = stored["register_bits"] * library.cells["DFFPOSX1"].area_um2
    logic = (stored["area_um2"] - flip_flops) / library.gate_um2
    assert stored["logic_gates"] == pytest.approx(logic)


def test_the_file_says_where_its_numbers_are_from() -> None:
    assert set(AREA.meta) == {"commit", "date", "versions", "library", "command"}
    assert set(AREA.meta["versions"]) == {"yosys", "iverilog", "opensta", "qflow-tech-osu018"}
    assert len(AREA.records) >= 300  # the number that the calibration promises
