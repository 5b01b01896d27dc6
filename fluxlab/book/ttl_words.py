"""Lifetimes in sentences and tables: what each brings, what it is worth, what to do.

Hit rates are hits ÷ (hits + misses) of one key pattern. *In the long run* is theory with
the rates of the replay's users; *measured* is the replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.ladder_words import named
from fluxlab.book.sentences import Sentence
from fluxlab.book.ttl_cases import (
    CLASSES,
    ENOUGH,
    LEAST_READS,
    Case,
    best_ttls,
    given_ttls,
    together,
)
from fluxlab.book.whole import Tables
from fluxlab.caching.keys import TTL
from fluxlab.caching.results import Replay
from fluxlab.indexes.amounts import show_bytes, show_ms

_POINTS = round(100 * ENOUGH)


def percent(share: float) -> str:
    """Write a share as a percentage.

    >>> percent(0.996), percent(0.5), percent(0.0)
    ('99.6 %', '50 %', '0 %')
    """
    return f"{100 * share:.{1 if 0.985 < share < 0.9995 else 0}f} %"


def span(seconds: float) -> str:
    """Write a time with two digits and a unit that fits.

    >>> span(0.2), span(90), span(300), span(5_400), span(604_800)
    ('0.2 s', '90 s', '5 min', '1.5 h', '7 days')
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size * (1 if unit != "min" else 2):
            amount = f"{seconds / size:.2g}"
            return f"{amount} {'day' if amount == '1' and unit == 'days' else unit}"
    return f"{seconds:.2g} s" if seconds < 99.5 else f"{seconds:.0f} s"


def ttl_name(ttl: TTL) -> str:
    """Name one of the six lifetimes with its length."""
    return f"{ttl.name} ({span(float(ttl))})"


def traffic(replay: Replay) -> Sentence:
    """Say whose traffic it is, and how time was compressed."""
    length_s = replay.window_s * replay.compression
    return Sentence(
        f"{replay.users:,} users, {replay.rate_per_s:.0f} requests a second of the "
        f"application, {replay.writes / max(1, replay.requests):.0%} of them writes. Time "
        f"is compressed {replay.compression:g} times, lifetimes and rates alike: the "
        f"window of {span(replay.window_s)} is {span(length_s)} of the application, "
        f"after {span(replay.past_s)} that were simulated."
    )


def measured(found: Iterable[Case]) -> Tables:
    """Return each pattern with its lifetime: measured, predicted, and in the long run."""
    frame = pd.DataFrame(
        {
            "key": one.pattern,
            "lifetime": ttl_name(one.given),
            "reads": f"{one.count.reads:,}",
            "measured": percent(one.count.hit_rate) if one.count.reads else "",
            "predicted, 95 %": _band(one),
            "in the long run": percent(float(one.now.hit_rate[0])),
            "if it lived a week": percent(one.ceiling),
            "invalidations for 100 reads": _few(100 * one.strikes_per_read),
            "mean age": span(float(one.now.age_s[0])),
        }
        for one in found
    )
    return Tables((("", named(frame, "key")),))


def _few(amount: float) -> str:
    return f"{amount:.2g}" if amount < 10 else f"{amount:,.0f}"


def _band(one: Case) -> str:
    found = one.count.predicted
    return f"{percent(found.low)} to {percent(found.high)}" if found else ""


def lifetimes_title(found: Sequence[Case]) -> Sentence:
    """Say for how many patterns a longer life brings something, and for how many not."""
    read = [one for one in found if one.word != "not read"]
    longer = [one for one in read if one.best > one.given]
    return Sentence(
        f"A longer life would bring {len(longer)} of {len(read)} keys more than {_POINTS} "
        f"points of hit rate, and the other {len(read) - len(longer)} nothing to speak of"
    )


def ages_title(found: Sequence[Case]) -> Sentence:
    """Say how old the answers of the oldest pattern are now and if it lived a week."""
    read = [one for one in found if one.word != "not read"]
    if not read:
        return Sentence("Nothing was read, so no answer has an age")
    oldest = max(read, key=lambda one: float(one.classes.age_s[-1]))
    return Sentence(
        f"With entries that live a week, answers are up to "
        f"{span(float(oldest.classes.age_s[-1]))} old on average; with the report's "
        f"lifetimes {span(max(float(one.now.age_s[0]) for one in read))} at most"
    )


