"""When does an index start to matter: ten statements, with and without what serves them.

At each size one scratch copy of the state sprint11 has all indexes. Two sessions look at
it; from one of them the indexes that serve the statement are hidden. Rows, pages and
buffers are the same for both.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from fluxlab.dataset.load import build_template, fingerprint_of
from fluxlab.errors import FluxlabError
from fluxlab.indexes.catalog import IndexFacts
from fluxlab.indexes.hiding import hidden, scratch
from fluxlab.indexes.states import DATABASES
from fluxlab.lab import Lab, prepare
from fluxlab.measuring import plan_work
from fluxlab.plans.explain import explain
from fluxlab.progress import Report, Tick
from fluxlab.servers import postgres
from fluxlab.servers.alone import alone
from fluxlab.servers.cluster import memory_bytes
from fluxlab.servers.connections import connect
from fluxlab.settings import USERS_OF_SIZE, Settings
from fluxlab.workload.budget import LEAST_ROUNDS, Budget
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.clock import placed
from fluxlab.workload.measure import Bench, Probe, first_look, more_rounds
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query, Workload
from fluxlab.workload.served import (
    At,
    IndexScale,
    Served,
    Side,
    joined,
    read_scale,
    write_scale,
)
from fluxlab.workload.store import State

#: The users of the reference: three decades of rows, and one size between.
REFERENCE_USERS = (100, 1_000, 3_162, 10_000)
REFERENCE = Path("data") / "reference" / "index_scale.json"
#: Time enough to see a search through millions of rows to its end.
REFERENCE_BUDGET = Budget(
    "reference", 0.0, first_ms=1_500, looked_rounds=12, max_rounds=12, timeout_ms=120_000
)
#: A look at the reader's own size, while she reads.
OWN_BUDGET = Budget(
    "own size", 0.0, first_ms=150, looked_rounds=8, max_rounds=8, timeout_ms=10_000
)
_CLASSES = ("typical", "hot")
_OF_ONE_SIZE = ("dataset", "world")

_HIDE_UNIQUE = """
update pg_index
set indisvalid = false
where indexrelid in (select to_regclass(quote_ident(name)) from unnest(%s::text[]) as name)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A Query, what it is called here, and the tables whose indexes are in question.

    The first table is the one whose rows a latency is drawn over.
    """

    query: str
    name: str
    tables: tuple[str, ...]


#: The report's six rows, and four in which an index matters in another way.
SUBJECTS = (
    Subject("user_by_email", "User by email", ("users",)),
    Subject("projects_of_org", "Organization projects", ("projects",)),
    Subject("files_of_project", "Project files list", ("files",)),
    Subject("messages_page_first", "Conversation messages", ("messages",)),
    Subject("message_search_global", "Message search", ("messages",)),
    Subject(
        "analytics_org_dashboard",
        "Analytics dashboard",
        (
            *("messages", "files", "conversations", "projects"),
            *("invoices", "organization_members"),
        ),
    ),
    Subject("replies_of_message", "Replies to a message", ("messages",)),
    Subject("notifications_newest_platform", "Newest notifications", ("notifications",)),
    Subject("messages_live_count", "Count of live messages", ("messages",)),
    Subject("time_project_totals", "Hours per project", ("time_entries",)),
)


def read_reference(root: Path) -> IndexScale:
    """Read the measured reference that the repository publishes."""
    return read_scale(root / REFERENCE)


def measure_own(lab: Lab, report: Report = lambda tick: None) -> IndexScale:
    """Return the statements at the lab's own size; measured once and then remembered."""
    path = lab.settings.home / "index_scale.json"
    if path.exists():
        known = read_scale(path)
        if known.facts.get("world") == _world(lab):
            return known
    found = measure_size(lab, OWN_BUDGET, report)
    write_scale(found, path)
    return found


def measure_reference(
    settings: Settings, users: tuple[int, ...], budget: Budget, report: Report
) -> IndexScale:
    """Measure several sizes, each on a server of its own that is erased afterwards.

    A size that is measured already is not built again, so a killed run goes on.
    """
    home = settings.home / "bench-scale"
    workload = load_workload(settings.root / "sql" / "queries")
    found = []
    for count in users:
        names = {number: name for name, number in USERS_OF_SIZE.items()}
        own = replace(settings, home=home / str(count), size=names.get(count, str(count)))
        kept = home / f"{count}.json"
        scale = read_scale(kept) if kept.exists() else None
        if (
            scale is None
            or scale.facts.get("dataset") != fingerprint_of(own)
            or not is_current(scale, workload)
        ):
            scale = _measure_elsewhere(own, budget, report)
            write_scale(scale, kept)
        found.append(scale)
    whole = joined(found)
    # Each size has a fingerprint of its own, and none is that of the whole.
    facts = {name: fact for name, fact in whole.facts.items() if name not in _OF_ONE_SIZE}
    return replace(whole, facts={**facts, "command": "make bench-scale"})


def _measure_elsewhere(own: Settings, budget: Budget, report: Report) -> IndexScale:
    def said(tick: Tick) -> None:
        report(replace(tick, phase=f"{own.users:,} users: {tick.phase}"))

    if own.database_url:
        raise FluxlabError(
            "Other sizes cannot be built on a server of somebody else.",
            "Unset DATABASE_URL and DB_HOST.",
        )
    try:
        server = postgres.start(own)
        dataset = build_template(
            server, own, lambda step: said(Tick(step.name, step.done, step.total))
        )
        lab = Lab(own, server, dataset)
        for name in DATABASES:
            prepare(lab, name, lambda done, total, _: said(Tick("indexes", done, total)))
        return measure_size(lab, budget, said, LEAST_ROUNDS)
    finally:
        postgres.erase(own)


