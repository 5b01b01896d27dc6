"""The commands as a person types them, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxlab.book.claims import read_claims
from fluxlab.pipeline import environment_of
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers import redis as redis_server
from fluxlab.settings import ROOT, Settings
from fluxlab.workload.store import Store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A lab of its own for this module; its servers are stopped at the end."""
    directory = tmp_path_factory.mktemp("cli")
    for parent in (directory, directory.parent, directory.parent.parent):
        parent.chmod(0o755)
    settings = Settings(home=directory, size="tiny", is_durable=False)
    yield settings
    postgres_server.stop(settings)
    redis_server.stop(settings)


def command(settings: Settings, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "fluxlab.cli", *arguments]


def environment(settings: Settings, **extra: str) -> dict[str, str]:
    return {**os.environ, **environment_of(settings), **extra}


def fluxlab(
    settings: Settings, *arguments: str, **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(settings, *arguments),
        capture_output=True,
        text=True,
        env=environment(settings, **extra),
        check=False,
        timeout=900,
    )


def known_pairs(settings: Settings) -> int:
    """The number of Measurements in the store; 0 before there is one."""
    if not settings.results_path.exists():
        return 0
    from sqlalchemy import text

    store = Store(settings.results_path)
    with store._engine.connect() as connection:
        count = connection.execute(text("select count(*) from measurement")).scalar_one()
    store.close()
    return int(count)


def test_help_names_every_command_with_a_sentence(home: Settings) -> None:
    done = fluxlab(home, "--help")

    assert done.returncode == 0
    for name in ("run", "up", "status", "down", "queries", "sql", "psql", "book", "site"):
        assert re.search(rf"^ +{name} +[A-Z].*\.$", done.stdout, re.M), name


@pytest.mark.parametrize(
    ("arguments", "extra", "code", "expected"),
    [
        (("nonsense",), {}, 2, "invalid choice"),
        (("queries", "--area", "nowhere"), {}, 1, "There is no area 'nowhere'."),
        (
            ("status",),
            {"FLUXLAB_SIZE": "huge"},
            1,
            "Use one of tiny, small, medium, large.",
        ),
        (("run", "--timeout", "0"), {}, 1, "The timeout is too short"),
        (
            ("up",),
            {"DATABASE_URL": "postgresql://ann:s3cret@127.0.0.1:1/db"},
            1,
            "ann:***@127.0.0.1:1",
        ),
    ],
)
def test_an_error_is_a_sentence_and_what_to_do_and_shows_no_password(
    home: Settings,
    arguments: tuple[str, ...],
    extra: dict[str, str],
    code: int,
    expected: str,
) -> None:
    done = fluxlab(home, *arguments, **extra)

    said = " ".join(done.stderr.split())
    assert done.returncode == code
    assert expected in said
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_list_that_nobody_reads_to_its_end_is_no_error(home: Settings) -> None:
    done = subprocess.run(
        f"{sys.executable} -m fluxlab.cli queries | head -n 2",
        shell=True,
        capture_output=True,
        text=True,
        env=environment(home),
        check=False,
    )

    assert "query" in done.stdout
    assert "Error" not in done.stderr


def test_ctrl_c_leaves_a_store_that_the_next_run_completes(
    home: Settings, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command(home, "run", "--no-book"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
    )
    deadline = time.monotonic() + 120
    while (
        known_pairs(home) < 200 and time.monotonic() < deadline and process.poll() is None
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    kept = known_pairs(home)

    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
    assert kept >= 200
    assert kept % 2 == 0

    # The second run measures the rest, executes every chapter, and builds the site.
    done = fluxlab(home, "run")

    assert done.returncode == 0, done.stderr
    every = known_pairs(home)
    said = " ".join(done.stdout.split())
    (measured,) = re.findall(r"this run measured ([\d,]+) pairs for the first", said)
    assert int(measured.replace(",", "")) == (every - kept) // 2 > 500
    for row in ("User by email", "Message search", "Analytics dashboard"):
        assert row in done.stdout
    (index,) = re.findall(r"The book: (\S+)", done.stdout.replace("\n", " "))
    assert "02_before_and_after" in Path(index).read_text()
    assert "NaN" not in done.stdout
    assert re.search(r"The server worked for [\d,]+ s; the harness added \d+%", said)
    assert "where the truth is no difference" in said
    claims = read_claims(ROOT / "data" / "claims.toml")
    assert f"The {len(claims)} claims of the report" in said

    # And a third one finds nothing left to do.
    again = fluxlab(home, "run", "--no-book")

    assert "this run measured 0 pairs for the first" in " ".join(again.stdout.split())
    assert known_pairs(home) == every


def test_a_query_goes_through_psql_with_its_parameters(home: Settings) -> None:
    block = fluxlab(home, "sql", "team_member_one_by_one", "--class", "hot")
    assert block.returncode == 0, block.stderr

    answer = subprocess.run(
        command(home, "psql", "sprint11", "-X", "-A", "-t"),
        input=block.stdout,
        capture_output=True,
        text=True,
        env=environment(home),
        check=False,
    )

    assert answer.stderr == ""
    assert int(answer.stdout) > 0


def test_up_status_and_down_agree(home: Settings) -> None:
    assert fluxlab(home, "up").returncode == 0
    running = fluxlab(home, "status")
    stopped = fluxlab(home, "down")
    after = fluxlab(home, "status")

    assert running.stdout.count("embedded") == 2
    assert stopped.stdout.count("stopped") == 2
    assert after.stdout.count("not running") == 2
