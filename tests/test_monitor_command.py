"""`fluxlab monitor`: into a pipe, on a terminal, on somebody else's database."""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring_files import watching
from rich.console import Console

from fluxlab import monitor_command
from fluxlab.errors import FluxlabError
from fluxlab.lab import Lab, open_lab
from fluxlab.monitoring.panels import PANELS
from fluxlab.monitoring.view import frame, rows_that_fit, telling
from fluxlab.servers.connections import connect, connect_foreign, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

DEFAULTS = [panel for panel in PANELS.values() if panel.is_default]


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer) -> Lab:
    return open_lab(settings)


@pytest.fixture
def monitor(
    settings: Settings, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the command into a pipe; return what it printed."""

    def run(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        monitor_command.add_options(parser)
        assert monitor_command.run(settings, parser.parse_args(arguments)) == 0
        return capsys.readouterr().out

    return run


# -- Somebody else's database


@pytest.fixture
def reader(postgres: PostgresServer, database: str) -> Iterator[str]:
    """The address of a database as an account without any rights has it."""
    name = f"flux_reader_{uuid.uuid4().hex[:8]}"
    with connect(postgres, database) as owner:
        owner.execute(f"create role {name} login password 'p4ssw0rd'".encode())
        yield f"{uri(postgres, database)}&user={name}&password=p4ssw0rd".replace(
            "user=postgres&", ""
        )
        owner.execute(f"drop role {name}".encode())


def test_an_account_without_rights_sees_what_it_may_and_changes_nothing(
    postgres: PostgresServer, database: str, reader: str, monitor: Callable[..., str]
) -> None:
    def objects() -> list[tuple[object, ...]]:
        with connect(postgres, database) as owner:
            return owner.execute(
                "select 'c', relname::text from pg_class union all "
                "select 'e', extname::text from pg_extension order by 1, 2"
            ).fetchall()

    before = objects()
    with connect(postgres, database) as other:
        other.execute("begin")
        other.execute("select 'a secret of somebody' as secret")
        said = monitor("--dsn", reader)

    assert objects() == before
    assert "p4ssw0rd" not in said
    assert "as flux_reader_" in said
    assert "secret" not in said
    assert "create extension pg_stat_statements;" in said
    assert "21 not known" in said  # it may not read the statistics of a column
    with (
        connect_foreign(reader) as session,
        pytest.raises(psycopg.Error, match="read-only"),
    ):
        session.execute("create table anything ()")


def test_an_address_that_does_not_answer_is_told_without_its_password(
    monitor: Callable[..., str],
) -> None:
    with pytest.raises(FluxlabError) as raised:
        monitor("--dsn", "postgresql://ann:s3cret@127.0.0.1:1/shop")

    assert "ann:***@127.0.0.1" in str(raised.value)
    assert "s3cret" not in str(raised.value)


# -- The command


def test_into_a_pipe_goes_one_page_of_80_columns(monitor: Callable[..., str]) -> None:
    said = monitor("sprint11")

    assert [one.title for one in DEFAULTS if f"{one.title}: " not in said] == []
    assert max(map(len, said.splitlines())) <= 80
    assert "counters since their reset" in said
    assert "flux_sprint11 as postgres" in said


def test_the_lab_gets_the_extension_and_stays_the_state_that_was_measured(
    lab: Lab, monitor: Callable[..., str]
) -> None:
    before = lab.state("baseline")

    said = monitor("baseline", "--once")

    assert "not there" not in said
    assert lab.state("baseline") == before
    assert [table.name for table in lab.catalog("baseline").tables] == [
        table.name for table in lab.catalog("sprint11").tables
    ]


def test_json_holds_every_row_with_its_numbers(
    lab: Lab, monitor: Callable[..., str]
) -> None:
    document = json.loads(
        monitor("--format", "json", "--only", "table_sizes", "hot_updates")
    )

    assert set(document["panels"]) == {"table_sizes", "hot_updates"}
    rows = document["panels"]["hot_updates"]["rows"]
    assert len(rows) == 21
    assert {type(row["updates"]) for row in rows} == {int}
    assert document["lost"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "nothing"),
        ("--every", "0s"),
        ("--every", "often"),
        ("baseline", "--dsn", "postgresql://db/x"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    monitor: Callable[..., str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(FluxlabError):
        monitor(*arguments)


# -- The terminal


@given(st.lists(st.integers(0, 40), max_size=14), st.integers(-5, 120))
def test_lines_are_shared_out_without_waste_and_never_more_than_there_are(
    wanted: list[int], lines: int
) -> None:
    given_ = rows_that_fit(wanted, lines)

    used = sum(rows + 1 for rows in given_ if rows)
    assert all(0 <= rows <= count for rows, count in zip(given_, wanted, strict=True))
    assert used <= max(0, lines)
    assert (
        used == lines
        or all(rows in (0, count) for rows, count in zip(given_, wanted, strict=True))
        or lines < 0
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 20), (132, 50)])
def test_a_frame_fits_its_terminal_and_has_every_headline(
    postgres: PostgresServer, lab: Lab, width: int, height: int
) -> None:
    names = [panel.name for panel in DEFAULTS]
    with watching(lambda: connect(postgres, "flux_baseline"), *names) as (monitor, _):
        snapshot = monitor.read()
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(frame(snapshot, width, height))
    lines = console.export_text().splitlines()

    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    for panel in DEFAULTS:
        assert [line for line in lines if line.startswith(f"{panel.title}: ")]
    most = sum(bool(telling(one)) for one in snapshot.readings)
    assert most > 3


def test_on_a_terminal_it_renews_itself_and_ends_cleanly_on_ctrl_c(
    settings: Settings, lab: Lab
) -> None:
    program = (
        "import argparse, sys; from pathlib import Path; "
        "from fluxlab import monitor_command as command; "
        "from fluxlab.settings import Settings; "
        "parser = argparse.ArgumentParser(); command.add_options(parser); "
        "settings = Settings(home=Path(sys.argv[1]), size='tiny', is_durable=False); "
        "sys.exit(command.run(settings, parser.parse_args(['--every', '200ms'])))"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(settings.home)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = said_until(ours, lambda text: text.count("counters of the last") >= 2)
    child.send_signal(signal.SIGINT)
    seen += said_until(ours, lambda text: False)
    os.close(ours)

    assert child.wait(10) == 0
    assert "Traceback" not in seen
    # The screen is entered and left, and the cursor is there again.
    assert seen.count("\x1b[?1049h") == seen.count("\x1b[?1049l") == 1
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    afterwards = seen[seen.index("\x1b[?1049l") :]
    assert "Shared buffers, tables: " in re.sub(r"\x1b\[[0-9;?]*[a-z]", "", afterwards)


def said_until(terminal: int, is_enough: Callable[[str], bool]) -> str:
    """Read a terminal until a text is there, or the other side has closed it."""
    text, deadline = "", time.monotonic() + 20
    while not is_enough(text) and time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            found = os.read(terminal, 65_536)
        except OSError:  # Linux says so when nobody has the other side open
            break
        if not found:
            break
        text += found.decode(errors="replace")
    return text
