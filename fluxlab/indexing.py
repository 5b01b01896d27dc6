"""Measure every index: one after another, alone, taken away, and what writes pay for it.

All in scratch databases that are dropped after, and kept step by step: a run that was
killed goes on where it was, and one with a larger budget adds rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fluxlab.errors import FluxlabError
from fluxlab.index_lab import SETTLED, IndexLab
from fluxlab.index_sets import SET_PRICE, SET_TIMES, WALK
from fluxlab.indexes import ladder, pricing, wal
from fluxlab.indexes.contribution import tried
from fluxlab.indexes.decisions import write_ms
from fluxlab.indexes.foreseen import Foreseen, foresee_hot, foresee_plans
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.pareto import best_first
from fluxlab.indexes.planner import Question
from fluxlab.indexes.price import WriteCost, read_price
from fluxlab.indexes.set_pricing import price_sets, read_times, time_set
from fluxlab.indexes.settle import settle
from fluxlab.indexes.states import DATABASES
from fluxlab.indexes.trials import Stand, TrialStore
from fluxlab.lab import Lab
from fluxlab.measuring import plan_work
from fluxlab.practices import measure_practices
from fluxlab.progress import Report, Tick
from fluxlab.servers.alone import alone
from fluxlab.servers.connections import connect
from fluxlab.workload.budget import Budget
from fluxlab.workload.measure import TimeSpent

#: Writes that are asked this often in 1,000 requests have the clock run for them.
_TIMED_WEIGHT = 0.5
_IS_SUPERUSER = "select rolsuper from pg_roles where rolname = current_user"


def measure_indexes(lab: Lab, budget: Budget, report: Report) -> TimeSpent:
    """Measure what each index helps and what it costs; return where the time went.

    Needs a server on which we are superuser, because real indexes are hidden there.
    Raises FluxlabError elsewhere.
    """
    if reason := why_not(lab):
        raise FluxlabError(
            f"No index can be measured by itself: {reason}.",
            "Let fluxlab start a server of its own: unset DATABASE_URL.",
        )
    index_lab = IndexLab(lab)
    trial_budget = budget.of_trials()
    with alone(lab.server, "measuring"):
        work = [Question(*item) for item in plan_work(lab, report)]
        store = index_lab.open_store(work)
        try:
            tries = tried(work, _look)
            _climb(lab, index_lab, tries, store, trial_budget, report)
            _try_alone(lab, index_lab, tries, store, trial_budget, report)
            _price_all(lab, index_lab, work, store, report)
            _take_away(lab, index_lab, tries, store, trial_budget, report)
            _price_sets(lab, index_lab, work, store, report)
            _walk(lab, index_lab, work, store, report)
            measure_practices(lab, work, store, trial_budget, report)
            return store.time_spent
        finally:
            store.close()


def _look(one: Question) -> tuple[str, str, bool]:
    return one.query.name, one.parameters.of_class, one.query.is_write


def _climb(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    steps = index_lab.steps
    if all(store.is_done("ladder", step.index.name, budget) for step in steps):
        return
    with (
        _stand(lab, "ladder", "baseline", work, store, budget) as stand,
        connect(lab.server, stand.database) as builder,
    ):
        ladder.climb(stand, builder, steps, store, budget, report)


def _try_alone(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    steps = index_lab.steps
    if all(store.is_done("alone", step.index.name, budget) for step in steps):
        return
    with (
        _stand(lab, "alone", "baseline", work, store, budget) as stand,
        connect(lab.server, stand.database) as builder,
    ):
        ladder.try_alone(stand, builder, steps, store, budget, report)


def _take_away(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    """Take each index from all others, then all that nobody misses."""
    tables = index_lab.hideable
    is_done = all(store.is_done("without", name, budget) for name in tables)
    if is_done and store.notes.read(SETTLED):
        return
    with _stand(lab, "without", "sprint11", work, store, budget) as stand:
        if not store.is_done("control", "all", budget):
            report(Tick("A/A of one database", 0, 1))
            store.keep(stand.control("all"))
            report(Tick("A/A of one database", 1, 1))
        ladder.try_without(stand, list(tables.items()), store, budget, report)
        weights = index_lab.weights
        costs = {name: write_ms(one, weights) for name, one in index_lab.prices.items()}
        found = settle(
            stand,
            store,
            tables,
            costs,
            lambda: index_lab.read_contributions(store),
            index_lab.limits,
            report,
        )
        store.notes.write(SETTLED, "all", found.facts)


def _price_all(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    report: Report,
) -> None:
    known = store.notes.read("price")
    left = {name: table for name, table in index_lab.hideable.items() if name not in known}
    if not left:
        return
    with _priced_stand(lab, work, store) as stand:
        on: dict[str, dict[str, WriteCost]] = {}
        for done, (name, table) in enumerate(left.items()):
            report(Tick("prices", done, len(left), name))
            writes = index_lab.writes_on(table, work)
            if table not in on:
                gin = index_lab.gin_on(table)
                on[table] = pricing.costs_with(stand.sides[1], table, writes, gin)
            timed = [one for one in writes if one.query.weight >= _TIMED_WEIGHT]
            planned = index_lab.read_on(table, work)
            found = pricing.price(
                stand.sides, name, table, on[table], writes, timed, planned
            )
            store.notes.write("price", name, found.facts)
        report(Tick("prices", len(left), len(left)))


def _price_sets(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    report: Report,
) -> None:
    """Price what the kept set spares its writes, and what the whole sprint cost them."""
    sets, prices = index_lab.sets_gone(store), store.notes.read(SET_PRICE)
    left = {
        name: gone
        for name, gone in sets.items()
        if name not in prices or read_price(name, prices[name]).names != set(gone)
    }
    times = store.notes.read(SET_TIMES)
    is_timed = "kept" in times and read_times(times["kept"]).names == set(sets["kept"])
    if is_timed and not left:
        return
    tables = sorted(set(index_lab.hideable.values()))
    writes = {table: index_lab.writes_on(table, work) for table in tables}
    gin = {table: index_lab.gin_on(table) for table in tables}
    with _priced_stand(lab, work, store) as stand:
        for name, price in price_sets(stand.sides, writes, gin, left, report).items():
            store.notes.write(SET_PRICE, name, price.facts)
        if not is_timed:
            report(Tick("writes of the kept set", 0, 1))
            timed = [
                one
                for one in work
                if one.query.is_write and one.query.weight >= _TIMED_WEIGHT
            ]
            found = time_set(stand.sides, timed, sets["kept"])
            store.notes.write(SET_TIMES, "kept", found.facts)
            report(Tick("writes of the kept set", 1, 1))


def _walk(
    lab: Lab,
    index_lab: IndexLab,
    work: Sequence[Question],
    store: TrialStore,
    report: Report,
) -> None:
    """Walk from the base to all, what saves most per byte first, and ask the planner."""
    order = best_first(index_lab.read_contributions(store).all("alone"))
    known = store.notes.read(WALK)
    if known and tuple(known["all"]["order"]) == order:
        return
    tables = index_lab.hideable
    keys = lab.catalog("sprint11").foreign_keys
    with (
        scratch(lab.server, "walk", DATABASES["sprint11"]) as database,
        connect(lab.server, database) as connection,
    ):
        plans = foresee_plans(connection, keys, work, order, tables, report)
        updates = index_lab.fragile_updates(store, work)
        pricing.make_room(connection, updates)
        hot = foresee_hot(connection, updates, order, tables)
    store.notes.write(WALK, "all", Foreseen(order, plans, hot).facts)


@contextmanager
def _stand(
    lab: Lab,
    name: str,
    state: str,
    work: Sequence[Question],
    store: TrialStore,
    budget: Budget,
) -> Iterator[Stand]:
    source = DATABASES[state]
    foreign_keys = lab.catalog(state).foreign_keys
    with (
        scratch(lab.server, name, source) as database,
        Stand(
            lab.server, database, work, foreign_keys, budget, store, lab.state(state)
        ) as stand,
    ):
        yield stand


@contextmanager
def _priced_stand(lab: Lab, work: Sequence[Question], store: TrialStore) -> Iterator[Stand]:
    """A stand whose tables have room for new versions, on a server that shows its log."""
    writes = [one for one in work if one.query.is_write]
    tables = {table for one in writes if (table := IndexLab.written_by(one.query))}
    state = lab.state("sprint11")
    budget = Budget("price", seconds=0, first_ms=0, max_rounds=0)
    with scratch(lab.server, "price", DATABASES["sprint11"]) as database:
        with connect(lab.server, database) as connection:
            if not wal.can_read(connection):
                raise FluxlabError(
                    "This server does not show its log: no index can be priced.",
                    "Use PostgreSQL 17 or newer with the extension pg_walinspect.",
                )
            pricing.make_room(connection, tables)
        with Stand(lab.server, database, writes, (), budget, store, state) as stand:
            yield stand


def why_not(lab: Lab) -> str | None:
    """Return why no index can be measured by itself on this server, or None."""
    with lab.connection() as connection:
        row = connection.execute(_IS_SUPERUSER).fetchone()
    if row and row[0]:
        return None
    return "only a superuser can hide indexes, and this account is none"
