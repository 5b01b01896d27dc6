"""Hit rates in sentences and tables: what the report says, what was measured, theory.

A hit rate is hits ÷ (hits + misses) of what is named; joined reads are neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from fluxlab.book.cache_groups import OTHER, Group, groups, patterns, whole
from fluxlab.book.cache_rates import FREQUENT, hit_rate, resources_of, word_of
from fluxlab.book.ladder_words import named
from fluxlab.book.phrases import share
from fluxlab.book.sentences import Sentence
from fluxlab.book.whole import Tables
from fluxlab.caching.keys import PATTERNS
from fluxlab.caching.results import Prediction, Replay
from fluxlab.caching.theory.shares import reads_per_life_needed

#: What the report wants of everything, and of what is accessed frequently.
WANTED, WANTED_OF_FREQUENT = 0.70, 0.85
#: A rate that is this close is the same: loads take time, and a dictionary's do not.
_CLOSE = 0.05
_NOW = np.ones(1)


def asked(replay: Replay) -> Sentence:
    """Say what was replayed: users, requests, and how fast time passed."""
    window_s = replay.window_s * replay.compression
    span = f"{window_s / 60:,.0f} minutes" if window_s >= 120 else f"{window_s:.0f} seconds"
    return Sentence(
        f"{replay.users:,} users sent {replay.requests:,} requests, {replay.writes:,} of "
        f"them writes, in {replay.window_s:,.0f} s. {compressed(replay).capitalize()}: "
        f"lifetimes are as much shorter as the traffic is denser, so this is what "
        f"{span} of the application would be. {_past(replay)} "
        f"Arrivals are {replay.arrivals}. {replay.errors or 'No'} "
        f"request{'' if replay.errors == 1 else 's'} failed."
    )


def compressed(replay: Replay) -> str:
    """Say the time compression, as every chart does."""
    return f"time is compressed {replay.compression:g} times"


def _past(replay: Replay) -> str:
    if not replay.past_s:
        return "The cache was empty when it began."
    return (
        f"Another {replay.past_s / 60:,.0f} minutes were worked out before, so that the "
        "cache is as full as they would have left it."
    )


def odds(reported: Mapping[str, float]) -> pd.DataFrame:
    """Return what each of the report's rates asks of one key."""
    rows = sorted(reported.items(), key=lambda item: item[1])
    frame = pd.DataFrame(
        {
            "resource": name,
            "hit rate": share(rate),
            "hits for each load": f"{reads_per_life_needed(rate):.1f}",
        }
        for name, rate in rows
    )
    return named(frame, "resource")


def hits_title(ours: Replay, reported: Mapping[str, float]) -> Sentence:
    """Say how many of the report's rates are reached, and which is furthest off."""
    found = [one for one in groups(ours) if one.name in reported]
    reached = [one for one in found if one.rate.share >= reported[one.name]]
    text = f"{len(reached) or 'None'} of the report's {len(reported)} hit rates "
    text += "is reached" if len(reached) <= 1 else "are reached"
    missed = [one for one in found if one not in reached]
    if not missed:
        return Sentence(text)
    worst = max(missed, key=lambda one: reported[one.name] - one.rate.share)
    return Sentence(
        f"{text}; {worst.name} is furthest off, {share(worst.rate.share)} "
        f"instead of {share(reported[worst.name])}"
    )


def hits(ours: Replay, specimen: Replay, reported: Mapping[str, float]) -> Tables:
    """Return each line of the report's table against what was measured and predicted.

    The word is that of the ledger, on the report's cache.
    """
    of_specimen = {one.name: one for one in groups(specimen)}
    rows = []
    for one in groups(ours):
        wanted, theirs = reported.get(one.name), of_specimen.get(one.name)
        rows.append(
            {
                "resource": one.name,
                "the report": share(wanted) if wanted else "",
                "its cache": _measured(theirs),
                "the word": word_of(theirs.rate, wanted) if wanted and theirs else "",
                "ours": _measured(one),
                "theory of ours": _band(one.predicted),
                "reads": f"{one.reads:,}",
                "keys": f"{one.keys:,}",
                "hits for each load": _times(one.hits_per_load),
                "stale, its cache": _stale(theirs),
                "stale, ours": _stale(one),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "resource")),))


