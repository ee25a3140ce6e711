import pytest

from models.probes.records import TrainingRun
from models.probes.summary import Kind, interval, summarise, verdict


def run(offset: int | None, seed: int, accuracy: float, *, diverged: bool = False) -> TrainingRun:
    widths = (23, 23) if offset is None else (max(1, 2 + offset), 6 + offset)
    return TrainingRun(
        recipe="test",
        offset=offset,
        seed=seed,
        widths=widths,
        losses=(2.0, 0.5),
        curve=(),
        accuracy=accuracy,
        diverged=diverged,
        test_images=360,
    )


def runs(**accuracies: float | tuple[float, ...]) -> list[TrainingRun]:
    """Runs of three seeds: ``base``, ``at0``, ``at1`` for one bit fewer, and so on."""
    offsets = {"base": None} | {f"at{bits}": -bits for bits in range(5)}
    spread = {
        name: given if isinstance(given, tuple) else (given - 0.001, given, given + 0.001)
        for name, given in accuracies.items()
    }
    return [
        run(offsets[name], seed, accuracy)
        for name, values in spread.items()
        for seed, accuracy in enumerate(values)
    ]


def test_interval_is_students() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    # t(0.975, 2 degrees of freedom) = 4.3027, any table
    assert found.half_width == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert found.low == pytest.approx(2.0 - 4.3027 / 3**0.5, rel=1e-4)
    assert found.high == pytest.approx(2.0 + 4.3027 / 3**0.5, rel=1e-4)
    assert interval([1.0]).low is None


def test_differences_are_taken_seed_by_seed() -> None:
    both = runs(base=(0.90, 0.95, 0.99), at0=(0.89, 0.94, 0.98))
    baseline, planned = summarise(both)
    assert baseline.offset is None
    assert planned.difference is not None
    assert planned.difference.mean == pytest.approx(-0.01)
    assert planned.difference.half_width == pytest.approx(0.0, abs=1e-12)
    assert planned.accuracy.half_width is not None
    assert planned.accuracy.half_width > 0.1


def test_a_seed_without_a_baseline_is_not_compared() -> None:
    lone = [run(None, 0, 0.9), run(0, 0, 0.9), run(0, 1, 0.1)]
    assert summarise(lone)[1].difference == interval([0.0])
    assert summarise([run(0, 0, 0.9)])[0].difference is None


def test_offsets_come_in_order_with_the_widths_that_they_really_had() -> None:
    found = summarise(runs(at3=0.5, at0=0.9, base=0.9, at1=0.8))
    assert [one.offset for one in found] == [None, 0, -1, -3]
    assert [(one.narrowest, one.widest) for one in found] == [(23, 23), (2, 6), (1, 5), (1, 3)]
    assert found[0].final_loss == 0.5


def test_planned_widths_that_hold_where_fewer_bits_lose_are_confirmed() -> None:
    found = verdict(summarise(runs(base=0.98, at0=0.977, at1=0.976, at2=0.90, at3=0.97)))
    assert found.kind is Kind.CONFIRMED
    assert found.spare_bits == 1  # three bits fewer holds again, which does not count
    assert found.difference == pytest.approx(-0.003)
    assert found.sentence == (
        "At the planned widths (m_acc 2 to 6) training ends at 97.7%, 0.30 points below the"
        " baseline, within the limit of 0.50 points. 1 bit could be taken off before it shows:"
        " at 2 bits below the plan (m_acc 1 to 4) training ends at 90.0%, 8.00 points below the"
        " baseline. 3 seeds on 360 test images tell differences of about 0.28 points and more."
    )


def test_a_plan_with_no_bit_to_spare_says_so() -> None:
    found = verdict(summarise(runs(base=0.98, at0=0.98, at1=0.90)))
    assert found.spare_bits == 0
    assert "None can be spared: at 1 bit below the plan (m_acc 1 to 5)" in found.sentence


def test_widths_that_hold_however_narrow_are_called_conservative() -> None:
    found = verdict(summarise(runs(base=0.98, at0=0.98, at1=0.979, at3=0.98)))
    assert found.kind is Kind.CONSERVATIVE
    assert found.spare_bits == 3
    assert "Even 3 bits fewer hold (m_acc 1 to 3)" in found.sentence


def test_widths_that_lose_more_than_the_limit_are_not_confirmed() -> None:
    found = verdict(summarise(runs(base=0.98, at0=0.974, at1=0.98)))
    assert found.kind is Kind.NOT_CONFIRMED
    assert found.spare_bits == 0
    assert "0.60 points below the baseline, outside the limit of 0.50 points" in found.sentence


def test_one_diverged_run_is_enough_to_fail() -> None:
    both = [*runs(base=0.98, at0=(0.98, 0.98)), run(0, 2, 0.98, diverged=True)]
    found = verdict(summarise(both))
    assert found.kind is Kind.NOT_CONFIRMED
    assert "with 1 of 3 runs diverged, at 98.0%" in found.sentence


def test_narrower_widths_that_were_not_tried_are_not_claimed() -> None:
    found = verdict(summarise(runs(base=0.98, at0=0.98)))
    assert found.kind is Kind.CONFIRMED
    assert "Narrower widths were not tried." in found.sentence


def test_what_can_be_told_is_half_the_interval_but_at_least_an_image() -> None:
    sharp = verdict(summarise(runs(base=0.98, at0=0.98)))
    assert sharp.resolvable == pytest.approx(1 / 360)
    assert sharp.resolved
    vague = verdict(summarise(runs(base=(0.98, 0.98, 0.98), at0=(0.96, 0.98, 1.0))))
    assert vague.resolvable == pytest.approx(4.3027 * 0.02 / 3**0.5, rel=1e-4)
    assert not vague.resolved
    single = verdict(summarise([run(None, 0, 0.98), run(0, 0, 0.98)]))
    assert single.resolvable is None
    assert not single.resolved
    assert single.sentence.endswith("One seed says nothing of the spread.")


def test_a_verdict_needs_planned_runs_and_a_baseline() -> None:
    for given in (runs(base=0.98), runs(at0=0.98)):
        with pytest.raises(ValueError, match="needs runs at offset 0, and baseline runs"):
            verdict(summarise(given))
