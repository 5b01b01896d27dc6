"""IndexDef: an index definition as a value, read from DDL and written back exactly.

Expressions are kept as PostgreSQL's own parser prints them, so that two spellings of one
expression are one text. What only the server knows (which operator class is the default,
which cast it adds) `fluxlab.indexes.known.settled` asks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import psycopg
from pglast import ast, parse_sql
from pglast.enums import CoercionForm, SortByDir, SortByNulls
from pglast.parser import (
    ParseError,
    deparse_protobuf,
    parse_sql_protobuf,
    split,
)

from fluxlab.errors import FluxlabError
from fluxlab.indexes import likeness
from fluxlab.indexes.pieces import pieces
from fluxlab.plans.rules.expressions import quoted

#: PostgreSQL cuts names off there.
LONGEST_NAME_BYTES = 63


_INDEXES = """
select
    pg_get_indexdef(index.indexrelid),
    tablespace.spcname,
    index.indexrelid,
    case index_class.relkind
        when 'i' then pg_relation_size(index.indexrelid)
        else (  -- of a partitioned table
            select sum(pg_relation_size(relid))
            from pg_partition_tree(index.indexrelid)
        )
    end::bigint,
    index.indisvalid and index.indisready and index.indislive,
    exists (
        select
        from pg_constraint
        where conindid = index.indexrelid
            and contype in ('p', 'u', 'x')  -- primary key, unique, exclusion
    )
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_namespace as namespace
    on namespace.oid = index_class.relnamespace
left join pg_tablespace as tablespace
    on tablespace.oid = index_class.reltablespace
where namespace.nspname not in ('pg_catalog', 'information_schema')
    and namespace.nspname !~ '^pg_(toast|temp)'
    and (%(table)s::regclass is null or index.indrelid = %(table)s::regclass)
