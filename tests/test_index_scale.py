"""Statements with and without what serves them: measured, kept, read and drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers_scratch import scratch

from fluxlab import index_scale
from fluxlab.book import scale_charts, scale_words
from fluxlab.dataset.load import build_template
from fluxlab.errors import FluxlabError
from fluxlab.index_scale import REFERENCE, REFERENCE_USERS, SUBJECTS, is_current
from fluxlab.lab import Lab, prepare
from fluxlab.progress import Tick
from fluxlab.servers import postgres
from fluxlab.servers.connections import connect
from fluxlab.settings import ROOT
from fluxlab.workload.budget import Budget
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.served import (
    At,
    IndexScale,
    Served,
    Side,
    joined,
    read_scale,
    write_scale,
)

BUDGET = Budget("test", 0.0, first_ms=1.0, max_rounds=3, looked_rounds=3, timeout_ms=5_000)
ROWS_PER_USER = 250


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of size tiny on a server of its own."""
    with scratch() as settings:
        server = postgres.start(settings)
        lab = Lab(settings, server, build_template(server, settings))
        for name in ("baseline", "sprint11"):
            prepare(lab, name)
        yield lab


@pytest.fixture(scope="module")
def measured(lab: Lab) -> IndexScale:
    return index_scale.measure_size(lab, BUDGET, lambda tick: None)


# -- What is measured


def test_every_subject_is_measured_on_both_sides_of_one_database(
    lab: Lab, measured: IndexScale
) -> None:
    assert measured.queries == tuple(one.query for one in SUBJECTS)
    assert measured.users == (100,)
    for one in measured.served:
        (at,) = one.points
        assert at.rows == lab.dataset.rows[one.table]
        assert len(at.sides["without"].levels_ms) == len(at.sides["with"].levels_ms) == 3
    assert {one.of_class for one in measured.served} == {"typical", "hot"}


def test_the_indexes_that_serve_are_hidden_from_one_side_only(measured: IndexScale) -> None:
    read = {}
    for one in measured.served:
        (at,) = one.points
        hidden = set(at.hidden)
        assert not hidden & set(at.sides["without"].indexes), one
        if hidden:
            assert hidden & set(at.sides["with"].indexes), one
            read[one.query] = hidden
        else:
            assert at.outcome == "same"
            assert at.sides["with"].blocks == at.sides["without"].blocks
    # An index that keeps rows unique is hidden as well, and the next best ones.
    assert read["user_by_email"] == {"idx_users_email", "users_email_key"}
    assert "idx_messages_composite_conv_created" in read["messages_page_first"]
    assert len(read["messages_page_first"]) >= 2
    assert read["message_search_global"] == {"idx_messages_content_search"}


def test_without_its_indexes_a_statement_reads_the_table_from_end_to_end(
    lab: Lab, measured: IndexScale
) -> None:
    with lab.connection("sprint11") as connection:
        row = connection.execute("select pg_relation_size('messages') / 8192").fetchone()
    assert row
    for query in ("messages_page_first", "message_search_global", "replies_of_message"):
        at = measured.find(query).points[0]
        assert at.sides["without"].blocks >= 0.9 * row[0], query
        assert at.sides["with"].blocks < 0.25 * row[0], query
        # The planner expects it, too.
        assert at.sides["without"].cost > 3 * at.sides["with"].cost, query


def test_the_states_are_as_they_were_and_nothing_is_left(
    lab: Lab, measured: IndexScale
) -> None:
    with connect(lab.server, "postgres") as connection:
        names = connection.execute("select datname from pg_database").fetchall()
    with lab.connection("sprint11") as connection:
        invalid = connection.execute("select 1 from pg_index where not indisvalid")
        assert invalid.fetchall() == []

    assert not [name for (name,) in names if "scratch" in name]
    assert len(lab.catalog("sprint11").indexes) == 133


def test_the_own_size_is_measured_once_and_again_when_its_world_changes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Budget] = []
    scale = a_scale((100,))

    def look(lab: Lab, budget: Budget, report: object) -> IndexScale:
        looked.append(budget)
        return replace(scale, facts={"world": index_scale._world(lab)})

    monkeypatch.setattr(index_scale, "measure_size", look)
    first = index_scale.measure_own(lab)
    again = index_scale.measure_own(lab)
    monkeypatch.setattr(index_scale, "_statements", lambda workload: "others")
    index_scale.measure_own(lab)

    assert first.served == again.served
    assert len(looked) == 2