def ceilings(found: Sequence[Case]) -> Sentence:
    """Name the pattern that writes hold down most."""
    read = [one for one in found if one.word != "not read"]
    if not read:
        return Sentence("Nothing was read often enough to say.")
    lowest = min(read, key=lambda one: one.ceiling)
    return Sentence(
        f"`{lowest.pattern}` is held down most: "
        f"{_few(100 * lowest.strikes_per_read)} invalidations come to 100 reads, and if "
        f"entries lived a week, {percent(lowest.ceiling)} would still be all. It has "
        f"{percent(float(lowest.now.hit_rate[0]))} with {ttl_name(lowest.given)}."
    )


def classes(found: Sequence[Case]) -> pd.DataFrame:
    """Return the six lifetimes: who has them, for whom they are best, one for all."""
    read = [one for one in found if one.word != "not read"]
    rows = []
    for place, ttl in enumerate(CLASSES):
        rate, room = together(found, [float(ttl)] * len(found))
        ages = [float(one.classes.age_s[place]) for one in found]
        rows.append(
            {
                "lifetime": ttl_name(ttl),
                "keys that have it": sum(one.given == ttl for one in found),
                "is best for": sum(one.best == ttl for one in read),
                "of those that have it": _fits(read, ttl),
                "hit rate, all keys": percent(rate),
                "memory": show_bytes(room),
                "oldest mean age": span(max(ages, default=0.0)),
            }
        )
    return named(pd.DataFrame(rows), "lifetime")


def _fits(read: Iterable[Case], ttl: TTL) -> str:
    words = Counter(
        "fits" if one.best == ttl else "too short" if one.best > ttl else "too long"
        for one in read
        if one.given == ttl
    )
    return ", ".join(f"{word} {count}" for word, count in words.most_common()) or "unused"


def classes_sentence(found: Sequence[Case]) -> Sentence:
    """Judge the six lifetimes of the report."""
    read = [one for one in found if one.word != "not read"]
    used = {one.given for one in found}
    unused = [ttl.name for ttl in CLASSES if ttl not in used]
    fits = sum(one.best == one.given for one in read)
    text = f"The lifetime that a key has is the best of the six for {fits} of {len(read)}."
    if unused:
        text += f" No key of the report has {_listed(unused)}."
    return Sentence(text)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(one for one in (", ".join(names[:-1]), names[-1]) if one)


def memory_title(found: Sequence[Case]) -> Sentence:
    """Say what the best lifetimes bring, and what they take."""
    rate, room = together(found, given_ttls(found))
    best, more = together(found, best_ttls(found))
    return Sentence(
        f"The best lifetimes bring {percent(best)} instead of {percent(rate)} hits, and "
        f"take {show_bytes(more)} of memory instead of {show_bytes(room)}"
    )


def worth(found: Iterable[Case]) -> Tables:
    """Return what caching each pattern saves, with its best lifetime, most first.

    Milliseconds of work in each second, one client after the other: loads avoided by
    their latency, less all reads, fills and invalidations of the cache.
    """
    rows = []
    for one in sorted(found, key=lambda one: -one.worth(one.best).net_ms):
        value = one.worth(one.best)
        rows.append(
            {
                "key": one.pattern,
                "reads a second": f"{one.reads_per_s:.2g}",
                "load": show_ms(one.load_ms),
                "hit": show_ms(one.hit_ms),
                "saved ms/s": _plus(value.saved_ms),
                "cache ms/s": _plus(value.cost_ms),
                "left ms/s": _plus(value.net_ms),
                "memory": show_bytes(value.room_bytes),
                "ms/s per GB": f"{value.per_gb:,.0f}".replace("-", "−"),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "key")),))


