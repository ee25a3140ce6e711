"""A small report with numbers that can be followed by hand."""

from collections.abc import Callable

import pytest

from models.accelerator.spec import Accelerator
from models.networks.gemm import Role
from models.plan import GemmPlan, Plan
from models.probes.evidence import TrainingEvidence
from models.probes.gemms import GemmEvidence
from models.probes.records import Check, TrainingRun, TrainingSettings
from models.requirements import GemmRequirement
from models.results import Baseline, FrontPoint, SearchResult
from models.statistics import Exponents, GemmStatistics, OperandStatistics, Statistics
from reports.page import NetworkSummary, Provenance, ReportData

MakeReport = Callable[..., ReportData]


def _plan(layers: tuple[str, ...], network: str) -> Plan:
    gemms = [
        GemmPlan(layer=layer, role=role, length=1024, m_op=2, m_acc=m_acc, chunk=chunk)
        for layer in layers
        for role, m_acc, chunk in ((Role.FWD, 5, 64), (Role.GRAD, 9, 1024))
    ]
    return Plan(
        network=network,
        batch=8,
        density=1.0,
        cutoff=50.0,
        accelerator=Accelerator(rows=16, cols=16),
        gemms=tuple(gemms),
    )


def _requirements(plan: Plan) -> tuple[GemmRequirement, ...]:
    return tuple(
        GemmRequirement(
            layer=gemm.layer,
            role=gemm.role,
            n=gemm.length,
            m_p=5,
            chunk=64,
            criterion="v < 50",
            plain_bits=8,
            chunked_bits=4,
            log_lost=1.0,
        )
        for gemm in plan.gemms
    )


def _point(trial: int, objectives: tuple[float, float, float], chosen: bool) -> FrontPoint:
    area, energy, latency = objectives
    return FrontPoint(
        trial=trial,
        area_mm2=area,
        energy_mj=energy,
        latency_ms=latency,
        log_lost_max=2.5,
        operand_nmse_max=0.01,
        rows=16,
        cols=16,
        dataflow="output-stationary",
        m_acc_least=5,
        m_acc_mean=6.25,
        m_acc_most=9,
        m_op_most=2,
        chunks="whole, 64",
        schedules="static",
        chosen=chosen,
    )


def _baseline(name: str, adder_um2: float, adder_pj: float, m_acc: tuple[int, int]) -> Baseline:
    return Baseline(
        name=name,
        explanation=f"how {name} is set",
        m_acc_least=m_acc[0],
        m_acc_most=m_acc[1],
        feasible=True,
        area_um2={"significand_adder": adder_um2, "multiplier": 1e6, "operand_sram": 2e6},
        energy_pj={"significand_adder": adder_pj, "multiplier": 1e9, "dram": 6e9},
        latency_ms=500.0,
    )


def _result(plan: Plan, names: tuple[str, str, str, str]) -> SearchResult:
    return SearchResult(
        front=(_point(1, (3.5, 8.0, 500.0), True), _point(4, (5.0, 7.5, 400.0), False)),
        plan=plan,
        why="Trial 1 has the least product of area, energy and latency.",
        baselines=(
            _baseline(names[0], 2e6, 3e9, (23, 23)),
            _baseline(names[1], 4e5, 2e9, (9, 9)),
            _baseline(names[2], 5e5, 1.5e9, (9, 9)),
            _baseline(names[3], 5e5, 1e9, (5, 9)),
        ),
        gemm_energy_pj=(1e9, 3e9) * (len(plan.gemms) // 2),
        trials=40,
        feasible_trials=25,
        seed=7,
    )


def _evidence(plan: Plan) -> tuple[GemmEvidence, ...]:
    return tuple(
        GemmEvidence(
            layer=gemm.layer,
            role=gemm.role,
            length=gemm.length,
            chunk=gemm.chunk,
            m_op=gemm.m_op,
            m_acc=gemm.m_acc + offset,
            offset=offset,
            samples=512,
            retention=1.0 + 0.1 * offset,
            retention_error=0.02,
            nmse=1e-3 * 4.0**-offset,
            nmse_error=1e-4,
            bias=0.01,
            bias_error=0.02,
            predicted_retention=1.0 + 0.2 * offset,
            predicted_nmse=2e-3 * 4.0**-offset,
        )
        for gemm in plan.gemms
        for offset in (0, -1, -2)
    )


def _run(offset: int | None, seed: int, accuracy: float, diverged: bool = False) -> TrainingRun:
    return TrainingRun(
        recipe="0" * 16,
        offset=offset,
        seed=seed,
        widths=(23,) if offset is None else (5 + offset, 9 + offset),
        losses=(2.0, 1.0 + seed, 0.5),
        curve=(Check(step=3, accuracy=accuracy),),
        accuracy=accuracy,
        diverged=diverged,
        test_images=360,
    )


def _training(network: str) -> TrainingEvidence:
    accuracies = {None: (0.97, 0.96), 0: (0.97, 0.96), -1: (0.95, 0.93), -2: (0.2, 0.1)}
    return TrainingEvidence(
        network=network,
        batch=64,
        settings=TrainingSettings(steps=3),
        runs=tuple(
            _run(offset, seed, accuracy, offset == -2)
            for offset, of_seeds in accuracies.items()
            for seed, accuracy in enumerate(of_seeds)
        ),
    )


def _measured(layer: str, role: Role, density: float) -> GemmStatistics:
    exponents = Exponents(least=-20, low=-12, high=-1, most=3)
    operand = OperandStatistics(
        density=1.0, mean_ratio=0.0, least=-1.0, most=1.0, exponents=exponents
    )
    return GemmStatistics(
        layer=layer,
        role=role,
        n=64,
        products=640,
        density=density,
        mean_ratio=-0.125,
        output_mean_ratio=0.5,
        chance_mean_ratio=0.25,
        drift=0.3,
        kurtosis=90.0,
        output_kurtosis=12.0,
        lag_correlation=0.0,
        exponents=exponents,
        a=operand,
        b=operand,
    )


def _statistics(network: str, layer: str, source: str) -> Statistics:
    """Of a file, whose texts are short and printable, whatever else."""
    layer, network, source = (
        "".join(filter(str.isprintable, text))[:200] for text in (layer, network, source)
    )
    gemms = (_measured(layer, Role.FWD, 0.5), _measured("fc2", Role.GRAD, 0.25))
    return Statistics(network=network, batch=4, source=source, gemms=gemms)


@pytest.fixture
def statistics() -> Statistics:
    return _statistics("two", "<b>fc", "a test")


def make(
    *,
    layers: tuple[str, ...] = ("conv1", "fc"),
    network: str = "toy",
    probe: str = "digits-cnn",
    names: tuple[str, str, str, str] = ("float32", "widest", "uniform", "plan"),
    text: str = "plain text",
    probed: bool = True,
) -> ReportData:
    plan = _plan(layers, network)
    return ReportData(
        network=NetworkSummary(network, text, len(layers), 1_000_000, 2_000_000),
        batch=8,
        settings={"trials": 40, "note": text, "workers": None},
        requirements=_requirements(plan),
        result=_result(plan, names).model_copy(update={"why": text}),
        gemm_evidence=_evidence(plan) if probed else None,
        training=_training(probe) if probed else None,
        statistics=_statistics(probe, layers[0], text) if probed else None,
        probe_plan=_plan(("fc",), probe) if probed and probe != network else None,
        provenance=Provenance(text, {"partialsum": "0.1.0", text: text}, 7, text),
    )


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    return make


@pytest.fixture(scope="session")
def report() -> ReportData:
    return make()
