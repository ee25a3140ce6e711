"""Least widths against batch size and sequence length: GRAD sums over both."""

from collections.abc import Iterator, Sequence
from itertools import groupby, product

from dse.bits import Question, answers
from models.networks.gemm import Role
from models.networks.loading import load_network
from models.requirements import GemmRequirement


class ScaledRequirement(GemmRequirement):
    """A requirement at one batch size and sequence length."""

    batch: int
    tokens: int | None  #: None: as the network says


def scaled(
    network: str, batches: Sequence[int], tokens: Sequence[int], question: Question
) -> list[ScaledRequirement]:
    """Least widths of every GEMM at every combination; none given is the network's own.

    Raises:
        ValueError: the network has no sequence to set, or a size is out of range.
    """
    found = []
    for length, batch in product(tokens or (None,), batches or (None,)):
        shapes = load_network(network, length)
        size = shapes.default_batch if batch is None else batch
        found += [
            ScaledRequirement(**dict(one), batch=size, tokens=length)
            for one in answers(shapes.gemms(size), question, question.summed)
        ]
    return found


def widest(
    found: Sequence[ScaledRequirement],
) -> Iterator[tuple[ScaledRequirement, dict[Role, tuple[int, int, int]]]]:
    """(longest n, most plain bits, most chunked bits) by role, for every size and criterion.

    With one requirement of them all, which says the size and the criterion.
    """
    for _, each in groupby(found, lambda one: (one.batch, one.tokens, one.criterion)):
        group = list(each)
        yield group[0], {role: _most(group, role) for role in Role}


def _most(group: Sequence[ScaledRequirement], role: Role) -> tuple[int, int, int]:
    own = [one for one in group if one.role is role]
    return (
        max((one.n for one in own), default=0),
        max((one.plain_bits for one in own), default=0),
        max((one.chunked_bits for one in own), default=0),
    )
