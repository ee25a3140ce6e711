"""What the commands print: results as tables of a terminal. Nothing is printed here."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dse import prediction
from dse.bits import by_layer, details
from dse.prediction import Prediction
from dse.simulation_sweep import SimulationRow, cells
from models.networks.gemm import Role
from models.networks.network import Network
from models.requirements import GemmRequirement
from models.results import Baseline


def _table(first: str, *numbers: str) -> Table:
    """A table of a text and numbers; no column is folded."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def single_line(asked: GemmRequirement, density: float, cutoff: float) -> str:
    """The least widths of one sum, in rich's markup."""
    return (
        f"n = {asked.n:,}, m_p = {asked.m_p}: [bold]{asked.plain_bits}[/bold] mantissa bits;"
        f" in chunks of {asked.chunk}: [bold]{asked.chunked_bits}[/bold]"
        f" (v < {cutoff:g}, density {density:g})"
    )


def single_table(asked: GemmRequirement, density: float) -> Table:
    """Retention around the least widths of one sum."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("m_acc", "VRR", "ln v", "VRR, chunked", "ln v, chunked"):
        table.add_column(title, justify="right")
    for row in details(asked, density):
        figures = (row.retention, row.log_lost, row.chunked_retention, row.chunked_log_lost)
        table.add_row(str(row.m_acc), *(f"{figure:.6g}" for figure in figures))
    return table


def requirements_line(asked: Sequence[GemmRequirement]) -> str:
    """What the table of a network's widths shows."""
    chunk = max(one.chunk for one in asked)
    return f"Least accumulator mantissa bits: plain / in chunks of {chunk} (m_p = {asked[0].m_p})"


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


def _pair(one: GemmRequirement | None) -> tuple[str, str]:
    return ("–", "–") if one is None else (f"{one.n:,}", f"{one.plain_bits} / {one.chunked_bits}")


def networks_table(networks: Iterable[Network]) -> Table:
    """The size of each network."""
    table = _table("network", "layers", "parameters", "MACs per sample", "batch")
    for network in networks:
        counts = (len(network.layers), network.parameters, network.macs, network.default_batch)
        table.add_row(network.name, *(f"{count:,}" for count in counts))
    return table


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
