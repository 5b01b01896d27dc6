"""The IndexLab: what is known of each index, read from the results store.

`indexing` measures it; this only reads, and needs the server for names and sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import pglast

from fluxlab import index_sets
from fluxlab.errors import FluxlabError
from fluxlab.indexes.audit import Audit, audit
from fluxlab.indexes.audit_rules import load_rules
from fluxlab.indexes.contribution import (
    Contribution,
    Contributions,
    read_contributions,
    tried,
    weights_of,
)
from fluxlab.indexes.decisions import (
    NO_LOSS,
    Case,
    Decisions,
    Thresholds,
    decide_all,
)
from fluxlab.indexes.definition import IndexDef, KnownIndex, read_indexes
from fluxlab.indexes.pareto import Point
from fluxlab.indexes.planner import Question
from fluxlab.indexes.price import Price, read_price
from fluxlab.indexes.sets import Totals
from fluxlab.indexes.settle import Settlement, read_settlement, stand_ins
from fluxlab.indexes.steps import Step, read_steps
from fluxlab.indexes.trials import Kind, TrialStore
from fluxlab.workload.notes import Facts
from fluxlab.workload.query import Query

if TYPE_CHECKING:
    from fluxlab.lab import Lab

MIGRATION = "005_performance_optimization_indexes.sql"
KINDS: tuple[Kind, ...] = ("ladder", "alone", "without", "dropped")
#: The kind of the note beside the Trials.
SETTLED = "settled set"


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
        writes = index_sets.writes_of(lab)
        measured = tried(
            lab.run("sprint11").measurements,
            lambda one: (one.query, one.of_class, one.query in writes),
        )
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
        return self._prices(index_sets.SET_PRICE)

    def _prices(self, kind: str) -> Mapping[str, Price]:
        return {name: read_price(name, one) for name, one in self.read_notes(kind).items()}

    def read_notes(self, kind: str) -> Mapping[str, Facts]:
        """Return what was noted of a kind, by subject."""
        store = self.open_store()
        try:
            return store.notes.read(kind)
        finally:
            store.close()

    @cached_property
    def settlement(self) -> Settlement:
        """Which indexes may go together."""
        notes = self.read_notes(SETTLED)
        if not notes:
            raise self.unmeasured("It has not been measured which indexes may go together")
        return read_settlement(notes["all"])

    def unmeasured(self, what: str) -> FluxlabError:
        """Return the error for what `make run` would measure."""
        return FluxlabError(
            f"{what}.", f"`make run SIZE={self._lab.settings.size}` does it."
        )

    def sets_gone(self, store: TrialStore) -> Mapping[str, tuple[str, ...]]:
        """Return what is hidden for the kept set, and for the base."""
        settled = read_settlement(store.notes.read(SETTLED)["all"])
        sprint = (step.index.name for step in self.steps)
        return {
            "kept": settled.goes,
            "base": tuple(name for name in sprint if name in self.hideable),
        }

    def fragile_updates(
        self, store: TrialStore, work: Iterable[Question]
    ) -> Mapping[str, tuple[Question, ...]]:
        """Return the updates, by table, that are HOT less often with all than before."""
        price = read_price("base", store.notes.read(index_sets.SET_PRICE)["base"])
        names = {one.on.query for one in price.writes if one.hot_lost > 0}
        known = list(work)
        found = {
            table: tuple(
                one for one in self.writes_on(table, known) if one.query.name in names
            )
            for table in sorted(set(self.hideable.values()))
        }
        return {table: updates for table, updates in found.items() if updates}

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
        return decide_all(self.cases, self.weights, limits)

    @cached_property
    def audit(self) -> Audit:
        """What the catalog says against the indexes of the state sprint11."""
        rules = load_rules(self._lab.settings.root / "sql" / "audit")
        with self._lab.connection("sprint11") as connection:
            return audit(connection, rules)

    @cached_property
    def dropped(self) -> Contribution:
        """The Trial with all gone that go, as it was measured last."""
        return self.contributions.of("dropped", self.settlement.trial)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """What is known of each index but those of constraints, by table and name."""
        return tuple(
            self._case(name)
            for name, known in self.known.items()
            if not known.is_constraint
        )

    def _case(self, name: str) -> Case:
        known, found = self.known[name], self.contributions
        without, alone = (
            found.of(kind, name) if name in found.trials[kind] else None
            for kind in ("without", "alone")
        )
        ladder = found.trials["ladder"].get(name)
        settled = self.settlement
        return Case(
            index=known.definition,
            is_of_sprint=name in self.of_sprint,
            is_pillar=name not in self.hideable,
            size_bytes=known.size_bytes,
            build_ms=ladder.build_ms if ladder else 0.0,
            without=without,
            alone=alone,
            price=self.prices.get(name),
            # As they were judged then: later Trials must not part words and set.
            missed=settled.losses.get(name, NO_LOSS),
            stand_ins=self._stand_ins(name, without) if without else (),
            findings=tuple(f"{one.rule} {one.slug}" for one in self.audit.of_index(name)),
            is_settled=name in settled.goes,
            has_come_back=name in settled.back,
        )

    def _stand_ins(self, name: str, without: Contribution) -> tuple[str, ...]:
        """Return the indexes that serve instead: of those that stay, if it goes itself."""
        goes = set(self.settlement.goes)
        table = self.known[name].definition.table
        beside = {
            other
            for other, one in self.known.items()
            if one.definition.table == table and other != name
        }
        if name in goes:
            return stand_ins(name, table, self.dropped.effects, self.plans, beside - goes)
        return stand_ins(name, table, without.effects, self.plans, beside)

    @cached_property
    def totals(self) -> Mapping[str, Totals]:
        """What the base, all and the kept set give and cost: `base`, `all`, `kept`."""
        return index_sets.read_totals(self._lab, self)

    @cached_property
    def curve(self) -> tuple[Point, ...]:
        """The sets from the base to all, what saves most per byte first."""
        return index_sets.read_curve(self._lab, self)

    @cached_property
    def of_sprint(self) -> frozenset[str]:
        """The names of the sprint's indexes."""
        return frozenset(step.index.name for step in self.steps)

    def definition(self, name: str) -> IndexDef:
        """Return the definition of an index by its name."""
        return self.known[name].definition
