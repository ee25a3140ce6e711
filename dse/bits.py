"""The answers to ``partialsum bits``: least widths, or whether a given accumulator is enough."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from analysis.catalog import named_accumulator, named_format, operands_of
from analysis.formats import FloatFormat, Rounding
from analysis.requirement import (
    BUDGET,
    MAX_BIAS,
    PARITY,
    Criterion,
    NoiseBudget,
    NoiseCriterion,
    NoiseParity,
    Sought,
    Theorem,
    operand_formats,
)
from analysis.retention import (
    CUTOFF,
    check_sum,
    log_variance_lost_chunked,
    variance_retention_chunked,
)
from dse.products import parse_products, product_bits
from models.networks.gemm import Gemm, Role
from models.networks.network import Network
from models.products import GemmProducts, products_by_gemm
from models.requirements import Asked, GemmRequirement, requirements
from models.statistics import load_statistics
from models.verdicts import GemmVerdict, verdicts

#: of FP8 (1,5,2) operands
USUAL_BITS = 5
#: what the one-line case calls its GEMM
SINGLE = "sum"


class CriterionName(StrEnum):
    """When a width is enough (:mod:`analysis.requirement`)."""

    THEOREM = "theorem"
    NMSE = "nmse"
    PARITY = "parity"
    ALL = "all"


class Question(BaseModel):
    """What is asked of sums, one or those of a network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    m_p: int | None = None  #: None: that of the products, which are of 5 bits if not said either
    chunk: int = 64
    density: float = 1.0
    criterion: CriterionName | None = None  #: None: the theorem's; of a given accumulator: parity
    cutoff: float = CUTOFF
    nmse: float = BUDGET
    parity: float = PARITY
    max_bias: float = MAX_BIAS
    rounding: Rounding = Rounding.NEAREST_EVEN
    products: str | None = None  #: None: Gaussian operands of m_p, or of the given accumulator
    mean: float = 0.0  #: of the first operand, in its standard deviations
    accumulator: str | None = None

    @model_validator(mode="after")
    def _is_of_a_sum(self) -> Self:
        check_sum(1, self.product_bits, self.chunk, self.density)
        theorem = self.criterion in (CriterionName.THEOREM, CriterionName.ALL)
        if self.accumulator is not None and theorem:
            raise ValueError(
                "criterion of a given accumulator must be nmse or parity: the theorem knows"
                f" only widths, got {self.criterion}"
            )
        return self

    @property
    def product_bits(self) -> int:
        """Mantissa bits of a product, as the theorem counts them."""
        if self.m_p is not None:
            return self.m_p
        if self.products is None:
            return USUAL_BITS
        return product_bits(_parsed(self.products, self.mean, self.density).products)

    @property
    def summed_text(self) -> str:
        """What is summed, as one writes it."""
        return self.products or self._usual

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Those that are asked for, the theorem's first."""
        noise = NoiseBudget(self.nmse, self.max_bias), NoiseParity(self.parity, self.max_bias)
        of: dict[CriterionName | None, tuple[Criterion, ...]] = {
            CriterionName.THEOREM: (Theorem(self.cutoff),),
            CriterionName.NMSE: noise[:1],
            CriterionName.PARITY: noise[1:],
            CriterionName.ALL: (Theorem(self.cutoff), *noise),
        }
        return of[self.criterion or CriterionName.THEOREM]

    @property
    def noise_criterion(self) -> NoiseCriterion:
        """What a given accumulator is judged by."""
        if self.criterion is CriterionName.NMSE:
            return NoiseBudget(self.nmse, self.max_bias)
        return NoiseParity(self.parity, self.max_bias)

    def summed(self, gemm: Gemm) -> GemmProducts:
        """What a GEMM sums: to the noise, structural zeros are zeros."""
        products = _parsed(self.summed_text, self.mean, self.density * gemm.share).products
        return GemmProducts(products, self.density)

    @property
    def _usual(self) -> str:
        own = None if self.accumulator is None else operands_of(self.accumulator)
        names = [form.name for form in operand_formats(self.m_p or USUAL_BITS)]
        return "*".join(names if own is None else (own, own))


