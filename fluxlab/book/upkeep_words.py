"""What else an index takes: room on disk and in the buffers, building, planning."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from fluxlab.book.ladder_words import named, number
from fluxlab.book.sentences import Sentence
from fluxlab.errors import FluxlabError
from fluxlab.indexes.buffers import BLOCK_BYTES, Buffers, read_buffers
from fluxlab.indexes.definition import KnownIndex
from fluxlab.indexes.price import Price
from fluxlab.indexes.sandbox import Sandbox
from fluxlab.indexes.trials import Trial
from fluxlab.servers.connections import connect
from fluxlab.workload.sample import show_ms


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


def ask_buffers(sandbox: Sandbox, database: str) -> Buffers | None:
    """Ask the server what lies in its buffers of a database now; None where it may not.

    The extension is made in the sandbox, and rolled back.
    """
    try:
        with sandbox.attempt() as asking, connect(sandbox.server, database) as named_by:
            return read_buffers(asking, named_by)
    except FluxlabError:
        return None


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
        f"{tables * mib:,.1f} now and its indexes {indexes * mib:,.1f}, of which those of "
        f"the sprint {of_sprint * mib:,.1f}. What was read last decides."
    )
