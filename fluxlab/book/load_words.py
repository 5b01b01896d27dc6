"""The load that caches take off the database, in sentences and tables.

Statements and milliseconds are those that pg_stat_statements counted, of 1,000 requests,
so that replays can be compared. A reduction is what is spared of the same requests
without a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fluxlab.book.cache_groups import Group, groups, patterns, whole
from fluxlab.book.cache_rates import Rate, percent, saved_of, saved_overall
from fluxlab.book.ladder_words import named, number
from fluxlab.book.phrases import share
from fluxlab.book.sentences import Sentence
from fluxlab.book.whole import Tables
from fluxlab.caching.results import LayerName, Replay

#: What the report expects to be spared of all load.
LOW, HIGH = 0.60, 0.70
LABELS: Mapping[LayerName, str] = {
    "none": "no cache",
    "sprint11": "the report's cache",
    "fluxlab": "ours",
}


@dataclass(frozen=True, slots=True)
class Three:
    """The same requests without a cache, with the report's, and with ours."""

    none: Replay
    specimen: Replay
    ours: Replay

    @property
    def all(self) -> tuple[Replay, ...]:
        """The three, in this order."""
        return (self.none, self.specimen, self.ours)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of 1,000 requests: what keys cover, and what none does."""

    covered_statements: float
    other_statements: float
    covered_ms: float
    other_ms: float

    @property
    def statements(self) -> float:
        """All statements."""
        return self.covered_statements + self.other_statements

    @property
    def database_ms(self) -> float:
        """All milliseconds of the server."""
        return self.covered_ms + self.other_ms


def load_of(replay: Replay) -> Load:
    """Return the load of 1,000 requests of a replay."""
    times = 1000 / replay.requests if replay.requests else 0.0
    covered = sum(one.statements for one in replay.resources.values())
    return Load(
        times * covered,
        times * (replay.statements - covered),
        times * (replay.database_ms - replay.uncached_ms),
        times * replay.uncached_ms,
    )


def spared_ms(none: Replay, cached: Replay) -> float:
    """Return the share of the server's time that a cache spares, request by request.

    What no key covers is no business of a cache; that it takes longer in one replay than
    in another is the machine, and left out.
    """
    before, after = load_of(none), load_of(cached)
    spared = before.covered_ms - after.covered_ms
    return spared / before.database_ms if before.database_ms else 0.0


def steadiness(found: Three) -> Sentence:
    """Say how much the time of what no cache touches differed between the replays."""
    times = [load_of(one).other_ms for one in found.all]
    apart = max(times) / min(times) if min(times) else 1.0
    return Sentence(
        f"What no key covers took {' and '.join(number(one) for one in times)} ms in the "
        f"three replays, a factor of {apart:.2f}, and no cache has a part in that: so far "
        "the server's clock can be trusted. Statements are exact, and what is spared of "
        "the time is said of reads with a key alone."
    )


def ceiling(none: Replay) -> tuple[float, float]:
    """Return the most that any cache with these keys can spare: of statements, of ms."""
    load = load_of(none)
    return (
        load.covered_statements / load.statements if load.statements else 0.0,
        load.covered_ms / load.database_ms if load.database_ms else 0.0,
    )


def overall_title(found: Three) -> Sentence:
    """Say what each cache spares of statements, against the report's 60 to 70 %."""
    theirs, ours = (saved_overall(found.none, one) for one in found.all[1:])
    said = f"{_share(theirs)} of all statements are spared by the report's cache"
    return Sentence(
        f"{said}, {_share(ours)} by ours; the report says {share(LOW)} to {share(HIGH)}"
    )


def _share(rate: Rate | None) -> str:
    return share(rate.share).replace("-", "−") if rate else "none"


def ms_title(found: Three) -> Sentence:
    """Say what each cache spares of the server's time."""
    theirs, ours = (percent(spared_ms(found.none, one)) for one in found.all[1:])
    return Sentence(
        f"Of the server's time the report's cache spares {theirs}, and ours {ours}"
    )


def overall(found: Three) -> Tables:
    """Return the load of 1,000 requests with each cache, and what that costs elsewhere."""
    rows = []
    for one in found.all:
        load = load_of(one)
        is_none = one.layer == "none"
        saved = None if is_none else saved_overall(found.none, one)
        stale = sum(count.stale for count in one.resources.values())
        rows.append(
            {
                "cache": LABELS[one.layer],
                "statements": number(load.statements),
                "of which keys cover": number(load.covered_statements),
                "spared": str(saved) if saved else "",
                "server, ms": number(load.database_ms),
                "which keys cover, ms": number(load.covered_ms),
                "spared, ms": "" if is_none else percent(spared_ms(found.none, one)),
                "hit rate of keys": "" if is_none else percent(whole(one).rate.share),
                "stale hits": f"{stale:,}",
                "memory, MiB": "" if is_none else f"{one.memory_bytes / 2**20:.1f}",
                "errors": f"{one.errors:,}",
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "cache")),))


def uncovered(found: Three) -> Sentence:
    """Say what no key covers, and what that leaves to any cache at most."""
    statements, ms = ceiling(found.none)
    load = load_of(found.none)
    return Sentence(
        f"Of 1,000 requests without a cache the server executes "
        f"{number(load.statements)} statements in {number(load.database_ms)} ms. No key "
        f"covers {number(load.other_statements)} of them, writes and reads that the report "
        f"has no key for, and they take {number(load.other_ms)} ms. A cache that always "
        f"hits would spare {percent(statements)} of the statements and {percent(ms)} of "
        f"the time, and no more. With the report's keys its {share(LOW)} are "
        f"{_reach(statements)} reach for statements, and {_reach(ms)} reach for time."
    )


