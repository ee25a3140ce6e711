"""The least accumulator mantissa of every GEMM of a network, by one criterion or by several."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from analysis.distributions import Products
from analysis.formats import Rounding
from analysis.requirement import PUBLISHED, Criterion, Theorem, min_accumulator_bits
from analysis.retention import log_variance_lost_chunked
from models.networks.gemm import Gemm, Role

least_bits = lru_cache(maxsize=1 << 16)(min_accumulator_bits)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every sum of a network."""

    m_p: int  #: product mantissa bits
    chunk: int  #: products per inner sum of the chunked width
    density: float = 1.0  #: share of products that are not zero, structural zeros apart
    criterion: Criterion = PUBLISHED
    rounding: Rounding = Rounding.NEAREST_EVEN
    #: what a GEMM sums; None: Gaussian operands of ``m_p`` and ``density``
    products_of: Callable[[Gemm], Products] | None = None


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
    n, density = gemm.length, asked.density
    inner = min(asked.chunk, n)
    plain = _least(gemm, asked, None)
    return GemmRequirement(
        layer=gemm.layer,
        role=gemm.role,
        n=n,
        m_p=asked.m_p,
        chunk=inner,
        criterion=asked.criterion.label,
        plain_bits=plain,
        chunked_bits=_least(gemm, asked, inner),
        log_lost=float(log_variance_lost_chunked(plain, asked.m_p, n, n, density=density)),
    )


def _least(gemm: Gemm, asked: Asked, chunk: int | None) -> int:
    """The theorem counts structural zeros in n, as its authors do; to the noise they are zeros."""
    share = 1.0 if isinstance(asked.criterion, Theorem) else gemm.share
    return least_bits(
        gemm.length,
        asked.m_p,
        chunk=chunk,
        density=asked.density * share,
        criterion=asked.criterion,
        rounding=asked.rounding,
        products=None if asked.products_of is None else asked.products_of(gemm),
    )


def requirements(gemms: Iterable[Gemm], asked: Asked) -> tuple[GemmRequirement, ...]:
    """Least widths of every GEMM, in order."""
    return tuple(requirement(gemm, asked) for gemm in gemms)
