"""How a statement uses the columns of its tables, from its parse tree alone.

Only what a WHERE or an ON asks of every row counts as a condition: terms joined by AND.
A column whose table nobody can tell from the text is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.visitors import Visitor

Kind = Literal["equal", "range", "lower"]
_RANGES = {"<", "<=", ">", ">="}
_EQUAL_KINDS = (A_Expr_Kind.AEXPR_OP, A_Expr_Kind.AEXPR_OP_ANY, A_Expr_Kind.AEXPR_IN)


@dataclass(frozen=True, slots=True)
class Use:
    """A column in a condition: compared by =, by a range, or by = after lower().

    `scope` numbers the WHERE or ON that it stands in.
    """

    table: str
    column: str
    kind: Kind
    scope: int


@dataclass(frozen=True, slots=True)
class ColumnUses:
    """What a statement does with columns: conditions, changes, and every name in it."""

    conditions: tuple[Use, ...]
    changed: frozenset[tuple[str, str]]
    named: frozenset[str]


def read_column_uses(statement: str, columns: Mapping[str, frozenset[str]]) -> ColumnUses:
    """Read a statement; `columns` are those of each table.

    >>> uses = read_column_uses("select 1 from t where a = $1 and b > 2", {"t": {"a", "b"}})
    >>> [(use.column, use.kind) for use in uses.conditions]
    [('a', 'equal'), ('b', 'range')]
    """
    reader = _Reader()
    for raw in parse_sql(statement):
        reader(raw)
    conditions = tuple(
        Use(table, name, kind, scope)
        for scope, clause in enumerate(reader.clauses)
        for term in _terms(clause)
        for qualifier, name, kind in _compared(term)
        for table in _tables(reader.aliases, columns, qualifier, name)
    )
    return ColumnUses(conditions, frozenset(reader.changed), frozenset(reader.named))


class _Reader(Visitor):
    """Gathers tables by alias, WHERE and ON clauses, SET lists, and all names."""

    def __init__(self) -> None:
        self.aliases: dict[str, set[str]] = {}
        self.clauses: list[ast.Node] = []
        self.changed: set[tuple[str, str]] = set()
        self.named: set[str] = set()

    def visit_RangeVar(self, ancestors: object, node: ast.RangeVar) -> None:  # noqa: N802
        alias = node.alias.aliasname if node.alias else node.relname
        self.aliases.setdefault(str(alias), set()).add(str(node.relname))

    def visit_ColumnRef(self, ancestors: object, node: ast.ColumnRef) -> None:  # noqa: N802
        self.named.update(name for name in _path(node)[-1:])

    def visit_SelectStmt(self, ancestors: object, node: ast.SelectStmt) -> None:  # noqa: N802
        self._keep(node.whereClause)

    def visit_DeleteStmt(self, ancestors: object, node: ast.DeleteStmt) -> None:  # noqa: N802
        self._keep(node.whereClause)

    def visit_JoinExpr(self, ancestors: object, node: ast.JoinExpr) -> None:  # noqa: N802
        self._keep(node.quals)

    def visit_UpdateStmt(self, ancestors: object, node: ast.UpdateStmt) -> None:  # noqa: N802
        self._keep(node.whereClause)
        self._change(node.relation, node.targetList)

    def visit_InsertStmt(self, ancestors: object, node: ast.InsertStmt) -> None:  # noqa: N802
        if node.onConflictClause:
            self._change(node.relation, node.onConflictClause.targetList)

    def _keep(self, clause: ast.Node | None) -> None:
        if clause is not None:
            self.clauses.append(clause)

    def _change(
        self, relation: ast.RangeVar | None, targets: tuple[ast.Node, ...] | None
    ) -> None:
        for target in targets or ():
            if relation is not None and isinstance(target, ast.ResTarget):
                self.changed.add((str(relation.relname), str(target.name)))


def _terms(node: ast.Node) -> Iterator[ast.Node]:
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for part in node.args or ():
            yield from _terms(part)
    else:
        yield node


def _compared(term: ast.Node) -> Iterator[tuple[str | None, str, Kind]]:
    """Yield qualifier, name and kind of each column that a term compares."""
    if not isinstance(term, ast.A_Expr) or not term.name:
        return
    operator = str(term.name[-1].sval)
    is_between = term.kind == A_Expr_Kind.AEXPR_BETWEEN
    is_equal = term.kind in _EQUAL_KINDS and operator == "="
    if not (is_equal or is_between or operator in _RANGES):
        return
    for side in (term.lexpr, term.rexpr):
        if isinstance(side, ast.ColumnRef) and (path := _path(side)):
            qualifier = path[-2] if len(path) > 1 else None
            yield qualifier, path[-1], "equal" if is_equal else "range"
        elif is_equal and (inner := _lowered(side)) and (path := _path(inner)):
            yield path[-2] if len(path) > 1 else None, path[-1], "lower"


def _lowered(node: object) -> ast.ColumnRef | None:
    """Return the column of lower(column)."""
    if not isinstance(node, ast.FuncCall) or not node.funcname or len(node.args or ()) != 1:
        return None
    inner = (node.args or ())[0]
    is_lower = str(node.funcname[-1].sval) == "lower"
    return inner if is_lower and isinstance(inner, ast.ColumnRef) else None


def _path(node: ast.ColumnRef) -> tuple[str, ...]:
    """Return the names of a column reference; none for a star."""
    fields = node.fields or ()
    names = tuple(str(part.sval) for part in fields if isinstance(part, ast.String))
    return names if len(names) == len(fields) else ()


def _tables(
    aliases: Mapping[str, set[str]],
    columns: Mapping[str, frozenset[str]],
    qualifier: str | None,
    name: str,
) -> Iterator[str]:
    """Yield the one table that a column can belong to; nothing where there are several."""
    wanted = (
        aliases.get(qualifier, set())
        if qualifier
        else {table for tables in aliases.values() for table in tables}
    )
    found = [table for table in wanted if name in columns.get(table, ())]
    if len(found) == 1:
        yield found[0]
