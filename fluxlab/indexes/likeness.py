"""When two index definitions are one, and when one index makes another unnecessary.

Only what the two texts say is used. Where they leave something open (whether `'x'` is a
text, which operator class is the default) the answer is no: pass both through
`indexes.known.settled`, and the server has filled it in.

Sources: PostgreSQL manual 11.3 (multicolumn), 11.4 (order, scanned backwards), 11.6
(unique), 11.8 (partial), 11.9 (index-only scans); `predtest.c` for what implies what.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.stream import RawStream
from pglast.visitors import Visitor

from fluxlab.plans.rules.expressions import RANGES, Term, is_plain, terms_of

if TYPE_CHECKING:
    from fluxlab.indexes.definition import IndexDef, Key

#: An index on several keys finds rows by any of them as well as by the first.
_KEYS_IN_ANY_ORDER = {"gin", "brin"}
#: Their parameters change no more than size and speed.
_FREE_OPTIONS = {"btree", "hash", "gin", "gist", "spgist"}
_SPELLINGS = {"on": "true", "yes": "true", "off": "false", "no": "false"}
#: Tests that no null passes, so that they imply `is not null`.
_STRICT = RANGES | {"=", "<>", "true"}


def is_same(one: IndexDef, other: IndexDef) -> bool:
    """Whether two definitions make the same index, whatever its name.

    A schema or a tablespace that one of them leaves open is the other's. The order of
    included columns, of storage parameters and of what AND joins does not matter.
    """
    tablespaces = {one.tablespace, other.tablespace} - {None}
    return (
        _is_one_table(one, other)
        and len(tablespaces) < 2
        and _identity(one) == _identity(other)
    )


def _identity(index: IndexDef) -> tuple[object, ...]:
    return (
        index.method,
        tuple(_order(key) for key in index.keys),
        frozenset(index.included),
        conditions(index.predicate),
        index.is_unique,
        index.nulls_not_distinct,
        _options(index),
    )


def does_subsume(one: IndexDef, other: IndexDef) -> bool:
    """Whether `one` can do for a read whatever `other` can, so that `other` can go.

    It has the same method and table. Its first keys are the other's, in the same order
    or all of them reversed, with the same operator classes and collations. It holds every
    column that the other returns and every row that the other finds; where the other is
    partial and this is not, the other's predicate must be on keys of this one, so that it
    is tested in the index too. A unique index is subsumed by a unique one only.

    What it does not say is the price: the other may be much smaller. To ask whether the
    rows of a partial index can be found by a full one that has to look at each of them,
    compare with `dataclasses.replace(other, predicate=None)`.
    """
    return (
        _is_one_table(one, other)
        and one.method == other.method
        and (one.method in _FREE_OPTIONS or _options(one) == _options(other))
        and _has_keys(one, other)
        and _returns(one, other)
        and _finds_rows(one, other)
        and (not other.is_unique or _keeps_unique(one, other))
    )


def _is_one_table(one: IndexDef, other: IndexDef) -> bool:
    is_one_schema = None in (one.schema, other.schema) or one.schema == other.schema
    return one.table == other.table and is_one_schema and one.is_only == other.is_only


def _options(index: IndexDef) -> frozenset[tuple[str, str]]:
    return frozenset((name, _SPELLINGS.get(value, value)) for name, value in index.options)


def _target(key: Key) -> tuple[object, ...]:
    text = plain(key.expression) if key.is_expression else key.expression
    return key.is_expression, text, key.opclass, key.collation


def _order(key: Key, *, is_reversed: bool = False) -> tuple[object, ...]:
    return (
        _target(key),
        key.is_descending != is_reversed,
        key.nulls_first != is_reversed,
    )


def _has_keys(one: IndexDef, other: IndexDef) -> bool:
    if one.method in _KEYS_IN_ANY_ORDER:
        return {_target(key) for key in other.keys} <= {_target(key) for key in one.keys}
    if one.method not in ("btree", "gist"):
        return [_target(key) for key in one.keys] == [_target(key) for key in other.keys]
    first = one.keys[: len(other.keys)]
    wanted = [_order(key) for key in other.keys]
    return wanted in (
        [_order(key) for key in first],
        # Read from its end to its beginning.
        [_order(key, is_reversed=True) for key in first],
    )


def _columns(index: IndexDef) -> frozenset[str]:
    """Return the columns that the keys of a B-tree hold as they are."""
    is_btree = index.method == "btree"
    keys = (key.expression for key in index.keys if not key.is_expression and is_btree)
    return frozenset(keys)


def _returns(one: IndexDef, other: IndexDef) -> bool:
    return frozenset(other.included) <= _columns(one) | frozenset(one.included)


def _finds_rows(one: IndexDef, other: IndexDef) -> bool:
    own, others = conditions(one.predicate), conditions(other.predicate)
    has_its_rows = all(_is_implied(condition, others) for condition in own - others)
    return has_its_rows and all(_is_tested_in(one, condition) for condition in others - own)


def _is_implied(condition: str, given: frozenset[str]) -> bool:
    """Whether `x is not null` follows from a test of x that no null passes."""
    wanted = _term(condition)
    return wanted.operator == "is not null" and any(
        term.column == wanted.column and term.cast is None and term.operator in _STRICT
        for term in map(_term, given)
        if wanted.column is not None
    )


def _is_tested_in(index: IndexDef, condition: str) -> bool:
    """Whether a B-tree finds the rows of a condition by one of its keys."""
    term = _term(condition)
    return is_plain(term) and any(
        key.expression == term.column and not (key.is_expression or key.opclass)
        for key in index.keys
        if index.method == "btree"
    )


def _term(condition: str) -> Term:
    (term,) = terms_of(condition)
    return term


def _keeps_unique(one: IndexDef, other: IndexDef) -> bool:
    return (
        one.is_unique
        and len(one.keys) == len(other.keys)
        and conditions(one.predicate) == conditions(other.predicate)
        and one.nulls_not_distinct == other.nulls_not_distinct
    )


@lru_cache(maxsize=4096)
def plain(expression: str) -> str:
    """Return an expression in one of its spellings, for comparing.

    >>> plain("is_read = false"), plain("to_tsvector('english'::regconfig, name)")
    ('NOT is_read', "to_tsvector('english', name)")
    """
    return str(RawStream()(_tree(expression)))


@lru_cache(maxsize=4096)
def conditions(predicate: str | None) -> frozenset[str]:
    """Return what AND joins in a predicate, each in one of its spellings."""
    if predicate is None:
        return frozenset()
    return frozenset(str(RawStream()(node)) for node in _joined(_tree(predicate)))


def _joined(node: ast.Node) -> list[ast.Node]:
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        return [one for argument in node.args or () for one in _joined(argument)]
    return [node]


def _tree(expression: str) -> ast.Node:
    (raw,) = parse_sql(f"select 1 where {expression}")
    _Spelling()(raw)
    assert isinstance(raw.stmt, ast.SelectStmt)
    assert raw.stmt.whereClause is not None
    return raw.stmt.whereClause


class _Spelling(Visitor):
    """Rewrites what the planner takes for the same: `x = true` and `x`, and the like."""

    def visit_A_Expr(self, ancestors: object, node: ast.A_Expr) -> ast.Node | None:  # noqa: N802
        name = [str(part.sval) for part in node.name or ()]
        if node.kind != A_Expr_Kind.AEXPR_OP or name != ["="]:
            return None
        for constant, rest in ((node.rexpr, node.lexpr), (node.lexpr, node.rexpr)):
            value = constant.val if isinstance(constant, ast.A_Const) else None
            if isinstance(value, ast.Boolean) and isinstance(rest, ast.Node):
                is_true = value.boolval
                return rest if is_true else ast.BoolExpr(BoolExprType.NOT_EXPR, (rest,))
        return None

    def visit_FuncCall(self, ancestors: object, node: ast.FuncCall) -> None:  # noqa: N802
        # With two arguments the first of them can be nothing else.
        name, arguments = (node.funcname or ())[-1].sval, node.args or ()
        first = arguments[0] if len(arguments) == 2 else None
        if name == "to_tsvector" and isinstance(first, ast.TypeCast) and first.typeName:
            types = [str(part.sval) for part in first.typeName.names or ()]
            if types[-1] == "regconfig" and isinstance(first.arg, ast.A_Const):
                node.args = (first.arg, arguments[1])
