"""The Audit: what the catalog of a database says against its own indexes.

Every rule is one question of `sql/audit/`. They are asked in one read-only transaction,
which waits for no lock, on any PostgreSQL from 13 on. A rule that the server refuses to
answer is *not asked*: its silence means nothing, and the Audit says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import pandas as pd
import psycopg
from psycopg.rows import class_row

from fluxlab.errors import FluxlabError
from fluxlab.indexes.audit_rules import AuditRule, fill
from fluxlab.plans.findings import WEIGHTS, Weight

#: Every table and index of users: what it weighs with its partitions, whose it is, and
#: whether this account may know its statistics.
_RELATIONS = """
select
    namespace.nspname as schema_name,
    class.relname as name,
    coalesce(
        (select sum(pg_table_size(relid))::bigint from pg_partition_tree(class.oid)),
        pg_table_size(class.oid)
    ) as size_bytes,
    exists (
        select
        from pg_depend
        where classid = 'pg_class'::regclass
            and objid = class.oid
            and deptype = 'e'
    ) as is_of_extension,
    class.relkind not in ('r', 'p', 'm') or (
        has_any_column_privilege(class.oid, 'select') and not row_security_active(class.oid)
    ) as is_readable
from pg_class as class
join pg_namespace as namespace
    on namespace.oid = class.relnamespace
where class.relkind in ('r', 'p', 'm', 'i', 'I')
    and namespace.nspname !~ '^(pg_|information_schema$)'
"""
_LOCK_TIMEOUT = "2s"
Evidence = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A fact about an index, a constraint or a table that deserves a decision.

    `size_bytes` is what stands to gain: the index, or the table that is read without one.
    `fix` is SQL that runs as it is, outside a transaction, and `undo` takes it back.
    """

    rule: str
    slug: str
    title: str
    weight: Weight
    schema: str
    table: str
    object: str
    object_type: str
    sentence: str
    advice: str
    size_bytes: int
    evidence: Evidence
    fix: str | None = None
    undo: str | None = None

    def __repr__(self) -> str:
        return f"<AuditFinding {self.rule} {self.slug} ({self.weight}): {self.sentence}>"


@dataclass(frozen=True, slots=True)
class Unasked:
    """A rule that was not answered, or not for every table, and why."""

    rule: str
    slug: str
    reason: str


@dataclass(frozen=True)
class Audit:
    """All findings on one database, the weightiest and largest first.

    `asked` are the slugs of the rules that were answered.
    """

    database: str
    version: int
    asked: tuple[str, ...]
    unasked: tuple[Unasked, ...]
    findings: tuple[AuditFinding, ...]

    def of_index(self, name: str) -> tuple[AuditFinding, ...]:
        """Return what is found of an index; its schema stands before it, or does not."""
        return tuple(
            one
            for one in self.findings
            if one.object_type == "index"
            and name in (one.object, f"{one.schema}.{one.object}")
        )

    def of_table(self, name: str) -> tuple[AuditFinding, ...]:
        """Return what is found of a table, its indexes and its foreign keys."""
        return tuple(
            one for one in self.findings if name in (one.table, f"{one.schema}.{one.table}")
        )

    def of_rule(self, name: str) -> tuple[AuditFinding, ...]:
        """Return what a rule found, by its number or its slug."""
        return tuple(one for one in self.findings if name in (one.rule, one.slug))

    def by_index(self) -> Mapping[str, tuple[AuditFinding, ...]]:
        """Return the findings of each index that has any, by `schema.index`."""
        names = dict.fromkeys(
            f"{one.schema}.{one.object}"
            for one in self.findings
            if one.object_type == "index"
        )
        return {name: self.of_index(name) for name in names}

    def weighs(self, least: Weight) -> bool:
        """Whether a finding weighs as much as `least`, or more."""
        heavy = WEIGHTS[: WEIGHTS.index(least) + 1]
        return any(one.weight in heavy for one in self.findings)

    def joined(self, slugs: Iterable[str], findings: Iterable[AuditFinding]) -> Audit:
        """Return this Audit with what other rules found, such as those on a Workload."""
        return replace(
            self,
            asked=(*self.asked, *slugs),
            findings=tuple(sorted((*self.findings, *findings), key=_rank)),
        )

    def frame(self) -> pd.DataFrame:
        """Return one row per finding: rule, weight, table, object, bytes, sentence, fix."""
        columns = (
            "rule",
            "slug",
            "weight",
            "schema",
            "table",
            "object",
            "size_bytes",
            "sentence",
            "fix",
        )
        rows = [{name: getattr(one, name) for name in columns} for one in self.findings]
        return pd.DataFrame(rows, columns=list(columns))

    def as_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[AuditFinding]:
        return iter(self.findings)

    def __repr__(self) -> str:
        weights = Counter(one.weight for one in self.findings)
        counts = ", ".join(f"{weights[one]} {one}" for one in WEIGHTS if weights[one])
        indexes = len(self.by_index())
        return (
            f"<Audit of {self.database}, PostgreSQL {self.version // 10_000}: "
            f"{len(self)} findings ({counts or 'none'}) on {indexes} indexes "
            f"by {len(self.asked)} rules, {len(self.unasked)} not asked>"
        )


@dataclass(frozen=True, slots=True)
class _Row:
    schema_name: str
    table_name: str
    object_type: str
    object_name: str
    evidence: dict[str, object]
    fix: str | None
    undo: str | None


@dataclass(frozen=True, slots=True)
class _Relation:
    schema_name: str
    name: str
    size_bytes: int
    is_of_extension: bool
    is_readable: bool


