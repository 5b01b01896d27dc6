"""Where the audit must say nothing, or say it right: what other tools get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from audit_cases import audited, fresh_schema, run, schema_of
from audit_sound import PARTITIONED, PARTITIONED_TABLE, QUIET, QUIET_SETUP, SOUND

from fluxlab.errors import FluxlabError
from fluxlab.indexes.audit import audit
from fluxlab.indexes.audit_rules import choose_rules, load_rules
from fluxlab.servers.connections import connect, connect_foreign, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

RULES = load_rules(ROOT / "sql" / "audit")
#: The rules that call one index superfluous because of another.
REDUNDANT = ("H01", "H02", "H03", "reversed_twin", "H06", "H38")
ITEMS = """
create table items (
    id int primary key, email text, kind text, made timestamptz, is_open boolean,
    parent_id int
);
"""


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with fresh_schema(postgres, module_database) as opened:
        yield opened


@pytest.mark.parametrize(
    "indexes",
    [
        pytest.param(
            "create index on items (kind) where is_open; "
            "create index on items (kind) where not is_open",
            id="two partial indexes of different rows",
        ),
        pytest.param(
            "create index on items (kind) where is_open; "
            "create index on items (kind, made) where kind = 'a'",
            id="a longer partial index of other rows",
        ),
        pytest.param(
            "create index on items (kind); "
            "create index on items (kind, made) where is_open",
            id="a whole index beside a longer partial one",
        ),
        pytest.param(
            "create index on items (kind); create index on items (kind text_pattern_ops)",
            id="two operator classes",
        ),
        pytest.param(
            'create index on items (kind); create index on items (kind collate "POSIX")',
            id="two collations",
        ),
        pytest.param(
            "create index on items (kind, made); create index on items (kind, made desc)",
            id="a direction in the middle of an order",
        ),
        pytest.param(
            "create index on items (kind, made desc); "
            "create index on items (kind, made, id)",
            id="a prefix in other directions",
        ),
        pytest.param(
            "create index on items (made desc nulls last); create index on items (made)",
            id="nulls at the other end",
        ),
        pytest.param(
            "create unique index on items (email); "
            "create unique index on items (email, kind)",
            id="a unique index that forbids more than the longer one",
        ),
        pytest.param(
            "create unique index on items (email); "
            "create index on items (email) include (kind)",
            id="a covering index beside a unique one",
        ),
        pytest.param(
            "create unique index on items (email) where is_open; "
            "create index on items (email)",
            id="a whole index beside a unique partial one",
        ),
        pytest.param(
            "create unique index on items (lower(email)); create index on items (email)",
            id="an expression",
        ),
        pytest.param(
            "create index on items using hash (kind); create index on items (kind, made)",
            id="another method",
        ),
        pytest.param(
            "create unique index on items (email); "
            "create unique index on items (email) nulls not distinct",
            id="nulls that are not distinct",
        ),
        pytest.param(
            "alter table items add unique (email) deferrable initially deferred; "
            "create unique index on items (email)",
            id="uniqueness that may be checked later",
        ),
        pytest.param(
            "create index on items (kind, made); create index on items (made, kind)",
            id="the same columns, each first once",
        ),
    ],
)
def test_no_index_is_called_superfluous_where_both_do_something(
    connection: psycopg.Connection, indexes: str
) -> None:
    run(connection, ITEMS + indexes)

    assert audited(connection, *REDUNDANT).findings == ()


def test_an_index_is_not_superfluous_because_of_an_invalid_one(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "insert into items (id, kind) values (1, 'a'), (2, 'a')")
    run(connection, "create index items_kind on items (kind)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently broken on items (kind)")

    assert audited(connection, *REDUNDANT).findings == ()
    assert [one.object for one in audited(connection)] == ["broken", "items_kind"]


def test_of_three_equal_indexes_two_are_reported_and_one_stays(
    connection: psycopg.Connection,
) -> None:
    run(
        connection, ITEMS + "create index a on items (kind); create index b on items (kind)"
    )
    run(connection, "create index c on items (kind); alter table items cluster on b")

    for finding in audited(connection, "H01"):
        assert finding.evidence["other"] == "b"
        assert finding.fix is not None
        run(connection, finding.fix)

    left = (
        "select indexrelid::regclass::text from pg_index where indrelid = 'items'::regclass"
    )
    assert sorted(row[0] for row in connection.execute(left)) == ["b", "items_pkey"]


def test_what_keeps_rows_unique_or_names_them_to_replicas_is_never_called_unused(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        "create table rooms (id int primary key, door text not null, during int)",
    )
    run(
        connection,
        """create extension btree_gist;
        alter table rooms add constraint rooms_door unique (door);
        alter table rooms add exclude using gist (during with =);
        create unique index rooms_replica on rooms (door);
        alter table rooms replica identity using index rooms_replica;
        create index rooms_during on rooms (during);
        insert into rooms values (1, 'left', 1);
        do $$ begin for i in 1..150 loop perform from rooms; end loop; end $$""",
    )

    assert [one.object for one in audited(connection, "unused_index")] == ["rooms_during"]


def test_an_index_of_a_table_that_nobody_reads_is_not_called_unused(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "create index on items (kind); select * from items")

    assert audited(connection, "unused_index").findings == ()


def test_a_unique_index_on_a_constant_says_that_there_is_one_row_at_most(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "create unique index on items (is_open) where is_open")

    assert audited(connection, "constant_key").findings == ()


@pytest.mark.parametrize(
    ("keys", "predicate", "constant"),
    [
        ("kind", "kind = 'a'", ["kind"]),
        ("kind", "kind = 'it''s ) OR ('", ["kind"]),
        ("parent_id", "parent_id = -1", ["parent_id"]),
        ("is_open", "not is_open", ["is_open"]),
        ("is_open, made", "is_open and made is not null", ["is_open"]),
        ("made", "made is null and kind = 'a'", ["made"]),
        ("made, kind", "made is null and kind = 'a'", ["made", "kind"]),
        ("kind", "kind in ('a', 'b')", None),
        ("kind", "kind = 'a' or is_open", None),
        ("kind", "not (kind = 'a')", None),
        ("kind", "kind <> 'a'", None),
        ("made", "made is not null", None),
        ("parent_id", "parent_id = id", None),
        ("parent_id", "parent_id > 1", None),
        ("kind", "email = 'kind IS NULL'", None),
        ("id", "parent_id is null", None),
        ("lower(kind)", "kind = 'a'", None),
    ],
)
def test_a_key_is_constant_where_the_predicate_leaves_one_value_and_nowhere_else(
    connection: psycopg.Connection, keys: str, predicate: str, constant: list[str] | None
) -> None:
    run(connection, ITEMS + f"create index on items ({keys}) where {predicate}")

    found = [one.evidence["constant_keys"] for one in audited(connection, "constant_key")]

    order = ["id", "email", "kind", "made", "is_open", "parent_id"]
    assert found == ([sorted(constant, key=order.index)] if constant else [])


def test_a_key_beside_the_constant_one_keeps_the_index_from_being_dropped(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "create index on items (is_open, made) where is_open")

    (finding,) = audited(connection, "constant_key")

    assert finding.fix is None


@pytest.mark.parametrize(
    ("index", "rules"),
    [
        ("(parent_id)", []),
        ("(parent_id, kind)", []),
        ("(parent_id) where parent_id is not null", []),
        ("using hash (parent_id)", []),
        ("(kind) include (parent_id)", ["H17"]),
        ("(kind, parent_id)", ["H17"]),
        ("using brin (parent_id)", ["H17"]),
        ("(parent_id) where kind is not null", ["H18"]),
        ("(parent_id) where parent_id is not null and is_open", ["H18"]),
    ],
)
def test_a_foreign_key_is_served_by_what_begins_with_it_and_leaves_nothing_out(
    connection: psycopg.Connection, index: str, rules: list[str]
) -> None:
    run(
        connection, ITEMS + "alter table items add foreign key (parent_id) references items"
    )
    run(connection, f"create index on items {index}")

    assert [one.rule for one in audited(connection, "H17", "H18")] == rules


def test_a_foreign_key_of_two_columns_is_served_in_either_order(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        """create table plans (a int, b int, primary key (a, b));
        create table steps (x int, y int, z int, foreign key (x, y) references plans)""",
    )
    assert [one.fix for one in audited(connection, "H17")] == [
        f"create index concurrently on {schema_of(connection)}.steps (x, y);"
    ]

    run(connection, "create index on steps (x)")
    assert len(audited(connection, "H17")) == 1
    run(connection, "create index on steps (y, x) where y is not null and x is not null")
    assert audited(connection, "H17", "H18").findings == ()


def test_names_that_need_quotes_are_quoted_in_every_fix(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        '''create table "Group" (
            "select" int primary key, "a ""b""" int references "Group",
            "Is Open" boolean, doc jsonb
        );
        create index "one ON (two)" on "Group" ("a ""b""", "Is Open");
        create index "One ON (two)" on "Group" ("a ""b""", "Is Open");
        create index " WHERE " on "Group" ("a ""b""") where "Is Open";
        create index "not ""null""" on "Group" ("a ""b""") where "select" is not null;
        create index "constant key" on "Group" ("Is Open") where "Is Open";
        create index "hash; --" on "Group" using hash ("Is Open")
            where "a ""b""" is not null;
        create index "Doc" on "Group" (doc)''',
    )
    ids = ("H01", "H08", "H09", "H24", "H25")
    found = audited(connection, *ids)
    assert sorted({one.rule for one in found}) == sorted(ids)

    for one in found:
        assert one.fix is not None
        run(connection, one.fix)

    assert audited(connection, *ids).findings == ()


def test_a_partitioned_index_is_one_and_its_fix_runs(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        """create table kinds (id int primary key);
        create table days (day date, kind int references kinds, is_open boolean)
            partition by range (day);
        create table january partition of days
            for values from ('2025-01-01') to ('2025-02-01');
        create table february partition of days
            for values from ('2025-02-01') to ('2025-03-01');
        create index days_kind on days (day);
        create index days_again on days (day);
        create index days_open on days (is_open) where is_open""",
    )
    found = audited(connection, "H01", "H08", "H17")
    assert {(one.rule, one.object) for one in found} == {
        ("H01", "days_again"),
        ("H08", "days_open"),
        ("H17", "days_kind_fkey"),
    }
    assert len(found) == 3
    assert all(one.size_bytes > 0 for one in found if one.object_type == "index")

    for one in found:
        assert one.fix is not None
        run(connection, one.fix)
    assert audited(connection, "H01", "H08", "H17").findings == ()
    for one in found:
        run(connection, one.undo or "select 1")
    assert {one.rule for one in audited(connection, "H01", "H08")} == {"H01", "H08"}
    (valid,) = (
        connection.execute("select bool_and(indisvalid) from pg_index").fetchone() or ()
    )
    assert valid


def test_a_table_of_an_extension_is_not_audited(connection: psycopg.Connection) -> None:
    run(
        connection, ITEMS + "create index a on items (kind); create index b on items (kind)"
    )
    assert len(audited(connection, "H01")) == 1

    run(
        connection,
        "create extension pgstattuple; alter extension pgstattuple add table items",
    )

    assert audited(connection, "H01").findings == ()


def test_every_schema_of_users_is_audited_or_the_one_that_is_asked_for(
    connection: psycopg.Connection,
) -> None:
    run(
        connection, ITEMS + "create index a on items (kind); create index b on items (kind)"
    )
    rules = choose_rules(RULES, ["H01"])

    everywhere = audit(connection, rules)

    assert [one.schema for one in everywhere] == [schema_of(connection)]
    assert audit(connection, rules, schema="public").findings == ()


def test_a_rule_that_calls_a_missing_extension_is_not_asked(
    connection: psycopg.Connection,
) -> None:
    result = audited(connection, "loose_leaves")

    assert result.asked == ()
    assert [one.slug for one in result.unasked] == ["loose_leaves"]
    assert "pgstattuple is not installed" in result.unasked[0].reason


def test_a_rule_that_the_account_may_not_ask_is_not_asked(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "create extension pgstattuple; create role reader")
    run(connection, f"grant usage on schema {schema_of(connection)} to reader")
    run(connection, "insert into items select n, n from generate_series(1, 60000) as n")
    run(connection, "create index items_email on items (email); set role reader")
    try:
        result = audited(connection)
    finally:
        run(connection, "reset role; drop owned by reader; drop role reader")

    reasons = {one.slug: one.reason for one in result.unasked}
    assert "permission denied for function pgstatindex" in reasons["loose_leaves"]
    assert ".items" in reasons["low_selectivity"]
    assert "loose_leaves" not in result.asked
    assert "low_selectivity" in result.asked


def test_counters_that_are_off_are_not_taken_for_zero(
    connection: psycopg.Connection,
) -> None:
    run(connection, "set track_counts = off")

    result = audited(connection, "unused_index", "write_tax")

    assert result.asked == ()
    assert {one.reason for one in result.unasked} == {
        "the server counts nothing (track_counts is off)"
    }


def test_a_rule_that_takes_too_long_is_not_asked(connection: psycopg.Connection) -> None:
    slow = next(rule for rule in RULES if rule.slug == "duplicate_index")
    slow_sql = slow.sql.replace("from ranked", "from pg_sleep(60), ranked", 1)
    run(connection, ITEMS + "set statement_timeout = '300ms'")

    result = audit(connection, [replace(slow, sql=slow_sql), slow])

    assert result.asked == ("duplicate_index",)
    assert "statement_timeout" in result.unasked[0].reason


def test_nobody_waits_for_a_lock_and_says_so(
    connection: psycopg.Connection, postgres: PostgresServer, module_database: str
) -> None:
    run(connection, ITEMS)
    with connect(postgres, module_database, autocommit=False) as holder:
        holder.execute(f"lock table {schema_of(connection)}.items".encode())

        with pytest.raises(FluxlabError, match="lock timeout"):
            audited(connection, "more_index_than_table")


def test_the_audit_is_asked_of_a_foreign_database_and_writes_nothing(
    postgres: PostgresServer, module_database: str, connection: psycopg.Connection
) -> None:
    run(
        connection, ITEMS + "create index a on items (kind); create index b on items (kind)"
    )

    with connect_foreign(uri(postgres, module_database)) as foreign:
        result = audit(foreign, RULES, schema=schema_of(connection))
        path = foreign.execute("show search_path").fetchone()

    assert [one.object for one in result.of_rule("H01")] == ["b"]
    assert path == ('"$user", public',)


def test_inside_a_transaction_the_audit_sees_what_the_transaction_sees(
    connection: psycopg.Connection,
) -> None:
    run(connection, ITEMS + "create index a on items (kind)")
    with connection.transaction(force_rollback=True):
        connection.execute("create index b on items (kind)")
        assert len(audited(connection, "H01")) == 1
        connection.execute("create index c on items (made)")  # still not read-only
    assert audited(connection, "H01").findings == ()


def test_an_audit_is_grouped_by_index_and_shown_as_a_frame(
    connection: psycopg.Connection,
) -> None:
    run(
        connection, ITEMS + "create index a on items (made); create index b on items (made)"
    )
    run(connection, "create index c on items (made desc)")

    result = audited(connection, "H01", "H05")

    schema = schema_of(connection)
    assert [one.slug for one in result.of_index("c")] == [
        "reversed_twin",
        "needless_direction",
    ]
    assert result.of_index("c") == result.of_index(f"{schema}.c")
    assert list(result.by_index()) == [f"{schema}.b", f"{schema}.c"]
    assert result.of_table("items") == result.findings
    frame = result.frame()
    assert list(frame["object"]) == ["b", "c", "c"]
    assert list(frame["weight"]) == ["high", "high", "note"]
    assert (frame["size_bytes"] > 0).all()
    assert "3 findings (2 high, 1 note) on 2 indexes by 3 rules" in repr(result)
    assert result.weighs("high")
    assert not audited(connection, "needless_direction").weighs("low")


def test_no_rule_has_anything_against_a_sound_schema(
    connection: psycopg.Connection,
) -> None:
    run(connection, SOUND)

    result = audited(connection)

    assert [(one.slug, one.object) for one in result] == []
    assert [one.slug for one in result.unasked] == ["loose_leaves"]


@pytest.mark.parametrize("slug", PARTITIONED)
def test_a_fault_of_a_partitioned_table_is_reported_once(
    connection: psycopg.Connection, slug: str
) -> None:
    run(connection, PARTITIONED_TABLE + PARTITIONED[slug] + "; analyze")

    (finding,) = audited(connection, slug)

    assert finding.object.startswith("fault")
    assert finding.table == "whole"
    assert finding.fix is None or "concurrently" not in finding.fix


def test_no_rule_speaks_of_the_catalog_itself(connection: psycopg.Connection) -> None:
    run(connection, "analyze")
    for rule in RULES:
        if rule.needs is None:
            rows = connection.execute(rule.sql.encode()).fetchall()
            schemas = {str(row[0]) for row in rows}
            assert not [one for one in schemas if one.startswith(("pg_", "information_"))]


@pytest.mark.parametrize(
    ("slug", "indexes"), QUIET, ids=[f"{n} {one[0]}" for n, one in enumerate(QUIET)]
)
def test_a_rule_leaves_alone_what_only_looks_like_its_fault(
    connection: psycopg.Connection, slug: str, indexes: str
) -> None:
    run(connection, f"{QUIET_SETUP}{indexes}; analyze")

    result = audited(connection, slug)

    assert result.asked == (slug,)
    assert result.findings == ()


def test_a_foreign_key_is_not_served_by_a_column_that_is_only_included(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        """create table plans (a int, b int, primary key (a, b));
        create table steps (x int, y int, foreign key (x, y) references plans);
        create index on steps (x) include (y)""",
    )

    assert [one.rule for one in audited(connection, "H17", "H18")] == ["H17"]


def test_a_foreign_key_is_not_served_by_an_index_that_is_not_valid(
    connection: psycopg.Connection,
) -> None:
    run(
        connection,
        """create table plans (a int primary key);
        create table steps (x int references plans);
        insert into plans values (1); insert into steps values (1), (1)""",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently broken on steps (x)")

    assert [one.rule for one in audited(connection, "H17", "H18")] == ["H17"]


def test_an_index_that_lists_few_rows_is_not_to_be_dropped(
    connection: psycopg.Connection,
) -> None:
    run(connection, f"{QUIET_SETUP} update items set is_open = id = 3; analyze items")
    run(connection, "create index on items (is_open) where is_open")

    (finding,) = audited(connection, "constant_key")

    assert (finding.fix, finding.undo) == (None, None)
    assert "0.067 % of the rows" in finding.sentence


def test_a_not_null_that_is_not_yet_true_makes_no_predicate_useless(
    connection: psycopg.Connection,
) -> None:
    run(connection, "create table items (a int, b int not null); create table more (a int)")
    run(connection, "alter table items add constraint later not null a not valid")
    run(connection, "alter table more add constraint later not null a not valid")
    run(connection, "create index on items (a) where a is not null")
    run(connection, "create index useless on items (a) where b is not null")

    assert [one.object for one in audited(connection, "useless_predicate")] == ["useless"]


def test_of_two_unique_indexes_the_one_that_a_foreign_key_refers_to_stays(
    connection: psycopg.Connection,
) -> None:
    run(
        connection, "create table people (id int primary key, email text, name text unique)"
    )
    run(connection, "create unique index people_once on people (email)")
    run(connection, "create table logins (email text references people (email))")
    run(connection, "alter table people add constraint people_email unique (email)")

    (finding,) = audited(connection, "constraint_twin")

    assert (finding.object, finding.evidence["other"]) == ("people_email", "people_once")
    assert finding.fix is not None
    run(connection, finding.fix)
    assert audited(connection, "constraint_twin").findings == ()
    run(connection, finding.undo or "")
    assert len(audited(connection, "constraint_twin")) == 1
