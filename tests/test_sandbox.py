"""A sandbox: a copy that a notebook may change, and that leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from fluxlab.dataset.databases import maintenance
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.indexes.attempts import try_index, try_rewrite
from fluxlab.indexes.sandbox import PREFIX, Asked, Sandbox
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

NAMED = Asked("select id from users where lower(name) = $1", ("nobody",))
BY_NAME = "create index on users (lower(name))"


@pytest.fixture
def sandbox(postgres: PostgresServer, template: Dataset) -> Iterator[Sandbox]:
    with Sandbox(postgres) as one:
        yield one


def sandboxes(server: PostgresServer) -> set[str]:
    """The names of all sandboxes on the server."""
    with maintenance(server) as connection:
        rows = connection.execute("select datname from pg_database").fetchall()
    return {name for (name,) in rows if name.startswith(PREFIX)}


def test_nothing_is_made_before_the_first_try_and_nothing_stays(
    postgres: PostgresServer, sandbox: Sandbox
) -> None:
    known = sandboxes(postgres)
    assert sandbox.database is None

    sandbox.explain(NAMED)
    made = sandbox.database
    assert sandboxes(postgres) == known | {made}
    sandbox.close()

    assert sandboxes(postgres) == known
    assert repr(sandbox) == "<Sandbox: not made yet, a copy of flux_template>"


def test_what_is_tried_is_rolled_back(sandbox: Sandbox) -> None:
    before = sandbox.explain(NAMED)

    tried = sandbox.explain(NAMED, ["delete from message_reactions", BY_NAME])

    assert tried.indexes == ("users_lower_idx",)
    assert sandbox.explain(NAMED).shape == before.shape
    assert sandbox.rows(Asked("select count(*) > 0 from message_reactions")) == [(True,)]


def test_the_server_says_what_it_refuses_and_the_next_try_works(sandbox: Sandbox) -> None:
    with pytest.raises(FluxlabError, match=r"refuses: column .titel. does not exist"):
        sandbox.explain(NAMED, ["create index on users (titel)"])
    with pytest.raises(FluxlabError, match="division by zero"):
        sandbox.rows(Asked("select 1 / $1::int", (0,)))

    assert sandbox.explain(NAMED).is_analyzed


def test_a_plan_as_psql_shows_it_counts_warm_blocks(sandbox: Sandbox) -> None:
    text = sandbox.explain_as_psql(NAMED)

    assert text.startswith("Seq Scan on users")
    assert "Rows Removed by Filter" in text
    assert "Buffers: shared hit" in text
    assert "read=" not in text


def test_what_was_kept_stays_until_the_copy_is_renewed(sandbox: Sandbox) -> None:
    sandbox.keep([BY_NAME])
    first = sandbox.database
    assert sandbox.explain(NAMED, ["set local enable_seqscan = off"]).indexes

    sandbox.renew()

    assert not sandbox.explain(NAMED, ["set local enable_seqscan = off"]).indexes
    assert sandbox.database != first


def test_an_abandoned_sandbox_is_dropped_by_the_next_and_one_in_use_is_not(
    postgres: PostgresServer, sandbox: Sandbox, template: Dataset
) -> None:
    sandbox.explain(NAMED)
    killed = Sandbox(postgres)
    killed.explain(NAMED)
    left = killed.database
    # As if its process had been killed: the session ends, the database stays.
    with maintenance(postgres) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = %s",
            (left,),
        )
    assert {left, sandbox.database} <= sandboxes(postgres)

    with Sandbox(postgres) as third:
        third.explain(NAMED)
        assert sandboxes(postgres) >= {sandbox.database, third.database}
        assert left not in sandboxes(postgres)


def test_a_session_that_the_server_ended_is_made_again(
    postgres: PostgresServer, sandbox: Sandbox
) -> None:
    sandbox.explain(NAMED)
    with maintenance(postgres) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = %s",
            (sandbox.database,),
        )
    with pytest.raises(FluxlabError):
        sandbox.explain(NAMED)

    assert sandbox.explain(NAMED).is_analyzed
    assert sandboxes(postgres) >= {sandbox.database}


def test_a_process_that_ends_drops_its_sandbox(
    postgres: PostgresServer, template: Dataset, settings: Settings
) -> None:
    known = sandboxes(postgres)
    code = (
        "import sys; from pathlib import Path;"
        "from fluxlab.indexes.sandbox import Asked, Sandbox;"
        "from fluxlab.servers.postgres import find;"
        "from fluxlab.settings import Settings;"
        "sandbox = Sandbox(find(Settings(home=Path(sys.argv[1]), size='tiny')));"
        "sandbox.explain(Asked('select 1')); print(sandbox.database)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith(PREFIX), done.stderr
    assert sandboxes(postgres) == known


def test_an_index_is_tried_with_its_size_and_what_the_planner_makes_of_it(
    sandbox: Sandbox,
) -> None:
    attempt = try_index(sandbox, BY_NAME, NAMED)
    unused = try_index(sandbox, "create index on users (created_at)", NAMED)

    assert attempt.is_used
    assert attempt.size_bytes >= 8192
    assert (attempt.before.root.kind, attempt.after.blocks < attempt.before.blocks) == (
        "Seq Scan",
        True,
    )
    # The index brought statistics of its expression: about one row for each name.
    assert attempt.after.root.planned_rows <= 2
    assert not unused.is_used
    assert unused.after.shape == unused.before.shape


def test_writes_are_priced_in_wal_records_and_the_copy_is_made_anew(
    sandbox: Sandbox,
) -> None:
    one = "(select id from notifications where not is_read order by id limit 1)"
    writes = {
        "title": Asked(f"update notifications set title = 'x' where id = {one}"),
        "none": Asked("update notifications set title = 'x' where false"),
    }
    asked = Asked("select count(*) from notifications where title = 'x'")
    sandbox.explain(asked)
    first = sandbox.database

    attempt = try_index(
        sandbox, "create index on notifications (title)", asked, writes=writes
    )

    # A heap-only update becomes one that writes to every index of the table.
    assert attempt.records_after["title"] > attempt.records_before["title"] > 0
    assert attempt.records_before["none"] == attempt.records_after["none"] == 0
    assert attempt.records_more == sum(attempt.records_after.values()) - sum(
        attempt.records_before.values()
    )
    assert sandbox.explain(asked).indexes == ()
    assert sandbox.database != first


def test_another_wording_is_compared_without_an_index(sandbox: Sandbox) -> None:
    other = Asked("select id from users where name = $1", ("Nobody",))

    attempt = try_rewrite(sandbox, other.statement, NAMED, other)

    assert attempt.built is None
    assert not attempt.is_used
    assert attempt.before.root.conditions != attempt.after.root.conditions


def test_the_states_of_the_lab_are_not_touched(
    postgres: PostgresServer, sandbox: Sandbox, database: str
) -> None:
    with Sandbox(postgres, source=database) as mine:
        mine.keep(["delete from message_reactions"])
        assert mine.rows(Asked("select count(*) from message_reactions")) == [(0,)]

    with connect(postgres, database) as connection:
        row = connection.execute("select count(*) from message_reactions").fetchone()
    assert row is not None
    assert row[0] > 0
