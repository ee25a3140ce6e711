"""The answer to ``partialsum bits``: least widths, of one length or of a network's GEMMs."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from analysis.retention import log_variance_lost_chunked, variance_retention_chunked
from models.networks.gemm import Gemm, Role
from models.requirements import GemmRequirement

#: what the one-line case calls its GEMM
SINGLE = "sum"


class WidthDetail(BaseModel):
    """What one accumulator width makes of a sum, plain and chunked."""

    model_config = ConfigDict(frozen=True)

    m_acc: int
    retention: float
    log_lost: float
    chunked_retention: float
    chunked_log_lost: float


def single(n: int) -> Gemm:
    """A GEMM that is one sum of ``n`` products."""
    return Gemm(SINGLE, Role.FWD, rows=1, cols=1, length=n, count=1, macs=n)


def details(asked: GemmRequirement, density: float) -> tuple[WidthDetail, ...]:
    """The theorem from one bit below the chunked width to one above the plain."""
    widths = np.arange(max(1, asked.chunked_bits - 1), asked.plain_bits + 2)
    columns = []
    for chunk in (asked.n, asked.chunk):
        case = (widths, asked.m_p, asked.n, chunk)
        columns.append(variance_retention_chunked(*case, density=density))
        columns.append(log_variance_lost_chunked(*case, density=density))
    return tuple(
        WidthDetail(
            m_acc=int(width),
            retention=row[0],
            log_lost=row[1],
            chunked_retention=row[2],
            chunked_log_lost=row[3],
        )
        for width, *row in zip(widths, *columns, strict=True)
    )


def by_layer(
    asked: Sequence[GemmRequirement],
) -> Iterator[tuple[str, dict[Role, GemmRequirement]]]:
    """The requirements of each layer by role, in the network's order."""
    layers: dict[str, dict[Role, GemmRequirement]] = {}
    for one in asked:
        layers.setdefault(one.layer, {})[one.role] = one
    yield from layers.items()
