"""The whole of a run: killed at random points, refined by a larger budget, in regimes."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fluxlab.dataset.databases import maintenance
from fluxlab.lab import CONTROL, Lab, open_lab
from fluxlab.measuring import measure_lab
from fluxlab.settings import Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.measure import TimeSpent
from fluxlab.workload.query import Workload
from fluxlab.workload.store import Measurement, Run, Store

NAMES = (
    "user_by_email",
    "projects_of_org",
    "messages_page_first",
    "message_search_global",
    "files_of_project",
    "analytics_org_dashboard",
    "users_designers_active",
    "message_insert",
    "project_update_details",
)
#: A first look of three rounds and nothing more, so that two runs take the same steps.
BRIEF = Budget("brief", seconds=0, first_ms=1, max_rounds=3, timeout_ms=5_000)

RUNS = """
import sys
from pathlib import Path
from fluxlab.lab import open_lab
from fluxlab.measuring import measure_lab
from fluxlab.settings import Settings
from fluxlab.workload.store import Store
from tests.test_measuring import BRIEF, few

settings = Settings(
    home=Path(sys.argv[1]), results=Path(sys.argv[2]), size="tiny", is_durable=False
)
add = Store.add

def kept(store, pairs):
    pairs = list(pairs)
    add(store, pairs)
    for state, one in pairs:
        print(state.name, state.regime, one.query, one.of_class, sep="|", flush=True)

Store.add = kept
print("ready", flush=True)
measure_lab(few(open_lab(settings)), BRIEF, lambda tick: None)
print("done", flush=True)
"""


def few(lab: Lab) -> Lab:
    """Leave a Lab the nine Queries of this module."""
    every = lab.workload
    lab.__dict__["workload"] = Workload({name: every.find(name) for name in NAMES})
    return lab


@pytest.fixture(scope="module")
def measured(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lab, TimeSpent]:
    """A Lab after one unbroken run, and where its time went."""
    results = tmp_path_factory.mktemp("unbroken") / "results.sqlite"
    lab = few(open_lab(replace(settings, results=results)))
    return lab, measure_lab(lab, BRIEF, lambda tick: None)


@pytest.fixture
def lab(measured: tuple[Lab, TimeSpent]) -> Lab:
    return measured[0]


def every_run(lab: Lab) -> dict[tuple[str, str], Run]:
    """Return every Run of the store, by state and regime."""
    wanted = [(name, "warm") for name in ("baseline", "sprint11", *CONTROL)]
    wanted += [("baseline", "cold"), ("sprint11", "cold")]
    wanted += [("sprint11", "custom"), ("sprint11", "generic")]
    store = Store(lab.settings.results_path)
    runs = {(name, how): store.run(lab.state(name, how)) for name, how in wanted}  # type: ignore[arg-type]
    store.close()
    return runs


def without_times(runs: dict[tuple[str, str], Run]) -> dict[tuple[str, ...], object]:
    return {
        (*state, one.query, one.of_class): (
            one.key,
            one.parameters,
            one.plan.shape,
            one.plan.rows_kept,
            one.plan.rows_read,
            len(one.sample.blocks),
            one.placement,
        )
        for state, run in runs.items()
        for one in run.measurements
    }


def test_killed_at_random_points_it_ends_as_an_unbroken_run_and_repeats_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    unbroken = without_times(every_run(lab))

    broken_path = tmp_path / "broken.sqlite"
    chance = random.Random(2026)
    kept: list[str] = []
    for attempt in range(40):
        # The first few get little time, so that kills fall everywhere.
        patience_s = chance.uniform(0.1, 1.5) if attempt < 6 else 120
        said = run_for(lab.settings.home, broken_path, patience_s)
        kept += [line for line in said if "|" in line]
        if "done" in said:
            break

    broken = few(open_lab(replace(lab.settings, results=broken_path)))
    assert attempt >= 3, "it was hardly killed at all"
    assert [line for line, count in Counter(kept).items() if count > 1] == []
    assert without_times(every_run(broken)) == unbroken
    assert len(unbroken) > 100
    with maintenance(lab.server) as connection:
        left = connection.execute(
            "select datname from pg_database where datname like '%scratch%'"
        ).fetchall()
    assert left == []


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


def test_a_larger_budget_refines_the_store_and_the_same_one_adds_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    copied = shutil.copy(lab.settings.results_path, tmp_path / "copy.sqlite")
    lab = few(open_lab(replace(lab.settings, results=Path(copied))))
    first = every_run(lab)

    larger = replace(BRIEF, seconds=store_spent(lab) + 2, max_rounds=10)
    time_spent = measure_lab(lab, larger, lambda tick: None)
    second = every_run(lab)
    again = measure_lab(lab, replace(larger, seconds=1), lambda tick: None)

    assert time_spent.pairs == 0
    assert time_spent.rounds > 0
    assert again.rounds == 0
    grown = 0
    for state, run in first.items():
        for one in run.measurements:
            other = second[state].find(one.query, one.of_class)
            assert other
            count = len(one.sample.blocks)
            assert other.sample.blocks[:count] == one.sample.blocks
            grown += len(other.sample.blocks) > count
    assert grown > 0


def store_spent(lab: Lab) -> float:
    store = Store(lab.settings.results_path)
    spent = store.spent(lab.state("sprint11"))
    store.close()
    return spent


def test_time_spent_is_counted_and_so_is_the_share_of_the_harness(
    measured: tuple[Lab, TimeSpent],
) -> None:
    lab, time_spent = measured

    assert time_spent.pairs > 60
    assert 0 < time_spent.server_s < time_spent.elapsed_s
    assert store_spent(lab) == pytest.approx(time_spent.elapsed_s, rel=0.3)
    assert TimeSpent(elapsed_s=11.0, server_s=10.0).overhead == pytest.approx(0.1)


def blocks_read(one: Measurement) -> int:
    """Return the blocks that were not found in the shared buffers."""
    return int(json.loads(one.plan_text)[0]["Plan"]["Shared Read Blocks"])


def test_cold_buffers_are_read_from_the_files_and_warm_ones_are_not(lab: Lab) -> None:
    if lab.server.version < 180000:
        pytest.skip("only PostgreSQL 18 can empty its shared buffers")
    cold = lab.run("baseline", "cold").measurements
    warm = lab.run("baseline")

    assert {"user_by_email", "messages_page_first"} <= {one.query for one in cold}
    for one in cold:
        beside = warm.find(one.query, one.of_class)
        assert beside
        assert one.plan.blocks == 0 or blocks_read(one) > 0
        # Rows that were read a moment ago are still there.
        assert blocks_read(beside) <= blocks_read(one)
    email = warm.find("user_by_email", "typical")
    assert email
    assert blocks_read(email) == 0 < email.plan.blocks


def test_generic_plans_are_measured_where_they_differ_from_custom_ones(lab: Lab) -> None:
    modes = lab.plan_modes

    assert len(modes) > 0
    for change in modes:
        assert change.has_new_plan
        # A plan for any value names the parameter, not the value.
        assert re.search(r"\$\d", change.after.plan_text)
        assert not re.search(r"\$\d", change.before.plan_text)


def test_the_control_compares_the_baseline_with_a_copy_of_itself(lab: Lab) -> None:
    control = lab.control

    assert {change.query for change in control} == set(NAMES)
    reads = [change for change in control if change.before.plan.wal_records == 0]
    assert all(not change.has_new_plan for change in reads)
    assert lab.state(CONTROL[0]).indexes == lab.state("baseline").indexes
