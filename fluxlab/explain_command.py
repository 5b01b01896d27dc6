"""`fluxlab explain`: a plan or a statement in, the tree and the advice out."""

from __future__ import annotations

import argparse
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fluxlab.errors import FluxlabError
from fluxlab.plans.findings import WEIGHTS
from fluxlab.settings import Settings

if TYPE_CHECKING:
    from fluxlab.explaining import Explained

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Plan</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head>
<body style="font-family: system-ui, sans-serif; margin: 1.5rem">{body}</body></html>
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="FILE",
        help="a file with a plan, in any format, or with one statement; - reads it from "
        "standard input",
    )
    parser.add_argument("--query", metavar="NAME", help="a query of the lab instead")
    add_shared_options(parser)
    parser.add_argument(
        "--dsn", metavar="URL", help="a database of your own; nothing is changed there"
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for :name; without a name, for $1, $2 … in order",
    )
    parser.add_argument("--analyze", action="store_true", help="execute it and count")
    parser.add_argument("--format", choices=("text", "html", "json"), default="text")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    parser.add_argument(
        "--fail-on",
        choices=WEIGHTS[:3],
        help="exit with 1 where a finding weighs as much, or more",
    )


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """Name what `%explain` takes as well: whose values, and what may be executed."""
    parser.add_argument(
        "--state", default="baseline", help="of the lab: baseline or sprint11 (baseline)"
    )
    parser.add_argument(
        "--class",
        dest="of_class",
        default="typical",
        choices=("hot", "typical", "rare", "absent"),
        help="which values a query of the lab gets (typical)",
    )
    parser.add_argument(
        "--rollback-writes",
        action="store_true",
        help="with --analyze: execute a statement that writes, and roll it back",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="the longest that it may run (30)",
    )


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Explain, print, and return the exit code."""
    from fluxlab.plans.views.terminal import plan_tree

    found = _explain(settings, options)
    if options.open:
        _open(found)
    elif options.format == "json":
        documents = ",\n".join(one.as_json() for one in found)
        print(f"[{documents}]" if len(found) > 1 else documents)
    elif options.format == "html":
        print(_page(found))
    else:
        console = Console(highlight=False)
        for one in found:
            console.print(plan_tree(one.plan, one.findings))
    heavy = options.fail_on and any(one.weighs(options.fail_on) for one in found)
    return int(bool(heavy))


def _explain(settings: Settings, options: argparse.Namespace) -> tuple[Explained, ...]:
    from fluxlab.explaining import explain_pasted, explain_query, is_statement
    from fluxlab.lab import open_lab

    if bool(options.query) == bool(options.source):
        raise FluxlabError(
            "Say what to explain.",
            "Name a file with a plan or a statement, - for standard input, or --query.",
        )
    if options.query:
        return (
            explain_query(
                open_lab(settings),
                options.query,
                options.state,
                options.of_class,
                analyze=options.analyze,
            ),
        )
    text = _read(options.source)
    if not is_statement(text):
        return explain_pasted(text)
    return (_explain_statement(settings, options, text),)


def _explain_statement(
    settings: Settings, options: argparse.Namespace, sql: str
) -> Explained:
    from fluxlab.explaining import explain_statement
    from fluxlab.lab import open_lab
    from fluxlab.plans.foreign import Asked
    from fluxlab.servers.connections import connect_foreign

    asked = Asked(
        analyze=options.analyze,
        may_write=options.rollback_writes,
        timeout_s=options.timeout,
    )
    where = (
        connect_foreign(options.dsn)
        if options.dsn
        else open_lab(settings).connection(options.state)
    )
    with where as connection:
        return explain_statement(connection, sql, _values(options.param), asked)


def _read(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text()
    except OSError as error:
        raise FluxlabError(
            f"{source} cannot be read: {error.strerror}.", "Check its name."
        ) from None
    except UnicodeDecodeError:
        raise FluxlabError(
            f"{source} is not UTF-8 text.", "Save the plan as text."
        ) from None


def _values(given: list[str]) -> dict[str, object] | list[object]:
    named = [one.partition("=") for one in given]
    if all(sign and name.isidentifier() for name, sign, _ in named):
        return {name: value for name, _, value in named}
    return list(given)


def _page(found: tuple[Explained, ...]) -> str:
    from fluxlab.plans.views.html import plan_html

    return _PAGE.format(body="\n".join(plan_html(one.plan, one.findings) for one in found))


def _open(found: tuple[Explained, ...]) -> None:
    with tempfile.NamedTemporaryFile(
        "w", suffix=".html", prefix="fluxlab-plan-", delete=False, encoding="utf-8"
    ) as file:
        file.write(_page(found))
    print(file.name)
    webbrowser.open(Path(file.name).as_uri())
