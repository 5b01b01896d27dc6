"""The small experiments on practices, on the real server: each once, then looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import RawCursor

from fluxlab.dataset.databases import maintenance
from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.planner import Question
from fluxlab.indexes.practices import KIND, Estimate, Practices, read_practices
from fluxlab.indexes.trials import TrialStore
from fluxlab.indexes.twins import twin_of
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import plan_work
from fluxlab.practices import measure_practices
from fluxlab.progress import Tick
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import ROOT, Settings
from fluxlab.workload import narrow, preparing, week
from fluxlab.workload.budget import budget_of
from fluxlab.workload.noise import NO_FLOORS
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query

BUDGET = budget_of("quick", "tiny").of_trials()
DRAWS = ROOT / "sql" / "practices" / "week.sql"
SUBJECTS = {"one string", "narrowed", "preparing", "twins", "statistics", "upkeep"}


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def work(lab: Lab) -> list[Question]:
    return [Question(*item) for item in plan_work(lab, lambda tick: None)]


@pytest.fixture(scope="module")
def store(lab: Lab, work: list[Question]) -> Iterator[TrialStore]:
    opened = lab.indexes.open_store(work)
    measure_practices(lab, work, opened, BUDGET, lambda tick: None)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(store: TrialStore) -> Practices:
    return read_practices(store, NO_FLOORS)


def test_every_practice_is_tried_once_and_leaves_no_database(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    known = store.notes.read(KIND)
    ticks: list[Tick] = []
    rounds = store.switches.rounds()

    measure_practices(lab, work, store, BUDGET, ticks.append)

    assert set(known) == SUBJECTS
    assert store.notes.read(KIND) == known
    assert store.switches.rounds() == rounds
    assert {tick.phase for tick in ticks} == {"practices"}
    with maintenance(lab.server) as connection:
        rows = connection.execute(
            "select datname from pg_database where datname like 'flux_scratch_%'"
        )
        assert rows.fetchall() == []


def test_a_killed_run_tries_only_what_is_missing(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    known = store.notes.read(KIND)
    other = TrialStore.open(lab.settings.results_path, "another world")
    for subject in SUBJECTS - {"one string"}:
        other.notes.write(KIND, subject, known[subject])

    measure_practices(lab, work, other, BUDGET, lambda tick: None)

    again = other.notes.read(KIND)
    other.close()
    assert again["one string"]["made"] == 90
    assert {name: again[name] for name in SUBJECTS - {"one string"}} == {
        name: known[name] for name in SUBJECTS - {"one string"}
    }


def test_one_string_makes_all_indexes_in_one_transaction(
    lab: Lab, found: Practices
) -> None:
    whole = found.one_string

    assert whole is not None
    assert (whole.made, whole.wanted, whole.transactions) == (90, 90, 1)
    assert len(whole.locked) == 21
    assert "already exists" in whole.again
    assert "cannot run inside a transaction block" in whole.concurrently
    ours = {step.index.name for step in lab.indexes.steps}
    assert not ours & {index.name for index in lab.catalog("baseline").indexes}


def test_a_query_without_its_star_has_the_same_rows(lab: Lab) -> None:
    columns: dict[str, tuple[str, ...]] = {}
    for table in lab.catalog().tables:
        with lab.connection() as connection:
            cursor = connection.execute(f"select * from {table.name} limit 0".encode())
            columns[table.name] = tuple(one.name for one in cursor.description or ())
    wanted = narrow.columns_read(lab.workload, columns)
    stars = narrow.stars(lab.workload)

    assert {one.name for one in stars} == {
        name for name, query in lab.workload.items() if "select_star" in query.habits
    }
    assert set(wanted["users"]) >= {"id", "name", "email"}
    assert "password_hash" not in wanted["users"]
    with lab.connection() as connection:
        for query in stars:
            slim = narrow.narrowed(query, wanted)
            assert slim is not None
            assert "*" not in slim.statement.replace("count(*)", "")
            rows = [answer(connection, one, lab.parameters(query)) for one in (query, slim)]
            assert len(rows[0][1]) == len(rows[1][1]), query.name
            assert set(rows[1][0]) < set(rows[0][0]), query.name
            ids = [[row[names.index("id")] for row in all_] for names, all_ in rows]
            assert ids[0] == ids[1] or sorted(ids[0]) == sorted(ids[1]), query.name


def answer(
    connection: psycopg.Connection, query: Query, parameters: ParameterSet
) -> tuple[list[str], list[tuple[object, ...]]]:
    cursor = RawCursor(connection)
    cursor.execute(query.statement.encode(), list(parameters.values))
    return [one.name for one in cursor.description or ()], cursor.fetchall()


@pytest.mark.parametrize(
    ("statement", "slim"),
    [
        ("select * from users where id = $1", "users.id, users.name from"),
        ("select u.*, 1 as one from users u", "u.id, u.name, 1 as one from"),
        ("select u.* from teams t join users u on true", "u.id, u.name from"),
    ],
)
def test_a_star_is_spelt_out(lab: Lab, statement: str, slim: str) -> None:
    query = replace(lab.workload["user_by_id"], statement=statement)

    found = narrow.narrowed(query, {"users": ("id", "name")})

    assert found is not None
    assert slim in found.statement.lower()


@pytest.mark.parametrize(
    "statement",
    [
        "select id from users",
        "select count(*) from users",
        "with a as (select 1 as id) select a.* from a",
    ],
)
def test_what_has_no_star_on_a_table_stays(lab: Lab, statement: str) -> None:
    query = replace(lab.workload["user_by_id"], statement=statement)

    assert narrow.narrowed(query, {"users": ("id",)}) is None


def test_fewer_columns_are_fewer_bytes_of_the_same_blocks(
    lab: Lab, found: Practices
) -> None:
    assert found.narrowed
    timed = [one for one in found.narrowed if one.pair]
    assert 8 <= len(timed) <= 16
    names = {one.query for one in timed}
    assert {"user_by_id", "messages_page_first", "files_all_unbounded"} <= names
    for one in found.narrowed:
        assert one.columns[1] < one.columns[0]
        assert one.answer_bytes[1] <= one.answer_bytes[0]
    for change in found.of([one.pair for one in timed]):
        assert change.after.plan.blocks == pytest.approx(change.before.plan.blocks, rel=0.2)


def test_the_server_stops_planning_where_any_value_costs_the_same(
    connection: psycopg.Connection, lab: Lab
) -> None:
    connection.execute("create table numbers (id int primary key, note text)")
    connection.execute("insert into numbers select n, '' from generate_series(1, 9999) n")
    connection.execute("analyze numbers")

    by_id = chosen(connection, lab, "select note from numbers where id = $1", (7,))
    # For any value it expects a third of the rows, and for this one none.
    by_range = chosen(connection, lab, "select note from numbers where id > $1", (9_999,))

    assert by_id.is_generic
    assert not by_id.differing
    assert not by_range.is_generic


def chosen(
    connection: psycopg.Connection, lab: Lab, statement: str, values: tuple[object, ...]
) -> preparing.Choice:
    query = replace(lab.workload["user_by_id"], statement=statement, names=("a",))
    return preparing.choose(
        connection, query, [ParameterSet(query.name, "typical", values)]
    )


def test_a_class_with_a_plan_of_its_own_is_named(
    connection: psycopg.Connection, lab: Lab
) -> None:
    connection.execute("create table skewed (id int, kind int)")
    connection.execute(
        "insert into skewed select n, case when n < 9000 then 0 else n end "
        "from generate_series(1, 10000) n"
    )
    connection.execute("create index on skewed (kind)")
    connection.execute("vacuum analyze skewed")
    query = replace(
        lab.workload["user_by_id"],
        statement="select id from skewed where kind = $1",
        names=("kind",),
    )
    sets = [
        ParameterSet(query.name, of_class, (value,))
        for of_class, value in (("hot", 0), ("rare", 9500))
    ]

    found = preparing.choose(connection, query, sets)

    assert found.is_generic
    assert found.differing == ("hot",)


def test_preparing_is_counted_for_every_read(found: Practices, lab: Lab) -> None:
    assert found.preparing is not None
    reads = [one for one in lab.workload.values() if not one.is_write]

    assert found.preparing.asked == len([one for one in reads if one.runs_at("tiny")])
    assert "user_by_id" in found.preparing.generic
    assert set(found.preparing.differing) <= set(found.preparing.generic)
    assert len(found.of(found.preparing.pairs)) == 12
    modes = {one.after.parameters for one in found.of(found.preparing.pairs)}
    assert modes <= {"generic", "custom"}
    assert "generic" in modes


def test_a_twin_is_the_index_without_its_predicate() -> None:
    index = parse_index("create index idx_a on users (name) where is_active = true")

    twin = twin_of(index)

    assert twin.ddl() == "create index idx_a_twin on users (name)"


def test_each_side_reads_its_own_twin(found: Practices, lab: Lab) -> None:
    assert found.twins is not None
    partial = [step for step in lab.indexes.steps if step.index.predicate]

    assert [one.index for one in found.twins] == [step.index.name for step in partial]
    assert any(one.pairs for one in found.twins)
    for twin in found.twins:
        assert 0 < twin.size_bytes <= twin.full_bytes
        for change in found.of(twin.pairs):
            assert f"{twin.index}_twin" in change.before.plan.indexes
            assert twin.index in change.after.plan.indexes
            assert f"{twin.index}_twin" not in change.after.plan.indexes


@pytest.fixture(scope="module")
def played(lab: Lab) -> Iterator[tuple[psycopg.Connection, week.Week]]:
    with (
        scratch(lab.server, "week", "flux_sprint11") as name,
        connect(lab.server, name) as connection,
    ):
        aside = week.put_aside(connection, lab.dataset.now, lab.workload, DRAWS)
        left = lab.dataset.rows["messages"] - aside.rows["messages"]
        assert count(connection, "messages") == left
        for day in range(week.DAYS):
            week.play(connection, aside, day)
        yield connection, aside


def count(connection: psycopg.Connection, what: str) -> int:
    row = connection.execute(f"select count(*) from {what}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_week_brings_its_rows_back(
    lab: Lab, played: tuple[psycopg.Connection, week.Week]
) -> None:
    connection, aside = played
    removed = {"message_reactions"}  # the one table that a write of the week deletes from

    assert aside.rows["messages"] > 100
    for table in aside.columns:
        rows = count(connection, table)
        known = lab.dataset.rows[table]
        assert rows == known or (table in removed and known - rows > 0), table
    for table, definition in connection.execute(
        "select conrelid::regclass::text, pg_get_constraintdef(oid) "
        "from pg_constraint where contype = 'f'"
    ).fetchall():
        # Rows come back without the triggers that check their keys: check them now.
        with connection.transaction(force_rollback=True):
            add = f"alter table {table} add constraint again {definition}"
            connection.execute(add.encode())


def test_the_writes_of_a_week_are_as_many_as_their_weights_say(
    lab: Lab, played: tuple[psycopg.Connection, week.Week]
) -> None:
    _connection, aside = played
    executions = {one.query.name: one.executions for one in aside.writes}
    weights = {name: lab.workload[name].weight for name in executions}

    assert aside.requests == 1_000 * aside.rows["messages"] / 15
    assert executions["conversation_touch"] == aside.rows["messages"]
    for name, weight in weights.items():
        assert executions[name] == round(weight * aside.requests / 1_000), name
    assert aside.executions == sum(executions.values())
    # What is asked once or more, changes rows and is no bulk write has its draws.
    assert set(executions) == {
        name
        for name, query in lab.workload.items()
        if query.is_write
        and query.weight >= 1
        and "bulk" not in query.habits
        and not query.statement.lstrip().lower().startswith("insert")
    }


def test_the_writes_of_a_week_are_executed_by_the_clock_of_the_data(
    lab: Lab, played: tuple[psycopg.Connection, week.Week]
) -> None:
    connection, aside = played
    since = f"'{aside.start.isoformat()}' and '{lab.dataset.now.isoformat()}'"
    connection.execute("select pg_stat_force_next_flush()")

    assert count(connection, f"conversations where updated_at > '{lab.dataset.now}'") == 0
    touched = f"conversations where last_message_at between {since}"
    assert count(connection, touched) > 10
    assert count(connection, f"users where last_login between {since}") > 10
    assert count(connection, "messages where content like '%already in the truck'") > 0
    updates = connection.execute(
        "select n_tup_upd from pg_stat_user_tables where relname = 'conversations'"
    ).fetchone()
    executions = {one.query.name: one.executions for one in aside.writes}
    assert updates is not None
    assert updates[0] <= executions["conversation_touch"]
    assert updates[0] > 0.9 * executions["conversation_touch"]


def test_a_draw_without_a_value_is_an_error(lab: Lab) -> None:
    with pytest.raises(FluxlabError, match="Nothing is drawn for :user_id"):
        week._value(lab.workload["user_touch_last_login"], "user_id", set())


def test_statistics_differ_by_the_week_alone(found: Practices, lab: Lab) -> None:
    stats = found.statistics

    assert stats is not None
    assert stats.flickering < stats.asked / 20
    assert stats.pairs
    assert len(found.of(stats.pairs)) == len(stats.pairs)
    for change in found.of(stats.pairs):
        assert change.before.plan.is_analyzed
        assert change.after.plan.is_analyzed
    assert {"conversations", "conversation_participants"} <= set(stats.due)
    assert "messages" not in stats.due
    assert stats.estimates
    assert len({one.query for one in stats.estimates}) == len(stats.estimates)


def test_an_estimate_is_put_right_where_only_the_old_one_was_off() -> None:
    one = Estimate("q", "typical", "Seq Scan on a", stale=1.0, fresh=50.0, rows=80.0)

    assert one.is_off
    assert one.is_put_right
    assert not replace(one, fresh=2.0).is_put_right
    assert not replace(one, stale=9.0).is_off
    assert not replace(one, stale=0.01, rows=0.0).is_off


def test_upkeep_makes_smaller_and_nothing_larger(
    found: Practices, say: Callable[[str], None]
) -> None:
    upkeep = found.upkeep

    assert upkeep is not None
    grown = {
        of: sum(getattr(one, of) for one in upkeep.indexes.values())
        for of in ("start", "never", "daily")
    }
    say(f"Blocks of indexes around a week: {grown}.")
    assert grown["start"] < grown["daily"] < grown["never"]
    assert {"messages", "conversations"} & set(upkeep.tables)
    assert not set(upkeep.tables) & set(upkeep.indexes)
    assert upkeep.rebuilt
    for name, (before, after) in upkeep.rebuilt.items():
        assert after <= before, name
    touched = [sum(one.after_week for one in upkeep.reads)]
    touched.append(sum(one.after_vacuum for one in upkeep.reads))
    assert touched[1] < touched[0]
    for one in upkeep.reads:
        if not set(one.indexes) & set(upkeep.rebuilt):
            assert one.after_reindex == one.after_vacuum
