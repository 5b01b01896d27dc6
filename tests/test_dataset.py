"""The template database at size tiny: determinism, traps of the data, killed builds.

`python tests/test_dataset.py` writes the pinned checksums anew.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from fluxlab.dataset.cells import Columns, TableSource
from fluxlab.dataset.ddl import TABLES_FILE
from fluxlab.dataset.generate import table_sources
from fluxlab.dataset.ingest import load_tables
from fluxlab.dataset.load import Dataset, build_template, clone, table_checksums
from fluxlab.dataset.profile import load_profile
from fluxlab.dataset.progress import Phase
from fluxlab.dataset.streams import I64
from fluxlab.errors import FluxlabError
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers.connections import connect, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

CHECKSUMS = Path(__file__).with_name("dataset_checksums.toml")
PROFILE = load_profile()


@pytest.fixture(scope="module")
def lab(postgres: PostgresServer, template: Dataset) -> Iterator[psycopg.Connection]:
    """A connection to a copy of the template that these tests only read."""
    name = f"flux_test_{uuid.uuid4().hex[:12]}"
    clone(postgres, name)
    with connect(postgres, name) as connection:
        yield connection
    with connect(postgres, "postgres") as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def own_settings() -> Iterator[Settings]:
    """A server of its own for tests that replace the template."""
    home = Path(tempfile.mkdtemp(prefix="flux-"))
    home.chmod(0o755)
    settings = Settings(home=home, size="tiny", is_durable=False)
    yield settings
    postgres_server.stop(settings)
    shutil.rmtree(home, ignore_errors=True)


def number(lab: psycopg.Connection, query: str) -> float:
    row = lab.execute(query.encode()).fetchone()
    assert row is not None
    return float(row[0])


# determinism ---------------------------------------------------------------


def test_the_rows_of_seed_and_size_are_pinned(lab: psycopg.Connection) -> None:
    assert table_checksums(lab) == tomllib.loads(CHECKSUMS.read_text())


def content(sources: tuple[TableSource, ...], chunk_rows: int) -> dict[str, pa.Table]:
    return {
        source.name: pa.Table.from_batches(source.chunks(chunk_rows)).combine_chunks()
        for source in sources
    }


def test_neither_chunk_size_nor_order_changes_a_byte() -> None:
    forwards = content(table_sources(PROFILE, 100, 11), 65_536)
    backwards = content(tuple(reversed(table_sources(PROFILE, 100, 11))), 997)
    assert all(forwards[name].equals(backwards[name]) for name in forwards)


def test_another_seed_changes_every_table() -> None:
    one = content(table_sources(PROFILE, 100, 11), 65_536)
    other = content(table_sources(PROFILE, 100, 12), 65_536)
    assert not any(one[name].equals(other[name]) for name in one)


def test_a_checksum_notices_one_changed_cell(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database, autocommit=False) as connection:
        before = table_checksums(connection)
        connection.execute("update messages set status = 'sent' where status = 'read'")
        changed = table_checksums(connection)
        assert {name for name in before if before[name] != changed[name]} == {"messages"}
        connection.rollback()
        assert table_checksums(connection) == before


def test_a_checksum_does_not_depend_on_the_session(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as connection:
        before = table_checksums(connection)
        connection.execute("set timezone = 'Asia/Tokyo'")
        connection.execute("set datestyle = 'German'")
        assert table_checksums(connection) == before
        assert connection.execute("show timezone").fetchone() == ("Asia/Tokyo",)


# traps ---------------------------------------------------------------------

#: Each of these queries counts rows that must not exist.
NEVER = {
    "last_message_at is the newest live message": """
        select count(*) from conversations c
        where last_message_at is distinct from (
            select max(created_at) from messages m
            where m.conversation_id = c.id and deleted_at is null)""",
    "last_read_at lies between joining and the last message": """
        select count(*) from conversation_participants p
        join conversations c on c.id = p.conversation_id
        where last_read_at not between joined_at and last_message_at
            or (last_read_at is not null and last_message_at is null)""",
    "the author takes part and has joined": """
        select count(*) from messages m
        where not exists (
            select from conversation_participants p
            where p.conversation_id = m.conversation_id
                and p.user_id = m.author_id and p.joined_at <= m.created_at)""",
    "those mentioned take part": """
        select count(*) from messages m, unnest(mentions) as who
        where not exists (
            select from conversation_participants p
            where p.conversation_id = m.conversation_id and p.user_id = who)""",
    "those who react take part, and after the message": """
        select count(*) from message_reactions r join messages m on m.id = r.message_id
        where r.created_at < m.created_at or not exists (
            select from conversation_participants p
            where p.conversation_id = m.conversation_id and p.user_id = r.user_id)""",
    "a reply follows what it replies to, in the same conversation": """
        select count(*) from messages m join messages r on r.id = m.reply_to_id
        where r.conversation_id <> m.conversation_id or r.created_at > m.created_at
            or r.id = m.id""",
    "a thread is named by its first message": """
        select count(*) from messages m left join messages t on t.id = m.thread_id
        where m.thread_id is not null
            and (t.id is null or t.conversation_id <> m.conversation_id
                or t.created_at > m.created_at or t.thread_id is not null)""",
    "only messages of the types file and image carry attachments": """
        select count(*) from messages
        where attachments <> '[]' and message_type not in ('file', 'image')""",
    "messages are not older than their conversation": """
        select count(*) from messages m join conversations c on c.id = m.conversation_id
        where m.created_at < c.created_at""",
    "direct conversations have two participants": """
        select count(*) from conversations c
        where type = 'direct' and 2 <> (
            select count(*) from conversation_participants p
            where p.conversation_id = c.id)""",
    "a conversation points at the subject of its type": """
        select count(*) from conversations
        where (type = 'project') <> (project_id is not null)
            or (type = 'team') <> (team_id is not null)
            or (type = 'direct') <> (organization_id is null)""",
    "read_at and is_read agree": """
        select count(*) from notifications where is_read <> (read_at is not null)
            or is_read is null or read_at < created_at""",
    "a revision raises the version of the file it points at": """
        select count(*) from files f join files p on p.id = f.parent_file_id
        where f.version <> p.version + 1 or p.is_latest or f.created_at < p.created_at
            or f.project_id is distinct from p.project_id""",
    "originals are version 1": """
        select count(*) from files where (version = 1) <> (parent_file_id is null)""",
    "a file that nobody revised is the latest": """
        select count(*) from files f
        where is_latest = exists (select from files r where r.parent_file_id = f.id)""",
    "a permission is granted after the upload": """
        select count(*) from file_permissions p join files f on f.id = p.file_id
        where granted_at < f.created_at or (user_id is null) = (team_id is null)""",
    "completed projects, and only they, have a completion date": """
        select count(*) from projects
        where (status = 'completed') <> (completion_date is not null)""",
    "a project's type, category and team fit together": """
        select count(*) from projects p left join teams t on t.id = p.team_id
        where t.organization_id <> p.organization_id
            or not exists (select from service_packages s
                where s.service_category = p.service_category
                    and s.slug = p.project_type)""",
    "the manager works on the project": """
        select count(*) from projects p where not exists (
            select from project_members m
            where m.project_id = p.id and m.user_id = p.manager_id and role = 'manager')""",
    "every organization has one owner, who made it": """
        select count(*) from organizations o where array[created_by] is distinct from (
            select array_agg(user_id) from organization_members m
            where m.organization_id = o.id and role = 'owner')""",
    "members of a team belong to its organization": """
        select count(*) from team_members m join teams t on t.id = m.team_id
        where not exists (
            select from organization_members o
            where o.organization_id = t.organization_id and o.user_id = m.user_id)""",
    "the paid invoices, and only they, have paid_at": """
        select count(*) from invoices
        where (status = 'paid') <> (paid_at is not null) or paid_at < created_at
            or total_amount <> amount + tax_amount
            or (line_items -> 0 ->> 'amount')::numeric <> floor(amount)""",
    "invoice numbers count from 1 in every month": """
        select count(*) from (
            select invoice_number, 'FS-' || to_char(created_at at time zone 'UTC', 'YYYYMM')
                || '-' || to_char(row_number() over (
                    partition by date_trunc('month', created_at at time zone 'UTC')
                    order by invoice_number), 'FM0000') as expected
            from invoices) as numbered
        where invoice_number <> expected""",
    "start and end of a time entry make its hours": """
        select count(*) from time_entries
        where extract(epoch from end_time - start_time) / 3600 <> hours""",
    "people act after they signed up": """
        select count(*) from users u
        where exists (select from messages m
                where m.author_id = u.id and m.created_at < u.created_at)
            or exists (select from conversation_participants p
                where p.user_id = u.id and p.joined_at < u.created_at)
            or exists (select from organization_members o
                where o.user_id = u.id and o.joined_at < u.created_at)
            or exists (select from files f
                where f.uploaded_by = u.id and f.created_at < u.created_at)""",
    "emails carry the name": """
        select count(*) from users
        where email not like lower(replace(name, ' ', '.')) || '.%@example.com'""",
}


@pytest.mark.parametrize("rule", NEVER)
def test_it_always_holds_that(lab: psycopg.Connection, rule: str) -> None:
    assert number(lab, NEVER[rule]) == 0


def test_revision_chains_and_stars_both_exist(lab: psycopg.Connection) -> None:
    stars = number(
        lab,
        """
        select count(*) from (
            select parent_file_id from files where parent_file_id is not null
            group by parent_file_id having count(*) > 1) as star""",
    )
    originals = number(lab, "select count(*) from files where version = 1")
    assert stars / originals == pytest.approx(
        PROFILE.number("files.star_originals"), abs=0.002
    )
    assert number(lab, "select max(version) from files") == PROFILE.number(
        "files.chain_max"
    )
    assert originals / number(lab, "select count(*) from files") == pytest.approx(
        0.75, abs=0.01
    )
    latest = number(lab, "select avg(is_latest::int) from files")
    assert latest == pytest.approx(0.78, abs=0.01)


def test_milestones_of_completed_projects_are_done(lab: psycopg.Connection) -> None:
    done = """
        select avg((completed_at is not null)::int) from project_milestones m
        join projects p on p.id = m.project_id where status like '{}'"""
    rates = PROFILE.choice("project_milestones.done")
    assert number(lab, done.format("completed")) == pytest.approx(
        rates.share("completed"), abs=0.03
    )
    assert number(lab, done.format("%")) == pytest.approx(0.55, abs=0.06)


def test_most_readers_are_caught_up_and_some_are_stale(lab: psycopg.Connection) -> None:
    share = """
        select avg((last_read_at {} last_message_at)::int) from conversation_participants p
        join conversations c on c.id = p.conversation_id where last_read_at is not null"""
    caught_up = PROFILE.number("conversation_participants.caught_up")
    assert number(lab, share.format("=")) == pytest.approx(caught_up, abs=0.07)
    assert number(lab, share.format("< -interval '1 day' +")) > 0.05


def test_messages_lie_in_the_heap_in_time_order(lab: psycopg.Connection) -> None:
    query = """
        select correlation from pg_stats
        where tablename = 'messages' and attname = '{}'"""
    assert number(lab, query.format("created_at")) > 0.99
    # Random keys do not: the primary key's order says nothing about the heap's.
    assert abs(number(lab, query.format("id"))) < 0.1


def test_ids_are_random_uuids_of_version_4(lab: psycopg.Connection) -> None:
    wrong = "id::text !~ '^.{8}-.{4}-4.{3}-[89ab].{3}-.{12}$'"
    assert number(lab, f"select count(*) from messages where {wrong}") == 0


def test_statistics_are_fresh_and_pages_all_visible(lab: psycopg.Connection) -> None:
    query = "select count(*) from pg_class where relkind = 'r' and relnamespace = {}"
    public = query.format("'public'::regnamespace")
    assert number(lab, public) == 21
    # COPY extends a table by several pages at a time: the last ones may be empty.
    stale = "(reltuples < 1 or relallvisible < relpages * 0.9 - 2)"
    assert number(lab, f"{public} and {stale}") == 0


# the template --------------------------------------------------------------


def test_the_template_is_found_again(
    postgres: PostgresServer, settings: Settings, template: Dataset
) -> None:
    reports: list[Phase] = []
    assert build_template(postgres, settings, reports.append) == template
    assert reports == []
    assert (template.size, template.users, template.seed) == ("tiny", 100, 11)
    assert template.now == PROFILE.now
    assert template.rows["messages"] == 25_000


_KILLED = """
import os, signal, sys
from pathlib import Path
from fluxlab.dataset.ingest import load_tables
from fluxlab.dataset.load import build_template
from fluxlab.servers import postgres
from fluxlab.settings import Settings

