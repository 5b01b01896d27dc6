"""The published book in a browser: every page, light and dark, wide and narrow.

The checks are the functions of `chromium.py`. The first half applies them to the book
and to two chapters made for this test (`tests/book/`); the second half breaks a page in
each way that a check exists for and sees exactly that reported.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest
from chromium import (
    broken_references,
    open_browser,
    problems_of_page,
    search_results,
)
from playwright.sync_api import Browser

from fluxlab.book.pages import chapters, execute, write_twin
from fluxlab.book.site import build_site, chart_html
from fluxlab.errors import FluxlabError
from fluxlab.settings import ROOT

TEST_BOOK = ROOT / "tests" / "book"
BAR = {"type": "bar", "x": ["a", "b"], "y": [1, 2]}
BARS = {"data": [BAR], "layout": {"height": 300}}

HEIGHT = "box => box.getBoundingClientRect().height"
ONE_VIEW = (("light", (1280,)),)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all pages."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executed chapters of the test's own book."""
    root = tmp_path_factory.mktemp("book")
    shutil.copytree(TEST_BOOK, root, dirs_exist_ok=True)
    for chapter in chapters(root):
        write_twin(chapter, execute(chapter), root / "executed")
    return root / "executed"


@pytest.fixture(scope="session")
def small_site(notebooks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the test's own book."""
    return build_site(ROOT, notebooks, tmp_path_factory.mktemp("site") / "html").parent


@pytest.fixture(scope="session")
def book_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the committed notebooks."""
    output = tmp_path_factory.mktemp("book-site") / "html"
    return build_site(ROOT, ROOT / "notebooks", output).parent


def pages_of(site: Path) -> list[Path]:
    """Every page of a site."""
    return sorted(site.rglob("*.html"))


def test_no_page_of_the_book_is_broken_in_any_view(
    browser: Browser, book_site: Path
) -> None:
    pages = pages_of(book_site)
    names = {path.stem for path in pages}

    assert names == {chapter.name for chapter in chapters(ROOT)} | {"index", "search"}
    assert [problem for path in pages for problem in problems_of_page(browser, path)] == []


def test_no_reference_of_the_book_leads_nowhere(book_site: Path) -> None:
    assert broken_references(book_site) == []


def test_the_search_of_the_book_finds_a_chapter_by_a_word_of_it(
    browser: Browser, book_site: Path
) -> None:
    titles = search_results(browser, book_site, "indexes")

    assert {chapter.title for chapter in chapters(ROOT)} & set(titles)


def test_a_chapter_with_everything_in_it_stands_in_every_view(
    browser: Browser, small_site: Path
) -> None:
    page = small_site / "notebooks" / "01_first_look.html"

    assert problems_of_page(browser, page) == []
    assert broken_references(small_site) == []
    assert search_results(browser, small_site, "admonition") == [
        "What does a chapter show?"
    ]


def test_a_chart_has_a_caption_a_height_and_the_colours_of_the_page(
    browser: Browser, small_site: Path
) -> None:
    page = browser.new_page(color_scheme="light")
    page.goto((small_site / "notebooks" / "01_first_look.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.charts === 'drawn'")
    chart = page.locator("figure.chart").first
    tick = chart.locator(".xtick text").first
    title = "Eight got faster & none of them slower"

    assert chart.locator("figcaption").inner_text() == title
    assert chart.get_by_role("img", name=title).count() == 1
    assert chart.locator(".gtitle").count() == 0
    assert chart.locator("svg.main-svg").first.evaluate(HEIGHT) == 420 - 60
    assert tick.evaluate("text => text.style.fill") == "rgb(0, 0, 0)"

    page.evaluate("document.body.dataset.theme = 'dark'")
    page.wait_for_function(
        "document.querySelector('.xtick text').style.fill === 'rgb(207, 208, 208)'"
    )
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.body.dataset.theme = 'auto'")
    page.emulate_media(color_scheme="light")
    page.wait_for_function(
        "document.querySelector('.xtick text').style.fill === 'rgb(0, 0, 0)'"
    )
    page.close()


def test_a_wide_table_scrolls_in_a_box_that_the_keyboard_reaches(
    browser: Browser, small_site: Path
) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto((small_site / "notebooks" / "01_first_look.html").as_uri())
    box = page.locator(".cell_output .text_html").first
    column = box.locator("tbody tr").first.locator("td")

    assert box.evaluate("box => box.scrollWidth > box.clientWidth && box.tabIndex === 0")
    aligned = column.evaluate_all(
        "cells => cells.map((cell) => getComputedStyle(cell).textAlign)"
    )
    assert aligned == ["left", "right", "right", "left", "right"]
    long = page.locator(".cell_output .text_html").nth(1)
    long.evaluate("box => box.scrollTo(0, 300)")
    gap = "box => box.querySelector('th').getBoundingClientRect().top - %s"
    assert abs(long.evaluate(gap % "box.getBoundingClientRect().top")) <= 1
    page.close()


def test_the_download_is_the_notebook_that_was_executed(
    notebooks: Path, small_site: Path
) -> None:
    downloads = sorted((small_site / "_downloads").rglob("*.ipynb"))

    assert [path.read_bytes() for path in downloads] == [
        (notebooks / path.name).read_bytes() for path in downloads
    ]
    assert {path.name for path in downloads} == {
        "00_start_here.ipynb",
        "01_first_look.ipynb",
    }


def test_a_failed_build_names_the_page_and_leaves_the_old_site(
    notebooks: Path, small_site: Path, tmp_path: Path
) -> None:
    # The first chapter alone: its links to the second lead nowhere.
    shutil.copytree(notebooks, tmp_path / "alone", ignore=shutil.ignore_patterns("01*"))
    output = tmp_path / "site" / "html"
    shutil.copytree(small_site, output)

    with pytest.raises(FluxlabError, match=r"00_start_here.*01_first_look") as caught:
        build_site(ROOT, tmp_path / "alone", output)

    assert str(tmp_path) not in str(caught.value)
    assert pages_of(output)
    assert [path.name for path in output.parent.iterdir()] == ["html"]


def test_a_site_without_executed_notebooks_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FluxlabError, match="Run `make book`"):
        build_site(ROOT, tmp_path, tmp_path / "html")


# --- each check is able to fail --------------------------------------------------------


def broken_page(site: Path, folder: Path, body: str) -> Path:
    """A page of `folder` with this body, beside the real site's scripts and styles."""
    shutil.copytree(site / "_static", folder / "_static")
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><html data-content_root="./"><meta charset="utf-8"><title>x</title>'
        f'<body>{body}<script src="_static/charts.js"></script></body></html>',
        encoding="utf-8",
    )
    return page


