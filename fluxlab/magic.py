"""`%load_ext fluxlab`: values show themselves, and `%%explain` explains a statement."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import NoReturn

import psycopg
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class

from fluxlab.book import notebook
from fluxlab.errors import FluxlabError
from fluxlab.explain_command import add_shared_options
from fluxlab.explaining import Explained, explain_query, explain_statement
from fluxlab.lab import Lab, open_lab
from fluxlab.plans.differences import PlanDiff, diff
from fluxlab.plans.foreign import Asked
from fluxlab.plans.views.html import plan_html
from fluxlab.servers.connections import connect_foreign


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, and the HTML of our values."""
    notebook.register(shell)
    formatters = shell.display_formatter
    assert formatters is not None
    html = formatters.formatters["text/html"]
    html.for_type(Explained, lambda one: plan_html(one.plan, one.findings))
    shell.register_magics(ExplainMagics)


@magics_class
class ExplainMagics(Magics):
    """`%explain NAME` for a Query of the lab, `%%explain` for the statement of the cell.

    The lab is the variable `lab`, or opened. The lab's reads are executed unless
    `--no-analyze`; on another connection nothing is, unless `--analyze`.
    """

    _previous: Explained | None = None

    @line_cell_magic
    def explain(self, line: str, cell: str | None = None) -> Explained | PlanDiff:
        """Explain a Query of the lab or the statement of this cell.

        %explain NAME [--state sprint11] [--class hot]
        %%explain [--state …] [--connection VARIABLE] [--timeout SECONDS]

        Both take --analyze and --no-analyze, --rollback-writes, and --compare with
        what was explained before. Parameters `:name` of a statement take the values of
        the variables of that name. `%explain --help` says it all.
        """
        options = _parser().parse_args(shlex.split(line))
        if bool(options.query) == bool(cell and cell.strip()):
            raise UsageError("Give %explain the name of a query, or %%explain a statement.")
        try:
            found = self._explained(options, cell)
        except FluxlabError as error:
            # One sentence, not the stack below it.
            raise UsageError(str(error)) from None
        before, self._previous = self._previous, found
        if options.compare:
            if before is None:
                raise UsageError("Nothing was explained before that could be compared.")
            return diff(before.plan, found.plan)
        return found

    def _explained(self, options: argparse.Namespace, cell: str | None) -> Explained:
        is_executed = options.analyze
        if is_executed is None:
            is_executed = options.connection is None
        if options.query:
            return explain_query(
                self._lab(),
                options.query,
                options.state,
                options.of_class,
                analyze=is_executed,
            )
        asked = Asked(is_executed, options.rollback_writes, timeout_s=options.timeout)
        if options.connection:
            return self._elsewhere(options.connection, cell or "", asked)
        with self._lab().connection(options.state) as connection:
            return explain_statement(connection, cell or "", self._variables, asked)

    def _elsewhere(self, name: str, sql: str, asked: Asked) -> Explained:
        values = self._variables
        target = values.get(name)
        if isinstance(target, psycopg.Connection):
            return explain_statement(target, sql, values, asked)
        if not isinstance(target, str):
            raise FluxlabError(
                f"There is no connection {name}.",
                "Name a variable that holds a psycopg connection or a PostgreSQL URL.",
            )
        with connect_foreign(target) as connection:
            return explain_statement(connection, sql, values, asked)

    def _lab(self) -> Lab:
        known = self._variables.get("lab")
        return known if isinstance(known, Lab) else open_lab()

    @property
    def _variables(self) -> Mapping[str, object]:
        assert self.shell is not None
        variables: Mapping[str, object] = self.shell.user_ns
        return variables


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as a magic does, instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; %explain --help lists the options.")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise UsageError(message or "That was the help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%explain", description="Explain a query or a statement.")
    parser.add_argument("query", nargs="?", help="a query of the lab (lab.queries())")
    add_shared_options(parser)
    parser.add_argument(
        "--connection",
        metavar="NAME",
        help="a variable that holds a psycopg connection or a URL, instead of the lab",
    )
    parser.add_argument(
        "--analyze",
        action=argparse.BooleanOptionalAction,
        help="execute it; without either the lab does, another connection does not",
    )
    parser.add_argument(
        "--compare", action="store_true", help="with the one explained before"
    )
    return parser
