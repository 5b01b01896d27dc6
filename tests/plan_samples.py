"""Plans to look at: real statements over the template database, and plans made by hand."""

from __future__ import annotations

from html.parser import HTMLParser

import psycopg

from fluxlab.plans.explain import explain
from fluxlab.plans.findings import Finding, Weight
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan

#: Statements whose plans have every sort of node that a reader meets.
STATEMENTS = {
    "filter": "select id from users where name = 'Nobody'",
    "join": """
        select users.name, count(*)
        from users join messages on messages.author_id = users.id
        where messages.created_at > '2024-01-01'
        group by users.id order by count(*) desc limit 5
    """,
    "bitmaps": """
        select id from messages
        where conversation_id = (select id from conversations limit 1)
            or created_at > '2100-01-01'
    """,
    "cte": """
        with talkers as materialized (
            select author_id, count(*) as messages from messages group by author_id
        )
        select * from talkers one join talkers other using (messages)
    """,
    "correlated": """
        select name, (select count(*) from files where files.project_id = projects.id)
        from projects
    """,
    "initplan": """
        select id from messages
        where created_at = (select max(created_at) from messages)
    """,
    "never": """
        select users.id from users join files on files.uploaded_by = users.id
        where users.email = 'nobody@nowhere'
    """,
    "window": """
        select id, row_number() over (partition by conversation_id order by created_at)
        from messages
    """,
    "union": "select id from users union all select id from projects",
    "three tables": """
        select files.name
        from files
            join projects on projects.id = files.project_id
            join users on users.id = files.uploaded_by
        where projects.status = 'active'
    """,
    "write": "update users set name = name where email like 'a%'",
    "function": "select sum(number) from generate_series(1, 1000) as number",
}


def real_plan(connection: psycopg.Connection, name: str, *, analyze: bool = True) -> Plan:
    """The plan of a statement above; a write is rolled back."""
    with connection.transaction(force_rollback=True):
        return explain(connection, STATEMENTS[name], analyze=analyze)


def node(kind: str, *below: dict[str, object], **facts: object) -> dict[str, object]:
    """A node of FORMAT JSON that ran once; facts are named with _ for a space."""
    named = {name.replace("_", " "): value for name, value in facts.items()}
    ran = {"Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 0.0}
    return {"Node Type": kind, **ran, **named, **({"Plans": list(below)} if below else {})}


def scan(table: str, **facts: object) -> dict[str, object]:
    """A sequential scan of a table."""
    return node("Seq Scan", Relation_Name=table, Alias=table, **facts)


def made(root: dict[str, object], **facts: object) -> Plan:
    """The Plan of a tree made by `node`."""
    named = {name.replace("_", " "): value for name, value in facts.items()}
    return read_plan({"Plan": root, **named})  # type: ignore[dict-item]


def large_plan(nodes: int = 500) -> Plan:
    """A plan of so many nodes: an Append over chains of ten, the last node the slowest."""
    chains, left = [], nodes - 1
    while left:
        length = min(10, left)
        left -= length
        name = f"part_{left}"
        time_ms = 1.0 if left else 400.0
        chain = scan(name, Filter=f"(({name}.value)::text <> '<{left}>')", Plan_Rows=50)
        chain |= {"Actual Total Time": time_ms, "Shared Hit Blocks": 3}
        for _ in range(length - 1):
            chain = node("Materialize", chain, Actual_Total_Time=time_ms)
            chain["Shared Hit Blocks"] = 3
        chains.append(chain)
    total = sum(float(str(chain["Actual Total Time"])) for chain in chains)
    root = node("Append", *chains, Actual_Total_Time=total)
    root["Shared Hit Blocks"] = 3 * len(chains)
    return made(root, Execution_Time=total)


def finding(
    number: int | None = None,
    weight: Weight = "high",
    sentence: str = "This scan throws 99 % away.",
    advice: str = "Create an index.",
    fix: str | None = None,
) -> Finding:
    """A Finding at a node, or of the whole plan."""
    return Finding("R01", "a rule", number, sentence, advice, weight, "likely", fix=fix)


_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "wbr"))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().startswith("javascript:"):
                self.problems.append(f"<{tag} {name}> is a script")
        if tag in ("script", "iframe", "object", "embed", "link"):
            self.problems.append(f"<{tag}> does not belong here")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:] or 'nothing'}")
        else:
            self.open.pop()


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """Every tag with its attributes, in order."""
    reader = _Reader()
    reader.feed(page)
    return reader.tags


def problems_of(page: str) -> list[str]:
    """Tags that are not balanced, and whatever could run."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return [*reader.problems, *(f"<{tag}> is never closed" for tag in reader.open)]