def measure_size(
    lab: Lab, budget: Budget, report: Report, least_rounds: int = 1
) -> IndexScale:
    """Measure every statement at the size of a lab, with two classes of parameters.

    A slow statement gets `least_rounds` even where the budget has no time for them.
    """
    names = {one.query for one in SUBJECTS}
    work = plan_work(lab, report, names)
    drawn: dict[tuple[str, str], tuple[Query, ParameterSet]] = {
        (query.name, found.of_class): (query, found) for query, found in work
    }
    todo = [
        (one, *drawn[one.query, of_class])
        for one in SUBJECTS
        for of_class in _CLASSES
        if (one.query, of_class) in drawn
    ]
    found: list[Served] = []
    with alone(lab.server, "measuring"), _stand(lab, budget, least_rounds) as stand:
        for done, (subject, query, parameters) in enumerate(todo):
            report(Tick("with and without", done, len(todo), query.name))
            at = stand.measure(subject, query, parameters)
            found.append(
                Served(
                    subject.name,
                    query.name,
                    subject.tables[0],
                    parameters.of_class,
                    (at,),
                )
            )
        report(Tick("with and without", len(todo), len(todo)))
        return IndexScale(_facts(lab, budget, stand.placement), tuple(found))


@dataclass(frozen=True, slots=True)
class _Stand:
    """Two sessions on one scratch database, and what is known of its indexes."""

    lab: Lab
    budget: Budget
    state: State
    sides: tuple[psycopg.Connection, psycopg.Connection]
    placement: str
    indexes: tuple[IndexFacts, ...]
    least_rounds: int

    def measure(self, subject: Subject, query: Query, parameters: ParameterSet) -> At:
        """Measure one statement on both sides, taking turns."""
        names = self._serving(subject, query, parameters)
        without, with_ = self.sides
        with self._hidden(names), hidden(with_, ()):
            bench = Bench(
                Probe(self.state, (without,)),
                Probe(self.state, (with_,)),
                self.budget,
                self.placement,
                is_nested=True,
            )
            pair = first_look(bench, query, parameters)
            missing = self.least_rounds - len(pair[0].sample.blocks)
            if missing > 0:
                pair = more_rounds(bench, query, parameters, pair, missing)
        sizes = {one.name: one.size_bytes for one in self.indexes}
        return At(
            users=self.lab.settings.users,
            rows=self.lab.dataset.rows[subject.tables[0]],
            hidden={name: sizes[name] for name in sorted(names)},
            sides={"without": Side.of(pair[0]), "with": Side.of(pair[1])},
        )

    def _serving(
        self, subject: Subject, query: Query, parameters: ParameterSet
    ) -> frozenset[str]:
        """Return every index of the tables that the planner reads, one after another.

        Where one is hidden the planner takes the next best, until it reads the tables
        from end to end: that is the statement without an index.
        """
        on_tables = {one.name for one in self.indexes if one.table_name in subject.tables}
        names: Set[str] = frozenset()
        while True:
            with self._hidden(names):
                plan = explain(self.sides[0], query.statement, parameters.values)
            found = on_tables.intersection(plan.indexes)
            if not found:
                return frozenset(names)
            names = names | found

    @contextmanager
    def _hidden(self, names: Set[str]) -> Iterator[None]:
        """Hide indexes from the first side, also those that keep rows unique.

        Those take a proof away as well, as they would if they were dropped; and whether a
        read is as fast without it is the question here.
        """
        unique = {one.name for one in self.indexes if one.is_unique} & names
        with hidden(self.sides[0], names - unique):
            if unique:
                self.sides[0].execute(_HIDE_UNIQUE, (sorted(unique),), prepare=False)
            yield


@contextmanager
def _stand(lab: Lab, budget: Budget, least_rounds: int) -> Iterator[_Stand]:
    with ExitStack() as stack:
        enter = stack.enter_context
        database = enter(scratch(lab.server, "scale", DATABASES["sprint11"]))
        without, with_ = (enter(connect(lab.server, database)) for _ in range(2))
        placement = enter(placed((without, with_), is_ours=lab.server.is_ours))
        state, catalog = lab.state("sprint11"), lab.catalog("sprint11")
        sides = without, with_
        yield _Stand(lab, budget, state, sides, placement, catalog.indexes, least_rounds)


def _world(lab: Lab) -> str:
    """Name data, indexes, server and statements: in another world it is measured anew."""
    state = lab.state("sprint11")
    return " ".join((state.dataset, state.indexes, state.server, _statements(lab.workload)))


def _statements(workload: Workload) -> str:
    """Return sixteen hex digits over what is asked of which tables."""
    asked = ((workload[one.query].fingerprint, one.tables) for one in SUBJECTS)
    return hashlib.sha256(repr(list(asked)).encode()).hexdigest()[:16]


def is_current(scale: IndexScale, workload: Workload) -> bool:
    """Whether a scale was measured with the statements as they are now."""
    return scale.facts.get("statements") == _statements(workload)


def _facts(lab: Lab, budget: Budget, placement: str) -> Mapping[str, str]:
    memory_gib = memory_bytes() / 2**30
    return {
        "measured on": f"{datetime.now(UTC):%Y-%m-%d}",
        "system": f"{platform.system()} {platform.machine()}",
        "memory": f"{memory_gib:.1f} GiB",
        "placement": placement,
        "seed": str(lab.settings.seed),
        "a first look at each": f"{budget.first_ms:g} ms, {budget.looked_rounds} rounds "
        "at most",
        "cut off at": f"{budget.timeout_ms / 1000:g} s",
        **dict(lab.state("sprint11").facts),
        "statements": _statements(lab.workload),
        "dataset": lab.dataset.fingerprint,
        "world": _world(lab),
    }