order by index.indrelid::regclass::text, index_class.relname
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: a column by its bare name, or an expression as SQL; and its order.

    `opclass` and `collation` are SQL, None for the column's own. `nulls_first` says where
    nulls stand, also where that is the default: first with DESC, last without.
    """

    expression: str
    is_expression: bool = False
    opclass: str | None = None
    collation: str | None = None
    is_descending: bool = False
    nulls_first: bool = False

    @property
    def sql(self) -> str:
        """The key as CREATE INDEX takes it, with what differs from the default.

        >>> Key("lower(name)", is_expression=True, is_descending=True).sql
        'lower(name) desc nulls last'
        """
        words = [self.target]
        if self.collation:
            words.append(f"collate {self.collation}")
        if self.opclass:
            words.append(self.opclass)
        if self.is_descending:
            words.append("desc")
        if self.nulls_first != self.is_descending:
            words.append("nulls first" if self.nulls_first else "nulls last")
        return " ".join(words)

    @property
    def target(self) -> str:
        """The column or expression as CREATE INDEX takes it."""
        if not self.is_expression:
            return quoted(self.expression)
        return self.expression if _is_call(self.expression) else f"({self.expression})"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDef:
    """What CREATE INDEX says; names are bare, `predicate` is SQL.

    `schema` is the table's, None where the search path decides. `options` are storage
    parameters in their order. `is_only` says that partitions are left out.
    """

    name: str
    table: str
    keys: tuple[Key, ...]
    schema: str | None = None
    method: str = "btree"
    included: tuple[str, ...] = ()
    predicate: str | None = None
    is_unique: bool = False
    nulls_not_distinct: bool = False
    options: tuple[tuple[str, str], ...] = ()
    tablespace: str | None = None
    is_only: bool = False

    def ddl(self, *, concurrently: bool = False, if_not_exists: bool = False) -> str:
        """Return the CREATE INDEX statement, which `parse_index` reads back exactly.

        >>> print(IndexDef(name="i", table="files", keys=(Key("id"),)).ddl())
        create index i on files (id)
        """
        words = ["create unique index" if self.is_unique else "create index"]
        if concurrently:
            words.append("concurrently")
        if if_not_exists:
            words.append("if not exists")
        words += [quoted(self.name), "on only" if self.is_only else "on", self.relation]
        if self.method != "btree":
            words.append(f"using {quoted(self.method)}")
        words.append(f"({', '.join(key.sql for key in self.keys)})")
        return " ".join([*words, *self._clauses()])

    def _clauses(self) -> Iterator[str]:
        if self.included:
            yield f"include ({', '.join(quoted(name) for name in self.included)})"
        if self.nulls_not_distinct:
            yield "nulls not distinct"
        if self.options:
            yield f"with ({', '.join(_option(*one) for one in self.options)})"
        if self.tablespace:
            yield f"tablespace {quoted(self.tablespace)}"
        if self.predicate:
            yield f"where {self.predicate}"

    def undo(self, *, concurrently: bool = False) -> str:
        """Return the DROP INDEX statement; it does nothing where there is no such index."""
        how = "concurrently " if concurrently else ""
        return f"drop index {how}if exists {self.qualified_name}"

    def __repr__(self) -> str:
        return f"<IndexDef: {self.ddl()}>"

    @property
    def qualified_name(self) -> str:
        """The index's name as SQL; its schema is always the table's."""
        return (
            f"{quoted(self.schema)}.{quoted(self.name)}"
            if self.schema
            else quoted(self.name)
        )

    @property
    def relation(self) -> str:
        """The table as SQL."""
        table = quoted(self.table)
        return f"{quoted(self.schema)}.{table}" if self.schema else table

    def same_as(self, other: IndexDef) -> bool:
        """Whether both define one index, but for its name; see `indexes.likeness`."""
        return likeness.is_same(self, other)

    def subsumes(self, other: IndexDef) -> bool:
        """Whether this index can do for a read whatever the other can.

        See `indexes.likeness` for what that takes.
        """
        return likeness.does_subsume(self, other)

    @property
    def families(self) -> tuple[str, ...]:
        """Every family it belongs to, the one that marks it most first.

        >>> parse_index("create index i on t (a, b desc) where c").families
        ('partial', 'composite', 'descending')
        """
        found = {
            self.method: self.method != "btree",
            "expression": any(key.is_expression for key in self.keys),
            "partial": self.predicate is not None,
            "covering": bool(self.included),
            "unique": self.is_unique,
            "composite": len(self.keys) > 1,
            "descending": any(key.is_descending for key in self.keys),
        }
        return tuple(name for name, is_so in found.items() if is_so) or ("single",)

    @property
    def family(self) -> str:
        """The family that marks it most: gin before partial, partial before composite."""
        return self.families[0]


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An index that a database has: its definition and what else the catalog says.

    `size_bytes` is on disk. One that is not valid is being built, or was left behind.
    `is_constraint`: a primary key, a unique or an exclusion constraint is made of it.
    """

    definition: IndexDef
    oid: int
    size_bytes: int
    is_valid: bool
    is_constraint: bool


def parse_index(ddl: str) -> IndexDef:
    """Read one CREATE INDEX statement; one without a name gets one like
    PostgreSQL's.

    Raises FluxlabError for anything else.
    """
    found = parse_indexes(ddl)
    if len(found) != 1:
        raise FluxlabError(
            f"There are {len(found)} statements where one CREATE INDEX was expected.",
            "Give one, or read them with parse_indexes().",
        )
    return found[0]


def parse_indexes(sql: str) -> tuple[IndexDef, ...]:
    """Read any number of CREATE INDEX statements, in their order.

    Raises FluxlabError for text that PostgreSQL's parser refuses, and for any other
    statement.
    """
    try:
        return tuple(_parse(statement) for statement in split(sql))
    except ParseError as error:
        raise FluxlabError(
            f"This is not SQL: {error.args[0]}.", "Correct the CREATE INDEX statement."
        ) from None


def read_indexes(
    connection: psycopg.Connection, table: str | None = None
) -> tuple[KnownIndex, ...]:
    """Read every index of the database, or of one `table` (as SQL), by table and name."""
    rows = connection.execute(_INDEXES, {"table": table}).fetchall()
    return tuple(
        KnownIndex(replace(_from_catalog(ddl), tablespace=tablespace), *facts)
        for ddl, tablespace, *facts in rows
    )


def _from_catalog(ddl: str) -> IndexDef:
    # The server says ONLY of every index on a partitioned table.
    return replace(parse_index(ddl), is_only=False)