def test_a_page_without_a_fault_has_no_problem(
    browser: Browser, small_site: Path, tmp_path: Path
) -> None:
    page = broken_page(small_site, tmp_path, chart_html(BARS))

    assert problems_of_page(browser, page) == []


@pytest.mark.parametrize(
    ("figure", "problem"),
    [
        ({**BARS, "data": []}, "chart 1 (untitled) shows no trace"),
        (
            {**BARS, "data": [{**BAR, "visible": False}]},
            "chart 1 (untitled) shows no trace",
        ),
        (
            {**BARS, "data": [{**BAR, "y": [None, None]}]},
            "chart 1 (untitled) shows no trace",
        ),
        (
            {
                **BARS,
                "layout": {"height": 72, "margin": {"t": 0}, "title": {"text": "Low"}},
            },
            "chart 1 (Low) is 72 px high",
        ),
    ],
)
def test_an_empty_chart_is_found(
    browser: Browser,
    small_site: Path,
    tmp_path: Path,
    figure: dict[str, object],
    problem: str,
) -> None:
    page = broken_page(small_site, tmp_path, chart_html(figure))

    found = problems_of_page(browser, page, ONE_VIEW)

    assert found == [f"page.html: light, 1280 px: {problem}"]


def test_a_chart_that_nobody_draws_is_found(
    browser: Browser, small_site: Path, tmp_path: Path
) -> None:
    page = broken_page(small_site, tmp_path, chart_html(BARS))
    (tmp_path / "_static" / "plotly.min.js").write_text("window.Plotly = {react() {}};")

    found = problems_of_page(browser, page, ONE_VIEW)

    assert "page.html: light, 1280 px: chart 1 (untitled) has no drawing" in found


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>console.error('lost')</script>", "console error: lost"),
        ("<script>throw new Error('lost')</script>", "page error: lost"),
        (
            "<script>fetch('https://example.org/a').catch(() => 0)</script>",
            "a request leaves the machine: https://example.org/a",
        ),
        (
            "<img src='http://example.org/a.png'>",
            "a request leaves the machine: http://example.org/a.png",
        ),
    ],
)
def test_an_error_or_a_request_that_leaves_is_found(
    browser: Browser, small_site: Path, tmp_path: Path, body: str, problem: str
) -> None:
    page = broken_page(small_site, tmp_path, body)

    assert f"page.html: {problem}" in problems_of_page(browser, page, ONE_VIEW)


