"""Claims: what the sprint's report says, quoted with its line, from `data/claims.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fluxlab.errors import FluxlabError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LatencyClaim:
    """One row of the report's latency table; `query` is the Query that answers it."""

    name: str
    quote: str
    line: int
    query: str
    before_ms: float
    after_ms: float
    percent: int

    @property
    def speedup(self) -> float:
        """How many times faster the report expects it to become."""
        return self.before_ms / self.after_ms


@dataclass(frozen=True, slots=True)
class AuditClaim:
    """How many columns of one table the report counts as indexed."""

    table: str
    quote: str
    line: int
    columns: int


@dataclass(frozen=True, slots=True)
class Claims:
    """Everything of the report that is quoted so far."""

    latency: tuple[LatencyClaim, ...]
    audited: tuple[AuditClaim, ...]

    def __repr__(self) -> str:
        return (
            f"<Claims: {len(self.latency)} latencies, "
            f"{len(self.audited)} counts of indexed columns>"
        )


def read_claims(path: Path) -> Claims:
    """Read `data/claims.toml`.

    Raises FluxlabError when a field is missing or unknown.
    """
    document = tomllib.loads(path.read_text())
    return Claims(
        latency=_rows(path, "latency", document, LatencyClaim),
        audited=_rows(path, "audited", document, AuditClaim),
    )


def _rows(
    path: Path, kind: str, document: dict[str, object], row: type[T]
) -> tuple[T, ...]:
    entries = document.get(kind, [])
    assert isinstance(entries, list)
    try:
        return tuple(row(**entry) for entry in entries)
    except TypeError as error:
        raise FluxlabError(
            f"{path.name}: an entry of [[{kind}]] is wrong: {error}.", "Correct its fields."
        ) from None
