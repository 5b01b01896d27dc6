"""Panels: each file of `sql/monitoring/`, and what its rows mean when they are watched.

A counter only grows until somebody resets it. Two readings of one, subtracted, tell what
happened in between; ratios and shares are worked out anew from the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, object]
Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A column that is a ratio of counters: numerators over denominators, times `scale`.

    With `is_share` the denominators are summed over all rows.
    """

    column: str
    over: str
    under: tuple[str, ...]
    scale: float = 100.0
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class Headline:
    """A panel in a few words, and whether somebody should look."""

    text: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One file of `sql/monitoring/`, by stem.

    `keys` tell its rows apart, `shown` are the columns that fit 80 of a terminal, the
    last of them as wide as there is room. `counters` are empty where the rows are a
    state and no sum. A row whose `weight` is 0 tells nothing and is not shown. The panel
    is asked at most every `every_s` seconds. `limit` is the number of rows at which the
    file itself stops: beyond it a row that is new may be old.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    headline: Callable[[Rows], Headline]
    counters: tuple[str, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    weight: str | None = None
    every_s: float = 0.0
    limit: int | None = None
    is_default: bool = True


def number(row: Row, column: str) -> float:
    """Return a column as a number; what is not known counts as 0."""
    value = row[column]
    return 0.0 if value is None else float(str(value))


def total(rows: Rows, column: str) -> float:
    """Return the sum of a column."""
    return sum(number(row, column) for row in rows)


def show_bytes(count: float) -> str:
    """Write an amount of memory with two or three digits.

    >>> show_bytes(8192), show_bytes(5_832_704)
    ('8 kB', '5.6 MB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1024
        del units[0]
    return f"{count:.2g} {units[0]}" if count < 10 else f"{count:,.0f} {units[0]}"


def _blocked(rows: Rows) -> Headline:
    if not rows:
        return Headline("nobody waits for a lock")
    longest = max(number(row, "statement_s") for row in rows)
    return Headline(f"{len(rows)} wait for a lock, the longest {longest:,.1f} s", True)


def _open(rows: Rows) -> Headline:
    if not rows:
        return Headline("none is open")
    longest = max(number(row, "open_s") for row in rows)
    idle = sum(str(row["state"]).startswith("idle") for row in rows)
    forgotten = f", {idle} of them idle" if idle else ""
    return Headline(
        f"{len(rows)} open{forgotten}, the oldest for {longest:,.1f} s", longest > 60
    )


def _statements(rows: Rows) -> Headline:
    calls, spent_ms = total(rows, "calls"), total(rows, "total_ms")
    return Headline(f"{calls:,.0f} calls, {spent_ms:,.0f} ms of execution")


def _hits(rows: Rows) -> Headline:
    hits, misses = total(rows, "blocks_hit"), total(rows, "blocks_missed")
    if not hits + misses:
        return Headline("no block was asked for")
    share = hits / (hits + misses)
    return Headline(f"{share:.2%} of {hits + misses:,.0f} block requests hit", share < 0.9)


def _hot(rows: Rows) -> Headline:
    updates, hot = total(rows, "updates"), total(rows, "hot_updates")
    if not updates:
        return Headline("no row was updated")
    return Headline(f"{hot / updates:.1%} of {updates:,.0f} updates were HOT")


def _stale(rows: Rows) -> Headline:
    due = sum(bool(row["is_due"]) for row in rows)
    off = sum(not row["is_automatic"] for row in rows)
    if not off:
        automatic = ""
    elif off == len(rows):
        automatic = "; autovacuum is off"
    else:
        automatic = f"; autovacuum is off for {off}"
    return Headline(f"{due} of {len(rows)} tables are due{automatic}", due > 0)


def _unused_space(size: str) -> Callable[[Rows], Headline]:
    def headline(rows: Rows) -> Headline:
        about = "about " if "needed_bytes" in next(iter(rows), {}) else ""
        known = [row for row in rows if row["unused_bytes"] is not None]
        unused, whole = total(known, "unused_bytes"), total(known, size)
        share = unused / whole if whole else 0.0
        left = len(rows) - len(known)
        unknown = f"; {left} not known" if left else ""
        text = f"{about}{show_bytes(unused)} of {show_bytes(whole)} unused"
        return Headline(f"{text}, {share:.0%}{unknown}", share > 0.5)

    return headline


def _unused_indexes(rows: Rows) -> Headline:
    size = show_bytes(total(rows, "size_bytes"))
    enforcing = sum(row["enforces"] is not None for row in rows)
    kept = f"; {enforcing} of them enforce something" if enforcing else ""
    return Headline(f"{len(rows)} without a scan, {size}{kept}")


def _scans(rows: Rows) -> Headline:
    scanned = sum(number(row, "scans") > 0 for row in rows)
    return Headline(f"{total(rows, 'scans'):,.0f} scans of {scanned} indexes")


def _count(things: str) -> Callable[[Rows], Headline]:
    return lambda rows: Headline(f"{len(rows)} {things}")


def _slow_log(rows: Rows) -> Headline:
    setting = number(rows[0], "setting") if rows else -1.0
    if setting < 0:
        return Headline("off: no statement is logged for its duration")
    return Headline(f"statements of {setting:,.0f} ms and more are logged")


def _extensions(rows: Rows) -> Headline:
    missing = sum(row["next"] is not None for row in rows)
    return Headline(f"{missing} of {len(rows)} want something" if missing else "all there")


_HIT_RATE = Ratio("hit_rate_percent", "blocks_hit", ("blocks_hit", "blocks_missed"))

PANELS: Mapping[str, Panel] = {
    panel.name: panel
    for panel in (
        Panel(
            "blocked_sessions",
            "Blocked sessions",
            keys=("session_id",),
            shown=("session_id", "statement_s", "blocked_by", "blocker_state", "query"),
            headline=_blocked,
        ),
        Panel(
            "long_transactions",
            "Open transactions",
            keys=("session_id",),
            shown=("session_id", "open_s", "state", "waits_for", "query"),
            headline=_open,
        ),
        Panel(
            "slow_queries",
            "Statements by time",
            keys=("query_id", "account"),
            shown=("calls", "total_ms", "share_percent", "mean_ms", "query"),
            headline=_statements,
            counters=(
                *("total_ms", "calls", "rows"),
                *("blocks_hit", "blocks_missed", "temporary_blocks"),
            ),
            ratios=(
                Ratio("mean_ms", "total_ms", ("calls",), scale=1.0),
                Ratio("share_percent", "total_ms", ("total_ms",), is_share=True),
            ),
            limit=50,
        ),
        Panel(
            "cache_hit_tables",
            "Shared buffers, tables",
            keys=("schema_name", "table_name"),
            shown=("blocks_hit", "blocks_missed", "hit_rate_percent", "table_name"),
            headline=_hits,
            weight="blocks_hit",
            counters=(
                *("blocks_missed", "blocks_hit"),
                *("toast_blocks_hit", "toast_blocks_missed"),
            ),
            ratios=(_HIT_RATE,),
        ),
        Panel(
            "cache_hit_indexes",
            "Shared buffers, indexes",
            keys=("schema_name", "table_name", "index_name"),
            shown=("blocks_hit", "blocks_missed", "hit_rate_percent", "index_name"),
            headline=_hits,
            weight="blocks_hit",
            counters=("blocks_missed", "blocks_hit"),
            ratios=(_HIT_RATE,),
        ),
        Panel(
            "hot_updates",
            "HOT updates",
            keys=("schema_name", "table_name"),
            shown=("updates", "hot_updates", "hot_percent", "other_page", "table_name"),
            headline=_hot,
            weight="updates",
            counters=("updates", "hot_updates", "other_page"),
            ratios=(Ratio("hot_percent", "hot_updates", ("updates",)),),
        ),
        Panel(
            "stale_statistics",
            "Statistics of the planner",
            keys=("schema_name", "table_name"),
            shown=("modified_rows", "due_after", "is_due", "analyzed_at", "table_name"),
            headline=_stale,
            weight="modified_rows",
        ),
        Panel(
            "bloat_tables",
            "Bloat of tables",
            keys=("schema_name", "table_name"),
            shown=("table_bytes", "unused_bytes", "unused_percent", "table_name"),
            headline=_unused_space("table_bytes"),
            weight="unused_bytes",
            every_s=30.0,
        ),
        Panel(
            "bloat_indexes",
            "Bloat of indexes",
            keys=("schema_name", "table_name", "index_name"),
            shown=("index_bytes", "unused_bytes", "unused_percent", "index_name"),
            headline=_unused_space("index_bytes"),
            weight="unused_bytes",
            every_s=30.0,
        ),
        Panel(
            "index_usage",
            "Scans of indexes",
            keys=("schema_name", "table_name", "index_name"),
            shown=("scans", "entries_read", "rows_fetched", "index_name"),
            headline=_scans,
            weight="scans",
            counters=("scans", "entries_read", "rows_fetched"),
        ),
        Panel(
            "unused_indexes",
            "Indexes without a scan",
            keys=("schema_name", "table_name", "index_name"),
            shown=("size_bytes", "enforces", "index_name"),
            headline=_unused_indexes,
        ),
        Panel(
            "table_sizes",
            "Sizes",
            keys=("table_name",),
            shown=("total_size", "table_size", "indexes_size", "table_name"),
            headline=_count("tables"),
            every_s=30.0,
        ),
        Panel(
            "slow_log",
            "Log of slow statements",
            keys=("name",),
            shown=("setting", "unit", "context", "name"),
            headline=_slow_log,
            every_s=30.0,
        ),
        Panel(
            "extensions",
            "Extensions",
            keys=("extension_name",),
            shown=("extension_name", "is_created", "is_loaded", "next"),
            headline=_extensions,
            every_s=30.0,
            is_default=False,
        ),
        Panel(
            "bloat_exact_tables",
            "Bloat of tables, counted",
            keys=("schema_name", "table_name"),
            shown=("table_bytes", "dead_bytes", "unused_bytes", "table_name"),
            headline=_unused_space("table_bytes"),
            every_s=300.0,
            is_default=False,
        ),
        Panel(
            "bloat_exact_indexes",
            "Bloat of indexes, counted",
            keys=("schema_name", "table_name", "index_name"),
            shown=("index_bytes", "deleted_pages", "full_percent", "index_name"),
            headline=_count("indexes"),
            every_s=300.0,
            is_default=False,
        ),
    )
}