#: of files, too: a command reads one once
_parsed = lru_cache(maxsize=256)(parse_products)


#: what a GEMM sums
ProductsOf = Callable[[Gemm], GemmProducts]


def measured_products(file: Path, network: Network | None, question: Question) -> ProductsOf:
    """The products in a file of statistics, of operands in the question's formats.

    Raises:
        ValueError: the file is broken or of another network, or the question says products, too.
    """
    if network is None:
        raise ValueError("statistics are of a network's GEMMs: give the network, got --n")
    usual = Question()
    for name in ("products", "mean", "density"):
        value = getattr(question, name)
        if value != getattr(usual, name):
            raise ValueError(f"statistics say what is summed, got also {name} = {value}")
    return products_by_gemm(load_statistics(file), network, _formats(question))


def _formats(question: Question) -> tuple[FloatFormat, FloatFormat]:
    name = question.accumulator
    named = None if name is None else operands_of(name)
    if named is None:
        return operand_formats(question.product_bits)
    form = named_format(named)
    if not isinstance(form, FloatFormat):
        raise ValueError(f"statistics: operands of {name} must be of floating point, got {named}")
    return form, form


class WidthDetail(BaseModel):
    """What one accumulator width makes of a sum, plain and chunked."""

    model_config = ConfigDict(frozen=True)

    m_acc: int
    retention: float
    log_lost: float
    nmse: float
    bias: float
    chunked_retention: float
    chunked_log_lost: float
    chunked_nmse: float
    chunked_bias: float


def single(n: int) -> Gemm:
    """A GEMM that is one sum of ``n`` products."""
    return Gemm(SINGLE, Role.FWD, rows=1, cols=1, length=n, count=1, macs=n)


def answers(
    gemms: Sequence[Gemm], question: Question, products_of: ProductsOf
) -> list[GemmRequirement]:
    """Least widths of every GEMM, criterion by criterion."""
    fixed = (question.product_bits, question.chunk, question.density)
    return [
        found
        for criterion in question.criteria
        for found in requirements(gemms, Asked(*fixed, criterion, question.rounding, products_of))
    ]


def judged(
    gemms: Sequence[Gemm], question: Question, products_of: ProductsOf
) -> tuple[GemmVerdict, ...]:
    """Whether the question's accumulator is enough for every GEMM."""
    name = question.accumulator
    assert name is not None
    accumulator = named_accumulator(name)
    return verdicts(gemms, name, accumulator, products_of, question.noise_criterion)


def details(asked: Sequence[GemmRequirement], question: Question) -> tuple[WidthDetail, ...]:
    """Theorem and noise from one bit below the narrowest width to one above the widest."""
    least = max(1, min(one.chunked_bits for one in asked) - 1)
    most = max(one.plain_bits for one in asked) + 1
    n, chunk = asked[0].n, asked[0].chunk
    fixed = (question.density, question.rounding, question.summed(single(n)).products)
    plain, chunked = (Sought(n, question.product_bits, stage, *fixed) for stage in (n, chunk))
    return tuple(
        WidthDetail(
            m_acc=m_acc,
            **_stage(m_acc, plain),
            **{f"chunked_{name}": figure for name, figure in _stage(m_acc, chunked).items()},
        )
        for m_acc in range(least, most + 1)
    )


def _stage(m_acc: int, of: Sought) -> dict[str, float]:
    case = (m_acc, of.m_p, of.n, of.chunk or of.n)
    error = of.error(m_acc)
    return {
        "retention": float(variance_retention_chunked(*case, density=of.density)),
        "log_lost": float(log_variance_lost_chunked(*case, density=of.density)),
        "nmse": error.nmse,
        "bias": error.bias,
    }


def by_layer(
    asked: Sequence[GemmRequirement],
) -> Iterator[tuple[str, dict[Role, GemmRequirement]]]:
    """The requirements of each layer by role, in the network's order."""
    layers: dict[str, dict[Role, GemmRequirement]] = {}
    for one in asked:
        layers.setdefault(one.layer, {})[one.role] = one
    yield from layers.items()
