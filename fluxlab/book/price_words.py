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
from fluxlab.indexes.buffers import BLOCK_BYTES, Buffers
from fluxlab.indexes.definition import KnownIndex
from fluxlab.indexes.price import Price
from fluxlab.indexes.trials import Trial
from fluxlab.indexes.wal import Wal
from fluxlab.workload.sample import show_ms

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
        f"{phrases.share(sprint / whole if whole else 0.0)} of what the {len(rows)} busiest "
        "writes log is for indexes of the sprint"
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
    whole = sum(one.total for one in found)
    free = sum(one.index in sprint and one.total == 0 for one in found)
    return Sentence(
        f"{phrases.share(dearest.total / whole if whole else 0.0)} of what is logged for "
        f"indexes is due to {dearest.index}; {free} of the sprint's {len(sprint)} cost no "
        "write anything"
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
        parts, whole = _totals(found, operation)  # type: ignore[arg-type]
        if whole:
            said.append(f"{phrases.share(parts / whole)} for {operation}s")
    if not said:
        return Sentence("No write pays for any index")
    return Sentence(
        "Added up one by one, the prices are, of the price of all at once, "
        + " and ".join(said)
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
        parts, whole = _totals(found, operation)  # type: ignore[arg-type]
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


def upkeep(
    known: Mapping[str, KnownIndex],
    trials: Mapping[str, Trial],
    prices: Mapping[str, Price],
    buffers: Buffers | None = None,
) -> pd.DataFrame:
    """Return size, building, planning and buffers of the sprint's indexes, by table.

    `trials` are those of the ladder. Planning is the sum over the indexes of the table
    of what one statement takes longer to plan.
    """
    groups: dict[str, list[str]] = {}
    for name in trials:
        if name in known:
            groups.setdefault(known[name].definition.table, []).append(name)
    rows = [
        {
            "table": table,
            "indexes": len(names),
            "size MiB": f"{sum(known[name].size_bytes for name in names) / 2**20:.2f}",
            "built in": show_ms(sum(trials[name].build_ms for name in names)),
            "WAL MiB": f"{sum(trials[name].wal_bytes for name in names) / 2**20:.2f}",
            "planning µs": number(
                1000 * sum(prices[name].planning_ms for name in names if name in prices)
            ),
            **(
                {"buffers MiB": f"{buffers.of(names) * BLOCK_BYTES / 2**20:.2f}"}
                if buffers
                else {}
            ),
        }
        for table, names in groups.items()
    ]
    rows.sort(key=lambda row: -float(str(row["size MiB"])))
    return named(pd.DataFrame(rows), "table")


def planning(prices: Mapping[str, Price]) -> Sentence:
    """Say what planning pays for an index, and how much of that is noise."""
    times = sorted(one.planning_ms for one in prices.values())
    below = sum(time < 0 for time in times)
    middle = times[len(times) // 2] * 1000
    return Sentence(
        f"Planning one statement takes {number(middle)} µs longer with one index more, in "
        f"the middle of {len(times)}. {below} of them came out below zero, which no index "
        "can be: that is how wide the noise is, and single figures say nothing."
    )


def buffers(found: Buffers | None, sprint: Collection[str]) -> Sentence:
    """Say what of the shared buffers the indexes take now."""
    if found is None:
        return Sentence(
            "This server does not show its buffers: the extension pg_buffercache is "
            "missing, or this account may not use it."
        )
    tables, indexes = sum(found.tables.values()), sum(found.indexes.values())
    of_sprint = found.of(sprint)
    mib = BLOCK_BYTES / 2**20
    return Sentence(
        f"Of {found.all * mib:,.0f} MiB of shared buffers the tables of this database take "
        f"{tables * mib:,.1f} now and its indexes {indexes * mib:,.1f}, those of the sprint "
        f"{of_sprint * mib:,.1f} of that. What was read last decides."
    )
