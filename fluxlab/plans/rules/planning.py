"""Rules on planning: what it takes, for which values, and by which statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fluxlab.plans.findings import Weight
from fluxlab.plans.plan import Plan
from fluxlab.plans.rules.below import number_in
from fluxlab.plans.rules.expressions import quoted
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, rule
from fluxlab.plans.surroundings import KnownTable

#: Less is not worth the trouble of preparing statements.
LONG_PLANNING_MS = 1.0
#: What a reader feels in passing, and what everybody notices.
FELT_MS = 10.0
NOTICED_MS = 100.0
#: For each table: a session that knows its tables reads a block or none, a new one 27 to
#: 100 (measured on PostgreSQL 18, with one table and with eight).
NEW_SESSION_BLOCKS = 10
#: A generic plan that is dearer by more loses what it saves in planning.
DEARER = 10
#: For each table of a statement and one more, in cost: 1,000 times cpu_operator_cost.
PRICE_OF_PLANNING = 2.5
#: All of such a table is read sooner than anybody notices.
FEW_PAGES = 100
#: Changed by a larger share since ANALYZE, a table has no statistics of its own.
STALE_SHARE = 0.1
#: As autovacuum_analyze_threshold: of fewer rows nobody needs statistics.
FEW_CHANGES = 50


@rule("R42", "Planning takes longer than executing", of_plan=True)
def _planning(seen: Seen) -> Said | None:
    plan = seen.plan
    if not plan.is_timed or plan.planning_ms <= max(LONG_PLANNING_MS, plan.execution_ms):
        return None
    names = {node.relation for node in plan.nodes if node.relation}
    indexes = sum(len(table.indexes) for table in map(seen.known.table, names) if table)
    many = f" and {counted(indexes, 'index', 'indexes')}" if indexes else ""
    blocks = _catalog_blocks(plan)
    is_new = blocks >= NEW_SESSION_BLOCKS * max(1, len(names))
    return Said(
        f"Planning took {plan.planning_ms:,.1f} ms and executing {plan.execution_ms:,.1f}; "
        f"{counted(len(names), 'table')}{many} were considered"
        + (f", and {counted(blocks, 'block')} of the catalog read." if is_new else "."),
        (
            "The session is new and had to read what the tables are; explain it twice, "
            "and see what is left. A pool of connections keeps that knowledge."
            if is_new
            else "Prepare the statement: after five executions one plan is kept, where "
            "that is as good. Fewer joins, partitions and indexes plan faster. A statement "
            "that runs once needs nothing, and ANALYZE changes nothing."
        ),
        {"planning_ms": plan.planning_ms, "tables": len(names), "indexes": indexes},
        wasted=1.0,
        confidence="possible",
        time_ms=plan.planning_ms,
        weight="low" if is_new else _weight_of(plan.planning_ms),
    )


def _catalog_blocks(plan: Plan) -> float:
    """Return the blocks that planning touched; 0 where nobody counted."""
    facts = plan.facts.get("Planning")
    found = facts if isinstance(facts, Mapping) else {}
    return number_in(found, "Shared Hit Blocks") + number_in(found, "Shared Read Blocks")


def _weight_of(planning_ms: float) -> Weight:
    """Weigh planning by the time itself.

    It is longer than the execution wherever this rule speaks, and one plan does not say
    how often the statement runs: nobody waits for 2 ms, and everybody notices 100.
    """
    if planning_ms >= NOTICED_MS:
        return "high"
    return "medium" if planning_ms >= FELT_MS else "low"


@rule("R52", "A plan for any value", of_plan=True)
def _generic(seen: Seen) -> Said | None:
    generic, customs = seen.known.alternatives.get("generic"), _customs(seen)
    cheapest = min(customs, key=lambda name: _cost(customs[name]))
    cost, least = _cost(generic) if generic else 0.0, _cost(customs[cheapest])
    groups = _groups(seen, generic, customs)
    is_dear, is_split = cost > DEARER * least, len(groups) > 1
    is_forbidden = seen.plan.settings.get("plan_cache_mode") == "force_custom_plan"
    if is_forbidden or not (is_dear or is_split):
        return None
    dear = (
        f"A plan for any value costs {cost:,.0f}, one for {cheapest} values {least:,.0f}."
    )
    split = f"The planner has {len(groups)} plans: {_listed(groups)}."
    return Said(
        " ".join((dear,) * is_dear + (split,) * is_split),
        "After five executions a prepared statement may keep one plan for any value, "
        "which is right for some only. Forbid it here, or send the statement unprepared; "
        "an index that serves all values by one plan ends the choice. New statistics do "
        "not help: that plan does not see the value.",
        {"plans": max(1, len(groups)), "custom_cost": least}
        | ({"generic_cost": cost} if generic else {}),
        confidence="possible",
        fix="set local plan_cache_mode = force_custom_plan;",
        time_ms=0.0,
        weight="low",
    )


def _customs(seen: Seen) -> Mapping[str, Plan]:
    """Return the plans that were made for values, by what the values are called."""
    named = {
        name.removeprefix("custom "): plan
        for name, plan in seen.known.alternatives.items()
        if name.startswith("custom ")
    }
    return named or {"these": seen.plan}


def _groups(
    seen: Seen, generic: Plan | None, customs: Mapping[str, Plan]
) -> Sequence[Sequence[str]]:
    """Return the names of values in groups that share a plan, where that may matter.

    The plan for any value is kept if it costs no more than those before it did on
    average, each with what planning is priced at. What no values bring about is no trap,
    nor is the choice among small tables.

    Source: `choose_custom_plan` in `src/backend/utils/cache/plancache.c`.
    """
    tables = {node.relation for node in seen.plan.nodes if node.relation}
    pages = max((one.pages for one in map(seen.known.table, tables) if one), default=0)
    planning = PRICE_OF_PLANNING * (len(tables) + 1)
    dearest = max(map(_cost, customs.values()))
    if pages < FEW_PAGES or (generic and _cost(generic) > dearest + planning):
        return ()
    groups: dict[str, list[str]] = {}
    for name, plan in customs.items():
        groups.setdefault(plan.shape, []).append(name)
    return tuple(groups.values())


def _cost(plan: Plan) -> float:
    return plan.root["Total Cost"]


def _listed(groups: Iterable[Sequence[str]]) -> str:
    """Say which values share a plan.

    >>> _listed([["hot", "typical", "rare"], ["absent"]])
    'one for hot, typical and rare values, one for absent values'
    """
    joined = (
        " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) for names in groups
    )
    return ", ".join(f"one for {names} values" for names in joined)


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


RULES: tuple[Rule, ...] = (_planning, _generic, _stale)
