"""What small experiments found on the practices that the report recommends, as values.

Each is a note beside the Measurements; what was timed stands there as a pair of its own
and is judged here with all others at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fluxlab.indexes.trials import TrialStore
from fluxlab.workload.change import Change, read_changes
from fluxlab.workload.noise import Floors
from fluxlab.workload.notes import Facts

KIND = "practice"


@dataclass(frozen=True, slots=True)
class OneString:
    """The whole migration sent as one string, which the server takes as one transaction.

    Of the `wanted` indexes `made` are there, by so many `transactions`. The tables
    `locked` at its end could not be written to until then, `blocked_ms` after its start.
    `again` is what the server says to the same string once more, `concurrently` what it
    says when its indexes are to be built without blocking writes; empty for no error.
    """

    wanted: int
    made: int
    transactions: int
    locked: tuple[str, ...]
    blocked_ms: float
    again: str
    concurrently: str


@dataclass(frozen=True, slots=True)
class Twin:
    """A partial index beside a full one on the same keys; `pairs` read either alike.

    The pairs are fingerprints: *before* is with the full one, *after* with the partial.
    """

    index: str
    size_bytes: int
    full_bytes: int
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """One Query with its star and with only the columns that are read.

    `columns` and `answer_bytes` are (with the star, without); `pair` is a fingerprint,
    empty where no clock ran.
    """

    query: str
    columns: tuple[int, int]
    answer_bytes: tuple[int, int]
    pair: str = ""


@dataclass(frozen=True, slots=True)
class Preparing:
    """What preparing does: `asked` reads, how many of them stay with a generic plan.

    `differing` are the classes of those whose own plan is another one, by Query. The
    `pairs` are timed: *before* unprepared, *after* prepared, as the server then plans.
    """

    asked: int
    generic: tuple[str, ...]
    differing: Mapping[str, tuple[str, ...]]
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rows of one scan: planned with the statistics before the week, after it, found."""

    query: str
    of_class: str
    scan: str
    stale: float
    fresh: float
    rows: float

    @property
    def is_off(self) -> bool:
        """Whether the old statistics mislead by a factor of ten."""
        return _factor(self.stale, self.rows) >= OFF

    @property
    def is_put_right(self) -> bool:
        """Whether they do and the new ones do not."""
        return self.is_off and _factor(self.fresh, self.rows) < OFF


#: An estimate is off from here on; plans rule R27 has the same figure.
OFF = 10.0


