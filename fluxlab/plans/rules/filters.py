"""What stands between the filter of a sequential scan and an index: one diagnosis.

A scan gets one, so that rules do not contradict each other. A term that an ordinary index
can serve comes first: R55 where there is such an index already, else R01. Where no term
promises anything, the rule of what stands in the way speaks: R54, R04, R05, R06, R03, R18.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import (
    EQUALITIES,
    HARMLESS,
    RANGES,
    TEXTS,
    Term,
    columns_of,
    is_plain,
    normal,
    quoted,
    terms_of,
)
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.rules.saying import matters
from fluxlab.plans.surroundings import KnownColumn, KnownIndex, KnownTable

#: Fewer rows are read and thrown away in less time than most statements need to begin.
LEAST_REMOVED = 1_000
#: Above this share an index touches nearly as many blocks as the whole table has.
SELECTIVE = 0.05
#: A column with fewer values than this finds more than a twentieth of the rows.
LEAST_DISTINCT = 1 / SELECTIVE
#: Fewer partitions than this cost next to nothing to look into.
LEAST_PARTITIONS = 4
#: Of the partitions: where rows come from so few, the others need not have been read.
FEW_PARTITIONS = 0.25

_NUMBERS = frozenset({"numeric", "float8", "float4"})
_CONTAINMENT = frozenset({"@>", "<@", "&&", "?", "?|", "?&", "@@", "@?"})
#: Which obstacle is named first, where a filter has several.
_ORDER = ("R54", "R04", "R05", "R06", "R03", "R18")


@dataclass(frozen=True, slots=True)
class Fault:
    """Which rule speaks for a scan, the term it speaks about, and all terms."""

    rule: str
    term: Term
    terms: tuple[Term, ...]
    index: KnownIndex | None = None


def fault_of(seen: Seen, rule: str) -> Fault | None:
    """Return what is wrong with a sequential scan if it is for this rule to say."""
    node = seen.node
    if node.kind != "Seq Scan" or not matters(seen):
        return None
    if node.rows_removed < LEAST_REMOVED or node.rows_kept >= SELECTIVE * node.rows_read:
        return None
    above = seen.plan.parents.get(node.number)
    if above is not None and empty_partitions(above):
        return None  # R50 leaves the partition out, whatever its filter
    fault = _diagnosed(terms_of(node.text("Filter"), node.alias), seen.table)
    return fault if fault is not None and fault.rule == rule else None


def _diagnosed(terms: tuple[Term, ...], table: KnownTable | None) -> Fault | None:
    plain = [term for term in terms if is_plain(term, type_of(table, term))]
    promising = [term for term in plain if is_promising(table, term)]
    obstacles = [(rule, term) for term in terms if (rule := _obstacle(table, term))]
    if obstacles and not promising:
        name, term = min(obstacles, key=lambda one: _ORDER.index(one[0]))
        return Fault(name, term, terms)
    for term in promising or plain:
        if index := heading(table, term):
            return Fault("R55", term, terms, index)
    return Fault("R01", plain[0], terms) if plain else None


def _obstacle(table: KnownTable | None, term: Term) -> str | None:
    """Return the rule that says why no ordinary index can serve a term."""
    if term.arms:
        return "R18"
    if is_mismatched(table, term):
        return "R54"
    if term.is_list_side and term.operator == "= any":
        return "R06"  # as it is written no index serves it
    if any(one.method in ("gin", "gist") for one in _indexes_on(table, term)):
        return None  # it was made for this term, and something else is wrong
    if has_open_start(term):
        return "R04"
    if prefix_of(term) and not (is_by_code_point(table, term) and heading(table, term)):
        return "R05"
    if term.operator in _CONTAINMENT:
        return "R06"
    return "R03" if is_wrapped(table, term) else None


def column_of(table: KnownTable | None, term: Term) -> KnownColumn | None:
    """Return what is known of the column that stands alone in a term."""
    return table.columns.get(term.column) if table and term.column else None


def type_of(table: KnownTable | None, term: Term) -> str | None:
    """Return the column's type as the server writes it, where it was asked."""
    column = column_of(table, term)
    return column.type if column else None


def is_promising(table: KnownTable | None, term: Term) -> bool:
    """Whether an equality finds few rows, as far as the statistics tell."""
    if term.operator not in ("=", "= any"):
        return False
    distinct = distinct_values(table, term)
    return distinct is None or distinct >= LEAST_DISTINCT


