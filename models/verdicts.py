"""Whether a given accumulator is enough for every GEMM of a network."""

from collections.abc import Callable, Iterable
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from analysis.formats import Accumulator
from analysis.noise import predict
from analysis.requirement import NoiseCriterion, Summed, within
from models.networks.gemm import Gemm, Role
from models.products import GemmProducts

_predicted = lru_cache(maxsize=1 << 12)(predict)


class GemmVerdict(BaseModel):
    """What one accumulator makes of the sums of a GEMM, and what it may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    role: Role
    n: int  #: accumulation length
    accumulator: str
    retention: float  #: Var(computed)/Var(exact)
    nmse: float  #: E[(computed − exact)²]/Var(exact)
    bias: float  #: E[computed − exact], in standard deviations of the exact sum
    allowed_nmse: float
    enough: bool  #: NMSE and |bias| are within the criterion's limits


def verdicts(
    gemms: Iterable[Gemm],
    name: str,
    accumulator: Accumulator,
    products_of: Callable[[Gemm], GemmProducts],
    criterion: NoiseCriterion,
) -> tuple[GemmVerdict, ...]:
    """The verdict on ``accumulator``, called ``name``, for every GEMM in order.

    Raises:
        ValueError: theory does not know its sums, or the criterion not the operands.
    """
    return tuple(_verdict(gemm, name, accumulator, products_of(gemm), criterion) for gemm in gemms)


def _verdict(
    gemm: Gemm, name: str, accumulator: Accumulator, of: GemmProducts, criterion: NoiseCriterion
) -> GemmVerdict:
    summed = Summed(of.products, gemm.length, of.operand_nmse)
    error = _predicted(accumulator, of.products, gemm.length)
    return GemmVerdict(
        layer=gemm.layer,
        role=gemm.role,
        n=gemm.length,
        accumulator=name,
        retention=error.retention,
        nmse=error.nmse,
        bias=error.bias,
        allowed_nmse=criterion.allowed(summed),
        enough=within(error, criterion, summed),
    )
