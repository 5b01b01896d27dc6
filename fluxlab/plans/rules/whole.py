"""Rules on the statement as a whole: counting, workers, compiling, writing, sending."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pglast import ast, parse_sql
from pglast.parser import ParseError
from psycopg.sql import Literal

from fluxlab.plans.labels import Json
from fluxlab.plans.plan import PlanNode, Trigger
from fluxlab.plans.rules.expressions import quoted
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import LEAST_TIME_MS, Said, counted, rule
from fluxlab.plans.rules.sorts import inputs, is_worth
from fluxlab.plans.surroundings import KnownIndex, KnownTable

LARGE_SHARE = 0.5
MANY_ROWS = 10_000
#: Starting workers costs some ms: less work than this is done sooner by one process.
SHORT_MS = 10.0
COMPILING_SHARE = 0.25
#: Less is not worth the trouble of preparing statements.
LONG_PLANNING_MS = 1.0
TRIGGER_SHARE = 0.2
#: Rows found by an index take some hundredths of a ms; a scan takes far more.
SLOW_CALL_MS = 0.2
#: WAL per row, in rows: one for the table and entries in few indexes stay below.
WAL_PER_ROW = 4
#: The header of a row, 24 bytes, and that of its WAL record.
ROW_HEADER_BYTES = 48
FEW_WRITES = 100
HOT_SHARE = 0.5
SENDING_SHARE = 0.3
#: A generic plan that is dearer by more loses what it saves in planning.
DEARER = 10
#: Changed by a larger share since ANALYZE, a table has no statistics of its own.
STALE_SHARE = 0.1
#: As autovacuum_analyze_threshold: of fewer rows nobody needs statistics.
FEW_CHANGES = 50
PAGE_BYTES = 8_192

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


@rule("R37", "Every row counted")
def _count_all(seen: Seen) -> Said | None:
    node, scan = seen.node, _counted(seen.node)
    if scan is None or scan.rows_read < MANY_ROWS or not is_worth(seen, node.time_ms):
        return None
    if seen.plan.is_timed and node.time_ms <= LARGE_SHARE * seen.plan.execution_ms:
        return None
    has_index = _has_narrow_index(seen.known.table(scan.relation))
    return Said(
        f"All {counted(scan.rows_read, 'row')} of {scan.relation} are read, "
        f"{scan.blocks:,} blocks, for one row of the answer.",
        "A count visits every row. By a narrow index of a vacuumed table it touches far "
        "fewer blocks; an estimate (pg_class.reltuples) or a counter that you keep costs "
        "next to nothing. ANALYZE does not make counting cheaper.",
        {"rows_read": scan.rows_read, "blocks": scan.blocks},
        wasted=1.0,
        fix=f"vacuum {quoted(str(scan.relation))};" if has_index else None,
        time_ms=node.time_ms,
    )


def _counted(node: PlanNode) -> PlanNode | None:
    """Return the scan of a whole table of which this node makes one row."""
    is_top = node.facts.get("Partial Mode", "Simple") in ("Simple", "Finalize")
    if node.kind != "Aggregate" or node.text("Strategy") != "Plain" or not is_top:
        return None
    below = node
    while below.kind in ("Aggregate", "Gather") and inputs(below):
        below = inputs(below)[0]
    is_whole = below.kind == "Seq Scan" and "Filter" not in below.facts
    return below if is_whole and below.is_executed else None


def _has_narrow_index(table: KnownTable | None) -> bool:
    """Whether an index holds every row in less than half of the table's pages."""
    return table is not None and any(
        index.method == "btree"
        and index.predicate is None
        and index.size_bytes < table.pages * PAGE_BYTES / 2
        for index in table.indexes
    )