def audit(
    connection: psycopg.Connection,
    rules: Sequence[AuditRule],
    *,
    schema: str | None = None,
) -> Audit:
    """Ask every rule and return what they found, in one schema or in all of users.

    Only reads; what a table of an extension has is not reported. Works inside a transaction
    too, and sees what it sees. Raises FluxlabError where the server is lost on the way.
    """
    version = connection.info.server_version
    asked: list[str] = []
    unasked: list[Unasked] = []
    findings: list[AuditFinding] = []
    with _reading(connection):
        relations = {
            place: one
            for place, one in _read_relations(connection).items()
            if schema in (None, one.schema_name)
        }
        for rule in rules:
            reason = _obstacle(connection, rule, version)
            if reason is None:
                answer, reason = _ask(connection, rule)
                if answer is not None:
                    asked.append(rule.slug)
                    findings += _findings(rule, answer, relations)
                    if rule.reads == "statistics":
                        reason = _hidden_statistics(relations.values())
            if reason is not None:
                unasked.append(Unasked(rule.id, rule.slug, reason))
    return Audit(
        database=connection.info.dbname,
        version=version,
        asked=tuple(asked),
        unasked=tuple(unasked),
        findings=tuple(sorted(findings, key=_rank)),
    )


def _rank(one: AuditFinding) -> tuple[int, int, str, str, str, str]:
    place = WEIGHTS.index(one.weight), -one.size_bytes, one.slug
    return *place, one.schema, one.table, one.object


@contextmanager
def _reading(connection: psycopg.Connection) -> Iterator[None]:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction read only")
            # Names are written with their schema, and no function of users is called.
            connection.execute("set local search_path = pg_catalog")
            connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'".encode())
            yield
    except psycopg.Error as error:
        raise FluxlabError(
            f"The audit could not go on: {_first_line(error)}.",
            "Look at the server, and start it again; nothing was changed.",
        ) from None


def _read_relations(connection: psycopg.Connection) -> dict[tuple[str, str], _Relation]:
    with connection.cursor(row_factory=class_row(_Relation)) as cursor:
        rows = cursor.execute(_RELATIONS).fetchall()
    return {(row.schema_name, row.name): row for row in rows}


def _obstacle(connection: psycopg.Connection, rule: AuditRule, version: int) -> str | None:
    """Return why a rule need not be asked at all."""
    if version < rule.since:
        return f"it concerns PostgreSQL {rule.since // 10_000} and later"
    if rule.reads == "counters" and not _is_counting(connection):
        return "the server counts nothing (track_counts is off)"
    if rule.needs and _schema_of(connection, rule.needs) is None:
        return f"the extension {rule.needs} is not installed in this database"
    return None


def _is_counting(connection: psycopg.Connection) -> bool:
    row = connection.execute("select current_setting('track_counts') = 'on'").fetchone()
    return bool(row and row[0])


def _schema_of(connection: psycopg.Connection, extension: str) -> str | None:
    row = connection.execute(
        "select quote_ident(nspname) from pg_extension "
        "join pg_namespace on pg_namespace.oid = extnamespace where extname = %s",
        (extension,),
    ).fetchone()
    return None if row is None else str(row[0])


def _ask(
    connection: psycopg.Connection, rule: AuditRule
) -> tuple[list[_Row] | None, str | None]:
    """Return the answer to a rule, or why there is none."""
    try:
        with (
            connection.transaction(force_rollback=True),
            connection.cursor(row_factory=class_row(_Row)) as cursor,
        ):
            if rule.needs and (place := _schema_of(connection, rule.needs)):
                cursor.execute(f"set local search_path = pg_catalog, {place}".encode())
            return cursor.execute(rule.sql.encode()).fetchall(), None
    except psycopg.errors.InsufficientPrivilege as error:
        return None, f"the account may not: {_first_line(error)}"
    except psycopg.errors.QueryCanceled:
        return None, "the server took too long, and was stopped by its statement_timeout"
    except psycopg.errors.LockNotAvailable:
        return None, f"a table was locked for longer than {_LOCK_TIMEOUT}"
    except psycopg.Error as error:
        if connection.closed:
            raise
        return None, f"the server refuses: {_first_line(error)}"


def _first_line(error: psycopg.Error) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _findings(
    rule: AuditRule, rows: Sequence[_Row], relations: Mapping[tuple[str, str], _Relation]
) -> Iterator[AuditFinding]:
    for row in rows:
        table = relations.get((row.schema_name, row.table_name))
        if table is None or table.is_of_extension:
            continue
        weighed = relations.get((row.schema_name, row.object_name), table)
        size_bytes = weighed.size_bytes if row.object_type == "index" else table.size_bytes
        words: dict[str, object] = {
            "size_bytes": size_bytes,
            **row.evidence,
            "object": row.object_name,
            "table": row.table_name,
        }
        yield AuditFinding(
            rule=rule.id,
            slug=rule.slug,
            title=rule.title,
            weight=rule.weight,
            schema=row.schema_name,
            table=row.table_name,
            object=row.object_name,
            object_type=row.object_type,
            sentence=_sentence(rule, words),
            advice=rule.advice,
            size_bytes=size_bytes,
            evidence=row.evidence,
            fix=row.fix,
            undo=row.undo,
        )


def _sentence(rule: AuditRule, words: Mapping[str, object]) -> str:
    try:
        return fill(rule.finding, words)
    except KeyError as error:
        raise FluxlabError(
            f"{rule.slug}.sql says {{{error.args[0]}}}, which its evidence does not have.",
            f"Use one of {', '.join(words)}.",
        ) from None


def _hidden_statistics(relations: Iterable[_Relation]) -> str | None:
    """Return which tables a rule on statistics is silent about."""
    names = [f"{one.schema_name}.{one.name}" for one in relations if not one.is_readable]
    if not names:
        return None
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"this account may not read the statistics of {', '.join(names[:3])}{more}"
