"""Rules on what a sequential scan throws away, and the index that is missing.

`filters` decides which of them speaks for a scan: one, never two.
"""

from __future__ import annotations

import re

from fluxlab.plans.findings import Confidence
from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import (
    Term,
    index_on,
    is_plain,
    quoted,
    terms_of,
)
from fluxlab.plans.rules.filters import (
    LEAST_REMOVED,
    Fault,
    column_of,
    fault_of,
    heading,
    is_by_code_point,
    is_mismatched,
    is_promising,
    is_wrapped,
    order_of,
    prefix_of,
    type_of,
)
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, matters, percent, rule
from fluxlab.plans.surroundings import KnownTable

#: The planner's two costs are estimates: a difference below this is a coin toss.
COST_BORDER = 1.5
#: From here on a random page is priced as on a spinning disk; the default is 4.
SPINNING_PAGE_COST = 2.0
#: A trigram is three letters long, and a shorter piece of a pattern contains none.
TRIGRAM = 3
#: An estimate that is off by this much explains a wrong choice.
MISJUDGED = 10.0

_TEXT_CASTS = frozenset({"text", "varchar", "bpchar"})
_NUMBER_CASTS = frozenset({"numeric", "float8", "float4", "int4", "int8"})
_ADVICE: dict[str | None, str] = {
    "gin": "Try GIN, which has an entry for each part of a value. Every write has to make "
    "those entries; for one key of a document that is asked again and again, an index on "
    "that key is smaller.",
    "gist": "Try GiST, which keeps what lies together together. It finds overlaps and "
    "containment, and is slower than a B-tree for one bound alone.",
    None: "No index answers this as it is written. Store what is searched in a column of "
    "its own, such as a generated tsvector, or turn the question around; then try GIN.",
}
#: Types whose "contains" is a question of space, for GiST.
_SPATIAL = ("box", "circle", "polygon", "point", "inet", "cidr")
#: Functions whose answer never changes: what an index on an expression demands.
_IMMUTABLE = frozenset(
    {
        *("lower", "upper", "left", "right", "substr", "substring", "replace", "reverse"),
        *("btrim", "ltrim", "rtrim", "length", "char_length", "md5", "coalesce"),
        *("abs", "round", "floor", "ceil", "mod", "array_length", "cardinality"),
    }
)
#: These are immutable for what has no time zone, and for nothing else.
_OF_TIME = frozenset({"date_trunc", "date_part", "extract"})


def _thrown(node: PlanNode) -> dict[str, float | str]:
    return {
        "rows_read": node.rows_read,
        "rows_kept": node.rows_kept,
        "rows_thrown_away": node.rows_removed,
        "share_thrown_away": node.rows_removed / max(1, node.rows_read),
    }


def _says(
    seen: Seen,
    sentence: str,
    advice: str,
    *,
    fix: str | None = None,
    confidence: Confidence | None = None,
    **evidence: float | str,
) -> Said:
    """Say what the scan wastes, then why, and what to try."""
    node = seen.node
    thrown = node.rows_removed / max(1, node.rows_read)
    kept = f"to keep {node.rows_kept:,}" if node.rows_kept else "and keeps none"
    return Said(
        f"This scan reads {counted(node.rows_read, 'row')} of {node.relation} {kept}: it "
        f"throws {percent(thrown)} away. {sentence}".rstrip(),
        advice,
        _thrown(node) | evidence,
        wasted=thrown,
        confidence=confidence or ("sure" if seen.table else "likely"),
        fix=fix,
    )


