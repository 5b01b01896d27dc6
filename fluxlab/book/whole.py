"""Tables and scripts that a page shows whole: no text is cut off, and long ones fold."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd


@dataclass(frozen=True)
class Tables:
    """Tables below each other that cut no text off; those with a name are folded."""

    frames: tuple[tuple[str, pd.DataFrame], ...]

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            tables = [
                (name, _scrolled(frame.to_html(max_rows=None, border=0)))
                for name, frame in self.frames
            ]
        return "".join(
            f"<details><summary>{escape(name)}</summary>{table}</details>"
            if name
            else table
            for name, table in tables
        )

    def __repr__(self) -> str:
        return "\n\n".join(
            f"{name}\n{frame.to_string()}".strip() for name, frame in self.frames
        )


def _scrolled(table: str) -> str:
    """Let a table that is wider than its page scroll, by the keyboard too."""
    return f'<div tabindex="0" style="overflow-x: auto">{table}</div>'


class Script(str):
    """SQL that a notebook shows folded, as text to copy."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        count = sum(line.startswith(("drop ", "create ")) for line in self.splitlines())
        return (
            f"<details><summary>{count} statements for psql</summary>"
            f'<pre tabindex="0" style="overflow-x: auto">{escape(self)}</pre></details>'
        )