def _measured(one: Group | None) -> str:
    if one is None or not one.rate.of:
        return "not read"
    low, high = one.rate.low, one.rate.high
    return f"{share(one.rate.share)} ({share(low)} to {share(high)})"


def _band(found: Prediction | None) -> str:
    if found is None:
        return ""
    return f"{share(found.hit_rate)} ({share(found.low)} to {share(found.high)})"


def _stale(one: Group | None) -> str:
    if one is None:
        return ""
    stale = sum(count.stale for count in one.counts)
    return f"{stale:,} of {sum(count.checked for count in one.counts):,}"


def _times(ratio: float) -> str:
    return "∞" if math.isinf(ratio) else f"{ratio:.1f}"


def overall(ours: Replay, specimen: Replay) -> Sentence:
    """Say the hit rate of all keys and of those read most, with both caches."""
    said = []
    for name, replay in (("ours", ours), ("the report's", specimen)):
        every = whole(replay).rate
        frequent = resources_of(replay, FREQUENT)
        rate = hit_rate(frequent)
        part = f"{name} answers {every} of all reads with a key"
        if rate:
            count = len(frequent)
            part += f", and {rate} of the {count} key patterns read most"
        said.append(part)
    return Sentence(
        f"Of the two caches {said[0]}; {said[1]}. The report wants more than "
        f"{share(WANTED)} of all, and {share(WANTED_OF_FREQUENT)} or more of what is "
        "accessed frequently, which here are the patterns that make half of the reads."
    )


def is_within(one: Group) -> bool | None:
    """Whether the measured rate lies in the band of theory; None where there is none."""
    found = one.predicted
    if found is None or not one.rate.of:
        return None
    return found.low <= one.rate.share <= found.high


def patterns_title(ours: Replay) -> Sentence:
    """Say how many key patterns lie in the band that theory has for them."""
    found = [is_within(one) for one in patterns(ours)]
    known = [one for one in found if one is not None]
    return Sentence(
        f"{sum(known)} of {len(known)} key patterns have the hit rate that theory "
        "predicts, within its band"
    )


def outside(ours: Replay) -> Sentence:
    """Say which patterns lie outside of their band, on which side, and by how much."""
    found = [one for one in patterns(ours) if is_within(one) is False]
    if not found:
        return Sentence("None lies outside of its band.")
    said = []
    for one in found:
        band = one.predicted
        assert band is not None
        side = "above" if one.rate.share > band.high else "below"
        said.append(
            f"`{one.name}` is {side} it, {share(one.rate.share)} where theory says "
            f"{_band(band)}"
        )
    return Sentence(
        f"{'; '.join(said)}. Theory takes the reads of a key as independent of each other. "
        "Sessions read in bursts, which can put a key above its band, and write what "
        f"they have just read, which can put it below.{_drawn(found)}"
    )


def _drawn(found: Iterable[Group]) -> str:
    """Say how close a dictionary without faults comes, when it is asked the same."""
    apart = [
        abs(count.drawn_hit_rate - count.hit_rate)
        for one in found
        for count in one.counts
        if count.drawn_hit_rate is not None
    ]
    if not apart:
        return ""
    return (
        f" A dictionary without faults that is asked the same in the same order is at most "
        f"{100 * max(apart):.1f} points away from these: what is left is the users, and "
        "not the cache."
        if max(apart) <= _CLOSE
        else f" A dictionary without faults that is asked the same is up to "
        f"{100 * max(apart):.1f} points away from these, so not all of it is the users."
    )


