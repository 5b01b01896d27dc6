"""What indexes cost their writes, in sentences and tables.

Bytes are of the write-ahead log without the images of pages; amounts are of one
execution, or of 1,000 requests where that is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from fluxlab.book import phrases
from fluxlab.book.ladder_words import named, number
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.bill import (
    OPERATIONS,
    HotLoss,
    Item,
    Look,
    Sum,
    Written,
    of_operation,
)
from fluxlab.indexes.contribution import Contributions
from fluxlab.indexes.price import Price
from fluxlab.indexes.wal import Wal

#: Sums that are closer than this are equal but for where pages happen to split.
_EQUAL = 0.10


def entries(one: Written, sprint: Collection[str]) -> pd.DataFrame:
    """Return what one execution of a write logs for each index, and for the rest."""
    rows: list[tuple[str, str, Wal]] = [("rows and triggers", "", one.cost.rows_wal)]
    rows += [
        (name, "sprint" if name in sprint else "before", wal)
        for name, wal in sorted(one.cost.entries.items(), key=lambda item: -_bytes(item))
    ]
    rows += [
        (f"{name}, merged later", "sprint" if name in sprint else "before", Wal(0.0, size))
        for name, size in one.cost.deferred.items()
    ]
    frame = pd.DataFrame(
        {
            "for": name,
            "since": since,
            "records": f"{wal.records:.2f}" if wal.records else "",
            "bytes": f"{wal.size_bytes:,.0f}",
            "share": phrases.share(wal.size_bytes / one.total) if one.total else "",
        }
        for name, since, wal in rows
    )
    return named(frame, "for")


def _bytes(item: tuple[str, Wal]) -> float:
    return item[1].size_bytes


def writes_title(found: Sequence[Written], shown: int) -> Sentence:
    """Say which share of what the busiest writes log is for the sprint's indexes."""
    rows = found[:shown]
    whole = sum(one.weight * one.total for one in rows)
    sprint = sum(one.weight * (one.sprint + one.later) for one in rows)
    return Sentence(
        f"Of what the {len(rows)} heaviest writes log, "
        f"{phrases.share(sprint / whole if whole else 0.0)} is for indexes of the sprint"
    )


def writes_table(found: Iterable[Written]) -> pd.DataFrame:
    """Return bytes and records of one execution of each write, by what they are for."""
    frame = pd.DataFrame(
        {
            "write": one.cost.query,
            "in 1,000": f"{one.weight:g}",
            "rows": f"{one.cost.rows:,.0f}",
            "records": f"{one.cost.whole.records:,.1f}",
            "bytes": f"{one.total:,.0f}",
            "rows and triggers": f"{one.rows:,.0f}",
            "indexes before": f"{one.before:,.0f}",
            "the sprint's": f"{one.sprint:,.0f}",
            "later": f"{one.later:,.0f}",
        }
        for one in found
    )
    return named(frame, "write")


def indexes_title(found: Sequence[Item], sprint: Collection[str]) -> Sentence:
    """Say which index costs writes most, and how many of the sprint's cost nothing."""
    dearest = found[0]
    free = sum(one.index in sprint and one.total == 0 for one in found)
    costs = "costs" if free == 1 else "cost"
    return Sentence(
        f"{dearest.index} costs writes most, {dearest.total / 1024:,.1f} kB of WAL in "
        f"1,000 requests; {free} of the sprint's {len(sprint)} {costs} them nothing"
    )


def indexes_table(found: Iterable[Item], tables: Mapping[str, str]) -> pd.DataFrame:
    """Return the price of each index in 1,000 requests, in bytes."""
    frame = pd.DataFrame(
        {
            "index": one.index,
            "table": tables[one.index],
            "own entries": f"{one.own:,.0f}",
            "later": f"{one.later:,.0f}",
            "entries of the others": f"{one.others:,.0f}",
            "all": f"{one.total:,.0f}",
            "HOT updates lost": number(one.hot_lost),
        }
        for one in found
    )
    return named(frame, "index")


def hot(found: Sequence[HotLoss], every: Iterable[Written]) -> Sentence:
    """Say how many updates stop being HOT because of one index, and which costs most."""
    updates = [one for one in every if one.cost.operation == "update"]
    never = sum(one.cost.hot_updates == 0 for one in updates)
    start = (
        f"{never} of {len(updates)} updates are never HOT with all indexes, in "
        f"{sum(one.cost.executions for one in updates):,} executions."
    )
    if not found:
        return Sentence(f"{start} Of none of them a single index is to blame.")
    worst = found[0]
    names = {one.write.on.query for one in found}
    return Sentence(
        f"{start} Of {len(names)} a single index is to blame. The dearest is "
        f"`{worst.index}`: without it {_hot_share(worst)} of the updates of "
        f"`{worst.write.on.query}` are HOT, with it none, and one execution logs "
        f"{worst.others_bytes:,.0f} bytes for the other indexes of the table."
    )


def hot_table(found: Iterable[HotLoss]) -> pd.DataFrame:
    """Return the updates that one index keeps from being HOT, and what that costs."""
    columns = [
        "index",
        "update",
        "in 1,000",
        "HOT without it",
        "with it",
        "entries",
        "bytes",
    ]
    frame = pd.DataFrame(
        (
            (
                one.index,
                one.write.on.query,
                f"{one.weight:g}",
                _hot_share(one),
                phrases.share(one.write.on.hot_updates / one.write.on.updates),
                f"{_other_records(one):,.1f}",
                f"{one.others_bytes:,.0f}",
            )
            for one in found
        ),
        columns=columns,
    )
    return named(frame, "index")


