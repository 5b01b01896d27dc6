"""Rules on scans: what a filter throws away, cold reads, partitions, forbidden nodes."""

from __future__ import annotations

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules import thrown_away
from fluxlab.plans.rules.expressions import columns_of, quoted, terms_of
from fluxlab.plans.rules.filters import LEAST_REMOVED, condition_of, empty_partitions
from fluxlab.plans.rules.narrow_scans import (
    follows_the_table,
    in_index_alone,
    narrow_enough,
)
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, matters, percent, rule

#: From this share kept an index touches every block anyway, and its own blocks besides.
UNSELECTIVE = 0.30
#: Blocks that a statement touches before where they come from is worth a word: 8 MB.
LEAST_BLOCKS = 1_000
#: A warm statement reads next to nothing; from here on something pushes it out.
COLD = 0.20
#: Of the execution: where reading takes this much, it is what the statement waits for.
IO_BOUND = 0.30
#: What PostgreSQL 17 and older add to the cost of what is switched off.
DISABLED_COST = 1e10

_IO_TIMES = ("Shared I/O Read Time", "I/O Read Time")  # since 17, and before


@rule("R02", "A sequential scan that is right")
def _right_scan(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Seq Scan" or not node.text("Filter") or not matters(seen):
        return None
    if node.rows_read < LEAST_REMOVED or node.rows_kept <= UNSELECTIVE * node.rows_read:
        return None
    # What is read again in each loop is another rule's, and so is a Limit, below which an
    # index may bring the first rows in their order.
    if node.loops > node.processes or _is_below(seen, "Limit"):
        return None
    kept = node.rows_kept / node.rows_read
    names = narrow_enough(seen)
    reads = (
        f"This scan reads {counted(node.rows_read, 'row')} of {node.relation} and keeps "
        f"{node.rows_kept:,}, {percent(kept)} of them"
    )
    evidence = {"rows_read": node.rows_read, "rows_kept": node.rows_kept}
    if names:
        return Said(
            f"{reads}, and nothing but {' and '.join(names)} is asked of a row.",
            in_index_alone(seen, names),
            evidence | {"share_kept": kept, "blocks": node.own_blocks},
            is_note=True,
        )
    if column := follows_the_table(seen):
        return Said(
            f"{reads}. They lie together, because the table is in the order of {column}: "
            f"an index would touch about {percent(kept)} of the blocks.",
            "Reading the whole table is nearly right: an index spares no more than the "
            "other blocks, and every write would pay for it. It pays for values that few "
            "rows have.",
            evidence | {"share_kept": kept},
            is_note=True,
        )
    return Said(
        f"{reads}: reading the whole table is right.",
        "Do not add an index for this filter: it would touch the same blocks one by one, "
        "and every write would pay for it. It pays for values that few rows have.",
        evidence | {"share_kept": kept},
        confidence="sure" if seen.table else "likely",
        is_note=True,
    )


def _is_below(seen: Seen, kind: str) -> bool:
    node: PlanNode | None = seen.node
    while node := seen.plan.parents.get(node.number) if node else None:
        if node.kind == kind:
            return True
    return False


@rule("R43", "Blocks that were not in memory", of_plan=True)
def _cold_read(seen: Seen) -> Said | None:
    root = seen.node
    hit, read = root.total.hit, root.total.read
    if not root.is_executed or hit + read < LEAST_BLOCKS or read <= COLD * (hit + read):
        return None
    io_ms = next((root[name] for name in _IO_TIMES if name in root.facts), 0.0)
    worst = max(seen.plan.nodes, key=lambda node: node.own.read)
    is_waiting = io_ms > IO_BOUND * seen.plan.execution_ms > 0
    waited = f", and waited {io_ms:,.1f} ms for them" if is_waiting else ""
    return Said(
        f"The statement read {read:,.0f} of its {counted(hit + read, 'block')} from "
        f"outside the shared buffers, {worst.own.read:,.0f} of them in "
        f"{worst.label}{waited}.",
        "Run it again: what is read only the first time is a cold start and no fault. What "
        "is read each time does not fit, or is a large table that PostgreSQL scans without "
        "keeping it; then fewer blocks help, by an index, and more memory only after that.",
        {"blocks_read": read, "blocks_hit": hit, "io_time_ms": io_ms},
        wasted=1.0,
        confidence="possible",
        is_note=not is_waiting,
        time_ms=io_ms,
    )


@rule("R50", "Partitions read for nothing")
def _unpruned(seen: Seen) -> Said | None:
    parts, empty = seen.node.children, empty_partitions(seen.node)
    if not empty:
        return None
    condition = condition_of(parts[0])
    wrapped = [one for one in terms_of(condition, parts[0].alias) if one.key != one.column]
    names = ", ".join(columns_of(condition, parts[0].alias))
    time_ms = sum(part.time_ms for part in empty)
    return Said(
        f"{len(empty)} of {len(parts)} partitions were read and held no row that was asked "
        "for: nothing in the condition told the planner to leave them out.",
        "Compare the column by which the table is partitioned, bare and with a value: no "
        "function or cast around it. Where the condition does not name it, add what is "
        "known of it. An index on each partition leaves them all in the plan.",
        {
            "partitions_read": len(parts),
            "partitions_without_rows": len(empty),
            "rows_read_for_nothing": sum(part.rows_read for part in empty),
            "columns": names,
        },
        wasted=1.0,
        confidence="likely" if wrapped else "possible",
        time_ms=time_ms,
    )


@rule("R51", "A node that is switched off, and used for want of another")
def _disabled(seen: Seen) -> Said | None:
    node = seen.node
    # The cost of what is below is in the cost of a node, the penalty with it.
    below = max((child["Total Cost"] for child in node.children), default=0.0)
    is_old_way = node["Total Cost"] >= DISABLED_COST > below
    if node.facts.get("Disabled") is not True and not is_old_way:
        return None
    off = [
        name
        for name, value in seen.plan.settings.items()
        if name.startswith("enable_") and value == "off"
    ]
    named = f" ({', '.join(off)})" if off else ""
    return Said(
        f"{node.label} is switched off in this session{named}, and the planner found no "
        "other way.",
        "Switch it on again before judging this plan: what is switched off has no honest "
        "cost, and the plan hides what the planner would choose. It is a way to ask, and "
        "no way to tune.",
        {"node": node.label, "switched_off": ", ".join(off)},
        confidence="sure",
        fix="\n".join(f"reset {quoted(name)};" for name in off) or None,
    )


RULES: tuple[Rule, ...] = (
    *thrown_away.RULES,
    _right_scan,
    _cold_read,
    _unpruned,
    _disabled,
)