settings = Settings(home=Path(sys.argv[1]), size="tiny", is_durable=False)

def die(phase):
    if phase.name == sys.argv[2] and phase.done * 2 > phase.total:
        os.kill(os.getpid(), signal.SIGKILL)

build_template(postgres.start(settings), settings, die)
"""


def test_a_build_killed_anywhere_is_built_again(own_settings: Settings) -> None:
    server = postgres_server.start(own_settings)
    for phase in ("load", "vacuum"):
        arguments = [sys.executable, "-c", _KILLED, str(own_settings.home), phase]
        killed = subprocess.run(arguments, env=dict(os.environ), check=False)
        assert killed.returncode == -signal.SIGKILL
        with connect(server, "postgres") as connection:
            names = connection.execute("select datname from pg_database").fetchall()
            assert ("flux_template",) not in names
            assert ("flux_template_building",) in names
    reports: list[Phase] = []
    build_template(server, own_settings, reports.append)
    with connect(server, "flux_template") as connection:
        assert table_checksums(connection) == tomllib.loads(CHECKSUMS.read_text())
    for name in ("load", "constraints", "vacuum"):
        done = [phase.done for phase in reports if phase.name == name]
        assert done == sorted(done)
        assert done[-1] == next(phase.total for phase in reports if phase.name == name)


def test_the_first_failure_of_a_load_is_the_one_reported(
    postgres: PostgresServer,
) -> None:
    users, organizations = table_sources(PROFILE, 100, 11)[:2]
    name = "flux_test_bare"

    def broken(rows: I64) -> Columns:
        raise ValueError("no such rows")

    clone(postgres, name, source="template0")
    with connect(postgres, name) as connection:
        connection.execute(TABLES_FILE.read_bytes())
    faulty = replace(organizations, make=broken)
    with pytest.raises(ValueError, match="no such rows"):
        load_tables(
            uri(postgres, name),
            (users, faulty),
            lambda table: None,
            lambda table, rows: None,
        )
    with connect(postgres, name) as connection:
        assert number(connection, "select count(*) from organizations") == 0
    with connect(postgres, "postgres") as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def test_another_seed_replaces_the_template(own_settings: Settings) -> None:
    server = postgres_server.start(own_settings)
    first = build_template(server, own_settings)
    second = build_template(server, replace(own_settings, seed=12))
    assert first.fingerprint != second.fingerprint
    with connect(server, "flux_template") as connection:
        sums = table_checksums(connection)
    pinned = tomllib.loads(CHECKSUMS.read_text())
    assert not any(sums[name] == pinned[name] for name in pinned)


def test_a_template_that_is_not_ours_is_left_alone(own_settings: Settings) -> None:
    server = postgres_server.start(own_settings)
    with connect(server, "postgres") as connection:
        connection.execute("create database flux_template")
        connection.execute("create database shop")
        with pytest.raises(FluxlabError, match="did not build"):
            build_template(server, own_settings)
        with pytest.raises(FluxlabError, match="did not make"):
            clone(server, "shop", source="template1")
        names = connection.execute("select datname from pg_database").fetchall()
        assert {("flux_template",), ("shop",)} <= set(names)


def test_a_clone_is_independent_and_can_be_made_again(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as connection:
        connection.execute("delete from notifications")
    clone(postgres, database)
    with connect(postgres, database) as connection:
        assert table_checksums(connection) == tomllib.loads(CHECKSUMS.read_text())


def test_a_missing_source_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(FluxlabError, match="no database flux_nowhere"):
        clone(postgres, "flux_test_nothing", source="flux_nowhere")


# memory --------------------------------------------------------------------

_PEAK = """
import resource, sys
from itertools import islice
from fluxlab.dataset.ddl import TABLES_FILE
from fluxlab.dataset.generate import table_sources
from fluxlab.dataset.profile import load_profile

