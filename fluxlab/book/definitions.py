"""CREATE INDEX statements as values that can be compared, read by PostgreSQL's parser."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pglast import ast, parse_sql
from pglast.enums import SortByDir
from pglast.stream import RawStream
from pglast.visitors import Visitor

from fluxlab.errors import FluxlabError


@dataclass(frozen=True, slots=True)
class IndexShape:
    """What an index is made of; a key is None where it is an expression."""

    name: str
    table: str
    method: str
    keys: tuple[str | None, ...]
    is_descending: tuple[bool, ...]
    is_unique: bool
    is_partial: bool
    is_concurrent: bool
    canonical: str

    @property
    def is_composite(self) -> bool:
        """Whether it has two keys or more."""
        return len(self.keys) > 1

    @property
    def is_plain(self) -> bool:
        """Whether it is a whole B-tree on one column."""
        return self.method == "btree" and not self.is_composite and not self.is_partial

    @property
    def short(self) -> str:
        """The definition without its name: how an index differs from others."""
        return self.canonical.partition(" ON ")[2]


class _Unqualify(Visitor):
    """Takes away what two spellings of one index may differ in: schema and casts."""

    def visit_RangeVar(self, ancestors: object, node: ast.RangeVar) -> None:  # noqa: N802
        node.schemaname = None

    def visit_TypeCast(self, ancestors: object, node: ast.TypeCast) -> object:  # noqa: N802
        # 'english'::regconfig is how the server prints the constant 'english'.
        return node.arg if isinstance(node.arg, ast.A_Const) else None


@lru_cache(maxsize=1024)
def read_shape(statement: str) -> IndexShape:
    """Parse one CREATE INDEX, as somebody wrote it or as pg_get_indexdef prints it.

    Raises FluxlabError when it is another statement. Source: manual, CREATE INDEX.
    """
    parsed = parse_sql(statement)
    node = parsed[0].stmt
    if len(parsed) != 1 or not isinstance(node, ast.IndexStmt):
        raise FluxlabError("This is not one CREATE INDEX.", "Pass the statement alone.")
    assert node.relation is not None
    keys = node.indexParams or ()
    is_concurrent, node.concurrent, node.if_not_exists = bool(node.concurrent), False, False
    node.accessMethod = node.accessMethod or "btree"
    _Unqualify()(node)
    return IndexShape(
        name=str(node.idxname),
        table=str(node.relation.relname),
        method=str(node.accessMethod),
        keys=tuple(key.name for key in keys),
        is_descending=tuple(key.ordering == SortByDir.SORTBY_DESC for key in keys),
        is_unique=bool(node.unique),
        is_partial=node.whereClause is not None,
        is_concurrent=is_concurrent,
        canonical=" ".join(RawStream()(node).split()),
    )
