"""Plans as servers of several versions printed them, and what people wrap them in."""

from __future__ import annotations

import textwrap
from pathlib import Path

PLANS = Path(__file__).parent / "plans"
SAMPLES = PLANS / "samples"


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


#: Each sample with its plans: how many nodes each has, and its root.
WHAT_THEY_HOLD = {
    "15-auto_explain-log.txt": [
        (2, "Aggregate"),
        (2, "Aggregate"),
        (1, "Index Only Scan using customers_pkey on customers"),
        (2, "Limit"),
    ],
    "15-jit.txt": [(2, "Aggregate")],
    "15-join.json": [(7, "Limit")],
    "15-parallel-workers.txt": [(5, "Sort")],
    "15-subplans-border0.txt": [(8, "CTE Scan on r")],
    "15-writes.txt": [
        (4, "Update on parts"),
        (2, "Delete on customers"),
        (2, "Update on orders"),
    ],
    "18-auto_explain-client.txt": [
        (3, "Aggregate"),
        (2, "Aggregate"),
        (1, "Index Only Scan using customers_pkey on customers"),
        (2, "Limit"),
    ],
    "18-join-verbose.txt": [(7, "Limit")],
    "18-join.json": [(7, "Limit")],
    "18-odd-framed.json": [(1, "Seq Scan on My Table")],
    "18-odd-newline.txt": [(1, "Seq Scan on My Table")],
    "18-parallel-workers.txt": [(5, "Sort")],
    "18-serialize-window.txt": [(4, "Limit")],
    "18-spill-unicode.txt": [(5, "Sort")],
    "18-subplans-border0.txt": [(8, "CTE Scan on r")],
    "18-wrapped.txt": [(5, "MixedAggregate")],
}


def every_plan_file() -> tuple[Path, ...]:
    """Every file of `plans/` that holds plans: their names begin with a version."""
    found = (path for ending in ("json", "txt") for path in PLANS.rglob(f"[0-9]*.{ending}"))
    return tuple(sorted(found))


TEXT = sample("18-parallel-workers.txt")
LINES = [line[1:].rstrip() for line in TEXT.splitlines()[2:-2]]
PLAIN = "\n".join(LINES)


def _framed(corner: str, rule: str, bar: str) -> str:
    width = max(map(len, LINES))
    edge = corner + rule * (width + 2) + corner
    rows = [f"{bar} {line.ljust(width)} {bar}" for line in LINES]
    header = f"{bar} {'QUERY PLAN'.center(width)} {bar}"
    return "\n".join([edge, header, edge, *rows, edge, f"({len(LINES)} rows)"])


def plus_marked(text: str) -> str:
    width = max(map(len, text.splitlines()))
    *rows, last = text.splitlines()
    header = ["QUERY PLAN".center(width + 2), "-" * (width + 2)]
    marked = [f" {row.ljust(width)}+" for row in rows]
    return "\n".join([*header, *marked, f" {last}", "(1 row)", ""])


def _terminal(width: int) -> str:
    return "\n".join(
        line[at : at + width] for line in LINES for at in range(0, len(line), width)
    )


def _mail(width: int) -> str:
    return "\n".join(
        part
        for line in LINES
        for part in textwrap.wrap(
            line,
            width,
            drop_whitespace=True,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


WRAPPINGS = {
    "psql, border 0": "QUERY PLAN\n" + "-" * max(map(len, LINES)) + "\n" + PLAIN,
    "psql, border 1": TEXT,
    "psql, border 2": _framed("+", "-", "|"),
    "psql, unicode": _framed("┌", "─", "│"),
    "psql, double lines": _framed("╔", "═", "║"),
    "psql, unaligned": f"QUERY PLAN\n{PLAIN}\n({len(LINES)} rows)\n",
    "a prompt around it": f"db=# explain select 1;\n{TEXT}\nTime: 12.3 ms\ndb=# \\q\n",
    "a first line that lost its space": TEXT.strip("\n").split("\n", 2)[2].lstrip(),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "spaces that do not break": PLAIN.replace(" ", "\u00a0"),
    "a mail's quotes": "\n".join(f"> {line}" for line in LINES),
    "an answer to an answer": "\n".join(f"> > {line}" for line in LINES),
    "CSV by line": '"QUERY PLAN"\n'
    + "\n".join(f'"{line}"' for line in PLAIN.replace('"', '""').splitlines()),
    "CSV as one": '"QUERY PLAN"\n"' + PLAIN.replace('"', '""') + '"\n',
    "markdown": f"Here:\n```sql\n{PLAIN}\n```\nWhy is it slow?\n",
    "a log": "2025-01-01 00:00:00 UTC [1] LOG:  duration: 18.3 ms  plan:\n\tQuery Text: "
    "select '->  Sort'\n"
    + "\n".join(f"\t{line}" for line in LINES)
    + "\n2025-01-01 00:00:01 UTC [1] ERROR:  relation does not exist\n",
    "blank lines between": PLAIN.replace("\n", "\n\n"),
    "an indent": textwrap.indent(PLAIN, "    "),
    "a terminal of 80": _terminal(80),
    "a terminal of 100": _terminal(100),
    "a mail of 72": _mail(72),
    "a mail of 78": _mail(78),
}
