from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from analysis.distributions import gaussian_products
from analysis.noise import predict
from analysis.retention import variance_retention_chunked
from analysis.simulation import simulate, simulate_each
from models.files import validated
from models.plan import Plan
from models.probes import gemms
from models.probes.gemms import GemmEvidence, gemm_evidence

MakePlan = Callable[..., Plan]


def test_rows_are_the_gemms_of_the_plan_at_each_offset(make_plan: MakePlan) -> None:
    plan = make_plan()
    rows = gemm_evidence(plan, seed=1, samples=128, offsets=(0, -1))
    assert [(row.layer, row.role, row.offset) for row in rows] == [
        (gemm.layer, gemm.role, offset) for gemm in plan.gemms for offset in (0, -1)
    ]
    assert all(row.samples == 128 for row in rows)


def test_figures_are_those_of_a_simulation_of_that_gemm_alone(make_plan: MakePlan) -> None:
    plan = make_plan(density=0.5)
    rows = gemm_evidence(plan, seed=1, samples=256, offsets=(0, -1))
    for gemm, row in zip(plan.gemms, rows[1::2], strict=True):
        alone = simulate(
            plan.accumulator(gemm, -1),
            gaussian_products(plan.operands(gemm.m_op), density=0.5),
            gemm.length,
            samples=256,
            seed=(1, gemm.length, gemm.m_op),
        )
        assert (row.retention, row.retention_error) == (alone.retention, alone.retention_error)
        assert (row.nmse, row.nmse_error) == (alone.nmse, alone.nmse_error)
        assert (row.bias, row.bias_error) == (alone.bias, alone.bias_error)


def test_predictions_are_those_of_theory_at_the_width_that_is_used(make_plan: MakePlan) -> None:
    plan = make_plan()
    for row in gemm_evidence(plan, seed=1, samples=128, offsets=(-1,)):
        m_p = 2 * row.m_op + 1
        assert row.predicted_retention == variance_retention_chunked(
            row.m_acc, m_p, row.length, row.chunk
        )
        gemm = next(one for one in plan.gemms if (one.layer, one.role) == (row.layer, row.role))
        products = gaussian_products(plan.operands(gemm.m_op), plan.density)
        expected = predict(plan.accumulator(gemm, -1), products, gemm.length)
        assert row.predicted_nmse == expected.nmse


def test_widths_stop_at_one_bit_and_say_so(make_plan: MakePlan) -> None:
    plan = make_plan()
    rows = gemm_evidence(plan, seed=1, samples=128, offsets=(-20,))
    assert {row.m_acc for row in rows} == {1}
    assert {row.offset for row in rows} == {-20}


def test_figures_do_not_depend_on_the_number_of_workers(make_plan: MakePlan) -> None:
    plan = make_plan()
    seen: list[tuple[int, int]] = []
    alone = gemm_evidence(plan, seed=1, samples=128)
    shared = gemm_evidence(
        plan, seed=1, samples=128, workers=2, on_progress=lambda *at: seen.append(at)
    )
    assert alone == shared
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


def test_equal_cases_are_run_once_and_one_length_draws_once(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def counted(accumulators: Any, operands: Any, n: int, **rest: Any) -> Any:
        calls.append((n, len(accumulators)))
        return simulate_each(accumulators, operands, n, **rest)

    monkeypatch.setattr(gemms, "simulate_each", counted)
    plan = make_plan()
    gemm_evidence(plan, seed=1, samples=128, offsets=(0, -1))
    assert sorted(n for n, _ in calls) == sorted({gemm.length for gemm in plan.gemms})
    # conv2 BWD, conv3 FWD and BWD all sum 288 products in 3 bits: two accumulators, not six
    assert dict(calls)[288] == 2
    products = [n * count for n, count in calls]
    assert products == sorted(products, reverse=True)


def test_planned_widths_keep_variance_and_fewer_bits_lose_it(make_plan: MakePlan) -> None:
    rows = gemm_evidence(make_plan(), seed=1, samples=2048, offsets=(0, -3))
    for planned, narrow in zip(rows[::2], rows[1::2], strict=True):
        if planned.m_acc > 3:
            assert planned.retention > 0.9 > narrow.retention
            assert planned.nmse == pytest.approx(planned.predicted_nmse, rel=0.25)


def test_evidence_survives_json(make_plan: MakePlan) -> None:
    rows = gemm_evidence(make_plan(), seed=1, samples=128, offsets=(0,))
    adapter = TypeAdapter(tuple[GemmEvidence, ...])
    assert adapter.validate_json(adapter.dump_json(rows)) == rows
    assert validated(rows[0].model_dump(mode="json"), GemmEvidence) == rows[0]
