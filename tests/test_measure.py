"""Measuring: pairs, the store, resuming, rolled-back writes, censored statements."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxlab.dataset.load import Dataset, table_checksums
from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.compare import compare_runs
from fluxlab.workload.measure import (
    Effort,
    Probe,
    Progress,
    measure_all,
    measure_pair,
    placed,
)
from fluxlab.workload.parameters import ParameterSet, Sampler
from fluxlab.workload.query import Query
from fluxlab.workload.stats import Sample
from fluxlab.workload.store import Measurement, Run, State, Store

WORKLOAD = load_workload(ROOT / "sql" / "queries")
QUICK = Effort(executions=1, block_ms=20.0, timeout_ms=5_000)
BEFORE = State("before", "data", "few", "server")
AFTER = State("after", "data", "many", "server")
WRITES = [query for query in WORKLOAD.values() if query.is_write]


@pytest.fixture
def probes(postgres: PostgresServer, database: str) -> Iterator[tuple[Probe, Probe]]:
    with connect(postgres, database) as one, connect(postgres, database) as two:
        yield Probe(BEFORE, one), Probe(AFTER, two)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "results.sqlite")
    yield opened
    opened.close()


def work_of(
    probes: tuple[Probe, Probe], template: Dataset, queries: list[Query]
) -> list[tuple[Query, ParameterSet]]:
    sampler = Sampler(probes[0].connection, template.now, seed=11)
    return [(query, drawn) for query in queries for drawn in sampler.parameter_sets(query)]


def reads(count: int) -> list[Query]:
    return [query for query in WORKLOAD.values() if not query.is_write][:count]


def test_a_pair_has_a_plan_and_a_sample_of_both_states(
    probes: tuple[Probe, Probe], template: Dataset
) -> None:
    ((query, drawn), *_) = work_of(probes, template, [WORKLOAD["messages_page_first"]])

    before, after = measure_pair(probes, query, drawn, QUICK)

    assert before.sample.executions == after.sample.executions == 4
    assert min(before.sample.times_ms) > 0
    assert before.plan.is_analyzed
    assert before.plan.blocks > 0
    assert before.plan.shape == after.plan.shape
    assert before.key == after.key == (query.fingerprint, drawn.fingerprint)


def test_what_is_known_is_not_measured_again(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    work = work_of(probes, template, reads(6))

    first = measure_all(probes, work[:5], store, QUICK)
    kept = store.run(BEFORE).measurements
    second = measure_all(probes, work, store, QUICK)

    assert first == 5
    assert second == len(work) - 5
    assert store.run(BEFORE).measurements[:5] == kept
    assert len(store.run(AFTER)) == len(work)


def test_an_interrupted_run_keeps_every_finished_pair_and_goes_on(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    work = work_of(probes, template, reads(8))

    def interrupt(progress: Progress) -> None:
        if progress.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all(probes, work, store, QUICK, interrupt)
    assert len(store.known(BEFORE)) == len(store.known(AFTER)) == 7

    assert measure_all(probes, work, store, QUICK) == len(work) - 7


def test_a_slow_statement_is_censored_and_not_dropped(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    slow = dataclasses.replace(
        WORKLOAD["users_total_count"],
        sql="select count(*) from users, pg_sleep(60);",
        statement="select count(*) from users, pg_sleep(60);",
    )
    ((query, drawn), *_) = work_of(probes, template, [slow])

    measure_all(probes, [(query, drawn)], store, dataclasses.replace(QUICK, timeout_ms=100))

    (kept,) = store.run(BEFORE).measurements
    assert kept.sample == Sample((), timeout_ms=100.0)
    assert not kept.plan.is_analyzed
    assert "Function Scan" in kept.plan.shape


def test_a_larger_timeout_measures_again_what_a_smaller_one_cut_off(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    nap = "select count(*) from users, pg_sleep(0.3) where name = 'Nobody' or random() < 2;"
    slow = dataclasses.replace(WORKLOAD["users_total_count"], sql=nap, statement=nap)
    work = work_of(probes, template, [slow, WORKLOAD["users_designers_active"]])
    short = dataclasses.replace(QUICK, timeout_ms=100)
    assert measure_all(probes, work, store, short) == 2
    assert store.run(BEFORE).measurements[0].sample.is_censored
    assert measure_all(probes, work, store, short) == 0

    assert measure_all(probes, work, store, QUICK) == 1

    kept = {one.query: one.sample for one in store.run(BEFORE).measurements}
    assert len(kept) == 2
    assert not kept["users_total_count"].is_censored


def test_a_statement_that_fails_is_named_with_its_file_and_line(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    wrong = dataclasses.replace(
        WORKLOAD["users_total_count"], statement="select * from nowhere;"
    )
    ((query, drawn), *_) = work_of(probes, template, [wrong])

    with pytest.raises(FluxlabError, match=rf"users\.sql:{wrong.line}: users_total_count"):
        measure_all(probes, [(query, drawn)], store, QUICK)

    assert store.known(BEFORE) == set()


def test_writes_leave_the_database_as_it_was(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    before = table_checksums(probes[0].connection)
    work = work_of(probes, template, WRITES)

    measured = measure_all(probes, work, store, QUICK)

    assert measured == len(work) >= 60
    assert table_checksums(probes[0].connection) == before
    changed = [one for one in store.run(BEFORE).measurements if one.plan.wal_records > 0]
    assert len(changed) >= 100


def test_a_checksum_notices_one_changed_cell(probes: tuple[Probe, Probe]) -> None:
    connection = probes[0].connection
    before = table_checksums(connection)

    connection.execute(
        "update users set name = name || '!' where id = (select id from users limit 1)"
    )

    after = table_checksums(connection)
    assert {table for table in before if before[table] != after[table]} == {"users"}


def test_two_runs_are_compared_pair_by_pair(
    probes: tuple[Probe, Probe], template: Dataset, store: Store
) -> None:
    work = work_of(probes, template, reads(5))
    measure_all(probes, work, store, QUICK)

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
        return Measurement("q", "hot", fingerprint, "p", "", Sample((time_ms,)), plan)

    store.add([(BEFORE, one("old", 1.0))])
    store.add([(BEFORE, one("new", 2.0))])
    store.add([(BEFORE, one("new", 3.0))])

    (kept,) = store.run(BEFORE, {"new"}).measurements
    assert kept.sample.times_ms == (3.0,)


def test_backends_and_client_sit_on_different_cores_while_measuring(
    probes: tuple[Probe, Probe], postgres: PostgresServer
) -> None:
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine cannot pin processes to two cores")
    everywhere = os.sched_getaffinity(0)
    pids = [probe.connection.info.backend_pid for probe in probes]

    with placed([probe.connection for probe in probes], is_ours=True) as placement:
        backends = [os.sched_getaffinity(pid) for pid in pids]
        client = os.sched_getaffinity(0)

    assert placement == "backends on one core, client on another"
    assert backends[0] == backends[1]
    assert len(client) == 1
    assert client.isdisjoint(backends[0])
    assert os.sched_getaffinity(0) == everywhere
    with placed([], is_ours=False) as placement:
        assert placement == "not pinned"


KILLED = """
import sys
from pathlib import Path
from fluxlab.workload.stats import Sample
from fluxlab.workload.store import Measurement, Run, State, Store

