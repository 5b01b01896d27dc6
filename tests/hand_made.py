"""Evidence made by hand: what judges read, with the word given instead of measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace

from fluxlab.book.evidence import Evidence
from fluxlab.indexes.catalog import Catalog, IndexFacts, TableFacts
from fluxlab.indexes.contribution import Contributions
from fluxlab.indexes.trials import Kind, Trial
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import Outcome, Speedup

SEQ = {"Node Type": "Seq Scan", "Relation Name": "messages"}
ON_THREAD = {
    "Node Type": "Index Scan",
    "Relation Name": "messages",
    "Index Name": "idx_messages_thread_id",
}
ON_TIME = {**ON_THREAD, "Index Name": "idx_messages_created_at"}


@dataclass(frozen=True)
class Pair:
    """What judges read of a Change, with the word given instead of decided."""

    outcome: Outcome
    before_ms: float = 80.0
    after_ms: float = 8.0
    query: str = "messages_of_thread"
    of_class: str = "typical"
    old: dict[str, object] | None = None
    new: dict[str, object] | None = None
    spread: float = 1.1

    @cached_property
    def before(self) -> SimpleNamespace:
        return side(self.before_ms, plan_of(self.old or SEQ, 7_160))

    @cached_property
    def after(self) -> SimpleNamespace:
        return side(self.after_ms, plan_of(self.new or ON_THREAD, 4))

    @property
    def speedup(self) -> Speedup:
        ratio = self.before_ms / self.after_ms
        return Speedup(ratio, ratio / self.spread, ratio * self.spread)

    @property
    def by_clock(self) -> Outcome:
        return self.outcome

    @property
    def sentence(self) -> str:
        return f"{self.outcome} ({self.speedup})"

    @property
    def has_new_plan(self) -> bool:
        return self.before.plan.shape != self.after.plan.shape


def side(median_ms: float, plan: Plan) -> SimpleNamespace:
    return SimpleNamespace(sample=Sample.of(median_ms), plan=plan)


def plan_of(node: dict[str, object], blocks: int) -> Plan:
    facts = {
        "Plan Rows": 1,
        "Actual Rows": 1,
        "Actual Loops": 1,
        "Shared Hit Blocks": blocks,
    }
    return read_plan(json.dumps([{"Plan": {**node, **facts}}]))


class Pairs(list[Pair]):
    """What judges read of a Comparison."""

    @property
    def by_query(self) -> dict[str, None]:
        return dict.fromkeys(pair.query for pair in self)

    def find(self, query: str) -> Pair:
        return next(pair for pair in self if pair.query == query)


def index(name: str, definition: str, *columns: str) -> IndexFacts:
    table = definition.partition("(")[0].strip()
    text = f"CREATE INDEX {name} ON public.{table} USING btree {definition[len(table) :]}"
    return IndexFacts(
        name, table, text, list(columns), False, False, "WHERE" in definition, 8192
    )


OLD = (index("idx_messages_created_at", "messages (created_at)", "created_at"),)
NEW = (
    index("idx_messages_thread_id", "messages (thread_id)", "thread_id"),
    index("idx_messages_live", "messages (id) WHERE (deleted_at IS NULL)", "id"),
    index("idx_messages_both", "messages (kind, id)", "kind", "id"),
    index("idx_users_created_at", "users (created_at DESC)", "created_at"),
)


def catalog(*indexes: IndexFacts) -> Catalog:
    return Catalog((TableFacts("messages", 100, 5, 8192, 8192),), indexes, ())


def query(weight: float = 1.0, statement: str = "select 1") -> SimpleNamespace:
    return SimpleNamespace(
        weight=weight, statement=statement, is_write=False, parameters=(), cache=None
    )


def evidence(*pairs: Pair, **changes: object) -> Evidence:
    made = Evidence(
        before=catalog(*OLD),
        after=catalog(*OLD, *NEW),
        comparison=Pairs(pairs),  # type: ignore[arg-type]
        workload={pair.query: query() for pair in pairs},  # type: ignore[arg-type]
        use_cases={"Messaging/Threads": ("messages_of_thread", "thread_replies")},
        shares={"idx_messages_live": 0.98},
        distinct_values={("messages", "kind"): 3.0, ("messages", "id"): 100.0},
        migration=("create index idx_messages_thread_id on messages (thread_id)",),
        answers={},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def tried(**pairs: Sequence[Pair]) -> Contributions:
    """Trials of kind *without*, or of another: `alone__idx_a=[...]`."""
    trials: dict[Kind, dict[str, Trial]] = {"without": {}, "alone": {}, "ladder": {}}
    changes = {}
    for subject, found in pairs.items():
        kind, _, name = subject.rpartition("__")
        switches = tuple(f"{subject} {number}" for number in range(len(found)))
        changes.update(zip(switches, found, strict=True))
        of = trials[kind or "without"]  # type: ignore[index]
        of[name] = Trial(kind or "without", name, 9, switches, 3)  # type: ignore[arg-type]
    return Contributions(trials, changes, {})  # type: ignore[arg-type]
