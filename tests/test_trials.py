"""Trials, the ladder and the switches between plans, on a lab of size tiny."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from fluxlab.indexes import ladder
from fluxlab.indexes.hiding import hidden, scratch
from fluxlab.indexes.planner import Planner, Question
from fluxlab.indexes.steps import apply
from fluxlab.indexes.switches import Switch, switches
from fluxlab.indexes.trials import Stand, Trial, TrialStore
from fluxlab.lab import Lab, open_lab
from fluxlab.measuring import plan_work
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.budget import Budget

#: A first look of three rounds and nothing more.
BRIEF = Budget("brief", seconds=0, first_ms=1, max_rounds=3, looked_rounds=3)
FEW = ("messages_page_first", "user_by_email", "project_delete", "message_insert")


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def work(lab: Lab) -> list[Question]:
    return [Question(*item) for item in plan_work(lab, lambda tick: None)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrialStore]:
    opened = TrialStore.open(tmp_path / "results.sqlite", "a world")
    yield opened
    opened.close()


@contextmanager
def standing(
    lab: Lab,
    work: list[Question],
    store: TrialStore,
    source: str = "flux_baseline",
    budget: Budget = BRIEF,
) -> Iterator[Stand]:
    state = lab.state("baseline")
    keys = lab.catalog().foreign_keys
    with (
        scratch(lab.server, "trials", source) as database,
        Stand(lab.server, database, work, keys, budget, store, state) as stand,
    ):
        yield stand


def test_what_the_ladder_leaves_out_has_no_other_plan(
    lab: Lab, work: list[Question], store: TrialStore, say: Callable[[str], None]
) -> None:
    """All 90 steps, all pairs: asked of the step's table alone, and of everything."""
    keys = lab.catalog().foreign_keys
    asked = every = changed = 0
    with (
        standing(lab, work, store) as stand,
        connect(lab.server, stand.database) as builder,
    ):
        planner = Planner(builder, keys)
        before = planner.plans(work)
        for step in lab.indexes.steps:
            apply(builder, step.index)
            after = planner.plans(work)
            questions = stand.on_tables((step.index.table,))
            found = {one.question.key for one in switches(questions, before, after)}

            assert found == {one.question.key for one in switches(work, before, after)}

            asked, every = asked + len(questions), every + len(work)
            changed += len(found)
            before = after

    assert changed > 200
    assert asked < every / 5
    say(
        f"The ladder at tiny measures {changed:,} pairs, {changed / every:.2%} of the "
        f"{every:,} that brute force would, and asks the planner about {asked:,}."
    )


