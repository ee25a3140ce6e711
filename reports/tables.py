"""Records as tables: as CSV files, and as the rows that the page shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import BaseModel

from models.requirements import GemmRequirement
from models.results import SearchResult

#: what spreadsheets take as the start of a formula, full-width forms included
_FORMULA = tuple("=+-@＝＋－＠|%")


def to_csv(records: Sequence[BaseModel]) -> str:
    """One row per record; columns in the order of the fields, nested ones as ``outer.inner``.

    A cell or heading of *text* that a spreadsheet would take for a formula (its first visible
    character is one of ``= + - @``, their full-width forms, ``|`` or ``%``, or it starts with a
    tab or a line break) gets an apostrophe before it, as OWASP advises; numbers stay numbers,
    negative ones too. A program that opens a comma-separated file as a semicolon-separated one
    cuts it in places that no quoting can foresee.

    >>> from models.requirements import Asked, requirement
    >>> from models.networks.gemm import Gemm, Role
    >>> fc = Gemm("=fc", Role.FWD, rows=1, cols=10, length=1, count=1, macs=10)
    >>> print(to_csv([requirement(fc, Asked(m_p=5, chunk=64))]), end="")
    layer,role,n,m_p,chunk,criterion,plain_bits,chunked_bits,log_lost
    '=fc,FWD,1,5,1,v < 50,1,1,0.0
    """
    rows = [_harmless_row(_flat(record.model_dump(mode="json"))) for record in records]
    columns = {name: None for row in rows for name in row}
    if not columns:
        return ""
    # object columns: a whole number stays one where another row has none
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.to_csv(index=False, lineterminator="\n")


def _harmless_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {harmless(name): harmless(value) for name, value in row.items()}


def harmless(cell: Any) -> Any:
    """The cell, with an apostrophe before text that a spreadsheet would run.

    Line ends in it become plain line feeds: pandas does not quote a lone carriage return.

    >>> harmless("=1+1"), harmless(" @SUM(A1)"), harmless("conv1"), harmless(-1)
    ("'=1+1", "' @SUM(A1)", 'conv1', -1)
    """
    if not isinstance(cell, str):
        return cell
    runs = cell.startswith(("\t", "\r", "\n")) or cell.lstrip().startswith(_FORMULA)
    plain = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{plain}" if runs else plain


def _flat(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Fields with dotted names; a list becomes JSON, so that it stays one cell."""
    row: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            row |= _flat(value, f"{above}{name}.")
        else:
            row[above + name] = json.dumps(value) if isinstance(value, list) else value
    return row


@dataclass(frozen=True, slots=True)
class GemmRow:
    """One GEMM: what it needs, what it gets, what it costs."""

    layer: str
    role: str
    n: int
    m_op: int
    m_acc: int
    chunk: int | None  #: None for one plain sum
    schedule: str
    plain_bits: int | None  #: None where no requirement was computed
    chunked_bits: int | None
    energy_pj: float
    energy_share: float


def gemm_rows(result: SearchResult, requirements: Sequence[GemmRequirement]) -> tuple[GemmRow, ...]:
    """Every GEMM of the chosen plan, in its order."""
    asked = {(entry.layer, entry.role): entry for entry in requirements}
    total = sum(result.gemm_energy_pj)
    return tuple(
        GemmRow(
            layer=gemm.layer,
            role=gemm.role.value,
            n=gemm.length,
            m_op=gemm.m_op,
            m_acc=gemm.m_acc,
            chunk=gemm.chunk if gemm.chunk < gemm.length else None,
            schedule=gemm.schedule.value,
            plain_bits=entry.plain_bits if entry else None,
            chunked_bits=entry.chunked_bits if entry else None,
            energy_pj=energy_pj,
            energy_share=energy_pj / total if total else 0.0,
        )
        for gemm, energy_pj in zip(result.plan.gemms, result.gemm_energy_pj, strict=True)
        for entry in [asked.get((gemm.layer, gemm.role))]
    )
