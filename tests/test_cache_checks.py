"""The small checks of both caches, on a real PostgreSQL and a real Valkey of their own."""

from __future__ import annotations

import json

import pytest
from hand_made import evidence
from made_cache import experiments

from fluxlab.book.cache_evidence import CacheEvidence
from fluxlab.book.claims import CacheClaim, CacheKeyClaim, TtlClaim, read_claims
from fluxlab.book.judges import judge_all
from fluxlab.book.judges_cache_faults import growth
from fluxlab.book.judges_cache_parts import of_layer
from fluxlab.caching.checks.checked import Checks, checks_of, facts_of
from fluxlab.caching.checks.keys import as_driver, differences
from fluxlab.caching.checks.run import run_checks
from fluxlab.caching.keys import PATTERNS
from fluxlab.caching.keys import facts_of as facts_of_key
from fluxlab.lab import open_lab
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import ROOT, Settings

REPORTED = [one.text for one in PATTERNS.values() if one.is_of_report]


@pytest.fixture(scope="module")
def checks(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Checks:
    lab = open_lab(settings)
    with lab.connection("sprint11") as connection:
        return run_checks(settings, connection, lab.workload, lab.dataset.now)


def test_checks_survive_a_note(checks: Checks) -> None:
    assert checks_of(json.loads(json.dumps(facts_of(checks)))) == checks
    assert checks.took_s < 30


def test_every_key_of_the_report_is_filled_by_its_query_in_both_caches(
    checks: Checks,
) -> None:
    for layer in ("sprint11", "fluxlab"):
        found = of_layer(checks.filled, layer)

        assert [one.pattern for one in found] == REPORTED
        for one in found:
            assert facts_of_key(one.key).pattern.text == one.pattern
            assert one.rows > 0, one
            assert one.is_stored, one
            assert one.is_read, one


def test_ours_gives_back_what_the_database_gave_and_the_reports_loses_dates(
    checks: Checks,
) -> None:
    theirs = {one.pattern: one for one in of_layer(checks.filled, "sprint11")}

    assert all(one.is_same for one in of_layer(checks.filled, "fluxlab"))
    assert "created_at: datetime → str" in theirs["user:{userId}"].lost
    assert "due_date: date → str" in theirs["project:{projectId}:milestones"].lost
    assert theirs["user:{userId}:teams"].is_same


def test_a_texts_type_is_compared_as_the_reports_driver_has_it() -> None:
    assert differences(as_driver({"a": (1, 2.0)}), {"a": [1, 2]}) == []
    assert differences({"a": 1}, {"a": True}) == ["a: int → bool"]
    assert differences({"a": 1}, {"b": 1}) == ["the answer: dict → dict"]
    assert differences([1, 2], [1]) == ["the answer: list → list"]


def test_the_reports_cache_reconnects_in_a_straight_line_and_gives_up(
    checks: Checks,
) -> None:
    theirs, ours = (of_layer(checks.attempts, one)[0] for one in ("sprint11", "fluxlab"))

    assert theirs.is_over
    assert not ours.is_over
    assert len(theirs.waits_s) >= 10
    assert growth(theirs.waits_s) < 1.5 < growth(ours.waits_s)


def test_without_a_server_both_start_and_answer(checks: Checks) -> None:
    assert not any(one.is_connected or one.raised for one in checks.starts)
    assert all(one.is_answered for one in checks.starts)
    theirs, ours = checks.starts
    assert theirs.took_s > 2 > ours.took_s


def test_health_and_statistics_are_told_by_the_servers(checks: Checks) -> None:
    said = {(one.layer, one.server): one.said for one in checks.health}

    assert said == {
        ("sprint11", "running"): "healthy",
        ("fluxlab", "running"): "healthy",
        ("sprint11", "stopped"): "unhealthy",
        ("fluxlab", "stopped"): "degraded",
    }
    assert len({(one.database, one.cache) for one in checks.endpoint}) == 4
    theirs, ours = checks.counted
    assert theirs.said_hits == theirs.hits + theirs.others
    assert (ours.said_hits, ours.said_misses) == (ours.hits, ours.misses)


def test_the_claims_that_a_check_can_judge_get_their_words(checks: Checks) -> None:
    claims = read_claims(ROOT / "data" / "claims.toml")
    found = evidence(cache=CacheEvidence((), experiments(), checks))
    kinds = (CacheClaim, CacheKeyClaim, TtlClaim)
    verdicts = judge_all([one for one in claims if isinstance(one, kinds)], found)
    words = {one.claim.id: one.word for one in verdicts}

    assert {words[one] for one in words if one.startswith("ttl-")} == {"held"}
    assert words["key-user-teams"] == words["install-ping"] == words["api-set"] == "held"
    assert words["configure-redis"] == "refuted"
    assert words["key-user"] == words["feature-pooling"] == "fell short"
    assert words["achieved-cache"] == words["api-invalidate-pattern"] == "held"
    assert words["monitor-cache-stats"] == words["feature-reconnection"] == "fell short"
    for one in verdicts:
        assert one.reason.endswith("."), one
        assert one.reason[0] in "`" or one.reason[0] == one.reason[0].upper(), one
        assert "  " not in one.reason, one
        assert "None" not in one.reason.split(), one