@lru_cache(maxsize=2048)
def _parse(statement: str) -> IndexDef:
    # Printed anew by the parser's own printer: then every index is written alike.
    text = deparse_protobuf(parse_sql_protobuf(statement))
    (raw,) = parse_sql(text)
    node = raw.stmt
    if not isinstance(node, ast.IndexStmt):
        raise FluxlabError(
            f"{' '.join(statement.split())[:60]} … is not a CREATE INDEX.",
            "Leave only CREATE INDEX statements.",
        )
    assert node.relation is not None
    texts, predicate = pieces(text)
    keys = tuple(map(_key, node.indexParams or (), texts))
    table = str(node.relation.relname)
    included = tuple(str(one.name) for one in node.indexIncludingParams or ())
    return IndexDef(
        name=node.idxname or _default_name(table, keys, included),
        table=table,
        schema=node.relation.schemaname,
        method=str(node.accessMethod),
        keys=keys,
        included=included,
        predicate=predicate,
        is_unique=bool(node.unique),
        nulls_not_distinct=bool(node.nulls_not_distinct),
        options=tuple(_setting(one) for one in node.options or ()),
        tablespace=node.tableSpace,
        is_only=not node.relation.inh,
    )


def _key(element: ast.IndexElem, text: str) -> Key:
    is_descending = element.ordering == SortByDir.SORTBY_DESC
    is_default = element.nulls_ordering == SortByNulls.SORTBY_NULLS_DEFAULT
    column = element.name or _column(element.expr)
    return Key(
        expression=column or text,
        is_expression=not column,
        opclass=_opclass(element),
        collation=_name(element.collation),
        is_descending=is_descending,
        nulls_first=is_descending
        if is_default
        else element.nulls_ordering == SortByNulls.SORTBY_NULLS_FIRST,
    )


def _column(node: ast.Node | None) -> str | None:
    """Return the column that stands alone in parentheses, as the server sees it too."""
    if isinstance(node, ast.ColumnRef) and len(node.fields or ()) == 1:
        (field,) = node.fields or ()
        return str(field.sval)
    return None


def _opclass(element: ast.IndexElem) -> str | None:
    name = _name(element.opclass)
    if name and element.opclassopts:
        settings = ", ".join(_option(*_setting(one)) for one in element.opclassopts)
        return f"{name} ({settings})"
    return name


def _name(parts: tuple[ast.String, ...] | None) -> str | None:
    return ".".join(quoted(str(part.sval)) for part in parts) if parts else None


def _setting(option: ast.DefElem) -> tuple[str, str]:
    value = option.arg
    if value is None:
        return str(option.defname), "true"
    if isinstance(value, ast.TypeName):
        return str(option.defname), str((value.names or ())[-1].sval)
    for field in ("sval", "ival", "fval", "boolval"):
        if hasattr(value, field):
            return str(option.defname), str(getattr(value, field))
    return str(option.defname), str(value)


def _option(name: str, value: str) -> str:
    is_number = value.isascii() and value.isdigit() and str(int(value)) == value
    literal = "'" + value.replace("'", "''") + "'"
    return f"{quoted(name)} = {value if is_number and len(value) < 10 else literal}"


def _default_name(table: str, keys: tuple[Key, ...], included: tuple[str, ...]) -> str:
    """Return the name that PostgreSQL gives an index without one, if nobody has it."""
    parts = ["expr" if key.is_expression else key.expression for key in keys]
    stem = "_".join([table, *parts, *included]).encode()
    return stem[: LONGEST_NAME_BYTES - 4].decode(errors="ignore") + "_idx"


@lru_cache(maxsize=1024)
def _is_call(expression: str) -> bool:
    """Whether an expression stands in an index without parentheses around it."""
    try:
        (raw,) = parse_sql(f"select {expression}")
    except (ParseError, ValueError):
        return False
    assert isinstance(raw.stmt, ast.SelectStmt)
    node = (raw.stmt.targetList or ())[0].val
    if isinstance(node, ast.FuncCall):
        return node.funcformat == CoercionForm.COERCE_EXPLICIT_CALL
    return isinstance(node, ast.CoalesceExpr)
