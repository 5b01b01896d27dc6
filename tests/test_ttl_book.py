"""Chapter 13: cases of made-up traffic get the words, figures and exercises they should."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from made_effects import effect

from fluxlab.book import ttl_charts, ttl_exercises, ttl_trials, ttl_words
from fluxlab.book.sentences import Sentence
from fluxlab.book.ttl_cases import (
    CLASSES,
    Case,
    best_ttls,
    cases,
    given_ttls,
    least_recent,
    together,
)
from fluxlab.book.ttl_trials import CacheCost
from fluxlab.caching.replays.resources import RESOURCES
from fluxlab.caching.results import Latency, Prediction, Replay, ResourceCount
from fluxlab.caching.theory.shares import Floats, popularity
from fluxlab.lab import open_lab
from fluxlab.settings import Settings
from fluxlab.workload.compare import Comparison
from fluxlab.workload.sample import Sample
from fluxlab.workload.store import Run, State

QUIET = Latency(0.2, 0.5, 1.0, 3.0)
#: What each pattern is made up to be: reads a second, keys, writes for each read, load
#: with the indexes in ms, reads in the replay.
MADE = {
    "user:{userId}": (0.5, 800, 0.02, 0.2, 900),
    "org:{orgId}": (4.0, 20, 0.0, 0.4, 4_000),
    "conv:{convId}:messages:page:{page}": (5.0, 60, 1.5, 3.0, 5_000),
    "project:{projectId}:files": (2.0, 200, 0.05, 1.5, 2_000),
    "user:email:{email}": (0.3, 800, 0.0, 0.1, 500),
    "analytics:org:{orgId}:dashboard": (0.01, 20, 0.0, 900.0, 9),
}
HIT_MS = 0.15


def count_of(pattern: str) -> ResourceCount:
    _, keys, writes, load_ms, reads = MADE[pattern]
    hits = int(0.6 * reads)
    return ResourceCount(
        pattern,
        RESOURCES[pattern].query,
        float(RESOURCES[pattern].pattern.ttl),
        reads,
        hits,
        0,
        reads - hits,
        0,
        loads=reads - hits,
        load_ms=load_ms * (reads - hits),
        statements=reads - hits,
        invalidations=int(writes * reads),
        checked=hits,
        stale=0,
        size_bytes=1_200.0,
        keys=keys,
        predicted=Prediction(0.6, 0.57, 0.63),
    )


def replay() -> Replay:
    return Replay(
        layer="fluxlab",
        arrivals="open",
        users=500,
        rate_per_s=98.0,
        compression=30.0,
        window_s=20.0,
        past_s=7_200.0,
        seed=11,
        requests=12_000,
        writes=1_400,
        errors=0,
        statements=6_000,
        database_ms=3_000.0,
        uncached_ms=900.0,
        read_latency=QUIET,
        write_latency=QUIET,
        memory_bytes=3_000_000,
        resources={pattern: count_of(pattern) for pattern in MADE},
    )


def rates(pattern: str) -> tuple[Floats, Floats]:
    rate, keys, writes, _, _ = MADE[pattern]
    reads = rate * popularity(keys)
    return reads, writes * reads


def comparison() -> Comparison:
    changes = tuple(
        effect(RESOURCES[pattern].query, "faster", 4.0, before_ms=4.0 * load_ms).change
        for pattern, (_, _, _, load_ms, _) in MADE.items()
    )
    run = Run(State("baseline", "", "", ""), ())
    return Comparison(run, run, changes)


def made() -> dict[str, Case]:
    cost = CacheCost(Sample.of(HIT_MS), Sample.of(0.2), Sample.of(0.1), 900)
    found = cases(replay(), rates, dict.fromkeys(MADE, cost), comparison())
    return {one.pattern: one for one in found}


def test_each_case_gets_the_word_that_its_traffic_and_its_costs_deserve() -> None:
    found = made()

    assert {pattern: one.word for pattern, one in found.items()} == {
        # Read rarely and written rarely: every minute of life brings hits.
        "user:{userId}": "longer",
        # Shared by many: half an hour is more than it takes.
        "org:{orgId}": "shorter",
        # Written more often than read: there is nothing to gain from a longer life.
        "conv:{convId}:messages:page:{page}": "keep",
        "project:{projectId}:files": "longer",
        # A query as fast as a hit.
        "user:email:{email}": "drop",
        "analytics:org:{orgId}:dashboard": "not read",
    }


def test_the_best_lifetime_is_the_shortest_that_comes_close_to_a_week() -> None:
    for one in made().values():
        place = CLASSES.index(one.best)
        assert one.classes.hit_rate[place] >= one.ceiling - 0.03
        if place:
            assert one.classes.hit_rate[place - 1] < one.ceiling - 0.03


def test_dearer_loads_turn_a_drop_into_a_longer_life() -> None:
    one = made()["user:email:{email}"]

    dear = replace(one, prices=replace(one.prices, load_ms=50.0))

    assert (one.word, dear.word) == ("drop", "longer")
    assert one.needed > 1 > dear.needed


def test_a_write_that_forgets_many_keys_at_once_is_paid_once() -> None:
    found = made()

    struck = sum(float(one.invalidations.sum()) for one in found.values())
    told = sum(one.forgets_per_s for one in found.values())

    assert struck > 7
    assert told == pytest.approx(1_400 / (20.0 * 30.0))
    assert found["org:{orgId}"].forgets_per_s == 0.0


def test_an_entry_has_the_size_of_the_replay_or_else_that_of_the_trial() -> None:
    cost = CacheCost(Sample.of(HIT_MS), Sample.of(0.2), Sample.of(0.1), 900)
    gone = replay()
    resources = {
        pattern: replace(one, size_bytes=0.0) for pattern, one in gone.resources.items()
    }
    costs = dict.fromkeys(MADE, cost)

    without = cases(replace(gone, resources=resources), rates, costs, comparison())

    assert {one.size_bytes for one in without} == {900.0}
    assert {one.size_bytes for one in made().values()} == {1_200.0}


def test_what_the_replay_did_not_measure_is_left_out() -> None:
    cost = CacheCost(Sample.of(HIT_MS), Sample.of(0.2), Sample.of(0.1), 900)

    found = cases(replay(), rates, {"user:{userId}": cost}, comparison())

    assert [one.pattern for one in found] == ["user:{userId}"]


def test_longer_lives_hit_more_in_more_memory_and_never_beat_lru() -> None:
    found = list(made().values())

    policies = [together(found, [float(ttl)] * len(found)) for ttl in CLASSES]

    for (rate, room), (more, larger) in itertools.pairwise(policies):
        assert rate < more
        assert room < larger
    for rate, room in policies:
        idle = [least_recent(found, time_s) for time_s in np.logspace(-1, 8, 60)]
        assert max(hits for hits, used in idle if used <= 1.02 * room) > rate
    assert given_ttls(found) == [one.count.ttl_s for one in found]
    assert best_ttls(found) == [float(one.best) for one in found]


def test_sentences_say_what_the_cases_show() -> None:
    found = list(made().values())

    assert "A longer life would bring 3 of 5 keys" in ttl_words.lifetimes_title(found)
    assert "`conv:{convId}:messages:page:{page}` is held down most" in ttl_words.ceilings(
        found
    )
    assert "No key of the report has" in ttl_words.classes_sentence(found)
    assert "10 min of the application" in ttl_words.traffic(replay())
    assert "For 1 of 6 keys the query with its indexes is as fast" in ttl_words.index_title(
        found
    )
    assert "adds nothing for 1" in ttl_words.together_sentence(found)
    assert "analytics_org_dashboard" in ttl_words.together_sentence(found)
    assert "drop 1" in ttl_words.decided(found)
    assert "answers are up to" in ttl_words.ages_title(found)
    assert "cost more than they save" in ttl_words.worth_sentence(found)
    assert "of memory instead of" in ttl_words.memory_title(found)


def test_tables_have_a_row_for_each_case_and_a_reason_for_each_decision() -> None:
    found = list(made().values())

    for table in (
        ttl_words.measured(found),
        ttl_words.worth(found),
        ttl_words.together_table(found),
        ttl_words.decisions(found),
    ):
        assert [len(frame) for _, frame in table.frames] == [len(found)]
    reasons = {one.pattern: ttl_words.reason(one) for one in found}
    assert "a hit 0.15 ms" in reasons["user:email:{email}"]
    assert "too few" in reasons["analytics:org:{orgId}:dashboard"]
    assert "brings" in reasons["project:{projectId}:files"]
    classes = ttl_words.classes(found)
    assert list(classes["keys that have it"]) == [2, 3, 1, 0, 0, 0]
    assert classes["of those that have it"].iloc[-1] == "unused"


def test_words_without_any_case_do_not_stumble() -> None:
    for sentence in (
        ttl_words.ages_title,
        ttl_words.ceilings,
        ttl_words.together_sentence,
        ttl_words.worth_sentence,
    ):
        assert sentence([]).startswith("No")


def test_figures_hold_a_panel_a_mark_and_a_sentence_for_each_case() -> None:
    found = list(made().values())
    shown = replay()

    rates_drawn = ttl_charts.hit_rates(found, shown, "hits")
    ages = ttl_charts.ages(found, "ages")
    memory = ttl_charts.memory(found, shown, "memory")
    indexes = ttl_charts.after_index(found, "indexes")

    names = [trace.name for trace in rates_drawn.data]
    assert names.count("measured") == len(found)
    assert names.count("theory of this window, 95 %") == len(found)
    assert len([one for one in ages.data if one.mode == "lines"]) == len(found)
    assert "compressed 30 times" in str(rates_drawn.layout.annotations)
    assert len(memory.data) == 5
    # What a cache gives most stands on top, and hits are drawn at what they take.
    last = indexes.data[-1]
    assert last.y[-1] == "analytics_org_dashboard"
    assert set(last.x) == {HIT_MS}


def test_exercises_take_right_answers_and_say_why_others_are_wrong() -> None:
    found = list(made().values())
    minutes, written = ttl_exercises.one_lifetime(), ttl_exercises.ceiling(4)
    reads = ttl_exercises.reads_for_rate(0.9)
    capped = ttl_exercises.holds_down(found)
    least = ttl_exercises.least_to_gain(found)
    assert not isinstance(capped, Sentence)
    assert not isinstance(least, Sentence)

    assert [
        one.check(right).is_right
        for one, right in (
            (minutes, 83),
            (written, 80),
            (reads, 9),
            (capped, "conv:{convId}:messages:page:{page}"),
            (least, "user_by_email"),
        )
    ] == [True] * 5
    assert "not one of the five" in minutes.check(80).text
    assert "in step" in written.check(75).text
    assert "misses" not in reads.check(10).text
    assert "would bring" in capped.check("project:{projectId}:files").text
    assert "as a hit" in least.check("files_of_project").text
    assert isinstance(ttl_exercises.least_to_gain([]), Sentence)
    assert isinstance(ttl_exercises.holds_down([]), Sentence)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 59.9, 119.0, 120.0, 3_600.0, 86_400.0])
def test_a_span_is_short_and_has_a_unit(seconds: float) -> None:
    number, _, unit = ttl_words.span(seconds).partition(" ")

    size = {"s": 1.0, "min": 60.0, "h": 3_600.0, "day": 86_400.0, "days": 86_400.0}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=0.05)


def test_the_answer_of_every_key_is_timed_as_a_hit(settings: Settings) -> None:
    costs = ttl_trials.cache_costs(open_lab(settings))

    assert set(costs) == set(RESOURCES)
    for cost in costs.values():
        assert cost.read.executions >= 100
        assert cost.read.median_ms > 0
        assert cost.size_bytes > 0
