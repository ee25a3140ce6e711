"""The Optuna study: a multi-objective, constrained search that can be stopped and gone on with.

Trials are drawn in memory and each is added to the journal when it is complete: one synced line a
trial, where a study that lives in the journal writes one for every parameter. Trial k is drawn by a
sampler that is seeded with (seed, k) and takes everything else from the trials before it, so a
search that was interrupted ends where an uninterrupted one does.
"""

import math
from itertools import islice
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from dse.progress import Advance
from dse.seeds import seeds
from dse.space import MARGINS, Choice, Design, Evaluation, Space
from models.accelerator.spec import Dataflow
from models.schedules import Schedule

POPULATION = 40
#: Optuna's default, one parameter in each child, leaves most children of good parents copies
MUTATION = 0.03
OBJECTIVES = ("area_mm2", "energy_mj", "latency_ms")
_DIRECTIONS = [StudyDirection.MINIMIZE] * len(OBJECTIVES)
_STUDY = "partialsum"

Params = dict[str, str | int]


def open_study(journal: Path) -> optuna.Study:
    """The study kept in ``journal``, made if it is new; a line that was cut off is dropped.

    Raises:
        ValueError: the file is no journal.
    """
    _mend(journal)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=_STUDY,
            directions=_DIRECTIONS,
            load_if_exists=True,
        )
    except (ValueError, KeyError, TypeError) as error:  # what Optuna's reader makes of other text
        raise ValueError(f"{journal}: must be the journal of a search, got {error!r}") from error


def _mend(journal: Path) -> None:
    text = journal.read_bytes() if journal.exists() else b""
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with journal.open("r+b") as file:
            file.truncate(whole)


def search(kept: optuna.Study, space: Space, advance: Advance) -> None:
    """Add trials to ``kept`` until it has ``settings.trials``."""
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, mutation_prob=MUTATION)
    drawing = optuna.create_study(directions=_DIRECTIONS, sampler=sampler)
    drawing.add_trials(completed(kept))
    _recall_parents(drawing, sampler)
    done, wanted = len(completed(kept)), space.settings.trials
    first = dict(enumerate(islice(seeds(space), wanted)))
    advance(done, wanted)
    for number in range(done, wanted):
        if number in first:
            drawing.enqueue_trial(parameters(space, first[number]))
        _reseed(sampler, space.settings.seed, number)
        kept.add_trial(_run_trial(drawing, sampler, space))
        advance(number + 1, wanted)


def _recall_parents(study: optuna.Study, sampler: optuna.samplers.NSGAIISampler) -> None:
    """Choose the parents of every generation so far, oldest first, as the search did.

    The sampler takes them in another order when it chooses them than when it looks them up.
    """
    generations = [sampler.get_trial_generation(study, trial) for trial in completed(study)]
    for generation in range(1, max(generations, default=0) + 1):
        sampler.get_parent_population(study, generation)


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """Finished trials, oldest first."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _reseed(sampler: optuna.samplers.NSGAIISampler, seed: int, number: int) -> None:
    """Start the sampler's generators anew for one trial.

    A new sampler for each trial would do the same through the public interface, but it would read
    all parameters of all trials each time; ``reseed_rng()`` takes its seed from the system.
    """
    first, second = np.random.SeedSequence((seed, number)).generate_state(2)
    sampler._rng.rng.seed(first)
    sampler._random_sampler._rng.rng.seed(second)


def _run_trial(
    study: optuna.Study, sampler: optuna.samplers.NSGAIISampler, space: Space
) -> FrozenTrial:
    trial = study.ask()
    # a trial that was enqueued joins a generation only when asked; else none would be a parent
    sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[trial.number])
    evaluation = space.evaluate(suggest(trial, space))
    for name, distance in constraints(space, evaluation).items():
        trial.set_constraint(name, distance)
    return study.tell(trial, evaluation.objectives)


def constraints(space: Space, evaluation: Evaluation) -> dict[str, float]:
    """Distances beyond the limits; a design is feasible if none is above 0."""
    settings = space.settings
    return {
        "log_lost": evaluation.log_lost - math.log(settings.cutoff),
        "operand_nmse": evaluation.operand_nmse - settings.operand_nmse_limit,
    }


def suggest(trial: Trial | FrozenTrial, space: Space) -> Design:
    """The design of a trial; on a finished trial, the design that it had."""
    low, high = space.settings.log2_sides[0], space.settings.log2_sides[-1]
    return Design(
        trial.suggest_int("log2_rows", low, high),
        trial.suggest_int("log2_cols", low, high),
        Dataflow(trial.suggest_categorical("dataflow", [flow.value for flow in Dataflow])),
        tuple(_suggest_choice(trial, space, group.name) for group in space.groups),
    )


def _suggest_choice(trial: Trial | FrozenTrial, space: Space, name: str) -> Choice:
    schedules = [schedule.value for schedule in Schedule]
    return Choice(
        trial.suggest_int(f"{name}.m_op", space.m_ops.start, space.m_ops.stop - 1),
        trial.suggest_categorical(f"{name}.chunk", space.chunks),
        trial.suggest_int(f"{name}.margin", MARGINS[0], MARGINS[-1]),
        Schedule(trial.suggest_categorical(f"{name}.schedule", schedules)),
    )


def parameters(space: Space, design: Design) -> Params:
    """The trial parameters that :func:`suggest` turns into ``design``."""
    params: Params = {
        "log2_rows": design.log2_rows,
        "log2_cols": design.log2_cols,
        "dataflow": design.dataflow.value,
    }
    for group, choice in zip(space.groups, design.choices, strict=True):
        params[f"{group.name}.m_op"] = choice.m_op
        params[f"{group.name}.chunk"] = choice.chunk
        params[f"{group.name}.margin"] = choice.margin
        params[f"{group.name}.schedule"] = choice.schedule.value
    return params