@rule("R39", "Workers that did not come")
def _workers(seen: Seen) -> Said | None:
    node = seen.node
    planned, launched = node["Workers Planned"], node["Workers Launched"]
    if "Workers Launched" not in node.facts or launched >= planned or not node.is_executed:
        return None
    limit = seen.plan.settings.get("max_parallel_workers", "")
    is_forbidden = limit.isdecimal() and int(limit) < planned
    why = f"max_parallel_workers is {limit}" if is_forbidden else "others held the rest"
    return Said(
        f"The plan was for {counted(planned, 'worker')}, and {launched:.0f} came: {why}.",
        "Allow more workers in all (max_parallel_workers, and max_worker_processes at the "
        "next start) where processors are idle; else plan with fewer. More workers for "
        "each Gather asks for more of what is not there.",
        {"workers_planned": planned, "workers_launched": launched},
        wasted=1 - (launched + 1) / (planned + 1),
        confidence="sure" if is_forbidden else "likely",
        fix=f"set local max_parallel_workers = {planned:.0f};" if is_forbidden else None,
        time_ms=node.time_ms,
    )


@rule("R40", "Workers for a small task")
def _parallel(seen: Seen) -> Said | None:
    node, workers = seen.node, seen.node["Workers Launched"]
    if not workers or not node.is_executed or not seen.plan.is_timed:
        return None
    rows = sum(one.rows_read for one in node.walk() if one.relation)
    is_waiting = rows < MANY_ROWS and node.own_time_ms > LARGE_SHARE * node.time_ms
    if seen.plan.execution_ms >= SHORT_MS and not is_waiting:
        return None
    return Said(
        f"{counted(workers, 'worker')} came to read {counted(rows, 'row')}; "
        f"{node.own_time_ms:,.1f} of {node.time_ms:,.1f} ms went into starting them.",
        "Starting a process takes longer than this work. Put parallel_setup_cost and "
        "min_parallel_table_scan_size back to where only large tables are shared out. "
        "More workers take longer still to start.",
        {"rows_read": rows, "workers": workers},
        wasted=1.0,
        fix="set local max_parallel_workers_per_gather = 0;",
    )


@rule("R41", "Compiling takes more than it saves", of_plan=True)
def _compiling(seen: Seen) -> Said | None:
    jit = seen.plan.facts.get("JIT")
    timing = jit.get("Timing") if isinstance(jit, Mapping) else None
    total_ms, functions = _number(timing, "Total"), _number(jit, "Functions")
    if not total_ms or total_ms < COMPILING_SHARE * seen.plan.execution_ms:
        return None
    return Said(
        f"{total_ms:,.0f} of {seen.plan.execution_ms:,.0f} ms went into compiling "
        f"{counted(functions, 'function')} for this statement.",
        "Compiling pays where millions of rows pass. Switch it off here, or raise "
        "jit_above_cost; where only the estimated cost is so high, correct the estimate. "
        "Optimising less saves a part of it.",
        {"compiling_ms": total_ms, "functions": functions},
        wasted=1.0,
        confidence="sure",
        fix="set local jit = off;",
        time_ms=total_ms,
    )


@rule("R42", "Planning takes longer than executing", of_plan=True)
def _planning(seen: Seen) -> Said | None:
    plan = seen.plan
    if not plan.is_timed or plan.planning_ms <= max(LONG_PLANNING_MS, plan.execution_ms):
        return None
    names = {node.relation for node in plan.nodes if node.relation}
    indexes = sum(len(table.indexes) for table in map(seen.known.table, names) if table)
    many = f" and {counted(indexes, 'index', 'indexes')}" if indexes else ""
    return Said(
        f"Planning took {plan.planning_ms:,.1f} ms and executing {plan.execution_ms:,.1f}; "
        f"{counted(len(names), 'table')}{many} were considered.",
        "Prepare the statement: after five executions one plan is kept, where that is as "
        "good. Fewer joins, partitions and indexes plan faster. Explain it twice first: a "
        "session that is new reads the catalog, and a statement run once needs nothing.",
        {"planning_ms": plan.planning_ms, "tables": len(names), "indexes": indexes},
        wasted=1.0,
        confidence="possible",
        time_ms=plan.planning_ms,
    )


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


