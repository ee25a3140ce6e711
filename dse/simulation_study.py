"""A grid of Monte-Carlo runs over accumulators, lengths and products: what is asked."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import Field

from analysis.distributions import Products
from analysis.formats import Accumulator
from analysis.simulation import MAX_SAMPLES, check_operands
from dse.sum_grid import SumFields, SumGrid, options_of, sums_of
from models.files import validated

#: relative standard error where nothing else is asked for
PRECISION = 0.02
#: samples that a row may take, for want of better knowledge
_USUAL_SAMPLES = 1 << 15


class Study(SumGrid):
    """What is simulated, and how well."""

    precision: float | None = Field(None, gt=0.0)
    most_samples: int = Field(MAX_SAMPLES, ge=1, le=2**40)
    seed: int = Field(0, ge=0, le=2**63 - 1)


def study_of(options: Mapping[str, Any]) -> Study:
    """The study that a command's options ask for; without effort, to :data:`PRECISION`."""
    fields = options_of(options, Study)
    if options["samples"] is not None:
        fields["most_samples"] = options["samples"]
    elif options["precision"] is None:
        fields["precision"] = PRECISION
    return validated(fields, Study)


class Case(SumFields):
    """Everything that a row follows from."""

    precision: float | None  #: None: all of ``most_samples``
    most_samples: int
    seed: int  #: this row's own


class Job(NamedTuple):
    """A case, and the values that it names."""

    case: Case
    accumulator: Accumulator
    products: Products


def jobs(study: Study) -> list[Job]:
    """Every combination once, in the order of the fields.

    Raises:
        ValueError: a name or a number means nothing, or an accumulator cannot sum such products.
    """
    found = []
    for fields, accumulator, products in sums_of(study):
        check_operands(accumulator, products, fields.n)
        found.append(Job(_case(study, fields), accumulator, products))
    return found


def work(wanted: Sequence[Job]) -> int:
    """About how many additions there are to do."""
    return sum(job.case.n * min(job.case.most_samples, _USUAL_SAMPLES) for job in wanted)


def _case(study: Study, fields: SumFields) -> Case:
    """With the study's effort, and a seed of its own.

    The seed follows from the question, not from the effort: more of it goes on with the same sums.
    """
    digest = sha256(f"{study.seed} {fields.model_dump_json()}".encode()).digest()
    return Case(
        **dict(fields),
        precision=study.precision,
        most_samples=study.most_samples,
        seed=int.from_bytes(digest[:8]) >> 1,
    )
