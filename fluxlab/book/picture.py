"""Charts as PNG files, drawn by a Chromium that is already on the machine."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from plotly.basedatatypes import BaseFigure

from fluxlab.errors import FluxlabError

#: Nothing is fetched, reported or updated, and it runs as root and in a container.
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MACOS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)

#: What a missing browser is answered with, here and in the tests.
INSTALL_CHROMIUM = (
    "Install Chromium or Google Chrome (`apt install chromium`, `brew install chromium`), "
    "or name its program in BROWSER_PATH."
)

#: Device pixels per CSS pixel, so that a picture is sharp on a dense screen.
_SCALE = 2
_PATIENCE_SECONDS = 60
_DRAWN = "flux-chart-drawn"

_PAGE = """<!doctype html><meta charset="utf-8">
<style>html,body{{margin:0;background:{paper}}}</style>
<div id="chart" style="width:{width}px;height:{height}px"></div>
<script>{plotly}</script>
<script>
const figure = {figure};
const layout = {{...figure.layout, width: {width}, height: {height}, autosize: false,
  paper_bgcolor: "{paper}", plot_bgcolor: "{paper}"}};
layout.font = {{family: "system-ui, sans-serif", ...layout.font, color: "{ink}"}};
Plotly.newPlot("chart", figure.data, layout, {{staticPlot: true, displaylogo: false}})
  .then(() => console.log("{drawn}"));
</script>
"""


def find_chromium() -> Path | None:
    """The Chromium or Chrome of this machine, or None.

    BROWSER_PATH comes first, then the usual names on PATH, then macOS applications.
    """
    if named := os.environ.get("BROWSER_PATH"):
        return Path(named) if Path(named).is_file() else None
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    return next((path for path in _MACOS if path.is_file()), None)


def screenshot_figure(
    figure: BaseFigure, path: Path, *, width: int, height: int, is_dark: bool = False
) -> Path:
    """Draw a figure of `width` by `height` CSS pixels into a PNG twice as dense.

    Raises FluxlabError when there is no browser or the browser did not draw.
    """
    browser = find_chromium()
    if browser is None:
        raise FluxlabError(
            "There is no Chromium to draw the picture with.", INSTALL_CHROMIUM
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flux-png-") as scratch:
        page, drawing = Path(scratch) / "chart.html", Path(scratch) / "chart.png"
        page.write_text(_page(figure, width, height, is_dark), encoding="utf-8")
        said = _shoot(browser, page, drawing, width, height)
        if _DRAWN not in said or not drawing.exists():
            raise FluxlabError(
                f"{browser.name} did not draw the chart for {path.name}.",
                "Look at the figure in a notebook first; then try another browser.",
            )
        if png_size(drawing) != (width * _SCALE, height * _SCALE):
            raise FluxlabError(
                f"{browser.name} drew {path.name} in another size than asked for.",
                "Update the browser, or name another one in BROWSER_PATH.",
            )
        # Copied beside its target first, so that an old picture is replaced whole.
        partial = path.with_name(f".{path.name}.part")
        shutil.copyfile(drawing, partial)
        partial.replace(path)
    return path


def _page(figure: BaseFigure, width: int, height: int, is_dark: bool) -> str:
    package = Path(str(files("plotly"))) / "package_data"
    text: str = figure.to_json()
    spec = text.replace("</", "<\\/")
    return _PAGE.format(
        paper="#131416" if is_dark else "#ffffff",
        ink="#cfd0d0" if is_dark else "#000000",
        plotly=(package / "plotly.min.js").read_text(encoding="utf-8"),
        figure=spec,
        width=width,
        height=height,
        drawn=_DRAWN,
    )


def _shoot(browser: Path, page: Path, drawing: Path, width: int, height: int) -> str:
    command = [
        str(browser),
        *CHROMIUM_FLAGS,
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},{height}",
        f"--force-device-scale-factor={_SCALE}",
        "--hide-scrollbars",
        "--virtual-time-budget=10000",
        "--enable-logging=stderr",
        f"--screenshot={drawing}",
        page.as_uri(),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise FluxlabError(
            f"{browser.name} did not finish in {_PATIENCE_SECONDS} s.", "Try again."
        ) from error
    return done.stderr


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file, in pixels of the file."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height
