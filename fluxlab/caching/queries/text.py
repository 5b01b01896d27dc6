"""What a statement says, by its parse tree: is it cacheable, and what does it name?

Two texts are the same statement when their trees are equal without positions: comments,
white space and the case of keywords go, and literals stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pglast.parser import ParseError, parse_sql_json

from fluxlab.caching.codec import Unfaithful, encode

Parameters = Sequence[object] | Mapping[str, object]

_PLACE = re.compile(r"%(?:%|\((?P<name>[^)]+)\)[sbt]|[sbt])")
_POSITION = re.compile(r"(?:^|_)location$|_list_(?:start|end)$|^list_(?:start|end)$")
#: As text these become a moment, whatever type the statement then gives it.
_CLOCK = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)
_LONGEST_MOMENT = 64

#: Nodes that write, lock, or answer differently each time, and what is said of them.
_REFUSED = {
    "InsertStmt": "it writes",
    "UpdateStmt": "it writes",
    "DeleteStmt": "it writes",
    "MergeStmt": "it writes",
    "LockingClause": "it locks rows",
    "RangeTableSample": "it takes a random sample",
    "CurrentOfExpr": "it reads a cursor",
}
#: Keywords whose value is the session's, which is part of the key; others are a clock's.
_OF_SESSION = (
    *("CURRENT_ROLE", "CURRENT_USER", "USER", "SESSION_USER"),
    *("CURRENT_CATALOG", "CURRENT_SCHEMA"),
)
#: Where a row lies and who wrote it, which changes while its values do not.
_OF_STORAGE = frozenset(("ctid", "xmin", "xmax", "cmin", "cmax"))


class Uncached(Exception):  # noqa: N818 - it is not an error, it is an answer
    """Why a statement runs past the cache."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a statement, a view or a policy names.

    `relations` are written as `to_regclass` reads them. `functions` are without their
    schema; `columns` may be functions as well, since `u.f` can mean `f(u)`.
    """

    relations: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(
            self.relations | other.relations,
            self.functions | other.functions,
            self.operators | other.operators,
            self.columns | other.columns,
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT: its tree as text, what it names, and its parameters' names in order.

    `subqueries` are names of WITH, which need not be relations.
    """

    sql: str
    tree: str
    names: Names
    subqueries: frozenset[str]
    parameters: tuple[str, ...]

    def typed(self, values: Parameters) -> bytes:
        """Return the parameters as bytes that tell 1, 1.0, True, '1' and Decimal(1) apart.

        Raises Uncached for a value whose type the cache does not know, and for a text
        that PostgreSQL may read as a moment, `'today'`.
        """
        if isinstance(values, Mapping):
            ordered = [values[name] for name in self.parameters if name in values]
        else:
            ordered = [] if any(self.parameters) else list(values)
        if len(ordered) != len(self.parameters):
            raise Uncached("its parameters do not fit")
        for text in _texts(ordered):
            _refuse_clock(text)
        try:
            return encode(ordered)
        except Unfaithful:
            kinds = sorted({type(one).__name__ for one in ordered})
            raise Uncached(f"a parameter's type is not ours ({', '.join(kinds)})") from None


@lru_cache(maxsize=4_096)
def read_statement(sql: str, has_parameters: bool) -> Statement | str:
    """Return the Statement of a text with psycopg's placeholders, or why it is not cached.

    >>> one = read_statement("select /* all */ NAME from users where id = %s", True)
    >>> same = read_statement("SELECT name FROM users WHERE id=%s", True)
    >>> one.tree == same.tree, set(one.names.relations)
    (True, {'"users"'})
    >>> read_statement("delete from users", False)
    'it writes'
    """
    text, parameters = _numbered(sql) if has_parameters else (sql, ())
    try:
        tree = json.loads(parse_sql_json(text))
    except ParseError:
        return "it cannot be read"
    if len(tree.get("stmts", ())) != 1:
        return "it is not one statement"
    root = tree["stmts"][0]["stmt"]
    try:
        for kind, node in _nodes(root):
            _refuse(kind, node)
        if "SelectStmt" not in root:
            return "it is not a SELECT"
        names, subqueries = _names_in(root)
    except Uncached as reason:
        return str(reason)
    shape = json.dumps(_without_positions(root), sort_keys=True)
    return Statement(sql, shape, names, subqueries, parameters)


