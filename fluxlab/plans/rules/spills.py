"""Rules on memory: what did not fit into it, and how much would hold it."""

from __future__ import annotations

from fluxlab.plans.rules.below import everybody, inputs, number_in
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, rule

#: More for one statement endangers the server: then the fix is another plan.
MOST_WORK_MEM_MB = 1_024
#: Memory of a row beside its columns: headers, and the free half of a growing array.
ROW_OVERHEAD_BYTES = 72
#: Two headers, alignment, and buckets, a power of two (ExecChooseHashTableSize).
HASHED_OVERHEAD_BYTES = 56
#: A group has an entry in a hash table and the state of its aggregates on top.
GROUP_OVERHEAD_BYTES = 160
#: Sizes are estimates, and a fix that misses by a few rows is none.
MARGIN = 1.25
BLOCK_BYTES = 8_192
#: Nodes whose spill has a rule of its own; a join's batches are its hash table's.
_SPILLS_ELSEWHERE = ("Sort", "Incremental Sort", "Hash", "Hash Join", "Aggregate")


@rule("R23", "A sort on disk")
def _sort_spill(seen: Seen) -> Said | None:
    node = seen.node
    sizes_kb = [
        number_in(facts, "Sort Space Used")
        for facts in everybody(node)
        if facts.get("Sort Space Type") == "Disk"
    ]
    if node.kind != "Sort" or not sizes_kb:
        return None
    rows = inputs(node)[0].rows_kept
    needed = max(sizes_kb) * 1024 + rows / max(1, node.loops) * ROW_OVERHEAD_BYTES
    return Said(
        f"{counted(rows, 'row')} did not fit into work_mem and were "
        f"sorted through {sum(sizes_kb):,.0f} kB of temporary files.",
        "Give this statement more work_mem. Each sort of each process may take that much, "
        "so set it for a transaction, not for the server. Better still, sort fewer or "
        "narrower rows, or read them in order from an index.",
        {"disk_kb": sum(sizes_kb), "rows_sorted": rows},
        wasted=1.0,
        confidence="sure",
        fix=work_mem(needed),
    )


@rule("R24", "A hash table on disk")
def _hash_spill(seen: Seen) -> Said | None:
    node = seen.node
    batches, planned = node["Hash Batches"], node["Original Hash Batches"]
    if node.kind != "Hash" or batches <= 1:
        return None
    join = seen.plan.parents[node.number]
    # A parallel hash table is one, filled by all; the estimate is of each process.
    is_shared = node.facts.get("Parallel Aware") is True
    runs = node.loops / node.processes if is_shared else node.loops
    rows = max(node.rows_kept, node.planned_rows * node.loops) / max(1.0, runs)
    surprise = f", {planned:.0f} of them planned" if 0 < planned < batches else ""
    return Said(
        f"The hash table of {counted(node.rows_kept, 'row')} did not fit into memory: both "
        f"sides of the join waited in temporary files, in {batches:.0f} batches{surprise}.",
        "Give this statement more work_mem, or hash less: filter earlier, take fewer "
        "columns. Where more batches were needed than planned, the row estimate is off; "
        "correct that first.",
        {"batches": batches, "planned_batches": planned, "rows_hashed": node.rows_kept},
        wasted=1 - 1 / batches,
        confidence="sure",
        fix=work_mem(rows * (node["Plan Width"] + HASHED_OVERHEAD_BYTES)),
        time_ms=join.own_time_ms + node.own_time_ms,
    )


@rule("R25", "Groups on disk")
def _aggregate_spill(seen: Seen) -> Said | None:
    node = seen.node
    batches = max(number_in(facts, "HashAgg Batches") for facts in everybody(node))
    disk_kb = sum(number_in(facts, "Disk Usage") for facts in everybody(node))
    if node.kind != "Aggregate" or not (batches > 1 or disk_kb):
        return None
    groups = max(node.planned_rows, node.rows_kept / max(1, node.loops))
    return Said(
        f"{counted(node.rows_kept, 'group')} did not fit into memory: {disk_kb:,.0f} kB of "
        "rows waited in temporary files for their turn.",
        "Give this statement more work_mem, or group fewer rows. An index on the grouped "
        "columns hands rows up in order, and groups are finished one after the other.",
        {"disk_kb": disk_kb, "batches": batches, "groups": node.rows_kept},
        wasted=1.0,
        confidence="sure",
        fix=work_mem(groups * (node["Plan Width"] + GROUP_OVERHEAD_BYTES)),
    )


@rule("R26", "Rows kept on disk")
def _other_spill(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind in _SPILLS_ELSEWHERE or node.spilled_blocks <= 0:
        return None
    size = node.spilled_blocks * BLOCK_BYTES
    rows = max(one.rows_kept for one in (node, *inputs(node)))
    less = (
        "A WITH query written down whole may be larger than what is read of it: say NOT "
        "MATERIALIZED, or filter inside it."
        if node.kind == "CTE Scan"
        else "Keep fewer or narrower rows."
    )
    return Said(
        f"{node.label} keeps its rows in {counted(node.spilled_blocks, 'block')} of "
        f"temporary files, {size / 2**20:,.1f} MB, because work_mem is smaller.",
        f"{less} Otherwise give this statement more work_mem.",
        {"spilled_blocks": node.spilled_blocks, "spilled_mb": size / 2**20},
        wasted=1.0,
        fix=work_mem(size + rows * ROW_OVERHEAD_BYTES),
    )


def work_mem(needed_bytes: float) -> str | None:
    """Return the setting that holds so many bytes; None where it is more than is wise.

    It is a power of two, as nobody can know it better. What is hashed may take
    `hash_mem_multiplier` times as much, which is 1 before PostgreSQL 15.

    >>> work_mem(50_000_000)
    "set local work_mem = '64MB';"
    """
    megabytes = 4
    while megabytes * 2**20 < needed_bytes * MARGIN:
        megabytes *= 2
    fits = megabytes <= MOST_WORK_MEM_MB
    return f"set local work_mem = '{megabytes}MB';" if fits else None


RULES: tuple[Rule, ...] = (_sort_spill, _hash_spill, _aggregate_spill, _other_spill)