def test_a_killed_reference_goes_on_and_leaves_no_server() -> None:
    with scratch() as settings:
        own = settings.home / "bench-scale" / "32"
        phases: list[str] = []

        def interrupt(tick: Tick) -> None:
            if tick.phase.endswith("with and without") and tick.done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            index_scale.measure_reference(settings, (32,), BUDGET, interrupt)
        assert postgres.find(replace(settings, home=own)) is None

        found = index_scale.measure_reference(settings, (32,), BUDGET, lambda tick: None)
        assert postgres.find(replace(settings, home=own)) is None
        again = index_scale.measure_reference(
            settings, (32,), BUDGET, lambda tick: phases.append(tick.phase)
        )

    assert (found.users, phases) == ((32,), [])
    assert again == found
    assert found.facts["command"] == "make bench-scale"
    assert is_current(found, load_workload(ROOT / "sql" / "queries"))
    # What names one size is no fact of the whole.
    assert not {"world", "dataset"} & set(found.facts)


# -- Values


def side(median_ms: float, *, timeout_ms: float = math.inf, blocks: int = 10) -> Side:
    levels = tuple(min(median_ms * near, timeout_ms) for near in (0.99, 1.0, 1.01))
    return Side(levels, (levels[0], levels[2]), 30, timeout_ms, blocks, 100.0, ("index",))


def at(users: int, without_ms: float, with_ms: float, **more: float) -> At:
    hidden = {"index": 8192}
    sides = {
        "without": side(without_ms, blocks=users, **more),
        "with": side(with_ms, blocks=3),
    }
    return At(users, users * ROWS_PER_USER, hidden, sides)


def a_served(name: str, *points: At) -> Served:
    return Served(name, name.lower(), "users", "typical", points)


def a_scale(users: tuple[int, ...]) -> IndexScale:
    grows = a_served("Grows", *(at(count, count / 100, 0.1) for count in users))
    late = a_served("Late", *(at(count, max(0.1, count / 1e4), 0.1) for count in users))
    never = a_served("Never", *(at(count, 0.1, 0.1) for count in users))
    return IndexScale({"measured on": "a day", "cpus": "2"}, (grows, late, never))


SCALE = a_scale((100, 1_000, 10_000))


def test_a_statement_starts_to_gain_at_the_size_from_which_on_it_always_does() -> None:
    starts = {one.name: one.start for one in SCALE.served}
    dipped = a_served("Dip", at(100, 5, 1), at(1_000, 1, 1), at(10_000, 5, 1))

    assert starts == {"Grows": 0, "Late": 2, "Never": None}
    assert [point.outcome for point in dipped.points] == ["faster", "same", "faster"]
    assert dipped.start == 2


def test_what_the_planner_does_not_read_makes_nothing_faster() -> None:
    unread = replace(at(100, 5.0, 1.0), hidden={})

    assert unread.speedup.ratio == pytest.approx(5)
    assert unread.outcome == "same"


def test_a_size_that_was_cut_off_bounds_the_ratio_and_is_no_part_of_the_slope() -> None:
    cut = a_served(
        "Cut", at(100, 1, 1), at(1_000, 10, 1), at(10_000, 200, 1, timeout_ms=50.0)
    )

    assert cut.points[-1].speedup.is_bound
    assert cut.points[-1].outcome == "faster"
    assert cut.slope("without").points == 2
    assert cut.slope("without").exponent == pytest.approx(1)
    assert "over 50× faster" in scale_words._said(cut.points[-1])


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "scale.json"
    write_scale(SCALE, path)

    assert read_scale(path) == SCALE
    path.write_text("{}")
    with pytest.raises(FluxlabError, match="`make bench-scale` measures it"):
        read_scale(path)


def test_what_was_really_measured_survives_the_file(
    measured: IndexScale, tmp_path: Path
) -> None:
    write_scale(measured, tmp_path / "scale.json")

    found = read_scale(tmp_path / "scale.json")

    assert found == measured
    for one, other in zip(found.served, measured.served, strict=True):
        assert one.points[0].speedup == other.points[0].speedup


