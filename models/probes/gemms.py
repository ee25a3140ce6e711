"""Evidence, level one: every GEMM of the real network at its true length.

Random dot products are summed by the plan's own arithmetic, and retention and error are put beside
what theory predicts, at the planned width and some bits below it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from pydantic import BaseModel, ConfigDict

from analysis.distributions import gaussian_products
from analysis.formats import Accumulator, FloatFormat
from analysis.noise import predict
from analysis.retention import variance_retention_chunked
from analysis.simulation import SumStatistics, simulate_each
from models.networks.gemm import Role
from models.plan import GemmPlan, Plan
from models.probes.pool import run_tasks

_predicted = lru_cache(maxsize=1 << 12)(predict)
OFFSETS = (0, -1, -2)
SAMPLES = 2048


class GemmEvidence(BaseModel):
    """What one GEMM's sums keep and lose, measured and predicted; errors are standard errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layer: str
    role: Role
    length: int
    chunk: int
    m_op: int
    m_acc: int  #: mantissa bits that were used: the planned ones plus the offset, at least 1
    offset: int
    samples: int
    retention: float  #: Var(computed)/Var(exact)
    retention_error: float
    nmse: float  #: E[(computed − exact)²]/Var(exact)
    nmse_error: float
    bias: float  #: E[computed − exact], in standard deviations of the exact sum
    bias_error: float
    predicted_retention: float  #: Sakr et al. (2019), whatever the rounding
    predicted_nmse: float  #: of that rounding (:func:`analysis.noise.predict`)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass over random operands, and all that is summed from them."""

    operands: FloatFormat
    length: int
    accumulators: tuple[Accumulator, ...]
    samples: int
    seed: tuple[int, ...]
    density: float

    @property
    def products(self) -> int:
        return self.length * len(self.accumulators)


def gemm_evidence(
    plan: Plan,
    *,
    seed: int,
    samples: int = SAMPLES,
    offsets: Sequence[int] = OFFSETS,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[GemmEvidence, ...]:
    """Measured and predicted figures of each GEMM of ``plan`` at each offset, in that order.

    GEMMs of one length and operand format share their random operands, and equal cases are run
    once. The figures do not depend on ``workers``. ``on_progress(done, total)`` counts products.
    """
    passes = sorted(_passes(plan, samples, seed, offsets), key=lambda one: -one.products)
    total, done = sum(one.products for one in passes), 0
    found: dict[tuple[int, FloatFormat, Accumulator], SumStatistics] = {}

    def keep(index: int, statistics: tuple[SumStatistics, ...]) -> None:
        nonlocal done
        one = passes[index]
        done += one.products
        for accumulator, each in zip(one.accumulators, statistics, strict=True):
            found[one.length, one.operands, accumulator] = each
        if on_progress is not None:
            on_progress(done, total)

    # workers that are processes leave each other the cores
    simulate = partial(_simulate, threads=1 if workers > 1 else None)
    run_tasks(simulate, passes, workers, keep)
    return tuple(
        _row(plan, gemm, offset, found[_case(plan, gemm, offset)])
        for gemm in plan.gemms
        for offset in offsets
    )


def _simulate(one: _Pass, threads: int | None) -> tuple[SumStatistics, ...]:
    products = gaussian_products(one.operands, one.density)
    return simulate_each(
        one.accumulators,
        products,
        one.length,
        samples=one.samples,
        seed=one.seed,
        threads=threads,
    )


def _case(plan: Plan, gemm: GemmPlan, offset: int) -> tuple[int, FloatFormat, Accumulator]:
    return gemm.length, plan.operands(gemm.m_op), plan.accumulator(gemm, offset)


def _passes(plan: Plan, samples: int, seed: int, offsets: Sequence[int]) -> list[_Pass]:
    """Distinct cases, grouped by what they draw. A pass has its seed from that alone."""
    groups: dict[tuple[int, FloatFormat], dict[Accumulator, None]] = {}
    for gemm in plan.gemms:
        for offset in offsets:
            length, operands, accumulator = _case(plan, gemm, offset)
            groups.setdefault((length, operands), {})[accumulator] = None
    return [
        _Pass(
            operands,
            length,
            tuple(accumulators),
            samples,
            (seed, length, operands.mantissa_bits),
            plan.density,
        )
        for (length, operands), accumulators in groups.items()
    ]


def _row(plan: Plan, gemm: GemmPlan, offset: int, measured: SumStatistics) -> GemmEvidence:
    accumulator = plan.accumulator(gemm, offset)
    products = gaussian_products(plan.operands(gemm.m_op), plan.density)
    assert isinstance(accumulator.format, FloatFormat)
    m_acc = accumulator.format.mantissa_bits
    return GemmEvidence(
        layer=gemm.layer,
        role=gemm.role,
        length=gemm.length,
        chunk=gemm.chunk,
        m_op=gemm.m_op,
        m_acc=m_acc,
        offset=offset,
        samples=measured.samples,
        retention=measured.retention,
        retention_error=measured.retention_error,
        nmse=measured.nmse,
        nmse_error=measured.nmse_error,
        bias=measured.bias,
        bias_error=measured.bias_error,
        predicted_retention=float(
            variance_retention_chunked(
                m_acc, gemm.m_p, gemm.length, gemm.chunk, density=plan.density
            )
        ),
        predicted_nmse=_predicted(accumulator, products, gemm.length).nmse,
    )
