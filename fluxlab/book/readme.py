"""The README's picture and the sentence that says what it shows, both from one run."""

from __future__ import annotations

import re
from pathlib import Path

from fluxlab.book.charts import dumbbell
from fluxlab.book.picture import screenshot_figure
from fluxlab.book.sentences import finding
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.workload.compare import Change, Comparison

PICTURE = Path("docs") / "before_and_after.png"
_IMAGE = re.compile(rf"!\[[^\]]*\]\({re.escape(PICTURE.as_posix())}\)")
_GAINS, _LOSSES = 16, 4
_WIDTH_PX = 960


def draw_readme_picture(root: Path, comparison: Comparison, dataset: Dataset) -> Path:
    """Draw the largest changes to a PNG and renew the picture's text in the README.

    Raises FluxlabError when there is no Chromium or the README has no such picture.
    """
    readme = root / "README.md"
    gains, losses = _gains_and_losses(comparison)
    figure = dumbbell([*gains, *reversed(losses)], finding(comparison))
    text = _IMAGE.sub(
        lambda _: f"![{describe(comparison, dataset)}]({PICTURE.as_posix()})",
        readme.read_text(),
    )
    if PICTURE.as_posix() not in text:
        raise FluxlabError(
            f"The README does not show {PICTURE}.",
            f"Add `![]({PICTURE.as_posix()})` to it.",
        )
    path = root / PICTURE
    path.parent.mkdir(exist_ok=True)
    screenshot_figure(figure, path, width=_WIDTH_PX, height=figure.layout.height)
    readme.write_text(text)
    return path


def _gains_and_losses(comparison: Comparison) -> tuple[list[Change], list[Change]]:
    gains = [change for change in comparison.largest if change.outcome == "faster"]
    losses = [change for change in comparison.largest if change.outcome == "slower"]
    return gains[:_GAINS], losses[:_LOSSES]


def describe(comparison: Comparison, dataset: Dataset) -> str:
    """Say what the picture shows, for those who do not see it."""
    rows = sum(dataset.rows.values())
    gains, losses = _gains_and_losses(comparison)
    return (
        f"The {len(gains)} largest gains and the {len(losses)} largest losses, one line "
        "per query from its median latency before the 90 indexes to after, on a log scale. "
        f"{finding(comparison)} "
        f"(size {dataset.size}, {rows:,} rows)."
    )
