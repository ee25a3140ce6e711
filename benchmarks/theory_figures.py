"""Figures of docs/theory.md, computed and simulated anew, the same every time.

    python -m benchmarks.theory_figures

Writes docs/images/theory-*.svg with plotly in a headless Chromium. The figure of all simulated
cases, a PNG, is drawn where ``python -m benchmarks.noise_accuracy`` has left its table.
"""

import base64
import csv
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import plotly.graph_objects as go
from playwright.sync_api import Page, sync_playwright
from plotly.offline import get_plotlyjs

from analysis.chunking import ByNoiseLaw, ByPrediction, ByTheorem, Requirement, chunk_curve
from analysis.closed_forms import LEVELS, LIMIT, M, N, theorem_knee
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.equations import equations
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import predict, predict_each
from analysis.noise_laws import noise_law
from analysis.requirement import (
    PUBLISHED,
    Criterion,
    NoiseBudget,
    NoiseParity,
    Sought,
    Theorem,
    least_bits,
)
from analysis.retention import variance_retention
from analysis.simulation import simulate_each
from benchmarks.timing import console
from reports.figures.noise_accuracy import Comparison, noise_accuracy_data, noise_accuracy_figure
from reports.figures.panels import Axis, Mark, Panel, Scale, Series, panels_figure

IMAGES = Path("docs/images")
CASES = Path("out/noise_accuracy.csv")
NEAREST, BY_CHANCE, CUT = Rounding.NEAREST_EVEN, Rounding.STOCHASTIC, Rounding.TOWARD_ZERO
NAMES = {NEAREST: "to nearest", BY_CHANCE: "stochastic", CUT: "toward zero"}
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))
FP8, M_P = gaussian_products(float_format(5, 2)), 5
WIDTHS = tuple(range(4, 13))
BUDGET = 1e-3
CRITERIA: tuple[Criterion, ...] = (PUBLISHED, NoiseBudget(BUDGET), NoiseParity())
_SEED = 1901
#: plotly names clip paths by chance
_SAME_RANDOM = "let seed = 1; Math.random = () => (seed = (seed * 16807) % 2147483647) / 2147483647"


def _sum(bits: int, rounding: Rounding) -> Accumulator:
    return Accumulator(float_format(8, bits), rounding)


def theorem_panels(n: int = 4096, samples: int = 16384) -> tuple[Panel, Panel]:
    """Retention and NMSE against width: theorem, prediction and simulation."""
    theorem = variance_retention(WIDTHS, M_P, n).tolist()
    retention = [Series("Theorem 1", Mark.DASHED, 3, WIDTHS, tuple(theorem))]
    nmse: list[Series] = []
    for colour, (rounding, name) in enumerate(NAMES.items()):
        sums = [_sum(bits, rounding) for bits in WIDTHS]
        theory = predict_each(sums, FP8, n)
        truth = simulate_each(sums, FP8, n, samples=samples, seed=_SEED, threads=1)
        measured = f"{name}, simulated"
        for panel, field in ((retention, "retention"), (nmse, "nmse")):
            values = [tuple(getattr(one, field) for one in found) for found in (theory, truth)]
            errors = tuple(2.0 * getattr(one, f"{field}_error") for one in truth)
            panel.append(Series(name, Mark.CURVE, colour, WIDTHS, values[0]))
            panel.append(Series(measured, Mark.POINTS, colour, WIDTHS, values[1], errors))
    width = Axis("m_acc")
    return (
        Panel(width, Axis("Var(computed)/Var(exact)"), tuple(retention)),
        Panel(width, Axis("NMSE", Scale.LOG), tuple(nmse)),
    )


def _collapsed(rounding: Rounding, base: int, exponents: range) -> Iterator[Series]:
    """NMSE against n/base^m, a set of points for every width."""
    for colour, bits in enumerate((5, 7, 9, 11)):
        lengths = [round(2.0**k * base**bits) for k in exponents if 2.0**k * base**bits >= 64]
        yield Series(
            f"m_acc = {bits}", Mark.POINTS, colour, tuple(n / base**bits for n in lengths),
            tuple(predict(_sum(bits, rounding), GAUSSIAN, n).nmse for n in lengths),
        )  # fmt: skip


def _law(rounding: Rounding, exponents: range) -> Series:
    shares = tuple(2.0**k for k in exponents)
    law = tuple(noise_law(rounding).nmse(0, (share,)) for share in shares)
    return Series("first order", Mark.DASHED, 4, shares, law)


def _pulled(exponents: range) -> Series:
    """The closed form of truncated sums, against n/2^m."""
    right = next(one.right for one in equations() if one.name == "NMSE, truncated")
    shares = tuple(2.0 ** (0.5 * k) for k in range(2 * exponents[0], 2 * exponents[-1] + 1))
    values = tuple(float(right.subs({M: 0, N: share})) for share in shares)
    return Series("Ornstein-Uhlenbeck", Mark.DASHED, 5, shares, values)


