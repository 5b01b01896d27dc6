"""What writes pay for an index: against really dropping it, and piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from fluxlab.indexes import pricing, wal
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.planner import Question
from fluxlab.indexes.price import Price, WriteCost, WritePrice, priced, read_price
from fluxlab.indexes.wal import Wal
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import plan_work
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.stats import Speedup

#: An index of each of three tables: on what nobody updates, on what everybody does, GIN.
INDEXES = {
    "messages": ("idx_messages_author_id", "idx_messages_status"),
    "notifications": ("idx_notifications_user", "idx_notifications_read_at"),
    "projects": ("idx_projects_manager_id", "idx_projects_tags"),
}


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def work(lab: Lab) -> list[Question]:
    return [Question(*item) for item in plan_work(lab, lambda tick: None)]


@pytest.fixture(scope="module")
def database(lab: Lab) -> Iterator[str]:
    with scratch(lab.server, "pricing", "flux_sprint11") as name:
        with connect(lab.server, name) as connection:
            assert wal.can_read(connection)
            pricing.make_room(connection, INDEXES)
        yield name


@pytest.fixture
def sides(lab: Lab, database: str) -> Iterator[pricing.Sides]:
    with connect(lab.server, database) as off, connect(lab.server, database) as on:
        yield off, on


def writes_on(lab: Lab, work: list[Question], table: str) -> list[Question]:
    found = lab.indexes.writes_on(table, work)
    return [one for one in found if "purge" not in one.query.name]


@pytest.mark.parametrize("table", INDEXES)
def test_hiding_prices_an_index_as_dropping_it_does(
    lab: Lab,
    work: list[Question],
    sides: pricing.Sides,
    table: str,
    say: Callable[[str], None],
) -> None:
    writes = writes_on(lab, work, table)
    on = pricing.costs_with(sides[1], table, writes)
    for index in INDEXES[table]:
        hidden = pricing.price(sides, index, table, on, writes)
        dropped = price_by_drop(lab, table, index, writes)

        both = hidden, dropped
        records = [total(one, lambda write: write.wal_records) for one in both]
        sizes = [total(one, lambda write: write.wal.size_bytes) for one in both]
        say(
            f"{index}: {records[0]:.1f} WAL records hidden, {records[1]:.1f} dropped; "
            f"{sizes[0]:.0f} and {sizes[1]:.0f} bytes."
        )
        assert records[0] == pytest.approx(records[1], rel=0.05)
        assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
        hot = [total(one, lambda write: write.hot_lost) for one in both]
        assert hot[0] == pytest.approx(hot[1], rel=0.05, abs=0.1)


def total(price: Price, of: Callable[[WritePrice], float]) -> float:
    return sum(of(one) for one in price.writes)


def price_by_drop(lab: Lab, table: str, index: str, writes: list[Question]) -> Price:
    """The same in a copy of its own, where the index is dropped in between."""
    with (
        scratch(lab.server, "dropped", "flux_sprint11") as name,
        connect(lab.server, name) as connection,
    ):
        assert wal.can_read(connection)
        pricing.make_room(connection, (table,))
        on = pricing.costs_with(connection, table, writes)
        connection.execute(f"drop index {index}".encode())
        off = pricing.costs_with(connection, table, writes)
    return priced(index, (index,), on, off, {})


def test_an_insert_pays_an_entry_in_each_b_tree(
    lab: Lab, work: list[Question], sides: pricing.Sides
) -> None:
    (insert,) = [
        one
        for one in writes_on(lab, work, "messages")
        if one.query.name == "message_insert"
    ]
    on = pricing.costs_with(sides[1], "messages", [insert])

    price = pricing.price(sides, "idx_messages_author_id", "messages", on, [insert])

    (write,) = price.writes
    assert write.on.operation == "insert"
    assert 1.0 <= write.wal_records < 1.3
    assert write.hot_lost == 0


def test_an_index_on_what_is_updated_keeps_updates_from_being_hot(
    lab: Lab, work: list[Question], database: str, sides: pricing.Sides
) -> None:
    connection = sides[1]
    connection.execute("create table marks (id int primary key, seen int, note text)")
    connection.execute(
        "insert into marks select n, n, 'note' from generate_series(1, 99) n"
    )
    connection.execute("create index idx_marks_seen on marks (seen)")
    question = written(work, "update marks set seen = seen + 1 where id = 7")
    on = pricing.costs_with(connection, "marks", [question])

    price = pricing.price(sides, "idx_marks_seen", "marks", on, [question])

    (write,) = price.writes
    assert write.off.hot_updates == write.off.updates == 1
    assert write.on.hot_updates == 0
    # Without it the update writes the row and nothing else; with it also an entry for
    # the primary key, which nobody asked for.
    assert write.wal_records > 1.9


def test_what_a_gin_index_puts_off_is_counted(
    lab: Lab, work: list[Question], sides: pricing.Sides
) -> None:
    connection = sides[1]
    connection.execute("create table words (id int, tags text[])")
    connection.execute("create index idx_words_tags on words using gin (tags)")
    question = written(work, "insert into words values (1, array['one', 'two', 'three'])")

    on = pricing.costs_with(connection, "words", [question], ("idx_words_tags",))
    price = pricing.price(sides, "idx_words_tags", "words", on, [question])

    (write,) = price.writes
    assert write.on.deferred["idx_words_tags"] > 0
    assert write.wal_bytes == write.wal.size_bytes + write.on.deferred["idx_words_tags"]


def test_a_write_that_changes_no_row_has_no_price(
    lab: Lab, work: list[Question], sides: pricing.Sides
) -> None:
    question = written(work, "update messages set status = 'read' where false")

    assert pricing.costs_with(sides[1], "messages", [question]) == {}


def test_prices_leave_nothing_behind(
    lab: Lab, work: list[Question], sides: pricing.Sides
) -> None:
    def rows(connection: psycopg.Connection) -> object:
        return connection.execute(
            "select count(*), max(updated_at) from projects"
        ).fetchone()

    before = rows(sides[0])
    writes = writes_on(lab, work, "projects")
    on = pricing.costs_with(sides[1], "projects", writes)
    pricing.price(
        sides, "idx_projects_status", "projects", on, writes, writes[:1], writes[0]
    )

    assert rows(sides[0]) == before


def written(work: list[Question], statement: str) -> Question:
    """A write that is not in the Workload."""

    query = replace(
        work[0].query, name="made", statement=statement, names=(), parameters=()
    )
    return Question(query, replace(work[0].parameters, values=()))


def cost(entries: dict[str, Wal], *, hot: float) -> WriteCost:
    return WriteCost("q", "update", 10, 1, 5, Wal(1, 100), entries, 1, hot)


def test_entries_of_others_are_charged_only_where_hot_updates_are_lost() -> None:
    on = cost({"idx": Wal(1, 70), "other": Wal(3, 4_000)}, hot=0)
    same = cost({"other": Wal(1, 70)}, hot=0)

    assert WritePrice(("idx",), on, same).wal == Wal(1, 70)
    assert WritePrice(("idx",), on, cost({}, hot=1)).wal == Wal(4, 4_070)
    assert WritePrice(("idx",), on, cost({}, hot=0.5)).wal == Wal(2.5, 2_070)


def test_a_price_is_read_back_as_it_was_written() -> None:
    one = {"idx": Wal(1, 70)}
    on = WriteCost("q", "insert", 24, 1, 5, Wal(1, 100), one, deferred={"idx": 3.0})
    off = WriteCost("q", "insert", 24, 1, 4, Wal(1, 100), {})
    price = priced(
        "idx", ("idx",), {"q": on}, {"q": off}, {"q": (Speedup(1.1, 1.0, 1.2), 0.2)}, 0.01
    )

    assert read_price("idx", price.facts) == price
    assert price.per_thousand({"q": 10.0}, lambda one: one.wal_bytes) == 730.0
