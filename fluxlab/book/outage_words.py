"""Stale reads, stampedes and outages in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.ladder_words import named
from fluxlab.book.load_words import LABELS
from fluxlab.book.phrases import share
from fluxlab.book.sentences import Sentence
from fluxlab.caching.experiments.found import (
    Crash,
    Experiments,
    Outages,
    Race,
    Scenario,
    StaleReads,
    Stampedes,
    Together,
)
from fluxlab.caching.results import LayerName
from fluxlab.indexes.amounts import show_ms

#: The lifetime of the report's profiles, which the experiments make shorter.
_REPORT_TTL_S = 300
_PAIR: tuple[LayerName, ...] = ("sprint11", "fluxlab")
_FAULTS = {
    "killed": "killed, and started again empty",
    "stopped": "stopped, and going on",
    "absent at start": "absent when the application starts",
}


def seconds(value: float) -> str:
    """Write seconds, short ones in ms.

    >>> seconds(2.764), seconds(0.0463), seconds(0.0)
    ('2.8 s', '46 ms', '0 s')
    """
    if not value:
        return "0 s"
    return f"{value:.1f} s" if value >= 0.95 else show_ms(value * 1000)


def times(count: int, of: int) -> str:
    """Say how many of how many.

    >>> times(3, 20), times(0, 20)
    ('3 of 20', 'none of 20')
    """
    return f"{count or 'none'} of {of:,}"


def capital(text: str) -> str:
    """Begin a sentence with what begins small elsewhere."""
    return f"{text[:1].upper()}{text[1:]}"


def setting(found: Experiments) -> Sentence:
    """Say what the experiments ran on and what they made shorter."""
    stale = found.stale
    return Sentence(
        f"Rows are in {stale.database}; a load that is raced takes "
        f"{seconds(stale.load_s)}. Entries live for {seconds(stale.ttl_s)} in the races "
        f"and {seconds(stale.crash_ttl_s)} where a writer dies, instead of the report's "
        f"{_REPORT_TTL_S} s: what is stale for a lifetime here is stale for five minutes "
        f"there. All experiments together took {found.took_s:.0f} s."
    )


# Stale reads.


def one_race(found: StaleReads) -> pd.DataFrame:
    """Return what became of a write in the middle of a load, with each cache."""
    rows = []
    for name in _PAIR:
        races = found.of(name, "nobody between")
        race = min(races, key=lambda one: abs(one.offset - 0.5))
        rows.append(
            {
                "cache": LABELS[name],
                "committed at": f"{share(race.offset)} of the load",
                "times tried": race.trials,
                "the next read was stale": times(race.stale, race.trials),
                "the last stale one began after": seconds(race.longest_s),
            }
        )
    return named(pd.DataFrame(rows), "cache")


def _overtaken(races: Iterable[Race]) -> list[Race]:
    return [one for one in races if one.offset < 1]


def _sum(races: Sequence[Race]) -> tuple[int, int]:
    return sum(one.stale for one in races), sum(one.trials for one in races)


def races_title(found: StaleReads) -> Sentence:
    """Say how many overtaken fills were stale with each cache."""
    theirs = _sum(_overtaken(found.of("sprint11", "nobody between")))
    ours = _sum([one for one in found.races if one.layer == "fluxlab"])
    return Sentence(
        f"A write during the load leaves the report's cache stale in {times(*theirs)} "
        f"races; ours in {times(*ours)}, whenever the write comes"
    )


def races(found: StaleReads) -> pd.DataFrame:
    """Return each race: when the write was committed, and what was stale afterwards."""
    scenarios: tuple[Scenario, ...] = ("nobody between", "a reader between")
    rows = []
    for scenario in scenarios:
        theirs, ours = (found.of(name, scenario) for name in _PAIR)
        for one, other in zip(theirs, ours, strict=True):
            rows.append(
                {
                    "scenario": scenario,
                    "committed at": share(one.offset),
                    "the report's cache": times(one.stale, one.trials),
                    "stale for": seconds(one.longest_s) if one.stale else "",
                    "ours": times(other.stale, other.trials),
                }
            )
    return named(pd.DataFrame(rows), "scenario")


def crowd(found: Iterable[Together]) -> Sentence:
    """Say how many reads and writes of a crowd were stale, with each cache."""
    parts = [
        f"{LABELS[one.layer]}: {one.stale:,} of {one.reads:,} reads were stale, after "
        f"{one.stale_writes} of {one.writes} writes"
        + (f", up to {seconds(one.longest_s)} late" if one.stale else "")
        for one in found
    ]
    return Sentence(f"{capital('; '.join(parts))}.")


def crowd_table(found: Iterable[Together]) -> pd.DataFrame:
    """Return what a crowd of readers and writers of one key saw."""
    frame = pd.DataFrame(
        {
            "cache": LABELS[one.layer],
            "reads": f"{one.reads:,}",
            "hits": f"{one.hits:,}",
            "joined": f"{one.joined:,}",
            "misses": f"{one.misses:,}",
            "past it": f"{one.bypassed:,}",
            "writes": one.writes,
            "stale reads": f"{one.stale:,}",
            "of them": share(one.stale / one.reads if one.reads else 0.0),
            "the latest": seconds(one.longest_s) if one.stale else "",
        }
        for one in found
    )
    return named(frame, "cache")


def crashes(found: StaleReads) -> Sentence:
    """Say which way leaves nothing stale when the writer dies, and what it costs."""
    held = [one for one in found.crashes if not one.stale]
    stale = [one for one in found.crashes if one.stale]
    text = "; ".join(f"{_way(one)} leaves {_stale_keys(one)}" for one in stale)
    if not held:
        return Sentence(f"{capital(text)}. No way left nothing stale.")
    best = held[0]
    again = (
        f"the new row was in the cache again {seconds(best.hits_again_s)} after the commit"
        if best.hits_again_s is not None
        else "nothing was in the cache again while we looked"
    )
    return Sentence(
        f"{capital(text) + '. ' if text else ''}{capital(_way(best))} leaves none "
        f"of {best.trials} stale in {best.reads:,} reads. Its price: readers went to the "
        f"database while the barrier stood, {seconds(found.barrier_s)}, and {again}."
    )


def _way(one: Crash) -> str:
    return f"{LABELS[one.layer]} with “{one.way}”"


def _stale_keys(one: Crash) -> str:
    return (
        f"{times(one.stale_keys, one.trials)} keys stale for up to {seconds(one.longest_s)}"
    )


def crashes_table(found: StaleReads) -> pd.DataFrame:
    """Return what was read after a writer had died, for each way of telling the cache."""
    frame = pd.DataFrame(
        {
            "cache": LABELS[one.layer],
            "way": one.way,
            "keys": one.trials,
            "reads": f"{one.reads:,}",
            "stale": f"{one.stale:,}",
            "until": seconds(one.longest_s) if one.stale else "",
            "new row cached again": seconds(one.hits_again_s)
            if one.hits_again_s is not None
            else "not seen",
        }
        for one in found.crashes
    )
    return named(frame, "cache")


# Stampedes.


def stampede_title(found: Stampedes) -> Sentence:
    """Say how often the largest crowd loads one missing key, with each cache."""
    readers = max(one.readers for one in found.found)
    most = {
        name: max(
            one.most_loads
            for one in found.found
            if one.layer == name and one.readers == readers
        )
        for name in _PAIR
    }
    return Sentence(
        f"{readers} readers of one missing key load it up to {most['sprint11']:,} times "
        f"with the report's cache, and {most['fluxlab']:,} "
        f"{'time' if most['fluxlab'] == 1 else 'times'} with ours"
    )


def stampedes(found: Stampedes) -> pd.DataFrame:
    """Return loads and waits of each crowd; loads of every repetition."""
    rows = []
    for one in found.found:
        rows.append(
            {
                "key": one.state,
                "readers": one.readers,
                "processes": one.processes,
                "cache": LABELS[one.layer],
                "loads": ", ".join(f"{count:,}" for count in one.loads),
                "middle wait": show_ms(one.p50_ms),
                "95 %": show_ms(one.p95_ms),
                "longest": show_ms(one.max_ms),
                "past it": one.bypassed or "",
                "errors": one.errors or "",
            }
        )
    return named(pd.DataFrame(rows), "key")


def stampede(found: Stampedes) -> Sentence:
    """Say what the largest crowd in one process waits, with each cache."""
    last = {name: found.of(name, 1)[-1] for name in _PAIR}
    theirs, ours = last["sprint11"], last["fluxlab"]
    beyond = [one for one in found.found if one.layer == "fluxlab" and one.most_loads > 1]
    text = (
        f"A load takes {found.load_ms:.0f} ms. Of {theirs.readers} readers in one process "
        f"the last one waits {show_ms(theirs.max_ms)} with the report's cache, whose loads "
        f"queue for {found.connections} connections, and {show_ms(ours.max_ms)} with ours."
    )
    if beyond:
        worst = max(beyond, key=lambda one: one.most_loads)
        text += (
            f" Ours loaded more than once in {len(beyond)} "
            f"{'case' if len(beyond) == 1 else 'cases'}, {worst.most_loads} times at "
            f"worst, with {worst.readers} readers in {worst.processes} processes: "
            f"{worst.bypassed} were sent past a cache that had missed its deadline."
        )
    return Sentence(text)


# Outages.


def _before(found: Outages) -> str:
    shares = [one.hits_before for one in found.found if one.fault != "absent at start"]
    return share(min(shares)) if shares else ""


def outage_title(found: Outages) -> Sentence:
    """Say what a request waits at worst beside its load while the server is stopped."""
    theirs, ours = (found.of(name, "stopped") for name in _PAIR)
    return Sentence(
        f"With a server that hangs, a request waits up to {seconds(theirs.max_ms / 1000)} "
        f"with the report's cache and {seconds(ours.max_ms / 1000)} with ours"
    )


def outages(found: Outages) -> pd.DataFrame:
    """Return what requests noticed of each fault, and whether the cache came back."""
    frame = pd.DataFrame(
        {
            "the server is": _FAULTS[one.fault],
            "for": seconds(one.ends_s - one.begins_s),
            "cache": LABELS[one.layer],
            "requests": f"{one.requests:,}",
            "errors": one.errors,
            "middle": show_ms(one.p50_ms),
            "99 %": show_ms(one.p99_ms),
            "worst": show_ms(one.max_ms),
            "worst beside the load": show_ms(one.added_max_ms),
            "hits after": share(one.hits_after),
            "back after": seconds(one.back_s) if one.back_s is not None else "never",
            "gave up after": seconds(one.gave_up_s) if one.gave_up_s is not None else "",
            "health check": f"{one.health_during}, then {one.health_after}",
        }
        for one in sorted(found.found, key=lambda one: list(_FAULTS).index(one.fault))
    )
    return named(frame, "the server is")


def leaks(found: Outages) -> Sentence:
    """Say how many errors reached callers, with each cache."""
    parts = []
    for name in _PAIR:
        rows = [one for one in found.found if one.layer == name]
        errors, requests = sum(o.errors for o in rows), sum(o.requests for o in rows)
        parts.append(f"{errors or 'none'} of {requests:,} ({LABELS[name]})")
    return Sentence(
        f"Errors of the cache that reached a caller: {parts[0]} and {parts[1]}. The report "
        "says that it works without Redis, and as far as errors go it does."
        if all(one.errors == 0 for one in found.found)
        else f"Errors of the cache that reached a caller: {parts[0]} and {parts[1]}."
    )


def back_title(found: Outages) -> Sentence:
    """Say which caches are back after an outage, and since when."""
    lost = [one for one in found.found if one.back_s is None]
    parts = {name: [one for one in lost if one.layer == name] for name in _PAIR}
    ours = [one for one in found.found if one.layer == "fluxlab"]
    latest = max((one.back_s or 0.0 for one in ours), default=0.0)
    text = (
        f"After {times(len(parts['sprint11']), len(ours))} outages the report's cache "
        "never answers again"
    )
    if parts["fluxlab"]:
        return Sentence(f"{text}; ours neither after {len(parts['fluxlab'])}")
    return Sentence(f"{text}; ours does after {seconds(latest)} at most")


def giving_up(found: Outages) -> Sentence:
    """Say when the report's cache closed itself for good."""
    gave = [one for one in found.found if one.gave_up_s is not None]
    if not gave:
        return Sentence("The report's cache gave up in none of these outages.")
    when = ", ".join(f"{seconds(one.gave_up_s or 0.0)} ({one.fault})" for one in gave)
    return Sentence(
        f"The report's cache closes its client for good {when} after the fault began. No "
        "code opens it again, so the application goes on without a cache until somebody "
        "starts it anew, and its health check says unhealthy until then."
    )
