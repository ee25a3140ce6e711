"""Skips where there is no simulator."""

import pytest

from models.accelerator.synthesis.simulation import simulator_missing


@pytest.fixture(autouse=True)
def icarus() -> None:
    if (missing := simulator_missing()) is not None:
        pytest.skip(f"needs {missing} (Icarus Verilog), which is not on the path")
