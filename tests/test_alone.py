"""Who builds or measures has the server to itself, and nobody swaps the data below."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from fluxlab.dataset.databases import maintenance, read_comment
from fluxlab.dataset.load import TEMPLATE, Dataset, build_template
from fluxlab.errors import FluxlabError
from fluxlab.indexes.states import read_state
from fluxlab.lab import open_lab
from fluxlab.measuring import measure_lab
from fluxlab.servers.alone import alone
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT, Settings
from fluxlab.workload.budget import BUDGETS

HOLDS = """
import sys
from pathlib import Path
from fluxlab.servers import postgres
from fluxlab.servers.alone import alone
from fluxlab.settings import Settings

server = postgres.start(Settings(home=Path(sys.argv[1]), size="tiny", is_durable=False))
with alone(server, "measuring"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_turned_away_with_the_session_that_holds_it(
    postgres: PostgresServer,
) -> None:
    with alone(postgres, "measuring"), maintenance(postgres) as connection:
        held = connection.execute(
            "select pid from pg_stat_activity where application_name = 'fluxlab, measuring'"
        ).fetchone()
        assert held
        with (
            pytest.raises(FluxlabError, match=rf"session {held[0]} of the server"),
            alone(postgres, "building"),
        ):
            pass
    with alone(postgres, "building"):
        pass


def test_one_that_is_killed_leaves_the_server_to_the_next(
    postgres: PostgresServer, settings: Settings
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(settings.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(FluxlabError, match="building or measuring"), alone(postgres, "it"):
        pass
    holder.kill()
    holder.wait()
    with maintenance(postgres) as connection:
        # The server notices a closed socket a moment later.
        while connection.execute(
            "select 1 from pg_stat_activity where application_name = 'fluxlab, measuring'"
        ).fetchone():
            pass
    with alone(postgres, "it"):
        pass


def test_data_is_not_replaced_while_somebody_measures_it(
    postgres: PostgresServer, settings: Settings, template: Dataset
) -> None:
    with alone(postgres, "measuring"), maintenance(postgres) as connection:
        with pytest.raises(FluxlabError, match="building or measuring"):
            build_template(postgres, replace(settings, seed=settings.seed + 1))
        assert (read_comment(connection, TEMPLATE) or {})["fingerprint"] == (
            template.fingerprint
        )
        # What is there already is still found.
        assert build_template(postgres, settings) == template


def test_queries_are_not_measured_by_two_at_once(settings: Settings) -> None:
    lab = open_lab(settings)
    with (
        alone(lab.server, "measuring"),
        pytest.raises(FluxlabError, match="building or measuring"),
    ):
        measure_lab(lab, BUDGETS["quick"], lambda tick: None)


def test_a_lab_whose_data_was_replaced_says_so_instead_of_naming_it_wrongly(
    settings: Settings,
) -> None:
    lab = open_lab(settings)
    stale = replace(lab.dataset, fingerprint="0" * 24, seed=12)
    with pytest.raises(FluxlabError, match=r"other data than size tiny, seed 12.*again"):
        read_state(lab.server, stale, "baseline", settings.root / "sql" / "catalog")
