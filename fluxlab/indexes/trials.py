"""Trials: two sets of indexes over one database, and what the difference does.

Two sessions look at the same scratch database, and each hides other indexes in a
transaction of its own. The planner tells which pairs of Query and ParameterSet get
another plan; only those are measured, both sides taking turns. Rows, pages and buffers
are the same for both: what differs is the index.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg.sql import SQL, Identifier

from fluxlab.indexes.catalog import ForeignKeyFacts
from fluxlab.indexes.hiding import hidden
from fluxlab.indexes.planner import Key, Planner, Question
from fluxlab.indexes.switches import Switch, SwitchStore, switches
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.workload.budget import Budget
from fluxlab.workload.clock import placed
from fluxlab.workload.measure import Bench, Pair, Probe, TimeSpent, first_look, more_rounds
from fluxlab.workload.notes import Facts, Notes
from fluxlab.workload.store import State

#: *ladder*: added to those before it. *alone*: added to the baseline. *without*: taken
#: from all. *dropped*: a whole set taken from all. *control*: nothing taken (A/A).
Kind = Literal["ladder", "alone", "without", "dropped", "control"]
#: So many WAL records of rolled-back writes leave dead rows that slow later scans.
_MANY_RECORDS = 1_000
#: One pair of so many is measured against itself.
_CONTROL_SHARE = 12


@dataclass(frozen=True, slots=True)
class Trial:
    """What an index, or a set of them, changed; `switches` are fingerprints.

    `asked` counts the pairs that the planner was asked about. An index built for it took
    `build_ms`, and `wal_bytes` of write-ahead log; it has `size_bytes`. `rounds` is how
    many the first look at a Switch was meant to take.
    """

    kind: Kind
    subject: str
    asked: int
    switches: tuple[str, ...]
    rounds: int
    build_ms: float = 0.0
    size_bytes: int = 0
    wal_bytes: int = 0

    @classmethod
    def read(cls, kind: Kind, subject: str, facts: Facts) -> Trial:
        """Return the Trial that a note is about."""
        return cls(kind, subject, **{**facts, "switches": tuple(facts["switches"])})

    @property
    def facts(self) -> Facts:
        """What a note of it says."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("kind", "subject")
        }


@dataclass(slots=True)
class TrialStore:
    """The two stores that Trials are kept in, and what was done in this process."""

    switches: SwitchStore
    notes: Notes
    time_spent: TimeSpent = field(default_factory=TimeSpent)
    measured: int = 0

    @classmethod
    def open(cls, path: Path, world: str) -> TrialStore:
        """Open the stores of one world: a data set, on a server, under a Workload."""
        return cls(SwitchStore(path, world), Notes(path, world))

    def trials(self, kind: Kind) -> dict[str, Trial]:
        """Return the Trials of a kind that are complete, by subject."""
        found = self.notes.read(kind)
        return {name: Trial.read(kind, name, facts) for name, facts in found.items()}

    def keep(self, trial: Trial) -> None:
        """Keep a Trial that is complete."""
        self.notes.write(trial.kind, trial.subject, trial.facts)

    def is_done(self, kind: Kind, subject: str, budget: Budget) -> bool:
        """Whether a Trial is complete, with as many rounds as this budget wants."""
        known = self.trials(kind).get(subject)
        return known is not None and known.rounds >= budget.looked_rounds

    def close(self) -> None:
        """Close both stores."""
        self.switches.close()
        self.notes.close()