def names_of(definition: str) -> Names:
    """Return what a view's query or a policy's condition names; raise Uncached as above.

    Names of WITH are among the relations.
    """
    try:
        root = json.loads(parse_sql_json(definition))
    except ParseError:
        raise Uncached("a view or a policy in it cannot be read") from None
    for kind, node in _nodes(root):
        _refuse(kind, node)
    return _names_in(root)[0]


def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Write psycopg's placeholders as PostgreSQL's; equal names get equal numbers."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found["name"]
        if name is None or name not in names:
            names.append(name or "")
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return _PLACE.sub(number, sql), tuple(names)


def _nodes(tree: object) -> Iterator[tuple[str, Any]]:
    """Go through a tree: every field that holds a node, named by its kind or field."""
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield name, inner
            yield from _nodes(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _nodes(inner)


def _refuse(kind: str, node: Any) -> None:
    if reason := _REFUSED.get(kind):
        raise Uncached(reason)
    match kind, node:
        case "intoClause", _:
            raise Uncached("it writes")
        case "SQLValueFunction", {"op": str() as word}:
            if word.removeprefix("SVFOP_") not in _OF_SESSION:
                raise Uncached("it reads the clock")
        case "sval", {"sval": str() as text}:
            _refuse_clock(text)
        case "FuncCall", {"funcname": [*_, {"String": {"sval": "age"}}]}:
            if len(node.get("args", ())) == 1:
                raise Uncached("it reads the clock")
        case "TypeCast", {"typeName": {"names": [*_, {"String": {"sval": str() as name}}]}}:
            if name.startswith("reg"):
                raise Uncached("it reads the catalog")
        case "ColumnRef", {"fields": [*_, {"String": {"sval": str() as name}}]}:
            if name in _OF_STORAGE:
                raise Uncached("it reads where rows lie")


def _refuse_clock(text: str) -> None:
    if len(text) <= _LONGEST_MOMENT and _CLOCK.search(text):
        raise Uncached("a text in it may stand for a moment")


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple | set | frozenset):
            yield from _texts(value)
        elif isinstance(value, bytes):
            yield value.decode("latin-1")


def _names_in(tree: object) -> tuple[Names, frozenset[str]]:
    found: dict[str, set[str]] = {
        kind: set() for kind in ("relation", "function", "operator", "column", "with")
    }
    for kind, node in _nodes(tree):
        match kind, node:
            case "RangeVar", {"relname": str() as name}:
                schema = node.get("schemaname")
                prefix = f"{_quoted(schema)}." if schema else ""
                found["relation"].add(prefix + _quoted(name))
            case "CommonTableExpr", {"ctename": str() as name}:
                found["with"].add(name)
            case "FuncCall", {"funcname": [*_, {"String": {"sval": str() as name}}]}:
                found["function"].add(name)
            case (("A_Expr" | "SubLink" | "SortBy"), dict()):
                for field in ("name", "operName", "useOp"):
                    for part in node.get(field, ())[-1:]:
                        found["operator"].add(part["String"]["sval"])
            case "ColumnRef", {"fields": [_, *_, {"String": {"sval": str() as name}}]}:
                found["column"].add(name)
            case "A_Indirection", {"indirection": list() as parts}:
                fields = (part.get("String", {}).get("sval") for part in parts)
                found["column"].update(field for field in fields if field)
    with_names = frozenset(found.pop("with"))
    return Names(*(frozenset(one) for one in found.values())), with_names


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without_positions(tree: object) -> object:
    if isinstance(tree, dict):
        return {
            name: _without_positions(inner)
            for name, inner in tree.items()
            if not _POSITION.search(name)
        }
    if isinstance(tree, list):
        return [_without_positions(inner) for inner in tree]
    return tree
