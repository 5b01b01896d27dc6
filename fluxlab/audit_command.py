"""`fluxlab audit`: what the catalog of a database says against its own indexes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fluxlab.errors import FluxlabError
from fluxlab.plans.findings import WEIGHTS, Weight
from fluxlab.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from fluxlab.indexes.audit import Audit, AuditFinding

#: A mark and a style for each weight; the word beside it is enough alone.
_STYLES: dict[Weight, tuple[str, str]] = {
    "high": ("◆", "bold red"),
    "medium": ("◇", "yellow"),
    "low": ("○", "cyan"),
    "note": ("□", "dim"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "state", nargs="?", help="of the lab: baseline or sprint11 (baseline)"
    )
    parser.add_argument(
        "--dsn", metavar="URL", help="a database of your own; nothing is changed there"
    )
    parser.add_argument(
        "--workload",
        action="store_true",
        help="ask the lab's queries as well: keys and predicates that nobody needs",
    )
    parser.add_argument(
        "--schema", metavar="NAME", help="one schema (all but the system's)"
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME",
        help="one rule, by its number or name, such as H03 or redundant_prefix; repeatable",
    )
    parser.add_argument(
        "--least",
        choices=WEIGHTS,
        default="low",
        help="show what weighs as much, or more (low)",
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.add_argument(
        "--fail-on",
        choices=WEIGHTS[:3],
        help="exit with 1 where a finding weighs as much, or more",
    )


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Audit, print, and return the exit code."""
    from fluxlab.indexes.audit import audit
    from fluxlab.indexes.audit_rules import choose_rules, load_rules

    rules = choose_rules(load_rules(settings.root / "sql" / "audit"), options.rule)
    with _database(settings, options) as connection:
        found = audit(connection, rules, schema=options.schema)
    if options.workload:
        found = _with_workload(found, settings, options)
    if options.format == "json":
        print(found.as_json())
    elif options.format == "markdown":
        print("\n".join(_markdown(found, options.least)))
    else:
        Console(highlight=False).print(audit_text(found, options.least))
    return int(bool(options.fail_on) and found.weighs(options.fail_on))


@contextmanager
def _database(
    settings: Settings, options: argparse.Namespace
) -> Iterator[psycopg.Connection]:
    from fluxlab.lab import open_lab
    from fluxlab.servers.connections import connect_foreign

    if options.dsn and options.workload:
        raise FluxlabError(
            "The queries of a database of your own are not known.",
            "Leave --workload out; it asks those of the lab.",
        )
    if options.dsn and options.state:
        raise FluxlabError(
            "Two databases are named.", "Give a state of the lab, or --dsn, not both."
        )
    if options.dsn:
        with connect_foreign(options.dsn) as connection:
            yield connection
    else:
        with open_lab(settings).connection(options.state or "baseline") as connection:
            yield connection


def _with_workload(found: Audit, settings: Settings, options: argparse.Namespace) -> Audit:
    from fluxlab.indexes.audit_workload import RULES, audit_predicates, audit_statements
    from fluxlab.indexes.hiding import scratch
    from fluxlab.indexes.planner import Question
    from fluxlab.indexes.states import DATABASES
    from fluxlab.lab import open_lab
    from fluxlab.servers.connections import connect
    from fluxlab.workload.parameters import Sampler

    lab = open_lab(settings)
    queries = [one for one in lab.workload.values() if one.runs_at(settings.size)]
    with lab.connection() as connection:
        sampler = Sampler(connection, lab.dataset.now, settings.seed)
        questions = [
            Question(query, drawn)
            for query in queries
            for drawn in sampler.parameter_sets(query)
        ]
    source = DATABASES[options.state or "baseline"]
    with (
        scratch(lab.server, "audit", source) as name,
        connect(lab.server, name) as connection,
    ):
        findings = (
            *audit_statements(connection, queries),
            *audit_predicates(connection, questions),
        )
    return found.joined((one.slug for one in RULES), findings)


def audit_text(found: Audit, least: Weight = "note") -> RenderableType:
    """Return an Audit for a terminal: one block per rule, the weightiest first."""
    blocks: list[RenderableType] = [Text(_heading(found), style="bold")]
    for group in _groups(found, least):
        blocks += ["", _block(group)]
    blocks += ["", *(Text(line, style="dim") for line in _remarks(found, least))]
    return Group(*blocks)


def _block(group: list[AuditFinding]) -> RenderableType:
    first = group[0]
    mark, style = _STYLES[first.weight]
    lines: list[RenderableType] = [
        Text.assemble(
            (f"{mark} {first.weight} ", style),
            (f"{first.title} ", "bold"),
            (f"({first.rule} {first.slug}, {len(group):,} found)", "dim"),
        ),
        Padding(Text(first.advice, style="dim"), (0, 0, 0, 2)),
    ]
    for one in group:
        lines.append(Padding(Text(f"• {one.sentence}"), (0, 0, 0, 2)))
        for line in (one.fix or "").splitlines():
            lines.append(Padding(Text(line, style="bold"), (0, 0, 0, 4)))
    return Group(*lines)


def _markdown(found: Audit, least: Weight) -> Iterator[str]:
    yield f"# {_heading(found)}"
    for group in _groups(found, least):
        first = group[0]
        yield f"\n## {first.title} ({first.rule}, {first.weight})\n\n{first.advice}\n"
        for one in group:
            yield f"- {_plain(one.sentence)}"
        fixes = [one.fix for one in group if one.fix]
        if fixes:
            yield "\n```sql\n" + "\n".join(fixes) + "\n```"
    for line in _remarks(found, least):
        yield f"\n{line}"


def _heading(found: Audit) -> str:
    count = f"{len(found):,} finding{'' if len(found) == 1 else 's'}"
    version = f"{found.version // 10_000}.{found.version % 10_000}"
    return f"{found.database}, PostgreSQL {version}: {count} by {len(found.asked)} rules"


def _groups(found: Audit, least: Weight) -> list[list[AuditFinding]]:
    """Return the findings of each rule that weighs enough, in the order of the Audit."""
    groups: dict[str, list[AuditFinding]] = {}
    for one in found:
        if WEIGHTS.index(one.weight) <= WEIGHTS.index(least):
            groups.setdefault(one.slug, []).append(one)
    return sorted(groups.values(), key=lambda group: WEIGHTS.index(group[0].weight))


def _remarks(found: Audit, least: Weight) -> Iterator[str]:
    """Yield what is not shown, and what was not asked."""
    lighter = sum(WEIGHTS.index(one.weight) > WEIGHTS.index(least) for one in found)
    if lighter:
        yield f"{lighter:,} more weigh less; --least note shows them."
    for one in found.unasked:
        yield f"Not asked: {one.rule} {one.slug}: {one.reason}."


def _plain(text: str) -> str:
    """Keep a name from being read as Markdown."""
    return text.replace("_", r"\_").replace("*", r"\*").replace("<", "&lt;")