for source in table_sources(load_profile(), int(sys.argv[1]), 11):
    if source.name == "messages":
        assert sum(chunk.num_rows for chunk in islice(source.chunks(), 3)) == 3 * 65536
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, source.name)
"""


def test_a_message_costs_a_few_bytes_of_memory_not_its_row() -> None:
    peaks = []
    for users in (2_000, 12_000):
        run = [sys.executable, "-c", _PEAK, str(users)]
        peak = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        peaks.append(int(peak.split()[0]) * 1024)
    # 2.5 million messages more; a finished row is about 300 bytes.
    assert (peaks[1] - peaks[0]) / 2_500_000 < 60


def _renew() -> None:
    home = Path(tempfile.mkdtemp(prefix="flux-"))
    home.chmod(0o755)
    settings = Settings(home=home, size="tiny", is_durable=False)
    server = postgres_server.start(settings)
    build_template(server, settings)
    with connect(server, "flux_template") as connection:
        sums = table_checksums(connection)
    postgres_server.stop(settings)
    shutil.rmtree(home, ignore_errors=True)
    lines = [f'{name} = "{value}"' for name, value in sums.items()]
    header = "# rows:checksum of every table at size tiny and seed 11.\n"
    header += "# Renew with: python tests/test_dataset.py\n"
    CHECKSUMS.write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    _renew()
