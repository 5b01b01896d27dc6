"""The Ledger: the Verdict on every Claim of the report, counted and found again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fluxlab.book.claims import LatencyClaim
from fluxlab.book.verdicts import JUDGED, WORDS, Verdict, Word
from fluxlab.errors import FluxlabError

_SECTION = re.compile(r"## (?P<title>.+)")
#: What stands before the first section of the report.
_HEAD = "Head"


@dataclass(frozen=True)
class Ledger:
    """Every Verdict in the order of the report; `sections` are first lines and titles."""

    verdicts: tuple[Verdict, ...]
    sections: tuple[tuple[int, str], ...] = ()

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def of(self, word: Word) -> tuple[Verdict, ...]:
        """Return the Verdicts with this word."""
        return tuple(verdict for verdict in self.verdicts if verdict.word == word)

    def find(self, id: str) -> Verdict:
        """Return the Verdict on a claim, or say which ids come near."""
        for verdict in self.verdicts:
            if verdict.claim.id == id:
                return verdict
        known = [verdict.claim.id for verdict in self.verdicts]
        near = [one for one in known if id in one or one in id][:5]
        raise FluxlabError(
            f"There is no claim {id!r}.",
            f"Did you mean {', '.join(near)}?" if near else "data/claims.toml has them.",
        )

    @property
    def counts(self) -> Mapping[Word, int]:
        """How many Verdicts there are of each word, in the order of `WORDS`."""
        found = Counter(verdict.word for verdict in self.verdicts)
        return {word: found[word] for word in WORDS}

    @property
    def judged(self) -> tuple[Verdict, ...]:
        """The Verdicts that evidence decided, *unclear* among them."""
        return tuple(verdict for verdict in self.verdicts if verdict.word in JUDGED)

    @property
    def rows(self) -> tuple[Verdict, ...]:
        """The Verdicts on the rows of the report's latency table."""
        return tuple(one for one in self.verdicts if isinstance(one.claim, LatencyClaim))

    def section(self, verdict: Verdict) -> str:
        """Return the section of the report that a claim stands in."""
        passed = [title for line, title in self.sections if line <= verdict.claim.line]
        return passed[-1] if passed else _HEAD

    def frame(self) -> pd.DataFrame:
        """Return one row per Verdict, by claim id; `line` is the report's."""
        return pd.DataFrame(
            {
                "claim": verdict.claim.id,
                "line": verdict.claim.line,
                "section": self.section(verdict),
                "verdict": verdict.word,
                "expected": verdict.expected,
                "measured": verdict.measured,
                "interval": verdict.interval,
                "reason": verdict.reason,
                "judged in": verdict.claim.chapter,
                "quote": verdict.claim.quote,
            }
            for verdict in self.verdicts
        ).set_index("claim")

    def __repr__(self) -> str:
        counts = [f"{count} {word}" for word, count in self.counts.items() if count]
        return f"<Ledger of {len(self)} claims: {', '.join(counts)}>"


def read_sections(report: Path) -> tuple[tuple[int, str], ...]:
    """Return the sections of the report with their first lines, counted from 1."""
    lines = report.read_text(encoding="utf-8").splitlines()
    return tuple(
        (number, found["title"])
        for number, line in enumerate(lines, start=1)
        if (found := _SECTION.fullmatch(line))
    )
