"""What the server says of the tables of a plan, and that asking changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from rule_cases import fresh_schema, run

from fluxlab.errors import FluxlabError
from fluxlab.plans.asking import QUESTION, read_surroundings
from fluxlab.plans.explain import explain
from fluxlab.plans.foreign import Asked, explain_safely
from fluxlab.plans.surroundings import KnownTable
from fluxlab.servers.connections import connect_foreign, uri
from fluxlab.servers.postgres import PostgresServer

TABLES = """
create table "Order" (
    id int primary key,
    kind text not null,
    "Price" numeric,
    name varchar(20) collate "C",
    note text
);
insert into "Order" (id, kind, "Price", name)
select number, 'k' || number % 10, 9.5, 'n' || number
from generate_series(1, 2000) as numbers (number);
create index by_kind on "Order" (kind, lower(name)) include ("Price") where id > 5;
create index on "Order" using hash (name);
vacuum analyze "Order";
delete from "Order" where id <= 100;
"""

STATEMENT = 'select kind, "Price" from "Order" where kind = \'k1\''

PARALLEL = """
set max_parallel_workers_per_gather = 2;
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
set min_parallel_index_scan_size = 0;
"""


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with fresh_schema(postgres, module_database) as opened:
        run(opened, TABLES)
        yield opened


def order(connection: psycopg.Connection, statement: str = STATEMENT) -> KnownTable:
    plan = explain(connection, statement)
    table = read_surroundings(connection, plan).table("Order")
    assert table is not None
    return table


def test_rows_are_those_of_the_planner_and_of_the_counters(
    connection: psycopg.Connection,
) -> None:
    table = order(connection)

    assert table.rows == 2_000
    assert table.pages > 5
    assert (table.live_rows, table.dead_rows) == (1_900, 100)
    assert table.modified_rows == 100
    assert table.is_analyzed


def test_columns_have_their_types_and_statistics(connection: psycopg.Connection) -> None:
    columns = order(connection).columns

    assert list(columns) == ["id", "kind", "Price", "name", "note"]
    assert columns["name"].type == "character varying(20)"
    assert columns["name"].collation == "C"
    assert columns["id"].collation is None
    assert columns["id"].n_distinct == -1
    assert columns["id"].correlation == 1
    assert columns["kind"].n_distinct == 10
    assert columns["note"].null_share == 1


def test_indexes_have_their_keys_in_order(connection: psycopg.Connection) -> None:
    indexes = {index.name: index for index in order(connection).indexes}
    by_kind, primary = indexes["by_kind"], indexes["Order_pkey"]

    assert by_kind.method == "btree"
    assert by_kind.keys == ("kind", "lower(name::text)")
    assert by_kind.included == ('"Price"',)
    assert by_kind.predicate == "id > 5"
    assert not by_kind.is_unique
    assert by_kind.size_bytes > 8_192
    assert indexes["Order_name_idx"].method == "hash"
    assert (primary.keys, primary.is_unique, primary.included) == (("id",), True, ())


def test_an_index_that_the_planner_may_not_use_is_left_out(
    connection: psycopg.Connection,
) -> None:
    connection.execute("insert into \"Order\" (id, kind) values (9999, 'k10')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute('create unique index concurrently broken on "Order" (kind)')

    assert "broken" not in {index.name for index in order(connection).indexes}


def test_counts_go_on_after_updates(connection: psycopg.Connection) -> None:
    run(connection, 'alter table "Order" set (fillfactor = 50); vacuum full "Order"')
    run(connection, "update \"Order\" set note = 'x' where id < 301")

    table = order(connection)

    assert table.updates == 200
    assert 0 < table.hot_updates <= 200


def test_a_table_that_was_never_analysed_says_so(connection: psycopg.Connection) -> None:
    run(connection, "create table fresh as select 1 as id")
    plan = explain(connection, "select * from fresh")

    fresh = read_surroundings(connection, plan).table("fresh")

    assert fresh is not None
    assert not fresh.is_analyzed
    assert fresh.rows == 0


def test_the_schema_of_a_verbose_plan_is_where_its_table_is_looked_up(
    connection: psycopg.Connection,
) -> None:
    (home,) = connection.execute("select current_schema").fetchone() or ("",)
    run(connection, f"create schema {home}_more")
    try:
        run(connection, f'create table {home}_more."Order" as select 1 as other')
        statement = f'select * from {home}_more."Order"'
        verbose = explain_safely(connection, statement, (), Asked(verbose=True))

        elsewhere = read_surroundings(connection, verbose).table("Order")

        assert elsewhere is not None
        assert list(elsewhere.columns) == ["other"]
        assert order(connection).schema == home
    finally:
        run(connection, f"drop schema {home}_more cascade")


def test_every_partition_of_a_plan_is_described(connection: psycopg.Connection) -> None:
    run(
        connection,
        """
        create table logs (id int) partition by range (id);
        create table logs_a partition of logs for values from (0) to (10);
        create table logs_b partition of logs for values from (10) to (20);
        """,
    )

    known = read_surroundings(connection, explain(connection, "select * from logs"))

    assert set(known.tables) == {"logs_a", "logs_b"}


def test_the_statement_is_planned_without_sequential_scans(
    connection: psycopg.Connection,
) -> None:
    statement = 'select note from "Order" where id between 1 and 1900'
    plan = explain(connection, statement)
    assert plan.root.kind == "Seq Scan"

    known = read_surroundings(connection, plan, statement)

    assert set(known.alternatives) == {"no_seqscan"}
    assert known.alternatives["no_seqscan"].indexes == ("Order_pkey",)
    assert known.statement == statement
    assert explain(connection, statement).shape == plan.shape


def test_a_statement_with_parameters_has_a_generic_plan(
    connection: psycopg.Connection,
) -> None:
    statement = 'select note from "Order" where id > $1'
    plan = explain(connection, statement, [1], analyze=True)

    with_values = read_surroundings(connection, plan, statement, [1])
    without = read_surroundings(connection, plan, statement)

    assert set(with_values.alternatives) == {"no_seqscan", "generic"}
    assert "$1" in str(with_values.alternatives["generic"].root.conditions)
    # The plan of any values is no alternative to one that was made for these.
    assert set(without.alternatives) == {"generic"}


def test_a_plan_with_workers_is_planned_without_them(
    connection: psycopg.Connection,
) -> None:
    statement = 'select count(*) from "Order"'
    run(connection, PARALLEL)
    plan = explain(connection, statement)
    assert "Gather" in {node.kind for node in plan.nodes}

    serial = read_surroundings(connection, plan, statement).alternatives["serial"]

    assert "Gather" not in {node.kind for node in serial.nodes}
    assert not serial.is_analyzed
    assert explain(connection, statement).shape == plan.shape


def test_a_statement_is_planned_for_further_values(connection: psycopg.Connection) -> None:
    statement = 'select note from "Order" where kind = $1'
    plan = explain(connection, statement, ["k1"])
    others = {"rare": ["k7"], "absent": ["none"]}

    known = read_surroundings(connection, plan, statement, ["k1"], other_values=others)

    assert set(known.alternatives) >= {"generic", "custom rare", "custom absent"}
    conditions = known.alternatives["custom absent"].root.conditions
    assert "'none'" in str(conditions)


@pytest.mark.parametrize(
    "statement", ["select 1; select 2", "nonsense", "select * from no"]
)
def test_a_statement_that_cannot_be_planned_has_no_alternatives(
    connection: psycopg.Connection, statement: str
) -> None:
    known = read_surroundings(connection, explain(connection, STATEMENT), statement)

    assert known.alternatives == {}
    assert "Order" in known.tables


def test_asking_executes_nothing_and_leaves_the_session_as_it_was(
    connection: psycopg.Connection,
) -> None:
    plan = explain(connection, STATEMENT)
    settings = "select name, setting from pg_settings where source = 'session'"
    before = connection.execute(settings).fetchall()

    read_surroundings(connection, plan, 'delete from "Order"')

    assert connection.execute(settings).fetchall() == before
    assert connection.execute('select count(*) from "Order"').fetchone() == (1_900,)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_it_asks_inside_a_transaction_of_the_caller(connection: psycopg.Connection) -> None:
    with connection.transaction():
        run(connection, "update \"Order\" set note = 'kept' where id = 500")
        table = order(connection)
        run(connection, "update \"Order\" set kind = 'kept' where id = 500")

    assert table.rows == 2_000
    kept = connection.execute('select note, kind from "Order" where id = 500').fetchone()
    assert kept == ("kept", "kept")


def test_a_session_in_a_failed_transaction_is_an_error_that_says_so(
    connection: psycopg.Connection,
) -> None:
    plan = explain(connection, STATEMENT)
    connection.execute("begin")
    with pytest.raises(psycopg.Error):
        connection.execute("select * from nowhere")

    with pytest.raises(FluxlabError, match="failed transaction"):
        read_surroundings(connection, plan, STATEMENT)
    connection.execute("rollback")


def test_an_account_without_rights_learns_what_everybody_may_know(
    connection: psycopg.Connection,
) -> None:
    plan = explain(connection, STATEMENT)
    (schema,) = connection.execute("select current_schema").fetchone() or ("",)
    run(
        connection, f"create role asking_{schema}; grant usage on schema {schema} to public"
    )
    try:
        connection.execute(f"set role asking_{schema}".encode())

        table = read_surroundings(connection, plan, STATEMENT).table("Order")
    finally:
        run(connection, f"reset role; drop role asking_{schema}")

    assert table is not None
    assert table.rows == 2_000
    assert len(table.indexes) == 3
    assert table.columns["kind"].type == "text"
    # Statistics show values, so they need the right to read the column.
    assert table.columns["kind"].n_distinct is None
    assert table.is_analyzed


def test_a_session_that_can_only_read_is_enough(
    connection: psycopg.Connection, postgres: PostgresServer
) -> None:
    plan = explain_safely(connection, STATEMENT, (), Asked(verbose=True))

    with connect_foreign(uri(postgres, connection.info.dbname)) as foreign:
        table = read_surroundings(foreign, plan).table("Order")
        assert foreign.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    assert table is not None
    assert table.rows == 2_000


def test_the_question_runs_by_itself_and_names_every_visible_table(
    connection: psycopg.Connection,
) -> None:
    rows = connection.execute(QUESTION.read_bytes()).fetchall()

    assert [row[0] for row in rows] == ["Order"]


def test_a_plan_without_tables_asks_for_none(connection: psycopg.Connection) -> None:
    assert read_surroundings(connection, explain(connection, "select 1")).tables == {}
