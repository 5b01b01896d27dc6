"""Judges of the report's cache: lifetimes, keys, and the table of all other topics.

A Verdict is about what the report says of its cache, judged on that cache re-created
(`caching.sprint11`). What ours does stands beside it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping

from fluxlab.book import judges_cache_counts as counts
from fluxlab.book import judges_cache_faults as faults
from fluxlab.book import judges_cache_many as many
from fluxlab.book import judges_cache_parts as parts
from fluxlab.book.cache_evidence import CacheEvidence
from fluxlab.book.cache_rates import percent
from fluxlab.book.claims import CacheClaim, CacheKeyClaim, TtlClaim
from fluxlab.book.evidence import Evidence
from fluxlab.book.judges_cache_parts import lasts, of_layer
from fluxlab.book.judges_cache_rates import judge_fitting, judge_frequent, unmeasured
from fluxlab.book.phrases import listed
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.checks.checked import Checks, Filled
from fluxlab.caching.experiments.found import Experiments
from fluxlab.caching.keys import PATTERNS, facts_of


def judge_ttl(claim: TtlClaim, evidence: Evidence) -> Verdict:
    """Ask the server how long an entry has to live that was stored under this name."""
    expected = f"{claim.seconds:,} s"
    checks = evidence.cache.checks if evidence.cache else None
    if checks is None:
        return unmeasured(claim, f"how long a {claim.name} entry lives", expected)
    named = [one for one in checks.lifetimes if one.name == claim.name]
    theirs, ours = (of_layer(named, one) for one in ("sprint11", "fluxlab"))
    left_s = [one.left_ms / 1_000 for one in (*theirs, *ours)]
    is_right = bool(theirs) and theirs[0].seconds == claim.seconds and lasts(theirs[0])
    uses = sum(one.ttl == claim.seconds for one in PATTERNS.values() if one.is_of_report)
    return verdict(
        claim,
        "held" if is_right else "refuted",
        f"The server says {left_s[0]:,.1f} s after `set`; ours is given "
        f"{left_s[-1]:,.1f} s, up to a tenth less. Here {uses or 'none'} of the report's "
        "20 keys live for so long.",
        expected=expected,
        measured=f"{left_s[0]:,.1f} s",
    )


def judge_cache_key(claim: CacheKeyClaim, evidence: Evidence) -> Verdict:
    """Fill the key by its Query and ask whether the answer comes back as it went."""
    expected = f"`{claim.pattern}`"
    checks = evidence.cache.checks if evidence.cache else None
    if checks is None:
        uses = [
            one.name
            for one in evidence.workload.values()
            if one.cache and one.cache.key == claim.pattern
        ]
        return unmeasured(claim, f"the key of {listed(uses)}", expected)
    of_key = [one for one in checks.filled if one.pattern == claim.pattern]
    found = next(iter(of_layer(of_key, "sprint11")), None)
    if found is None:
        return verdict(claim, "refuted", "No query fills this key.", expected=expected)
    ours = next(iter(of_layer(of_key, "fluxlab")), None)
    text = (
        f"`{found.query}` fills it with {found.rows} row{'s' * (found.rows != 1)}, which "
    )
    text += "come back" if found.rows != 1 else "comes back"
    return verdict(
        claim,
        _key_word(found),
        f"{text} {_came(found)}.{_ours_came(ours)}{_read(claim, evidence)}",
        expected=expected,
        measured=_measured(found),
    )


def _key_word(found: Filled) -> Word:
    if facts_of(found.key).pattern.text != found.pattern:
        return "refuted"
    if not (found.is_stored and found.is_read):
        return "refuted"
    return "fell short" if found.lost else "held"


def _came(found: Filled) -> str:
    if not (found.is_stored and found.is_read):
        return "not at all"
    if found.lost:
        return f"with other types: {', '.join(found.lost)}"
    return "with the same types and values"


def _measured(found: Filled) -> str:
    if not (found.is_stored and found.is_read):
        return "not read back"
    count = len(found.lost)
    return f"{count} column{'s' * (count != 1)} changed" if count else "unchanged"


def _ours_came(found: Filled | None) -> str:
    if found is None:
        return ""
    return (
        f" From ours {'it' if found.rows == 1 else 'they'} {_verb(found)} {_came(found)}."
    )


def _verb(found: Filled) -> str:
    return "comes" if found.rows == 1 else "come"


def _read(claim: CacheKeyClaim, evidence: Evidence) -> str:
    """Say how often the key was read in the replay."""
    replay = evidence.cache.replay("sprint11") if evidence.cache else None
    count = replay.resources.get(claim.pattern) if replay else None
    if count is None or not count.reads:
        return ""
    return f" Read {count.reads:,} times in the replay, {percent(count.hit_rate)} hits."


def _infrastructure(claim: CacheClaim, checks: Checks) -> Verdict:
    """Count lifetimes, keys and functions that work with the server at hand."""
    example = of_layer(checks.examples, "sprint11")[0]
    deleted = of_layer(checks.deleted, "sprint11")[0]
    lifetimes = [lasts(one) for one in of_layer(checks.lifetimes, "sprint11")]
    keys = [one.is_stored and one.is_read for one in of_layer(checks.filled, "sprint11")]
    functions = {
        "set": example.is_set,
        "get": example.is_same,
        "get-or-set": example.loads == 1 and example.is_loaded_same,
        "delete": example.is_deleted and example.is_other_left,
        "delete by pattern": set(deleted.removed) == set(deleted.matching),
        "health": parts.tells(checks),
    }
    broken = [name for name, works in functions.items() if not works]
    is_whole = all(lifetimes) and all(keys) and not broken
    word: Word = "held" if is_whole else "fell short"
    if not any((*lifetimes, *keys, *functions.values())):
        word = "refuted"
    return verdict(
        claim,
        word,
        f"With its server at hand {sum(lifetimes)} of {len(lifetimes)} lifetimes, "
        f"{sum(keys)} of {len(keys)} keys and {len(functions) - len(broken)} of "
        f"{len(functions)} functions do what they say"
        + (f"; not {', '.join(broken)}" if broken else "")
        + ".",
        expected="every part",
        measured=f"{sum(lifetimes) + sum(keys) + len(functions) - len(broken)} of "
        f"{len(lifetimes) + len(keys) + len(functions)} parts",
    )


def _whole(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Judge the seven features one by one and count."""
    words = {name: _of(name, claim, checks, experiments).word for name in _FEATURES}
    held = [name for name, word in words.items() if word == "held"]
    refuted = [name for name, word in words.items() if word == "refuted"]
    short = [name for name in words if name not in (*held, *refuted)]
    word: Word = "held" if len(held) == len(words) else "fell short"
    if not held:
        word = "refuted"
    keys = of_layer(checks.filled, "sprint11")
    said = [f"{len(held)} of the {len(words)} features hold"]
    said += [f"fell short: {', '.join(short)}"] if short else []
    said += [f"refuted: {', '.join(refuted)}"] if refuted else []
    return verdict(
        claim,
        word,
        f"{'; '.join(said)}. Of {len(keys)} keys {sum(one.is_same for one in keys)} give "
        "back what was stored with its types.",
        expected="every feature and key",
        measured=f"{len(held)} of {len(words)} features",
    )