def distinct_values(table: KnownTable | None, term: Term) -> float | None:
    """Return how many values the column of a term has, as far as the statistics tell."""
    column = column_of(table, term)
    if table is None or column is None or column.n_distinct is None:
        return None
    is_share = column.n_distinct < 0
    return -column.n_distinct * table.rows if is_share else column.n_distinct


def heading(table: KnownTable | None, term: Term) -> KnownIndex | None:
    """Return an index of all rows that begins with what a term compares."""
    for index in _indexes_on(table, term):
        if index.method in ("btree", "hash"):
            return index
    return None


def _indexes_on(table: KnownTable | None, term: Term) -> Iterator[KnownIndex]:
    for index in table.indexes if table and term.key else ():
        if index.predicate is None and normal(index.keys[0]) == normal(str(term.key)):
            yield index


def is_mismatched(table: KnownTable | None, term: Term) -> bool:
    """Whether a column is converted because it is compared with another type.

    A cast to text is EXPLAIN's way to write varchar, unless the column is known to be
    something else.
    """
    known = type_of(table, term)
    if term.operator not in EQUALITIES | RANGES or term.cast is None:
        return False
    if term.cast in _NUMBERS:
        return True
    is_text = known is not None and known.startswith(TEXTS)
    if term.cast in HARMLESS:
        return known is not None and not is_text
    return term.cast == "bpchar" and is_text


def has_open_start(term: Term) -> bool:
    """Whether a pattern says nothing about how the values begin."""
    if term.value is None or not term.key:
        return False
    if term.operator == "~~":
        return term.value.startswith(("%", "_"))
    is_anchored = term.value.startswith("^")
    return term.operator == "~~*" or (term.operator in ("~", "~*") and not is_anchored)


def prefix_of(term: Term) -> str:
    """Return how all values of a LIKE begin; nothing where it says nothing.

    >>> prefix_of(terms_of("(name ~~ 'ab%c'::text)")[0])
    'ab'
    """
    if term.operator != "~~" or term.value is None or not term.key:
        return ""
    begin = re.match(r"[^%_\\]*", term.value)
    assert begin is not None
    return begin[0] if len(begin[0]) < len(term.value) else ""


def is_by_code_point(table: KnownTable | None, term: Term) -> bool:
    """Whether a column is known to be sorted letter by letter."""
    column = column_of(table, term)
    return column is not None and column.collation in ("C", "POSIX")


def is_wrapped(table: KnownTable | None, term: Term) -> bool:
    """Whether a column is compared only after something was made of it."""
    if term.operator not in EQUALITIES | RANGES or not term.key or term.is_list_side:
        return False
    # With an index on that expression something else is wrong.
    return term.key != quoted(term.column or "") and not heading(table, term)


def empty_partitions(append: PlanNode) -> tuple[PlanNode, ...]:
    """Return the scans that found nothing, where nearly all of many partitions did not.

    EXPLAIN calls the partitions of one table t_1, t_2 … None is returned where the plan
    or the executor left some out already.
    """
    if append.kind not in ("Append", "Merge Append") or append["Subplans Removed"]:
        return ()
    parts = append.children
    names = [str(one.alias).rpartition("_") for one in parts if condition_of(one)]
    is_family = len({stem for stem, _, _ in names}) == 1 and all(
        number.isdecimal() for _, _, number in names
    )
    is_read = all(one.relation and one.is_executed for one in parts)
    if not is_family or not is_read or not LEAST_PARTITIONS <= len(parts) == len(names):
        return ()
    empty = tuple(one for one in parts if not one.rows_kept)
    return empty if 0 < len(parts) - len(empty) <= FEW_PARTITIONS * len(parts) else ()


def condition_of(scan: PlanNode) -> str:
    """Return what a scan of any kind tests."""
    found = (scan.text(name) for name in ("Filter", "Index Cond", "Recheck Cond"))
    return next((text for text in found if text), "")


def order_of(seen: Seen) -> tuple[str, ...]:
    """Return the keys that the rows of a node are sorted by, where they are its columns."""
    above = seen.plan.parents.get(seen.node.number)
    if above is None or above.kind != "Sort":
        return ()
    keys = []
    for text in above.texts("Sort Key"):
        key, *words = re.split(r" (?=(?:DESC|NULLS)\b)", text)
        columns = columns_of(key, seen.node.alias)
        if len(columns) != 1 or key.split(".")[-1] != quoted(columns[0]):
            return ()
        keys.append(" ".join([quoted(columns[0]), *(word.lower() for word in words)]))
    return tuple(keys)
