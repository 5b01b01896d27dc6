"""`%explain` and `%%explain` in a kernel's own shell, and how values show themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import fluxlab
from fluxlab.explaining import Explained
from fluxlab.lab import Lab, open_lab
from fluxlab.plans.differences import PlanDiff
from fluxlab.servers.connections import connect_foreign, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

BY_NAME = "select id from users where name = :name"


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def kernel() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(kernel: InteractiveShell, lab: Lab) -> InteractiveShell:
    """A shell with the extension loaded anew and the lab in a variable."""
    fluxlab.load_ipython_extension(kernel)
    kernel.user_ns["lab"] = lab
    return kernel


def test_a_query_of_the_lab_is_executed_and_shows_its_tree(shell: InteractiveShell) -> None:
    found = shell.run_line_magic("explain", "user_by_email --class hot")

    assert isinstance(found, Explained)
    assert found.plan.is_analyzed
    assert shell.display_formatter is not None
    data, _ = shell.display_formatter.format(found)
    assert "flux-plan" in data["text/html"]
    assert data["text/plain"] == repr(found)


def test_a_cell_takes_its_parameters_from_the_variables(shell: InteractiveShell) -> None:
    shell.user_ns["name"] = "Nobody"

    found = shell.run_cell_magic("explain", "", BY_NAME)
    planned = shell.run_cell_magic("explain", "--no-analyze", BY_NAME)

    assert found.plan.is_analyzed
    assert found.plan.rows_kept == 0
    assert not planned.plan.is_analyzed


def test_compare_sets_it_beside_the_one_before(shell: InteractiveShell) -> None:
    shell.run_line_magic("explain", "messages_page_first --no-analyze")
    found = shell.run_line_magic(
        "explain", "messages_page_first --state sprint11 --no-analyze --compare"
    )

    assert isinstance(found, PlanDiff)


def test_another_connection_is_only_planned_unless_asked(
    shell: InteractiveShell, postgres: PostgresServer, database: str
) -> None:
    with connect_foreign(uri(postgres, database)) as connection:
        shell.user_ns["mine"] = connection
        planned = shell.run_cell_magic("explain", "--connection mine", "select 1")
        executed = shell.run_cell_magic(
            "explain", "--connection mine --analyze", "select count(*) from users"
        )

    assert not planned.plan.is_analyzed
    assert executed.plan.is_analyzed


@pytest.mark.parametrize(
    ("line", "cell", "expected"),
    [
        ("", "", "Give %explain the name"),
        ("user_by_email", "select 1", "Give %explain the name"),
        ("nowhere_query", None, "There is no query"),
        ("--sideways", "select 1", "unrecognized arguments"),
        ("--connection gone", "select 1", "no connection gone"),
        ("", "select :missing_value", "no value for :missing_value"),
        ("user_by_email --compare", None, "Nothing was explained before"),
    ],
)
def test_a_mistake_is_a_sentence_and_not_a_stack(
    shell: InteractiveShell, line: str, cell: str | None, expected: str
) -> None:
    explain = shell.find_line_magic("explain")

    with pytest.raises(UsageError, match=expected):
        explain(line, cell)
