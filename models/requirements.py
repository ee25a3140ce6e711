"""The least accumulator mantissa of every GEMM of a network, by the published test on v(n)."""

from collections.abc import Iterable
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from analysis.retention import CUTOFF, log_variance_lost_chunked, min_accumulator_bits
from models.networks.gemm import Gemm, Role

least_bits = lru_cache(maxsize=1 << 16)(min_accumulator_bits)


class GemmRequirement(BaseModel):
    """What the theorem asks of one GEMM, summed in one go and in chunks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    role: Role
    n: int  #: accumulation length
    m_p: int  #: product mantissa bits
    chunk: int  #: products per inner sum of the chunked requirement, at most n
    plain_bits: int  #: least m_acc of one plain sum
    chunked_bits: int  #: least m_acc of both stages of the chunked sum
    log_lost: float  #: ln v at ``plain_bits``; the test is ln v < ln cutoff


def requirement(
    gemm: Gemm, m_p: int, chunk: int, density: float = 1.0, cutoff: float = CUTOFF
) -> GemmRequirement:
    """Least widths of one GEMM.

    >>> fc = Gemm("fc", Role.FWD, rows=1, cols=10, length=4608, count=1, macs=46_080)
    >>> asked = requirement(fc, m_p=5, chunk=64)
    >>> asked.plain_bits, asked.chunked_bits
    (9, 4)
    """
    n = gemm.length
    inner = min(chunk, n)
    plain = least_bits(n, m_p, density=density, cutoff=cutoff)
    return GemmRequirement(
        layer=gemm.layer,
        role=gemm.role,
        n=n,
        m_p=m_p,
        chunk=inner,
        plain_bits=plain,
        chunked_bits=least_bits(n, m_p, chunk=inner, density=density, cutoff=cutoff),
        log_lost=float(log_variance_lost_chunked(plain, m_p, n, n, density=density)),
    )


def requirements(
    gemms: Iterable[Gemm], m_p: int, chunk: int, density: float = 1.0, cutoff: float = CUTOFF
) -> tuple[GemmRequirement, ...]:
    """Least widths of every GEMM, in order."""
    return tuple(requirement(gemm, m_p, chunk, density, cutoff) for gemm in gemms)
