"""What indexes cost, of chapter 06: the bill, its charts, sentences and exercises."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from made_effects import contribution, contributions, effect, price, write

from fluxlab.book import (
    index_exercises,
    price_charts,
    price_words,
    upkeep_words,
)
from fluxlab.book.sentences import Sentence
from fluxlab.indexes import bill
from fluxlab.indexes.buffers import Buffers, read_buffers
from fluxlab.indexes.sandbox import Sandbox
from fluxlab.lab import Lab, open_lab
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings
from fluxlab.workload.stats import Speedup

ENTRIES = {"pkey": 50.0, "idx_a": 70.0, "idx_b": 80.0}
LATER = {"idx_b": 30.0}
#: idx_a is on what the update changes, idx_b a GIN index on something else.
PRICES = {
    "idx_a": price(
        "idx_a",
        write("add", "insert", ENTRIES, hidden=("idx_a",), later=LATER),
        write("touch", "update", ENTRIES, hidden=("idx_a",), hot=(0.0, 1.0), later=LATER),
        write("remove", "delete", {}, hidden=("idx_a",)),
        planning_ms=0.004,
    ),
    "idx_b": price(
        "idx_b",
        write("add", "insert", ENTRIES, hidden=("idx_b",), later=LATER),
        write("touch", "update", ENTRIES, hidden=("idx_b",), later=LATER),
        write("remove", "delete", {}, hidden=("idx_b",)),
        planning_ms=-0.002,
    ),
}
TOGETHER = price(
    "base",
    write("add", "insert", ENTRIES, hidden=("idx_a", "idx_b"), later=LATER),
    write(
        "touch", "update", ENTRIES, hidden=("idx_a", "idx_b"), hot=(0.0, 1.0), later=LATER
    ),
    write("remove", "delete", {}, hidden=("idx_a", "idx_b")),
)
WEIGHTS = {"add": 10.0, "touch": 2.0, "remove": 5.0}
SPRINT = {"idx_a", "idx_b"}


def test_the_parts_of_an_index_are_its_whole_price() -> None:
    dearest, other = bill.items(PRICES, WEIGHTS)

    # Ten inserts and two updates of 80 and 30 bytes each.
    assert (dearest.index, dearest.own, dearest.later) == ("idx_b", 960, 360)
    assert (dearest.others, dearest.hot_lost) == (0, 0)
    # Each update also makes the key and the other index get an entry.
    assert (other.index, other.own, other.others, other.later) == ("idx_a", 840, 260, 0)
    assert other.hot_lost == 2
    for item in (dearest, other):
        whole = PRICES[item.index].per_thousand(WEIGHTS, lambda one: one.wal_bytes)
        assert item.total == pytest.approx(whole)


def test_a_write_logs_for_rows_for_what_stood_before_and_for_the_sprint() -> None:
    found = bill.written(PRICES, SPRINT, WEIGHTS)

    first = found[0]
    assert [one.cost.query for one in found] == ["add", "touch", "remove"]
    assert (first.rows, first.before, first.sprint, first.later) == (100, 50, 150, 30)
    assert first.total == first.cost.whole.size_bytes == 330
    assert bill.find(found, "touch").cost.operation == "update"
    with pytest.raises(KeyError):
        bill.find(found, "nothing")
    assert price_words.writes_title(found, 1) == (
        "Of what the 1 heaviest writes log, 55 % is for indexes of the sprint"
    )
    table = price_words.entries(first, SPRINT)
    assert list(table.index) == [
        "rows and triggers",
        "idx_b",
        "idx_a",
        "pkey",
        "idx_b, merged later",
    ]
    assert list(table["since"]) == ["", "sprint", "sprint", "before", "sprint"]


def test_inserts_add_up_and_updates_are_charged_twice() -> None:
    sums = bill.sums(PRICES, TOGETHER, SPRINT, WEIGHTS)

    add, touch, remove = sums
    assert (add.parts, add.whole) == (180, 180)
    # idx_a is charged with the entry of idx_b, which pays it as well.
    assert (touch.parts, touch.whole) == (70 + 130 + 110, 70 + 80 + 50 + 30)
    assert (remove.parts, remove.whole) == (0, 0)
    said = price_words.sums_sentence(sums)
    assert "Of inserts the prices add up" in said
    assert "Of updates the prices come to more: 0.6 kB one by one, 0.4 kB at once" in said
    assert said.endswith("1 of 1 deletes log nothing for any index.")
    assert "100 % for inserts and 135 % for updates" in price_words.sums_title(sums)
    table = price_words.sums_table(sums)
    assert list(table["added up ÷ at once"]) == ["1.00", "1.35", ""]
    assert list(table["HOT before, in 1,000"]) == ["0", "2", "0"]
    assert list(table["after"]) == ["0", "0", "0"]


def test_two_indexes_in_the_way_share_the_blame_and_neither_has_it() -> None:
    alone = {
        name: price(name, write("touch", "update", ENTRIES, hidden=(name,)))
        for name in SPRINT
    }
    together = price(
        "base", write("touch", "update", ENTRIES, hidden=tuple(SPRINT), hot=(0.0, 1.0))
    )

    sums = bill.sums(alone, together, SPRINT, WEIGHTS)

    assert sums[0].parts == 150 < sums[0].whole
    assert "come to less" in price_words.sums_sentence(sums)
    assert bill.hot_losses(alone, WEIGHTS) == ()


def test_a_page_without_room_is_no_index_s_fault() -> None:
    by_chance = write("touch", "update", ENTRIES, hidden=("idx_b",), hot=(0.5, 0.6))
    prices = {**PRICES, "idx_b": price("idx_b", by_chance)}

    (loss,) = bill.hot_losses(prices, WEIGHTS)

    assert (loss.index, loss.write.on.query, loss.others_bytes) == ("idx_a", "touch", 130)
    table = price_words.hot_table([loss])
    assert list(table.loc["idx_a"]) == ["touch", "2", "100 %", "0 %", "2.0", "130"]
    said = price_words.hot([loss], bill.written(PRICES, SPRINT, WEIGHTS))
    assert said.startswith("1 of 1 updates are never HOT with all indexes, in 10 exec")
    assert "Of 1 a single index is to blame" in said
    none = price_words.hot([], bill.written(PRICES, SPRINT, WEIGHTS))
    assert none.endswith("Of none of them a single index is to blame.")
    assert price_words.hot_table([]).empty


def look(index: str, ratio: float, error: float) -> dict[str, object]:
    speedup = Speedup(ratio, ratio - 2 * error, ratio + 2 * error, error, 6)
    timed = write("add", "insert", ENTRIES, hidden=(index,), slowdown=speedup)
    return {index: price(index, timed)}


def test_many_looks_at_nothing_call_nothing() -> None:
    """Single intervals lie off by chance; the correction for all looks knows."""
    noise = {
        name: made
        for number in range(60)
        for name, made in look(f"idx_{number}", 1.0 + 0.25 * (number == 7), 0.1).items()
    }

    found = bill.looks(noise)  # type: ignore[arg-type]

    assert not any(one.is_called for one in found)
    assert found[0].index == "idx_7"
    said = price_words.clock(found)
    assert "1 intervals lie above 1 and 0 below" in said
    assert "about 3 of them would lie off by chance" in said
    assert "none is called different" in said
    assert price_words.clock_title(found).endswith("the clock calls none different")
    sure = bill.looks(noise | look("idx_dear", 2.0, 0.01))  # type: ignore[arg-type]
    assert [one.index for one in sure if one.is_called] == ["idx_dear"]
    assert "1 are called different" in price_words.clock(sure)
    figure = price_charts.clock(sure, "title")
    traces = {trace.name: trace for trace in figure.data}
    assert traces["slower (1)"].marker.symbol == "diamond"
    assert len(traces["unclear (60)"].x) == 60
    assert price_words.clock(()) == "No write was timed."


def test_bars_have_their_parts_and_begin_with_the_dearest() -> None:
    items = bill.items(PRICES, WEIGHTS)
    figure = price_charts.indexes(items, price_words.indexes_title(items, SPRINT))

    bars = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in figure.data}
    assert bars["entries of the others"] == {"idx_a": 260 / 1024, "idx_b": 0}
    assert bars["its own, later"]["idx_b"] == 360 / 1024
    assert list(figure.data[0].y) == ["idx_a", "idx_b"]  # from the bottom
    assert figure.layout.title.text.startswith("idx_b costs writes most, 1.3 kB of WAL")
    assert figure.layout.title.text.endswith("sprint's 2 cost them nothing")

    writes = price_charts.writes(bill.written(PRICES, SPRINT, WEIGHTS), "title")
    names = [trace.name for trace in writes.data]
    assert names[:2] == ["rows and triggers", "indexes before"]
    assert names[2:] == ["the sprint's", "the sprint's, later"]
    assert list(writes.data[2].x)[-1] == 1500 / 1024


def test_the_scatter_shows_what_is_paid_by_operation() -> None:
    sums = bill.sums(PRICES, TOGETHER, SPRINT, WEIGHTS)

    figure = price_charts.sums(sums, "title")

    points = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data[1:]}
    assert points == {"insert (1)": ([180], [180]), "update (1)": ([230], [310])}


def test_gin_and_upkeep_and_worth_stand_in_tables() -> None:
    table = price_words.gin_table(PRICES)
    assert list(table["write"]) == ["add", "touch"]
    assert list(table["bytes later"]) == ["30", "30"]

    tried = contributions(
        contribution("idx_a", effect("q", "faster"), kind="without"),
        contribution("idx_b", kind="without"),
    )
    worth = price_words.worth(bill.items(PRICES, WEIGHTS), tried)
    assert list(worth["saves reads, ms"]) == ["0", "5"]
    assert list(worth["plans with it"]) == ["the same", "1 faster"]

    said = upkeep_words.planning(PRICES)
    assert "4 µs longer with one index more, in the middle of 2. 1 of them" in said
    shown = upkeep_words.buffers(Buffers(1280, {"t": 128}, {"idx_a": 256, "k": 1}), SPRINT)
    assert "Of 10 MiB of shared buffers the tables of this database take 1.0" in shown
    assert "of which those of the sprint 2.0" in shown
    assert "does not show its buffers" in upkeep_words.buffers(None, SPRINT)


def test_the_exercises_know_their_answers_and_what_is_wrong_with_others() -> None:
    entries = index_exercises.entries(
        bill.written(
            {
                "idx_a": price(
                    "idx_a", write("message_insert", "insert", ENTRIES, hidden=("idx_a",))
                )
            },
            SPRINT,
            WEIGHTS,
        ),
        [*ENTRIES, "idx_partial"],
    )
    replies = {answer: entries.check(answer) for answer in (3, 4, 1, 0, 2, "three")}
    assert [one.is_right for one in replies.values()] == [True] + [False] * 5
    assert not entries.check(True).is_right
    assert "idx_partial get none" in entries.check(4).text
    assert "too few" in replies[2].text
    assert dict(entries.solution().others).keys() == {"4", "1", "0"}

    losses = bill.hot_losses(PRICES, WEIGHTS)
    tables = {"idx_a": "t", "idx_b": "t", "idx_other": "u"}
    hot = index_exercises.who_stops_hot(losses, PRICES, tables)
    assert not isinstance(hot, Sentence)
    assert hot.check("idx_a").is_right
    assert "no more HOT" in hot.check("idx_b").text
    assert "idx_other is on u" in hot.check("idx_other").text
    assert "idx_a" not in hot.question.how
    assert isinstance(index_exercises.who_stops_hot((), PRICES, tables), Sentence)


@pytest.fixture
def sides(
    postgres: PostgresServer, module_database: str
) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    with (
        connect(postgres, module_database) as asking,
        connect(postgres, module_database) as named,
    ):
        yield asking, named


def test_the_buffers_of_a_relation_are_those_that_were_read(
    sides: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    asking, named = sides
    named.execute("set enable_seqscan = off")
    named.execute("select count(*) from messages where created_at is not null")
    named.execute("select sum(length(content)) from messages")
    row = named.execute("select pg_relation_size('messages') / 8192").fetchone()
    assert row is not None

    with asking.transaction(force_rollback=True):
        found = read_buffers(asking, named)

    assert found.tables["messages"] == row[0]
    assert found.indexes["idx_messages_created_at"] > 0
    assert found.of(["idx_messages_created_at", "none"]) == sum(
        count for name, count in found.indexes.items() if name == "idx_messages_created_at"
    )
    assert found.all >= sum((*found.tables.values(), *found.indexes.values()))
    left = asking.execute("select 1 from pg_extension where extname = 'pg_buffercache'")
    assert left.fetchall() == []


def test_a_lab_shows_its_buffers_and_leaves_no_extension(settings: Settings) -> None:
    lab: Lab = open_lab(settings)
    with Sandbox(lab.server) as sandbox:
        found = upkeep_words.ask_buffers(sandbox, "flux_sprint11")

    assert found is not None
    assert found.all > 0
    assert found.indexes.keys() <= set(lab.indexes.known)