def test_sizes_are_joined_smallest_first() -> None:
    large, small = a_scale((1_000,)), a_scale((100,))

    assert joined([large, small]).served == a_scale((100, 1_000)).served


# -- Words and figures


def test_the_sentences_say_where_indexes_begin_to_help() -> None:
    assert scale_words.starts_title(SCALE) == (
        "1 of 3 statements are faster with their indexes at 100 users, 2 at 10,000"
    )
    assert scale_words.starts(SCALE) == (
        "At the smallest size already: Grows (25 k). Later: Late (between 250 k and "
        "2.5 M). At no size measured: Never (up to 2.5 M)."
    )
    assert "10.0 times" in scale_words.slopes_title(IndexScale({}, (SCALE.served[0],)))


def test_the_tables_hold_slopes_costs_and_decisions() -> None:
    slopes = scale_words.slopes(SCALE)
    decisions = scale_words.decisions(SCALE)

    assert slopes.loc["Grows", "latency without"] == "1.00 (1.00–1.00)"
    assert slopes.loc["Never", "latency with"] == "0.00 (0.00–0.00)"
    assert slopes.loc["Grows", "blocks without"] == "1.00 (1.00–1.00)"
    assert list(decisions["decision"]) == [
        "keep",
        "keep, for a table that grows",
        "needs another reason",
    ]
    assert decisions.loc["Late", "helps from"] == "between 250 k and 2.5 M rows"
    assert list(scale_words.costs(SCALE).columns) == [
        "100 users",
        "1,000 users",
        "10,000 users",
    ]
    assert len(scale_words.latencies(SCALE)) == 9


def test_this_lab_stands_beside_the_nearest_size_of_the_reference() -> None:
    own = a_scale((2_000,))

    table = scale_words.own(SCALE, own)
    said = scale_words.agreement(SCALE, own)

    assert list(table["rows there"]) == ["250 k"] * 3
    assert list(table["rows here"]) == ["500 k"] * 3
    assert "2 of 3" not in scale_words.agreement(SCALE, SCALE)
    assert said.startswith("Beside the reference's 1,000 users this lab says the same")


def test_the_figures_have_every_statement_and_both_sides() -> None:
    title = scale_words.slopes_title(SCALE)
    figure = scale_charts.latencies(SCALE, a_scale((2_000,)), title)
    starts = scale_charts.starts(SCALE, scale_words.starts_title(SCALE))

    named = {trace.name for trace in figure.data}
    assert named == {
        "without its index",
        "with its index",
        "without, this lab",
        "with, this lab",
    }
    assert len(figure.data) == 4 * 3
    assert figure.layout.height > 400
    # Sorted by the gain at the largest size, the largest on top.
    lines = [trace.y[0] for trace in starts.data if trace.mode == "lines"]
    assert lines == ["Never", "Late", "Grows"]
    marks = {trace.name: len(trace.x) for trace in starts.data if trace.name}
    assert marks == {"faster with its index": 4, "the same": 5}


def test_a_triangle_marks_what_was_cut_off() -> None:
    cut = a_served("Grows", at(100, 1, 1), at(1_000, 200, 1, timeout_ms=50.0))
    figure = scale_charts.latencies(IndexScale({}, (cut,)), SCALE, "Cut")

    assert figure.data[0].marker.symbol == ("circle-open", "triangle-up-open")


# -- The reference


def test_the_reference_holds_four_sizes_of_the_statements_as_they_are() -> None:
    found = read_scale(ROOT / REFERENCE)

    assert found.users == REFERENCE_USERS, "`make bench-scale`"
    assert found.queries == tuple(one.query for one in SUBJECTS)
    assert is_current(found, load_workload(ROOT / "sql" / "queries")), "`make bench-scale`"
    for one in found.served:
        for point in one.points:
            for measured_side in point.sides.values():
                assert measured_side.executions >= 1
                assert measured_side.quartiles_ms[0] <= measured_side.quartiles_ms[1]
    assert {"measured on", "cpu", "version", "placement"} <= set(found.facts)
