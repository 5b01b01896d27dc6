"""Charts become PNG files, drawn by the Chromium of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import plotly.graph_objects as go
import pytest
from chromium import require_chromium

from fluxlab.book import picture
from fluxlab.book.picture import find_chromium, screenshot_figure
from fluxlab.errors import FluxlabError


@pytest.mark.parametrize("is_dark", [False, True])
def test_a_figure_becomes_a_picture_of_the_size_asked_for(
    tmp_path: Path, is_dark: bool
) -> None:
    require_chromium()
    figure = go.Figure(go.Bar(y=[1, 2]))

    path = screenshot_figure(
        figure, tmp_path / "chart.png", width=500, height=260, is_dark=is_dark
    )

    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.png_size(path) == (1000, 520)
    assert [file.name for file in tmp_path.iterdir()] == ["chart.png"]


def test_a_browser_that_draws_nothing_leaves_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(b"old")
    monkeypatch.setenv("BROWSER_PATH", str(shutil.which("true")))

    with pytest.raises(FluxlabError, match=r"true did not draw the chart for chart\.png"):
        screenshot_figure(go.Figure(), path, width=300, height=200)

    assert path.read_bytes() == b"old"


def test_without_a_browser_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))

    assert find_chromium() is None
    with pytest.raises(FluxlabError, match="Install Chromium"):
        screenshot_figure(go.Figure(), tmp_path / "a.png", width=300, height=200)


@pytest.mark.parametrize(("ci", "outcome"), [("1", "Failed"), (None, "Skipped")])
def test_without_a_browser_a_test_fails_in_ci_and_is_skipped_elsewhere(
    ci: str | None, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)

    with pytest.raises(BaseException, match="No Chromium was found") as caught:
        require_chromium()

    assert caught.typename == outcome
