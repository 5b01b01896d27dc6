"""A long table that a page shows folded, so that the text around it stays readable."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd


@dataclass(frozen=True)
class Folded:
    """A table behind a line that opens it; no script, and the site's search finds it."""

    name: str
    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        table = self.frame.to_html(max_rows=None, border=0)
        return f"<details><summary>{escape(self.name)}</summary>{table}</details>"

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.frame)} rows>\n{self.frame.to_string()}"
