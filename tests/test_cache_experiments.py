"""The three experiments on real servers, shortened: what they find, not how fast."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fluxlab.caching.cache import Cache
from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.experiments.found import Experiments, experiments_of, facts_of
from fluxlab.caching.experiments.rows import TABLE, Source
from fluxlab.caching.experiments.run import run_experiments
from fluxlab.caching.experiments.stale import StalePlan, stale_reads
from fluxlab.caching.layer import Touch
from fluxlab.progress import Tick
from fluxlab.servers.connections import redis_client
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.process import is_alive
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

SCALE = 0.3


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    """What was reported while the experiments ran."""
    return []


@pytest.fixture(scope="module")
def found(settings: Settings, postgres: PostgresServer, ticks: list[Tick]) -> Experiments:
    """All experiments once, before PostgreSQL."""
    conninfo = make_conninfo(postgres.conninfo, dbname="postgres")
    scratch = settings.home / "e"
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        found = run_experiments(
            settings, conninfo, seconds_scale=SCALE, report=ticks.append
        )
    assert list(scratch.iterdir()) == []
    with psycopg.connect(conninfo) as connection:
        left = connection.execute("select to_regclass(%s)", (TABLE,)).fetchone()
    assert left == (None,)
    return found


def test_a_note_gives_back_what_was_found(found: Experiments, ticks: list[Tick]) -> None:
    assert experiments_of(json.loads(json.dumps(facts_of(found)))) == found
    assert [tick.done for tick in ticks] == [0, 1, 2, 3, 4]
    assert found.stale.database == "PostgreSQL"


def test_a_fill_that_a_write_overtakes_is_stale_in_the_specimen_alone(
    found: Experiments,
) -> None:
    theirs = found.stale.of("sprint11", "nobody between")
    overtaken = [one for one in theirs if one.stale and one.offset < 1]
    # All five, but on a busy machine a write may come late, after the load.
    assert len(overtaken) >= 2
    # Nothing but the lifetime ends it.
    assert all(one.longest_s > found.stale.ttl_s * 0.6 for one in overtaken)
    for scenario in ("nobody between", "a reader between"):
        ours = found.stale.of("fluxlab", scenario)
        assert [one.stale for one in ours] == [0] * 7


def test_a_crowd_sees_stale_rows_in_the_specimen_alone(found: Experiments) -> None:
    by_layer = {one.layer: one for one in found.stale.together}
    assert {one.layer: one.stale > 0 for one in by_layer.values()} == {
        "none": False,
        "sprint11": True,
        "fluxlab": False,
    }
    for one in by_layer.values():
        assert one.reads == one.hits + one.joined + one.misses + one.bypassed
    assert by_layer["fluxlab"].hits > 0


def test_only_a_barrier_survives_a_writer_that_dies(found: Experiments) -> None:
    crashes = {(one.layer, one.way): one for one in found.stale.crashes}
    assert crashes["sprint11", "forget after commit"].stale > 0
    assert crashes["fluxlab", "forget after commit"].stale > 0
    barred = crashes["fluxlab", "writing barrier"]
    assert (barred.stale, barred.trials) == (0, 5)
    assert barred.hits_again_s is not None
    assert barred.hits_again_s < found.stale.crash_ttl_s


def test_a_hundred_readers_load_once_with_ours_and_each_for_itself_with_the_specimen(
    found: Experiments,
) -> None:
    for state in ("missing", "expired"):
        for processes in (1, 4):
            theirs, ours = (
                next(
                    one
                    for one in found.stampedes.of(name, processes, state)
                    if one.readers == 100
                )
                for name in ("sprint11", "fluxlab")
            )
            assert theirs.most_loads > 50
            assert ours.bypassed or ours.most_loads == 1
            assert theirs.errors == ours.errors == 0


def test_no_outage_leaks_an_error_and_ours_comes_back(found: Experiments) -> None:
    for one in found.outages.found:
        assert one.errors == 0
        assert sum(part.requests for part in one.slices) == one.requests
        if one.layer == "fluxlab":
            assert one.unfinished == 0
            assert one.back_s is not None
            assert one.health_during == "degraded"
    stopped = found.outages.of("sprint11", "stopped")
    waited_s = stopped.ends_s - stopped.begins_s
    assert stopped.max_ms > 800 * waited_s
    assert stopped.health_during == "no answer"
    assert found.outages.of("fluxlab", "stopped").max_ms < 800 * waited_s


def test_small_experiments_find_what_the_specimen_loses(found: Experiments) -> None:
    details = found.details
    lost = {
        one.kind for one in details.trips if one.layer == "sprint11" and not one.is_same
    }
    assert {"timestamp", "numeric", "text of a number", "bytea", "row"} <= lost
    ours = [one for one in details.trips if one.layer == "fluxlab"]
    assert all(one.is_same or not one.is_stored for one in ours)
    assert any(not one.is_stored for one in ours)
    answers = {
        (one.layer, one.what): (one.answers[-1], one.loads) for one in details.absent
    }
    assert answers == {
        ("sprint11", "missing row"): ("'undefined'", 1),
        ("fluxlab", "missing row"): ("None", 1),
        ("sprint11", "null"): ("None", 3),
        ("fluxlab", "null"): ("None", 1),
    }
    assert details.email_is_stale == {"sprint11": True, "fluxlab": False}
    collided = {one.layer for one in details.forgotten if not one.depends and one.is_wrong}
    assert collided == {"sprint11"}
    refused = {(one.layer, one.size_bytes) for one in details.sizes if not one.is_stored}
    assert refused == {("fluxlab", 2_000_000), ("fluxlab", 10_000_000)}
    assert details.endless_turns > 0
    assert details.zero_ttl_is_swallowed
    assert {one.value: one.hits_of_report for one in details.counted}["0"] == 0


def test_the_first_experiment_needs_no_postgresql(
    redis: RedisServer, tmp_path: Path
) -> None:
    plan = StalePlan(trials=1, together_s=0.2, crash_ttl_s=0.8, barrier_s=0.4)
    source = Source(None, str(tmp_path / "rows.sqlite"))
    try:
        found = asyncio.run(stale_reads(redis.url, source, plan))
    finally:
        with redis_client(redis) as client:
            client.flushdb()
    assert found.database == "SQLite"
    assert sum(one.stale for one in found.of("sprint11", "nobody between")) >= 2
    assert sum(one.stale for one in found.races if one.layer == "fluxlab") == 0
    assert [one.stale > 0 for one in found.crashes] == [True, True, False]


def test_the_checker_sees_a_cache_of_ours_that_does_not_forget(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets_nothing(self: Cache, touch: Touch) -> None:
        return None

    monkeypatch.setattr(Cache, "forget", forgets_nothing)
    plan = StalePlan(trials=1, ttl_s=0.2, together_s=0.2, crash_ttl_s=0.3, barrier_s=0.2)
    source = Source(None, str(tmp_path / "rows.sqlite"))
    try:
        found = asyncio.run(stale_reads(redis.url, source, plan))
    finally:
        with redis_client(redis) as client:
            client.flushdb()
    assert sum(one.stale for one in found.races if one.layer == "fluxlab") > 5
    assert {one.layer for one in found.together if one.stale} >= {"fluxlab"}


def test_the_server_of_a_killed_process_is_ended_by_the_next_one(
    settings: Settings,
) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from fluxlab.caching.experiments.bench import own_home\n"
        "from fluxlab.servers import redis; from fluxlab.settings import Settings\n"
        "with own_home(Settings(home=Path('unused'))) as own:\n"
        "    print(redis.start(own).pid, own.home, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        pid, home = process.stdout.readline().split()
        process.kill()
    assert is_alive(int(pid))
    with own_home(settings):
        assert not is_alive(int(pid))
        assert not Path(home).exists()
