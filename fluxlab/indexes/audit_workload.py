"""What a Workload says against the indexes of its database: keys that nobody asks for.

Read from the statements, but for one rule: whether any query implies the predicate of a
partial index only the planner can tell. It is asked in a scratch copy, with sequential
scans off and every other index hidden that keeps nothing unique.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from fluxlab.indexes.audit import AuditFinding
from fluxlab.indexes.audit_rules import AuditRule, fill
from fluxlab.indexes.column_uses import ColumnUses, read_column_uses
from fluxlab.indexes.decisions import used_in
from fluxlab.indexes.definition import IndexDef, KnownIndex, read_indexes
from fluxlab.indexes.hiding import hidden
from fluxlab.indexes.planner import Planner, Question
from fluxlab.plans.rules.expressions import quoted
from fluxlab.workload.query import Query

NEVER_IMPLIED = AuditRule(
    "predicate_never_implied",
    "H07",
    "A predicate that no query implies",
    "medium",
    "None of the {queries:query} on {table} can use {object}: none says {predicate}.",
    "Drop it, or give it a predicate that stands in the queries. The planner uses a "
    "partial index only where the conditions of a query prove the predicate; another key "
    "changes nothing.",
    sql="",
)
RANGE_FIRST = AuditRule(
    "range_before_equality",
    "H19",
    "A range in front of an equality",
    "medium",
    "{object} has {range_key} before {equal_key}; {query} compares the first by a range "
    "and the second by =, and reads the whole range.",
    "Put what is compared by = first. A second index on the later column alone makes the "
    "planner combine two, which reads more than one in the right order.",
    sql="",
)
UNNAMED = AuditRule(
    "unnamed_key",
    "H21",
    "A key that no query names",
    "medium",
    "No query of the workload names {keys}, which {object} has among its keys.",
    "Leave these columns out, or drop the index where none is left. Where they only spare "
    "a visit to the table, INCLUDE holds them for less.",
    sql="",
)
CHANGED = AuditRule(
    "updated_key",
    "H27",
    "An indexed column that updates change",
    "low",
    "{object} holds {columns}, changed by {changes:statement} of the workload ({query} "
    "first): such an update cannot be HOT.",
    "Measure what the index costs these writes before it stays. One such index is enough "
    "to make an update write a new entry into all of them; a lower fillfactor does not "
    "help.",
    sql="",
)
LOWERED = AuditRule(
    "lowered_lookup",
    "H32",
    "A search in lower case without its index",
    "medium",
    "{query} compares lower({column}) of {table}, and no index holds lower({column}).",
    "Index the expression, or compare the column as it is stored. An index on the column "
    "itself is not used for it, nor is a unique one.",
    sql="",
)
RULES = (NEVER_IMPLIED, RANGE_FIRST, UNNAMED, CHANGED, LOWERED)

_COLUMNS = """
select class.relname, array_agg(attribute.attname::text)
from pg_class as class
join pg_attribute as attribute
    on attribute.attrelid = class.oid
    and attribute.attnum > 0
where class.relkind in ('r', 'p')
    and class.relnamespace = 'public'::regnamespace
