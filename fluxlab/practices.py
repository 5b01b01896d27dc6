"""Try what the report recommends: small experiments, each kept as a note.

In scratch databases that are dropped after. What is known is not tried again, so a
killed run goes on where it was. `indexing` calls it: only a superuser can hide indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from fluxlab.indexes import one_string, twins, upkeep
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.planner import Question
from fluxlab.indexes.practices import KIND, Narrowed, OneString, Preparing, Twin, facts_of
from fluxlab.indexes.states import DATABASES
from fluxlab.indexes.switches import Switch
from fluxlab.indexes.trials import TrialStore
from fluxlab.progress import Report, Tick
from fluxlab.servers.connections import connect
from fluxlab.workload import narrow, preparing, week
from fluxlab.workload.budget import Budget
from fluxlab.workload.clock import placed
from fluxlab.workload.measure import Bench, Probe
from fluxlab.workload.query import Query
from fluxlab.workload.variants import Mode, Variant, answer_size, look

if TYPE_CHECKING:
    from fluxlab.lab import Lab

Sides = tuple[psycopg.Connection, psycopg.Connection]

#: Prepared and unprepared, the reads that are asked most often.
_PREPARED = 12
#: Without their star, those asked most often, and those with the largest answers.
_TIMED = 8
#: Few pairs with small differences: they get so many times the time of a trial.
_LOOKS = 5
_COLUMNS = """
select class.relname::text, attribute.attname::text
from pg_class as class
join pg_attribute as attribute
    on attribute.attrelid = class.oid
where class.relnamespace = 'public'::regnamespace
    and class.relkind = 'r'
    and attribute.attnum > 0
    and not attribute.attisdropped
