"""The Price of an index: what the writes of the Workload pay for it.

A write is executed with the index and without it, hidden from the executor, which does
what dropping it would do. WAL records and bytes, blocks and HOT updates are counted, and
do not depend on what else the machine does; the clock stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fluxlab.indexes.wal import Wal
from fluxlab.workload.stats import Speedup

Operation = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class WriteCost:
    """What one execution of a write does, on average over `executions`.

    WAL is without full-page images, which depend on the last checkpoint: `entries` by
    index of the table, `rows_wal` for the rows, and whatever triggers and foreign keys
    write. `hot_updates` of its `updates` wrote no index entry at all. `blocks` have 8 kB.
    `deferred` is due later: bytes of WAL for merging the pending list of a GIN index.
    """

    query: str
    operation: Operation
    executions: int
    rows: float
    blocks: float
    rows_wal: Wal
    entries: Mapping[str, Wal]
    updates: float = 0.0
    hot_updates: float = 0.0
    deferred: Mapping[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> Wal:
        """All WAL together, what is due later included."""
        due = Wal(0.0, sum(self.deferred.values()))
        return sum(self.entries.values(), self.rows_wal + due)

    def entries_beside(self, names: Collection[str]) -> Wal:
        """Return the WAL of all index entries but those of some indexes."""
        others = (one for name, one in self.entries.items() if name not in names)
        return sum(others, Wal())


@dataclass(frozen=True, slots=True)
class WritePrice:
    """One write with some indexes and without them; `names` are theirs.

    `slowdown` is the time with ÷ without, `time_ms` the median without; None where the
    write was not timed.
    """

    names: tuple[str, ...]
    on: WriteCost
    off: WriteCost
    slowdown: Speedup | None = None
    time_ms: float | None = None

    @property
    def wal(self) -> Wal:
        """The WAL that an execution writes more.

        That is what is logged for the indexes themselves, and for each HOT update that
        they prevent the entries that all other indexes get for it. Where else the pages
        of those happen to split is nobody's fault.
        """
        own = sum((self.on.entries.get(name, Wal()) for name in self.names), Wal())
        not_hot = self.on.updates - self.on.hot_updates
        if self.hot_lost <= 0 or not_hot <= 0:
            return own
        return own + self.on.entries_beside(self.names).per(not_hot / self.hot_lost)

    @property
    def wal_bytes(self) -> float:
        """Bytes of WAL that an execution costs, what is due later included."""
        due = sum(self.on.deferred.get(name, 0.0) for name in self.names)
        return self.wal.size_bytes + due

    @property
    def wal_records(self) -> float:
        """WAL records that an execution writes more."""
        return self.wal.records

    @property
    def blocks(self) -> float:
        """Blocks that an execution touches more."""
        return self.on.blocks - self.off.blocks

    @property
    def hot_lost(self) -> float:
        """HOT updates that an execution has less, where it has none left.

        An index that keeps an update from being HOT does so each time. Where some are
        HOT with it, what differs is the room that happened to be left in a page.
        """
        return 0.0 if self.on.hot_updates else self.off.hot_updates

    @property
    def extra_ms(self) -> float:
        """What an execution takes longer, in ms at the client; 0 where it was not timed."""
        if self.slowdown is None or self.time_ms is None:
            return 0.0
        return self.time_ms * (self.slowdown.ratio - 1)


@dataclass(frozen=True, slots=True)
class Price:
    """What each write of the Workload on its table pays for an index, or for several.

    `subject` names it. `planning_ms` is what planning one statement on the table takes
    longer with it.
    """

    subject: str
    writes: tuple[WritePrice, ...]
    planning_ms: float = 0.0

    def per_thousand(
        self, weights: Mapping[str, float], of: Callable[[WritePrice], float]
    ) -> float:
        """Return an amount summed over 1,000 requests, each write by its weight."""
        return sum(weights.get(one.on.query, 0.0) * of(one) for one in self.writes)

    @property
    def names(self) -> frozenset[str]:
        """The indexes that it is the Price of."""
        return frozenset(name for one in self.writes for name in one.names)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The Price as JSON has it; `read_price` is the inverse."""
        return {name: value for name, value in asdict(self).items() if name != "subject"}


def read_price(subject: str, facts: Mapping[str, Any]) -> Price:
    """Return the Price that a note is about."""
    writes = tuple(
        WritePrice(
            tuple(one["names"]),
            _cost(one["on"]),
            _cost(one["off"]),
            Speedup(**one["slowdown"]) if one["slowdown"] else None,
            one["time_ms"],
        )
        for one in facts["writes"]
    )
    return Price(subject, writes, facts["planning_ms"])


def _cost(facts: Mapping[str, Any]) -> WriteCost:
    entries = {name: Wal(**one) for name, one in facts["entries"].items()}
    return WriteCost(**{**facts, "entries": entries, "rows_wal": Wal(**facts["rows_wal"])})


def priced(
    subject: str,
    names: Sequence[str],
    on: Mapping[str, WriteCost],
    off: Mapping[str, WriteCost],
    timed: Mapping[str, tuple[Speedup, float]],
    planning_ms: float = 0.0,
) -> Price:
    """Join what the writes do with some indexes and without them; keys are Queries."""
    writes = (
        WritePrice(tuple(names), on[name], off[name], *timed.get(name, (None, None)))
        for name in sorted(on.keys() & off.keys())
    )
    return Price(subject, tuple(writes), planning_ms)