store = Store(Path(sys.argv[1]))
before, after = State("before", "d", "i", "s"), State("after", "d", "j", "s")
plan = '[{"Plan":{"Node Type":"Result"}}]'
for number in range(100_000):
    pair = [
        (state, Measurement("q", "hot", str(number), "p", "", Sample((1.0,)), plan))
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


def test_the_largest_change_of_a_query_is_a_clear_one() -> None:
    def one(query: str, key: str, *times_ms: float) -> Measurement:
        node = f"Node {times_ms}"  # every plan another one
        plan = json.dumps([{"Plan": {"Node Type": node, "Actual Loops": 1}}])
        return Measurement(query, key, query, key, "", Sample(times_ms), plan)

    before = [
        one("a", "hot", 9, 9, 9),
        one("a", "rare", 1, 50, 99),
        one("b", "hot", 1, 1, 1),
    ]
    after = [
        one("a", "hot", 3, 3, 3),
        one("a", "rare", 0.1, 5, 99),
        one("b", "hot", 5, 5, 5),
    ]

    comparison = compare_runs(Run(BEFORE, tuple(before)), Run(AFTER, tuple(after)))

    assert [(change.query, change.of_class) for change in comparison.largest] == [
        ("b", "hot"),
        ("a", "hot"),
    ]
    assert comparison.by_query == {"a": {"faster", "unclear"}, "b": {"slower"}}


def test_the_clock_alone_does_not_tell_two_states_apart_that_do_the_same_work() -> None:
    def one(blocks: int, node: str, *times_ms: float) -> Measurement:
        tree = {"Node Type": node, "Actual Loops": 1, "Shared Hit Blocks": blocks}
        return Measurement(
            "q", "hot", "f", "p", "", Sample(times_ms), json.dumps([{"Plan": tree}])
        )

    def outcome(before: Measurement, after: Measurement) -> str:
        (change,) = compare_runs(Run(BEFORE, (before,)), Run(AFTER, (after,)))
        return change.outcome

    slow = one(7160, "Seq Scan", 32, 32, 33)

    assert outcome(slow, one(7160, "Seq Scan", 20, 20, 21)) == "unclear"
    assert outcome(slow, one(7100, "Seq Scan", 20, 20, 21)) == "unclear"
    assert outcome(slow, one(7160, "Seq Scan", 32, 33, 33)) == "same"
    assert outcome(slow, one(3000, "Seq Scan", 20, 20, 21)) == "faster"
    assert outcome(slow, one(7160, "Index Scan", 20, 20, 21)) == "faster"
    # The blocks of a write leave out its triggers and foreign keys.
    deletes = one(20, "ModifyTable", 900, 910, 920), one(20, "ModifyTable", 1, 1, 1)
    assert outcome(*deletes) == "faster"
