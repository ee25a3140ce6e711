"""From a finished study: the front, the plan that is chosen, why, and what it is compared with."""

import math
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from dse.search import OBJECTIVES, completed, suggest
from dse.space import Choice, Design, Space
from models.accelerator.cost import hardware_chunk
from models.accelerator.spec import Accelerator
from models.plan import GemmPlan
from models.results import Baseline, FrontPoint, SearchResult

#: float32, the accumulator that most hardware has
_FLOAT32 = (8, 23)


def outcome(study: optuna.Study, space: Space) -> SearchResult:
    """What the study found.

    Raises:
        ValueError: no trial met the constraints.
    """
    front = front_trials(study)
    chosen = front[_balanced(front)]
    design = suggest(chosen, space)
    evaluation = space.evaluate(design)
    done = completed(study)
    feasible = sum(_is_feasible(trial) for trial in done)
    plan = space.plan(design)
    per_shape = evaluation.cost.gemm_energy_pj
    energy = {
        place: per_shape[index]
        for index, group in enumerate(space.groups)
        for place in group.places
    }
    return SearchResult(
        front=tuple(_point(trial, space, trial is chosen) for trial in front),
        plan=plan,
        why=_why(chosen, front, feasible, len(done)),
        baselines=baselines(space, design),
        gemm_energy_pj=tuple(energy[place] for place in range(len(plan.gemms))),
        trials=len(done),
        feasible_trials=feasible,
        seed=space.settings.seed,
    )


def front_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Feasible trials that none beats, by area; of trials with equal objectives, the first."""
    first: dict[tuple[float, ...], FrozenTrial] = {}
    for trial in sorted(study.best_trials, key=lambda trial: trial.number):
        first.setdefault(tuple(trial.values), trial)
    if not first:
        raise ValueError(
            "search: no trial met v(n) < cutoff and operand_nmse_limit; allow more trials"
            " or wider operands"
        )
    return [first[values] for values in sorted(first)]


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(distance <= 0.0 for distance in trial.constraints.values())


def _scores(front: Sequence[FrozenTrial]) -> np.ndarray:
    """Sum over objectives of ln(value / best of the front): a factor counts the same in each."""
    values = np.array([trial.values for trial in front])
    return np.asarray(np.log(values / values.min(axis=0)).sum(axis=1))


def _balanced(front: Sequence[FrozenTrial]) -> int:
    return int(_scores(front).argmin())


def _why(chosen: FrozenTrial, front: Sequence[FrozenTrial], feasible: int, done: int) -> str:
    best = np.array([trial.values for trial in front]).min(axis=0)
    beyond = ", ".join(
        f"{name.rsplit('_', 1)[0]} ×{value / least:.2f}"
        for name, value, least in zip(OBJECTIVES, chosen.values, best, strict=True)
    )
    return (
        f"Trial {chosen.number} is one of {len(front)} plans on the front of {feasible} feasible"
        f" plans out of {done}. It has the least product of area, energy and latency"
        f" (against the best of the front in each: {beyond})."
    )


def _point(trial: FrozenTrial, space: Space, chosen: bool) -> FrontPoint:
    design = suggest(trial, space)
    resolved = space.resolve(design)
    evaluation = space.evaluate(design)
    widths = np.array([gemm.m_acc for gemm in resolved])
    inner = {gemm.chunk if gemm.chunk < gemm.length else 0 for gemm in resolved}
    area_mm2, energy_mj, latency_ms = trial.values
    return FrontPoint(
        trial=trial.number,
        area_mm2=area_mm2,
        energy_mj=energy_mj,
        latency_ms=latency_ms,
        log_lost_max=evaluation.log_lost,
        operand_nmse_max=evaluation.operand_nmse,
        rows=2**design.log2_rows,
        cols=2**design.log2_cols,
        dataflow=design.dataflow.value,
        m_acc_least=int(widths.min()),
        m_acc_mean=float(np.average(widths, weights=space.arrays.macs.astype(float) * space.times)),
        m_acc_most=int(widths.max()),
        m_op_most=max(gemm.m_op for gemm in resolved),
        chunks=", ".join(str(chunk) if chunk else "whole" for chunk in sorted(inner)),
        schedules=", ".join(sorted({gemm.schedule.value for gemm in resolved})),
        chosen=chosen,
    )


def baselines(space: Space, design: Design) -> tuple[Baseline, ...]:
    """Four ways to set the accumulators of the chosen array and operands, the chosen one last."""
    accelerator = space.accelerator(design)
    chosen = space.resolve(design)
    exponent, mantissa = _FLOAT32
    wide = accelerator.model_copy(update={"e_acc": exponent})
    plain = _least(space, accelerator, chosen, 0)
    widest = max(gemm.m_acc for gemm in plain)
    uniform = _uniform(space, accelerator, chosen)
    return (
        _baseline(
            space,
            "float32 everywhere",
            "23 mantissa and 8 exponent bits for every sum, unchunked where the array allows",
            wide,
            _at(plain, mantissa),
        ),
        _baseline(
            space,
            "widest needed everywhere",
            "one width for all: the widest that any sum needs where the array need not chunk",
            accelerator,
            _at(plain, widest),
        ),
        _baseline(
            space,
            "uniform minimum",
            f"one chunk ({max(gemm.chunk for gemm in uniform)}) and one width for all",
            accelerator,
            uniform,
        ),
        _baseline(space, "per-layer plan", "the chosen plan", accelerator, chosen),
    )


def _at(gemms: Sequence[GemmPlan], m_acc: int) -> tuple[GemmPlan, ...]:
    return tuple(gemm.model_copy(update={"m_acc": m_acc}) for gemm in gemms)


def _least(
    space: Space, accelerator: Accelerator, gemms: Sequence[GemmPlan], chunk: int
) -> tuple[GemmPlan, ...]:
    """The least widths when ``chunk`` is asked of every GEMM."""

    def one(place: int, gemm: GemmPlan) -> GemmPlan:
        inner = hardware_chunk(accelerator, gemm.length, chunk)
        choice = Choice(gemm.m_op, chunk, 0, gemm.schedule)
        m_acc = space.required(space.groups[place].gemm, choice, inner)
        return gemm.model_copy(update={"chunk": inner, "m_acc": m_acc})

    return tuple(one(place, gemm) for place, gemm in enumerate(gemms))


def _uniform(
    space: Space, accelerator: Accelerator, gemms: Sequence[GemmPlan]
) -> tuple[GemmPlan, ...]:
    """The least single width over all chunks; of equal widths, the chunk of least energy."""

    def cost(candidate: tuple[GemmPlan, ...]) -> tuple[int, float]:
        energy = space.evaluate_resolved(accelerator, candidate).cost.energy_mj
        return candidate[0].m_acc, energy

    candidates = []
    for chunk in space.chunks:
        least = _least(space, accelerator, gemms, chunk)
        candidates.append(_at(least, max(gemm.m_acc for gemm in least)))
    return min(candidates, key=cost)


def _baseline(
    space: Space,
    name: str,
    explanation: str,
    accelerator: Accelerator,
    gemms: tuple[GemmPlan, ...],
) -> Baseline:
    evaluation = space.evaluate_resolved(accelerator, gemms)
    widths = [gemm.m_acc for gemm in gemms]
    return Baseline(
        name=name,
        explanation=explanation,
        m_acc_least=min(widths),
        m_acc_most=max(widths),
        feasible=evaluation.log_lost < math.log(space.settings.cutoff),
        area_um2=dict(evaluation.cost.area_um2),
        energy_pj=dict(evaluation.cost.energy_pj),
        latency_ms=evaluation.cost.latency_ms,
    )
