"""`fluxlab explain`: a plan or a statement in, the tree and the advice out."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fluxlab import explain_command
from fluxlab.errors import FluxlabError
from fluxlab.explaining import explain_pasted, explain_query, is_statement
from fluxlab.lab import Lab, open_lab
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers.connections import connect, uri
from fluxlab.settings import ROOT, Settings

WASTEFUL = "select id from messages where content = 'nothing says this'"


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture
def explain(
    settings: Settings, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command as a terminal does; return its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        explain_command.add_options(parser)
        code = explain_command.run(settings, parser.parse_args(arguments))
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def plan_file(lab: Lab, tmp_path: Path) -> Path:
    """A plan as psql prints it, of a scan that throws every row away."""
    with lab.connection() as connection:
        rows = connection.execute(f"explain (analyze) {WASTEFUL}".encode()).fetchall()
    path = tmp_path / "plan.txt"
    width = max(len(row[0]) for row in rows)
    lines = [
        "QUERY PLAN".center(width + 2),
        "-" * (width + 2),
        *(f" {row[0]}" for row in rows),
    ]
    path.write_text("\n".join([*lines, f"({len(rows)} rows)", ""]))
    return path


@pytest.fixture(scope="module")
def elsewhere(settings: Settings) -> Iterator[str]:
    """The URL of a second server, with a table of its reader's."""
    own = replace(settings, home=settings.home / "elsewhere")
    server = postgres_server.start(own)
    with connect(server, "postgres") as connection:
        connection.execute("create table orders (id int, total int)")
        connection.execute(
            "insert into orders select g, g % 9 from generate_series(1, 999) g"
        )
        connection.execute("analyze orders")
    yield uri(server, "postgres")
    postgres_server.erase(own)


def test_a_pasted_plan_is_told_from_a_statement(plan_file: Path) -> None:
    assert is_statement("select * from t where id = :id")
    assert not is_statement(plan_file.read_text())


def test_a_pasted_plan_is_drawn_with_what_is_wrong(
    explain: Callable[..., tuple[int, str]], plan_file: Path
) -> None:
    code, printed = explain(str(plan_file))

    assert code == 0
    assert "Seq Scan on messages" in printed


def test_the_log_of_a_server_has_the_statement_as_well() -> None:
    log = ROOT / "tests" / "plans" / "samples" / "15-auto_explain-log.txt"

    statements = [one.statement for one in explain_pasted(log.read_text())]

    assert statements
    assert all("where customer_id = 7" in str(one) for one in statements)


def test_rules_look_at_the_statement_of_a_log() -> None:
    """Without it nobody knows that the groups come from DISTINCT."""
    plan = """HashAggregate (actual time=9.000..9.100 rows=200 loops=1)
  Group Key: tasks.id
  ->  Hash Join (actual time=0.100..8.000 rows=9000 loops=1)
        Hash Cond: (notes.task_id = tasks.id)
        ->  Seq Scan on notes (actual time=0.001..1.000 rows=9000 loops=1)
        ->  Hash (actual time=0.100..0.100 rows=200 loops=1)
              ->  Seq Scan on tasks (actual time=0.001..0.010 rows=200 loops=1)
"""
    logged = "LOG:  duration: 9.2 ms  plan:\nQuery Text: {}\n" + plan
    distinct = "select distinct tasks.id from tasks join notes on notes.task_id = tasks.id"

    (alone,) = explain_pasted(plan)
    (with_it,) = explain_pasted(logged.format(distinct))
    (among_others,) = explain_pasted(logged.format(f"{distinct}; select 1"))

    assert "R38" not in {one.rule for one in alone.findings}
    assert "R38" in {one.rule for one in with_it.findings}
    assert "R38" not in {one.rule for one in among_others.findings}


def test_a_query_of_the_lab_is_planned_with_the_values_of_every_class(lab: Lab) -> None:
    found = explain_query(lab, "notifications_type_stats")

    (trap,) = (one for one in found.findings if one.rule == "R52")
    assert "one for hot and typical values, one for rare and absent" in trap.sentence


