"""The page in a real Chromium, with the network off."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reports.page import ReportData, render

pytestmark = pytest.mark.browser

KEYS = (
    "breakdown",
    "front-flat",
    "front-space",
    "widths",
    "retention",
    "gemm-evidence",
    "loss",
    "accuracy",
)
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 2'>",
    "\"'><svg onload='window.hacked = 3'>",
    "\u202egnp.exe\u2066",
    "<b>bold</b><a href='javascript:window.hacked = 4'>%{x}</a>&lt;i&gt;",
    "x" * 10_000,
    "2026-01-01",
    "1e5",
)


@dataclass
class Visit:
    """An open page and everything that it should not have done."""

    page: Page
    trouble: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on the path: install it to test the page in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


def _open(browser: Browser, file: Path, scheme: Literal["light", "dark"] = "light") -> Visit:
    context = browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": 1280, "height": 900}
    )
    visit = Visit(context.new_page())
    page, trouble = visit.page, visit.trouble
    page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    page.on("pageerror", lambda error: trouble.append(f"error {error}"))
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if _is_own(r.url) else trouble.append(r.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    return visit


def _is_own(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))


@pytest.fixture(scope="module")
def good(
    browser: Browser, report: ReportData, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visit]:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(report), encoding="utf-8")
    visit = _open(browser, file)
    yield visit
    visit.page.context.close()


@pytest.fixture(scope="module")
def hostile(
    browser: Browser,
    make_report: Callable[..., ReportData],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Visit]:
    data = make_report(
        layers=HOSTILE,
        network=HOSTILE[1],
        probe=HOSTILE[0],
        names=(HOSTILE[0], HOSTILE[1], HOSTILE[4], HOSTILE[3]),
        text=f"{HOSTILE[0]}{HOSTILE[2]}{HOSTILE[5]}",
    )
    file = tmp_path_factory.mktemp("hostile") / "report.html"
    file.write_text(render(data), encoding="utf-8")
    visit = _open(browser, file)
    yield visit
    visit.page.context.close()


def _press_everything(visit: Visit) -> int:
    buttons = visit.page.locator(".views button").all()
    for button in buttons:
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
    return len(buttons)


def test_it_opens_without_a_network_and_without_an_error(good: Visit) -> None:
    assert _press_everything(good) > 8
    assert good.trouble == []


@pytest.mark.parametrize("key", KEYS)
def test_every_figure_is_drawn(good: Visit, key: str) -> None:
    plot = good.page.locator(f"#plot-{key}")
    box = plot.bounding_box()
    assert box is not None
    assert box["height"] > 100
    kind = "canvas" if key == "front-space" else ".main-svg"
    assert plot.locator(kind).count() > 0
    if key != "front-space":
        marks = ".point, .points path, .hm image, .js-line, path.js-fill"
        assert plot.locator(marks).count() > 0


def test_a_view_changes_what_is_drawn(good: Visit) -> None:
    cells = good.page.locator("#plot-widths .heatmap-label")
    views = good.page.locator("#figure-widths .views button")
    seen = []
    for view in views.all():
        view.click()
        seen.append(cells.all_text_contents())
    assert seen == [["5", "9", "5", "9"], ["8"] * 4, ["4"] * 4]


def test_no_button_sends_the_chart_anywhere(good: Visit) -> None:
    names = "[...document.querySelectorAll('.modebar-btn')].map(e => e.dataset.title)"
    assert set(good.page.evaluate(names)) == {
        "Download plot",
        "Zoom",
        "Pan",
        "Orbital rotation",
        "Turntable rotation",
        "Reset axes",
        "Reset camera to default",
        "Reset camera to last save",
    }


def test_keys_reach_links_and_views(good: Visit) -> None:
    good.page.reload()
    good.page.wait_for_selector("html[data-drawn]", state="attached")
    reached = []
    for _ in range(16):
        good.page.keyboard.press("Tab")
        reached.append(good.page.evaluate("document.activeElement.textContent.trim()"))
    assert reached[:3] == ["Skip to the verdict", "Verdict", "Savings"]
    assert "All components" in reached


def test_figures_take_the_colours_of_a_dark_page(
    browser: Browser, report: ReportData, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(report), encoding="utf-8")
    visit = _open(browser, file, "dark")
    fill = "getComputedStyle(document.querySelector('#plot-loss .xtick text')).fill"
    assert visit.page.evaluate(fill) == "rgb(230, 232, 235)"  # --text of the dark theme
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    visit.page.wait_for_function(f"{fill} === 'rgb(27, 31, 36)'")  # paper is light
    assert visit.page.locator("#plot-loss .main-svg").first.get_attribute("width") == "680"
    assert visit.trouble == []
    visit.page.context.close()


def test_hostile_text_runs_nothing_and_breaks_nothing(hostile: Visit) -> None:
    page = hostile.page
    _press_everything(hostile)
    _hover(page, "#plot-widths .nsewdrag")
    _hover(page, "#plot-breakdown .nsewdrag")
    assert page.evaluate("window.hacked") is None
    assert hostile.trouble == []
    assert page.locator("main img, main svg a, .hoverlayer a").count() == 0
    assert page.locator(".plot .main-svg").count() >= len(KEYS) - 1


def _hover(page: Page, selector: str) -> None:
    target = page.locator(selector).first
    target.scroll_into_view_if_needed()
    target.hover(position={"x": 40, "y": 20})
    page.wait_for_selector(f"{selector.split()[0]} .hoverlayer .hovertext")


def test_hostile_names_are_shown_as_they_are(hostile: Visit) -> None:
    labels = hostile.page.locator("#plot-widths .ytick text").all_text_contents()
    assert labels[0].startswith("<script>window")
    assert labels[0].endswith("</script>")
    assert labels[4].startswith("<b>bold</b>")
    assert labels[3] == "\\u202egnp.exe\\u2066"
    assert labels[6:] == ["2026-01-01", "1e5"]  # neither a date nor a number


def test_a_long_name_does_not_widen_the_page(hostile: Visit) -> None:
    width = hostile.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280