def invariance_panels() -> tuple[Panel, ...]:
    """NMSE of all widths on one curve, against n/4^m or, where truncation pulls, n/2^m."""
    free, pulled = range(-9, 5), range(-4, 8)
    panels = [
        Panel(
            Axis(f"n/4^m, {NAMES[rounding]}", Scale.LOG), Axis("NMSE", Scale.LOG),
            (*_collapsed(rounding, 4, free), _law(rounding, free)),
        )
        for rounding in (NEAREST, BY_CHANCE)
    ]  # fmt: skip
    series = (*_collapsed(CUT, 2, pulled), _pulled(pulled))
    return (*panels, Panel(Axis("n/2^m, toward zero", Scale.LOG), Axis("NMSE", Scale.LOG), series))


def chunk_panels(n: int = 65536) -> tuple[Panel]:
    """Least bits of both levels against the chunk, the plain sum last."""
    asked: list[tuple[str, Mark, int, Requirement]] = [("theorem", Mark.DOTTED, 3, ByTheorem(M_P))]
    for colour, rounding in ((0, NEAREST), (2, CUT)):
        law, accumulator = ByNoiseLaw(noise_law(rounding), BUDGET), _sum(8, rounding)
        asked.append((NAMES[rounding], Mark.CURVE, colour, ByPrediction(accumulator, FP8, BUDGET)))
        asked.append((f"{NAMES[rounding]}, first order", Mark.DASHED, colour, law))
    series = []
    for name, mark, colour, requirement in asked:
        curve = chunk_curve(n, requirement).curve
        chunks, bits = tuple(one.chunk for one in curve), tuple(one.bits for one in curve)
        series.append(Series(name, mark, colour, chunks, bits))
    title = f"products in a chunk, of {n:,}"
    return (Panel(Axis(title, Scale.LOG), Axis("least m_acc"), tuple(series)),)


def _levels(of: Sought) -> tuple[float, ...]:
    if of.chunk is None or of.n <= of.chunk:
        return (of.n,)
    return of.chunk, of.n / of.chunk


def _closed_form(criterion: Criterion, of: Sought) -> float:
    """Bits of the whole sum or, by the theorem, of the level that needs more."""
    if isinstance(criterion, Theorem):
        bits = theorem_knee().bits.subs({LIMIT: criterion.cutoff, LEVELS: 1})
        return max(float(bits.subs(N, length)) for length in _levels(of))
    return noise_law(of.rounding).bits(criterion.allowed(of.summed), _levels(of))


def _widths(chunk: int | None, lengths: Sequence[int]) -> Iterator[Series]:
    for colour, criterion in enumerate(CRITERIA):
        sought = [Sought(n, M_P, chunk) for n in lengths]
        whole = tuple(least_bits(of, criterion) for of in sought)
        real = tuple(max(1.0, _closed_form(criterion, of)) for of in sought)
        yield Series(criterion.label, Mark.POINTS, colour, tuple(lengths), whole)
        yield Series(f"{criterion.label}, closed form", Mark.DASHED, colour, tuple(lengths), real)


def requirement_panels(longest: int = 22) -> tuple[Panel, ...]:
    """Least width against length by three criteria, plain and in chunks of 64."""
    lengths = [2**k for k in range(4, longest + 1)]
    return tuple(
        Panel(Axis(title, Scale.LOG), Axis("least m_acc"), tuple(_widths(chunk, lengths)))
        for title, chunk in (("n, plain sum", None), ("n, chunks of 64", 64))
    )


def accuracy_figure(path: Path) -> go.Figure:
    """Predicted against measured NMSE, of the table of benchmarks.noise_accuracy."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if 1e-6 <= float(row["nmse"]) <= 0.5]
    points = [
        Comparison(
            row["rounding"], row["products"], float(row["nmse"]), float(row["nmse_error"]),
            float(row["predicted_nmse"]),
        )
        for row in rows
    ]  # fmt: skip
    return noise_accuracy_figure(noise_accuracy_data(points))


def exported(page: Page, figure: go.Figure, path: Path, width: int) -> None:
    """The figure on white, as the file's name says."""
    figure.update_layout(paper_bgcolor="#ffffff")
    form = path.suffix.removeprefix(".")
    size = {"format": form, "width": width, "height": figure.layout.height}
    call = "([figure, size]) => Plotly.toImage(figure, size)"
    head, data = page.evaluate(call, [json.loads(figure.to_json()), size]).split(",", 1)
    path.write_bytes(base64.b64decode(data) if "base64" in head else unquote(data).encode())
    console.print(f"{path}: {math.ceil(path.stat().st_size / 1000)} kB")


def main() -> None:
    figures = {
        "theory-theorem.svg": panels_figure(theorem_panels()),
        "theory-invariance.svg": panels_figure(invariance_panels()),
        "theory-chunks.svg": panels_figure(chunk_panels()),
        "theory-requirement.svg": panels_figure(requirement_panels()),
    }
    if CASES.exists():
        figures["theory-accuracy.png"] = accuracy_figure(CASES)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_init_script(_SAME_RANDOM)
        page.goto("about:blank")
        page.add_script_tag(content=get_plotlyjs())
        for name, figure in figures.items():
            exported(page, figure, IMAGES / name, 640 if name.endswith("png") else 900)
        browser.close()


if __name__ == "__main__":
    main()