def _reach(most: float) -> str:
    return "within" if most >= LOW else "out of"


def rates_title(found: Three) -> Sentence:
    """Say how far the hit rate of all keys is from what is spared of all statements."""
    every, saved = whole(found.ours).rate, saved_overall(found.none, found.ours)
    return Sentence(
        f"{share(every.share)} of the reads with a key hit, and {_share(saved)} of all "
        "statements are spared: a hit rate is no load reduction"
    )


def _ms_spared(found: Three, one: Group) -> float | None:
    """Return the share of a group's load time that ours spares, below zero if it adds.

    Each load counts what one of its key pattern took without a cache.
    """
    rows = [row for row in earned(found) if row.pattern in {c.pattern for c in one.counts}]
    before = sum(row.before_ms for row in rows)
    return sum(row.spared_ms for row in rows) / before if before else None


def by_resource(found: Three, promised: Mapping[str, float]) -> Tables:
    """Return for each line of the report's table what a cache spares, three ways."""
    none = {one.name: one for one in groups(found.none)}
    theirs = {one.name: one for one in groups(found.specimen)}
    rows = []
    for one in groups(found.ours):
        if one.name not in none:
            continue
        without = none[one.name]
        ms = _ms_spared(found, one)
        specimen = theirs.get(one.name)
        rows.append(
            {
                "resource": one.name,
                "the report": share(promised[one.name]) if one.name in promised else "",
                "its cache, statements": _saved(without, specimen),
                "ours, statements": _saved(without, one),
                "ours, hit rate": percent(one.rate.share),
                "ours, loads avoided": percent(one.avoided),
                "ours, time of loads": percent(ms) if ms is not None else "",
                "share of all time": share(_part_of_time(without, found.none)),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "resource")),))


def _saved(without: Group, cached: Group | None) -> str:
    rate = saved_of(without.counts, cached.counts) if cached else None
    return str(rate) if rate else ""


def _part_of_time(one: Group, none: Replay) -> float:
    spent = sum(count.load_ms for count in one.counts)
    every = sum(count.load_ms for count in none.resources.values())
    return spent / every if every else 0.0


@dataclass(frozen=True, slots=True)
class Earned:
    """What a key pattern spares: the loads of 1,000 requests, in milliseconds.

    A load counts what it took without a cache, so that only their number differs.
    """

    pattern: str
    hit_rate: float
    load_ms: float
    before_ms: float
    after_ms: float
    invalidations: float

    @property
    def spared_ms(self) -> float:
        """Milliseconds of loads that 1,000 requests do not cause."""
        return self.before_ms - self.after_ms


def earned(found: Three) -> tuple[Earned, ...]:
    """Return what each key pattern spares in 1,000 requests, the most first."""
    none = found.none.resources
    rows = []
    for one in patterns(found.ours):
        (count,) = one.counts
        before = none.get(count.pattern)
        if before is None or not before.loads:
            continue
        load_ms = before.load_ms / before.loads
        rows.append(
            Earned(
                count.pattern,
                one.rate.share,
                load_ms,
                1000 * before.loads * load_ms / max(1, found.none.requests),
                1000 * count.loads * load_ms / max(1, found.ours.requests),
                1000 * count.invalidations / max(1, found.ours.requests),
            )
        )
    return tuple(sorted(rows, key=lambda one: (-one.spared_ms, one.pattern)))


def earned_title(found: Three) -> Sentence:
    """Say how many key patterns bring most of what is spared."""
    rows = earned(found)
    every = sum(max(0.0, one.spared_ms) for one in rows)
    if not every:
        return Sentence("No key spares the server any time")
    most, count = 0.0, 0
    for one in rows:
        if most >= 0.8 * every:
            break
        most, count = most + max(0.0, one.spared_ms), count + 1
    return Sentence(
        f"{count} of {len(rows)} key patterns bring {share(most / every)} of what is "
        f"spared, {rows[0].pattern} most"
    )


def earned_table(found: Three) -> Tables:
    """Return what each key pattern spares, and what its invalidations are."""
    frame = pd.DataFrame(
        {
            "key": one.pattern,
            "a load, ms": number(one.load_ms),
            "hit rate": percent(one.hit_rate),
            "without, ms": number(one.before_ms),
            "with, ms": number(one.after_ms),
            "spared, ms": number(one.spared_ms),
            "invalidations": number(one.invalidations),
        }
        for one in earned(found)
    )
    return Tables((("", named(frame, "key")),))


def writes(found: Three) -> Sentence:
    """Say how often writes make keys untrue, and what they pay for telling the cache."""
    ours = found.ours
    times = 1000 / max(1, ours.requests)
    told = sum(one.invalidations for one in ours.resources.values())
    medians = ", ".join(
        f"{number(one.write_latency.p50_ms)} ms ({LABELS[one.layer]})" for one in found.all
    )
    late = ", ".join(f"{number(one.write_latency.p95_ms)} ms" for one in found.all)
    return Sentence(
        f"1,000 requests hold {number(times * ours.writes)} writes, which make keys "
        f"untrue {number(times * told)} times. A write takes {medians} in the middle; at "
        f"the 95th percentile {late}, in the same order."
    )


def latency(found: Three) -> Tables:
    """Return how long requests take, timed from when they were to start."""
    rows = [
        {
            "cache": f"{LABELS[one.layer]}, {kind}",
            "p50, ms": number(times.p50_ms),
            "p95, ms": number(times.p95_ms),
            "p99, ms": number(times.p99_ms),
            "longest, ms": number(times.max_ms),
        }
        for kind in ("reads", "writes")
        for one in found.all
        for times in (one.read_latency if kind == "reads" else one.write_latency,)
    ]
    return Tables((("", named(pd.DataFrame(rows), "cache")),))