def _factor(planned: float, rows: float) -> float:
    one, other = max(planned, 1.0), max(rows, 1.0)
    return max(one / other, other / one)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Plans and estimates after a week of writes, without ANALYZE and with it.

    `asked` pairs were planned both ways. Of those `flickering` get another plan from any
    ANALYZE, without a week; the `pairs` got one from this, *before* with the old
    statistics. `estimates` are the worst scans of the reads that were executed. `written`
    counts the week's writes and `rows` the rows at its start, by table.
    """

    asked: int
    flickering: int
    estimates: tuple[Estimate, ...]
    pairs: tuple[str, ...]
    written: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def due(self) -> tuple[str, ...]:
        """The tables that autovacuum would have analysed within the week by itself.

        By its defaults: 50 rows and a tenth of the table. Source: manual, "The
        Autovacuum Daemon".
        """
        return tuple(
            table
            for table, written in self.written.items()
            if written > 50 + self.rows.get(table, 0) / 10
        )


@dataclass(frozen=True, slots=True)
class Growth:
    """Blocks of a table or an index: before the week, after it, and vacuumed each day."""

    start: int
    never: int
    daily: int

    @property
    def spared(self) -> int:
        """Blocks that vacuuming each day spared."""
        return self.never - self.daily


@dataclass(frozen=True, slots=True)
class Touched:
    """Blocks that a read touches after the week, after VACUUM, after REINDEX as well."""

    query: str
    of_class: str
    indexes: tuple[str, ...]
    after_week: int
    after_vacuum: int
    after_reindex: int


@dataclass(frozen=True, slots=True)
class Upkeep:
    """A week without VACUUM beside one with it each day, and a rebuild at the end.

    `rebuilt` are blocks of an index at the end of the week and after REINDEX.
    """

    tables: Mapping[str, Growth]
    indexes: Mapping[str, Growth]
    rebuilt: Mapping[str, tuple[int, int]]
    reads: tuple[Touched, ...]


@dataclass(frozen=True)
class Practices:
    """Everything that was found, None where it was not; `changes` are by fingerprint."""

    one_string: OneString | None = None
    twins: tuple[Twin, ...] | None = None
    narrowed: tuple[Narrowed, ...] | None = None
    preparing: Preparing | None = None
    statistics: Statistics | None = None
    upkeep: Upkeep | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)

    def of(self, pairs: Sequence[str]) -> tuple[Change, ...]:
        """Return the Changes of some pairs, those that were measured."""
        return tuple(self.changes[one] for one in pairs if one in self.changes)


def facts_of(found: object) -> Facts:
    """Return a value, or a list of values of one class, as a note has it."""
    if isinstance(found, tuple):
        return {"all": [asdict(one) for one in found]}
    return asdict(found)  # type: ignore[call-overload, no-any-return]


def read_practices(store: TrialStore, floors: Floors) -> Practices:
    """Read every note on practices, and judge what was timed for them."""
    notes = store.notes.read(KIND)
    found = Practices(
        one_string=_one_string(notes.get("one string")),
        twins=_twins(notes.get("twins")),
        narrowed=_narrowed(notes.get("narrowed")),
        preparing=_preparing(notes.get("preparing")),
        statistics=_statistics(notes.get("statistics")),
        upkeep=_upkeep(notes.get("upkeep")),
    )
    wanted = set(_pairs(found))
    pairs = {name: one for name, one in store.switches.pairs().items() if name in wanted}
    changes = read_changes(list(pairs.values()), lambda query: floors) if pairs else ()
    return replace(found, changes=dict(zip(pairs, changes, strict=True)))


def _pairs(found: Practices) -> list[str]:
    return [
        *(pair for twin in found.twins or () for pair in twin.pairs),
        *(one.pair for one in found.narrowed or ()),
        *(found.preparing.pairs if found.preparing else ()),
        *(found.statistics.pairs if found.statistics else ()),
    ]


def _one_string(facts: Facts | None) -> OneString | None:
    return (
        None if facts is None else OneString(**{**facts, "locked": _tuple(facts, "locked")})
    )


def _twins(facts: Facts | None) -> tuple[Twin, ...] | None:
    if facts is None:
        return None
    return tuple(Twin(**{**one, "pairs": _tuple(one, "pairs")}) for one in facts["all"])


def _narrowed(facts: Facts | None) -> tuple[Narrowed, ...] | None:
    if facts is None:
        return None
    return tuple(
        Narrowed(
            one["query"], tuple(one["columns"]), tuple(one["answer_bytes"]), one["pair"]
        )
        for one in facts["all"]
    )


def _preparing(facts: Facts | None) -> Preparing | None:
    if facts is None:
        return None
    differing = {query: tuple(classes) for query, classes in facts["differing"].items()}
    return Preparing(
        facts["asked"], _tuple(facts, "generic"), differing, _tuple(facts, "pairs")
    )


def _statistics(facts: Facts | None) -> Statistics | None:
    if facts is None:
        return None
    estimates = tuple(Estimate(**one) for one in facts["estimates"])
    return Statistics(**{**facts, "estimates": estimates, "pairs": _tuple(facts, "pairs")})


def _upkeep(facts: Facts | None) -> Upkeep | None:
    if facts is None:
        return None
    tables, indexes = (
        {name: Growth(**one) for name, one in facts[of].items()}
        for of in ("tables", "indexes")
    )
    rebuilt = {name: (one[0], one[1]) for name, one in facts["rebuilt"].items()}
    reads = tuple(
        Touched(**{**one, "indexes": _tuple(one, "indexes")}) for one in facts["reads"]
    )
    return Upkeep(tables, indexes, rebuilt, reads)


def _tuple(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(facts[name])