def _hot_share(one: HotLoss) -> str:
    return phrases.share(one.write.off.hot_updates / one.write.on.updates)


def _other_records(one: HotLoss) -> float:
    own = one.write.on.entries.get(one.index)
    return max(0.0, one.write.wal_records - (own.records if own else 0.0))


def gin_table(prices: Mapping[str, Price]) -> pd.DataFrame:
    """Return what a write logs for a GIN index at once, and for merging it later."""
    columns = ["index", "write", "rows", "records at once", "bytes", "bytes later"]
    rows = [
        (
            name,
            one.on.query,
            f"{one.on.rows:,.0f}",
            f"{entries.records:.2f}",
            f"{entries.size_bytes:,.0f}",
            f"{one.on.deferred[name]:,.0f}",
        )
        for name, price in prices.items()
        for one in price.writes
        if one.on.deferred.get(name)
        for entries in (one.on.entries.get(name, Wal()),)
    ]
    return named(pd.DataFrame(rows, columns=columns), "index")


def clock(found: Sequence[Look]) -> Sentence:
    """Say what the clock can tell of single indexes: how many looks, how many called."""
    timed = [one.write.slowdown for one in found if one.write.slowdown]
    if not timed:
        return Sentence("No write was timed.")
    slower = sum(one.low > 1 for one in timed)
    faster = sum(one.high < 1 for one in timed)
    called = sum(one.is_called for one in found)
    text = (
        f"{len(timed)} times a write was timed with an index and without it. "
        f"{slower} intervals lie above 1 and {faster} below; if no index made any "
        f"difference, about {0.05 * len(timed):.0f} of them would lie off by chance. "
    )
    if called:
        return Sentence(
            f"{text}After the correction for so many looks {called} are called different."
        )
    return Sentence(
        f"{text}After the correction for so many looks none is called different: what one "
        "index costs one write is less than this clock can see, and the log has to tell."
    )


def clock_title(found: Sequence[Look]) -> Sentence:
    """Say of how many looks the clock is sure."""
    called = sum(one.is_called for one in found)
    return Sentence(
        f"Of {len(found)} looks at a write with and without an index the clock calls "
        f"{called or 'none'} different"
    )


def sums_title(found: Sequence[Sum]) -> Sentence:
    """Say for inserts and updates what the prices added up are of the price at once."""
    said = []
    for operation in ("insert", "update"):
        parts, whole = _totals(found, operation)
        if whole:
            said.append(f"{phrases.share(parts / whole)} for {operation}s")
    if not said:
        return Sentence("No write pays for any index")
    said_ = " and ".join(said)
    return Sentence(
        f"Of the price of all indexes at once, the prices one by one come to {said_}"
    )


def sums_table(found: Sequence[Sum]) -> pd.DataFrame:
    """Return the bytes of 1,000 requests by operation, added up and at once."""
    rows = []
    for operation in OPERATIONS:
        known = list(of_operation(found, operation))
        parts, whole = _totals(known, operation)
        rows.append(
            {
                "writes": f"{operation}s",
                "number": len(known),
                "added up, kB": f"{parts / 1024:,.1f}",
                "at once, kB": f"{whole / 1024:,.1f}",
                "added up ÷ at once": f"{parts / whole:.2f}" if whole else "",
                "HOT before, in 1,000": number(
                    sum(one.weight * one.write.off.hot_updates for one in known)
                ),
                "after": number(
                    sum(one.weight * one.write.on.hot_updates for one in known)
                ),
            }
        )
    return named(pd.DataFrame(rows), "writes")


def sums_sentence(found: Sequence[Sum]) -> Sentence:
    """Say whether inserts are additive and updates are not, and what deletes pay."""
    said = []
    for operation in ("insert", "update"):
        parts, whole = _totals(found, operation)
        if not whole:
            continue
        if abs(parts / whole - 1) <= _EQUAL:
            verb = "add up"
        else:
            verb = "come to more" if parts > whole else "come to less"
        said.append(
            f"Of {operation}s the prices {verb}: {parts / 1024:,.1f} kB one by one, "
            f"{whole / 1024:,.1f} kB at once."
        )
    deletes = list(of_operation(found, "delete"))
    free = sum(one.whole == 0 == one.parts for one in deletes)
    said.append(f"{free} of {len(deletes)} deletes log nothing for any index.")
    return Sentence(" ".join(said))


def _totals(found: Iterable[Sum], operation: str) -> tuple[float, float]:
    known = [one for one in found if one.write.on.operation == operation]
    return (
        sum(one.weight * one.parts for one in known),
        sum(one.weight * one.whole for one in known),
    )


def worth(found: Iterable[Item], tried: Contributions) -> pd.DataFrame:
    """Return what indexes cost writes beside what they save reads, in 1,000 requests.

    Saved is what reads take longer when it is taken from all others.
    """
    rows = []
    for one in found:
        trials = tried.trials.get("without", {})
        without = tried.of("without", one.index) if one.index in trials else None
        words = [
            f"{len(without.of(word))} {word}"
            for word in ("faster", "slower", "unclear")
            if without and without.of(word)
        ]
        rows.append(
            {
                "index": one.index,
                "costs writes, kB": f"{one.total / 1024:,.1f}",
                "HOT updates lost": number(one.hot_lost),
                "saves reads, ms": number(without.saved_ms) if without else "",
                "blocks": number(without.saved_blocks) if without else "",
                "plans with it": ", ".join(words) or "the same",
            }
        )
    return named(pd.DataFrame(rows), "index")
