"""A grid of Monte-Carlo runs over accumulators, lengths and products: what is asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import product
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from analysis.catalog import named_accumulator
from analysis.distributions import Products
from analysis.formats import Accumulator, Rounding, float_format
from analysis.simulation import MAX_SAMPLES, check_operands
from dse.products import parse_products
from models.files import validated
from reports.tables import harmless

#: FP8 (1,5,2) operands, as in Wang et al. (NeurIPS 2018)
DEFAULT_PRODUCTS = "fp8_e5m2*fp8_e5m2"
#: relative standard error where nothing else is asked for
PRECISION = 0.02
#: samples that a row may take, for want of better knowledge
_USUAL_SAMPLES = 1 << 15


class Study(BaseModel):
    """What is simulated: every combination of the fields that hold several values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    products: tuple[str, ...] = (DEFAULT_PRODUCTS,)
    mean: float = 0.0
    density: float = 1.0
    n: tuple[Annotated[int, Field(ge=1, le=2**32)], ...] = Field(min_length=1)
    accumulator: tuple[str, ...] = ()  #: of the catalogue, instead of the next six fields
    e_acc: int = 6
    m_acc: tuple[int, ...] = ()
    rounding: tuple[Rounding, ...] = (Rounding.NEAREST_EVEN,)
    random_bits: int | None = None  #: of stochastic rounding; None: as good as ideal
    chunk: tuple[int | None, ...] = (None,)
    m_outer: int | None = None  #: mantissa bits of the sum of chunk sums; None: m_acc
    precision: float | None = Field(None, gt=0.0)
    most_samples: int = Field(MAX_SAMPLES, ge=1, le=2**40)
    seed: int = Field(0, ge=0, le=2**63 - 1)

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        described = ("m_acc", "rounding", "random_bits", "chunk", "m_outer", "e_acc")
        default = {name: type(self).model_fields[name].default for name in described}
        said = [name for name in described if getattr(self, name) != default[name]]
        if self.accumulator and said:
            raise ValueError(f"accumulator is of the catalogue or described, got also {said[0]}")
        if not self.accumulator and not self.m_acc:
            raise ValueError("m_acc or accumulator (of the catalogue) is required, got neither")
        if self.random_bits is not None and Rounding.STOCHASTIC not in self.rounding:
            raise ValueError(
                f"random_bits need stochastic rounding, got {', '.join(self.rounding)}"
            )
        if self.m_outer is not None and self.chunk == (None,):
            raise ValueError("m_outer needs a chunk, got none")
        return self


def study_of(options: Mapping[str, Any]) -> Study:
    """The study that a command's options ask for; without effort, to :data:`PRECISION`."""
    fields = {k: v for k, v in options.items() if k in Study.model_fields and v is not None}
    if options["chunk"] is not None:
        fields["chunk"] = [None if text == "none" else text for text in options["chunk"]]
    if options["samples"] is not None:
        fields["most_samples"] = options["samples"]
    elif options["precision"] is None:
        fields["precision"] = PRECISION
    return validated(fields, Study)


class Case(BaseModel):
    """Everything that a row follows from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    products: str  #: as given, with the digest of a sample's values after the name of its file
    mean: float
    density: float
    n: int
    accumulator: str | None  #: of the catalogue; None: as the next fields say
    e_acc: int | None
    m_acc: int | None
    rounding: Rounding | None
    random_bits: int | None
    chunk: int | None
    m_outer: int | None
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
    named = [parse_products(text, study.mean, study.density) for text in study.products]
    found = {}
    for (name, products), n, fields in product(named, study.n, _accumulators(study)):
        case = _case(study, {"products": harmless(name), "n": n, **fields})
        found[case] = Job(case, accumulator_of(case), products)
        check_operands(found[case].accumulator, products, n)
    return list(found.values())


def work(wanted: Sequence[Job]) -> int:
    """About how many additions there are to do."""
    return sum(job.case.n * min(job.case.most_samples, _USUAL_SAMPLES) for job in wanted)


def _accumulators(study: Study) -> Iterator[dict[str, object]]:
    """The fields of a case that say what it sums with."""
    for name in study.accumulator:
        yield {"accumulator": name}
    for m_acc, rounding, chunk in product(study.m_acc, study.rounding, study.chunk):
        yield {
            "e_acc": study.e_acc,
            "m_acc": m_acc,
            "rounding": rounding,
            "random_bits": study.random_bits if rounding is Rounding.STOCHASTIC else None,
            "chunk": chunk,
            "m_outer": None if chunk is None else study.m_outer,
        }


def _case(study: Study, fields: dict[str, object]) -> Case:
    """With the fields of the study that all cases share, and a seed of its own.

    The seed follows from the question, not from the effort: more of it goes on with the same sums.
    """
    shared = study.model_dump(include={"mean", "density", "precision", "most_samples", "seed"})
    case = Case.model_validate(dict.fromkeys(Case.model_fields) | shared | fields)
    question = case.model_dump_json(exclude={"precision", "most_samples"})
    digest = sha256(question.encode()).digest()
    return case.model_copy(update={"seed": int.from_bytes(digest[:8]) >> 1})


def accumulator_of(case: Case) -> Accumulator:
    """The accumulator that a case names or describes."""
    if case.accumulator is not None:
        return named_accumulator(case.accumulator)
    assert case.e_acc is not None
    assert case.m_acc is not None
    assert case.rounding is not None
    inner = Accumulator(
        float_format(case.e_acc, case.m_acc),
        case.rounding,
        case.chunk,
        random_bits=case.random_bits,
    )
    if case.m_outer is None:
        return inner
    wide = float_format(case.e_acc, case.m_outer)
    return replace(inner, outer=Accumulator(wide, case.rounding, random_bits=case.random_bits))
