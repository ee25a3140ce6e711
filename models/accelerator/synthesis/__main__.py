"""``python -m models.accelerator.synthesis area|energy|laws``: calibrate offline, resumable."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models.accelerator.synthesis.energy import energy, simulate_activity
from models.accelerator.synthesis.flow import (
    Effort,
    missing_tools,
    osu_library,
    run_tool,
    synthesise,
)
from models.accelerator.synthesis.grids import energy_points, points
from models.accelerator.synthesis.laws import fast_ratios, fit_all, glitch_ratios, write
from models.accelerator.synthesis.measurements import RESULTS, load, run
from models.accelerator.synthesis.points import Point
from models.accelerator.synthesis.shapes import SHAPES
from models.accelerator.synthesis.streams import SUM_LENGTH, mac_unit, vectors

AREA = RESULTS / "area.json"
ENERGY = RESULTS / "energy.json"
PACKAGES = ("yosys", "iverilog", "opensta", "qflow-tech-osu018")


def area() -> None:
    """Area and delay of all points."""
    library = osu_library()

    def measure(point: Point) -> Mapping[str, float]:
        found = synthesise(point.design, Effort[point.effort], library)
        flip_flops_um2 = found.register_bits * library.cells["DFFPOSX1"].area_um2
        return {
            "area_um2": found.area_um2,
            "logic_gates": (found.area_um2 - flip_flops_um2) / library.gate_um2,
            "register_bits": found.register_bits,
            "delay_ns": found.delay_ns,
        }

    run(points(), measure, AREA, _meta("area"), _report)


def energies() -> None:
    """Energy of MACs that sum Gaussian data, with and without glitches."""
    library = osu_library()

    def measure(point: Point) -> Mapping[str, float]:
        with TemporaryDirectory() as folder:
            unit = synthesise(mac_unit(point, Path(folder)), Effort[point.effort], library)
        activity = simulate_activity(
            unit.netlist,
            library,
            vectors(point, np.random.default_rng(0)),
            delay_ns=unit.delay_ns,
            clock="clk",
            warm_up=SUM_LENGTH,
        )
        return asdict(energy(unit.netlist, library, activity))

    run(energy_points(), measure, ENERGY, _meta("energy"), _report)


def laws() -> None:
    """Closed forms of all that was measured."""
    tables = [load(path).records for path in (AREA, ENERGY)]
    found = fit_all(tables)
    ratios = {
        block: fast_ratios(block, tables[0]) | glitch_ratios(block, tables[1]) for block in SHAPES
    }
    library = osu_library()
    cells = {
        "gate_um2": library.gate_um2,
        "flip_flop_gates": library.cells["DFFPOSX1"].area_um2 / library.gate_um2,
    }
    write(found, ratios, _meta("laws") | cells)
    for law in found:
        fit, held = law.fitted, law.held_out
        _report(
            f"{law.block} {law.quantity}: {fit.points} points, rms {fit.rms:.1%},"
            f" largest {fit.largest:.1%}; {held.points} held out: rms {held.rms:.1%},"
            f" largest {held.largest:.1%}"
        )


def _report(line: str) -> None:
    print(line, flush=True)


def _meta(command: str) -> dict[str, object]:
    return {
        "commit": _git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {package: _version(package) for package in PACKAGES},
        "library": "osu018_stdcells, typical, 1.8 V, 25 °C",
        "command": f"python -m models.accelerator.synthesis {command}",
    }


def _git(*arguments: str) -> str:
    return run_tool(["git", *arguments], Path(__file__).parent).strip()


def _version(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout or "unknown"


COMMANDS = {"area": area, "energy": energies, "laws": laws}

if __name__ == "__main__":
    if missing := missing_tools():
        sys.exit(f"synthesis needs {', '.join(missing)}")
    for name in sys.argv[1:] or COMMANDS:
        COMMANDS[name]()
