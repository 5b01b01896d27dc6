"""A statement as PostgreSQL's own parser sees it: its kind, its tables, its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from pglast import ast, parse_sql
from pglast.parser import ParseError
from pglast.stream import RawStream
from pglast.visitors import Visitor

from fluxlab.errors import FluxlabError

_PLANNED = (
    ast.SelectStmt,
    ast.InsertStmt,
    ast.UpdateStmt,
    ast.DeleteStmt,
    ast.MergeStmt,
)
_PLANNED_UTILITIES = (ast.CreateTableAsStmt, ast.DeclareCursorStmt, ast.ExecuteStmt)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that the planner plans.

    `is_write` is True where anything in it inserts, updates, deletes, merges, creates or
    locks rows: what a read-only transaction refuses. `parameters` is the highest n of
    its `$n`. A function that writes is not seen here.

    >>> found = read_statement("select name from users where id = $1 for update")
    >>> found.is_write, found.tables, found.parameters
    (True, ('users',), 1)
    """

    sql: str
    is_write: bool
    tables: tuple[str, ...]
    parameters: int


def read_statement(sql: str) -> Statement:
    """Read exactly one statement; an EXPLAIN around it is taken off.

    Raises FluxlabError for none, for several, for one that has no plan, and for text
    that PostgreSQL's parser refuses, with the line where it does.

    >>> read_statement("explain analyze delete from users where id = $1").sql
    'DELETE FROM users WHERE id = $1'
    """
    try:
        parsed = parse_sql(sql)
    except ParseError as error:
        raise _refusal(sql, error) from None
    if len(parsed) != 1:
        raise FluxlabError(
            f"There are {len(parsed)} statements, and one has a plan."
            if parsed
            else "There is no statement.",
            "Give exactly one; run what has to come before in a session of your own.",
        )
    tree = parsed[0].stmt
    assert tree is not None
    text = sql.strip().rstrip(";").rstrip()
    if isinstance(tree, ast.ExplainStmt):
        tree = tree.query
        assert tree is not None
        text = RawStream()(tree)
    if not isinstance(tree, _PLANNED + _PLANNED_UTILITIES):
        raise FluxlabError(
            f"{_kind(tree)} has no plan.",
            "EXPLAIN takes SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, EXECUTE, "
            "DECLARE and CREATE TABLE AS.",
        )
    facts = _Facts()
    facts(tree)
    return Statement(text, facts.is_write, facts.tables, facts.parameters)


class _Facts(Visitor):
    """What the parse tree says."""

    def __init__(self) -> None:
        self.is_write = False
        self.parameters = 0
        self._named: set[str] = set()
        self._ctes: set[str] = set()

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(self._named - self._ctes))

    def visit_RangeVar(self, ancestors: object, node: ast.RangeVar) -> None:  # noqa: N802
        self._named.add(str(node.relname))

    def visit_CommonTableExpr(self, ancestors: object, node: ast.CommonTableExpr) -> None:  # noqa: N802
        self._ctes.add(str(node.ctename))

    def visit_ParamRef(self, ancestors: object, node: ast.ParamRef) -> None:  # noqa: N802
        self.parameters = max(self.parameters, node.number or 0)

    def visit(self, ancestors: object, node: ast.Node) -> None:
        if isinstance(node, _WRITING):
            self.is_write = True


_WRITING = (
    ast.InsertStmt,
    ast.UpdateStmt,
    ast.DeleteStmt,
    ast.MergeStmt,
    ast.CreateTableAsStmt,
    ast.IntoClause,
    ast.LockingClause,
)


def _kind(tree: ast.Node) -> str:
    """Return what SQL calls a statement, from the name of its class."""
    name = type(tree).__name__.removesuffix("Stmt")
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    return words.strip().upper()


def _refusal(sql: str, error: ParseError) -> FluxlabError:
    message, *place = error.args
    # "syntax error at end of input" has no place.
    end = place[0] if place and place[0] is not None else len(sql.rstrip())
    line = sql[:end].count("\n") + 1
    return FluxlabError(
        f"Line {line} of the statement cannot be read: {message}.",
        "Correct it; parameters are written $1, $2 … here.",
    )
