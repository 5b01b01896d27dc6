"""Claims: what the sprint's report says, quoted with its line, from `data/claims.toml`.

A Claim's class is the kind of evidence that can judge it: one table of the file, one
class here, one judge in `judges.py`.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fluxlab.book.toml_rows import rows_of
from fluxlab.errors import FluxlabError

LabName = Literal["the load lab"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A quote of the report; `line` is where it begins, `id` stays when it moves."""

    id: str
    quote: str
    line: int

    #: The chapter, or the lab still to be built, that judges this kind.
    judged_in: ClassVar[str] = "chapter 03"

    @property
    def chapter(self) -> str:
        """Where the claim is judged."""
        return self.judged_in

    @property
    def lines(self) -> range:
        """The lines of the report that the quote stands on, counted from 1."""
        return range(self.line, self.line + self.quote.count("\n") + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyClaim(Claim):
    """One row of the report's latency table; `query` is the Query that answers it."""

    name: str
    query: str
    before_ms: float
    after_ms: float
    percent: int

    judged_in: ClassVar[str] = "chapters 02 and 03"

    @property
    def speedup(self) -> float:
        """How many times faster the report expects it to become."""
        return self.before_ms / self.after_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditClaim(Claim):
    """How many columns of one table the report counts as indexed."""

    table: str
    columns: int

    judged_in: ClassVar[str] = "chapters 01 and 03"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountClaim(Claim):
    """How many there are of something, at least."""

    things: Literal["tables", "new indexes", "queries"]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleClaim(Claim):
    """An index that the report names as an example of what the sprint made."""

    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionClaim(Claim):
    """A CREATE INDEX that the report shows: the quote is the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyClaim(Claim):
    """What the report says of a family of indexes."""

    topic: Literal[
        "arrays",
        "common subsets",
        "composite",
        "descending",
        "faster",
        "fields",
        "full text",
        "index only",
        "kinds present",
        "most common",
        "selective first",
        "smaller",
        "subset",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageClaim(Claim):
    """A bullet of the coverage list, its queries and the indexes that it can mean."""

    use_case: str
    indexes: tuple[str, ...]
    shape: Literal["any", "unique", "composite", "gin"] = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallClaim(Claim):
    """By how many percent the queries are said to become faster."""

    low_percent: int
    high_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringClaim(Claim):
    """A monitoring statement: the quote; `corrected` is the file that works."""

    corrected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeClaim(Claim):
    """A recommendation that a measurement or the server's answer can contradict."""

    topic: Literal[
        "always indexes",
        "analyze",
        "bloat",
        "prepared",
        "select star",
        "slow log",
        "unused",
        "unused price",
        "usage view",
        "vacuum",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationClaim(Claim):
    """What the report says of its migration."""

    topic: Literal["concurrent", "one by one", "one string", "production ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRateClaim(Claim):
    """The share of reads that the cache is expected to answer, at least."""

    resource: str
    percent: int

    judged_in: ClassVar[str] = "chapters 03 and 10"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadClaim(Claim):
    """The share of queries that no longer reach the database."""

    resource: str
    low_percent: int
    high_percent: int

    judged_in: ClassVar[str] = "chapters 03 and 11"


@dataclass(frozen=True, slots=True, kw_only=True)
class TtlClaim(Claim):
    """A named lifetime of cache entries."""

    name: str
    seconds: int

    judged_in: ClassVar[str] = "chapters 03 and 13"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKeyClaim(Claim):
    """A pattern of cache keys."""

    pattern: str

    judged_in: ClassVar[str] = "chapters 03 and 10"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheClaim(Claim):
    """What the report says of its cache beside figures, lifetimes and keys."""

    topic: Literal[
        "degradation",
        "delete",
        "delete pattern",
        "errors",
        "fitting lifetimes",
        "forget organization",
        "forget project",
        "forget user",
        "frequent",
        "fully implemented",
        "get",
        "get or set",
        "health",
        "health endpoint",
        "hit counter",
        "hit log",
        "infrastructure",
        "invalidate",
        "lifetimes",
        "measurable",
        "missing row",
        "namespaces",
        "patterns",
        "ping",
        "pooling",
        "production ready",
        "reconnection",
        "set",
        "settings",
        "size",
        "start",
        "stats",
        "update",
    ]

    @property
    def chapter(self) -> str:
        """Hit rates in chapter 10, lifetimes and sizes in 13, faults and races in 12."""
        if self.topic in ("frequent", "hit counter", "hit log", "measurable", "stats"):
            return "chapters 03 and 10"
        if self.topic in ("fitting lifetimes", "lifetimes", "size"):
            return "chapters 03 and 13"
        return "chapters 03 and 12"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetClaim(Claim):
    """A goal for the whole application."""

    of: str
    bound: str

    judged_in: ClassVar[str] = "the load lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterClaim(Claim):
    """A claim whose evidence a lab of its own will bring; `evidence` says which."""

    lab: LabName
    evidence: str

    @property
    def chapter(self) -> str:
        """The lab that will judge it."""
        return self.lab


@dataclass(frozen=True, slots=True, kw_only=True)
class UntestableClaim(Claim):
    """A claim that no run of fluxlab can judge, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Lines of the report, first and last, that claim nothing, and why."""

    lines: tuple[int, ...]
    why: str


#: The tables of `data/claims.toml`; the set is closed.
KINDS: Mapping[str, type[Claim]] = types.MappingProxyType(
    {
        "latency": LatencyClaim,
        "audited": AuditClaim,
        "count": CountClaim,
        "example": ExampleClaim,
        "definition": DefinitionClaim,
        "family": FamilyClaim,
        "coverage": CoverageClaim,
        "overall": OverallClaim,
        "monitoring": MonitoringClaim,
        "practice": PracticeClaim,
        "migration": MigrationClaim,
        "hit_rate": HitRateClaim,
        "db_load": LoadClaim,
        "ttl": TtlClaim,
        "cache_key": CacheKeyClaim,
        "caching": CacheClaim,
        "target": TargetClaim,
        "later": LaterClaim,
        "untestable": UntestableClaim,
    }
)


@dataclass(frozen=True, slots=True)
class Claims:
    """Every Claim in the order of the report, and the lines that claim nothing."""

    claims: tuple[Claim, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def latency(self) -> tuple[LatencyClaim, ...]:
        """The rows of the latency table."""
        return tuple(claim for claim in self.claims if isinstance(claim, LatencyClaim))

    @property
    def audited(self) -> tuple[AuditClaim, ...]:
        """The counts of indexed columns, by table."""
        return tuple(claim for claim in self.claims if isinstance(claim, AuditClaim))

    def __repr__(self) -> str:
        return (
            f"<Claims: {len(self)}, {len(self.latency)} of them latencies, "
            f"{len(self.audited)} counts of indexed columns>"
        )


def read_claims(path: Path) -> Claims:
    """Read `data/claims.toml`.

    Raises FluxlabError for an unknown kind, a field that is missing, unknown or of the
    wrong type, and an id given twice; the message names the file and the entry.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    left_out = rows_of(path, "left_out", document.pop("left_out", []), LeftOut)
    found: dict[str, Claim] = {}
    for kind, entries in document.items():
        if kind not in KINDS:
            raise FluxlabError(
                f"{path.name}: [[{kind}]] is no kind of claim.",
                f"Use one of {', '.join(KINDS)}.",
            )
        for claim in rows_of(path, kind, entries, KINDS[kind]):
            if claim.id in found:
                raise FluxlabError(
                    f"{path.name}: two claims have the id {claim.id!r}.", "Rename one."
                )
            found[claim.id] = claim
    # Within a line, in the order in which the quotes are written down.
    return Claims(tuple(sorted(found.values(), key=lambda claim: claim.line)), left_out)
