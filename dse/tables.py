"""What the commands print: results as tables of a terminal. Nothing is printed here."""

from collections.abc import Iterable, Sequence
from itertools import chain

from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from analysis.catalog import ACCUMULATORS, operands_of
from analysis.formats import Fused, Order, Rounding, Sequential, Tree
from dse import prediction
from dse.bits import WidthDetail, by_layer
from dse.prediction import Prediction
from dse.scaling import ScaledRequirement, widest
from dse.simulation_sweep import SimulationRow, cells
from models.networks.gemm import Role
from models.networks.network import Network
from models.requirements import GemmRequirement
from models.results import Baseline
from models.statistics import Statistics
from models.verdicts import GemmVerdict


def _table(first: str, *numbers: str) -> Table:
    """A table of a text and numbers; no column is folded."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def single_line(asked: GemmRequirement, density: float) -> str:
    """The least widths of one sum, in rich's markup."""
    return (
        f"n = {asked.n:,}, m_p = {asked.m_p}: [bold]{asked.plain_bits}[/bold] mantissa bits;"
        f" in chunks of {asked.chunk}: [bold]{asked.chunked_bits}[/bold]"
        f" ({asked.criterion}, density {density:g})"
    )


def noise_line(summed: str, rounding: Rounding) -> str:
    """What noise is predicted of; the theorem knows neither."""
    return f"Noise is of {escape(summed)}, rounded {rounding}; the theorem knows neither."


def single_table(rows: Sequence[WidthDetail], chunk: int) -> Table:
    """Theorem and noise around the least widths of one sum; bias where there is any."""
    forms = {"VRR": ("retention", ".6g"), "ln v": ("log_lost", ".4g"), "NMSE": ("nmse", ".3g")}
    if any(row.bias or row.chunked_bias for row in rows):
        forms["bias"] = ("bias", ".3g")
    table = Table(box=SIMPLE_HEAD)
    for title in ("m_acc", *forms, f"chunk {chunk:,}:", *forms):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        plain, chunked = (
            [format(getattr(row, prefix + name), form) for name, form in forms.values()]
            for prefix in ("", "chunked_")
        )
        table.add_row(str(row.m_acc), *plain, "", *chunked)
    return table


def requirements_line(asked: Sequence[GemmRequirement]) -> str:
    """What the table of a network's widths shows."""
    chunk, m_p = max(one.chunk for one in asked), asked[0].m_p
    labels = dict.fromkeys(one.criterion for one in asked)
    of = f"m_p = {m_p}, {next(iter(labels))}" if len(labels) == 1 else f"m_p = {m_p}"
    return f"Least accumulator mantissa bits: plain / in chunks of {chunk} ({of})"


def requirements_table(asked: Sequence[GemmRequirement]) -> Table:
    """Length and least widths of every GEMM, by layer and role."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("layer", overflow="fold")
    for role in Role:
        table.add_column(f"{role} n", justify="right", no_wrap=True)
        table.add_column("bits", justify="right", no_wrap=True, style="bold")
    for layer, roles in by_layer(asked):
        table.add_row(escape(layer), *(cell for role in Role for cell in _pair(roles.get(role))))
    return table


def criteria_table(asked: Sequence[GemmRequirement]) -> Table:
    """Least widths of every kind of GEMM, the criteria side by side."""
    labels = dict.fromkeys(one.criterion for one in asked)
    gemms: dict[tuple[str, Role], list[GemmRequirement]] = {}
    for one in asked:
        gemms.setdefault((one.layer, one.role), []).append(one)
    rows = [
        (layer, role, f"{each[0].n:,}", *(_widths(one) for one in each))
        for (layer, role), each in gemms.items()
    ]
    return _kinds_table(rows, "n", *labels)


def _kinds_table(rows: Iterable[tuple[str, ...]], *titles: str) -> Table:
    """Rows of a layer, a role and figures; those that differ in the layer alone are one."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for layer, *rest in rows:
        kinds.setdefault(tuple(rest), []).append(layer)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("layer", overflow="fold")
    for title in ("GEMM", *titles):
        table.add_column(title, justify="right", no_wrap=True)
    for figures, layers in kinds.items():
        more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
        table.add_row(escape(layers[0]) + more, *figures)
    return table


