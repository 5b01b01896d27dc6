"""What sets of indexes give and cost as a whole: sums by hand, and a walk on a server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from index_cases import contribution, effect, measured, price

from fluxlab.indexes import pricing
from fluxlab.indexes.foreseen import (
    Foreseen,
    digest_of,
    foresee_hot,
    foresee_plans,
    read_foreseen,
)
from fluxlab.indexes.hiding import hidden, scratch
from fluxlab.indexes.pareto import (
    Point,
    best_first,
    curve,
    frontier,
    knee,
    largest_steps,
    times_of_plans,
    wal_without,
)
from fluxlab.indexes.planner import Planner, Question
from fluxlab.indexes.price import WriteCost, WritePrice
from fluxlab.indexes.set_pricing import WriteTimes, price_sets, read_times, time_set
from fluxlab.indexes.sets import Log, Totals, log_of, totals_of_run, totals_without
from fluxlab.indexes.trials import Trial
from fluxlab.indexes.wal import Wal
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import plan_work
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.stats import Speedup

# --- sums --------------------------------------------------------------------------------

LOG = Log(wal_bytes=5_000.0, hot_share=0.5)
SIZES = {"a": 8_192, "b": 16_384, "c": 8_192}
WHOLE = Totals("all", 3, 32_768, 100.0, 1_000.0, 40.0, 9_000.0, 0.1)


def test_reads_and_writes_of_a_state_are_added_up_by_their_weight() -> None:
    reads = measured(2.0, "read", blocks=30), measured(5.0, "other", blocks=7)
    write = measured(3.0, "write", blocks=90)
    weights = {reads[0].key: 10.0, reads[1].key: 0.5, write.key: 2.0}

    found = totals_of_run("all", SIZES, (*reads, write), weights, {"write"}, LOG)

    assert found == Totals("all", 3, 32_768, 22.5, 303.5, 6.0, LOG.wal_bytes, LOG.hot_share)
    assert found.time_ms == 28.5


def test_what_was_cut_off_is_a_bound_and_is_counted() -> None:
    slow = measured(2_000.0, "slow", timeout_ms=2_000.0)

    found = totals_of_run("base", {}, [slow], {slow.key: 1.0}, (), LOG, ("untold",))

    assert (found.read_ms, found.cut_off) == (2_000.0, 1)
    assert found.unmeasured == ("untold",)


def test_a_set_is_all_with_what_is_clearly_otherwise_without_the_rest() -> None:
    dropped = contribution(
        effect("faster", 3.0, 1.0, weight=2.0, blocks=(50, 10)),
        effect("slower", 1.0, 2.0, weight=4.0, blocks=(10, 10)),
        effect("unclear", 9.0, 1.0, weight=7.0, blocks=(20, 10)),
        effect("faster", 99.0, 1.0, query="write", blocks=(90, 10)),
    )
    kept = {"a": 8_192}

    found = totals_without(WHOLE, "kept", kept, dropped, {"write"}, LOG, (12.0, 3.0))

    # The unclear one moves no time; its blocks are counted, and need no clock.
    assert found.read_ms == pytest.approx(100.0 + 2 * 2.0 - 4 * 1.0)
    assert found.read_blocks == pytest.approx(1_000 + 2 * 40 + 7 * 10)
    assert (found.write_ms, found.write_error_ms) == (28.0, 3.0)
    assert (found.indexes, found.index_bytes) == (1, 8_192)
    assert (found.wal_bytes, found.hot_share) == (5_000.0, 0.5)
    assert (found.cut_off, found.unmeasured) == (0, ())


def test_what_is_cut_off_only_without_the_rest_is_counted_too() -> None:
    cut = effect("faster", 2_000.0, 1.0, timeout_ms=2_000.0)

    found = totals_without(WHOLE, "kept", {}, contribution(cut), (), LOG, (0.0, 0.0))

    assert found.cut_off == 1


def test_a_changed_plan_that_was_not_measured_is_said() -> None:
    one = effect("same", 1.0, 1.0)
    trial = Trial("dropped", "set", 9, ("s", "lost"), 8)
    dropped = replace(contribution(one), trial=trial)

    found = totals_without(WHOLE, "kept", {}, dropped, (), LOG, (0.0, 0.0))

    assert found.unmeasured == ("1 changed plans",)


def test_the_log_of_a_set_is_weighted_and_its_hot_updates_are_a_share() -> None:
    costs = [
        WriteCost("a", "insert", 1, 1, 1, Wal(1, 100), {"i": Wal(1, 20)}),
        WriteCost("b", "update", 1, 4, 1, Wal(1, 10), {}, 4.0, 1.0, {"g": 5.0}),
    ]

    found = log_of(costs, {"a": 2.0, "b": 3.0})

    assert found.wal_bytes == pytest.approx(2 * 120 + 3 * 15)
    assert found.hot_share == pytest.approx(0.25)
    assert log_of([], {}) == Log(0.0, 0.0)


def test_errors_of_single_writes_cancel_out_in_their_sum() -> None:
    one = Speedup(1.5, 0.9, 2.5, error=0.1, rounds=4)
    pairs = {("q", str(n)): (one, 2.0) for n in range(100)}
    times = WriteTimes(frozenset({"i"}), pairs)

    spared, error = times.spared_ms(dict.fromkeys(pairs, 1.0))

    assert spared == pytest.approx(100 * 2.0 * 0.5)
    assert error == pytest.approx(1.96 * 10 * 2.0 * 1.5 * 0.1)
    assert read_times(times.facts) == times


# --- the curve ----------------------------------------------------------------------------

KEY = ("page", "p")


def test_the_best_first_saves_most_per_byte_and_the_harmful_come_last() -> None:
    def one(name: str, saved_ms: float, size_bytes: int) -> object:
        found = effect("faster" if saved_ms > 0 else "slower", 5.0, 5.0 - saved_ms)
        made = contribution(*([found] if saved_ms else []), kind="alone", name=name)
        return replace(made, trial=replace(made.trial, size_bytes=size_bytes))

    alone = [
        one("large", 4.0, 8_000),
        one("bad", -1.0, 100),
        one("small", 2.0, 1_000),
        one("none", 0.0, 500),
        one("none, large", 0.0, 900),
        one("worse", -2.0, 100),
    ]

    assert best_first(alone) == (  # type: ignore[arg-type]
        "small",
        "large",
        "none",
        "none, large",
        "bad",
        "worse",
    )


def test_a_plan_takes_what_the_measured_ratios_on_the_way_to_it_say() -> None:
    effects = [
        effect("faster", 8.0, 4.0, switch="one"),
        effect("faster", 4.0, 1.0, switch="two"),
        effect("unclear", 1.0, 3.0, switch="three"),
        effect("faster", 6.0, 2.0, switch="far"),
    ]
    plans = {"one": ("A", "B"), "two": ("B", "C"), "three": ("C", "D"), "far": ("X", "Y")}

    times = times_of_plans({KEY: digest_of("A")}, {KEY: 16.0}, effects, plans)

    at = {name: times.get((KEY, digest_of(name))) for name in "ABCDXY"}
    assert at == pytest.approx(
        {"A": 16.0, "B": 8.0, "C": 2.0, "D": 2.0, "X": None, "Y": None}
    )


def test_a_way_is_gone_backwards_too() -> None:
    plans = {"s": ("B", "A")}

    times = times_of_plans(
        {KEY: digest_of("A")}, {KEY: 2.0}, [effect("faster", 9.0, 3.0)], plans
    )

    assert times[KEY, digest_of("B")] == pytest.approx(6.0)


def test_the_curve_follows_plans_bytes_and_log_from_the_base_to_all() -> None:
    write = WritePrice(
        ("a", "b"),
        on=WriteCost(
            "w", "update", 9, 1, 1, Wal(1, 100), {"a": Wal(1, 30), "z": Wal(1, 7)}, 4.0, 0.0
        ),
        off=WriteCost("w", "update", 9, 1, 1, Wal(1, 100), {}, 4.0, 4.0),
    )
    foreseen = Foreseen(
        ("a", "b"),
        ({KEY: "one", ("x", "y"): "same"}, {KEY: "two"}, {KEY: "unheard of"}),
        ({"w": 1.0}, {"w": 0.0}, {}),
    )
    times = {(KEY, "one"): 9.0, (KEY, "two"): 3.0, (KEY, "else"): 1.0}
    sizes = {"a": 100, "b": 50, "z": 10}

    points = curve(foreseen, times, {KEY: 2.0}, sizes, [write], {"w": 10.0})

    assert [one.added for one in points] == [None, "a", "b"]
    assert [one.indexes for one in points] == [1, 2, 3]
    assert [one.index_bytes for one in points] == [10, 110, 160]
    # All updates are HOT at first and write no entry; with `a` none is, and all do.
    assert [one.wal_bytes for one in points] == pytest.approx([1_000, 1_370, 1_370])
    assert [one.read_ms for one in points] == pytest.approx([18.0, 6.0, 10.0])
    assert (points[2].low_ms, points[2].high_ms, points[2].unknown) == (2.0, 18.0, 1)


def test_log_is_the_sum_of_its_parts_without_what_is_hidden() -> None:
    (write,) = price(0.5, wal_bytes=100).writes
    deferred = replace(write.on, deferred={"i": 9.0, "g": 4.0})

    assert wal_without(replace(write, on=deferred), (), 1.0) == pytest.approx(163.0)
    assert wal_without(replace(write, on=deferred), ("i",), 1.0) == pytest.approx(54.0)


def points_of(*rows: tuple[int, float]) -> list[Point]:
    return [
        Point(number, f"i{number}", size, 0.0, ms, ms, ms)
        for number, (size, ms) in enumerate(rows)
    ]


def test_the_frontier_leaves_out_what_a_smaller_set_does_as_well() -> None:
    points = points_of((1, 10.0), (2, 4.0), (3, 5.0), (4, 3.0), (5, 3.0))

    assert [one.index_bytes for one in frontier(points)] == [1, 2, 4]


def test_the_knee_is_the_first_set_that_saves_nearly_all() -> None:
    points = points_of((1, 110.0), (2, 20.0), (3, 14.0), (4, 10.0), (5, 12.0))

    assert knee(points).index_bytes == 3
    assert knee(points, 0.9).index_bytes == 2
    assert [one.added for one, _ in largest_steps(points, 2)] == ["i1", "i2"]


# --- on a server --------------------------------------------------------------------------

ORDER = (
    "idx_messages_status",
    "idx_messages_thread_id",
    "idx_projects_tags",
    "idx_messages_content_search",
)
TABLES = {name: "projects" if "projects" in name else "messages" for name in ORDER}


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def work(lab: Lab) -> list[Question]:
    return [Question(*item) for item in plan_work(lab, lambda tick: None)]


@contextmanager
def session(lab: Lab, name: str) -> Iterator[psycopg.Connection]:
    with (
        scratch(lab.server, name, "flux_sprint11") as database,
        connect(lab.server, database) as connection,
    ):
        yield connection


def test_a_walk_ends_where_all_are_and_starts_where_none_of_them_is(
    lab: Lab, work: list[Question]
) -> None:
    keys = lab.catalog("sprint11").foreign_keys
    with session(lab, "walk") as connection:
        planner = Planner(connection, keys)
        whole = planner.plans(work)
        with hidden(connection, ORDER):
            first = planner.plans(work)
        with hidden(connection, ORDER[2:]):
            middle = planner.plans(work)
        steps = foresee_plans(connection, keys, work, ORDER, TABLES, lambda tick: None)

    current: dict[tuple[str, str], str] = {}
    for number, (step, wanted) in enumerate(
        zip(steps, (first, None, middle, None, whole), strict=True)
    ):
        assert not any(current.get(key) == digest for key, digest in step.items())
        current |= step
        if wanted is not None:
            digests = {key: digest_of(plan) for key, plan in wanted.items()}
            assert current == digests, number
    assert steps[2]
    assert not any("projects" in one.query.tables for one in work if one.key in steps[1])
    read = Foreseen(ORDER, steps, ({},) * 5)
    assert read_foreseen(read.facts) == read


def test_an_update_loses_its_hot_at_the_step_whose_index_has_the_column(
    lab: Lab, work: list[Question]
) -> None:
    (update,) = lab.indexes.writes_on(
        "messages", [one for one in work if one.query.name == "messages_mark_read"]
    )
    with session(lab, "hot") as connection:
        pricing.make_room(connection, ("messages",))
        # The status stands in this index alone, and it comes second.
        order = (ORDER[1], ORDER[0], ORDER[3])
        found = foresee_hot(connection, {"messages": (update,)}, order, TABLES)

    assert found[0]["messages_mark_read"] > 0
    assert found[1].get("messages_mark_read", 1.0) > 0
    assert found[2] == {"messages_mark_read": 0.0}
    assert found[3] == {}


def test_sets_are_priced_at_once_and_gin_that_stays_is_still_paid_for(
    lab: Lab, work: list[Question]
) -> None:
    chosen = [one for one in work if one.query.name == "message_insert"]
    writes = {"messages": lab.indexes.writes_on("messages", chosen)}
    gin = {"messages": lab.indexes.gin_on("messages")}
    sets = {
        "few": ("idx_messages_status", "idx_conversations_last_message_at"),
        "gin": ("idx_messages_content_search",),
    }
    with (
        scratch(lab.server, "sets", "flux_sprint11") as database,
        connect(lab.server, database) as off,
        connect(lab.server, database) as on,
    ):
        pricing.wal.can_read(on)
        pricing.make_room(on, ("messages",))
        found = price_sets((off, on), writes, gin, sets, lambda tick: None)
        times = time_set((off, on), writes["messages"], sets["few"])

    few, without_gin = (found[name].writes[0] for name in sets)
    assert found["few"].names == set(sets["few"])
    assert few.on == without_gin.on
    assert few.off.deferred["idx_messages_content_search"] > 0
    assert without_gin.off.deferred == {}
    assert "idx_messages_status" not in few.off.entries
    assert few.off.whole.size_bytes < few.on.whole.size_bytes
    assert times.names == set(sets["few"])
    assert all(one.rounds > 1 and ms > 0 for one, ms in times.pairs.values())
    assert math.isfinite(times.spared_ms(dict.fromkeys(times.pairs, 1.0))[1])