@rule("R01", "A scan that throws away nearly all it reads")
def _selective_scan(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R01")):
        return None
    table = seen.table
    plain = [term for term in fault.terms if is_plain(term, type_of(table, term))]
    # The most selective first: where more columns match than an index should have.
    plain.sort(key=lambda term: not is_promising(table, term))
    fix = index_on(str(seen.node.relation), plain, order_of(seen))
    columns = ", ".join(dict.fromkeys(str(term.column) for term in plain))
    return _says(
        seen,
        f"No index finds its rows by {columns}." if table else "",
        f"Try an index on {columns}: it leads to the rows that are kept. Not for a table "
        "that is written far more often than it is asked this, and not where the usual "
        "value is one that many rows share.",
        fix=fix,
        condition=str(seen.node.text("Filter")),
    )


@rule("R55", "An index is there, and the planner does not use it")
def _ignored_index(seen: Seen) -> Said | None:
    fault = fault_of(seen, "R55")
    if fault is None or fault.index is None:
        return None
    node = seen.node
    estimate = node.planned_rows * node.loops / max(1, node.rows_kept)
    evidence: dict[str, float | str] = {"index": fault.index.name, "misjudged": estimate}
    without = seen.known.alternatives.get("no_seqscan")
    ratio = (
        without.root["Total Cost"] / max(0.01, seen.plan.root["Total Cost"])
        if (without)
        else 0.0
    )
    if ratio:
        evidence["cost_ratio"] = ratio
    reason, advice, fix = _reason(seen, estimate, ratio)
    return _says(
        seen,
        f"The index {fault.index.name} begins with {fault.term.column}, and the planner "
        f"does not use it{reason}.",
        advice,
        fix=fix,
        confidence="sure" if ratio else "possible",
        **evidence,
    )


def _reason(seen: Seen, estimate: float, ratio: float) -> tuple[str, str, str | None]:
    """Return why an index was left aside, what to try, and the SQL for it."""
    relation = quoted(str(seen.node.relation))
    if estimate >= MISJUDGED:
        reason = f": it expects {estimate:,.0f} times as many rows as there are"
        advice = (
            "Renew the statistics; where that changes nothing, raise the column's "
            "statistics target. A second index would be ignored for the same reason."
        )
        return reason, advice, f"analyze {relation};"
    border = f": by its estimate the index costs {ratio:.1f} times as much" if ratio else ""
    if 0 < ratio < COST_BORDER:
        border += ", which is within the error of an estimate"
    price = _random_page_cost(seen)
    if price is None or price < SPINNING_PAGE_COST:
        return (
            border,
            "Ask for the plan without sequential scans (set enable_seqscan = off) and "
            "compare the blocks of both. A second index changes nothing.",
            None,
        )
    advice = (
        f"random_page_cost is {price:g}. 4 is for a spinning disk; for solid state, or "
        "where the table stays in memory, 1.1 is nearer. A second index changes nothing."
    )
    return border, advice, "set random_page_cost = 1.1;"


def _random_page_cost(seen: Seen) -> float | None:
    """Return what the planner pays for a random page; None where nobody says."""
    # A server that was asked would have named it, were it not the default.
    default = "4" if seen.table else "unknown"
    try:
        return float(seen.plan.settings.get("random_page_cost", default))
    except ValueError:
        return None


@rule("R03", "A function stands between the column and its index")
def _wrapped_column(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R03")):
        return None
    term = fault.term
    shown = str(term.key).removeprefix("(").removesuffix(")") if term.column else term.key
    names = ", ".join(term.columns)
    wrapped = [one for one in fault.terms if is_wrapped(seen.table, one)]
    fix = None
    if all(_is_immutable(seen.table, one) for one in wrapped):
        relation = str(seen.node.relation)
        # An expression has statistics of its own, made by the next ANALYZE.
        fix = f"{index_on(relation, wrapped)}\nanalyze {quoted(relation)};"
    first = "Index the expression itself, or rewrite" if fix else "Rewrite"
    return _says(
        seen,
        f"The filter compares {shown}, and an index on {names} is sorted by {names} alone.",
        f"{first} the comparison so that {names} stands alone{_as_range(term)}. One more "
        f"index on {names} does not help.",
        fix=fix,
        expression=str(shown),
    )


def _as_range(term: Term) -> str:
    """Return how a comparison of a part of a time is written without one."""
    if not {*term.functions, term.cast} & {*_OF_TIME, "date"}:
        return ""
    name = term.columns[0]
    return f": a day is {name} >= '2024-03-05' and {name} < '2024-03-06'"


def _is_immutable(table: KnownTable | None, term: Term) -> bool:
    """Whether an index on the expression can be made, as far as we know."""
    types = [
        table.columns[name].type if table and name in table.columns else "?"
        for name in term.columns
    ]
    has_zone = any("with time zone" in one or one == "?" for one in types)
    is_of_time = any("time" in one or one == "date" for one in types)
    casts = {*term.casts, *([term.cast] if term.cast else [])}
    if not set(term.functions) <= _IMMUTABLE | _OF_TIME:
        return False
    if casts - _TEXT_CASTS - _NUMBER_CASTS or set(term.functions) & _OF_TIME:
        return not has_zone
    # The text of a date depends on the session, and so does a zone that is converted.
    return not (is_of_time and (casts or has_zone))


@rule("R04", "A pattern that begins with anything")
def _open_pattern(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R04")):
        return None
    term, pattern = fault.term, str(fault.term.value)
    relation = quoted(str(seen.node.relation))
    longest = max(len(piece) for piece in re.split(r"[^\w ]|_", pattern))
    fix = (
        "create extension if not exists pg_trgm;\n"
        f"create index on {relation} using gin ({term.key} gin_trgm_ops);"
    )
    return _says(
        seen,
        f"The pattern '{pattern}' says nothing about how {', '.join(term.columns)} begins, "
        "and an ordinary index is sorted by how values begin.",
        "Try a trigram index, which knows every three letters in a row. It is large and "
        "slow to write; for words in long texts, full text search is the better question."
        + ("" if longest >= TRIGRAM else " This pattern has no three letters in a row."),
        fix=fix if longest >= TRIGRAM else None,
        pattern=pattern,
    )


@rule("R05", "A prefix that the index's order does not know")
def _prefix_pattern(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R05")):
        return None
    term = fault.term
    column = column_of(seen.table, term)
    is_plain_order = is_by_code_point(seen.table, term)
    opclass = "" if is_plain_order else " text_pattern_ops"
    order = f"the collation {column.collation}" if column else "a language's collation"
    reason = (
        f"No index begins with {term.column}."
        if is_plain_order
        else f"An ordinary index on {term.column} follows {order}, in which the values "
        f"that begin with '{prefix_of(term)}' need not stand together."
    )
    return _says(
        seen,
        reason,
        "Try an index that is sorted letter by letter (text_pattern_ops). It serves LIKE "
        "'…%' and equality, not ORDER BY. Another ordinary index does not help.",
        fix=f"create index on {quoted(str(seen.node.relation))} ({term.key}{opclass});",
        # Without the collation nobody knows whether an ordinary index would do.
        confidence=None if column else "possible",
        pattern=str(term.value),
    )


@rule("R06", "A search inside values without an index that looks inside")
def _containment(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R06")):
        return None
    term = fault.term
    names = ", ".join(term.columns)
    if term.is_list_side:
        return _says(
            seen,
            f"The filter asks whether a value is in {names}, and written as = any "
            f"({names}) no index can answer that.",
            f"Write it as {names} @> array[value], and index that with GIN: create index "
            f"on {seen.node.relation} using gin ({names}).",
            operator="= any",
        )
    method = _search_method(seen.table, term)
    fix = f"create index on {quoted(str(seen.node.relation))} using {method} ({term.key});"
    return _says(
        seen,
        f"The filter looks inside {names} ({term.operator}), and an ordinary index "
        "compares whole values only.",
        _ADVICE[method],
        fix=fix if method and term.key else None,
        operator=term.operator,
    )


def _search_method(table: KnownTable | None, term: Term) -> str | None:
    """Return the kind of index that answers a containment, or None where none does."""
    known = type_of(table, term) or term.value_type or ""
    if "range" in known or known.startswith(_SPATIAL):
        return "gist"
    if "json" in known:
        # GIN knows which documents contain a key, not which are contained in one.
        return None if term.operator == "<@" else "gin"
    if calls := set(term.functions):
        # Without the name of a language its answer depends on a setting: no index may.
        is_settled = str(term.key).startswith("to_tsvector('")
        return "gin" if is_settled and calls <= {"to_tsvector", *_IMMUTABLE} else None
    return None if known.startswith(("text", "character")) and "[" not in known else "gin"


@rule("R18", "An OR that no single index serves")
def _either_or(seen: Seen) -> Said | None:
    if not (fault := fault_of(seen, "R18")):
        return None
    relation = str(seen.node.relation)
    plain = [
        [term for term in arm if is_plain(term, type_of(seen.table, term))]
        for arm in fault.term.arms
    ]
    lacking = [arm for arm in plain if not any(heading(seen.table, one) for one in arm)]
    found = [index_on(relation, arm) for arm in lacking]
    fixes = [fix for fix in dict.fromkeys(found) if fix]
    return _says(
        seen,
        f"Its filter joins {counted(len(plain), 'condition')} by OR, and a row may match "
        "any of them.",
        "Give each side an index of its own: the planner then reads both and joins what "
        "they find. One index on all the columns does not help. Where that is not enough, "
        "or the rows must come in an order, write a UNION of two selects.",
        fix="\n".join(fixes) if fixes and all(found) else None,
        sides=len(plain),
    )


@rule("R54", "A column converted to another type")
def _mismatched_type(seen: Seen) -> Said | None:
    fault = fault_of(seen, "R54") or _mismatched_filter(seen)
    if fault is None:
        return None
    term = fault.term
    known = type_of(seen.table, term)
    own = f"{known}" if known else "the type of the column"
    return _says(
        seen,
        f"The value compared with {term.column} is of type {term.cast}, so {term.column} "
        "is converted in every row, and no index on it can be used.",
        f"Pass the value as {own}, or cast the value and not the column. Another index on "
        f"{term.column} does not help.",
        column=str(term.column),
        compared_as=str(term.cast),
    )


def _mismatched_filter(seen: Seen) -> Fault | None:
    """Look at the filters of scans that found a first part of their rows by an index."""
    node = seen.node
    if node.kind == "Seq Scan" or not node.relation or not matters(seen):
        return None
    terms = terms_of(node.text("Filter"), node.alias)
    wrong = [term for term in terms if is_mismatched(seen.table, term)]
    if not wrong or node.rows_removed < max(LEAST_REMOVED, node.rows_kept):
        return None
    return Fault("R54", wrong[0], terms)


RULES: tuple[Rule, ...] = (
    _selective_scan,
    _wrapped_column,
    _open_pattern,
    _prefix_pattern,
    _containment,
    _either_or,
    _mismatched_type,
    _ignored_index,
)