@rule("R49", "Turning rows into text", of_plan=True)
def _sending(seen: Seen) -> Said | None:
    plan, serialization = seen.plan, seen.plan.facts.get("Serialization")
    time_ms = _number(serialization, "Time")
    sent_kb = _number(serialization, "Output Volume")
    if time_ms < max(LEAST_TIME_MS, SENDING_SHARE * plan.execution_ms):
        return None
    return Said(
        f"{time_ms:,.0f} of {plan.execution_ms:,.0f} ms went into turning "
        f"{counted(plan.rows_kept, 'row')} into {sent_kb:,.0f} kB to send.",
        "Name the columns that are needed: large values are fetched from elsewhere and "
        "unpacked only to be sent. Fewer rows help as well; an index does not.",
        {"sending_ms": time_ms, "sent_kb": sent_kb, "rows": plan.rows_kept},
        wasted=1.0,
        confidence="sure",
        time_ms=time_ms,
    )


@rule("R52", "A plan for any value", of_plan=True)
def _generic(seen: Seen) -> Said | None:
    others, settings = seen.known.alternatives, seen.plan.settings
    customs = [plan for name, plan in others.items() if name.startswith("custom")]
    custom, generic = (customs or [seen.plan])[0], others.get("generic")
    if generic is None or settings.get("plan_cache_mode") == "force_custom_plan":
        return None
    cost, custom_cost = (plan.root["Total Cost"] for plan in (generic, custom))
    shapes = len({plan.shape for plan in customs})
    if cost <= DEARER * custom_cost and shapes < 2:
        return None
    different = f"; other values get other plans, {shapes} in all" if shapes > 1 else ""
    return Said(
        f"A plan for any value costs {cost:,.0f}, the plan for these {custom_cost:,.0f}"
        f"{different}.",
        "After five executions a prepared statement may keep the plan for any value. "
        "Forbid it here, or send the statement unprepared. New statistics do not help: "
        "that plan does not see the value.",
        {"generic_cost": cost, "custom_cost": custom_cost, "shapes": max(1, shapes)},
        confidence="possible",
        fix="set local plan_cache_mode = force_custom_plan;",
        time_ms=0.0,
    )


@rule("R53", "Statistics of an earlier table")
def _stale(seen: Seen) -> Said | None:
    node, table = seen.node, seen.table
    if table is None or node.kind == "ModifyTable" or not is_stale(table):
        return None
    readers = (one for one in seen.plan.nodes if one.kind != "ModifyTable")
    if next(one for one in readers if one.relation == node.relation) is not node:
        return None
    changed = f"{counted(table.modified_rows, 'row')} of {table.name} changed since it was"
    return Said(
        (f"{changed} analysed" if table.is_analyzed else f"{table.name} was never analysed")
        + f": the planner believes in {counted(max(table.rows, 0), 'row')}, and "
        f"{table.live_rows:,} are counted.",
        "ANALYZE reads a sample and takes seconds. Where this comes back, lower the "
        "table's autovacuum_analyze_scale_factor. VACUUM alone renews no statistics.",
        {"modified_rows": table.modified_rows, "live_rows": table.live_rows},
        confidence="sure",
        fix=f"analyze {quoted(table.name)};",
        time_ms=0.0,
    )


def is_stale(table: KnownTable | None) -> bool:
    """Whether so much of a table changed that its statistics are of another one."""
    if table is None or max(table.modified_rows, table.live_rows) < FEW_CHANGES:
        return False
    return not table.is_analyzed or table.modified_rows > STALE_SHARE * table.rows


def _number(facts: Json, name: str) -> float:
    value = facts.get(name) if isinstance(facts, Mapping) else None
    return float(value) if isinstance(value, int | float) else 0.0


RULES: tuple[Rule, ...] = (
    *(_count_all, _workers, _parallel, _compiling, _planning, _triggers),
    *(_write_ahead, _not_hot, _sending, _generic, _stale),
)
