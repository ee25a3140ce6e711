import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from reports.page import NetworkSummary, ReportData, _script, render
from reports.savings import comparisons

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\"'><svg onload=alert(3)>",
    "\u202egnp.exe\u2066",
    "<b>bold</b><a href='https://example.org/'>%{x}</a>&lt;i&gt;",
    "{{ 7*7 }}{% raw %}",
    "x" * 10_000,
)


class Elements(HTMLParser):
    """Elements with their attributes, and text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def page(report: ReportData) -> str:
    return render(report)


@pytest.fixture(scope="module")
def hostile(make_report: Callable[..., ReportData]) -> str:
    first, second, third, fourth, fifth, sixth, seventh = HOSTILE
    return render(
        make_report(
            layers=HOSTILE,
            network=second,
            probe=first,
            names=(first, second, fifth, fourth),
            text=f"{first}{third}{sixth}{seventh}",
        )
    )


def test_plotly_is_inlined_once(page: str) -> None:
    assert page.count(get_plotlyjs()) == 1
    assert len(page.encode()) < 8_000_000


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    elements = Elements(page)
    assert not [a for _, a in elements.found if "src" in a or "srcset" in a]
    links = [a.get("href") for tag in ("a", "link") for a in elements.all(tag)]
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    own = page.replace(get_plotlyjs(), "")
    assert not re.findall(r"https?://|@import|url\(", own)


def test_the_policy_names_both_scripts_and_allows_no_connection(page: str) -> None:
    policies = [a for a in Elements(page).all("meta") if "http-equiv" in a]
    content = policies[0]["content"] or ""
    assert "default-src 'none'" in content
    assert len(re.findall(r"'sha256-[^']+'", content)) == 2
    assert "unsafe-eval" not in content
    assert "script-src 'unsafe-inline'" not in content


def test_sections_answer_the_questions_in_order(page: str) -> None:
    sections = [a.get("id") for a in Elements(page).all("section")]
    assert sections == ["verdict", "savings", "bits", "evidence", "made"]
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", page)
    assert titles == [
        "Verdict",
        "What does it save?",
        "Where do the bits go?",
        "How sure are we?",
        "How was it made?",
    ]
    assert [a["href"] for a in Elements(page).all("a")][1:] == [f"#{name}" for name in sections]


def test_every_figure_has_a_caption_a_label_and_data(page: str) -> None:
    elements = Elements(page)
    keys = [a["data-key"] for a in elements.all("script") if "data-key" in a]
    assert keys == [
        "breakdown",
        "front-flat",
        "front-space",
        "widths",
        "retention",
        "gemm-evidence",
        "statistics",
        "loss",
        "accuracy",
    ]
    plots = [a for a in elements.all("div") if a.get("role") == "img"]
    assert [a["id"] for a in plots] == [f"plot-{key}" for key in keys]
    assert all(a["aria-label"] for a in plots)
    assert len(elements.all("figcaption")) == len(keys)


def test_the_box_says_the_savings_of_the_data(page: str, report: ReportData) -> None:
    box = page[page.index('id="verdict"') : page.index('id="savings"')]
    for comparison in comparisons(report.result)[:2]:
        for name in ("area", "energy", "latency"):
            saving = comparison.saving(name)
            expected = (
                f"<strong>{saving.verdict}</strong> <span>{saving.unit.show(saving.chosen)}"
                f" instead of {saving.unit.show(saving.other)}</span>"
            )
            assert expected in box
    assert "<strong>30 % less</strong> <span>3.50 mm² instead of 5.00 mm²</span>" in box
    assert "<strong>20 % less</strong> <span>8.00 mJ instead of 10.0 mJ</span>" in box


def test_the_page_says_which_network_was_trained(page: str, report: ReportData) -> None:
    text = Elements(page).text
    assert "The network that was trained is digits-cnn, not toy." in text
    assert report.verdict is not None
    assert text.count(report.verdict.sentence) == 2  # in the box, and beside the runs


def test_a_network_that_was_trained_itself_is_not_excused(
    make_report: Callable[..., ReportData],
) -> None:
    text = Elements(render(make_report(probe="toy"))).text
    assert "The network that was trained is" not in text


def test_what_was_not_run_is_said(make_report: Callable[..., ReportData]) -> None:
    elements = Elements(render(make_report(probed=False)))
    assert "No sums were emulated for this report." in elements.text
    assert "No training probe was run for this report." in elements.text
    assert len(elements.all("figure")) == 5


def test_runs_without_their_baseline_give_no_verdict(report: ReportData) -> None:
    assert report.training is not None
    runs = tuple(run for run in report.training.runs if run.offset is not None)
    partial = report.training.model_copy(update={"runs": runs})
    page = render(_with(report, training=partial))
    assert "there is no verdict yet" in Elements(page).text


def _with(report: ReportData, **changes: object) -> ReportData:
    fields = {name: getattr(report, name) for name in ReportData.__dataclass_fields__}
    return ReportData(**{**fields, **changes})


def test_every_gemm_is_in_the_table(page: str) -> None:
    rows = re.findall(r'<tr><th scope="row"><bdi>(\w+)</bdi></th><td>(\w+)</td>', page)
    assert rows == [("conv1", "FWD"), ("conv1", "GRAD"), ("fc", "FWD"), ("fc", "GRAD")]


def test_how_it_was_made_is_told(page: str) -> None:
    text = Elements(page).text
    for fact in ("40 trials", "25 met every limit", "2 are on the front", "seed 7", "0.1.0"):
        assert fact in text
    assert "not set" in text  # a setting of None


def test_hostile_text_makes_no_element(hostile: str, page: str) -> None:
    tags = {tag for tag, _ in Elements(hostile).found}
    assert tags <= {tag for tag, _ in Elements(page).found}
    attributes = {name for _, found in Elements(hostile).found for name in found}
    assert attributes <= {name for _, found in Elements(page).found for name in found}
    scripts = len(Elements(page).all("script"))
    assert len(Elements(hostile).all("script")) == scripts
    assert hostile.count("</script") == scripts


def test_hostile_text_stays_text(hostile: str) -> None:
    text = Elements(hostile).text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\\u202egnp.exe\\u2066" in text  # the marks are written out
    assert "\u202e" not in hostile
    assert "x" * 2001 not in hostile


def test_hostile_text_in_figures_is_neither_tag_nor_entity_for_plotly(hostile: str) -> None:
    specs = re.findall(r'data-key="[\w-]+">(.*?)</script>', hostile, re.DOTALL)
    assert len(specs) == 9
    for spec in specs:
        strings = " ".join(_strings(json.loads(spec)))
        tags = set(re.findall(r"<[^>]*>", strings))
        assert tags <= {"<br>", "<b>", "</b>", "<extra>", "</extra>"}
        assert "<b>bold" not in strings


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [s for entry in value.values() for s in _strings(entry)]
    if isinstance(value, list):
        return [s for entry in value for s in _strings(entry)]
    return [value] if isinstance(value, str) else []


def test_the_same_data_give_the_same_page(page: str, report: ReportData) -> None:
    assert render(report) == page


def test_a_script_cannot_end_its_own_element() -> None:
    with pytest.raises(ValueError, match="must contain neither"):
        _script("x = '</SCRIPT>'")
    assert _script("a\r\nb\rc") == "a\nb\nc"


def test_a_network_is_summed_up() -> None:
    from models.networks.loading import load_network

    summary = NetworkSummary.of(load_network("digits-cnn"))
    assert (summary.name, summary.layers) == ("digits-cnn", 4)
    assert summary.macs > summary.parameters > 0
