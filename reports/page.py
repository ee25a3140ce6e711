"""One self-contained HTML file: opens offline, asks nothing of any network, runs nothing foreign.

Text is escaped where it enters: by jinja in the page, by ``reports.text.label`` in what plotly
draws, by ``Drawing.to_json`` in script elements. Behind that stands a content security policy that
names the two scripts by their hashes and allows no connection at all.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from models.networks.network import Network
from models.plan import Plan
from models.probes.evidence import TrainingEvidence
from models.probes.gemms import GemmEvidence
from models.probes.summary import Interval, Verdict
from models.requirements import GemmRequirement
from models.results import SearchResult
from models.statistics import Statistics
from reports import text
from reports.drawings import drawings
from reports.figures.gemm_evidence import offset_name
from reports.headline import headline, saving_rows
from reports.savings import Unit, comparisons, component_name, components
from reports.tables import gemm_rows

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class NetworkSummary:
    """What the page says of the network."""

    name: str
    source: str
    layers: int
    parameters: int
    macs: int  #: of the forward pass of one sample

    @classmethod
    def of(cls, network: Network) -> "NetworkSummary":
        """The summary of a network."""
        return cls(
            network.name, network.source, len(network.layers), network.parameters, network.macs
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the report was made."""

    command: str
    versions: Mapping[str, str]
    seed: int
    made_at: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that the page shows; evidence is None where a probe was not run."""

    network: NetworkSummary
    batch: int
    settings: Mapping[str, object]
    requirements: tuple[GemmRequirement, ...]
    result: SearchResult
    gemm_evidence: tuple[GemmEvidence, ...] | None
    training: TrainingEvidence | None
    statistics: Statistics | None  #: of the network that was trained
    probe_plan: Plan | None  #: of the network that was trained, if it is another one
    provenance: Provenance

    @property
    def probe_network(self) -> str | None:
        """The network that was trained in place of this one."""
        trained = self.training.network if self.training else None
        return trained if trained != self.result.plan.network else None

    @property
    def verdict(self) -> Verdict | None:
        """What training says; None before the planned widths and their baseline have run."""
        if self.training is None:
            return None
        ready = any(one.offset == 0 and one.difference for one in self.training.summaries)
        return self.training.verdict if ready else None


def render(data: ReportData) -> str:
    """The page."""
    training = data.training
    drawn = drawings(
        data.result, data.requirements, data.gemm_evidence or (), training, data.statistics
    )
    plotly_js, page_js = _script(get_plotlyjs()), _script(_file("page.js"))
    return _template().render(
        data=data,
        plan=data.result.plan,
        headline=headline(data.result, data.verdict, data.probe_network),
        comparisons=comparisons(data.result),
        saving_rows=saving_rows(comparisons(data.result)),
        gemms=gemm_rows(data.result, data.requirements),
        summaries=training.summaries if training else (),
        verdict=data.verdict,
        figures=drawn,
        parts=_parts(data.result),
        styles=Markup(_file("page.css")),
        plotly_js=Markup(plotly_js),
        page_js=Markup(page_js),
        policy=_policy(plotly_js, page_js),
        span=lambda widths: text.span(min(widths), max(widths)),
        plan_widths=[gemm.m_acc for gemm in data.result.plan.gemms],
        probe_widths=[gemm.m_acc for gemm in data.probe_plan.gemms] if data.probe_plan else [],
        asked_chunk=max((asked.chunk for asked in data.requirements), default=0),
        asked_m_p=_the_one(asked.m_p for asked in data.requirements),
        samples=max((row.samples for row in data.gemm_evidence or ()), default=0),
        made=_made(data),
    )


@cache
def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """The source with the line ends that a browser hashes; it must not end its own element."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in lines.lower() or "<!--" in lines:
        raise ValueError("page: a script must contain neither </script nor <!--")
    return lines


def _policy(*scripts: str) -> str:
    """Only these scripts run; styles are inline; images are what plotly exports; nothing else."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": lambda value, limit=120: text.shown(str(value), limit),
        "sentence_case": text.sentence_case,
        "points": _points,
        "entities": _entities,
        "number": text.number,
        "quantity": text.quantity,
        "change": text.change,
        "percent": lambda share: f"{100 * share:.1f} %",
        "offset": offset_name,
    }
    return environment.get_template("page.html.jinja")


def _entities(caption: str) -> Markup:
    """A caption: plain text in which ``label`` has escaped what came from outside."""
    return Markup(html.escape(html.unescape(caption)))


def _points(interval: Interval) -> str:
    """An accuracy, or a difference of two, with its interval, in percent."""
    mean = f"{100 * interval.mean:.1f}".replace("-", text.MINUS)
    half = interval.half_width
    return mean if half is None else f"{mean} ± {100 * half:.1f}"


def _the_one(values: Iterable[int]) -> int | None:
    """The value, if all are equal."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _made(data: ReportData) -> tuple[tuple[str, tuple[tuple[str, object], ...]], ...]:
    """Titled lists of what the results depend on."""
    seed = (("seed", data.provenance.seed),)
    return (
        ("Settings", tuple(_told(data.settings))),
        ("Accelerator of the plan", tuple(data.result.plan.accelerator.model_dump().items())),
        ("Versions and seed", (*data.provenance.versions.items(), *seed)),
    )


def _told(settings: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    return ((name, "not set" if value is None else value) for name, value in settings.items())


def _parts(result: SearchResult) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """(component, area of each baseline, energy of each baseline), for reading as a table."""
    return tuple(
        (
            component_name(component),
            tuple(Unit.AREA.show(b.area_um2.get(component, 0.0)) for b in result.baselines),
            tuple(Unit.ENERGY.show(b.energy_pj.get(component, 0.0)) for b in result.baselines),
        )
        for component in components(result)
    )