def test_standard_input_is_read(
    explain: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select name from users where id = $1"))

    _, printed = explain("-", "--format", "json")

    document = json.loads(printed)
    assert document["nodes"][0]["label"] == "Index Scan using users_pkey on users"
    assert document["execution_ms"] == 0


def test_a_query_of_the_lab_is_executed_where_that_is_asked_for(
    explain: Callable[..., tuple[int, str]],
) -> None:
    _, planned = explain("--query", "user_by_email", "--format", "json")
    _, executed = explain("--query", "user_by_email", "--format", "json", "--analyze")

    assert json.loads(planned)["execution_ms"] == 0
    assert json.loads(executed)["execution_ms"] > 0


def test_the_exit_code_tells_a_heavy_finding(
    explain: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    wasteful, fine = tmp_path / "wasteful.sql", tmp_path / "fine.sql"
    wasteful.write_text(f"{WASTEFUL};\n")
    fine.write_text("select 1;\n")

    assert explain(str(wasteful), "--analyze", "--fail-on", "high")[0] == 1
    assert explain(str(wasteful), "--analyze")[0] == 0
    assert explain(str(fine), "--analyze", "--fail-on", "low")[0] == 0


def test_named_and_numbered_parameters_get_their_values(
    explain: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    named, numbered = tmp_path / "named.sql", tmp_path / "numbered.sql"
    named.write_text("select id from users where name = :name")
    numbered.write_text("select id from users where name = $1")

    for path, value in ((named, "name=Ann"), (numbered, "Ann")):
        code, printed = explain(
            str(path), "--param", value, "--format", "json", "--analyze"
        )
        assert code == 0
        assert "'Ann'" in json.loads(printed)["nodes"][0]["conditions"]["Filter"]


def test_html_is_a_page_of_its_own(
    explain: Callable[..., tuple[int, str]], plan_file: Path
) -> None:
    _, printed = explain(str(plan_file), "--format", "html")

    assert printed.startswith("<!doctype html>")
    assert "<script" not in printed
    assert "Seq Scan on messages" in printed


def test_another_server_is_asked_and_left_as_it_was(
    explain: Callable[..., tuple[int, str]], elsewhere: str, tmp_path: Path
) -> None:
    path = tmp_path / "query.sql"
    path.write_text("select id from orders where total = 3")
    _, printed = explain(str(path), "--dsn", elsewhere, "--analyze", "--format", "json")
    assert json.loads(printed)["nodes"][0]["rows_kept"] == 111

    path.write_text("delete from orders")
    with pytest.raises(FluxlabError, match="--rollback-writes"):
        explain(str(path), "--dsn", elsewhere, "--analyze")
    _, printed = explain(
        str(path), "--dsn", elsewhere, "--analyze", "--rollback-writes", "--format", "json"
    )
    assert json.loads(printed)["nodes"][1]["rows_read"] == 999
    path.write_text("select count(*) from orders")
    _, printed = explain(str(path), "--dsn", elsewhere, "--analyze", "--format", "json")
    assert json.loads(printed)["nodes"][1]["rows_read"] == 999


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "Say what to explain"),
        (("a.sql", "--query", "b"), "Say what to explain"),
        (("/nowhere.sql",), "cannot be read: No such file"),
        (("--query", "user_by_emial"), "There is no query"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_sentence(
    explain: Callable[..., tuple[int, str]], arguments: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(FluxlabError, match=expected):
        explain(*arguments)


def test_a_server_that_is_not_there_is_named_without_its_password(
    explain: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    path = tmp_path / "query.sql"
    path.write_text("select 1")

    with pytest.raises(FluxlabError) as raised:
        explain(str(path), "--dsn", "postgresql://ann:secret@127.0.0.1:1/x")

    assert "secret" not in str(raised.value)
