"""Tables and scripts that a page shows whole: no text is cut off, and long ones fold."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd

#: From here on a text is a sentence, and may take several lines.
_LONG = 40


@dataclass(frozen=True)
class Tables:
    """Tables below each other that cut no text off; those with a name are folded."""

    frames: tuple[tuple[str, pd.DataFrame], ...]

    def _repr_html_(self) -> str:
        return "".join(
            f"<details><summary>{escape(name)}</summary>{_html(frame)}</details>"
            if name
            else _html(frame)
            for name, frame in self.frames
        )

    def __repr__(self) -> str:
        return "\n\n".join(
            f"{name}\n{frame.to_string()}".strip() for name, frame in self.frames
        )


def _html(frame: pd.DataFrame) -> str:
    """Return a table whose sentences wrap; one that is still too wide scrolls."""
    shown = frame.map(_cell).rename(index=lambda label: escape(str(label)))
    with pd.option_context("display.max_colwidth", None):
        table = shown.to_html(max_rows=None, border=0, escape=False)
    return f'<div tabindex="0" style="overflow-x: auto; font-size: .87em">{table}</div>'


def _cell(value: object) -> str:
    text = escape(str(value))
    if len(text) < _LONG:
        return text
    return f'<div style="white-space: normal; min-width: 12em">{text}</div>'


class Script(str):
    """SQL that a notebook shows folded, as text to copy."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        count = sum(line.startswith(("drop ", "create ")) for line in self.splitlines())
        return (
            f"<details><summary>{count} statements for psql</summary>"
            f'<pre tabindex="0" style="overflow-x: auto">{escape(self)}</pre></details>'
        )
