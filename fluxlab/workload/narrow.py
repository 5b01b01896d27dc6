"""The same Query without its star: only the columns that the application reads.

Which those are, the rest of the Workload tells: of each table the columns that two other
reads or more ask for by their names, and its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pglast import ast, parse_sql
from pglast.stream import RawStream
from pglast.visitors import Skip, Visitor

from fluxlab.workload.query import Query, Workload

#: A column that one read alone asks for is that read's own affair.
_READS = 2

#: By table, its columns in the order of the table.
Columns = Mapping[str, tuple[str, ...]]


def columns_read(workload: Workload, columns: Columns) -> Columns:
    """Return the columns of each table that two reads or more name, and its id.

    Of a table that no two reads name a column of, all columns stay.
    """
    counts: dict[str, Counter[str]] = {}
    for query in workload.values():
        if not query.is_write:
            for table, column in set(_named(query)):
                counts.setdefault(table, Counter())[column] += 1
    found = {}
    for table, known in columns.items():
        seen = counts.get(table, Counter())
        named = {column for column in known if seen[column] >= _READS}
        kept = tuple(column for column in known if column in named | {"id"})
        found[table] = kept if named else known
    return found


def narrowed(query: Query, wanted: Columns) -> Query | None:
    """Return the Query with each star spelt out as the wanted columns, or None.

    None where it has no star on a table, and where no column would be left out of it.
    """
    select = _select(query)
    if select is None:
        return None
    tables = _tables(select)
    targets: list[ast.ResTarget] = []
    is_changed = False
    for target in select.targetList or ():
        starred = _starred(target, tables)
        if starred is None:
            targets.append(target)
            continue
        is_changed = True
        targets += [
            _column(alias, column) for alias in starred for column in wanted[tables[alias]]
        ]
    if not is_changed:
        return None
    select.targetList = tuple(targets)
    return replace(query, statement=RawStream()(select))


def stars(workload: Workload) -> tuple[Query, ...]:
    """Return the reads that ask for all columns of some table, as the Workload has them."""
    return tuple(
        query
        for query in workload.values()
        if not query.is_write and (select := _select(query)) and _has_star(select)
    )


def _has_star(select: ast.SelectStmt) -> bool:
    tables = _tables(select)
    return any(_starred(one, tables) is not None for one in select.targetList or ())


def _select(query: Query) -> ast.SelectStmt | None:
    tree = parse_sql(query.statement)[0].stmt
    is_plain = isinstance(tree, ast.SelectStmt) and tree.targetList is not None
    return tree if is_plain else None  # type: ignore[return-value]


def _starred(target: ast.ResTarget, tables: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the aliases that a star stands for; None where there is none, or of a CTE."""
    value = target.val
    if not (
        isinstance(value, ast.ColumnRef)
        and value.fields
        and isinstance(value.fields[-1], ast.A_Star)
    ):
        return None
    if len(value.fields) == 1:
        return tuple(tables)
    alias = value.fields[0].sval
    return (alias,) if alias in tables else None


def _named(query: Query) -> Iterator[tuple[str, str]]:
    """Yield the (table, column) that a read names in its answer."""
    select = _select(query)
    if select is None:
        return
    tables = _tables(select)
    for target in select.targetList or ():
        value = target.val
        if not isinstance(value, ast.ColumnRef) or not value.fields:
            continue
        *of, column = value.fields
        if isinstance(column, ast.A_Star):
            continue
        alias = of[-1].sval if of else next(iter(tables), "")
        if alias in tables and (of or len(tables) == 1):
            yield tables[alias], column.sval


def _tables(select: ast.SelectStmt) -> dict[str, str]:
    """Return what stands in the FROM list, by alias; subqueries and CTEs are no tables."""
    found = _From()
    found(select.fromClause or ())
    ctes = {one.ctename for one in (select.withClause and select.withClause.ctes) or ()}
    return {alias: name for alias, name in found.tables.items() if name not in ctes}


class _From(Visitor):
    """The tables of a FROM list, by alias."""

    def __init__(self) -> None:
        self.tables: dict[str, str] = {}

    def visit_RangeVar(self, ancestors: object, node: ast.RangeVar) -> None:  # noqa: N802
        alias = node.alias.aliasname if node.alias else node.relname
        self.tables[str(alias)] = str(node.relname)

    def visit_RangeSubselect(  # noqa: N802
        self, ancestors: object, node: ast.RangeSubselect
    ) -> type[Skip]:
        return Skip

    def visit_SubLink(self, ancestors: object, node: ast.SubLink) -> type[Skip]:  # noqa: N802
        return Skip


def _column(alias: str, name: str) -> ast.ResTarget:
    fields = (ast.String(sval=alias), ast.String(sval=name))
    return ast.ResTarget(val=ast.ColumnRef(fields=fields))
