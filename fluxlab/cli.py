"""The commands: up, status, down, run, queries, sql, psql, explain, audit, decide …

Nothing below the commands prints. Every failure is one sentence and what to do, exit
code 1; Ctrl-C leaves what is measured and exits with 130.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fluxlab import (
    audit_command,
    cache_command,
    decide_command,
    explain_command,
    migrate_command,
    monitor_command,
)
from fluxlab.errors import FluxlabError
from fluxlab.settings import USERS_OF_SIZE, Settings, read_settings
from fluxlab.terminal import Reporter
from fluxlab.workload.budget import BUDGETS

if TYPE_CHECKING:
    from fluxlab.servers.postgres import PostgresServer

_DESCRIPTION = """\
Measure what indexes and a cache do for a PostgreSQL database.

fluxlab rebuilds the database of Flux Studio, runs every query of the application
before and after the 90 indexes of its sprint, replays its users with and without a
cache, and writes a book about it.
"""
_EPILOG = """\
examples:
  fluxlab run --size tiny          everything, on 38,000 rows, in about a minute
  fluxlab sql user_by_email | fluxlab psql sprint11
  fluxlab status
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        settings = read_settings()
        if getattr(options, "size", None):
            settings = replace(settings, size=options.size)
        command: Callable[[Settings, argparse.Namespace], int] = options.command
        return command(settings, options)
    except FluxlabError as error:
        # Text, not markup: a message may hold brackets.
        console.print(Text(error.what, style="bold red"), Text(error.do), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(
            "\nStopped. What is measured is kept; the same command goes on from there."
        )
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as in `fluxlab queries | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fluxlab",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    run = add("run", _run, "Do everything: servers, data, indexes, measurements, book.")
    run.add_argument("--size", choices=tuple(USERS_OF_SIZE), help="how much data (small)")
    run.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="a slower statement is noted as slower than this (10; at size tiny 2)",
    )
    run.add_argument(
        "--budget",
        choices=tuple(BUDGETS),
        default="quick",
        help=f"how long to measure: {', '.join(_minutes())} (quick); a larger one goes "
        "on from a smaller",
    )
    run.add_argument("--no-book", action="store_true", help="measure only")
    add("up", _up, "Start the servers, or find them running.")
    add("status", _status, "Say which servers run and what they hold.")
    down = add("down", _down, "Stop the servers that fluxlab started.")
    down.add_argument("--erase", action="store_true", help="and delete their data")
    queries = add("queries", _queries, "List the queries of the application.")
    queries.add_argument("--area", help="of one area only, such as messaging")
    sql = add("sql", _sql, "Print one query with its parameters, ready for psql.")
    sql.add_argument("query", help="its name, as `fluxlab queries` lists it")
    sql.add_argument(
        "--class",
        dest="of_class",
        default="typical",
        choices=("hot", "typical", "rare", "absent"),
        help="which values to take from the data (typical)",
    )
    psql = add("psql", _psql, "Open psql on a state of the lab.")
    psql.add_argument("state", nargs="?", default="baseline", help="baseline or sprint11")
    psql.add_argument("rest", nargs=argparse.REMAINDER, help="passed on to psql")
    explain_command.add_options(
        add(
            "explain",
            explain_command.run,
            "Read a plan, or explain a statement, and say what is wrong with it.",
        )
    )
    audit_command.add_options(
        add("audit", audit_command.run, "Say what the catalog holds against its indexes.")
    )
    decide_command.add_options(
        add("decide", decide_command.run, "Say which indexes to keep and which to drop.")
    )
    cache_command.add_options(
        add("cache", cache_command.run, "Say how often the cache answers, key by key.")
    )
    migrate_command.add_options(
        add(
            "migrate",
            migrate_command.run,
            "Build the indexes of a file, or drop them; any number of times.",
        )
    )
    monitor_command.add_options(
        add("monitor", monitor_command.run, "Show what a server does now, until Ctrl-C.")
    )
    add("book", _book, "Execute the chapters into notebooks/, where they are committed.")
    add("picture", _picture, "Draw the README's picture from the run measured last.")
    site = add("site", _site, "Build the site from the executed notebooks.")
    site.add_argument("--notebooks", type=Path, help="where they are (notebooks/)")
    return parser


def _minutes() -> Iterator[str]:
    return (f"{one.name} {one.seconds / 60:g} min" for one in BUDGETS.values())


def _run(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab import pipeline, summary
    from fluxlab.workload.budget import budget_of

    if options.timeout is not None and options.timeout < 0.1:
        raise FluxlabError("The timeout is too short to run anything.", "Give 0.1 or more.")
    budget = budget_of(options.budget, settings.size)
    if options.timeout is not None:
        budget = replace(budget, timeout_ms=round(options.timeout * 1000))
    with Reporter() as report:
        lab = pipeline.start_lab(settings, report)
        time_spent = pipeline.measure(lab, budget, report)
        index = None
        if not options.no_book:
            notebooks = settings.home / "book"
            pipeline.make_book(settings, notebooks, report)
            index = pipeline.make_site(settings, notebooks, report)
    summary.show(lab, time_spent, index)
    return 0


def _up(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.servers import postgres, redis

    for server in (postgres.start(settings), redis.start(settings)):
        if server.message:
            print(server.message)
    return _status(settings, options)


def _status(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.servers import postgres, redis

    server, cache = postgres.find(settings), redis.find(settings)
    if server is None:
        print("PostgreSQL: not running; `fluxlab up` starts it")
    else:
        print(f"PostgreSQL {server.version_text}, {server.origin}{_process(server.pid)}")
        print(f"  {server.shown}")
        for line in _databases(server):
            print(f"  {line}")
    if cache is None:
        print("Valkey: not running; `fluxlab up` starts it")
    else:
        print(f"Redis protocol {cache.version}, {cache.origin}{_process(cache.pid)}")
        print(f"  {cache.shown}")
    return 0


def _process(pid: int | None) -> str:
    return f", process {pid}" if pid else ""


def _databases(server: PostgresServer) -> Iterator[str]:
    from fluxlab.dataset.databases import maintenance, read_comment
    from fluxlab.dataset.load import TEMPLATE
    from fluxlab.indexes.states import DATABASES

    with maintenance(server) as connection:
        facts = read_comment(connection, TEMPLATE)
        if facts is None:
            yield "no data yet; `fluxlab run` makes it"
            return
        rows = facts["rows"]
        assert isinstance(rows, dict)
        yield f"{TEMPLATE}: size {facts['size']}, {sum(rows.values()):,} rows"
        for database in DATABASES.values():
            if read_comment(connection, database) is not None:
                yield database


def _down(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.scale import erase_scaling
    from fluxlab.servers import postgres, redis

    if erase_scaling(settings):
        print("Other sizes of data, left by a run that was cut short: removed")
    for name, server in (("PostgreSQL", postgres), ("Valkey", redis)):
        said = "stopped" if server.stop(settings) else "nothing of ours was running"
        if options.erase:
            server.erase(settings)
            said += ", its data is gone"
        print(f"{name}: {said}")
    return 0


def _queries(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.workload.catalogue import load_workload

    workload = load_workload(settings.root / "sql" / "queries")
    if options.area and options.area not in workload.areas:
        raise FluxlabError(
            f"There is no area {options.area!r}.",
            f"Use one of {', '.join(workload.areas)}.",
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("query", no_wrap=True)
    table.add_column("kind")
    table.add_column("what")
    for query in workload.select(area=options.area).values():
        table.add_row(query.name, "write" if query.is_write else "read", Text(query.what))
    Console(highlight=False).print(table)
    return 0


def _sql(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.lab import open_lab
    from fluxlab.workload.parameters import psql_block

    lab = open_lab(settings)
    query = lab.workload.find(options.query)
    with lab.connection() as connection:
        print(psql_block(connection, query, lab.parameters(query, options.of_class)))
    return 0


def _psql(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.lab import open_lab
    from fluxlab.servers.binaries import find_postgres

    lab = open_lab(settings)
    program = find_postgres(settings).bin / "psql"
    if not program.exists():
        raise FluxlabError(
            f"There is no psql in {program.parent}.", "Install PostgreSQL's client."
        )
    # Through the environment: everybody on the machine can read a command line.
    environment = {**os.environ, **lab.psql_environment(options.state)}
    sys.stdout.flush()
    os.execve(program, ["psql", *options.rest], environment)


def _book(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab import pipeline

    with Reporter() as report:
        for path in pipeline.make_book(settings, settings.root / "notebooks", report):
            report.say(str(path.relative_to(settings.root)))
    return 0


def _picture(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab.book.readme import draw_readme_picture, write_verdicts
    from fluxlab.lab import open_lab

    lab = open_lab(settings)
    path = draw_readme_picture(settings.root, lab.comparison, lab.dataset)
    write_verdicts(settings.root, lab.ledger)
    print(path)
    return 0


def _site(settings: Settings, options: argparse.Namespace) -> int:
    from fluxlab import pipeline

    notebooks = options.notebooks or settings.root / "notebooks"
    with Reporter() as report:
        index = pipeline.make_site(settings, notebooks, report)
    print(index)
    return 0


if __name__ == "__main__":
    sys.exit(main())
