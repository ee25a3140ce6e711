"""The least accumulator mantissa of every GEMM of a network, by one criterion or by several."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from analysis.formats import Rounding
from analysis.requirement import PUBLISHED, Criterion, Sought, Theorem, least_bits
from analysis.retention import log_variance_lost_chunked
from models.networks.gemm import Gemm, Role
from models.products import GemmProducts

#: GEMMs of one length ask one question
cached_least_bits = lru_cache(maxsize=1 << 16)(least_bits)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every sum of a network."""

    m_p: int  #: product mantissa bits
    chunk: int  #: products per inner sum of the chunked width
    density: float = 1.0  #: share of products that are not zero, structural zeros apart
    criterion: Criterion = PUBLISHED
    rounding: Rounding = Rounding.NEAREST_EVEN
    #: what a GEMM sums; None: Gaussian operands of ``m_p`` and ``density``
    products_of: Callable[[Gemm], GemmProducts] | None = None

    def sought(self, gemm: Gemm, chunk: int | None) -> Sought:
        """The theorem counts structural zeros in n, as its authors do; to noise they are zeros."""
        published = isinstance(self.criterion, Theorem)
        if self.products_of is None:
            density = self.density if published else self.density * gemm.share
            return Sought(gemm.length, self.m_p, chunk, density, self.rounding)
        of = self.products_of(gemm)
        return Sought(
            gemm.length, self.m_p, chunk, of.density, self.rounding, of.products, of.operand_nmse
        )


class GemmRequirement(BaseModel):
    """What is asked of one GEMM, summed in one go and in chunks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    role: Role
    n: int  #: accumulation length
    m_p: int  #: product mantissa bits
    chunk: int  #: products per inner sum of the chunked requirement, at most n
    criterion: str  #: the test, as ``v < 50``
    plain_bits: int  #: least m_acc of one plain sum
    chunked_bits: int  #: least m_acc of both stages of the chunked sum
    log_lost: float  #: the theorem's ln v at ``plain_bits``, whatever the criterion


def requirement(gemm: Gemm, asked: Asked) -> GemmRequirement:
    """Least widths of one GEMM.

    >>> fc = Gemm("fc", Role.FWD, rows=1, cols=10, length=4608, count=1, macs=46_080)
    >>> found = requirement(fc, Asked(m_p=5, chunk=64))
    >>> found.plain_bits, found.chunked_bits
    (9, 4)
    """
    plain, chunked = (asked.sought(gemm, chunk) for chunk in (None, min(asked.chunk, gemm.length)))
    plain_bits = cached_least_bits(plain, asked.criterion)
    lost = log_variance_lost_chunked(
        plain_bits, asked.m_p, gemm.length, gemm.length, density=plain.density
    )
    return GemmRequirement(
        layer=gemm.layer,
        role=gemm.role,
        n=gemm.length,
        m_p=asked.m_p,
        chunk=min(asked.chunk, gemm.length),
        criterion=asked.criterion.label,
        plain_bits=plain_bits,
        chunked_bits=cached_least_bits(chunked, asked.criterion),
        log_lost=float(lost),
    )


def requirements(gemms: Iterable[Gemm], asked: Asked) -> tuple[GemmRequirement, ...]:
    """Least widths of every GEMM, in order."""
    return tuple(requirement(gemm, asked) for gemm in gemms)
