"""What the README shows of a run: the picture, its sentence, the table of verdicts."""

from __future__ import annotations

import re
from pathlib import Path

from fluxlab.book.charts import dumbbell
from fluxlab.book.ledger import Ledger
from fluxlab.book.picture import screenshot_figure
from fluxlab.book.sentences import finding
from fluxlab.book.verdict_view import row_verdicts
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison

PICTURE = Path("docs") / "before_and_after.png"
_IMAGE = re.compile(rf"!\[[^\]]*\]\({re.escape(PICTURE.as_posix())}\)")
#: What stands between the two comments is written by `fluxlab picture`.
_VERDICTS = re.compile(r"(?s)(<!-- verdicts -->\n).*?(\n<!-- end of verdicts -->)")
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


def write_verdicts(root: Path, ledger: Ledger) -> None:
    """Renew the table of the six latency rows in the README.

    Raises FluxlabError when the README has no place for it.
    """
    readme = root / "README.md"
    table = row_verdicts(ledger).markdown
    text, found = _VERDICTS.subn(
        lambda place: f"{place[1]}{table}{place[2]}", readme.read_text(encoding="utf-8")
    )
    if not found:
        raise FluxlabError(
            "The README has no place for the verdicts.",
            "Add `<!-- verdicts -->` and `<!-- end of verdicts -->` on lines of their own.",
        )
    readme.write_text(text, encoding="utf-8")


def shown_verdicts(root: Path) -> str:
    """Return the table of verdicts as the README shows it; empty when it shows none."""
    found = _VERDICTS.search((root / "README.md").read_text(encoding="utf-8"))
    return found[0].partition("\n")[2].rpartition("\n")[0] if found else ""