def _ready(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """One fault that serves what is wrong, or stalls, is enough against production."""
    faults_found = faults.holes_of(checks, experiments)
    races = of_layer(experiments.stale.races, "sprint11")
    if stale := sum(one.stale for one in races):
        trials = sum(one.trials for one in races)
        faults_found.insert(0, f"{stale} of {trials} races leave a stale row")
    crowd = many.crowd(experiments, "sprint11")
    if crowd and crowd.most_loads > 1:
        faults_found.append(
            f"{crowd.readers} readers of one key load {crowd.most_loads} times"
        )
    text = "; ".join(faults_found)
    return verdict(
        claim,
        "refuted" if faults_found else "held",
        f"{text[:1].upper()}{text[1:]}." if text else "No fault that was tried broke it.",
        expected="no fault at any point",
        measured=f"{len(faults_found)} faults",
    )


_BY_CHECKS: Mapping[str, Callable[[CacheClaim, Checks], Verdict]] = {
    "delete": parts.judge_delete,
    "delete pattern": parts.judge_delete_pattern,
    "infrastructure": _infrastructure,
    "ping": parts.judge_ping,
    "pooling": parts.judge_pooling,
    "set": parts.judge_set,
    "settings": parts.judge_settings,
    "stats": counts.judge_stats,
}
_BY_EXPERIMENTS: Mapping[str, Callable[[CacheClaim, Experiments], Verdict]] = {
    "degradation": faults.judge_degradation,
    "forget organization": parts.judge_forget,
    "forget project": parts.judge_forget,
    "forget user": parts.judge_forget,
    "hit counter": counts.judge_hit_counter,
    "hit log": counts.judge_hit_log,
    "invalidate": many.judge_invalidate,
    "missing row": many.judge_missing_row,
    "namespaces": many.judge_namespaces,
    "size": many.judge_size,
    "update": many.judge_update,
}
_BY_BOTH: Mapping[str, Callable[[CacheClaim, Checks, Experiments], Verdict]] = {
    "errors": faults.judge_errors,
    "fully implemented": _whole,
    "get": parts.judge_get,
    "get or set": many.judge_get_or_set,
    "health": faults.judge_health,
    "health endpoint": faults.judge_endpoint,
    "lifetimes": parts.judge_lifetimes,
    "measurable": counts.judge_measurable,
    "patterns": many.judge_patterns,
    "production ready": _ready,
    "reconnection": faults.judge_reconnection,
    "start": faults.judge_start,
}
_BY_REPLAYS: Mapping[str, Callable[[CacheClaim, CacheEvidence], Verdict]] = {
    "fitting lifetimes": judge_fitting,
    "frequent": judge_frequent,
}
#: The topics of the report's list of features, by the words of the list.
_FEATURES = (
    "reconnection",
    "degradation",
    "pooling",
    "lifetimes",
    "patterns",
    "get or set",
    "errors",
)
#: Every topic that has a judge.
TOPICS = types.MappingProxyType(
    {**_BY_CHECKS, **_BY_EXPERIMENTS, **_BY_BOTH, **_BY_REPLAYS}
)


def judge_caching(claim: CacheClaim, evidence: Evidence) -> Verdict:
    """Judge what the report says of its cache, by its topic."""
    cache = evidence.cache or CacheEvidence()
    checks, experiments = cache.checks, cache.experiments
    if claim.topic in _BY_REPLAYS:
        return _BY_REPLAYS[claim.topic](claim, cache)
    if claim.topic in _BY_CHECKS and checks is not None:
        return _BY_CHECKS[claim.topic](claim, checks)
    if claim.topic in _BY_EXPERIMENTS and experiments is not None:
        return _BY_EXPERIMENTS[claim.topic](claim, experiments)
    if claim.topic in _BY_BOTH and checks is not None and experiments is not None:
        return _BY_BOTH[claim.topic](claim, checks, experiments)
    return unmeasured(claim, "this of the report's cache")


def _of(topic: str, claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    if topic in _BY_CHECKS:
        return _BY_CHECKS[topic](claim, checks)
    if topic in _BY_EXPERIMENTS:
        return _BY_EXPERIMENTS[topic](claim, experiments)
    return _BY_BOTH[topic](claim, checks, experiments)
