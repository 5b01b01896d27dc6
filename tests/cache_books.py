"""What the books of `cache_world` are made of: keys, rows, promises, loads and reads."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from cache_fleet import Facts

#: The rows each key is made of.
KEYS: dict[str, tuple[str, ...]] = {
    "user:1": ("user 1",),
    "user:1:unread:7": ("user 1", "messages 7"),
    "user:email:a@example.org": ("user 1",),
    "conv:7:messages:page:1": ("messages 7",),
    "note": ("note",),
}
#: What a writer of a row forgets: tags and keys.
FORGETS: dict[str, tuple[list[str], list[str]]] = {
    "user 1": (["user:1"], ["user:email:a@example.org"]),
    "messages 7": (["conv:7:messages"], []),
    "note": ([], ["note"]),
}
#: Its entries live this short; how often it is loaded says nothing.
FLEETING, FLEETING_S = "conv:7:messages:page:1", 0.06
GLOBS = {"user:1*": ("user:1", "user:1:unread:7"), "*": tuple(KEYS), "note": ("note",)}

DEADLINE_S, LEASE_S, BARRIER_S = 0.1, 0.6, 1.5
OPTIONS: Facts = {
    "deadline_s": DEADLINE_S,
    "lease_s": LEASE_S,
    "barrier_s": BARRIER_S,
    "probe_s": (0.02, 0.1),
    "max_loads": 32,
}
#: A read fetches, makes missing versions, fetches again and asks for a lease.
REQUESTS_OF_A_READ = 4
ENVELOPE = {"id", "of", "failures"}
#: Two cores are shared with whatever else is tested.
SLACK_S = 0.4

Versions = dict[str, int]
#: What has happened in all worlds, so that a test can see that it was enough.
SEEN: Counter[str] = Counter()


class Broken(AssertionError):  # noqa: N818 - a property is broken
    """A property does not hold: its name, what was seen, and how it came to that."""

    def __init__(self, name: str, seen: str, story: list[str]) -> None:
        self.name = name
        super().__init__(f"{name}: {seen}\n" + "\n".join(story[-80:]))


@dataclass(eq=False)
class Load:
    """A load under way: what it has read, and which read began it."""

    number: int
    at: int
    key: str
    read: int
    versions: Versions
    #: Whether it is the first under its versions, or should be; see `_count_load`.
    counts: bool
    failures: int
    begun_s: float = field(default_factory=time.monotonic)
    ended_s: float = 0.0
    failed: bool = False


@dataclass
class Read:
    """A read, and what it was promised when it began."""

    number: int
    at: int
    key: str
    floor: Versions
    period: int
    begun_s: float = field(default_factory=time.monotonic)
    answer: Facts | None = None
    load: Load | None = None


@dataclass
class Write:
    """A transaction; `stands` while its barrier keeps readers away for certain."""

    number: int
    at: int
    row: str
    with_barrier: bool
    stands: bool
    committed: bool = False


def who_loaded(loads: list[Load]) -> str:
    return ", ".join(f"load {one.number} of {one.at}" for one in loads)


def highest(one: Versions, other: Versions) -> Versions:
    return {row: max(one.get(row, 0), other.get(row, 0)) for row in one | other}
