"""What the small checks found: values that a note keeps and judges read.

Every value names the layer it is of: "sprint11" is the report's cache re-created,
"fluxlab" is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from fluxlab.caching.experiments.found import rebuilt
from fluxlab.caching.results import LayerName
from fluxlab.workload.notes import Facts

ServerState = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A value stored under one of the six lifetimes: what PTTL said at once after."""

    layer: LayerName
    name: str
    seconds: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A key of the report, filled by its Query from PostgreSQL and read back.

    `pattern` is the report's text and `key` what `build_key` made of it. `lost` names
    columns that came back with another type or value, with both types.
    """

    layer: LayerName
    pattern: str
    key: str
    query: str
    rows: int
    is_stored: bool
    is_read: bool
    lost: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether the answer came back as it went."""
        return self.is_stored and self.is_read and not self.lost


@dataclass(frozen=True, slots=True)
class Example:
    """The report's examples: set, get, get-or-set of a row that exists, and delete.

    `loads` are the loader calls of two get-or-sets. `is_deleted`: the key went, and
    `is_other_left` that nothing else did.
    """

    layer: LayerName
    is_set: bool
    left_ms: int
    is_same: bool
    loads: int
    is_loaded_same: bool
    is_deleted: bool
    is_other_left: bool


@dataclass(frozen=True, slots=True)
class PatternDeleted:
    """The keys that `delete_pattern(glob)` removed and left, of one user and of another.

    `matching` are those that the glob means, by the rules of a shell.
    """

    layer: LayerName
    glob: str
    matching: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counting:
    """Reads that we made and what the cache's statistics said of them.

    `hits` and `misses` are ours; meanwhile somebody else read `others` keys of another
    database of the server. `said_*` is the difference that the statistics show.
    `is_by_resource`: they tell one kind of key from another.
    """

    layer: LayerName
    hits: int
    misses: int
    others: int
    said_hits: int
    said_misses: int
    is_by_resource: bool


@dataclass(frozen=True, slots=True)
class HealthSaid:
    """What the health check of a cache said while its server ran or was stopped."""

    layer: LayerName
    server: ServerState
    said: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the report's health endpoint answers, from real answers of both servers."""

    database: str
    cache: str
    says: str


@dataclass(frozen=True, slots=True)
class Start:
    """A start of the application while the cache's server is not there.

    `raised` is the error that reached the caller, or empty; `is_answered` whether a read
    was answered all the same, by its loader.
    """

    layer: LayerName
    took_s: float
    raised: str
    is_connected: bool
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Burst:
    """How many connections `readers` reads at once opened."""

    layer: LayerName
    readers: int
    connections: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """The waits between attempts to connect to a server that hangs up at once.

    `is_over`: it gave up for good while we looked.
    """

    layer: LayerName
    waits_s: tuple[float, ...]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Checks:
    """Everything that was checked, on which server, and how long it took.

    `address` is where the report's cache connects to when its settings `given` name
    another port and another database.
    """

    server: str
    took_s: float
    ping: str
    given: Mapping[str, str]
    address: str
    lifetimes: tuple[Lifetime, ...]
    filled: tuple[Filled, ...]
    examples: tuple[Example, ...]
    deleted: tuple[PatternDeleted, ...]
    counted: tuple[Counting, ...]
    health: tuple[HealthSaid, ...]
    endpoint: tuple[Endpoint, ...]
    starts: tuple[Start, ...]
    bursts: tuple[Burst, ...]
    attempts: tuple[Attempts, ...]


def facts_of(checks: Checks) -> Facts:
    """Return the Checks as a note has them."""
    return asdict(checks)


def checks_of(facts: Facts) -> Checks:
    """Return the Checks of a note."""
    return rebuilt(Checks, facts)
