"""Rules on the statement as a whole: counting, workers, compiling, sending."""

from __future__ import annotations

from collections.abc import Mapping

from fluxlab.plans.labels import Json
from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.below import inputs
from fluxlab.plans.rules.expressions import quoted
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import LEAST_TIME_MS, Said, counted, is_worth, rule
from fluxlab.plans.surroundings import PAGE_BYTES, KnownTable

LARGE_SHARE = 0.5
MANY_ROWS = 10_000
#: Starting workers costs some ms: less work than this is done sooner by one process.
SHORT_MS = 10.0
#: parallel_setup_cost, unless somebody changed it.
SETUP_COST = 1_000
COMPILING_SHARE = 0.25
SENDING_SHARE = 0.3

_FEWER_WORKERS = (
    "Starting a process takes longer than this work. Put parallel_setup_cost and "
    "min_parallel_table_scan_size back to where only large tables are shared out. More "
    "workers take longer still to start."
)


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
    node, alone = seen.node, seen.known.alternatives.get("serial")
    cost = alone.root["Total Cost"] if alone else None
    is_cheap = cost is not None and cost < SETUP_COST
    if node.kind not in ("Gather", "Gather Merge"):
        return None
    if not seen.plan.is_analyzed and cost is not None and is_cheap:
        return _planned_workers(node, cost)
    workers = node["Workers Launched"]
    if not workers or not node.is_executed or not _gains_nothing(seen):
        return None
    rows = sum(one.rows_read for one in node.walk() if one.relation)
    priced = {} if cost is None else {"cost_of_one_process": cost}
    return Said(
        f"{counted(workers, 'worker')} came to read {counted(rows, 'row')}; "
        f"{node.own_time_ms:,.1f} of {node.time_ms:,.1f} ms went into starting them.",
        _FEWER_WORKERS,
        {"rows_read": rows, "workers": workers, **priced},
        wasted=1.0,
        confidence="sure" if is_cheap else "likely" if cost is None else "possible",
        fix="set local max_parallel_workers_per_gather = 0;",
    )


def _gains_nothing(seen: Seen) -> bool:
    """Whether little was to be done, and one process had done it by the time all were."""
    node, plan = seen.node, seen.plan
    rows = sum(one.rows_read for one in node.walk() if one.relation)
    is_waiting = rows < MANY_ROWS and node.own_time_ms > LARGE_SHARE * node.time_ms
    work_ms = sum(one.time_ms * one.processes for one in inputs(node))
    is_short = plan.execution_ms < SHORT_MS or is_waiting
    return plan.is_timed and is_short and work_ms <= node.time_ms


def _planned_workers(node: PlanNode, cost: float) -> Said:
    """Say it of a plan that was not executed, by what the planner asks for less."""
    workers = node["Workers Planned"]
    return Said(
        f"{counted(workers, 'worker')} are planned for what one process does at a cost of "
        f"{cost:,.0f}; by default their start alone is priced at {SETUP_COST:,}.",
        _FEWER_WORKERS,
        {"workers": workers, "cost_of_one_process": cost},
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


def _number(facts: Json, name: str) -> float:
    value = facts.get(name) if isinstance(facts, Mapping) else None
    return float(value) if isinstance(value, int | float) else 0.0


RULES: tuple[Rule, ...] = (_count_all, _workers, _parallel, _compiling, _sending)