group by class.relname
"""


def audit_statements(
    connection: psycopg.Connection, queries: Sequence[Query]
) -> tuple[AuditFinding, ...]:
    """Return what the statements alone say against indexes; reads the catalog only.

    Of tables in `public` that some query touches; what no query touches, nobody judges.
    """
    rows = connection.execute(_COLUMNS).fetchall()
    columns = {str(table): frozenset(names) for table, names in rows}
    indexes = tuple(one for one in read_indexes(connection) if one.is_valid)
    uses = {query: read_column_uses(query.statement, columns) for query in queries}
    return tuple(
        finding
        for table in sorted({table for query in queries for table in query.tables})
        for finding in _of_table(table, indexes, uses)
    )


def _of_table(
    table: str, indexes: Sequence[KnownIndex], uses: Mapping[Query, ColumnUses]
) -> Iterator[AuditFinding]:
    own = [one for one in indexes if one.definition.table == table]
    touching = {query: one for query, one in uses.items() if table in query.tables}
    for index in own:
        if index.definition.is_unique or index.is_constraint:
            continue
        yield from _range_first(index, touching)
        yield from _unnamed(index, touching)
        yield from _changed(index, touching)
    yield from _lowered(table, own, touching)


def _range_first(
    index: KnownIndex, uses: Mapping[Query, ColumnUses]
) -> Iterator[AuditFinding]:
    keys = _columns(index.definition)
    if index.definition.method != "btree":
        return
    for query, one in uses.items():
        for scope in {use.scope for use in one.conditions}:
            kinds: dict[str, set[str]] = {}
            for use in one.conditions:
                if use.scope == scope and use.table == index.definition.table:
                    kinds.setdefault(use.column, set()).add(use.kind)
            for place, key in enumerate(keys):
                later = [k for k in keys[place + 1 :] if "equal" in kinds.get(k, ())]
                if kinds.get(key) == {"range"} and later:
                    words = {"range_key": key, "equal_key": later[0], "query": query.name}
                    yield _finding(RANGE_FIRST, index, words)
                    return


def _unnamed(index: KnownIndex, uses: Mapping[Query, ColumnUses]) -> Iterator[AuditFinding]:
    named = frozenset[str]().union(*(one.named for one in uses.values()))
    keys = [key for key in _columns(index.definition) if key not in named]
    if keys:
        is_all = len(keys) == len(index.definition.keys)
        yield _finding(UNNAMED, index, {"keys": keys}, is_dropped=is_all)


def _changed(index: KnownIndex, uses: Mapping[Query, ColumnUses]) -> Iterator[AuditFinding]:
    if index.definition.method == "brin":
        return  # from PostgreSQL 16 on it does not stand in the way
    held = _held(index.definition)
    changes = {
        query: {
            column
            for table, column in one.changed
            if table == index.definition.table and column in held
        }
        for query, one in uses.items()
    }
    writes = sorted(
        (query for query, columns in changes.items() if columns),
        key=lambda query: (-query.weight, query.name),
    )
    if writes:
        columns = sorted(set().union(*changes.values()))
        words = {
            "columns": columns,
            "changes": len(writes),
            "query": writes[0].name,
            "weight": sum(query.weight for query in writes),
        }
        yield _finding(CHANGED, index, words)


def _lowered(
    table: str, indexes: Sequence[KnownIndex], uses: Mapping[Query, ColumnUses]
) -> Iterator[AuditFinding]:
    held = {
        key.expression.replace("::text", "").replace("(", "").replace(")", "")
        for index in indexes
        for key in index.definition.keys[:1]
        if key.is_expression
    }
    seen = set[str]()
    for query, one in uses.items():
        for use in one.conditions:
            if use.table != table or use.kind != "lower" or use.column in seen:
                continue
            seen.add(use.column)
            if f"lower{use.column}" not in held:
                fix = (
                    f"create index concurrently on {quoted(table)} "
                    f"(lower({quoted(use.column)}));"
                )
                yield AuditFinding(
                    rule=LOWERED.id,
                    slug=LOWERED.slug,
                    title=LOWERED.title,
                    weight=LOWERED.weight,
                    schema="public",
                    table=table,
                    object=table,
                    object_type="table",
                    sentence=fill(
                        LOWERED.finding,
                        {"query": query.name, "column": use.column, "table": table},
                    ),
                    advice=LOWERED.advice,
                    size_bytes=0,
                    evidence={"query": query.name, "column": use.column},
                    fix=fix,
                )


def audit_predicates(
    connection: psycopg.Connection, questions: Sequence[Question]
) -> tuple[AuditFinding, ...]:
    """Return the partial indexes that no Question can use, as the planner says.

    The connection is to a scratch database: what hides an index is rolled back, and
    refused elsewhere. Each partial index costs one EXPLAIN per Question on its table.
    """
    indexes = [one for one in read_indexes(connection) if one.is_valid]
    planner = Planner(connection)
    findings = []
    for index in indexes:
        table = index.definition.table
        asked = [one for one in questions if table in one.query.tables]
        is_plain = not (index.definition.is_unique or index.is_constraint)
        if index.definition.predicate is None or not is_plain or not asked:
            continue
        others = {
            one.definition.name
            for one in indexes
            if one.definition.table == table
            and one is not index
            and not (one.definition.is_unique or one.is_constraint)
        }
        with hidden(connection, others):
            connection.execute("set local enable_seqscan = off")
            plans = planner.plans(asked).values()
        if not any(used_in(plan, {index.definition.name}) for plan in plans):
            words = {
                "queries": len({one.query.name for one in asked}),
                "predicate": index.definition.predicate,
            }
            findings.append(_finding(NEVER_IMPLIED, index, words, is_dropped=True))
    return tuple(findings)


def _held(index: IndexDef) -> frozenset[str]:
    """Return every word that may be a column whose change an index has to learn of."""
    texts = [key.expression for key in index.keys if key.is_expression]
    words = re.findall(r"\w+", " ".join([*texts, index.predicate or ""]))
    return frozenset((*_columns(index), *index.included, *words))


def _columns(index: IndexDef) -> tuple[str, ...]:
    return tuple(key.expression for key in index.keys if not key.is_expression)


def _finding(
    rule: AuditRule,
    index: KnownIndex,
    evidence: Mapping[str, object],
    *,
    is_dropped: bool = False,
) -> AuditFinding:
    one = index.definition
    words = {**evidence, "object": one.name, "table": one.table}
    return AuditFinding(
        rule=rule.id,
        slug=rule.slug,
        title=rule.title,
        weight=rule.weight,
        schema=one.schema or "public",
        table=one.table,
        object=one.name,
        object_type="index",
        sentence=fill(rule.finding, words),
        advice=rule.advice,
        size_bytes=index.size_bytes,
        evidence=evidence,
        fix=f"{one.undo(concurrently=True)};" if is_dropped else None,
        undo=f"{one.ddl()};" if is_dropped else None,
    )