order by class.relname, attribute.attnum
"""


def measure_practices(
    lab: Lab, work: Sequence[Question], store: TrialStore, budget: Budget, report: Report
) -> None:
    """Try every practice that the store knows nothing of; about ten seconds in all.

    `budget` is that of trials. The caller has the server to itself.
    """
    trials: dict[str, Callable[[], dict[str, object]]] = {
        "one string": lambda: {"one string": _send_whole(lab)},
        "narrowed": lambda: {"narrowed": _narrow(lab, work, store, budget)},
        "preparing": lambda: {"preparing": _prepare(lab, work, store, budget)},
        "twins": lambda: {"twins": _compare_twins(lab, work, store, budget, report)},
        "upkeep": lambda: _play_week(lab, work, store, budget),
    }
    for done, (name, trial) in enumerate(trials.items()):
        report(Tick("practices", done, len(trials), name))
        if name not in store.notes.read(KIND):
            for subject, found in trial().items():
                if found is not None:
                    store.notes.write(KIND, subject, facts_of(found))
    report(Tick("practices", len(trials), len(trials)))


def _send_whole(lab: Lab) -> OneString:
    from fluxlab.index_lab import MIGRATION  # it imports the lab, which reads us

    text = (lab.settings.root / "sql" / "migrations" / MIGRATION).read_text()
    names = [step.index.name for step in lab.indexes.steps]
    with (
        scratch(lab.server, "one_string", DATABASES["baseline"]) as database,
        connect(lab.server, database) as connection,
    ):
        return one_string.send_whole(connection, text, names)


def _narrow(
    lab: Lab, work: Sequence[Question], store: TrialStore, budget: Budget
) -> tuple[Narrowed, ...]:
    """Ask without the star; the clock runs where much is asked or much is answered."""
    with _two(lab, DATABASES["sprint11"]) as (sides, placement):
        slim = _without_stars(lab, sides[0])
        asked = [one for one in upkeep.typical(work) if one.query.name in slim]
        found = {}
        for one in asked:
            wide, narrower = _variants(sides, one, slim[one.query.name])
            columns, sizes = zip(answer_size(wide), answer_size(narrower), strict=True)
            found[one.query.name] = Narrowed(one.query.name, columns, sizes)
        large = {name: one.answer_bytes[0] for name, one in found.items()}
        for one in _worth_timing(asked, large):
            wide, narrower = _variants(sides, one, slim[one.query.name])
            pair = look(
                wide,
                narrower,
                milliseconds=_LOOKS * budget.first_ms,
                placement=placement,
            )
            switch = Switch(one, one.query.statement, narrower.query.statement)
            store.switches.add(switch, pair)
            name = one.query.name
            found[name] = replace(found[name], pair=switch.fingerprint)
    return tuple(found.values())


def _without_stars(lab: Lab, connection: psycopg.Connection) -> dict[str, Query]:
    columns: dict[str, tuple[str, ...]] = {}
    for table, column in connection.execute(_COLUMNS):
        columns[table] = (*columns.get(table, ()), column)
    wanted = narrow.columns_read(lab.workload, columns)
    found = {one.name: narrow.narrowed(one, wanted) for one in narrow.stars(lab.workload)}
    return {name: query for name, query in found.items() if query is not None}


def _variants(sides: Sides, one: Question, slim: Query) -> tuple[Variant, Variant]:
    return (
        Variant(sides[0], one.query, one.parameters),
        Variant(sides[1], slim, one.parameters),
    )


def _worth_timing(
    asked: Sequence[Question], answer_bytes: Mapping[str, int]
) -> tuple[Question, ...]:
    """Return the reads that are asked most often, and those with the largest answers."""
    often = sorted(asked, key=lambda one: -one.query.weight)
    large = sorted(asked, key=lambda one: -answer_bytes[one.query.name])
    return tuple(dict.fromkeys((*often[:_TIMED], *large[:_TIMED])))


def _prepare(
    lab: Lab, work: Sequence[Question], store: TrialStore, budget: Budget
) -> Preparing | None:
    reads = [one for one in work if not one.query.is_write]
    with _two(lab, DATABASES["sprint11"]) as (sides, placement):
        if not preparing.can_tell(sides[0]):
            return None
        choices = _choices(sides[0], reads)
        often = [one for one in upkeep.typical(reads) if one.query.names]
        often.sort(key=lambda one: -one.query.weight)
        pairs = []
        for one in often[:_PREPARED]:
            mode: Mode = "generic" if choices[one.query.name].is_generic else "custom"
            plain = Variant(sides[0], one.query, one.parameters)
            prepared = Variant(sides[1], one.query, one.parameters, mode)
            pair = look(
                plain,
                prepared,
                milliseconds=_LOOKS * budget.first_ms,
                placement=placement,
            )
            switch = Switch(one, "unprepared", f"prepared, {mode}")
            store.switches.add(switch, pair)
            pairs.append(switch.fingerprint)
    return Preparing(
        asked=len(choices),
        generic=tuple(name for name, one in choices.items() if one.is_generic),
        differing={name: one.differing for name, one in choices.items() if one.differing},
        pairs=tuple(pairs),
    )


def _choices(
    connection: psycopg.Connection, reads: Sequence[Question]
) -> dict[str, preparing.Choice]:
    sets: dict[str, list[Question]] = {}
    for one in reads:
        sets.setdefault(one.query.name, []).append(one)
    return {
        name: preparing.choose(
            connection, asked[0].query, [one.parameters for one in asked]
        )
        for name, asked in sets.items()
    }


def _compare_twins(
    lab: Lab, work: Sequence[Question], store: TrialStore, budget: Budget, report: Report
) -> tuple[Twin, ...]:
    partial = [step.index for step in lab.indexes.steps if step.index.predicate is not None]
    with (
        scratch(lab.server, "twins", DATABASES["sprint11"]) as database,
        _bench(lab, database, store, budget) as bench,
        connect(lab.server, database) as builder,
    ):
        return twins.compare_twins(bench, builder, partial, work, store, report)


def _play_week(
    lab: Lab, work: Sequence[Question], store: TrialStore, budget: Budget
) -> dict[str, object]:
    """Play the week twice, without VACUUM and with it each day; compare what is left."""
    draws = lab.settings.root / "sql" / "practices" / "week.sql"
    source = DATABASES["sprint11"]
    with scratch(lab.server, "never_vacuumed", source) as never:
        with connect(lab.server, never) as connection:
            played = week.put_aside(connection, lab.dataset.now, lab.workload, draws)
            start = upkeep.sizes(connection)
        with _bench(lab, never, store, budget) as bench:
            flickering = upkeep.flickering(bench, work)
        daily = _play_both(lab, never, played)
        with _bench(lab, never, store, budget) as bench:
            statistics = upkeep.compare_statistics(bench, work, played, flickering, store)
        with connect(lab.server, never) as connection:
            looked_after = upkeep.look_after(connection, work, played, start, daily)
    return {"statistics": statistics, "upkeep": looked_after}


def _play_both(lab: Lab, never: str, played: week.Week) -> dict[str, int]:
    """Play it in the database that is given, and in a copy that is vacuumed each day.

    At once, because no clock runs. Returns the blocks of the copy at the end.
    """
    with scratch(lab.server, "vacuumed_daily", never) as daily:

        def play(database: str) -> None:
            with connect(lab.server, database) as connection:
                for day in range(week.DAYS):
                    week.play(connection, played, day)
                    if database == daily:
                        connection.execute("vacuum")

        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(play, (never, daily)))
        with connect(lab.server, daily) as connection:
            return upkeep.sizes(connection)


@contextmanager
def _two(lab: Lab, database: str) -> Iterator[tuple[Sides, str]]:
    """Two sessions on one core, and how they are placed."""
    with (
        connect(lab.server, database) as one,
        connect(lab.server, database) as other,
        placed((one, other), is_ours=lab.server.is_ours) as placement,
    ):
        yield (one, other), placement


@contextmanager
def _bench(lab: Lab, database: str, store: TrialStore, budget: Budget) -> Iterator[Bench]:
    """Put two sessions of a scratch database on the bench, nested in transactions."""
    state = lab.state("sprint11")
    with _two(lab, database) as (sides, placement):
        yield Bench(
            Probe(state, (sides[0],)),
            Probe(state, (sides[1],)),
            budget,
            placement,
            is_nested=True,
            time_spent=store.time_spent,
        )
