"""Theory of the real accumulator against simulation, over widths, roundings, chunks and products.

    python -m benchmarks.noise_accuracy [SAMPLES]

Writes out/noise_accuracy.csv, a row for each case of :mod:`benchmarks.noise_study`, and
out/noise_accuracy.html, a figure of them; prints the shares of cases within the limits, for cases
whose measured NMSE is in 1e-6..0.5, the worst of them, and how well widths are predicted. SAMPLES
(8192) are those of each case; of the longest sums it takes half.
"""

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.noise_study import (
    BUDGETS,
    ROUNDINGS,
    Case,
    Part,
    Requirement,
    every_case,
    requirements,
)
from benchmarks.timing import console, table
from models.files import write_atomically
from reports.figures.noise_accuracy import Comparison, noise_accuracy_data, noise_accuracy_figure

OUT = Path("out")


def share_row(group: Sequence[Case]) -> list[str]:
    parts = (
        [abs(one.off) <= 0.1 for one in group],
        [abs(one.off) <= 0.25 for one in group],
        [one.retention_fits for one in group],
        [one.bias_fits for one in group],
    )
    return [str(len(group)), *(f"{sum(part) / len(group):.1%}" for part in parts)]


def shares(cases: Sequence[Case]) -> None:
    for part in Part:
        shown = table("rounding", "chunks", "cases", "≤ 10 %", "≤ 25 %", "retention", "bias")
        own = [one for one in cases if one.part == part.name.lower()]
        for rounding in ROUNDINGS:
            same = [one for one in own if one.rounding == rounding.value]
            shown.add_row(rounding.value, "no", *share_row([o for o in same if not o.chunked]))
            shown.add_row("", "yes", *share_row([o for o in same if o.chunked]))
        shown.add_row("all", "", *share_row(own))
        console.print(f"Products {part.name.lower()} before", shown)


def worst(cases: Sequence[Case], count: int = 20) -> None:
    shown = table("products", "n", "m", "rounding", "chunk", "NMSE", "off", "bias off")
    for one in sorted(cases, key=lambda one: -abs(one.off))[:count]:
        shown.add_row(
            one.products, str(one.n), str(one.mantissa_bits), one.rounding, one.chunk,
            f"{one.nmse:.2e} ± {one.nmse_error / one.nmse:.1%}", f"{one.off:+.1%}",
            f"{one.predicted_bias - one.bias:+.3f}",
        )  # fmt: skip
    console.print(shown)


def widths(found: Sequence[Requirement]) -> None:
    """How many bits more than measured are predicted, for each budget."""
    off = range(-2, 3)
    shown = table("NMSE", "series", *(f"{bits:+d} bits" for bits in off), "equal")
    for budget in (*BUDGETS, None):
        group = [one for one in found if budget in (one.budget, None)]
        counts = Counter(max(-2, min(2, one.predicted - one.measured)) for one in group)
        shown.add_row(
            "all" if budget is None else f"{budget:g}", str(len(group)),
            *(str(counts[bits]) for bits in off), f"{counts[0] / len(group):.1%}",
        )  # fmt: skip
    console.print(shown)


def written(cases: Sequence[Case], path: Path) -> None:
    """The rows, complete or not at all."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(asdict(cases[0])))
    writer.writeheader()
    writer.writerows(map(asdict, cases))
    write_atomically(path, file.getvalue())


def drawn(cases: Sequence[Case], path: Path) -> None:
    points = [
        Comparison(one.rounding, one.label, one.nmse, one.nmse_error, one.predicted_nmse)
        for one in cases
    ]
    figure = noise_accuracy_figure(noise_accuracy_data(points))
    write_atomically(path, figure.to_html(include_plotlyjs=True))


def main(samples: int) -> None:
    cases: list[Case] = []
    for one in every_case(samples):
        cases.append(one)
        if len(cases) % 720 == 0:
            console.print(f"{one.part}: {one.products}, n = {one.n}: {len(cases)} cases so far")
    written(cases, OUT / "noise_accuracy.csv")
    counted = [one for one in cases if one.counts]
    drawn(counted, OUT / "noise_accuracy.html")
    shares(counted)
    worst(counted)
    widths(list(requirements(cases)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8192)
