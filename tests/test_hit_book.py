"""Chapters 10 and 11, hit rates and load: words, charts, exercises, on made Replays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from fluxlab.book import (
    cache_exercises,
    cache_groups,
    hit_charts,
    hit_words,
    load_charts,
    load_words,
)
from fluxlab.book.claims import read_claims
from fluxlab.book.house_rules import broken_rules
from fluxlab.book.lab_questions import CountQuestion, NameQuestion
from fluxlab.book.load_words import Three
from fluxlab.book.pages import chapters
from fluxlab.book.sentences import Sentence
from fluxlab.caching.results import (
    Latency,
    LayerName,
    Prediction,
    Replay,
    ResourceCount,
)
from fluxlab.settings import Settings

ROOT = Path(__file__).parent.parent
LATENCY = Latency(0.4, 2.0, 9.0, 31.0)
USER, EMAIL = "user:{userId}", "user:email:{email}"
FILES, PAGE = "project:{projectId}:files", "conv:{convId}:messages:page:{page}"
DASHBOARD, TEAMS = "analytics:org:{orgId}:dashboard", "user:{userId}:teams"
PROJECT = "project:{projectId}"

#: Pattern: reads, hits, joined, misses, a load's ms, invalidations, keys, TTL, predicted.
MADE: dict[str, tuple[int, int, int, int, float, int, int, float, float]] = {
    USER: (1000, 880, 20, 100, 0.2, 5, 60, 300, 0.89),
    EMAIL: (100, 20, 0, 80, 0.2, 0, 70, 300, 0.21),
    PROJECT: (600, 450, 0, 150, 0.3, 30, 90, 300, 0.75),
    FILES: (400, 200, 0, 200, 0.5, 20, 80, 60, 0.49),
    PAGE: (800, 300, 100, 400, 0.8, 500, 40, 60, 0.60),
    DASHBOARD: (200, 184, 6, 10, 20.0, 0, 5, 300, 0.94),
    TEAMS: (300, 90, 0, 210, 0.2, 0, 150, 1800, 0.31),
}


def made(layer: LayerName, *, scale: float = 1.0) -> Replay:
    """A Replay of `MADE`; without a cache every read is a load."""
    resources = {}
    for pattern, row in MADE.items():
        reads, hits, joined, misses, load_ms, told, keys, ttl_s, rate = row
        if layer == "none":
            hits, joined, misses = 0, 0, reads
        if layer == "sprint11":
            misses, joined = misses + joined, 0
        known = Prediction(rate, rate - 0.02, rate + 0.02) if layer == "fluxlab" else None
        resources[pattern] = ResourceCount(
            *(pattern, "a_query", ttl_s, reads, hits, joined, misses, 0, misses),
            *(misses * load_ms, misses, told, hits, hits // 20 * (layer == "sprint11")),
            *(900.0, keys, known),
        )
    loads = sum(one.loads for one in resources.values())
    load_ms = sum(one.load_ms for one in resources.values())
    return Replay(
        *(layer, "open", 50, 10.0, 20.0, 20.0, 3600.0, 7, 4000, 600, 0),
        *(loads + 1000, load_ms + 500.0, 500.0, LATENCY, LATENCY, 3 << 20, resources),
    )


OURS, SPECIMEN, NONE = made("fluxlab"), made("sprint11"), made("none")
THREE = Three(NONE, SPECIMEN, OURS)
REPORTED = cache_groups.reported(read_claims(ROOT / "data" / "claims.toml"))


def test_a_line_of_the_report_is_the_sum_of_its_key_patterns() -> None:
    users, projects, *_ = found = cache_groups.groups(OURS)

    names = [one.name for one in found]
    assert names == [*cache_groups.REPORTED, cache_groups.OTHER]
    assert list(REPORTED) == list(cache_groups.REPORTED)
    assert (users.reads, users.keys) == (1100, 130)
    assert users.rate.share == pytest.approx(900 / 1080)
    assert users.rate.of == 1080
    assert users.hits_per_load == 5
    assert users.avoided == 1 - 180 / 1100
    assert projects.rate.share == 0.75
    # Weighted by what was asked; the halves of the bands add up in squares.
    band = users.predicted
    assert band is not None
    assert band.hit_rate == pytest.approx((980 * 0.89 + 100 * 0.21) / 1080)
    half = 0.02 * math.hypot(980, 100) / 1080
    assert band.high - band.hit_rate == pytest.approx(half)
    assert cache_groups.groups(SPECIMEN)[0].predicted is None


def test_theory_is_led_through_what_was_measured() -> None:
    for one in cache_groups.groups(OURS):
        (now,) = one.with_traffic(cache_groups.FACTORS[32:33])
        assert cache_groups.FACTORS[32] == pytest.approx(1)
        assert now == pytest.approx(one.rate.share, abs=0.005)


def test_more_traffic_is_no_help_where_writes_end_the_entries() -> None:
    users, projects, _, messages, analytics, _ = cache_groups.groups(OURS)

    assert math.isinf(messages.traffic_for(0.80))
    assert messages.curve.max() < 800 / (800 + 500) + 0.01
    assert messages.with_traffic(cache_groups.FACTORS[32:33], with_writes=False) > 0.5
    assert projects.traffic_for(0.75) == pytest.approx(1, rel=0.1)
    assert 1 < users.traffic_for(0.85) < 10
    assert analytics.traffic_for(0.90) < 1
    factor = users.traffic_for(0.85)
    grown = users.with_traffic(cache_groups.FACTORS[:1] * 0 + factor)
    assert grown[0] == pytest.approx(0.85, abs=0.005)


def test_the_words_say_what_is_reached_and_what_is_not() -> None:
    assert hit_words.hits_title(OURS, REPORTED) == (
        "2 of the report's 5 hit rates are reached; Messages is furthest off, 43 % instead "
        "of 80 %"
    )
    table = hit_words.hits(OURS, SPECIMEN, REPORTED).frames[0][1]
    assert list(table["the report"])[:5] == ["85 %", "75 %", "70 %", "80 %", "90 %"]
    assert table.loc["Messages", "the word"] == "fell short"
    assert table.loc["other", "the word"] == ""
    assert table.loc["Messages", "stale, its cache"] == "15 of 300"
    title = hit_words.needed_title(OURS, REPORTED)
    assert title.endswith("no traffic is enough for Messages")
    needed = hit_words.needed(OURS, REPORTED).frames[0][1]
    assert needed.loc["Messages", "times the traffic"] == "none is enough"
    assert needed.loc["Messages", "a user's pause, s"] == ""
    assert list(needed["needed"]) == ["5.7", "3.0", "2.3", "4.0", "9.0"]
    assert "time is compressed 20 times" in hit_words.compressed(OURS)
    assert "what 7 minutes of the application" in hit_words.asked(OURS)
    assert "Another 60 minutes" in hit_words.asked(OURS)
    assert "was empty" in hit_words.asked(replace(OURS, past_s=0.0))
    odds = hit_words.odds(REPORTED)
    assert list(odds["hits for each load"]) == ["2.3", "3.0", "4.0", "5.7", "9.0"]


def test_a_pattern_outside_of_its_band_is_said_with_its_side() -> None:
    said = hit_words.outside(OURS)
    assert f"`{PAGE}` is below it, 43 % where theory says 60 % (58 % to 62 %)" in said
    assert hit_words.patterns_title(OURS).startswith("6 of 7 key patterns")
    table = hit_words.patterns_table(OURS).frames[0][1]
    assert table.loc[PAGE, "in its band"] == "no"
    assert table.loc[TEAMS, "resource"] == ""
    # 1,000 reads of 60 keys in 400 s, and a life is 300 s: 12.5.
    assert table.loc[USER, "reads of a key in a TTL"] == "13"
    for rate, word in ((0.44, "and not the cache"), (0.6, "not all of it is the users")):
        page = replace(OURS.resources[PAGE], drawn_hit_rate=rate)
        assert word in hit_words.outside(replace(OURS, resources={PAGE: page}))
    right = replace(OURS, resources={USER: OURS.resources[USER]})
    assert hit_words.outside(right) == "None lies outside of its band."


def test_a_hit_rate_is_no_load_reduction() -> None:
    statements, ms = load_words.ceiling(NONE)
    assert statements == pytest.approx(3400 / 4400)
    assert ms == pytest.approx(5300 / 5800)
    load = load_words.load_of(OURS)
    assert (load.covered_statements, load.other_statements) == (287.5, 250.0)
    assert load_words.spared_ms(NONE, NONE) == 0
    assert load_words.spared_ms(NONE, OURS) == pytest.approx((5300 - 743) / 5800)
    # The made specimen joins nothing, so each joined read is a statement more.
    assert load_words.overall_title(THREE) == (
        "48 % of all statements are spared by the report's cache, 51 % by ours; the report "
        "says 60 % to 70 %"
    )
    table = load_words.by_resource(THREE, REPORTED).frames[0][1]
    assert table.loc["Messages", "ours, hit rate"] == "42.9 %"
    assert table.loc["Messages", "ours, loads avoided"] == "50.0 %"
    assert str(table.loc["Messages", "ours, statements"]).startswith("50.0 %")
    assert load_words.rates_title(THREE).startswith(
        "65 % of the reads with a key hit, and 51 % of all statements are spared"
    )
    assert table.loc["Messages", "ours, time of loads"] == "50.0 %"
    # A slower machine is no cache's doing.
    slow = replace(OURS, database_ms=OURS.database_ms + 900, uncached_ms=1400.0)
    assert load_words.spared_ms(NONE, slow) == load_words.spared_ms(NONE, OURS)
    assert "a factor of 2.80" in load_words.steadiness(replace(THREE, ours=slow))
    assert "within reach" in load_words.uncovered(THREE)
    empty = replace(NONE, resources={}, uncached_ms=NONE.database_ms)
    said = load_words.uncovered(replace(THREE, none=empty))
    assert "out of reach for statements, and out of reach for time" in said


def test_an_expensive_load_spares_more_than_a_high_rate() -> None:
    first, *others = load_words.earned(THREE)

    assert first.pattern == DASHBOARD
    assert first.spared_ms == pytest.approx(1000 * 190 * 20 / 4000)
    assert any(one.hit_rate > 0.85 for one in others)
    assert "analytics:org:{orgId}:dashboard most" in load_words.earned_title(THREE)
    table = load_words.earned_table(THREE).frames[0][1]
    assert table.loc[DASHBOARD, "spared, ms"] == "950"
    overall = load_words.overall(THREE).frames[0][1]
    assert overall.loc["no cache", "spared"] == ""
    assert overall.loc["ours", "memory, MiB"] == "3.0"
    assert "150 writes" in load_words.writes(THREE)
    assert len(load_words.latency(THREE).frames[0][1]) == 6


def test_every_chart_states_the_time_compression_and_begins_at_its_zero() -> None:
    title = "title"
    bars = (
        load_charts.statements(THREE, title),
        load_charts.time(THREE, title),
        load_charts.by_key(THREE, title),
    )
    points = (
        hit_charts.hits(OURS, SPECIMEN, REPORTED, title),
        hit_charts.by_pattern(OURS, title),
        hit_charts.traffic(OURS, REPORTED, title),
        load_charts.rates(THREE, REPORTED, title),
    )
    for figure in (*bars, *points):
        assert "time is compressed 20 times" in figure.layout.title.text
        assert figure.layout.height >= 300
    traces = {trace.name: trace for trace in points[0].data}
    assert dict(zip(traces["ours"].y, traces["ours"].x, strict=True))["Messages"] == (
        pytest.approx(300 / 700)
    )
    marks = [trace for trace in points[2].data if trace.mode == "markers"]
    assert len(marks) == 4  # none for messages, which no traffic helps
    stacked = [list(trace.x) for trace in bars[0].data if trace.type == "bar"]
    assert [sum(pair) for pair in zip(*stacked, strict=True)][-1] == 1100  # no cache


def test_the_exercises_know_their_answers_and_what_is_wrong_with_others() -> None:
    hits = cache_exercises.hits_for_a_load(REPORTED)
    assert hits.check(9).is_right
    assert "one fewer" in hits.check(10).text
    rate, avoided = cache_exercises.rate_of_counts(), cache_exercises.loads_avoided()
    assert rate.check(67).is_right
    assert avoided.check(75).is_right
    assert "no load" in rate.check(75).text
    assert "That is the hit rate" in avoided.check(67).text
    bound = cache_exercises.at_most(THREE)
    assert bound.check(77).is_right
    assert not bound.check(100).is_right

    far = cache_exercises.out_of_reach(OURS, REPORTED)
    assert isinstance(far, NameQuestion)
    assert far.check("Messages").is_right
    assert "another needs more" in far.check("File listings").text
    assert "there already" in far.check("Analytics").text
    best = cache_exercises.most_spared(THREE)
    assert isinstance(best, NameQuestion)
    assert best.check(DASHBOARD).is_right
    assert not best.check(USER).is_right
    low = dict.fromkeys(REPORTED, 0.01)
    assert isinstance(cache_exercises.out_of_reach(OURS, low), Sentence)
    spared = cache_exercises.most_spared(Three(NONE, NONE, NONE))
    assert isinstance(spared, Sentence)
    for one in (hits, rate, avoided, bound):
        assert isinstance(one, CountQuestion)
        assert "check(" in one.question.how


def test_the_chapters_keep_the_house_rules(settings: Settings) -> None:
    del settings
    for chapter in chapters(ROOT):
        if chapter.number in (10, 11):
            assert broken_rules(chapter) == ()
