"""Measuring: pairs, the store, resuming, rolled-back writes, censored statements."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from fluxlab.dataset.load import Dataset, table_checksums
from fluxlab.errors import FluxlabError
from fluxlab.plans.explain import explain_text
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT
from fluxlab.workload.budget import BUDGETS
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.clock import NOT_PINNED, PINNED, Call, placed
from fluxlab.workload.compare import compare_runs
from fluxlab.workload.measure import (
    Bench,
    Probe,
    Progress,
    first_look,
    measure_all,
    more_rounds,
)
from fluxlab.workload.parameters import ParameterSet, Sampler
from fluxlab.workload.query import Query
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.stats import compare
from fluxlab.workload.store import Measurement, State, Store

WORKLOAD = load_workload(ROOT / "sql" / "queries")
QUICK = dataclasses.replace(BUDGETS["quick"], first_ms=20.0, timeout_ms=5_000)
LANES = 4
BEFORE = State("before", "data", "few", "server")
AFTER = State("after", "data", "many", "server")
WRITES = [query for query in WORKLOAD.values() if query.is_write]


@pytest.fixture
def bench(postgres: PostgresServer, database: str) -> Iterator[Bench]:
    with connect(postgres, database) as one, connect(postgres, database) as two:
        yield Bench(Probe(BEFORE, (one,)), Probe(AFTER, (two,)), QUICK)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "results.sqlite")
    yield opened
    opened.close()


def work_of(
    bench: Bench, template: Dataset, queries: list[Query]
) -> list[tuple[Query, ParameterSet]]:
    sampler = Sampler(bench.before.connection, template.now, seed=11)
    return [(query, drawn) for query in queries for drawn in sampler.parameter_sets(query)]


def hurried(bench: Bench) -> Bench:
    return dataclasses.replace(bench, budget=dataclasses.replace(QUICK, timeout_ms=100))


def reads(count: int) -> list[Query]:
    return [query for query in WORKLOAD.values() if not query.is_write][:count]


def test_a_pair_has_plans_and_paired_blocks_of_both_states(
    bench: Bench, template: Dataset
) -> None:
    ((query, drawn), *_) = work_of(bench, template, [WORKLOAD["messages_page_first"]])

    before, after = first_look(bench, query, drawn)

    assert len(before.sample.blocks) == len(after.sample.blocks) >= 2
    assert all(len(block.times_ms) >= 2 for block in before.sample.blocks)
    assert min(before.sample.times_ms) > 0
    assert before.plan.is_analyzed
    assert before.plan.blocks > 0
    assert before.plan.shape == after.plan.shape
    assert before.key == after.key == (query.fingerprint, drawn.fingerprint)
    assert bench.time_spent.rounds == len(before.sample.blocks)


def test_the_states_take_turns_in_blocks_each_after_one_that_is_discarded(
    bench: Bench, template: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((query, drawn), *_) = work_of(bench, template, [WORKLOAD["messages_page_first"]])
    said: list[str] = []
    names = {bench.before.connection.pgconn: "A", bench.after.connection.pgconn: "B"}

    def block(call: Call, executions: int) -> Block:
        said.append(names[call._libpq].upper())
        return Block((1.0,) * executions)

    def time_ms(call: Call) -> float:
        said.append(names[call._libpq].lower())
        return 1.0

    monkeypatch.setattr(Call, "block", block)
    monkeypatch.setattr(Call, "time_ms", time_ms)
    pair = first_look(bench, query, drawn)
    more_rounds(bench, query, drawn, pair, 2)

    # Two warm ones first, which say how long an execution takes; lower case is discarded.
    # The plans are the same, so a frugal budget takes two rounds, and two are added.
    assert "".join(said) == "ab" + "aAbB" + "bBaA" + "aAbB" + "bBaA"


def test_more_rounds_join_those_there_and_leave_the_plans(
    bench: Bench, template: Dataset
) -> None:
    ((query, drawn), *_) = work_of(bench, template, [WORKLOAD["messages_page_first"]])
    pair = first_look(bench, query, drawn)

    more = more_rounds(bench, query, drawn, pair, 4)

    for one, other in zip(pair, more, strict=True):
        assert other.sample.blocks[: len(one.sample.blocks)] == one.sample.blocks
        assert len(other.sample.blocks) == len(one.sample.blocks) + 4
        assert other.plan_text == one.plan_text


def test_cpu_time_is_read_beside_the_clock_where_the_system_has_it(
    bench: Bench, template: Dataset
) -> None:
    busy = "select count(*) from messages m1 cross join generate_series(1, 20);"
    query = dataclasses.replace(WORKLOAD["users_total_count"], sql=busy, statement=busy)
    ((query, drawn), *_) = work_of(bench, template, [query])
    pid = bench.before.connection.info.backend_pid

    before, _ = first_look(bench, query, drawn)

    if not Path(f"/proc/{pid}/schedstat").exists():
        assert before.sample.cpu_levels_ms == ()
        return
    cpu_ms = before.sample.cpu_levels_ms
    assert len(cpu_ms) == len(before.sample.blocks)
    # A backend cannot compute for longer than the client waits, but for its last breath.
    assert all(
        0 < cpu <= max(block.times_ms) + 1
        for cpu, block in zip(cpu_ms, before.sample.blocks, strict=True)
    )


def test_where_nothing_is_pinned_every_two_connections_meet_once_in_sixteen_rounds(
    postgres: PostgresServer,
    template: Dataset,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        lanes = [stack.enter_context(connect(postgres, database)) for _ in range(8)]
        bench = Bench(
            Probe(BEFORE, tuple(lanes[:4])), Probe(AFTER, tuple(lanes[4:])), QUICK
        )
        ((query, drawn), *_) = work_of(bench, template, [WORKLOAD["user_by_email"]])
        pair = first_look(bench, query, drawn)
        numbers = {lane.pgconn: number for number, lane in enumerate(lanes)}
        seen: list[int] = []

        def block(call: Call, executions: int) -> Block:
            seen.append(numbers[call._libpq])
            return Block((1.0,) * executions)

        monkeypatch.setattr(Call, "block", block)
        more_rounds(bench, query, drawn, pair, 16)

    met = {tuple(sorted(seen[turn : turn + 2])) for turn in range(0, len(seen), 2)}
    assert len(seen) == 32
    assert met == {(one, other) for one in range(4) for other in range(4, 8)}


def test_what_is_known_is_not_measured_again(
    bench: Bench, template: Dataset, store: Store
) -> None:
    work = work_of(bench, template, reads(6))

    first = measure_all(bench, work[:5], store)
    kept = store.run(BEFORE).measurements
    second = measure_all(bench, work, store)

    assert first == 5
    assert second == len(work) - 5
    assert store.run(BEFORE).measurements[:5] == kept
    assert len(store.run(AFTER)) == len(work)


def test_an_interrupted_run_keeps_every_finished_pair_and_goes_on(
    bench: Bench, template: Dataset, store: Store
) -> None:
    work = work_of(bench, template, reads(8))

    def interrupt(progress: Progress) -> None:
        if progress.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all(bench, work, store, interrupt)
    assert len(store.known(BEFORE)) == len(store.known(AFTER)) == 7

    assert measure_all(bench, work, store) == len(work) - 7


def test_a_slow_statement_is_censored_and_not_dropped(
    bench: Bench, template: Dataset, store: Store
) -> None:
    slow = dataclasses.replace(
        WORKLOAD["users_total_count"],
        sql="select count(*) from users, pg_sleep(60);",
        statement="select count(*) from users, pg_sleep(60);",
    )
    ((query, drawn), *_) = work_of(bench, template, [slow])

    measure_all(hurried(bench), [(query, drawn)], store)

    (kept,) = store.run(BEFORE).measurements
    assert kept.sample.is_censored
    assert kept.sample.timeout_ms == 100.0
    assert str(kept.sample) == "> 0.1 s"
    assert not kept.plan.is_analyzed
    assert "Function Scan" in kept.plan.shape


def test_a_statement_that_only_explain_cuts_off_has_one_round_and_no_interval(
    bench: Bench, template: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((query, drawn), *_) = work_of(bench, template, [WORKLOAD["user_by_email"]])

    def explained(*args: object, analyze: bool = False) -> str:
        if analyze and args[0] is bench.before.connection:
            raise psycopg.errors.QueryCanceled
        return explain_text(*args, analyze=analyze)  # type: ignore[arg-type]

    monkeypatch.setattr("fluxlab.workload.measure.explain_text", explained)
    before, after = first_look(bench, query, drawn)

    assert not before.sample.is_censored
    assert len(before.sample.blocks) == len(after.sample.blocks) == 1
    assert compare(before.sample, after.sample).p_value() == 1.0
    more = more_rounds(bench, query, drawn, (before, after), 4)
    assert [len(one.sample.blocks) for one in more] == [5, 5]


def test_a_larger_timeout_measures_again_what_a_smaller_one_cut_off(
    bench: Bench, template: Dataset, store: Store
) -> None:
    nap = "select count(*) from users, pg_sleep(0.3) where name = 'Nobody' or random() < 2;"
    slow = dataclasses.replace(WORKLOAD["users_total_count"], sql=nap, statement=nap)
    work = work_of(bench, template, [slow, WORKLOAD["users_designers_active"]])
    short = hurried(bench)
    assert measure_all(short, work, store) == 2
    assert store.run(BEFORE).measurements[0].sample.is_censored
    assert measure_all(short, work, store) == 0

    assert measure_all(bench, work, store) == 1

    kept = {one.query: one.sample for one in store.run(BEFORE).measurements}
    assert len(kept) == 2
    assert not kept["users_total_count"].is_censored


def test_a_statement_that_fails_is_named_with_its_file_and_line(
    bench: Bench, template: Dataset, store: Store
) -> None:
    wrong = dataclasses.replace(
        WORKLOAD["users_total_count"], statement="select * from nowhere;"
    )
    ((query, drawn), *_) = work_of(bench, template, [wrong])

    with pytest.raises(FluxlabError, match=rf"users\.sql:{wrong.line}: users_total_count"):
        measure_all(bench, [(query, drawn)], store)

    assert store.known(BEFORE) == set()


def test_writes_leave_the_database_as_it_was(
    bench: Bench, template: Dataset, store: Store
) -> None:
    before = table_checksums(bench.before.connection)
    work = work_of(bench, template, WRITES)

    measured = measure_all(bench, work, store)

    assert measured == len(work) >= 60
    assert table_checksums(bench.before.connection) == before
    changed = [one for one in store.run(BEFORE).measurements if one.plan.wal_records > 0]
    assert len(changed) >= 100


def test_a_checksum_notices_one_changed_cell(bench: Bench) -> None:
    connection = bench.before.connection
    before = table_checksums(connection)

    connection.execute(
        "update users set name = name || '!' where id = (select id from users limit 1)"
    )

    after = table_checksums(connection)
    assert {table for table in before if before[table] != after[table]} == {"users"}


def test_two_runs_are_compared_pair_by_pair(
    bench: Bench, template: Dataset, store: Store
) -> None:
    work = work_of(bench, template, reads(5))
    measure_all(bench, work, store)

    comparison = compare_runs(store.run(BEFORE), store.run(AFTER))

    assert len(comparison) == len(work)
    assert len(comparison.by_query) == 5
    assert list(comparison.frame()["query"]) == [query.name for query, _ in work]
    assert sum(
        len(comparison.of(word)) for word in ("faster", "slower", "same", "unclear")
    ) == len(work)


def test_an_edited_statement_is_measured_anew_and_the_old_one_is_left_out(
    store: Store,
) -> None:
    def one(fingerprint: str, time_ms: float) -> Measurement:
        plan = '[{"Plan":{"Node Type":"Result"}}]'
        return Measurement("q", "hot", fingerprint, "p", "", Sample.of(time_ms), plan)

    store.add([(BEFORE, one("old", 1.0))])
    store.add([(BEFORE, one("new", 2.0))])
    store.add([(BEFORE, one("new", 3.0))])

    (kept,) = store.run(BEFORE, {"new"}).measurements
    assert kept.sample.times_ms == (3.0,)


def test_backends_and_client_sit_on_different_cores_while_measuring(
    bench: Bench, postgres: PostgresServer
) -> None:
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine cannot pin processes to two cores")
    everywhere = os.sched_getaffinity(0)
    connections = [probe.connection for probe in bench.probes]
    pids = [one.info.backend_pid for one in connections]

    with placed(connections, is_ours=True) as placement:
        backends = [os.sched_getaffinity(pid) for pid in pids]
        client = os.sched_getaffinity(0)

    assert placement == PINNED
    assert backends[0] == backends[1]
    assert len(client) == 1
    assert client.isdisjoint(backends[0])
    assert os.sched_getaffinity(0) == everywhere
    with placed([], is_ours=False) as placement:
        assert placement == NOT_PINNED


KILLED = """
import sys
from pathlib import Path
from fluxlab.workload.sample import Sample
from fluxlab.workload.store import Measurement, State, Store

store = Store(Path(sys.argv[1]))
before, after = State("before", "d", "i", "s"), State("after", "d", "j", "s")
plan = '[{"Plan":{"Node Type":"Result"}}]'
for number in range(100_000):
    pair = [
        (state, Measurement("q", "hot", str(number), "p", "", Sample.of(1.0), plan))
        for state in (before, after)
    ]
    store.add(pair)
    print(number, flush=True)
"""


def test_a_kill_9_loses_no_pair_and_leaves_no_half_of_one(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for _ in range(40):
        last = int(process.stdout.readline())
    time.sleep(0.003)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    store = Store(path)
    before = store.known(State("before", "d", "i", "s"))
    after = store.known(State("after", "d", "j", "s"))
    store.close()

    assert before == after
    assert {(str(number), "p") for number in range(last + 1)} <= before
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
