"""Rules of the audit under test: a fault, its right fix and the tempting wrong one.

Each Case runs in a schema of its own on a real server. The audit is asked for that schema,
and for the rule of the case alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from audit_sound import SOUND
from pglast.parser import split

from fluxlab.indexes.audit import Audit, AuditFinding, audit
from fluxlab.indexes.audit_rules import choose_rules, load_rules
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

RULES = load_rules(ROOT / "sql" / "audit")


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that a rule must find, what takes it away, and what only seems to.

    `setup`, `right` and `wrong` are SQL, each statement by itself; `failing` stands between
    setup and `then`, and has to fail. `object` is what is found. With `has_fix` the finding
    offers SQL, from server version `fix_since` on; with `has_undo` also what takes it back.
    """

    slug: str
    object: str
    setup: str
    right: str
    wrong: str
    has_fix: bool = False
    has_undo: bool = False
    failing: str = ""
    then: str = ""
    fix_since: int = 0

    def __str__(self) -> str:
        return self.slug


@contextmanager
def fresh_schema(server: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A session whose search path is a schema of its own, which is dropped after."""
    name = f"case_{uuid.uuid4().hex[:12]}"
    with connect(server, database) as connection:
        run(connection, f"create schema {name}; set search_path = {name}")
        # VACUUM calls no row visible to all whose commit has not been written yet.
        run(connection, "set synchronous_commit = on; set enable_seqscan = off")
        try:
            yield connection
        finally:
            run(connection, f"drop schema {name} cascade")


def run(connection: psycopg.Connection, sql: str) -> None:
    """Run each statement by itself, and have written down what it counted."""
    for statement in split(sql):
        connection.execute(statement.encode())
    if connection.info.server_version >= 150_000:
        connection.execute("select pg_stat_force_next_flush()")


def schema_of(connection: psycopg.Connection) -> str:
    row = connection.execute("select current_schema()").fetchone()
    assert row is not None
    return str(row[0])


def audited(connection: psycopg.Connection, *names: str) -> Audit:
    """What the rules of these names find in the schema of the session; all for no name."""
    chosen = choose_rules(RULES, names)
    return audit(connection, chosen, schema=schema_of(connection))


def found(connection: psycopg.Connection, case: Case) -> tuple[AuditFinding, ...]:
    """What the case's rule finds, which was asked."""
    (rule,) = choose_rules(RULES, [case.slug])
    if connection.info.server_version < 150_000 and rule.reads == "counters":
        time.sleep(0.7)  # a process of its own counts there, half a second late
        connection.execute("select 1")
        time.sleep(0.7)
    result = audited(connection, case.slug)
    assert result.asked == (case.slug,), result.unasked
    return result.findings


def arrange_among_sound(connection: psycopg.Connection, case: Case) -> None:
    """Make the fault beside tables and indexes that no rule has anything against."""
    run(connection, SOUND)
    arrange(connection, case)


def arrange(connection: psycopg.Connection, case: Case) -> None:
    """Make the fault."""
    (rule,) = choose_rules(RULES, [case.slug])
    if connection.info.server_version < rule.since:
        pytest.skip(f"{case.slug} concerns PostgreSQL {rule.since // 10_000} and later")
    run(connection, case.setup)
    if case.failing:
        with pytest.raises(psycopg.Error):
            connection.execute(case.failing.encode())
        run(connection, case.then)


def check_fault(connection: psycopg.Connection, case: Case) -> None:
    """The rule fires on the fault alone, and says so in sentences."""
    arrange_among_sound(connection, case)

    findings = found(connection, case)

    assert [one.object for one in findings] == [case.object]
    for finding in findings:
        assert finding.sentence.endswith(".")
        assert finding.advice.endswith(".")
        assert "unknown" not in finding.sentence.replace("(unknown)", "")
        assert finding.evidence
        offers = case.has_fix and connection.info.server_version >= case.fix_since
        assert (finding.fix is not None) == offers
        assert (finding.undo is not None) == (case.has_undo and offers)


def check_right_fix(connection: psycopg.Connection, case: Case) -> None:
    """The rule is silent after the right fix."""
    arrange(connection, case)
    assert found(connection, case)

    run(connection, case.right)

    assert found(connection, case) == ()


def check_wrong_fix(connection: psycopg.Connection, case: Case) -> None:
    """The rule still fires after the tempting wrong fix."""
    arrange(connection, case)

    run(connection, case.wrong)

    assert found(connection, case)


def check_own_fix(connection: psycopg.Connection, case: Case) -> None:
    """The SQL that the rule offers runs as it is and silences it; undo brings it back."""
    arrange(connection, case)
    (finding,) = found(connection, case)
    if finding.fix is None:
        pytest.skip(f"{case.slug} offers a fix from {case.fix_since // 10_000} on")

    run(connection, finding.fix)

    assert found(connection, case) == ()
    if finding.undo is not None:
        run(connection, finding.undo)
        assert finding.object in [one.object for one in found(connection, case)]


_ORDERS = """
create table orders (
    id int primary key, customer int, placed timestamptz, state text, is_open boolean,
    note text
);
insert into orders
    select n, nullif(n % 50, 0), timestamptz '2025-01-01' + n * interval '1 minute',
        case when n % 10 = 0 then 'failed' else 'done' end, n % 10 = 0, repeat('x', 40)
    from generate_series(1, 2000) as n;
"""
_SEARCHED = """
do $$ begin for i in 1..150 loop perform from orders where id = i; end loop; end $$;
"""
_WORDS = """
create table posts (id int primary key, tags text[]);
insert into posts select n, array['t' || n % 7] from generate_series(1, 1500) as n;
create index posts_tags on posts using gin (tags);
select count(*) from posts where tags @> '{t3}';
"""
_HALF_EMPTY = """
create table lines (id int, place int);
insert into lines select n, n from generate_series(1, 60000) as n;
create index lines_place on lines (place);
delete from lines where place % 10 <> 0;
vacuum analyze lines;
"""
_FAMILY = """
create table parents (id int primary key);
create table children (
    id int primary key, parent_id int, is_open boolean, note text,
    constraint children_parent foreign key (parent_id) references parents (id)
);
"""
_COUNTERS = """
create table visits (id int primary key, times int, note text) with (fillfactor = 40);
insert into visits select n, 0, '' from generate_series(1, 1500) as n;
create index visits_times on visits (times);
"""

CASES = (
    Case(
        "duplicate_index",
        "orders_again",
        _ORDERS
        + """create index orders_customer on orders (customer);
        create index orders_again on orders (customer);""",
        right="drop index orders_customer",
        wrong="alter index orders_again set (fillfactor = 70)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "constraint_duplicate",
        "people_email",
        """create table people (id int primary key, email text unique);
        create index people_email on people (email);""",
        right="drop index people_email",
        wrong="drop index people_email; create index people_email on people (email desc)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "redundant_prefix",
        "orders_customer",
        _ORDERS
        + """create index orders_customer on orders (customer);
        create index orders_long on orders (customer, placed);""",
        right="drop index orders_customer",
        wrong="drop index orders_long; create index on orders (customer, placed desc)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "same_columns",
        "orders_b",
        _ORDERS
        + """create index orders_a on orders (customer, state);
        create index orders_b on orders (state, customer);""",
        right="drop index orders_a",
        wrong="drop index orders_b; create index on orders (state desc, customer)",
    ),
    Case(
        "reversed_twin",
        "orders_newest",
        _ORDERS
        + """create index orders_placed on orders (placed);
        create index orders_newest on orders (placed desc);""",
        right="drop index orders_placed",
        wrong="""drop index orders_newest;
        create index on orders (placed desc nulls first)""",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "needless_direction",
        "orders_newest",
        _ORDERS + "create index orders_newest on orders (placed desc);",
        right="drop index orders_newest; create index on orders (placed)",
        wrong="drop index orders_newest; create index on orders (placed desc, id desc)",
    ),
    Case(
        "partial_beside_full",
        "orders_some",
        _ORDERS
        + """create index orders_all on orders (customer, placed);
        create index orders_some on orders (customer) where customer is not null;""",
        right="drop index orders_some",
        wrong="drop index orders_some; create index on orders (customer) where id > 500",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "constant_key",
        "orders_open",
        _ORDERS + "create index orders_open on orders (is_open) where is_open = true;",
        right="drop index orders_open; create index on orders (placed) where is_open",
        wrong="""drop index orders_open;
        create index on orders (is_open) where is_open and state = 'done'""",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "useless_predicate",
        "orders_whole",
        _ORDERS + "create index orders_whole on orders (customer) where id is not null;",
        right="drop index orders_whole; create index on orders (customer)",
        wrong="""drop index orders_whole;
        create index on orders (id, customer) where id is not null""",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "low_selectivity",
        "orders_state",
        _ORDERS + "create index orders_state on orders (state); analyze orders;",
        right="""drop index orders_state;
        create index on orders (placed) where state = 'failed'""",
        wrong="drop index orders_state; create index on orders using hash (state)",
    ),
    Case(
        "boolean_index",
        "orders_open",
        _ORDERS + "create index orders_open on orders (is_open); analyze orders;",
        right="drop index orders_open; create index on orders (placed) where is_open",
        wrong="drop index orders_open; create index on orders (is_open desc)",
    ),
    Case(
        "null_heavy",
        "orders_agent",
        _ORDERS
        + """alter table orders add agent int;
        update orders set agent = id where id % 4 = 0;
        create index orders_agent on orders (agent); analyze orders;""",
        right="""drop index orders_agent;
        create index on orders (agent) where agent is not null""",
        wrong="drop index orders_agent; create index on orders (agent nulls first)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "unused_index",
        "orders_customer",
        _ORDERS + "create index orders_customer on orders (customer);" + _SEARCHED,
        right="select count(*) from orders where customer = 3",
        wrong="reindex index orders_customer; analyze orders",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "unselective_scans",
        "orders_state",
        _ORDERS
        + """create index orders_state on orders (state); analyze orders;
        select count(note) from orders where state = 'done';""",
        right="""drop index orders_state;
        create index on orders (state, placed); analyze orders;
        select count(note) from orders
            where state = 'done' and placed < timestamptz '2025-01-01 03:00'""",
        wrong="reindex index orders_state; analyze orders",
    ),
    Case(
        "invalid_index",
        "people_email",
        """create table people (id int primary key, email text);
        insert into people values (1, 'ann'), (2, 'ann');""",
        failing="create unique index concurrently people_email on people (email)",
        then="delete from people where id = 2",
        right="drop index people_email",
        wrong="create unique index people_email_again on people (email); analyze people",
        has_fix=True,
    ),
    Case(
        "bloated_index",
        "lines_place",
        _HALF_EMPTY,
        right="reindex index lines_place",
        wrong="vacuum analyze lines",
        has_fix=True,
    ),
    Case(
        "loose_leaves",
        "lines_place",
        "create extension pgstattuple;" + _HALF_EMPTY,
        right="reindex index lines_place",
        wrong="vacuum analyze lines",
        has_fix=True,
    ),
    Case(
        "unindexed_foreign_key",
        "children_parent",
        _FAMILY,
        right="create index on children (parent_id, note)",
        wrong="create index on children (note, parent_id)",
        has_fix=True,
    ),
    Case(
        "partial_foreign_key_index",
        "children_parent",
        _FAMILY + "create index children_open on children (parent_id) where is_open;",
        right="create index on children (parent_id) where parent_id is not null",
        wrong="create index on children (parent_id) where note is not null",
        has_fix=True,
    ),
    Case(
        "time_before_other_keys",
        "orders_placed",
        _ORDERS + "create index orders_placed on orders (placed, state);",
        right="drop index orders_placed; create index on orders (state, placed)",
        wrong="create index on orders (state)",
    ),
    Case(
        "wide_include",
        "orders_wide",
        _ORDERS
        + """update orders set note = repeat(id::text, 40);
        create index orders_wide on orders (customer) include (note); analyze orders;""",
        right="drop index orders_wide; create index on orders (customer) include (id)",
        wrong="""drop index orders_wide;
        create index on orders (customer, id) include (note)""",
    ),
    Case(
        "busy_gin",
        "posts_tags",
        _WORDS,
        right="""do $$ begin
            for i in 1..200 loop perform from posts where tags @> '{t3}'; end loop;
        end $$""",
        wrong="alter index posts_tags set (fastupdate = off); reindex index posts_tags",
    ),
    Case(
        "btree_on_document",
        "notes_body",
        """create table notes (id int primary key, body jsonb);
        create index notes_body on notes (body);""",
        right="drop index notes_body; create index on notes using gin (body)",
        wrong="drop index notes_body; create index on notes (body desc, id)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "hash_on_short_key",
        "orders_customer",
        _ORDERS + "create index orders_customer on orders using hash (customer);",
        right="drop index orders_customer; create index on orders (customer)",
        wrong="alter index orders_customer set (fillfactor = 90); reindex table orders",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "brin_misfit",
        "spots_place",
        """create table spots (place int);
        insert into spots select hashint4(n) from generate_series(1, 5000) as n;
        create index spots_place on spots using brin (place); analyze spots;""",
        right="drop index spots_place; create index on spots (place)",
        wrong="alter index spots_place set (pages_per_range = 2); reindex table spots",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "brin_candidate",
        "events_at",
        """create table events (at timestamptz, code int, id int unique, note text);
        insert into events
            select timestamptz '2025-01-01' + n * interval '1 second', hashint4(n), n,
                repeat('x', 250)
            from generate_series(1, 40000) as n;
        create index events_at on events (at); create index on events (code);
        create index on events (at, code); create index on events (at) where code > 0;
        create index on events using hash (at); create index on events using brin (code);
        vacuum analyze events;""",
        right="drop index events_at; create index on events using brin (at)",
        wrong="drop index events_at; create index on events (at desc)",
    ),
    Case(
        "few_hot_updates",
        "visits",
        _COUNTERS + "update visits set times = times + 1;",
        right="""drop index visits_times; vacuum full visits;
        select pg_stat_reset_single_table_counters('visits'::regclass);
        update visits set times = times + 1""",
        wrong="""alter table visits set (fillfactor = 30); vacuum full visits;
        select pg_stat_reset_single_table_counters('visits'::regclass);
        update visits set times = times + 1""",
    ),
    Case(
        "write_tax",
        "orders_customer",
        _ORDERS
        + """create index orders_customer on orders (customer);
        select count(*) from orders where customer = 3;""",
        right="""do $$ begin
            for i in 1..30 loop perform from orders where customer = i; end loop;
        end $$""",
        wrong="reindex index orders_customer; analyze orders",
    ),
    Case(
        "tiny_table",
        "kinds_name",
        """create table kinds (id int primary key, name text);
        insert into kinds select n, 'kind ' || n from generate_series(1, 40) as n;
        create index kinds_name on kinds (name); analyze kinds;""",
        right="insert into kinds select n, repeat('x', 99) from generate_series(41, 999) n",
        wrong="drop index kinds_name; create index on kinds (name, id)",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "more_index_than_table",
        "pairs",
        """create table pairs (a int, b int);
        insert into pairs select n, n from generate_series(1, 20000) as n;
        create index on pairs (a); create index on pairs (b);
        create index on pairs (b, a);""",
        right="drop index pairs_b_idx; drop index pairs_b_a_idx",
        wrong="reindex table pairs; vacuum full pairs",
    ),
    Case(
        "needless_pattern_ops",
        "names_word",
        """create table names (word text collate "C");
        create index names_word on names (word text_pattern_ops);""",
        right="drop index names_word; create index on names (word)",
        wrong="""drop index names_word;
        create index on names (word collate "POSIX" text_pattern_ops)""",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "expression_without_statistics",
        "orders_lower",
        _ORDERS + "analyze orders; create index orders_lower on orders (lower(state));",
        right="analyze orders",
        wrong="reindex index orders_lower",
        has_fix=True,
    ),
    Case(
        "deduplication_off",
        "orders_customer",
        _ORDERS
        + """create index orders_customer on orders (customer)
            with (deduplicate_items = off);""",
        right="alter index orders_customer set (deduplicate_items = on)",
        wrong="reindex index orders_customer",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "skip_scan_suffices",
        "orders_customer",
        _ORDERS
        + """create index orders_customer on orders (customer);
        create index orders_long on orders (state, customer); analyze orders;""",
        right="drop index orders_customer",
        wrong="drop index orders_customer; create index on orders (customer desc)",
    ),
    Case(
        "random_key",
        "tokens_pkey",
        """create table tokens (id uuid primary key default gen_random_uuid(), n int);
        insert into tokens (n) select generate_series(1, 40000);""",
        right="alter table tokens alter column id drop default",
        wrong="reindex table tokens",
        has_fix=True,
        has_undo=True,
        fix_since=180_000,
    ),
    Case(
        "rarely_cached",
        "lines_place",
        """create table lines (place int);
        insert into lines select generate_series(1, 120000);
        vacuum analyze lines; create index lines_place on lines (place);
        select count(place) from lines where place > 0;""",
        right="""do $$ begin
            for i in 1..15 loop perform count(place) from lines where place > i; end loop;
        end $$""",
        wrong="reindex index lines_place; analyze lines",
    ),
    Case(
        "constraint_twin",
        "people_once",
        """create table people (id int primary key, email text unique);
        create unique index people_once on people (email);""",
        right="drop index people_once",
        wrong="""alter table people
            add constraint people_twice unique using index people_once""",
        has_fix=True,
        has_undo=True,
    ),
    Case(
        "misnamed_index",
        "idx_orders_customer",
        _ORDERS + "create index idx_orders_customer on orders (placed);",
        right="alter index idx_orders_customer rename to idx_orders_placed",
        wrong="alter index idx_orders_customer rename to idx_orders_by_customer_2",
        has_fix=True,
        has_undo=True,
    ),
)
