"""The ladder of chapter 05: its series, its charts, its sentences, its exercises."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_effects import contribution, contributions, effect, measurement

from fluxlab.book import (
    ladder_charts,
    ladder_words,
    trial_words,
)
from fluxlab.book.folded import Folded
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes import climb as climbing
from fluxlab.indexes.climb import Climb, climb, load_of
from fluxlab.indexes.contribution import Contribution
from fluxlab.indexes.order import economy

QUERIES = ("a", "b", "c", "d")
WEIGHTS = {("a", "values"): 8, ("b", "values"): 4, ("c", "values"): 2, ("d", "values"): 0.5}
TIMES_MS = {"a": 1, "b": 10, "c": 100, "d": 9}
BASELINE = [measurement(query, ms, 400) for query, ms in TIMES_MS.items()]
#: Ratios whose word is given as a look would find it, and some that no look is sure of.
RATIOS = st.floats(0.2, 50)
EFFECTS = st.builds(
    lambda query, ratio, is_clear, after: effect(
        query,
        ("faster" if ratio > 1 else "slower") if is_clear else "unclear",
        ratio,
        blocks=(400, after),
    ),
    st.sampled_from(QUERIES),
    RATIOS,
    st.booleans(),
    st.integers(1, 900),
)


def ladder_of(steps: Sequence[Sequence[object]]) -> list[Contribution]:
    return [
        contribution(f"idx_{number}", *found)  # type: ignore[arg-type]
        for number, found in enumerate(steps)
    ]


def recomputed_ms(ladder: Sequence[Contribution], step: int) -> float:
    """The whole after some steps, pair by pair and with logarithms: another way."""
    whole = 0.0
    for one in BASELINE:
        logs = [
            math.log(found.change.speedup.ratio)
            for rung in ladder[:step]
            for found in rung.effects
            if found.change.query == one.query and found.outcome in ("faster", "slower")
        ]
        whole += WEIGHTS[one.key] * one.sample.median_ms * math.exp(-math.fsum(logs))
    return whole


def is_the_series(ladder: Sequence[Contribution], found: Climb) -> bool:
    expected = [recomputed_ms(ladder, step) for step in range(len(ladder) + 1)]
    levels = [found.start.ms, *(one.after.ms for one in found.rungs)]
    return levels == pytest.approx(expected)


@given(st.lists(st.lists(EFFECTS, max_size=5), max_size=6))
def test_the_series_is_the_product_of_all_ratios_met_on_the_way(
    steps: list[list[object]],
) -> None:
    ladder = ladder_of(steps)

    found = climb(BASELINE, ladder, WEIGHTS)

    assert is_the_series(ladder, found)
    assert sum(one.saved.ms for one in found.rungs) == pytest.approx(
        found.start.ms - found.end.ms
    )


@pytest.mark.parametrize(
    "wrong",
    [lambda one: 1 / one.change.speedup.ratio, lambda one: 1.0, lambda one: 2.0],
)
def test_a_wrong_ratio_is_no_longer_the_series(
    monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    ladder = ladder_of([[effect("a", "faster", 4.0)], [effect("c", "slower", 0.5)]])
    assert is_the_series(ladder, climb(BASELINE, ladder, WEIGHTS))

    monkeypatch.setattr(climbing, "ratio_of", wrong)

    assert not is_the_series(ladder, climb(BASELINE, ladder, WEIGHTS))


def test_what_is_unclear_moves_no_time_and_all_blocks() -> None:
    ladder = ladder_of([[effect("a", "unclear", 9.0, blocks=(200, 50))]])

    found = climb(BASELINE, ladder, WEIGHTS)
    counted = climb(BASELINE, ladder, WEIGHTS, ("faster", "slower", "unclear"))

    assert found.end.ms == found.start.ms
    # A quarter of the 400 blocks that the pair touched, not the 50 of another copy.
    assert found.rungs[0].saved.blocks == 8 * 300
    assert counted.rungs[0].saved.ms == pytest.approx(8 * (1 - 1 / 9))


def test_a_ratio_does_not_go_against_its_word() -> None:
    ladder = ladder_of([[effect("a", "faster", 0.9)], [effect("a", "slower", 1.2)]])

    assert climb(BASELINE, ladder, WEIGHTS).end.ms == climb(BASELINE, [], WEIGHTS).end.ms


def test_pairs_that_are_not_in_the_baseline_do_not_count() -> None:
    ladder = ladder_of([[effect("b", "faster", 5.0), effect("a", "faster", 2.0)]])

    found = climb(BASELINE[:1], ladder, WEIGHTS)

    assert (found.start.ms, found.end.ms) == (8, 4)
    assert found.start == load_of(BASELINE[:1], WEIGHTS)
    assert found.find("idx_0").between_ms == pytest.approx(
        (8 * (1 - 1.1 / 2), 8 * (1 - 1 / 2.2))
    )


@pytest.fixture
def climbed() -> Climb:
    """c falls from 200 to 20 ms, b gets slower, and two steps change nothing clearly."""
    steps = [
        [],
        [effect("d", "unclear", 1.2)],
        [effect("c", "faster", 10.0, blocks=(400, 4))],
        [effect("b", "slower", 0.5, blocks=(400, 800))],
        [effect("a", "faster", 1.25)],
    ]
    return climb(BASELINE, ladder_of(steps), WEIGHTS)


TABLES = {
    "idx_0": "users",
    "idx_1": "users",
    "idx_2": "messages",
    "idx_3": "messages",
    "idx_4": "files",
}


def test_the_title_says_how_few_steps_do_nearly_all_of_it(climbed: Climb) -> None:
    assert ladder_words.ladder_title(climbed) == (
        "1 of 5 steps saves 99 % of what all save: 1,000 requests take 252 ms before the "
        "ladder and 111 ms after it"
    )
    assert ladder_words.steps_title(climbed) == (
        "2 of 5 steps save time, 1 costs some, and 1 change no plan; of the other 1 only "
        "the plans are clear"
    )


def test_the_title_claims_no_gain_where_nothing_is_clear() -> None:
    found = climb(BASELINE, ladder_of([[effect("a", "unclear", 9.0)]]), WEIGHTS)

    assert ladder_words.ladder_title(found).startswith("None of 1 steps saves time")
    assert "Most of them the clock cannot call" in ladder_words.steps(found)
    assert ladder_charts.steps(found, {"idx_0": "users"}, "title").data


def test_steps_are_grouped_by_table_and_what_is_worse_has_its_own_mark(
    climbed: Climb,
) -> None:
    figure = ladder_charts.ladder(climbed, TABLES, "title", climbed.start)

    assert list(figure.layout.xaxis2.ticktext) == ["users", "messages", "files"]
    # Between two tables one place stays empty.
    assert list(figure.layout.xaxis2.tickvals) == [0.5, 3.5, 6]
    marks = {trace.name: trace for trace in figure.data if trace.yaxis == "y"}
    worse = marks["worse: it costs 1 % or more"]
    assert (list(worse.x), worse.marker.symbol) == ([4], "diamond")
    assert list(marks["measured with all of them"].y) == [climbed.start.ms]
    texts = [note.text for note in figure.layout.annotations]
    assert texts == ["2", "worse: 3"]


def test_names_of_steps_do_not_stand_on_each_other() -> None:
    steps = [[effect("c", "faster", 1.02 + number / 100)] for number in range(6)]
    found = climb(BASELINE, ladder_of(steps), WEIGHTS)
    tables = {one.index: "messages" for one in found.rungs}

    figure = ladder_charts.ladder(found, tables, "title")

    low, high = figure.layout.yaxis.range
    levels = sorted(note.y for note in figure.layout.annotations if note.xanchor == "right")
    assert len(levels) >= 3
    panel_px = 0.62 * 0.93 * (640 - 92 - 165)
    gaps = [(b - a) / (high - low) * panel_px for a, b in itertools.pairwise(levels)]
    assert min(gaps) > 14


def test_the_plans_of_each_step_stand_under_it(climbed: Climb) -> None:
    figure = ladder_charts.steps(climbed, TABLES, "title")

    bars = {trace.name: list(trace.y) for trace in figure.data if trace.type == "bar"}
    assert bars["unclear (1)"] == [0, 1, 0, 0, 0]
    assert bars["slower (1)"] == [0, 0, 0, 1, 0]
    points = {trace.name: list(trace.y) for trace in figure.data if trace.type == "scatter"}
    assert points["worse: costs time (1)"] == pytest.approx([40])
    assert points["saves time (2)"] == pytest.approx([180, 1.6])


def test_the_table_of_steps_has_its_intervals_and_its_building(climbed: Climb) -> None:
    folded = ladder_words.all_steps(climbed, TABLES)

    assert isinstance(folded, Folded)
    frame = folded.frame
    assert frame.loc["3", "ms saved"] == "180 (178 to 182)"
    assert frame.loc["4", "ms saved"].startswith("−40 (")
    assert frame.loc["2", "ms saved"] == "0"
    assert frame.loc["3", "size kB"] == "8"
    assert "<summary>All 5 steps</summary>" in folded._repr_html_()
    by_table = ladder_words.table_table(climbed, TABLES)
    assert list(by_table.index) == ["messages", "files", "users"]
    assert by_table.loc["messages", "ms saved"] == "140"


def test_the_end_of_the_ladder_is_held_against_what_was_measured() -> None:
    ladder = contribution("idx_0", effect("a", "faster", 2.0, weight=8))
    after = [measurement("a", 0.5), measurement("b", 15.0), measurement("e", 1.0)]
    found = contributions(ladder, contribution("idx_1", effect("b", "same", weight=4)))

    ends = ladder_words.ends(BASELINE, after, found, writes={"b"})

    reads, writes, both = ends
    assert (reads.start.ms, reads.ladder.ms, reads.direct.ms) == (8, 4, 4)
    assert (writes.ladder.ms, writes.direct.ms) == (40, 60)
    assert both.direct.ms == 64
    said = ladder_words.ends_sentence(ends)
    assert "less than 1 % apart. For writes it ends at 40 ms" in said
    assert "60 ms were measured, 50 % more. A ladder of plans cannot see" in said
    assert list(ladder_words.ends_table(ends)["measured − ladder"]) == [
        "0 %",
        "+50 %",
        "+45 %",
    ]


def test_what_one_trial_has_measured_is_new_to_no_other() -> None:
    shared, own = effect("a", "faster", switch="s"), effect("b", "faster", switch="t")
    found = contributions(
        contribution("idx_0", shared),
        contribution("idx_1", shared, own, kind="alone", asked=5),
    )

    ladder, alone = economy(found, 40, ("ladder", "alone"))

    assert (ladder.brute, ladder.asked, ladder.changed, ladder.measured) == (40, 10, 1, 1)
    assert (alone.asked, alone.changed, alone.measured) == (5, 2, 1)
    said = trial_words.economy((ladder, alone))
    assert "would be 80 comparisons. The planner was asked 15 times, 3 plans" in said
    assert "2 pairs of plans were measured: 2 % of brute force" in said


@given(st.floats(1e-3, 1e6), st.floats(1.3, 1e6))
def test_a_log_axis_has_a_few_round_ticks_within_its_ends(
    low: float, factor: float
) -> None:
    ticks, labels = log_ticks(low, low * factor)

    assert len(ticks) == len(labels) >= 1
    assert all(low <= tick <= low * factor for tick in ticks)
    assert ticks == sorted(set(ticks))
