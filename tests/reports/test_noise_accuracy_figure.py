"""What the figure of predictions shows."""

import pytest

from reports.figures.noise_accuracy import (
    TOLERANCE,
    Comparison,
    NoiseAccuracyData,
    noise_accuracy_data,
    noise_accuracy_figure,
)

NEAREST = Comparison("nearest-even", "n = 64", 1e-3, 1e-5, 1.1e-3)
CUT = Comparison("toward-zero", "n = 64", 1e-2, 1e-4, 0.9e-2)
LONGER = Comparison("nearest-even", "n = 256", 4e-3, 1e-5, 4e-3)


def test_points_are_grouped_by_rounding() -> None:
    assert noise_accuracy_data([NEAREST, CUT, LONGER]) == NoiseAccuracyData(
        (("nearest-even", (NEAREST, LONGER)), ("toward-zero", (CUT,))), least=1e-3, most=1e-2
    )


def test_there_must_be_positive_points() -> None:
    with pytest.raises(ValueError, match="at least one point, got none"):
        noise_accuracy_data([])
    with pytest.raises(ValueError, match=r"NMSE must be positive, got .*n = 1"):
        noise_accuracy_data([Comparison("nearest-even", "n = 1", 0.0, 0.0, 0.0)])


def test_the_figure_has_a_band_and_a_trace_for_each_rounding() -> None:
    lower, upper, *points = noise_accuracy_figure(noise_accuracy_data([NEAREST, CUT, LONGER])).data
    assert lower.y == pytest.approx([(1.0 - TOLERANCE) * x for x in (1e-3, 1e-2)])
    assert upper.y == pytest.approx([(1.0 + TOLERANCE) * x for x in (1e-3, 1e-2)])
    assert upper.fill == "tonexty"
    assert [trace.name for trace in points] == ["nearest-even", "toward-zero"]
    assert points[0].x == (1e-3, 4e-3)
    assert points[0].y == (1.1e-3, 4e-3)
    assert points[0].error_x.array == (2e-5, 2e-5)
    assert len({trace.marker.color for trace in points}) == 2