def patterns_table(ours: Replay) -> Tables:
    """Return each key pattern: how often a key is read and made untrue, and its rates."""
    rows = []
    for one in patterns(ours):
        (count,) = one.counts
        lives = one.window_s / count.ttl_s
        line = PATTERNS[one.name].group
        is_in = is_within(one)
        rows.append(
            {
                "key": one.name,
                "resource": "" if line == OTHER else line,
                "TTL, s": f"{count.ttl_s:,.0f}",
                "reads": f"{one.reads:,}",
                "keys": f"{one.keys:,}",
                "reads of a key in a TTL": f"{one.reads / max(1, one.keys) / lives:.2g}",
                "invalidated": f"{one.invalidations:,}",
                "measured": _measured(one),
                "theory": _band(one.predicted),
                "in its band": {True: "yes", False: "no", None: ""}[is_in],
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "key")),))


def needed_title(ours: Replay, reported: Mapping[str, float]) -> Sentence:
    """Say for how many lines no traffic would do, and the most that the others need."""
    found = [(one, one.traffic_for(reported[one.name])) for one in _lines(ours, reported)]
    never = [one.name for one, factor in found if math.isinf(factor)]
    more = [(one, factor) for one, factor in found if 1 < factor < math.inf]
    parts = []
    if more:
        one, factor = max(more, key=lambda item: item[1])
        parts.append(
            f"{one.name} would need {_factor(factor)} times the traffic for "
            f"{share(reported[one.name])}"
        )
    if never:
        parts.append(f"no traffic is enough for {' and '.join(never)}")
    if not parts:
        return Sentence("All of the report's hit rates are true with this traffic")
    text = "; ".join(parts)
    return Sentence(text[0].upper() + text[1:])


def _lines(ours: Replay, reported: Mapping[str, float]) -> Iterable[Group]:
    return (one for one in groups(ours) if one.name in reported and one.rate.of)


def _factor(factor: float) -> str:
    if math.isinf(factor):
        return "none is enough"
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def needed(ours: Replay, reported: Mapping[str, float]) -> Tables:
    """Return what each of the report's rates would need, and what stands in its way.

    Traffic is reads and writes of the same keys together. *Most possible* is what
    any traffic can reach while writes stay in this proportion to reads.
    """
    rows = []
    for one in _lines(ours, reported):
        wanted = reported[one.name]
        factor = one.traffic_for(wanted)
        rows.append(
            {
                "resource": one.name,
                "the report": share(wanted),
                "measured": share(one.rate.share),
                "hits for each load": _times(one.hits_per_load),
                "needed": f"{reads_per_life_needed(wanted):.1f}",
                "times the traffic": _factor(factor),
                "a user's pause, s": _pause(ours, factor),
                "most possible": share(float(one.curve.max())),
                "without writes": share(
                    float(one.with_traffic(_NOW, with_writes=False)[0])
                ),
                "TTLs ten times as long": share(
                    float(one.with_traffic(_NOW, ttl_factor=10.0)[0])
                ),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "resource")),))


def _pause(ours: Replay, factor: float) -> str:
    """Say how long a user may wait between requests for so much traffic."""
    if math.isinf(factor) or not ours.rate_per_s:
        return ""
    pause_s = ours.users / ours.rate_per_s / factor
    return f"{pause_s:.2g}" if pause_s < 100 else f"{pause_s:,.0f}"


def shared(ours: Replay) -> Sentence:
    """Say how much the keys that many share differ from those of one user alone."""
    private = [one for one in patterns(ours) if _is_private(one)]
    common = [one for one in patterns(ours) if not _is_private(one)]
    if not (private and common):
        return Sentence("All keys are of one kind.")
    said = []
    for name, found in (("of one user", private), ("that users share", common)):
        rate = hit_rate(count for one in found for count in one.counts)
        reads = sum(one.reads for one in found) / max(1, sum(one.keys for one in found))
        if rate:
            said.append(f"keys {name} are read {reads:.1f} times each and hit {rate}")
    text = "; ".join(said)
    return Sentence(f"In this window {text}.")


def _is_private(one: Group) -> bool:
    return one.name.startswith(("user:", "analytics:user:", "session:", "token:"))
