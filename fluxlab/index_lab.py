"""The IndexLab: what is known of each index, read from the results store.

`indexing` measures it; this only reads, and needs the server for names and sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pglast

from fluxlab.errors import FluxlabError
from fluxlab.indexes.contribution import (
    Contributions,
    Worth,
    read_contributions,
    weights_of,
)
from fluxlab.indexes.decisions import Case, Decisions, Thresholds, decide, used_in
from fluxlab.indexes.definition import IndexDef, KnownIndex, read_indexes
from fluxlab.indexes.planner import Question
from fluxlab.indexes.price import Price, read_price
from fluxlab.indexes.settle import Settlement, read_settlement
from fluxlab.indexes.steps import Step, read_steps
from fluxlab.indexes.trials import Kind, TrialStore
from fluxlab.workload.query import Query

if TYPE_CHECKING:
    from fluxlab.lab import Lab

MIGRATION = "005_performance_optimization_indexes.sql"
KINDS: tuple[Kind, ...] = ("ladder", "alone", "without", "dropped")


@dataclass(frozen=True, slots=True)
class Totals:
    """What a set of indexes gives and costs, per 1,000 requests to the application.

    `read_ms` and `read_blocks` are of reads, `wal_bytes` and `hot_share` of writes;
    `index_bytes` is the size of all indexes, those of constraints included.
    """

    name: str
    indexes: int
    index_bytes: int
    read_ms: float
    read_blocks: float
    wal_bytes: float
    hot_share: float


class IndexLab:
    """Every index with its Trials, its Price and its Decision."""

    def __init__(self, lab: Lab, limits: Thresholds | None = None) -> None:
        self._lab = lab
        self.limits = limits or Thresholds()

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The 90 indexes of the sprint, in the order of its migration."""
        return read_steps(self._lab.settings.root / "sql" / "migrations" / MIGRATION)

    @cached_property
    def known(self) -> Mapping[str, KnownIndex]:
        """Every index of the state sprint11, those of constraints included, by name."""
        with self._lab.connection("sprint11") as connection:
            found = read_indexes(connection)
        return {one.definition.name: one for one in found}

    @cached_property
    def hideable(self) -> Mapping[str, str]:
        """The indexes that are there for speed alone, and their tables."""
        return {
            name: one.definition.table
            for name, one in self.known.items()
            if not (one.is_constraint or one.definition.is_unique)
        }

    def gin_on(self, table: str) -> tuple[str, ...]:
        """Return the GIN indexes of a table, which may keep entries pending."""
        return tuple(
            name
            for name, one in self.known.items()
            if one.definition.table == table and one.definition.method == "gin"
        )

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """How often each Query is asked in 1,000 requests."""
        return {name: query.weight for name, query in self._lab.workload.items()}

    @staticmethod
    def written_by(query: Query) -> str | None:
        """Return the table that a statement inserts into, updates or deletes from."""
        statement = pglast.parse_sql(query.statement)[0].stmt
        relation = getattr(statement, "relation", None)
        return str(relation.relname) if query.is_write and relation is not None else None

    def writes_on(self, table: str, work: Iterable[Question]) -> tuple[Question, ...]:
        """Return one Question per write of a table: typical values, or the nearest."""
        ranks = {"typical": 0, "rare": 1, "hot": 2}
        chosen: dict[str, Question] = {}
        for one in work:
            rank = ranks.get(one.parameters.of_class, 3)
            if rank == 3 or self.written_by(one.query) != table:
                continue
            known = chosen.get(one.query.name)
            if known is None or rank < ranks[known.parameters.of_class]:
                chosen[one.query.name] = one
        return tuple(chosen.values())

    def read_on(self, table: str, work: Iterable[Question]) -> Question | None:
        """Return the read that is asked most often of a table, or None."""
        reads = [
            one for one in work if not one.query.is_write and table in one.query.tables
        ]
        return max(reads, key=lambda one: one.query.weight, default=None)

    def open_store(self, work: Sequence[Question] | None = None) -> TrialStore:
        """Open what is kept of this data set on this server, under this Workload."""
        return TrialStore.open(self._lab.settings.results_path, self._world)

    @cached_property
    def _world(self) -> str:
        state = self._lab.state("sprint11")
        statements = sorted(one.fingerprint for one in self._lab.workload.values())
        parts = (state.dataset, state.server, state.indexes, *statements)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def read_contributions(self, store: TrialStore) -> Contributions:
        """Read and judge every Trial that the store holds by now."""
        lab = self._lab
        measured = lab.run("sprint11").measurements
        weights = weights_of(((one.query, one.key) for one in measured), self.weights)
        floors = lab.compare_control().floors
        return read_contributions(store, KINDS, lambda query: floors, weights)

    @cached_property
    def contributions(self) -> Contributions:
        """What each index does in each kind of Trial."""
        store = self.open_store()
        try:
            found = self.read_contributions(store)
        finally:
            store.close()
        if not found.trials.get("ladder"):
            raise FluxlabError(
                "No index has been measured by itself with this data set.",
                f"`make run SIZE={self._lab.settings.size}` measures them.",
            )
        return found

    @cached_property
    def prices(self) -> Mapping[str, Price]:
        """What writes pay for each index, by its name."""
        return self._prices("price")

    @cached_property
    def set_prices(self) -> Mapping[str, Price]:
        """What writes pay for those that go (kept), and for the whole sprint (base)."""
        return self._prices("price of set")

    def _prices(self, kind: str) -> Mapping[str, Price]:
        store = self.open_store()
        try:
            notes = store.notes.read(kind)
        finally:
            store.close()
        return {name: read_price(name, facts) for name, facts in notes.items()}

    @cached_property
    def settlement(self) -> Settlement:
        """Which indexes may go together."""
        store = self.open_store()
        try:
            return read_settlement(store.notes.read("settlement")["all"])
        except KeyError:
            raise FluxlabError(
                "It has not been measured which indexes may go together.",
                f"`make run SIZE={self._lab.settings.size}` does.",
            ) from None
        finally:
            store.close()

    @cached_property
    def plans(self) -> Mapping[str, tuple[str, str]]:
        """Both plans of every Switch, as EXPLAIN's text, by its fingerprint."""
        store = self.open_store()
        try:
            return store.switches.plans()
        finally:
            store.close()

    @cached_property
    def decisions(self) -> Decisions:
        """One Decision per index: those of constraints, the 11 and the 90."""
        return self.decide(self.limits)

    def decide(self, limits: Thresholds) -> Decisions:
        """Decide on every index by other thresholds; nothing is measured again."""
        cases = (self._case(name) for name in self.known if name in self.hideable)
        return Decisions(tuple(decide(case, self.weights, limits) for case in cases))

    def _case(self, name: str) -> Case:
        known, found = self.known[name], self.contributions
        sprint = {step.index.name for step in self.steps}
        without = found.of("without", name) if name in found.trials["without"] else None
        alone = found.of("alone", name) if name in found.trials["alone"] else None
        ladder = found.trials["ladder"].get(name)
        goes = set(self.settlement.goes)
        regret = Worth()
        if name not in goes and without is not None:
            regret = self.settlement.regrets.get(name, without.worth)
        return Case(
            index=known.definition,
            is_of_sprint=name in sprint,
            is_pillar=name not in self.hideable,
            size_bytes=known.size_bytes,
            build_ms=ladder.build_ms if ladder else 0.0,
            without=without,
            alone=alone,
            price=self.prices.get(name),
            regret=regret,
            stand_ins=self._stand_ins(name, goes) if name in goes else (),
        )

    def _stand_ins(self, name: str, goes: set[str]) -> tuple[str, ...]:
        """Return the indexes that serve instead, of those that stay."""
        contribution = self.contributions.of("without", name)
        stay = [other for other in self.known if other != name and other not in goes]
        found: dict[str, None] = {}
        for effect in contribution.effects:
            before, after = self.plans[effect.switch]
            if used_in(after, (name,)):
                new = set(used_in(before, stay)) - set(used_in(after, stay))
                found |= dict.fromkeys(sorted(new))
        return tuple(found)

    def definition(self, name: str) -> IndexDef:
        """Return the definition of an index by its name."""
        return self.known[name].definition
