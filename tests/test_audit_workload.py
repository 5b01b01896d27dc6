"""What a Workload says against indexes: the fault, its fix, the tempting wrong fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from fluxlab.dataset.load import TEMPLATE, Dataset
from fluxlab.errors import FluxlabError
from fluxlab.indexes.audit import AuditFinding
from fluxlab.indexes.audit_workload import RULES, audit_predicates, audit_statements
from fluxlab.indexes.column_uses import Use, read_column_uses
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.planner import Question
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.workload.catalogue import load_file
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query

TABLE = """
create table orders (
    id int primary key, customer int, placed timestamptz, state text, email text, note text
);
insert into orders
    select n, n % 50, timestamptz '2025-01-01' + n * interval '1 hour', 'done', n::text, ''
    from generate_series(1, 500) as n;
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A rule, the statements and the index that are at fault, and two ways on."""

    slug: str
    statements: tuple[str, ...]
    index: str
    right: str
    wrong: str
    has_fix: bool = False

    def __str__(self) -> str:
        return self.slug


CASES = (
    Case(
        "predicate_never_implied",
        ("select id from orders where customer = 3 and state = 'done'",),
        "create index orders_some on orders (customer) where state = 'failed'",
        right="drop index orders_some; "
        "create index on orders (customer) where state = 'done'",
        wrong="drop index orders_some; "
        "create index on orders (customer, state) where note is not null",
        has_fix=True,
    ),
    Case(
        "range_before_equality",
        ("select id from orders o where o.placed > '2025-01-03' and customer = 3",),
        "create index orders_some on orders (placed, customer)",
        right="drop index orders_some; create index on orders (customer, placed)",
        wrong="create index on orders (customer)",
    ),
    Case(
        "unnamed_key",
        ("select id from orders where customer = 3 order by placed",),
        "create index orders_some on orders (note)",
        right="drop index orders_some; create index on orders (customer) include (note)",
        wrong="drop index orders_some; create index on orders (customer, note)",
        has_fix=True,
    ),
    Case(
        "updated_key",
        ("update orders set state = 'done' where id = 3",),
        "create index orders_some on orders (customer, state)",
        right="drop index orders_some; create index on orders (customer)",
        wrong="drop index orders_some; "
        "create index on orders (customer) where state = 'new'",
    ),
    Case(
        "lowered_lookup",
        ("select id from orders where lower(email) = 'ann'",),
        "create index orders_some on orders (email)",
        right="create index on orders (lower(email))",
        wrong="create unique index on orders (email)",
        has_fix=True,
    ),
)


@pytest.fixture(scope="module")
def opened(postgres: PostgresServer, template: Dataset) -> Iterator[psycopg.Connection]:
    with (
        scratch(postgres, "audit_test", TEMPLATE) as name,
        connect(postgres, name) as connection,
    ):
        yield connection


@pytest.fixture
def connection(opened: psycopg.Connection) -> Iterator[psycopg.Connection]:
    run(opened, TABLE)
    yield opened
    run(opened, "drop table orders")


def run(connection: psycopg.Connection, sql: str) -> None:
    for statement in sql.split(";"):
        if statement.strip():
            connection.execute(statement.encode())


def queries(folder: Path, statements: tuple[str, ...]) -> list[Query]:
    blocks = [
        f"-- name: query_{number}\n-- what: A query.\n-- weight: 1\n{statement};\n"
        for number, statement in enumerate(statements, start=1)
    ]
    path = folder / "area.sql"
    path.write_text("\n".join(blocks))
    return load_file(path)


def found(
    connection: psycopg.Connection, case: Case, folder: Path
) -> tuple[AuditFinding, ...]:
    asked = queries(folder, case.statements)
    questions = [Question(one, ParameterSet(one.name, "typical", ())) for one in asked]
    findings = (
        *audit_statements(connection, asked),
        *audit_predicates(connection, questions),
    )
    return tuple(one for one in findings if one.slug == case.slug)


def test_every_rule_on_a_workload_has_a_case() -> None:
    assert {case.slug for case in CASES} == {rule.slug for rule in RULES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_fires_on_its_fault(
    connection: psycopg.Connection, case: Case, tmp_path: Path
) -> None:
    run(connection, case.index)

    (finding,) = found(connection, case, tmp_path)

    assert finding.object == ("orders" if case.slug == "lowered_lookup" else "orders_some")
    assert finding.sentence.endswith(".")
    assert finding.advice.endswith(".")
    assert (finding.fix is not None) == case.has_fix


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_is_silent_after_the_right_fix_and_not_after_the_wrong_one(
    connection: psycopg.Connection, case: Case, tmp_path: Path
) -> None:
    run(connection, case.index)
    run(connection, case.wrong)
    assert found(connection, case, tmp_path)

    run(connection, "drop table orders")
    run(connection, TABLE)
    run(connection, case.index)
    run(connection, case.right)
    assert found(connection, case, tmp_path) == ()


@pytest.mark.parametrize("case", [case for case in CASES if case.has_fix], ids=str)
def test_the_fix_that_is_offered_silences_the_rule(
    connection: psycopg.Connection, case: Case, tmp_path: Path
) -> None:
    run(connection, case.index)
    (finding,) = found(connection, case, tmp_path)

    run(connection, finding.fix or "")

    assert found(connection, case, tmp_path) == ()
    if finding.undo:
        run(connection, finding.undo)
        assert found(connection, case, tmp_path)


def test_a_predicate_that_is_implied_is_seen_although_another_index_is_better(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    run(connection, "create index on orders (customer) where placed is not null")
    run(connection, "create index on orders (placed, customer, id)")
    (query,) = queries(
        tmp_path, ("select id from orders where placed = '2025-01-02' and customer = 2",)
    )

    questions = [Question(query, ParameterSet(query.name, "typical", ()))]

    assert audit_predicates(connection, questions) == ()


def test_predicates_are_tried_in_a_scratch_copy_only(
    postgres: PostgresServer, module_database: str, tmp_path: Path
) -> None:
    (query,) = queries(tmp_path, ("select id from users where email = 'x'",))
    with connect(postgres, module_database) as connection:
        connection.execute("create index on users (email) where name = 'x'")
        with pytest.raises(FluxlabError, match="scratch"):
            audit_predicates(
                connection, [Question(query, ParameterSet(query.name, "typical", ()))]
            )


def test_a_range_in_one_subquery_is_not_mixed_with_an_equality_in_another(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    run(connection, "create index on orders (placed, customer)")
    statement = """select id from orders where placed > '2025-01-03'
        union all select id from orders where customer = 3"""

    assert audit_statements(connection, queries(tmp_path, (statement,))) == ()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "select 1 from t where a = $1 and b in (1, 2)",
            {("t", "a", "equal"), ("t", "b", "equal")},
        ),
        ("select 1 from t where a between 1 and 2", {("t", "a", "range")}),
        ("select 1 from t where 3 < a", {("t", "a", "range")}),
        ("select 1 from t where a = any ($1)", {("t", "a", "equal")}),
        ("select 1 from t where a = 1 or b = 2", set()),
        ("select 1 from t where not a = 1", set()),
        ("select 1 from t where lower(a) = 'x'", {("t", "a", "lower")}),
        (
            "select 1 from t x join s on x.a = s.c",
            {("t", "a", "equal"), ("s", "c", "equal")},
        ),
        ("select 1 from t, s where same = 1", set()),
        ("select 1 from t, s where s.same = 1", {("s", "same", "equal")}),
        ("select count(*) filter (where a = 1) from t", set()),
        ("delete from t where a = 1", {("t", "a", "equal")}),
        (
            "select 1 from t where a = 1 and exists (select from s where c > 2)",
            {("t", "a", "equal"), ("s", "c", "range")},
        ),
    ],
)
def test_conditions_are_read_with_the_table_of_their_column(
    statement: str, expected: set[tuple[str, str, str]]
) -> None:
    columns = {"t": frozenset({"a", "b", "same"}), "s": frozenset({"c", "same"})}

    uses = read_column_uses(statement, columns)

    assert {(use.table, use.column, use.kind) for use in uses.conditions} == expected
    assert all(isinstance(use, Use) for use in uses.conditions)


def test_what_an_update_and_a_conflict_change_is_read() -> None:
    update = read_column_uses("update t set a = b + 1 where c = 1", {})
    insert = read_column_uses(
        "insert into t (a) values (1) on conflict (a) do update set b = excluded.b", {}
    )

    assert update.changed == {("t", "a")}
    assert update.named == {"b", "c"}
    assert insert.changed == {("t", "b")}
