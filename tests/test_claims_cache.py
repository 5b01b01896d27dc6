"""The judges of the cache: pure functions of evidence made by hand, in both directions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hand_made import evidence
from made_cache import (
    BOTH,
    CHECKS,
    EXPERIMENTS,
    STALE,
    cache,
    count,
    crash,
    experiments,
    filled,
    forgotten,
    lifetime,
    outage,
    race,
    replay,
    stampede,
    together,
)

from fluxlab.book.cache_evidence import (
    CacheEvidence,
    read_cache,
    write_checks,
    write_experiments,
    write_replay,
)
from fluxlab.book.cache_rates import FREQUENT, hit_rate, resources_of
from fluxlab.book.claims import (
    CacheClaim,
    CacheKeyClaim,
    HitRateClaim,
    LaterClaim,
    LoadClaim,
    TtlClaim,
    read_claims,
)
from fluxlab.book.judges import judge
from fluxlab.book.judges_cache import TOPICS
from fluxlab.book.judges_cache_faults import growth
from fluxlab.book.verdicts import Verdict
from fluxlab.caching.checks.checked import Attempts, Burst, Checks, Counting, Endpoint
from fluxlab.caching.experiments.found import (
    Absent,
    Counted,
    Experiments,
    Outages,
    PatternCost,
)
from fluxlab.caching.keys import TTL
from fluxlab.caching.results import Replay
from fluxlab.settings import ROOT
from fluxlab.workload.notes import Notes

USER, FILES, ORG = "user:{userId}", "project:{projectId}:files", "org:{orgId}"
CACHE_CLAIMS = (CacheClaim, TtlClaim, CacheKeyClaim, HitRateClaim, LoadClaim)


def caching(topic: str, found: CacheEvidence | None) -> Verdict:
    claim = CacheClaim(id="c", quote="q", line=1, topic=topic)  # type: ignore[arg-type]
    return judge(claim, evidence(cache=found))


def hits(resource: str, wanted: int, *replays: Replay) -> Verdict:
    claim = HitRateClaim(id="h", quote="q", line=1, resource=resource, percent=wanted)
    return judge(claim, evidence(cache=cache(*replays)))


def load(resource: str, wanted: int, *replays: Replay) -> Verdict:
    claim = LoadClaim(
        id="l",
        quote="q",
        line=1,
        resource=resource,
        low_percent=wanted,
        high_percent=wanted + 10,
    )
    return judge(claim, evidence(cache=cache(*replays)))


def checks(**changes: object) -> Checks:
    return replace(CHECKS, **changes)  # type: ignore[arg-type]


#: Frequent and long-lived data hits more, and an old row lives as long as it may.
SOUND = cache(
    replay("sprint11", count(USER, 900, 800), count(FILES, 100, 30)),
    replay("fluxlab", count(USER, 900, 810), count(FILES, 100, 30)),
    experiments=experiments(stale=replace(STALE, races=(race("sprint11", 0, 0.45),))),
)


def test_every_topic_has_a_judge_and_every_topic_is_claimed() -> None:
    topics = set(get_args(get_type_hints(CacheClaim)["topic"]))
    claims = read_claims(ROOT / "data" / "claims.toml")

    assert set(TOPICS) == topics
    assert {one.topic for one in claims if isinstance(one, CacheClaim)} == topics
    later = {one.id for one in claims if isinstance(one, LaterClaim)}
    assert later == {
        "endpoint-before",
        "endpoint-after",
        "practice-batch",
        "conclusion-ready",
    }


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_a_cache_without_a_flaw_holds_what_is_said_of_it(topic: str) -> None:
    found = caching(topic, SOUND)

    assert found.word == "held", found
    assert found.reason.endswith(".")
    assert found.expected
    assert found.measured


@pytest.mark.parametrize(
    "claim",
    [
        one
        for one in read_claims(ROOT / "data" / "claims.toml")
        if type(one) in CACHE_CLAIMS
    ],
    ids=lambda claim: claim.id,
)
def test_without_a_measurement_a_claim_says_what_to_run(claim: CacheClaim) -> None:
    for found in (None, CacheEvidence()):
        judged = judge(claim, evidence(cache=found))

        assert judged.word == "not measured yet"
        assert "`make run` does" in judged.reason
        assert "chapter" in claim.chapter


def broken(topic: str, checks: Checks, made: Experiments) -> Verdict:
    return caching(topic, cache(*SOUND.replays, checks=checks, experiments=made))


LINE = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@pytest.mark.parametrize(
    ("topic", "changes", "word", "said"),
    [
        ("ping", {"ping": ""}, "refuted", "answers PING with nothing"),
        (
            "settings",
            {"address": "redis://127.0.0.1:6379"},
            "refuted",
            "With REDIS_PORT=6380, REDIS_DB=3 the report's cache connects to redis://127",
        ),
        (
            "lifetimes",
            {"lifetimes": (lifetime(TTL.DAY), lifetime(TTL.WEEK, left=0.5))},
            "fell short",
            "for 1 of 2",
        ),
        ("lifetimes", {"lifetimes": (lifetime(TTL.DAY, left=2.0),)}, "refuted", "0 of 1"),
        (
            "pooling",
            {"bursts": (Burst("sprint11", 50, 1), Burst("fluxlab", 50, 1))},
            "fell short",
            "50 reads at once open 1 connection: there is no pool",
        ),
        (
            "stats",
            {"counted": tuple(Counting(one, 12, 3, 20, 32, 3, False) for one in BOTH)},
            "fell short",
            "its statistics say 32 and 3",
        ),
        (
            "stats",
            {"counted": tuple(Counting(one, 12, 3, 20, 0, 0, False) for one in BOTH)},
            "refuted",
            "its statistics say 0 and 0",
        ),
        (
            "health endpoint",
            {"endpoint": (Endpoint("healthy", "unhealthy", "healthy"),)},
            "refuted",
            "database healthy and cache unhealthy: healthy",
        ),
        ("health", {"health": CHECKS.health[:2]}, "refuted", "and None without"),
        (
            "infrastructure",
            {"filled": (filled(USER), filled(FILES, is_read=False))},
            "fell short",
            "1 of 2 keys",
        ),
    ],
)
def test_a_flaw_at_hand_costs_the_claim_its_verdict(
    topic: str, changes: dict[str, object], word: str, said: str
) -> None:
    found = broken(topic, checks(**changes), EXPERIMENTS)

    assert (found.word, said in found.reason) == (word, True), found


@pytest.mark.parametrize(
    ("topic", "changes", "word", "said"),
    [
        ("set", {"left_ms": 120_000}, "refuted", "has 120.0 s to live"),
        ("get", {"is_same": False}, "refuted", "comes back changed"),
        ("get or set", {"loads": 2}, "refuted", "cause 2 loads"),
        ("delete", {"is_deleted": False}, "refuted", "still there"),
        ("delete", {"is_other_left": False}, "refuted", "gone too"),
        ("infrastructure", {"is_deleted": False}, "fell short", "not delete"),
    ],
)
def test_an_example_that_does_not_work_refutes_it(
    topic: str, changes: dict[str, object], word: str, said: str
) -> None:
    theirs, ours = CHECKS.examples
    made = (replace(theirs, **changes), ours)  # type: ignore[arg-type]
    found = broken(topic, checks(examples=made), EXPERIMENTS)

    assert (found.word, said in found.reason) == (word, True), found


def test_a_pattern_that_takes_a_stranger_with_it_is_refuted() -> None:
    theirs, ours = CHECKS.deleted
    made = replace(theirs, removed=(*theirs.removed, "user:1234"))
    found = broken("delete pattern", checks(deleted=(made, ours)), EXPERIMENTS)

    assert found.word == "refuted"
    assert "removes `user:1234` of the others" in found.reason


STALLED = Outages(
    0.1,
    (
        outage("sprint11"),
        outage(
            "sprint11",
            "stopped",
            unfinished=90,
            added_max_ms=4_900.0,
            health_during="no answer",
        ),
        outage("fluxlab"),
    ),
)
LOST = Outages(
    0.1, (outage("sprint11", back_s=None, gave_up_s=2.8), outage("sprint11", "stopped"))
)
FAILED = Outages(0.1, (outage("sprint11", errors=7), outage("fluxlab")))
COSTS = (
    PatternCost(1_000, 0.1, 0.1, 1.0, 0.1, 0.1),
    PatternCost(100_000, 9.0, 0.1, 50.0, 8.0, 0.2),
)
UNDEFINED = (Absent("sprint11", "missing row", 3, 1, ("None", "'undefined'")),)
CROWD = replace(
    EXPERIMENTS.stampedes, found=(stampede("sprint11", 500), stampede("fluxlab", 1))
)
LATE = replace(STALE, races=(race("sprint11", 3, 0.4), race("fluxlab")))


@pytest.mark.parametrize(
    ("topic", "changes", "word", "said"),
    [
        ("degradation", {"outages": STALLED}, "fell short", "90 of 900 requests not ended"),
        ("degradation", {"outages": FAILED}, "refuted", "7 errors"),
        ("errors", {"outages": STALLED}, "refuted", "stalls requests until it goes on"),
        ("errors", {"outages": LOST}, "refuted", "it does not come back"),
        ("errors", {"zero_ttl_is_swallowed": True}, "refuted", "tells nobody"),
        ("errors", {"endless_turns": 9}, "refuted", "Its listing of keys never ends"),
        ("errors", {"absent": UNDEFINED}, "refuted", "answered with a text"),
        ("reconnection", {"outages": LOST}, "fell short", "gave up for good after 2.8 s"),
        ("health", {"outages": STALLED}, "fell short", "does not answer: no answer"),
        ("health endpoint", {"outages": STALLED}, "fell short", "no answer at all"),
        (
            "start",
            {
                "outages": Outages(
                    0.1, (outage("sprint11", "absent at start", back_s=None),)
                )
            },
            "fell short",
            "logs “Cache initialized”, though it is not",
        ),
        ("get or set", {"stampedes": CROWD}, "fell short", "500 at once of a missing key"),
        ("missing row", {"stampedes": CROWD}, "fell short", "load 500 times"),
        ("missing row", {"absent": UNDEFINED}, "refuted", "answered None, 'undefined'"),
        ("update", {"stale": LATE}, "refuted", "for up to 0.4 s of a lifetime of 0.5 s"),
        (
            "update",
            {"stale": replace(STALE, crashes=(crash(5),))},
            "refuted",
            "leaves 5 of 5 keys stale",
        ),
        (
            "invalidate",
            {"stale": replace(STALE, together=(together("sprint11", 6),))},
            "fell short",
            "after 6 of them the old row was read again: 54 of 400 reads",
        ),
        (
            "forget user",
            {
                "forgotten": (
                    forgotten(USER, True, False),
                    forgotten("user:email:{email}", True, True),
                    forgotten("user:123", False, False),
                )
            },
            "fell short",
            "2 of 3 cached keys are wrong: stale but left `user:email:{email}`; gone",
        ),
        ("namespaces", {"patterns": COSTS}, "fell short", "9 ms among 100,000"),
        (
            "hit counter",
            {"counted": (Counted("0", 10, 0, 9), Counted("a row", 10, 9, 9))},
            "fell short",
            "`0` has 0 hits in 10 reads",
        ),
        ("hit counter", {"counted": (Counted("0", 10, 0, 9),)}, "refuted", "1 of 1"),
        (
            "hit log",
            {"counted": (Counted("0", 10, 0, 9), Counted("a row", 10, 9, 9))},
            "fell short",
            "The log says 45.00 % where 90.00 %",
        ),
        (
            "measurable",
            {"counted": (Counted("0", 10, 0, 9),)},
            "fell short",
            "misses hits",
        ),
        ("production ready", {"stale": LATE}, "refuted", "3 of 4 races leave a stale row"),
        ("production ready", {"stampedes": CROWD}, "refuted", "load 500 times"),
        ("fully implemented", {"outages": STALLED}, "fell short", "refuted: errors"),
    ],
)
def test_an_experiment_that_fails_costs_the_claim_its_verdict(
    topic: str, changes: dict[str, object], word: str, said: str
) -> None:
    found = broken(topic, CHECKS, experiments(**changes))

    assert (found.word, said in found.reason) == (word, True), found


def test_values_that_come_back_otherwise_are_named() -> None:
    theirs, ours = EXPERIMENTS.details.trips
    lost = replace(theirs, kind="date", is_same=False, given="date(1)", came="'1'")
    found = broken("get", CHECKS, experiments(trips=(theirs, lost, ours)))

    assert found.word == "fell short"
    assert "1 of 2 kinds of values, as Python has them, do not: `date`" in found.reason


def test_waits_in_a_straight_line_are_not_exponential() -> None:
    attempts = (Attempts("sprint11", LINE, True), CHECKS.attempts[1])

    assert growth(LINE) < 1.3
    assert growth((0.1, 0.2, 0.4, 0.8)) == pytest.approx(2.0)
    assert growth(()) == growth((0.1,)) == 0.0
    found = broken("reconnection", checks(attempts=attempts), EXPERIMENTS)
    assert found.word == "fell short"
    assert "which is not exponential" in found.reason
    assert (
        broken("reconnection", checks(attempts=attempts), experiments(outages=LOST)).word
        == "refuted"
    )


@pytest.mark.parametrize(
    ("dear", "word"), [(100.0, "held"), (4.0, "fell short"), (1.2, "refuted")]
)
def test_a_limit_of_size_is_judged_by_what_size_costs(dear: float, word: str) -> None:
    small, large, *ours = EXPERIMENTS.details.sizes
    sizes = (small, replace(large, get_ms=small.get_ms * dear), *ours)

    assert broken("size", CHECKS, experiments(sizes=sizes)).word == word


@pytest.mark.parametrize(
    ("left", "seconds", "word"),
    [(1.0, 60, "held"), (0.9, 60, "refuted"), (1.1, 60, "refuted"), (1.0, 61, "refuted")],
)
def test_a_lifetime_is_what_the_server_says(left: float, seconds: int, word: str) -> None:
    claim = TtlClaim(id="t", quote="q", line=1, name="short", seconds=seconds)
    made = (lifetime(TTL.SHORT, left=left), lifetime(TTL.SHORT, "fluxlab", 0.93))
    found = judge(claim, evidence(cache=cache(checks=checks(lifetimes=made))))

    assert found.word == word
    assert "ours is given 55.8 s" in found.reason


@pytest.mark.parametrize(
    ("changes", "word", "measured"),
    [
        ({}, "held", "unchanged"),
        ({"lost": ("created_at: datetime → str",)}, "fell short", "1 column changed"),
        ({"is_read": False}, "refuted", "not read back"),
        ({"is_stored": False}, "refuted", "not read back"),
        ({"key": "users:7"}, "refuted", "unchanged"),
    ],
)
def test_a_key_is_judged_by_what_comes_back(
    changes: dict[str, object], word: str, measured: str
) -> None:
    claim = CacheKeyClaim(id="k", quote="q", line=1, pattern=USER)
    made = (filled(USER, **changes), filled(USER, "fluxlab"))  # type: ignore[arg-type]
    read = replay("sprint11", count(USER, 200, 150))
    found = judge(claim, evidence(cache=cache(read, checks=checks(filled=made))))

    assert (found.word, found.measured) == (word, measured)
    assert "From ours they come with the same types" in found.reason
    assert "Read 200 times in the replay, 75.0 % hits." in found.reason


@pytest.mark.parametrize(
    ("rate", "word"),
    [
        (0.88, "held"),
        (0.86, "unclear"),
        (0.84, "unclear"),
        (0.80, "fell short"),
        (0.01, "refuted"),
    ],
)
def test_a_hit_rate_within_its_band_of_the_threshold_is_unclear(
    rate: float, word: str
) -> None:
    ours = replay("fluxlab", count(USER, 1_000, 910))
    made = count(USER, 1_000, round(1_000 * rate), stale=1)
    found = hits("User profiles", 85, replay("sprint11", made), ours)

    assert found.word == word
    assert "Ours answers 91.0 % of the same traffic, 0 stale." in found.reason
    assert f"1 of {made.hits:,} hits that were checked are stale" in found.reason
    assert ("85 % lie within its band" in found.reason) == (word == "unclear")


def test_without_a_prediction_the_band_is_that_of_chance() -> None:
    wide = hit_rate([count(USER, 20, 17, band=0)])
    narrow = hit_rate([count(USER, 20_000, 17_000, band=0)])

    assert wide
    assert narrow
    assert wide.low < 0.75 < 0.9 < wide.high
    assert 0.84 < narrow.low < 0.85 < narrow.high < 0.86
    few = replay("sprint11", count(USER, 20, 17, band=0))
    assert hits("User profiles", 80, few).word == "unclear"


def test_what_nobody_read_is_unclear_and_not_refuted() -> None:
    made = replay("sprint11", count(USER, 100, 90))

    assert hits("Analytics", 90, made).word == "unclear"
    assert (
        load("Analytics", 90, replay("none", count(USER, 100, 0)), made).word == "unclear"
    )


def test_a_group_is_all_its_patterns_and_everything_all_reads_with_a_key() -> None:
    made = replay(
        "sprint11",
        count(USER, 300, 300),
        count("user:email:{email}", 100, 0),
        count(ORG, 100, 50),
    )

    assert hits("User profiles", 60, made).measured == "75.0 %"
    assert hits("everything", 60, made).measured == "70.0 %"


def test_frequently_accessed_is_what_makes_half_of_the_reads_and_says_so() -> None:
    made = replay("sprint11", count(ORG, 40, 20), count(USER, 35, 30), count(FILES, 25, 0))
    found = hits("frequently accessed data", 85, made)

    assert [one.pattern for one in resources_of(made, FREQUENT)] == [ORG, USER]
    assert "the 2 key patterns that are read most" in found.reason
    assert f"`{ORG}`, `{USER}`" in found.reason


@pytest.mark.parametrize(
    ("rate", "word"),
    [(0.90, "held"), (0.85, "unclear"), (0.5, "fell short"), (0, "refuted")],
)
def test_load_is_what_the_database_counts(rate: float, word: str) -> None:
    none = replay("none", count(USER, 1_000, 0))
    made = replay("sprint11", count(USER, 1_000, round(1_000 * rate)))
    ours = replay("fluxlab", count(USER, 1_000, 950))
    found = load("User profiles", 85, none, made, ours)

    assert found.word == word
    assert "the database executed 1,000 statements without a cache" in found.reason
    assert found.reason.endswith("Ours spares 95.0 %.")


def test_hits_that_the_database_does_not_notice_are_no_load_reduction() -> None:
    none = replay("none", count(USER, 1_000, 0))
    stampeding = replay("sprint11", count(USER, 1_000, 900, statements=1_000))

    assert hits("User profiles", 85, stampeding).word == "held"
    assert load("User profiles", 85, none, stampeding).word == "refuted"


def test_the_overall_load_counts_writes_and_reads_without_a_key() -> None:
    none = replay("none", count(USER, 500, 0), uncovered=500)
    made = replay("sprint11", count(USER, 500, 450), uncovered=500)
    found = load("everything", 60, none, made)

    assert (found.word, found.measured) == ("fell short", "45.0 %")
    assert "50.0 % of the statements are writes, or reads without a key" in found.reason
    assert load("everything", 40, none, made).word == "held"


def test_what_is_read_most_has_to_hit_most() -> None:
    less = cache(replay("sprint11", count(USER, 900, 300), count(FILES, 100, 90)))
    even = cache(replay("sprint11", count(USER, 900, 801), count(FILES, 100, 88)))
    named = cache(
        replay("sprint11", count(ORG, 900, 800), count(FILES, 50, 30), count(USER, 50, 20))
    )

    assert caching("frequent", less).word == "refuted"
    assert caching("frequent", even).word == "unclear"
    assert caching("frequent", named).word in ("held", "fell short")


@pytest.mark.parametrize(
    ("longest_s", "short_hits", "word"),
    [
        (0.45, 30, "held"),
        (0.45, 90, "fell short"),
        (0.0, 30, "fell short"),
        (0.0, 99, "refuted"),
        (0.0, 88, "unclear"),
    ],
)
def test_a_lifetime_fits_when_it_ends_stale_answers_and_costs_hits(
    longest_s: float, short_hits: int, word: str
) -> None:
    stale = replace(STALE, races=(race("sprint11", 1, longest_s),))
    made = cache(
        replay("sprint11", count(USER, 900, 800), count(FILES, 100, short_hits)),
        experiments=experiments(stale=stale),
    )

    assert caching("fitting lifetimes", made).word == word


def test_what_was_measured_of_the_cache_survives_its_notes(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes.sqlite", "here")
    assert read_cache(notes) == CacheEvidence()

    for one in SOUND.replays:
        write_replay(notes, one.layer, one)
    write_replay(notes, SOUND.replays[0].layer, SOUND.replays[0])
    write_experiments(notes, EXPERIMENTS)
    write_checks(notes, CHECKS)

    assert read_cache(notes) == replace(SOUND, experiments=EXPERIMENTS)
    assert read_cache(Notes(tmp_path / "notes.sqlite", "there")) == CacheEvidence()


def test_the_longest_open_replay_of_a_layer_speaks_for_it() -> None:
    short = replay("none", count(USER, 10, 0))
    long = replace(short, window_s=600.0)
    closed = replace(short, window_s=6_000.0, arrivals="closed")

    assert cache(short, long, closed).replay("none") is long
    assert cache(closed).replay("none") is closed
    assert cache(short).replay("fluxlab") is None
