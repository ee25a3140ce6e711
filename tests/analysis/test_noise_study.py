"""A part of the study of predictions, on products with which nothing was tuned.

The limits are those that a designer may rely on; every comparison allows the simulation two
standard errors, or three where all cases must agree.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.noise_study import Case, Part, cases, requirements

SAMPLES = 4096
CHOSEN = (
    ("fp8_e4m3 * fp8_e4m3, means 0.4", 1024),
    ("gaussian in e8m8, mean 0.5", 256),
    ("activations * weights", 1024),
    ("gaussian in e8m5", 64),
)


@pytest.fixture(scope="module")
def study() -> list[Case]:
    return [one for name, n in CHOSEN for one in cases(Part.UNSEEN, name, n, SAMPLES)]


@pytest.fixture(scope="module")
def counted(study: list[Case]) -> list[Case]:
    found = [one for one in study if one.counts]
    assert len(found) > 100
    return found


def share(fits: Sequence[bool]) -> float:
    return float(np.mean(fits))


def off(one: Case, errors: float) -> float:
    """How far the NMSE is off, in parts of it, beyond that many standard errors."""
    return max(0.0, abs(one.predicted_nmse - one.nmse) - errors * one.nmse_error) / one.nmse


def test_nmse_is_within_ten_percent_in_nearly_all_cases_and_never_far_off(
    counted: list[Case],
) -> None:
    assert share([off(one, 2.0) <= 0.1 for one in counted]) >= 0.95
    assert max(off(one, 3.0) for one in counted) <= 0.25


def test_retention_and_bias_are_those_that_are_measured(counted: list[Case]) -> None:
    assert share([one.retention_fits for one in counted]) >= 0.95
    assert share([one.bias_fits for one in counted]) >= 0.95


def test_widths_are_those_that_are_measured(study: list[Case]) -> None:
    found = [one.predicted - one.measured for one in requirements(study)]
    assert share([one == 0 for one in found]) >= 0.95
    assert min(found) >= -1
