"""The published book: executed notebooks become a site that works from a folder.

Sphinx reads a staging copy of `site/` with the notebooks in it; one plotly.js, taken
from the installed package, serves every chart. Nothing on a page is fetched from
elsewhere.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from html import escape, unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core.render import MimeData, MimeRenderPlugin, NbElementRenderer

from fluxlab.errors import FluxlabError

PLOTLY_MIME = "application/vnd.plotly.v1+json"

#: Used where a figure names no height, and what is kept above the plot for notes.
_HEIGHT_PX = 420
_TOP_MARGIN_PX = 40
_PLOTLY_DEFAULT_TOP_MARGIN_PX = 100

_TITLE_LINE = re.compile(r"^# .+$", re.MULTILINE)
_COMPLAINT = re.compile(r"WARNING|ERROR|CRITICAL|[Ee]xception|Error:")


class PlotlyMime(MimeRenderPlugin):
    """Draw plotly outputs with the one plotly.js that the site carries."""

    mime_priority_overrides = (("html", PLOTLY_MIME, 0),)

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer, data: MimeData, inline: bool
    ) -> list[nodes.Element] | None:
        """The chart as HTML, or None for any other output."""
        if inline or data.mime_type != PLOTLY_MIME or not isinstance(data.content, Mapping):
            return None
        return [nodes.raw("", chart_html(data.content), format="html")]


def chart_html(figure: Mapping[str, Any]) -> str:
    """A plotly figure as the HTML that `charts.js` draws into.

    The title moves out of the drawing into a caption, because plotly does not wrap a
    title and a sentence is wider than a phone.
    """
    data = copy.deepcopy(list(figure.get("data", ())))
    layout = copy.deepcopy(dict(figure.get("layout", {})))
    title, subtitle = _take_title(layout)
    height = _drop_top_margin(layout)
    spec = json.dumps({"data": data, "layout": layout}).replace("</", "<\\/")
    small = f'<span class="chart-subtitle">{escape(subtitle)}</span>' if subtitle else ""
    caption = f"<figcaption>{escape(title)}{small}</figcaption>" if title else ""
    return (
        f'<figure class="chart">{caption}'
        f'<div class="chart-plot" role="img" aria-label="{escape(title or "Chart")}" '
        f'style="height:{height}px"></div>'
        f'<script type="application/json">{spec}</script>'
        # Short, because the search of the site finds a page by these words too.
        "<noscript>Charts need JavaScript.</noscript></figure>"
    )


def build_site(root: Path, notebooks_directory: Path, output: Path) -> Path:
    """Build the site of the executed notebooks and return the path of its first page.

    `root` holds `site/`; the notebooks may be the committed ones or a reader's own.
    `output` is replaced in one step, so that a failed or interrupted build leaves the
    site that was there. A warning of Sphinx is an error. Raises FluxlabError.
    """
    notebooks = sorted(notebooks_directory.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise FluxlabError(
            f"There is no executed notebook in {notebooks_directory}.", "Run `make book`."
        )
    output = output.resolve()
    staging = output.parent / f"_staging-{output.name}-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        source = _stage(root / "site", notebooks, staging / "source")
        _run_sphinx(source, staging / "html")
        _replace(output, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return output / "index.html"


def _take_title(layout: dict[str, Any]) -> tuple[str, str]:
    title = layout.pop("title", None) or {}
    if isinstance(title, str):
        title = {"text": title}
    subtitle = (title.get("subtitle") or {}).get("text") or ""
    return _plain(title.get("text") or ""), _plain(subtitle)


def _plain(text: str) -> str:
    spaced = re.sub(r"<br\s*/?>", " ", text)
    return unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", spaced)).strip()


def _drop_top_margin(layout: dict[str, Any]) -> int:
    """Give back the room that the title had, and return the height that remains."""
    template = (layout.get("template") or {}).get("layout") or {}
    margin = {**(template.get("margin") or {}), **(layout.get("margin") or {})}
    before = margin.get("t", _PLOTLY_DEFAULT_TOP_MARGIN_PX)
    after = min(before, _TOP_MARGIN_PX)
    height = int(layout.get("height", _HEIGHT_PX) - (before - after))
    layout["margin"] = {**margin, "t": after}
    layout["height"] = height
    return height


def _stage(site: Path, notebooks: list[Path], source: Path) -> Path:
    shutil.copytree(site, source, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for folder in ("notebooks", "download"):
        (source / folder).mkdir()
    for notebook in notebooks:
        shutil.copy(notebook, source / "download" / notebook.name)
        page = _with_download(notebook)
        (source / "notebooks" / notebook.name).write_text(page, encoding="utf-8")
    package = Path(str(files("plotly"))) / "package_data"
    shutil.copy(package / "plotly.min.js", source / "_static" / "plotly.min.js")
    return source


def _with_download(path: Path) -> str:
    """The notebook with a link to its own untouched file below its title."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    first = notebook["cells"][0] if notebook["cells"] else {}
    text = "".join(first.get("source", ""))
    link = "{.chapter-tools}\n{download}`This chapter as a notebook </download/%s>`"
    with_link, count = _TITLE_LINE.subn(
        lambda match: f"{match[0]}\n\n{link % path.name}", text, count=1
    )
    if count == 0:
        raise FluxlabError(
            f"{path.name} does not begin with a title.", "Begin its first cell with `# `."
        )
    first["source"] = with_link
    return json.dumps(notebook)


def _run_sphinx(source: Path, target: Path) -> None:
    # A process of its own: Sphinx changes the locale, the logging and docutils' state.
    flags = ["-b", "html", "-W", "--keep-going", "-q", "--no-color", "-d"]
    doctrees = source.parent / "doctrees"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        *flags,
        str(doctrees),
        str(source),
        str(target),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        found = [line for line in lines if _COMPLAINT.search(line)] or lines[-3:]
        said = " | ".join(found[:3]).replace(f"{source}{os.sep}", "")
        raise FluxlabError(
            f"Sphinx did not build the site: {said}.", "Correct the page it names."
        )


def _replace(output: Path, staging: Path) -> None:
    if output.exists():
        output.replace(staging / "before")
    (staging / "html").replace(output)
