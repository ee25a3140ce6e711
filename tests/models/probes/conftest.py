from collections.abc import Callable

import pytest

from analysis.formats import Rounding
from analysis.requirement import min_accumulator_bits
from models.accelerator.spec import Accelerator
from models.networks.gemm import Gemm
from models.networks.loading import load_network
from models.plan import GemmPlan, Plan
from models.schedules import Schedule

MakePlan = Callable[..., Plan]


def planned(gemm: Gemm, m_op: int, chunk: int, schedule: Schedule) -> GemmPlan:
    """The least width by the paper's test."""
    inner = min(chunk, gemm.length)
    m_acc = min_accumulator_bits(gemm.length, 2 * m_op + 1, chunk=inner)
    return GemmPlan(
        layer=gemm.layer,
        role=gemm.role,
        length=gemm.length,
        m_op=m_op,
        m_acc=m_acc,
        chunk=inner,
        schedule=schedule,
    )


def digits_plan(
    batch: int = 4,
    chunk: int = 32,
    m_op: int = 2,
    rounding: Rounding = Rounding.NEAREST_EVEN,
    density: float = 1.0,
    schedule: Schedule = Schedule.STATIC,
    e_acc: int = 6,
) -> Plan:
    network = load_network("digits-cnn")
    return Plan(
        network=network.name,
        batch=batch,
        density=density,
        cutoff=50.0,
        rounding=rounding,
        accelerator=Accelerator(e_acc=e_acc),
        gemms=tuple(planned(gemm, m_op, chunk, schedule) for gemm in network.gemms(batch)),
    )


@pytest.fixture
def make_plan() -> MakePlan:
    """A plan for the probe's network, written without a search."""
    return digits_plan
