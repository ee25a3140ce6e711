"""The theory's equations as text: for reading, for LaTeX and as records."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from analysis.equations import equations

#: left sides that are LaTeX
_PLAIN = {r"\frac{d m^*}{d \ln n}": "d m^*/d ln n", r"\Delta m": "Δm"}


class EquationRecord(BaseModel):
    """One equation; ``expression`` is sympy's text of its right side."""

    model_config = ConfigDict(frozen=True)

    name: str
    says: str
    source: str
    expression: str
    latex: str


def records() -> list[EquationRecord]:
    """Every equation, the published ones first."""
    return [
        EquationRecord(
            name=one.name,
            says=one.says,
            source=one.source,
            expression=str(one.right),
            latex=one.latex,
        )
        for one in equations()
    ]


def latex_lines() -> Iterator[str]:
    """Equations of a LaTeX document, each under a comment that says what it is."""
    for one in equations():
        yield f"% {one.name}: {one.says} ({one.source})"
        yield f"\\begin{{equation}}\n  {one.latex}\n\\end{{equation}}"


def text_lines() -> Iterator[str]:
    """Each equation with what it says and its source."""
    for one in equations():
        yield f"{one.name}: {one.says}  [{one.source}]"
        yield f"    {_PLAIN.get(str(one.left), one.left)} = {one.right}"