def scaling_table(found: Sequence[ScaledRequirement]) -> Table:
    """The longest sum of each role and the widest accumulator that it needs, size by size."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("batch", "tokens", "criterion"):
        table.add_column(title, justify="right", no_wrap=True)
    for role in Role:
        table.add_column(f"{role} n", justify="right", no_wrap=True)
        table.add_column("bits", justify="right", no_wrap=True, style="bold")
    for one, roles in widest(found):
        tokens = "–" if one.tokens is None else f"{one.tokens:,}"
        pairs = [(f"{n:,}", f"{plain} / {chunked}") for n, plain, chunked in roles.values()]
        table.add_row(f"{one.batch:,}", tokens, one.criterion, *chain.from_iterable(pairs))
    return table


def verdicts_line(found: Sequence[GemmVerdict], label: str) -> str:
    """For how many GEMMs an accumulator is enough."""
    enough = sum(one.enough for one in found)
    return f"{found[0].accumulator} is enough for {enough} of {len(found)} GEMMs ({label})"


def verdicts_table(found: Sequence[GemmVerdict]) -> Table:
    """What an accumulator makes of every kind of GEMM."""
    rows = [
        (
            one.layer,
            one.role,
            f"{one.n:,}",
            f"{one.retention:.4f}",
            f"{one.nmse:.2e}",
            f"{one.allowed_nmse:.2e}",
            f"{one.bias:.2g}",
            "yes" if one.enough else "[bold]no[/bold]",
        )
        for one in found
    ]
    return _kinds_table(rows, "n", "retention", "NMSE", "allowed", "bias", "enough")


def _pair(one: GemmRequirement | None) -> tuple[str, str]:
    return ("–", "–") if one is None else (f"{one.n:,}", _widths(one))


def _widths(one: GemmRequirement) -> str:
    return f"{one.plain_bits} / {one.chunked_bits}"


def networks_table(networks: Iterable[Network]) -> Table:
    """The size of each network."""
    table = _table("network", "layers", "parameters", "MACs per sample", "batch")
    for network in networks:
        counts = (len(network.layers), network.parameters, network.macs, network.default_batch)
        table.add_row(network.name, *(f"{count:,}" for count in counts))
    return table


def rows_table(rows: Sequence[BaseModel]) -> Table:
    """Any records of one kind, at least one, a column for each field."""
    table = Table(box=SIMPLE_HEAD)
    for name, field in type(rows[0]).model_fields.items():
        right = field.annotation in (int, float)
        table.add_column(name.replace("_", " "), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(_cell(value) for _, value in row))
    return table


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else ""
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
    return escape(str(value))


def statistics_table(statistics: Statistics) -> Table:
    """What was measured of every GEMM's products."""
    titles = ("n", "density", "|mean|/σ", "by output", "kurtosis", "by output", "exponents")
    table = _table("layer", "GEMM", *titles)
    for one in statistics.gemms:
        means = (one.density, abs(one.mean_ratio), one.output_mean_ratio)
        span = f"{one.exponents.least} to {one.exponents.most}"
        figures = (*means, one.kurtosis, one.output_kurtosis)
        cells_of = (f"{figure:.3g}" for figure in figures)
        table.add_row(escape(one.layer), one.role, f"{one.n:,}", *cells_of, span)
    return table


def accumulators_table() -> Table:
    """The accumulators of the catalogue, and how each adds."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("name", "operands", "rounded to", "added", "chunks"):
        table.add_column(title, no_wrap=True)
    for name, one in ACCUMULATORS.items():
        chunks = f"{one.chunk} into {one.outer_accumulator.format.name}" if one.chunk else ""
        operands = operands_of(name) or "any"
        towards = "" if one.rounding is Rounding.NEAREST_EVEN else f", {one.rounding}"
        table.add_row(name, operands, one.format.name + towards, _order(one.order), chunks)
    return table


def _order(order: Order) -> str:
    match order:
        case Fused(terms=terms, kept_bits=kept):
            return f"{terms} fused, {kept} bits"
        case Tree():
            return "tree"
        case Sequential():
            return "one by one"


def simulations_table(rows: Iterable[SimulationRow]) -> Table:
    """What each accumulator makes of the same products."""
    table = _table("accumulator", "n", "samples", "retention", "NMSE", "bias")
    for row in rows:
        table.add_row(*cells(row))
    return table


def predictions_table(rows: Iterable[Prediction]) -> Table:
    """What theory says of each accumulator, and what simulation does where it was asked."""
    table = _table("accumulator", "n", "", "retention", "NMSE", "bias")
    for row in rows:
        for line in prediction.lines(row):
            table.add_row(*line)
    return table


def baselines_table(baselines: Iterable[Baseline]) -> Table:
    """The plan beside other ways to set the accumulators."""
    table = _table("accumulators", "m_acc", "area mm²", "energy mJ", "latency ms")
    for one in baselines:
        figures = (one.area_mm2, one.energy_mj, one.latency_ms)
        widths = sorted({one.m_acc_least, one.m_acc_most})
        table.add_row(one.name, "–".join(map(str, widths)), *map(_figure, figures))
    return table


def _figure(value: float) -> str:
    """Four digits, and no fewer than a number has before its point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
