"""The mix: what users ask for, how often, and what one look at a page holds.

Weights are those of the Queries. Each is asked on the kind of page that its parameters
belong to, at most once a view, so that within a view nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from fluxlab.caching.replays.resources import RESOURCES, Resource, weight_of
from fluxlab.caching.replays.scenes import Scene, Stage, Value, anybody, value_of
from fluxlab.caching.replays.writes import WRITES, Part, Write
from fluxlab.workload.query import Query, Workload

#: Writes as a share of all that is asked. The weights alone would give 8 %, which is
#: less than the 10 to 15 % that the facts about the load say.
WRITE_SHARE = 0.12
#: What is asked more rarely in 1,000 requests is a report or a night's work: a window of
#: seconds would hold one or none of it, and that would decide the load.
LEAST_WEIGHT = 0.2
#: Requests of one view of a page.
REQUESTS_A_VIEW = 3.0

_PAGES: tuple[tuple[Part, frozenset[str]], ...] = (
    (
        "conversation",
        frozenset(
            [
                "conversation_id",
                "message_id",
                "thread_id",
                "message_ids",
                "before_id",
                "user_ids",
            ]
        ),
    ),
    ("project", frozenset(["project_id", "file_id", "milestone_id"])),
    ("organization", frozenset(["organization_id", "team_id"])),
)


#: A profile is read by others too.
_SOMEBODY: Mapping[str, Value] = {
    "user_id": lambda stage, scene: stage.people.users[anybody(stage, scene)]
}


@dataclass(frozen=True)
class Ask:
    """A read, or a write of one or two Queries, on a page; `weight` per 1,000 requests.

    A read with a `resource` goes through the cache.
    """

    queries: tuple[Query, ...]
    page: Part
    weight: float
    fills: tuple[tuple[Value, ...], ...]
    resource: Resource | None = None
    write: Write | None = None

    @property
    def query(self) -> Query:
        """The first Query."""
        return self.queries[0]

    def values(self, stage: Stage, scene: Scene) -> Iterator[tuple[object, ...]]:
        """Go through the Queries' parameters, in the order of their names."""
        for fills in self.fills:
            yield tuple(fill(stage, scene) for fill in fills)

    def key(self, stage: Stage, scene: Scene) -> str:
        """Return the key under which the answer is cached."""
        assert self.resource is not None
        needed = self.resource.names
        return self.resource.key(
            {
                name: fill(stage, scene)
                for name, fill in zip(self.query.names, self.fills[0], strict=True)
                if name in needed
            }
        )


@dataclass(frozen=True)
class Mix:
    """Everything that is asked. `covered` is the share of all reads' weight that it has."""

    asks: tuple[Ask, ...]
    covered: float

    @cached_property
    def views(self) -> Mapping[Part, float]:
        """Views of each kind of page in 1,000 requests."""
        total = sum(one.weight for one in self.asks)
        weights: dict[Part, float] = {}
        for one in self.asks:
            weights[one.page] = weights.get(one.page, 0.0) + one.weight
        found = {
            page: 1_000 / REQUESTS_A_VIEW * weight / total
            for page, weight in weights.items()
        }
        # What is asked most on a page is asked in every view of it, and never twice.
        most = {page: max(o.weight for o in self.asks if o.page == page) for page in found}
        return {page: max(found[page], most[page]) for page in found}

    def chance(self, ask: Ask) -> float:
        """Return the share of the views of its page in which something is asked."""
        return ask.weight / self.views[ask.page]

    @property
    def weight(self) -> float:
        """Reads and writes in 1,000 requests."""
        return sum(one.weight for one in self.asks)

    @property
    def write_share(self) -> float:
        """Writes as a share of all."""
        return sum(one.weight for one in self.asks if one.write) / self.weight

    @property
    def cached_share(self) -> float:
        """Reads with a key of the report as a share of all reads."""
        reads = [one for one in self.asks if not one.write]
        cached = sum(one.weight for one in reads if one.resource)
        return cached / sum(one.weight for one in reads)


def make_mix(workload: Workload, write_share: float = WRITE_SHARE) -> Mix:
    """Return the mix of a Workload, with this share of writes."""
    reads = [*_cached(workload), *_others(workload)]
    all_reads = sum(query.weight for query in workload.values() if not query.is_write)
    total = sum(one.weight for one in reads)
    writes = [
        (write, [workload.find(name) for name in write.queries])
        for write in WRITES.values()
    ]
    scale = total * write_share / (1 - write_share)
    scale /= sum(queries[0].weight for _, queries in writes)
    return Mix(
        (
            *reads,
            *(
                Ask(
                    tuple(queries),
                    _page_of(queries[0]),
                    queries[0].weight * scale,
                    tuple(_must_fill(query, write.values) for query in queries),
                    write=write,
                )
                for write, queries in writes
            ),
        ),
        total / all_reads,
    )


def _cached(workload: Workload) -> Iterator[Ask]:
    for one in RESOURCES.values():
        query = workload.find(one.query)
        values = _SOMEBODY if query.name == "user_by_id" else {}
        fills = _must_fill(query, values)
        yield Ask((query,), _page_of(query), weight_of(one, workload), (fills,), one)


def _others(workload: Workload) -> Iterator[Ask]:
    taken = {name for one in RESOURCES.values() for name in (one.query, *one.others)}
    for query in workload.values():
        if query.is_write or query.name in taken or query.weight < LEAST_WEIGHT:
            continue
        if (fills := _fills(query, {})) is not None:
            yield Ask((query,), _page_of(query), query.weight, (fills,))


def _must_fill(query: Query, values: Mapping[str, Value]) -> tuple[Value, ...]:
    fills = _fills(query, values)
    assert fills is not None, f"{query.name} has a parameter that nobody fills in"
    return fills


def _fills(query: Query, values: Mapping[str, Value]) -> tuple[Value, ...] | None:
    known = {one.name: one for one in query.parameters}
    found = [
        values.get(name) or value_of(query, known.get(name), name) for name in query.names
    ]
    fills = tuple(one for one in found if one is not None)
    return fills if len(fills) == len(found) else None


def _page_of(query: Query) -> Part:
    for page, names in _PAGES:
        if names.intersection(query.names):
            return page
    return "user"
