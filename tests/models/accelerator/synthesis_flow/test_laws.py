"""Laws against the points they are fitted to, and against the RTL as it is now."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import sympy

from models.accelerator.synthesis.laws import (
    LAWS,
    Law,
    Spread,
    fast_ratios,
    fit,
    fit_all,
    glitch_ratios,
    held_out,
    read,
    write,
)
from models.accelerator.synthesis.measurements import RESULTS, Record, load
from models.accelerator.synthesis.points import Point

RMS, LARGEST = 0.06, 0.15  # relative; the calibration's stated targets
COMMITTED = read()


def made_up(noise: float) -> dict[Point, dict[str, float]]:
    """Leading-zero counters of 3 W + 5 gates, times 1 ± noise."""
    rng = np.random.default_rng(1)
    return {
        Point("leading_zeros", (("W", w),)): {
            "logic_gates": (3 * w + 5) * (1 + noise * rng.standard_normal())
        }
        for w in range(4, 64)
    }


def test_a_fit_finds_the_law_that_made_the_points() -> None:
    law = fit("leading_zeros", "logic_gates", made_up(0.0))
    assert law.coefficients == pytest.approx({"1": 5, "W": 3})
    assert law.fitted.largest < 1e-12
    assert law.held_out.largest < 1e-12


def test_residuals_are_those_of_the_points() -> None:
    law = fit("leading_zeros", "logic_gates", made_up(0.05))
    assert (law.fitted.points, law.held_out.points) == (50, 10)
    assert law.fitted.rms == pytest.approx(0.05, rel=0.3)  # 50 draws: the rms is known to 10 %
    assert law.held_out.largest >= law.held_out.rms > 0


def test_held_out_points_do_not_move_the_coefficients() -> None:
    records = made_up(0.0)
    for hidden, point in zip(held_out(len(records)), sorted(records), strict=True):
        if hidden:
            records[point]["logic_gates"] *= 10
    law = fit("leading_zeros", "logic_gates", records)
    assert law.coefficients == pytest.approx({"1": 5, "W": 3})
    assert law.held_out.rms == pytest.approx(0.9)  # 1 / 10 − 1


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="leading_zeros: 2 terms need as many points, got 1"):
        fit("leading_zeros", "logic_gates", dict(list(made_up(0.0).items())[:1]))


@pytest.mark.parametrize("law", COMMITTED.values(), ids=lambda law: f"{law.block}-{law.quantity}")
def test_every_law_meets_the_stated_residuals(law: Law) -> None:
    for residuals in (law.fitted, law.held_out):
        assert residuals.rms <= RMS
        assert residuals.largest <= LARGEST


def test_the_laws_are_those_of_the_points() -> None:
    tables = [load(path).records for path in sorted(RESULTS.glob("*.json")) if path != LAWS]
    found = {(law.block, law.quantity): law for law in fit_all(tables)}
    assert found.keys() == COMMITTED.keys()
    for key, law in found.items():
        assert law.coefficients == pytest.approx(COMMITTED[key].coefficients, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("path", [p for p in sorted(RESULTS.glob("*.json")) if p != LAWS])
def test_the_points_are_those_of_the_rtl(path: Path) -> None:
    assert load(path).stale_blocks == ()


def test_a_law_is_the_same_on_arrays_and_symbols() -> None:
    law = COMMITTED["fp_add", "logic_gates"]
    m = sympy.Symbol("m")
    chosen = {"E": 5, "SUBNORMALS": 1, "ROUNDING": 2, "R": 8}
    symbolic = law(M=m, **chosen)
    assert sympy.degree(symbolic, m) == 1  # the area of an adder is linear in its mantissa
    for value, area in zip((3, 10), law(M=np.array([3, 10]), **chosen), strict=True):
        assert float(symbolic.subs(m, value)) == pytest.approx(area)


def test_ratios_are_of_the_same_points_both_ways() -> None:
    slow = [Point("fp_add", (("M", m),)) for m in (2, 3, 4)]
    fast = [Point("fp_add", point.parameters, "FAST") for point in slow[1:]]
    records = {point: {"area_um2": 2.0, "delay_ns": 6.0} for point in slow}
    records |= {fast[0]: {"area_um2": 3.0, "delay_ns": 2.0}}
    records |= {fast[1]: {"area_um2": 5.0, "delay_ns": 4.0}}
    assert fast_ratios("fp_add", records) == {
        "fast_area": Spread(2, 1.5, 2.0, 2.5),
        "fast_speed": Spread(2, 1.5, 2.25, 3.0),
    }
    assert fast_ratios("fp_mac", records) == {}


def test_glitches_are_a_ratio_of_energies() -> None:
    points = [Point("fp_mac", (("M", m),)) for m in (2, 3)]
    energies = ({"glitch_free_pj": 2.0, "total_pj": 3.0}, {"glitch_free_pj": 2.0, "total_pj": 8.0})
    records = dict(zip(points, energies, strict=True))
    assert glitch_ratios("fp_mac", records) == {"glitches": Spread(2, 1.5, 2.75, 4.0)}
    assert glitch_ratios("int_mac", records) == {}


def test_glitches_only_add(energies: Mapping[Point, Record]) -> None:
    for record in energies.values():
        assert 0 < record["clock_pj"] < record["glitch_free_pj"] < record["total_pj"]


@pytest.fixture
def energies() -> Mapping[Point, Record]:
    return load(RESULTS / "energy.json").records


def test_a_file_holds_the_laws_that_were_written(tmp_path: Path) -> None:
    law = fit("leading_zeros", "logic_gates", made_up(0.05))
    write([law], {}, {"commit": "abc"}, tmp_path / "laws.json")
    (back,) = read(tmp_path / "laws.json").values()
    assert back.coefficients == pytest.approx(law.coefficients)
    assert back.fitted.rms == pytest.approx(law.fitted.rms, abs=1e-4)
    assert json.loads((tmp_path / "laws.json").read_text())["_meta"] == {"commit": "abc"}