def test_hiding_the_last_index_gives_the_plans_from_before_it(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    keys = lab.catalog().foreign_keys
    # One with an expression is followed by ANALYZE, which may move any estimate.
    steps = [one for one in lab.indexes.steps if one.index.family != "gin"][::6]
    with (
        standing(lab, work, store) as stand,
        connect(lab.server, stand.database) as builder,
    ):
        planner = Planner(builder, keys)
        for step in steps:
            questions = stand.on_tables((step.index.table,))
            before = planner.plans(questions)
            apply(builder, step.index)
            with hidden(builder, (step.index.name,)):
                assert planner.plans(questions) == before


def test_a_delete_has_the_checks_of_its_foreign_keys_in_its_plan(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    deletes = [one for one in work if one.query.name == "project_delete"][:1]
    with standing(lab, work, store, "flux_sprint11") as stand:
        plan = plan_of(stand, deletes)
        without = plan_of(stand, deletes, ("idx_time_entries_project_id",))

    assert "foreign key " in plan
    assert "idx_time_entries_project_id" in plan
    assert "idx_time_entries_project_id" not in without
    assert without != plan


def plan_of(stand: Stand, questions: list[Question], names: tuple[str, ...] = ()) -> str:
    return stand.plans(names)[questions[0].key]


def test_only_what_changes_its_plan_is_measured_and_nothing_twice(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    few = [one for one in work if one.query.name in FEW]
    index, table = "idx_messages_composite_conv_created", "messages"
    with standing(lab, few, store, "flux_sprint11") as stand:
        trial = stand.compare("without", index, (index,), (table,))
        measured = store.measured
        again = stand.compare("without", index, (index,), (table,))

    pairs = store.switches.pairs()
    assert measured == len(trial.switches) == len(pairs) > 0
    assert store.measured == measured
    assert again == trial
    assert {before.query for before, _ in pairs.values()} == {"messages_page_first"}
    for before, after in pairs.values():
        assert index not in before.plan.indexes
        assert index in after.plan.indexes
        assert before.key == after.key


def test_a_larger_budget_adds_rounds_to_what_is_known(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    few = [one for one in work if one.query.name == "messages_page_first"]
    index = "idx_messages_composite_conv_created"
    larger = replace(BRIEF, looked_rounds=6)
    for budget, rounds in ((BRIEF, 3), (larger, 6), (BRIEF, 6)):
        with standing(lab, few, store, "flux_sprint11", budget) as stand:
            store.keep(stand.compare("without", index, (index,), ("messages",)))

        pairs = store.switches.pairs().values()
        assert {len(one.sample.blocks) for pair in pairs for one in pair} == {rounds}
        assert store.is_done("without", index, budget)


def test_a_statement_that_is_cut_off_leaves_the_index_hidden(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    """The timeout aborts what runs, and not the transaction in which indexes are hidden."""
    few = [one for one in work if one.query.name == "message_search_global"]
    short = replace(BRIEF, timeout_ms=1)
    index = "idx_messages_content_search"
    with standing(lab, few, store, "flux_sprint11", short) as stand:
        trial = stand.compare("without", index, (index,), ("messages",))

    pairs = store.switches.pairs().values()
    assert len(trial.switches) == len(few)
    assert all(before.sample.is_censored for before, _ in pairs)
    assert not any(index in before.plan.indexes for before, _ in pairs)


def test_the_ladder_goes_on_where_it_stopped(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    few = [one for one in work if one.query.name in FEW]
    steps = [one for one in lab.indexes.steps if one.index.table == "conversations"]

    class StoppedError(Exception):
        pass

    def climb(stop_at: int | None) -> None:
        def report(tick: object) -> None:
            if stop_at is not None and tick.done == stop_at:  # type: ignore[attr-defined]
                raise StoppedError

        with (
            standing(lab, few, store) as stand,
            connect(lab.server, stand.database) as builder,
        ):
            ladder.climb(stand, builder, steps, store, BRIEF, report)

    with pytest.raises(StoppedError):
        climb(3)
    first = store.trials("ladder")
    assert list(first) == [step.index.name for step in steps[:3]]

    climb(None)

    assert list(store.trials("ladder")) == [step.index.name for step in steps]
    assert {name: store.trials("ladder")[name] for name in first} == first
    assert all(trial.build_ms > 0 < trial.size_bytes for trial in first.values())


def test_an_index_is_taken_away_after_it_was_tried_alone(
    lab: Lab, work: list[Question], store: TrialStore
) -> None:
    few = [one for one in work if one.query.name in FEW]
    steps = [one for one in lab.indexes.steps if one.index.table == "conversations"][:2]
    with standing(lab, few, store) as stand, connect(lab.server, stand.database) as builder:
        ladder.try_alone(stand, builder, steps, store, BRIEF, lambda tick: None)
        left = names_of(builder)

    assert not left & {step.index.name for step in steps}
    assert len(store.trials("alone")) == 2


def names_of(connection: psycopg.Connection) -> set[str]:
    return {str(row[0]) for row in connection.execute("select relname from pg_class")}


def test_a_switch_is_told_by_both_its_plans(work: list[Question]) -> None:
    one, other = work[0], work[1]
    there, back = Switch(one, "a", "b"), Switch(one, "b", "a")

    assert there.fingerprint == Switch(one, "a", "b").fingerprint
    assert (
        len({there.fingerprint, back.fingerprint, Switch(other, "a", "b").fingerprint}) == 3
    )


def test_a_note_of_a_trial_says_all_of_it(store: TrialStore) -> None:
    trial = Trial("ladder", "idx_a", 12, ("0123", "4567"), 3, 1.5, 8192, 700)

    store.keep(trial)

    assert store.trials("ladder") == {"idx_a": trial}
    assert store.trials("alone") == {}


def test_another_world_sees_nothing_of_it(store: TrialStore, tmp_path: Path) -> None:
    store.keep(Trial("ladder", "idx_a", 12, (), 3))
    other = TrialStore.open(tmp_path / "results.sqlite", "another world")

    assert other.trials("ladder") == {}
    other.close()
