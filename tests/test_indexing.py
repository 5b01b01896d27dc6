"""The whole of measuring single indexes: killed at random points, it repeats nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fluxlab import indexing
from fluxlab.dataset.databases import maintenance
from fluxlab.index_lab import KINDS, IndexLab
from fluxlab.indexes.trials import Trial
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import measure_lab
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from tests.test_measuring import BRIEF, few

#: The indexes that are tried here: nine of the sprint's and two of the base.
TABLES = ("conversations", "notifications")

RUNS = """
import sys
from pathlib import Path
from fluxlab.indexes.switches import SwitchStore
from fluxlab.indexes.trials import TrialStore
from fluxlab.workload.notes import Notes
from tests.test_indexing import measure_few
from fluxlab.settings import Settings

write, add = Notes.write, SwitchStore.add

def written(notes, kind, subject, facts):
    write(notes, kind, subject, facts)
    print("note", kind, subject, sep="|", flush=True)

def added(store, switch, pair, rounds=0):
    add(store, switch, pair, rounds)
    print("switch", switch.fingerprint, sep="|", flush=True)

Notes.write, SwitchStore.add = written, added
print("ready", flush=True)
measure_few(Settings(
    home=Path(sys.argv[1]), results=Path(sys.argv[2]), size="tiny", is_durable=False
))
print("done", flush=True)
"""


def measure_few(settings: Settings) -> Lab:
    """Measure a few Queries and the indexes of two tables; the practices are left out."""
    IndexLab.steps = property(  # type: ignore[assignment]
        lambda lab: tuple(one for one in STEPS.func(lab) if one.index.table in TABLES)
    )
    IndexLab.hideable = property(  # type: ignore[assignment]
        lambda lab: {n: t for n, t in HIDEABLE.func(lab).items() if t in TABLES}
    )
    indexing.measure_practices = lambda *given: None  # type: ignore[assignment]
    lab = few(open_lab(settings))
    measure_lab(lab, BRIEF, lambda tick: None)
    indexing.measure_indexes(lab, BRIEF, lambda tick: None)
    return lab


STEPS, HIDEABLE = IndexLab.__dict__["steps"], IndexLab.__dict__["hideable"]


def test_killed_at_random_points_it_ends_complete_and_repeats_nothing(
    settings: Settings, postgres: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    whole = settings.home / "whole.sqlite"
    kept = run_for(settings.home, whole, 300)
    assert "done" in kept
    broken_path = settings.home / "broken.sqlite"
    chance = random.Random(11)
    said: list[str] = []
    for attempt in range(30):
        # The first few get little time, so that kills fall everywhere.
        patience_s = chance.uniform(1, 8) if attempt < 5 else 300
        said += run_for(settings.home, broken_path, patience_s)
        if "done" in said:
            break

    assert attempt >= 3, "it was hardly killed at all"
    twice = [one for one, count in Counter(said).items() if count > 1 and "|" in one]
    assert twice == []
    broken, unbroken = (
        trials(open_lab(replace(settings, results=path))) for path in (broken_path, whole)
    )
    assert {kind: list(found) for kind, found in broken.items() if kind != "dropped"} == {
        kind: list(found) for kind, found in unbroken.items() if kind != "dropped"
    }
    for kind in ("ladder", "alone", "without"):
        for name, trial in broken[kind].items():
            assert trial.asked == unbroken[kind][name].asked
            assert trial.switches == unbroken[kind][name].switches
    with maintenance(postgres) as connection:
        left = connection.execute(
            "select datname from pg_database where datname like '%scratch%'"
        ).fetchall()
    assert left == []


def trials(lab: Lab) -> dict[str, Mapping[str, Trial]]:
    store = few(lab).indexes.open_store()
    found = {kind: store.trials(kind) for kind in KINDS}
    store.close()
    return found


def run_for(home: Path, results: Path, patience_s: float) -> list[str]:
    """Measure in another process, killed with SIGKILL after a while; return its lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNS, str(home), str(results)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdout
    process.stdout.readline()
    time.sleep(0.3)
    try:
        output, _ = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    return output.splitlines()