class Stand:
    """A scratch database with a session for each side, ready for Trials.

    Use it in a `with` block. Between Trials both sessions are idle, so the indexes of
    the database may change.
    """

    def __init__(
        self,
        server: PostgresServer,
        database: str,
        questions: Sequence[Question],
        foreign_keys: Sequence[ForeignKeyFacts],
        budget: Budget,
        store: TrialStore,
        state: State,
    ) -> None:
        self._server = server
        self._database = database
        self._questions = questions
        self._foreign_keys = foreign_keys
        self._budget = budget
        self._store = store
        self._state = state
        self._stack = ExitStack()
        self._written: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Open both sessions and put them on their cores."""
        enter = self._stack.enter_context
        sides = [enter(connect(self._server, self._database)) for _ in range(2)]
        placement = enter(placed(sides, is_ours=self._server.is_ours))
        probes = [Probe(self._state, (one,)) for one in sides]
        self._bench = Bench(
            probes[0],
            probes[1],
            self._budget,
            placement,
            is_nested=True,
            time_spent=self._store.time_spent,
        )
        self._planners = [Planner(one, self._foreign_keys) for one in sides]
        self._rounds = self._store.switches.rounds()
        self._reach = self._planners[0].reach(self._questions)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close both sessions; what they hid is seen again."""
        self._stack.close()

    @property
    def sides(self) -> tuple[psycopg.Connection, psycopg.Connection]:
        """Both sessions, that without an index first."""
        return self._bench.before.connection, self._bench.after.connection

    @property
    def database(self) -> str:
        """The scratch database that this stands on."""
        return self._database

    def on_tables(self, tables: Collection[str]) -> tuple[Question, ...]:
        """Return the questions that read, write or check one of these tables."""
        wanted = frozenset(tables)
        return tuple(one for one in self._questions if wanted & self._reach[one.key])

    def compare(
        self,
        kind: Kind,
        subject: str,
        hidden_before: Collection[str],
        tables: Collection[str],
    ) -> Trial:
        """Hide indexes from the first side, and measure what the second does otherwise.

        What is measured is kept at once; the Trial itself is the caller's to keep.
        """
        start = time.perf_counter()
        sides = self.sides
        questions = self.on_tables(tables)
        with hidden(sides[0], hidden_before), hidden(sides[1], ()):
            before, after = (planner.plans(questions) for planner in self._planners)
            found = switches(questions, before, after)
            for switch in found:
                self._measure(switch)
        self._tidy()
        self._store.time_spent.elapsed_s += time.perf_counter() - start
        names = tuple(one.fingerprint for one in found)
        return Trial(kind, subject, len(questions), names, self._budget.looked_rounds)

    def control(self, subject: str) -> Trial:
        """Measure some pairs with all indexes on both sides: every difference is false."""
        reads = [one for one in self._questions if not one.query.is_write]
        chosen = reads[::_CONTROL_SHARE]
        bench, self._bench = self._bench, replace(self._bench, is_control=True)
        found = tuple(Switch(one, "as it is", "as it is") for one in chosen)
        try:
            with hidden(self.sides[0], ()), hidden(self.sides[1], ()):
                for switch in found:
                    self._measure(switch)
        finally:
            self._bench = bench
        names = tuple(one.fingerprint for one in found)
        return Trial("control", subject, len(chosen), names, self._budget.looked_rounds)

    def plans(self, names: Collection[str]) -> Mapping[Key, str]:
        """Return every pair's plan with some indexes hidden; nothing is measured."""
        with hidden(self._bench.before.connection, names):
            return self._planners[0].plans(self._questions)

    def _measure(self, switch: Switch) -> None:
        name, question = switch.fingerprint, switch.question
        known, wanted = self._rounds.get(name, 0), self._budget.looked_rounds
        if known >= wanted or (known and self._budget.is_frugal):
            return
        query, parameters = question.query, question.parameters
        if not known:
            pair = first_look(self._bench, query, parameters)
            self._store.time_spent.pairs += 1
        else:
            earlier = self._store.switches.pair(name)
            pair = more_rounds(self._bench, query, parameters, earlier, wanted - known)
        self._store.switches.add(switch, pair, wanted)
        self._note_writes(query.tables, pair)
        self._rounds[name] = wanted
        self._store.measured += 1

    def _note_writes(self, tables: Collection[str], pair: Pair) -> None:
        records = sum(one.plan.wal_records * one.sample.executions for one in pair)
        if records:
            self._written.update(dict.fromkeys(tables, records))

    def _tidy(self) -> None:
        """Remove the dead rows of writes that were rolled back."""
        connection = self.sides[0]
        connection.execute("set statement_timeout = 0")
        for table, records in list(self._written.items()):
            if records > _MANY_RECORDS:
                connection.execute(SQL("vacuum {}").format(Identifier(table)))
                del self._written[table]
