"""The report in a browser, under the policy of strict hosts: scripts off, light and dark, wide and narrow; nothing is lost."""

from __future__ import annotations

import html
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

    from tests.pages.conftest import Served

pytestmark = pytest.mark.pages

REPORTS = ["small", "one", "large", "hostile", "missing", "crops", "folder"]
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder to leave pictures in, for people who want to look."""

CLIPPED = """() => {
  const wide = document.documentElement.clientWidth;
  const out = [];
  for (const element of document.querySelectorAll("main *")) {
    if (element.closest("svg") && element.tagName !== "svg") continue;
    let box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    let scrolls = element.parentElement.closest(".scroll");
    if (scrolls && getComputedStyle(scrolls).overflowX === "auto") continue;
    if (box.left < -1 || box.right > wide + 1) out.push(`${element.tagName} ${box.left}..${box.right} ${element.textContent.slice(0, 40)}`);
  }
  return [document.documentElement.scrollWidth - wide, out.slice(0, 5)];
}"""

CONTRAST = """() => {
  const channels = (text) => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    canvas.fillStyle = "#000"; canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((each) => { each /= 255; return each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, two) => {
    const [high, low] = [luminance(one), luminance(two)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  let paper = getComputedStyle(document.body).backgroundColor;
  if (channels(paper)[3] === 0 || paper === "rgba(0, 0, 0, 0)") {
    const probe = document.createElement("div");
    probe.style.backgroundColor = "Canvas";
    document.body.append(probe);
    paper = getComputedStyle(probe).backgroundColor;
    probe.remove();
  }
  const ground = channels(paper).slice(0, 3);
  const found = {};
  for (const element of document.querySelectorAll("main *")) {
    const drawn = element.closest("svg");
    if (drawn && !["text", "rect", "circle", "path"].includes(element.tagName)) continue;
    if (drawn && drawn.closest("object")) continue;
    const style = getComputedStyle(element);
    const own = drawn ? (style.fill === "none" ? style.stroke : style.fill) : style.color;
    if (own === "none" || (drawn && (style.fillOpacity < 1 || style.strokeOpacity < 1))) continue;
    // Marks within a sign lie on the sign, not on the paper.
    if (drawn && drawn.getAttribute("aria-hidden") && drawn.children.length === 2 && element !== drawn.firstElementChild) continue;
    // What is as its ground is there to cover lines.
    if (own === paper || element.getAttribute("fill") === "Canvas") continue;
    const kind = drawn && element.tagName !== "text" ? "shape" : "text";
    found[`${kind} ${own}`] = ratio(channels(own).slice(0, 3), ground);
  }
  return found;
}"""


@pytest.fixture(params=[1366, 360], ids=["wide", "narrow"])
def width(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


class Window:
    """A page of the browser, and what the browser said of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture
def window(browser: Browser, width: int, scheme: str) -> Generator[Window]:
    """A window without scripts; those of the test itself are run by the browser's own console."""
    surroundings = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    yield Window(surroundings.new_page())
    surroundings.close()


def look(window: Window, name: str) -> None:
    """Leave a picture, if somebody wants to look."""
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        window.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


BLOCKS = re.compile(
    r"</?(?:p|li|ul|dl|dd|dt|h[1-3]|td|th|tr|table|thead|tbody|caption|div|br|section|summary|details|svg|text|header|main)\b[^>]*>"
)


def texts_of_source(source: str) -> set[str]:
    """Return the texts of a page's source, block by block and without blanks."""
    blocks = BLOCKS.split(source.split("<body>")[1])
    return {"".join(html.unescape(re.sub(r"<[^>]*>", "", block)).split()) for block in blocks} - {""}


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("host", ["strict", "free"])
def test_no_information_is_lost(
    window: Window, served: Served, report: str, host: str, width: int, scheme: str
):
    """Every word is displayed, nothing is cut off at the side, and what the policy refuses costs no information."""
    response = window.page.goto(f"{getattr(served, host)}/{report}.html")
    window.page.evaluate("() => document.querySelectorAll('details').forEach((each) => each.open = true)")
    look(window, f"{report}-{host}-{scheme}-{width}")
    visible = window.page.evaluate("() => document.body.innerText")
    drawn = window.page.evaluate(
        "() => [...document.querySelectorAll('svg text')].map((each) => each.textContent).join(' ')"
    )
    displayed = "".join(f"{visible} {drawn}".split())
    beyond, clipped = window.page.evaluate(CLIPPED)

    assert [text for text in texts_of_source(response.text()) if text not in displayed] == []
    assert (beyond, clipped) == (0, [])
    # Photographs in the page are refused, and mosaics stand in their place.
    refused = [
        text for text in window.said if "image/webp" not in text and "Applying inline style" not in text
    ]
    assert refused == []


@pytest.mark.parametrize("host", ["strict", "free"])
@pytest.mark.parametrize("report", ["small", "crops"])
def test_everything_can_be_told_from_its_ground(window: Window, served: Served, report: str, host: str):
    """Contrast: 4.5 for text, 3 for what is drawn, in both schemes, with and without style."""
    window.page.goto(f"{getattr(served, host)}/{report}.html")
    contrasts = window.page.evaluate(CONTRAST)
    low = {
        what: round(ratio, 2)
        for what, ratio in contrasts.items()
        if ratio < (4.5 if what.startswith("text") else 3)
    }

    assert len(contrasts) > 3
    assert low == {}


def test_dark_is_dark_by_itself(browser: Browser, served: Served):
    """Without any style of ours the page follows the reader's scheme, the charts as well."""
    grounds: dict[str, Any] = {}
    for scheme in ("light", "dark"):
        surroundings = browser.new_context(color_scheme=scheme, java_script_enabled=False)
        page = surroundings.new_page()
        page.goto(f"{served.strict}/small.html")
        grounds[scheme] = page.evaluate(
            "() => [getComputedStyle(document.body).color, getComputedStyle(document.querySelector('svg rect')).fill]"
        )
        surroundings.close()

    assert grounds["light"][0] == "rgb(0, 0, 0)"
    assert grounds["dark"][0] == "rgb(255, 255, 255)"
    assert grounds["light"][1] != grounds["dark"][1]


@pytest.mark.parametrize(("report", "photographs"), [("crops", False), ("folder", True)])
def test_pictures_under_the_policy(window: Window, served: Served, report: str, photographs: bool):
    """In one file a mosaic stands for every photograph; beside the page photographs are shown."""
    window.page.goto(f"{served.strict}/{report}.html")
    loaded = window.page.evaluate(
        "() => [...document.images].map((each) => each.complete && each.naturalWidth > 0)"
    )
    mosaics = window.page.evaluate(
        "() => [...document.querySelectorAll('object > svg')].filter((each) => each.getBoundingClientRect().width > 20).length"
    )

    if photographs:
        assert len(loaded) > 5
        assert all(loaded)
    else:
        assert mosaics > 5
        assert mosaics == window.page.evaluate("() => document.querySelectorAll('object').length")


def test_photographs_where_they_are_allowed(window: Window, served: Served):
    """The same file, opened from a host without a policy: no mosaic is shown."""
    window.page.goto(f"{served.free}/crops.html")
    window.page.wait_for_load_state("load")
    mosaics = window.page.evaluate(
        "() => [...document.querySelectorAll('object > svg')].filter((each) => each.getBoundingClientRect().width > 20).length"
    )

    assert mosaics == 0


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_is_asked_of_other_hosts(window: Window, served: Served, report: str):
    """The page, and pictures beside it; no font, no script, no style, no icon."""
    window.page.goto(f"{served.free}/{report}.html")
    window.page.wait_for_load_state("networkidle")
    asked = {url.removeprefix(served.free) for url in window.asked if not url.startswith("data:")}

    assert all(each == f"/{report}.html" or each.startswith("/crops/") for each in asked)


def test_a_file_opened_from_disk(browser: Browser, served: Served, tmp_path: Path):
    """Without any server, which is how reports travel."""
    surroundings = browser.new_context(java_script_enabled=False)
    page = surroundings.new_page()
    text = page.goto(f"{served.free}/crops.html").text()
    (tmp_path / "report.html").write_text(text)
    page.goto((tmp_path / "report.html").as_uri())
    title = page.title()
    surroundings.close()

    assert title.startswith("Failed: ")


@pytest.mark.parametrize("report", ["small", "crops"])
def test_the_page_is_in_order_for_those_who_do_not_see_it(window: Window, served: Served, report: str):
    """One main heading, no level skipped, every chart and table named, links that say where they lead."""
    window.page.goto(f"{served.strict}/{report}.html")
    levels = window.page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))"
    )
    unnamed = window.page.evaluate(
        "() => [...document.querySelectorAll('svg:not([aria-hidden])')].filter((each) => !each.getAttribute('aria-label')).length"
        " + [...document.querySelectorAll('.scroll > table')].filter((each) => !each.caption.innerText.trim()).length"
        " + [...document.links].filter((each) => !each.innerText.trim()).length"
    )

    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert unnamed == 0
