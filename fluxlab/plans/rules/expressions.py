"""The conditions of a plan, taken apart: columns, operators, constants, functions.

EXPLAIN prints a condition nearly as SQL, so PostgreSQL's own parser reads it. What a
subplan returns has no SQL of its own there, and gets a name first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, BoolTestType, NullTestType
from pglast.parser import ParseError
from pglast.stream import RawStream, maybe_double_quote_name
from pglast.visitors import Visitor

EQUALITIES = frozenset({"=", "= any", "true", "false", "is null"})
RANGES = frozenset({"<", "<=", ">", ">="})
#: Tests of one column that name no value: the same rows for every execution.
FIXED = frozenset({"true", "false", "is null", "is not null", "<>"})
#: Casts that change no byte of a varchar, which EXPLAIN shows and an index ignores.
HARMLESS = frozenset({"text", "varchar"})
TEXTS = ("text", "character varying")
#: More columns make an index larger, and seldom find fewer rows.
MOST_EQUAL_KEYS = 3

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "@>": "<@", "<@": "@>"}
_TESTS = {
    BoolTestType.IS_TRUE: "true",
    BoolTestType.IS_FALSE: "false",
}
_KINDS = {
    A_Expr_Kind.AEXPR_OP_ANY: " any",
    A_Expr_Kind.AEXPR_OP_ALL: " all",
    A_Expr_Kind.AEXPR_DISTINCT: " distinct",
}
#: A quoted string, which stays as it is, or what EXPLAIN writes and SQL does not know.
_STRING = r"(?P<string>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")"
_SUBPLAN = re.compile(
    _STRING
    + r"|\((?:hashed |rescan )?(?P<plan>(?:SubPlan|InitPlan) \d+)\)(?P<field>\.\w+)?"
    r"|(?<=\()(?P<word>ANY|ALL) (?=\()|(?P<exists>EXISTS|ARRAY)(?=\()"
)
#: pglast writes CAST(x AS y); PostgreSQL and people write x::y.
_CAST = re.compile(r"\bCAST\((['\w\"%./:-]+(?:\([^()]*\))?) AS ([a-z_ ]+(?:\[\])?)\)")


@dataclass(frozen=True, slots=True)
class Term:
    """One of the tests that must all hold, such as `status = 'open'`.

    `columns` are those of the scanned table in it. `column` is set where one of them
    stands alone on its side, `cast` to the type it is converted to there. `expression`
    is set where its side is more than that. `value` is the constant on the other side,
    where there is one, and `value_type` what that is cast to. The operators of tests
    without another side are "true", "false", "is null" and "is not null"; "= any" is
    that of a list. `is_list_side` says that the column is the list. `arms` are the
    branches of an OR, each with its own terms.
    """

    text: str
    columns: tuple[str, ...]
    operator: str = ""
    column: str | None = None
    cast: str | None = None
    expression: str | None = None
    functions: tuple[str, ...] = ()
    casts: tuple[str, ...] = ()
    value: str | None = None
    value_type: str | None = None
    is_list_side: bool = False
    arms: tuple[tuple[Term, ...], ...] = ()

    @property
    def key(self) -> str | None:
        """What an index on it has as its key: a column, or an expression."""
        if self.column is None:
            return self.expression
        is_bare = self.cast is None or self.cast in HARMLESS
        return quoted(self.column) if is_bare else f"({quoted(self.column)}::{self.cast})"


def is_plain(term: Term, type_name: str | None = None) -> bool:
    """Whether an ordinary index on a column can find the rows of a term.

    `type_name` is the column's type as the server writes it, where it is known: only then
    is it certain that a cast to text changes nothing.
    """
    if term.column is None or term.is_list_side:
        return False
    if term.operator not in EQUALITIES | RANGES | {"is not null"}:
        return False
    if term.cast is None:
        return True
    return term.cast in HARMLESS and (type_name is None or type_name.startswith(TEXTS))


def terms_of(condition: str | None, alias: str | None = None) -> tuple[Term, ...]:
    """Return the terms of a condition that are joined by AND.

    Columns are the table's own where they are unqualified or qualified with its alias;
    all others are values. Returns none for a text that the parser does not read.

    >>> terms = terms_of("((t.a = 1) AND (lower(t.b) < 'x'::text))", "t")
    >>> [(term.column, term.operator, term.expression) for term in terms]
    [('a', '=', None), (None, '<', 'lower(b)')]
    """
    return _terms_of(condition, alias) if condition else ()


@lru_cache(maxsize=1024)
def _terms_of(condition: str, alias: str | None) -> tuple[Term, ...]:
    tree = _parsed(condition)
    return () if tree is None else tuple(_terms(tree, alias))


@lru_cache(maxsize=1024)
def columns_of(text: str, alias: str | None = None) -> tuple[str, ...]:
    """Return the table's columns in any expression, in their order.

    >>> columns_of("date_trunc('day', t.created_at)", "t")
    ('created_at',)
    """
    tree = _parsed(text)
    return () if tree is None else tuple(_Inside(tree, alias).columns)


@lru_cache(maxsize=1024)
def normal(expression: str) -> str:
    """Return an expression as this module writes it, so that equal ones are equal text.

    >>> normal("lower((email)::text)") == normal("LOWER(email::text)")
    True
    """
    tree = _parsed(expression)
    return expression if tree is None else _text(tree)


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it, in quotes where it needs them.

    >>> quoted("user_id"), quoted("Order")
    ('user_id', '"Order"')
    """
    known = str(maybe_double_quote_name(name))
    # pglast takes a name that ends in a line break for a plain one.
    return f'"{known}"' if known.endswith("\n") else known


