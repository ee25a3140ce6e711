from pathlib import Path

import numpy as np
import pytest

from models.accelerator.synthesis.codes import decode, hardware_format
from models.accelerator.synthesis.flow import Effort, osu_library, synthesise
from models.accelerator.synthesis.grids import energy_points
from models.accelerator.synthesis.points import RTL, Point
from models.accelerator.synthesis.streams import SUM_LENGTH, SUMS, mac_unit, vectors

INTEGER = Point("int_mac", (("WA", 4), ("WB", 3), ("W", 16), ("SATURATE", 1)))


def mac(e: int, m: int) -> Point:
    return next(
        point
        for point in energy_points()
        if point.values.get("EA") == e and point.values.get("MA") == m
    )


def test_at_least_thirty_macs_are_simulated() -> None:
    blocks = [point.block for point in energy_points()]
    assert set(blocks) == {"fp_mac", "int_mac"}
    assert len(blocks) >= 30  # the number that the calibration promises


def test_a_sum_begins_every_64_products() -> None:
    first = vectors(INTEGER, np.random.default_rng(0))["first"]
    assert len(first) == SUMS * SUM_LENGTH
    assert [cycle for cycle, new in enumerate(first) if new] == [64 * i for i in range(SUMS)]


def test_integers_fill_their_format_once_in_every_block() -> None:
    found = vectors(INTEGER, np.random.default_rng(0))
    for name, largest in (("a", 7), ("b", 3)):
        blocks = np.abs(np.array(found[name])).reshape(-1, 32)
        assert (blocks.max(axis=1) == largest).all()


@pytest.mark.parametrize(("e", "m", "largest"), [(2, 1, 6), (3, 2, 28)])  # OCP MX: E2M1, E3M2
def test_narrow_formats_are_scaled(e: int, m: int, largest: int) -> None:
    codes = vectors(mac(e, m), np.random.default_rng(0))["a"]
    blocks = np.abs(decode(codes, hardware_format(e, m))).reshape(-1, 32)
    assert (blocks.max(axis=1) == largest).all()


def test_wide_formats_are_not_scaled() -> None:
    codes = vectors(mac(8, 7), np.random.default_rng(0))["a"]
    values = decode(codes, hardware_format(8, 7))
    assert float(values.std()) == pytest.approx(1.0, abs=0.1)  # 576 draws: ± 0.03


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("point", [INTEGER, mac(2, 1)], ids=lambda point: point.block)
def test_a_unit_is_the_mac_with_its_accumulator_in_flip_flops(point: Point, tmp_path: Path) -> None:
    library = osu_library()
    unit = synthesise(mac_unit(point, tmp_path), Effort.RELAXED, library)
    core = synthesise(point.design, Effort.RELAXED, library)
    own = point.values
    assert unit.register_bits == (own["W"] if "W" in own else 1 + own["E"] + own["M"])
    flip_flops = unit.register_bits * library.cells["DFFPOSX1"].area_um2
    assert unit.area_um2 > core.area_um2 + flip_flops  # and what clears it
    assert RTL in {path.parent for path in point.design.sources}
