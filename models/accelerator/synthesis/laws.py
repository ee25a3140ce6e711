"""Closed forms of what synthesis measured: for each block and quantity a sum of few terms.

``y ≈ Σ c_t Π x_v`` over terms ``t``, each a product of the block's variables ``v``. Coefficients
minimise the sum of squared *relative* errors, on the points that are not held out. A term is
written as its product, ``"M*truncates"``, so the same law is evaluated on numbers, arrays and
sympy symbols.

Neighbouring points scatter by several percent, as logic optimisation does; so a law is worth more
than the difference of two points, and fewer terms are better than a closer fit.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.accelerator.synthesis.flow import Effort
from models.accelerator.synthesis.measurements import RESULTS, Record
from models.accelerator.synthesis.points import Point
from models.accelerator.synthesis.shapes import SHAPES, variables
from models.files import write_atomically

LAWS = RESULTS / "laws.json"
#: Points of each block that its laws are checked on and not fitted to; never more than a quarter.
HELD_OUT_POINTS = 10
_SEED = 4


@dataclass(frozen=True, slots=True)
class Residuals:
    """Relative errors of a law, ``predicted / measured − 1``."""

    points: int
    rms: float
    largest: float

    @classmethod
    def of(cls, errors: npt.NDArray[np.float64]) -> "Residuals":
        """Summarise errors, of which there is at least one."""
        return cls(errors.size, float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).max()))


@dataclass(frozen=True, slots=True)
class Law:
    """One quantity of one block."""

    block: str
    quantity: str
    coefficients: Mapping[str, float]  #: by term
    fitted: Residuals
    held_out: Residuals

    def __call__(self, **parameters: Any) -> Any:
        """The quantity at parameters of the RTL: numbers, arrays or symbols."""
        x = variables(parameters)
        return sum(c * _term(term, x) for term, c in self.coefficients.items())


def _term(term: str, x: Mapping[str, Any]) -> Any:
    return prod((x[name] for name in term.split("*")), start=1)


def fit(block: str, quantity: str, records: Mapping[Point, Record]) -> Law:
    """The law of one quantity of one block, from its relaxed points.

    Raises:
        ValueError: fewer points than coefficients.
    """
    terms = SHAPES[block][quantity]
    points = sorted(records)
    matrix = np.array([_row(terms, point) for point in points])
    measured = np.array([records[point][quantity] for point in points])
    held = held_out(len(points))
    if len(terms) > (~held).sum():
        raise ValueError(f"{block}: {len(terms)} terms need as many points, got {(~held).sum()}")
    relative = matrix / measured[:, None]
    coefficients = np.linalg.lstsq(relative[~held], np.ones((~held).sum()))[0]
    errors = relative @ coefficients - 1
    return Law(
        block,
        quantity,
        dict(zip(terms, map(float, coefficients), strict=True)),
        Residuals.of(errors[~held]),
        Residuals.of(errors[held]),
    )


def _row(terms: Sequence[str], point: Point) -> list[float]:
    x = variables(point.values)
    return [float(_term(term, x)) for term in terms]


def held_out(points: int) -> npt.NDArray[np.bool_]:
    """Which of so many points the fit does not see: random, and always the same."""
    chosen = np.zeros(points, dtype=np.bool_)
    count = min(HELD_OUT_POINTS, points // 4)
    chosen[np.random.default_rng(_SEED).choice(points, count, replace=False)] = True
    return chosen


@dataclass(frozen=True, slots=True)
class Spread:
    """A ratio over several points."""

    points: int
    least: float
    median: float
    most: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> "Spread":
        """Summarise ratios, of which there is at least one."""
        return cls(len(ratios), *(round(float(q), 3) for q in np.quantile(ratios, [0, 0.5, 1])))


def fast_ratios(block: str, records: Mapping[Point, Record]) -> dict[str, Spread]:
    """Area and speed of a block's fast points over those of the same relaxed ones, if any."""
    pairs = [
        (records[point], records[replace(point, effort=Effort.RELAXED.name)])
        for point in sorted(records)
        if point.block == block and point.effort == Effort.FAST.name
    ]
    if not pairs:
        return {}
    return {
        "fast_area": Spread.of([fast["area_um2"] / slow["area_um2"] for fast, slow in pairs]),
        "fast_speed": Spread.of([slow["delay_ns"] / fast["delay_ns"] for fast, slow in pairs]),
    }


def glitch_ratios(block: str, records: Mapping[Point, Record]) -> dict[str, Spread]:
    """Energy of all transitions over that of the glitch-free ones, if it was measured."""
    own = [record for point, record in records.items() if point.block == block]
    ratios = [r["total_pj"] / r["glitch_free_pj"] for r in own if "total_pj" in r]
    return {"glitches": Spread.of(ratios)} if ratios else {}


def fit_all(tables: Iterable[Mapping[Point, Record]]) -> list[Law]:
    """Every law of ``SHAPES`` that the tables have the points for."""
    found = []
    for records in tables:
        relaxed = {p: r for p, r in records.items() if p.effort == Effort.RELAXED.name}
        for block, shape in SHAPES.items():
            own = {point: r for point, r in relaxed.items() if point.block == block}
            known = next(iter(own.values()), {})
            found += [fit(block, quantity, own) for quantity in shape if quantity in known]
    return found


def write(
    laws: Iterable[Law],
    ratios: Mapping[str, Mapping[str, Spread]],
    meta: Mapping[str, Any],
    path: Path = LAWS,
) -> None:
    """The data file that the cost model reads."""
    stored: dict[str, dict[str, Any]] = {}
    for law in laws:
        stored.setdefault(law.block, {})[law.quantity] = {
            "coefficients": {term: round(c, 9) for term, c in law.coefficients.items()},
            "fitted": _residuals(law.fitted),
            "held_out": _residuals(law.held_out),
        }
    spreads = {
        block: {name: asdict(spread) for name, spread in own.items()}
        for block, own in ratios.items()
        if own
    }
    whole = {"_meta": dict(meta), "laws": stored, "ratios": spreads}
    write_atomically(path, json.dumps(whole, indent=1) + "\n")


def _residuals(found: Residuals) -> dict[str, float]:
    return {"points": found.points, "rms": round(found.rms, 4), "largest": round(found.largest, 4)}


@cache
def read(path: Path = LAWS) -> Mapping[tuple[str, str], Law]:
    """The committed laws, by block and quantity."""
    stored = json.loads(path.read_text())["laws"]
    return {
        (block, quantity): Law(
            block,
            quantity,
            law["coefficients"],
            Residuals(**law["fitted"]),
            Residuals(**law["held_out"]),
        )
        for block, quantities in stored.items()
        for quantity, law in quantities.items()
    }