def index_on(
    relation: str,
    terms: Iterable[Term],
    order: Sequence[str] = (),
    tested: Sequence[str] = (),
) -> str | None:
    """Return SQL for an index that finds the rows of some terms, or None without a key.

    Columns compared for equality come first, in any order; one range, or the columns
    that rows are ordered by, comes last, because what follows it finds nothing; the keys
    in `tested` follow all the same, to spare a visit to the table. A test that is the
    same in every execution becomes the predicate of a partial index.

    >>> print(index_on("files", terms_of("(size > 9) AND (kind = 'a') AND (NOT hidden)")))
    create index on files (kind, size) where not hidden;
    """
    known = [one for one in terms if one.key and (one.operator != "<>" or one.value)]
    equal = [term for term in known if term.operator in EQUALITIES - FIXED]
    ranges = [term for term in known if term.operator in RANGES]
    fixed = [term for term in known if term.operator in FIXED]
    keys = [str(term.key) for term in equal][:MOST_EQUAL_KEYS]
    tail = [str(term.key) for term in ranges][:1] or list(order)
    keys = _once([*keys, *tail, *tested])
    if not keys:
        # A test such as `failed is null` can be the key itself.
        keys, fixed = _once(str(term.key) for term in fixed if term.operator != "<>"), []
    if not keys:
        return None
    where = " and ".join(_once(_predicate(term) for term in fixed))
    return (
        f"create index on {quoted(relation)} ({', '.join(keys)})"
        f"{' where ' + where if where else ''};"
    )


def _predicate(term: Term) -> str:
    if term.operator == "true":
        return str(term.key)
    if term.operator == "false":
        return f"not {term.key}"
    return term.text if term.operator == "<>" else f"{term.key} {term.operator}"


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _parsed(text: str) -> ast.Node | None:
    try:
        (statement,) = parse_sql(f"select 1 where {_SUBPLAN.sub(_named, text)}")
    except (ParseError, ValueError):
        return None
    assert isinstance(statement.stmt, ast.SelectStmt)
    return statement.stmt.whereClause


def _named(found: re.Match[str]) -> str:
    """Give what a subplan returns a qualified name, which no table has."""
    if found["plan"]:
        return f'("{found["plan"]}"{found["field"] or ".value"})'
    if word := found["word"] or found["exists"]:
        return f'"{word}" '
    return str(found["string"])


def _terms(node: ast.Node, alias: str | None) -> Iterator[Term]:
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for one in node.args or ():
            yield from _terms(one, alias)
    else:
        yield _term(node, alias)


def _term(node: ast.Node, alias: str | None) -> Term:
    inside = _Inside(node, alias)
    columns = tuple(inside.columns)
    text = _text(node, alias)
    if isinstance(node, ast.A_Expr) and node.lexpr is not None:
        return _comparison(node, alias, Term(text, columns))
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.OR_EXPR:
        arms = tuple(tuple(_terms(one, alias)) for one in node.args or ())
        return Term(text, columns, "or", arms=arms)
    tested, operator = _tested(node)
    if operator and _is_own(tested, alias):
        return Term(text, columns, operator, column=columns[0])
    return Term(text, columns, functions=tuple(inside.functions))


def _tested(node: ast.Node) -> tuple[ast.Node | None, str]:
    """Return what a test without another side is about, and its name."""
    if isinstance(node, ast.ColumnRef):
        return node, "true"
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.NOT_EXPR:
        return (node.args or (None,))[0], "false"
    if isinstance(node, ast.NullTest):
        is_null = node.nulltesttype == NullTestType.IS_NULL
        return node.arg, "is null" if is_null else "is not null"
    if isinstance(node, ast.BooleanTest) and node.booltesttype is not None:
        return node.arg, _TESTS.get(node.booltesttype, "")
    return None, ""