def test_a_page_wider_than_a_phone_is_found(
    browser: Browser, small_site: Path, tmp_path: Path
) -> None:
    page = broken_page(small_site, tmp_path, '<div style="width:600px">wide</div>')

    found = problems_of_page(browser, page)

    assert [problem.split(": ")[1] for problem in found] == [
        "light, 400 px",
        "dark, 400 px",
    ]
    assert all("px wide in a window of 400 px" in problem for problem in found)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="gone.html">x</a>', "gone.html does not exist"),
        (
            '<a href="_downloads/1/a.ipynb" download>x</a>',
            "_downloads/1/a.ipynb does not exist",
        ),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<img src="gone.png">', "gone.png does not exist"),
        ('<img srcset="gone.png 2x">', "gone.png does not exist"),
        ('<a href="/home/page.html">x</a>', "/home/page.html names a place on one machine"),
        ('<a href="file:///x.html">x</a>', "file:///x.html names a place on one machine"),
        (
            '<script src="https://example.org/a.js"></script>',
            "https://example.org/a.js is fetched from elsewhere",
        ),
        (
            '<link rel="stylesheet" href="//example.org/a.css">',
            "//example.org/a.css is fetched from elsewhere",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(
    tmp_path: Path, body: str, problem: str
) -> None:
    whole = '<a href="other.html#here">x</a> <a href="https://example.org/">y</a>'
    (tmp_path / "page.html").write_text(f"{whole} {body}")
    (tmp_path / "other.html").write_text('<p id="here">')

    assert broken_references(tmp_path) == [f"page.html: {problem}"]


# --- charts as HTML --------------------------------------------------------------------


def test_a_title_becomes_a_caption_and_gives_its_room_back() -> None:
    figure = go.Figure(go.Bar(y=[1]), {"height": 400, "margin": {"t": 90}})
    figure.update_layout(
        title={"text": "A &lt; <b>B</b><br>really", "subtitle": {"text": "n = 3"}}
    )

    html = chart_html(json.loads(figure.to_json()))
    spec = json.loads(html.split('json">')[1].split("</script>")[0])

    assert '<figcaption>A &lt; B really<span class="chart-subtitle">n = 3</span>' in html
    assert 'role="img" aria-label="A &lt; B really" style="height:350px"' in html
    assert "title" not in spec["layout"]
    assert (spec["layout"]["height"], spec["layout"]["margin"]["t"]) == (350, 40)


def test_a_label_cannot_end_the_script_that_carries_it() -> None:
    html = chart_html({"data": [{"name": "</script><script>alert(1)"}], "layout": {}})

    assert html.count("</script>") == 1
