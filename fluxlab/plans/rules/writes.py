"""Rules on what writes: triggers and foreign keys, WAL, and entries in indexes."""

from __future__ import annotations

import re

from pglast import ast, parse_sql
from pglast.parser import ParseError
from psycopg.sql import Literal

from fluxlab.plans.plan import Trigger
from fluxlab.plans.rules.below import inputs
from fluxlab.plans.rules.expressions import quoted
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import LEAST_TIME_MS, Said, counted, rule
from fluxlab.plans.surroundings import PAGE_BYTES, KnownIndex

TRIGGER_SHARE = 0.2
#: Rows found by an index take some hundredths of a ms; a scan takes far more.
SLOW_CALL_MS = 0.2
#: WAL per row, in rows: one for the table and entries in few indexes stay below.
WAL_PER_ROW = 4
#: The header of a row, 24 bytes, and that of its WAL record.
ROW_HEADER_BYTES = 48
FEW_WRITES = 100
HOT_SHARE = 0.5

#: Finds the columns of a foreign key by its name, and indexes them.
_INDEX_REFERENCE = """\
do $$ begin execute (
    select format('create index on %s (%s)', conrelid::regclass, columns)
    from pg_constraint
    cross join lateral (
        select string_agg(quote_ident(attname), ', ' order by place) as columns
        from unnest(conkey) with ordinality as key (number, place)
        join pg_attribute on attrelid = conrelid and attnum = number
    ) as referring
    where conname = {name} and confrelid = {relation}::regclass
); end $$;"""


@rule("R46", "Time in triggers and foreign keys", of_plan=True)
def _triggers(seen: Seen) -> Said | None:
    plan = seen.plan
    total_ms = sum(one.time_ms for one in plan.triggers)
    if total_ms < max(LEAST_TIME_MS, TRIGGER_SHARE * plan.execution_ms):
        return None
    worst = max(plan.triggers, key=lambda one: one.time_ms)
    per_call_ms, key = worst.time_ms / max(1, worst.calls), worst.constraint
    if key and (_is_check(seen, worst) or per_call_ms < SLOW_CALL_MS):
        return None
    return Said(
        f"{total_ms:,.0f} of {plan.execution_ms:,.0f} ms went into triggers, most into "
        f"{f'the foreign key {key}' if key else worst.name}: "
        f"{counted(worst.calls, 'call')} of {per_call_ms:,.2f} ms.",
        (
            "For each row the table that refers to it is searched. An index on its column "
            "finds the rows there; an index on this table does not."
            if key
            else "A trigger for each statement sees all rows at once; WHEN spares calls "
            "that would change nothing."
        ),
        {"trigger_ms": total_ms, "calls": worst.calls, "trigger": key or worst.name},
        wasted=1.0,
        confidence="likely" if key else "possible",
        fix=_index_on_reference(worst) if key else None,
        time_ms=worst.time_ms,
    )


def _is_check(seen: Seen, trigger: Trigger) -> bool:
    """Whether a foreign key looks into the table it refers to, which has its key."""
    is_insert = seen.plan.root.text("Operation") == "Insert"
    return trigger.name.startswith("RI_ConstraintTrigger_c_") or is_insert


def _index_on_reference(trigger: Trigger) -> str | None:
    if trigger.relation is None:
        return None
    name, relation = (
        Literal(text).as_string()
        for text in (str(trigger.constraint), quoted(trigger.relation))
    )
    return _INDEX_REFERENCE.format(name=name, relation=relation)


@rule("R47", "Much WAL for each row")
def _write_ahead(seen: Seen) -> Said | None:
    node, width = seen.node, _row_width(seen)
    rows = sum(one.rows_kept for one in inputs(node))
    if node.kind != "ModifyTable" or rows < FEW_WRITES or width is None:
        return None
    images = node["WAL FPI"]
    written = max(0.0, node["WAL Bytes"] - images * PAGE_BYTES) / rows
    allowed = WAL_PER_ROW * (width + ROW_HEADER_BYTES)
    if written <= allowed:
        return None
    records, table = node["WAL Records"] / rows, seen.table
    held = f" in {counted(len(table.indexes), 'index', 'indexes')}" if table else ""
    pages = f" Besides, {images:,.0f} whole pages were logged." if images else ""
    return Said(
        f"Each of {rows:,} rows of {width:,.0f} bytes wrote {written:,.0f} bytes of WAL: "
        f"{records:,.1f} records, for the row and its entries{held}.{pages}",
        "Drop the indexes that no query needs, and do not index what updates change. "
        "Committing asynchronously waits less and writes the same.",
        {"wal_bytes_per_row": written, "row_bytes": width, "page_images": images},
        wasted=1 - allowed / written,
        confidence="likely" if table else "possible",
    )


def _row_width(seen: Seen) -> float | None:
    """Return the mean bytes of a row; None where nobody knows."""
    columns = seen.table.columns.values() if seen.table else ()
    widths = [one.mean_width for one in columns]
    if widths and None not in widths:
        return float(sum(width or 0 for width in widths))
    # What an INSERT gets is a row; an UPDATE gets only what changes.
    is_insert = seen.node.text("Operation") == "Insert"
    return inputs(seen.node)[0]["Plan Width"] if is_insert else None


@rule("R48", "Updates that touch every index")
def _not_hot(seen: Seen) -> Said | None:
    node, table = seen.node, seen.table
    if node.kind != "ModifyTable" or node.text("Operation") != "Update" or table is None:
        return None
    if table.updates < FEW_WRITES or table.hot_updates >= HOT_SHARE * table.updates:
        return None
    changed = _changed_columns(seen.known.statement)
    holders = {
        column: {one.name for one in table.indexes if _holds(one, column)}
        for column in changed
    }
    columns = ", ".join(sorted(column for column, names in holders.items() if names))
    if not columns:
        return None
    indexes = ", ".join(sorted(set().union(*holders.values())))
    return Said(
        f"Of {counted(table.updates, 'update')} of {table.name} {table.hot_updates:,} left "
        f"the indexes alone. This one changes {columns}, which {indexes} contains.",
        "Such an update writes an entry into every index of the table. Drop the index if "
        "no query needs it, or leave the column out of it. Free space in the pages "
        "(fillfactor) helps only once no changed column is indexed.",
        {"updates": table.updates, "hot_updates": table.hot_updates, "indexes": indexes},
        wasted=1.0,
        confidence="sure",
    )


def _holds(index: KnownIndex, column: str) -> bool:
    """Whether a change of the column needs a new entry; in BRIN a row has none."""
    texts = (*index.keys, *index.included, index.predicate or "")
    word = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)")
    return index.method != "brin" and any(word.search(text) for text in texts)


def _changed_columns(statement: str | None) -> frozenset[str]:
    """Return the columns that an UPDATE sets; none where it is not known."""
    try:
        parsed = [one.stmt for one in parse_sql(statement or "")]
    except ParseError:
        return frozenset()
    updates = [one for one in parsed if isinstance(one, ast.UpdateStmt)]
    return frozenset(str(one.name) for update in updates for one in update.targetList or ())


RULES: tuple[Rule, ...] = (_triggers, _write_ahead, _not_hot)