def _comparison(node: ast.A_Expr, alias: str | None, term: Term) -> Term:
    """Fill in the two sides of a term: the table's own, and what it is compared with."""
    left, right = node.lexpr, node.rexpr
    operator = _operator(node)
    if not isinstance(left, ast.Node) or not isinstance(right, ast.Node):
        return replace(term, operator=operator)
    is_left, is_right = (bool(_Inside(side, alias).columns) for side in (left, right))
    if is_left == is_right:
        return replace(term, operator=operator)
    own, other = (right, left) if is_right else (left, right)
    value, value_type = _constant(other)
    bare, cast = _uncast(own)
    is_column = _is_own(bare, alias)
    is_single = not isinstance(own, ast.RowExpr)  # (a, b) < (1, 2) compares several
    inside = _Inside(own, alias)
    return replace(
        term,
        operator=_FLIPPED.get(operator, operator) if is_right else operator,
        column=term.columns[0] if is_column else None,
        cast=cast if is_column else None,
        expression=_expression(own, alias) if is_single and not is_column else None,
        functions=tuple(inside.functions),
        casts=tuple(inside.casts),
        value=value,
        value_type=value_type,
        is_list_side=is_right and operator.endswith((" any", " all")),
    )


def _operator(node: ast.A_Expr) -> str:
    name = str((node.name or (ast.String("?"),))[-1].sval)
    return name + _KINDS.get(node.kind or A_Expr_Kind.AEXPR_OP, "")


def _expression(node: ast.Node, alias: str | None) -> str:
    text = _text(node, alias)
    return text if isinstance(node, ast.FuncCall | ast.CoalesceExpr) else f"({text})"


def _uncast(node: ast.Node | None) -> tuple[ast.Node | None, str | None]:
    if isinstance(node, ast.CollateClause):
        node = node.arg
    if isinstance(node, ast.TypeCast):
        return node.arg, _type_name(node)
    return node, None


def _constant(node: ast.Node) -> tuple[str | None, str | None]:
    bare, value_type = _uncast(node)
    if isinstance(bare, ast.A_Const) and bare.val is not None:
        for name in ("sval", "ival", "fval", "boolval"):
            if hasattr(bare.val, name):
                return str(getattr(bare.val, name)), value_type
    return None, value_type


def _type_name(cast: ast.TypeCast) -> str:
    name = cast.typeName
    assert name is not None
    brackets = "[]" if name.arrayBounds else ""
    return str((name.names or (ast.String("?"),))[-1].sval) + brackets


def _text(node: ast.Node, alias: str | None = None) -> str:
    """Return an expression as SQL, its own columns without their table."""
    for column in _Inside(node, alias).references:
        column.fields = (column.fields or ())[-1:]
    text = str(RawStream()(node))
    while (shorter := _CAST.sub(r"\1::\2", text)) != text:
        text = shorter
    return text


def _is_own(node: ast.Node | None, alias: str | None) -> bool:
    """Whether a node is one column of the table and nothing more."""
    if not isinstance(node, ast.ColumnRef):
        return False
    *before, last = node.fields or ()
    if not isinstance(last, ast.String) or not before:
        return isinstance(last, ast.String)
    table = str(before[-1].sval)
    if alias is None:
        return not table.startswith(("SubPlan ", "InitPlan "))
    return table == alias


class _Inside(Visitor):
    """What an expression names: columns of the table, functions, types it casts to."""

    def __init__(self, node: ast.Node, alias: str | None) -> None:
        self._alias = alias
        self.references: list[ast.ColumnRef] = []
        self.functions: dict[str, None] = {}
        self.casts: dict[str, None] = {}
        self(node)

    @property
    def columns(self) -> dict[str, None]:
        names = (str((one.fields or ())[-1].sval) for one in self.references)
        return dict.fromkeys(names)

    def visit_ColumnRef(self, ancestors: object, node: ast.ColumnRef) -> None:  # noqa: N802
        if _is_own(node, self._alias):
            self.references.append(node)

    def visit_FuncCall(self, ancestors: object, node: ast.FuncCall) -> None:  # noqa: N802
        self.functions[str((node.funcname or ())[-1].sval)] = None

    def visit_CoalesceExpr(self, ancestors: object, node: ast.CoalesceExpr) -> None:  # noqa: N802
        self.functions["coalesce"] = None

    def visit_TypeCast(self, ancestors: object, node: ast.TypeCast) -> None:  # noqa: N802
        if not isinstance(node.arg, ast.A_Const):
            self.casts[_type_name(node)] = None