def _plus(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")


def worth_sentence(found: Sequence[Case]) -> Sentence:
    """Say how many patterns earn nearly all, and how many cost more than they save."""
    values = sorted((one.worth(one.best).net_ms for one in found), reverse=True)
    total = sum(value for value in values if value > 0)
    if not total:
        return Sentence("No key pays for its cache here.")
    sums = [sum(values[: place + 1]) for place in range(len(values))]
    few = next(place + 1 for place, one in enumerate(sums) if one >= 0.9 * total)
    below = sum(value <= 0 for value in values)
    return Sentence(
        f"{few} of {len(values)} keys earn 90 % of what the cache saves; {below} cost "
        "more than they save."
    )


def index_title(found: Sequence[Case]) -> Sentence:
    """Say for how many Queries the indexes left nothing that a cache could save."""
    never = [one for one in found if one.needed >= 1]
    paid = sum(one.needed_before < 1 for one in never)
    return Sentence(
        f"For {len(never)} of {len(found)} keys the query with its indexes is as fast as a "
        f"cache hit; without the sprint's indexes a hit was faster for {paid} of those"
    )


def together_table(found: Iterable[Case]) -> Tables:
    """Return query × cache × index: both latencies, a hit, and whether a cache adds."""
    rows = []
    for one in sorted(found, key=lambda one: one.load_ms / one.hit_ms):
        rows.append(
            {
                "query": one.count.query,
                "key": one.pattern,
                "11 indexes": show_ms(one.before_ms),
                "101 indexes": show_ms(one.load_ms),
                "hit": show_ms(one.hit_ms),
                "index": _times(one.before_ms / one.load_ms),
                "cache after it": _times(one.load_ms / one.hit_ms),
                "has to avoid": _needed(one.needed),
                "avoids": percent(float(one.now.avoided[0])),
                "a cache": added(one),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "query")),))


def _needed(share: float) -> str:
    return percent(share) if share < 1 else "more than all"


def _times(ratio: float) -> str:
    return f"{ratio:.2g}×" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}×"


def added(one: Case) -> str:
    """Say in two words what a cache adds to the indexes."""
    if one.needed >= 1:
        return "adds nothing"
    if one.needed >= float(one.now.avoided[0]):
        return "costs more"
    return "saves time"


def together_sentence(found: Sequence[Case]) -> Sentence:
    """Count what a cache adds, and name where it adds most."""
    if not found:
        return Sentence("No cached query was measured.")
    counts = Counter(added(one) for one in found)
    text = ", ".join(f"{word} for {count}" for word, count in counts.most_common())
    most = max(found, key=lambda one: one.load_ms / one.hit_ms)
    return Sentence(
        f"By the clock of one client, a cache {text}. It adds most to "
        f"`{most.count.query}`: {show_ms(most.load_ms)} with all indexes, "
        f"{show_ms(most.hit_ms)} as a hit."
    )


def decisions(found: Iterable[Case]) -> Tables:
    """Return the decision on each pattern with its evidence."""
    frame = pd.DataFrame(
        {
            "key": one.pattern,
            "lifetime": ttl_name(one.given),
            "decision": _decision(one),
            "evidence": reason(one),
        }
        for one in found
    )
    return Tables((("", named(frame, "key")),))


def _decision(one: Case) -> str:
    if one.word in ("longer", "shorter"):
        return f"{one.word}: {ttl_name(one.best)}"
    return one.word


def reason(one: Case) -> str:
    """Say why: what decides, in numbers."""
    if one.word == "not read":
        return f"{one.count.reads} reads in the replay, too few to say; {LEAST_READS} are."
    now = percent(float(one.now.hit_rate[0]))
    place = CLASSES.index(one.best)
    if one.word == "drop":
        value = one.worth(one.best)
        return (
            f"A load takes {show_ms(one.load_ms)}, a hit {show_ms(one.hit_ms)}, a fill "
            f"{show_ms(one.prices.fill_ms)}: it has to spare {_needed(one.needed)} of the "
            f"loads. With {ttl_name(one.best)} it spares "
            f"{percent(float(one.classes.avoided[place]))}, and its invalidations counted "
            f"in, the cache adds {-value.net_ms:.2g} ms of work a second."
        )
    then = percent(float(one.classes.hit_rate[place]))
    room = show_bytes(one.worth(one.best).room_bytes)
    if one.word == "keep":
        return (
            f"{now} in the long run; a week would bring {percent(one.ceiling)}. "
            f"{room} of memory."
        )
    age = span(float(one.classes.age_s[place]))
    was = span(float(one.now.age_s[0]))
    more = "brings" if one.word == "longer" else "still brings"
    return (
        f"{now} now; {ttl_name(one.best)} {more} {then}, with {room} of memory and answers "
        f"{age} old on average instead of {was}."
    )


def decided(found: Sequence[Case]) -> Sentence:
    """Count the decisions."""
    counts = Counter(one.word for one in found)
    text = ", ".join(f"{word} {count}" for word, count in counts.most_common())
    return Sentence(f"Of {len(found)} key patterns: {text}.")
