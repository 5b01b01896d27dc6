"""Which indexes may go together: on a server with two that stand in for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from index_cases import contribution, effect

from fluxlab.indexes import ladder
from fluxlab.indexes.contribution import Contributions, Worth, read_contributions
from fluxlab.indexes.decisions import Loss, Thresholds
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.planner import Question
from fluxlab.indexes.settle import (
    Round,
    Settlement,
    losses,
    read_settlement,
    settle,
    stand_ins,
)
from fluxlab.indexes.trials import Stand, TrialStore
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import plan_work
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.noise import NO_FLOORS

BRIEF = Budget("brief", seconds=0, first_ms=1, max_rounds=3, looked_rounds=3)
#: Two of a kind, and one that no statement of these asks for.
TWINS = {"twin_a": "messages", "twin_b": "messages", "idle": "messages"}
MADE = (
    "create index twin_a on messages (thread_id)",
    "create index twin_b on messages (thread_id)",
    "create index idle on messages (edited_at)",
)
#: Far above what the noise of a thread's few rows could hide, far below a whole scan.
LIMITS = Thresholds(least_saved_ms=2_000, least_wait_ms=1_000)
ASKED = 1_000.0


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def threads(lab: Lab) -> list[Question]:
    work = [Question(*item) for item in plan_work(lab, lambda tick: None)]
    return [one for one in work if one.query.name == "thread_messages"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrialStore]:
    opened = TrialStore.open(tmp_path / "results.sqlite", "a world")
    yield opened
    opened.close()


@contextmanager
def twins(lab: Lab, work: list[Question], store: TrialStore) -> Iterator[Stand]:
    """A copy of the baseline with the twins, and a stand on it."""
    with scratch(lab.server, "settle", "flux_baseline") as database:
        with connect(lab.server, database) as connection:
            for statement in MADE:
                connection.execute(statement.encode())
        state = lab.state("baseline")
        with Stand(lab.server, database, work, (), BRIEF, store, state) as stand:
            yield stand


def judged(work: list[Question], store: TrialStore) -> Contributions:
    weights = {one.key: ASKED for one in work}
    return read_contributions(
        store, ("without", "dropped"), lambda query: NO_FLOORS, weights
    )


def test_of_two_that_stand_in_for_each_other_one_comes_back(
    lab: Lab, threads: list[Question], store: TrialStore
) -> None:
    with twins(lab, threads, store) as stand:
        ladder.try_without(stand, list(TWINS.items()), store, BRIEF, lambda tick: None)
        alone = judged(threads, store)
        found = settle(
            stand,
            store,
            TWINS,
            {},
            lambda: judged(threads, store),
            LIMITS,
            lambda tick: None,
        )
        plans = stand.plans(found.goes)

    # One at a time nobody misses either of them,
    for name in TWINS:
        assert alone.of("without", name).could_be_worth.saved_ms < LIMITS.least_saved_ms
    # and together everybody does: the one that was read comes back.
    assert [one.goes for one in found.rounds] == [3, 2]
    (back,) = found.back
    assert back.startswith("twin")
    assert found.back[back].sure.saved_ms > LIMITS.least_saved_ms, found.back
    assert set(found.goes) == TWINS.keys() - {back}
    # What each was judged by is kept: the one that came back by what it came back for.
    assert found.losses[back] == found.back[back]
    assert found.losses.keys() == TWINS.keys()
    for name in found.goes:
        assert found.losses[name].most.saved_ms < LIMITS.least_saved_ms
    # Nobody is left without an index, and the last Trial is of exactly these gone.
    assert all(back in plan for plan in plans.values())
    assert store.trials("dropped").keys() >= {found.trial}
    last = judged(threads, store).of("dropped", found.trial)
    assert last.could_be_worth.saved_ms < LIMITS.least_saved_ms


def test_where_all_are_worth_their_place_nothing_goes_and_that_is_measured_too(
    lab: Lab, threads: list[Question], store: TrialStore
) -> None:
    nothing = Thresholds(least_saved_ms=0.0)
    with twins(lab, threads, store) as stand:
        ladder.try_without(stand, list(TWINS.items()), store, BRIEF, lambda tick: None)
        found = settle(
            stand,
            store,
            TWINS,
            {},
            lambda: judged(threads, store),
            nothing,
            lambda tick: None,
        )

    assert found.goes == ()
    assert len(found.rounds) == 1
    assert found.trial in store.trials("dropped")


# --- by hand -----------------------------------------------------------------------------

ALL, GONE = "Index Scan using a on messages", "Seq Scan on messages"


def test_a_loss_is_charged_to_what_the_plan_with_all_reads() -> None:
    effects = (
        effect("faster", 3.0, 1.0, weight=2.0, switch="one"),
        effect("unclear", 1.5, 1.0, weight=1.0, switch="two"),
        effect("slower", 1.0, 2.0, weight=1.0, switch="three"),
    )
    plans = {
        "one": (GONE, ALL),
        "two": (GONE, f"{ALL}\n  ->  Bitmap Index Scan on b"),
        "three": (GONE, "Index Scan using c on messages"),
    }

    found = losses(contribution(*effects), plans, {"a", "b"})

    assert set(found) == {"a", "b"}
    assert found["a"].sure == Worth(4.0, 2.0)
    # What is unclear counts in the most it could be, for both that were read.
    assert found["a"].most.saved_ms > 4.0
    assert found["b"].sure == Worth(0.0, 0.0)
    assert found["b"].most.saved_ms == pytest.approx(0.65)


def test_who_stands_in_is_new_in_the_plans_that_used_the_index() -> None:
    effects = [effect("same", 1.0, 1.0, switch=name) for name in ("one", "two", "other")]
    plans = {
        "one": ("Index Scan using b on messages", ALL),
        "two": ("Index Scan using c on messages", ALL),
        "other": ("Index Scan using d on messages", "Index Scan using e on messages"),
    }

    assert stand_ins("a", "messages", effects, plans, {"b", "c", "d"}) == ("b", "c")
    assert stand_ins("a", "messages", effects, plans, {"c"}) == ("c",)
    plans["two"] = plans["one"]
    assert stand_ins("a", "messages", effects, plans, {"b", "c"})[0] == "b"


def test_a_scan_of_the_table_is_no_index_that_stands_in() -> None:
    effects = [effect("same", 1.0, 1.0, switch=name) for name in ("one", "two", "three")]
    plans = {
        "one": (GONE, ALL),
        "two": (f"{GONE}\n  Index Scan using b on users", ALL),
        "three": ("Index Scan using b on messages", ALL),
    }

    assert stand_ins("a", "messages", effects, plans, {"b"}) == ()
    plans["two"] = ("Index Scan using b on messages", ALL)
    assert stand_ins("a", "messages", effects, plans, {"b"}) == ("b",)


def test_one_that_was_read_beside_it_and_does_the_rest_stands_in() -> None:
    plans = {
        "one": (
            "Bitmap Index Scan on b",
            "BitmapAnd\n  Bitmap Index Scan on a\n  Bitmap Index Scan on b",
        )
    }

    found = stand_ins("a", "messages", [effect("same", 1, 1, switch="one")], plans, {"b"})

    assert found == ("b",)


def test_a_note_of_a_settlement_says_all_of_it() -> None:
    rounds = (Round(3, {"a": Loss(Worth(1.0, 2.0), Worth(3.0, 4.0))}), Round(2, {}))
    judged = {"a": rounds[0].back["a"], "b": Loss()}
    found = Settlement(("b", "c"), "2 indexes, 0123", rounds, judged)

    assert read_settlement(found.facts) == found
    assert found.back == {"a": Loss(Worth(1.0, 2.0), Worth(3.0, 4.0))}
    assert "3 tried, 1 came back in 2 rounds, 2 go" in repr(found)
