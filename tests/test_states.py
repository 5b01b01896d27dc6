"""The two states of the lab, the catalog they answer with, and the Lab that holds them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import psycopg
import pytest

from fluxlab.book import charts, sentences, tables
from fluxlab.book.claims import read_claims
from fluxlab.dataset.databases import read_comment
from fluxlab.errors import FluxlabError
from fluxlab.indexes.catalog import read_catalog
from fluxlab.indexes.states import DATABASES, prepare_state, read_migration
from fluxlab.lab import MIGRATION, Lab, open_lab
from fluxlab.measuring import measure_lab, plan_work
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import ROOT, Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.query import Workload

QUESTIONS = ROOT / "sql" / "catalog"


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture
def connection(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as opened:
        yield opened


def supporting_index(connection: psycopg.Connection, table: str, column: str) -> str | None:
    catalog = read_catalog(connection, QUESTIONS)
    (key,) = [
        key
        for key in catalog.foreign_keys
        if (key.table_name, key.columns) == (table, [column])
    ]
    return key.supporting_index


def test_both_states_hold_the_same_rows_and_their_own_indexes(lab: Lab) -> None:
    before, after = lab.catalog("baseline"), lab.catalog("sprint11")

    assert len(after.indexes) - len(before.indexes) == 90
    assert {table.name: table.rows for table in before.tables} == {
        table.name: table.rows for table in after.tables
    }
    assert before.fingerprint != after.fingerprint
    assert lab.state("baseline").dataset == lab.state("sprint11").dataset


def test_a_state_that_is_there_is_not_made_again(lab: Lab) -> None:
    with lab.connection("sprint11") as connection:
        (oid,) = connection.execute(
            "select oid from pg_database where datname = current_database()"
        ).fetchone() or (0,)

    open_lab(lab.settings)

    with lab.connection("sprint11") as connection:
        again = connection.execute(
            "select oid from pg_database where datname = current_database()"
        ).fetchone()
    assert again == (oid,)


def test_a_half_made_state_is_made_anew(lab: Lab) -> None:
    migration = read_migration(ROOT / "sql" / "migrations" / MIGRATION)

    def die(done: int, total: int, what: str) -> None:
        if done == 45:
            raise KeyboardInterrupt

    # Another fingerprint: as if the migration had been edited.
    edited = type(migration)(migration.path, (*migration.statements, "analyze users"))
    with pytest.raises(KeyboardInterrupt):
        prepare_state(lab.server, lab.dataset, "sprint11", edited, die)
    with connect(lab.server, "postgres") as connection:
        assert (read_comment(connection, DATABASES["sprint11"]) or {}).get(
            "kind"
        ) != "state"

    prepare_state(lab.server, lab.dataset, "sprint11", migration)

    assert len(lab.catalog("sprint11").indexes) == len(lab.catalog("baseline").indexes) + 90


def test_the_planner_has_statistics_on_the_indexed_expression(lab: Lab) -> None:
    with lab.connection("sprint11") as connection:
        row = connection.execute(
            "select count(*) from pg_stats where tablename = 'idx_messages_content_search'"
        ).fetchone()

    assert row == (1,)


def test_an_unknown_state_is_an_error_that_names_the_known_ones(lab: Lab) -> None:
    with pytest.raises(FluxlabError, match="baseline, sprint11"):
        lab.catalog("sprint12")


def test_a_foreign_key_is_served_by_an_index_that_begins_with_it(
    connection: psycopg.Connection,
) -> None:
    assert supporting_index(connection, "messages", "author_id") is None

    connection.execute("create index wrong on messages (created_at, author_id)")
    assert supporting_index(connection, "messages", "author_id") is None

    connection.execute("create index partial on messages (author_id) where status = 'sent'")
    assert supporting_index(connection, "messages", "author_id") is None

    connection.execute(
        "create index fitting on messages (author_id) where author_id is not null"
    )
    assert supporting_index(connection, "messages", "author_id") == "fitting"


def test_columns_in_an_expression_count_as_indexed(connection: psycopg.Connection) -> None:
    assert "name" not in read_catalog(connection, QUESTIONS).indexed_columns("users")

    connection.execute(
        "create index on users (lower(name), phone) include (avatar_url) "
        "where timezone is null"
    )

    found = read_catalog(connection, QUESTIONS).indexed_columns("users")
    assert {"name", "phone", "id", "email"} <= found
    assert found.isdisjoint({"avatar_url", "timezone"})


def test_the_run_of_a_state_that_nobody_measured_says_what_to_do(lab: Lab) -> None:
    with pytest.raises(FluxlabError, match="make run"):
        lab.run("baseline")


def test_every_quote_of_the_claims_stands_in_the_report_at_its_line() -> None:
    lines = (ROOT / "data" / "sprint11_report.md").read_text().splitlines()
    claims = read_claims(ROOT / "data" / "claims.toml")

    assert len(claims.latency) == 6
    assert len(claims.audited) == 21
    for claim in (*claims.latency, *claims.audited):
        assert lines[claim.line - 1] == claim.quote
    for row in claims.latency:
        assert f"~{row.before_ms:g}ms | ~{row.after_ms:g}ms | {row.percent}%" in row.quote
    for count in claims.audited:
        assert f"**{count.table}** - {count.columns} columns" in count.quote


def test_a_claim_with_an_unknown_field_is_an_error(
    tmp_path: pytest.TempPathFactory,
) -> None:
    path = ROOT / "data" / "claims.toml"
    document = path.read_text().replace("percent = 87", "percents = 87", 1)
    assert tomllib.loads(document)
    copy = tmp_path / "claims.toml"
    copy.write_text(document)

    with pytest.raises(FluxlabError, match=r"claims\.toml: an entry of \[\[latency\]\]"):
        read_claims(copy)


def test_the_lab_measures_compares_and_draws(lab: Lab) -> None:
    names = ("user_by_email", "messages_of_author", "user_touch_last_login")
    kept = {name: lab.workload[name] for name in names}
    lab = Lab(lab.settings, lab.server, lab.dataset)
    lab.__dict__["workload"] = Workload(kept)  # the cached value, for this Lab only

    brief = Budget("brief", seconds=0, first_ms=20, max_rounds=2, timeout_ms=2_000)
    measure_lab(lab, brief, lambda tick: None)

    comparison = lab.comparison
    assert len(plan_work(lab, lambda tick: None)) == len(comparison)
    assert set(comparison.by_query) == set(names)
    hot = comparison.find("messages_of_author", "hot")
    assert hot.before.plan.blocks > hot.after.plan.blocks
    assert lab.plan("messages_of_author", "sprint11", "hot").indexes == (
        "idx_messages_author_id",
    )
    figure = charts.dumbbell(list(comparison)[:5], sentences.finding(comparison))
    assert figure.layout.height > 200
    assert len(figure.layout.annotations) == 5
    assert sum(len(bar.x) > 0 for bar in charts.distribution(comparison, "t").data) == 4
    assert len(tables.changes(comparison)) == len(comparison)
    assert tables.outcomes(comparison).loc["all", "all"] == len(comparison)
    with connect(lab.server, "postgres") as connection:
        names_left = connection.execute(
            "select datname from pg_database where datname like %s", ("%_scratch_%",)
        ).fetchall()
    assert names_left == []


def test_the_tables_of_the_audit_agree_with_the_catalog(lab: Lab) -> None:
    before, after = lab.catalog("baseline"), lab.catalog("sprint11")

    sizes = tables.sizes(before, after)
    keys = tables.foreign_keys(before, after)

    assert list(sizes.index[:1]) == ["messages"]
    assert len(sizes) == 21
    assert (keys["before"] == "no index").sum() == len(before.unindexed_foreign_keys)
    assert (keys["after"] == "no index").sum() == len(after.unindexed_foreign_keys)
