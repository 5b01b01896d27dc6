"""`fluxlab audit`: what it prints, what it returns, and what it never shows."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable

import pytest

from fluxlab import audit_command
from fluxlab.errors import FluxlabError
from fluxlab.lab import Lab, open_lab
from fluxlab.servers.connections import uri
from fluxlab.settings import Settings

Audit = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture
def audit(
    settings: Settings,
    lab: Lab,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Audit:
    """Run the command as a terminal of 80 columns does."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        audit_command.add_options(parser)
        code = audit_command.run(settings, parser.parse_args(arguments))
        return code, capsys.readouterr().out

    return run


def test_the_baseline_is_audited_where_nothing_else_is_asked_for(audit: Audit) -> None:
    code, printed = audit("--rule", "H17")

    assert code == 0
    assert printed.startswith("flux_baseline, PostgreSQL 18")
    assert audit("baseline", "--rule", "H17")[1] == printed
    assert audit("sprint11", "--rule", "H17")[1] != printed


def test_a_terminal_of_80_columns_holds_it(audit: Audit) -> None:
    _, printed = audit("sprint11", "--least", "note")

    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "drop index concurrently" in printed


def test_lighter_findings_are_counted_and_shown_on_request(audit: Audit) -> None:
    rules = ("--rule", "H10", "--rule", "H17", "--rule", "H29")
    _, short = audit("sprint11", *rules, "--least", "high")
    _, long = audit("sprint11", *rules, "--least", "note")

    left_out = re.search(r"(\d+) more weigh less", short)
    assert left_out
    assert "more weigh less" not in long
    assert long.count("• ") - short.count("• ") == int(left_out[1])


def test_a_rule_that_was_not_asked_is_said(audit: Audit) -> None:
    _, printed = audit("--rule", "loose_leaves")

    assert "0 findings by 0 rules" in printed
    assert "Not asked: H16 loose_leaves" in printed


def test_json_holds_every_finding_with_its_evidence(audit: Audit, lab: Lab) -> None:
    _, printed = audit("sprint11", "--rule", "H02", "--rule", "H08", "--format", "json")

    document = json.loads(printed)
    assert document["asked"] == ["constraint_duplicate", "constant_key"]
    assert {one["rule"] for one in document["findings"]} == {"H02", "H08"}
    for one in document["findings"]:
        assert one["evidence"]
        assert one["fix"].startswith("drop index")
        assert one["undo"].startswith("CREATE INDEX")


def test_markdown_has_a_heading_per_rule_and_the_fixes_as_sql(audit: Audit) -> None:
    _, printed = audit("sprint11", "--rule", "H02", "--format", "markdown")

    assert printed.startswith("# flux_sprint11, PostgreSQL 18")
    assert len(re.findall(r"^## .+ \(H02, high\)$", printed, re.M)) == 1
    (sql,) = re.findall(r"```sql\n(.*?)```", printed, re.S)
    assert len(sql.splitlines()) == len(re.findall(r"^- ", printed, re.M)) > 0
    assert r"idx\_" in printed


def test_the_exit_code_tells_a_heavy_finding(audit: Audit) -> None:
    assert audit("--rule", "H02", "--fail-on", "high")[0] == 1
    assert audit("--rule", "H03", "--fail-on", "high")[0] == 0
    assert audit("--rule", "H03", "--fail-on", "medium")[0] == 1
    assert audit("--rule", "H02")[0] == 0


def test_another_database_is_audited_and_one_schema_of_it(audit: Audit, lab: Lab) -> None:
    url = uri(lab.server, "flux_sprint11")

    _, printed = audit("--dsn", url, "--format", "json")
    _, nothing = audit("--dsn", url, "--format", "json", "--schema", "elsewhere")

    assert json.loads(printed)["database"] == "flux_sprint11"
    assert json.loads(printed)["findings"]
    assert json.loads(nothing)["findings"] == []


def test_a_password_is_never_shown(audit: Audit) -> None:
    with pytest.raises(FluxlabError) as raised:
        audit("--dsn", "postgresql://ann:secret@127.0.0.1:1/x")

    assert "secret" not in str(raised.value)


def test_the_workload_is_asked_where_that_is_wanted(audit: Audit) -> None:
    _, printed = audit("sprint11", "--workload", "--format", "json")

    document = json.loads(printed)
    assert "predicate_never_implied" in document["asked"]
    assert "lowered_lookup" in {one["slug"] for one in document["findings"]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("sprint11", "--dsn", "postgresql:///x"), "Two databases"),
        (("--workload", "--dsn", "postgresql:///x"), "are not known"),
        (("sprint12",), "no state 'sprint12'"),
        (("--rule", "H99"), "no rule 'H99'"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(
    audit: Audit, arguments: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(FluxlabError, match=expected):
        audit(*arguments)
