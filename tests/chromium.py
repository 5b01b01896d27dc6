"""What a reader's browser finds wrong with a page: problems as sentences, one each.

Playwright drives the Chromium of this machine and never downloads one. The checks are
functions that return problems rather than assertions, so that a broken page can prove
each of them able to fail (see `test_site.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from fluxlab.book.picture import CHROMIUM_FLAGS, INSTALL_CHROMIUM, find_chromium

WIDE_PX, NARROW_PX = 1280, 400

#: Schemes that stay inside the machine and inside the page.
_AT_HOME = ("file", "data", "blob", "about")

_CHARTS_DRAWN = (
    "() => !document.querySelector('figure.chart')"
    " || document.documentElement.dataset.charts === 'drawn'"
)

# Plotly follows a change of width after a tenth of a second.
_CHARTS_RESIZED = """() => new Promise((done) =>
  setTimeout(done, document.querySelector("figure.chart") ? 250 : 0))"""

# A trace counts as visible when something of it has a size and is not transparent.
_EMPTY_CHARTS = """() => {
const figures = [...document.querySelectorAll("figure.chart")];
return figures.flatMap((figure, n) => {
  const title = figure.querySelector("figcaption")?.textContent ?? "untitled";
  const name = `chart ${n + 1} (${title})`;
  const svg = figure.querySelector("svg.main-svg");
  if (!svg) return [`${name} has no drawing`];
  const height = svg.getBoundingClientRect().height;
  if (height < 100) return [`${name} is ${Math.round(height)} px high`];
  const marks = figure.querySelectorAll(
    ".trace :is(path, rect, circle, line, text, image), .hm image, .slice path");
  const isSeen = (mark) => {
    const { width, height } = mark.getBoundingClientRect();
    const style = getComputedStyle(mark);
    if (style.visibility === "hidden" || style.opacity === "0") return false;
    // A line needs a length and a stroke; a surface needs an area.
    const isLine = style.stroke !== "none" && parseFloat(style.strokeWidth) > 0;
    return isLine ? width + height > 0 : width * height > 0;
  };
  return [...marks].some(isSeen) ? [] : [`${name} shows no trace`];
});
}"""

_WIDTHS = (
    "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
)


def require_chromium() -> Path:
    """The browser; without one the test is skipped here, and fails where CI is set."""
    found = find_chromium()
    if found is None:
        answer = f"No Chromium was found. {INSTALL_CHROMIUM}"
        if os.environ.get("CI"):
            pytest.fail(answer)
        pytest.skip(answer)
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless Chromium that is closed at the end."""
    path = require_chromium()
    with sync_playwright() as playwright:
        # Playwright chooses headless itself and gives each browser an empty profile.
        flags = [flag for flag in CHROMIUM_FLAGS if flag != "--headless"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


#: A scheme and the widths that are tried in it: a reader may turn the phone, and a
#: chart must follow in both directions.
VIEWS = (("light", (WIDE_PX, NARROW_PX)), ("dark", (NARROW_PX, WIDE_PX)))


def problems_of_page(
    browser: Browser, path: Path, views: Iterable[tuple[str, Sequence[int]]] = VIEWS
) -> list[str]:
    """Everything wrong with a page in light and dark, wide and narrow."""
    found: list[str] = []
    for scheme, widths in views:
        with _watched_page(browser, scheme, found) as page:
            page.set_viewport_size({"width": widths[0], "height": 900})
            page.goto(path.as_uri())
            for width in widths:
                page.set_viewport_size({"width": width, "height": 900})
                where = f"{scheme}, {width} px"
                found += [f"{where}: {problem}" for problem in _problems_in_view(page)]
    return list(dict.fromkeys(f"{path.name}: {problem}" for problem in found))


def search_results(browser: Browser, site: Path, word: str) -> list[str]:
    """The titles that the site's own search finds for a word."""
    found: list[str] = []
    with _watched_page(browser, "light", found) as page:
        page.goto(f"{(site / 'search.html').as_uri()}?q={word}")
        page.wait_for_selector("#search-results .search-summary:has-text('.')")
        titles = page.locator("#search-results li a").all_inner_texts()
    assert found == []
    return titles


@contextmanager
def _watched_page(browser: Browser, scheme: str, found: list[str]) -> Iterator[Page]:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")

    def leave(url: str) -> None:
        if urlsplit(url).scheme not in _AT_HOME:
            found.append(f"a request leaves the machine: {url}")

    page.on("request", lambda request: leave(request.url))
    page.on("websocket", lambda socket: leave(socket.url))
    page.on("pageerror", lambda error: found.append(f"page error: {error.message}"))
    page.on(
        "console",
        lambda message: (
            found.append(f"console error: {message.text}")
            if message.type == "error"
            else None
        ),
    )
    # Nothing is really sent: a request that wants to leave is noted and refused.
    page.route(
        lambda url: urlsplit(url).scheme not in _AT_HOME, lambda route: route.abort()
    )
    try:
        yield page
    finally:
        page.close()


def _problems_in_view(page: Page) -> list[str]:
    found: list[str] = []
    try:
        page.wait_for_function(_CHARTS_DRAWN, timeout=10_000)
        page.evaluate(_CHARTS_RESIZED)
    except PlaywrightError:
        found.append("the charts were not drawn in 10 s")
    found += page.evaluate(_EMPTY_CHARTS)
    content, window = page.evaluate(_WIDTHS)
    if content > window:
        found.append(f"the page is {content} px wide in a window of {window} px")
    return found


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that a page points to; `is_loaded` when the browser fetches it itself."""

    target: str
    is_loaded: bool


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.references: list[Reference] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        # <a> waits for a click; of the links in the head only a few are fetched.
        is_loaded = tag not in ("a", "area", "form")
        for name in ("href", "src", "data", "poster"):
            if name in values and tag != "use":
                self.references.append(Reference(values[name], is_loaded))
        for part in values.get("srcset", "").split(","):
            if part.strip():
                self.references.append(Reference(part.split()[0], True))


def _read(page: Path) -> _References:
    reader = _References()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def broken_references(site: Path) -> list[str]:
    """Every link, anchor, download, script or image of the site that leads nowhere."""
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, reader in pages.items():
        for reference in reader.references:
            reason = _why_broken(path, reference, pages)
            if reason:
                found.append(f"{path.name}: {reference.target} {reason}")
    return list(dict.fromkeys(found))


def _why_broken(
    page: Path, reference: Reference, pages: dict[Path, _References]
) -> str | None:
    url = urlsplit(reference.target)
    if url.scheme in ("http", "https", "") and url.netloc:
        return "is fetched from elsewhere" if reference.is_loaded else None
    if url.scheme in ("data", "blob", "mailto"):
        return None
    if url.scheme or url.path.startswith("/"):
        return "names a place on one machine"
    target = (page.parent / unquote(url.path)).resolve() if url.path else page
    if not target.is_file():
        return "does not exist"
    is_page = target in pages and bool(url.fragment)
    if is_page and unquote(url.fragment) not in pages[target].anchors:
        return "has no such anchor"
    return None
