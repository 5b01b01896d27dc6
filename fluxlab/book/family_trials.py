"""The live experiments of chapter 08: other indexes for statements of ours, in a Sandbox.

Indexes of the baseline that could serve instead are taken away first, so that only the
one that is tried is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fluxlab.book.lessons import Source, asked
from fluxlab.errors import FluxlabError
from fluxlab.indexes.attempts import Attempt, read_index_table, try_index
from fluxlab.indexes.contest import contest
from fluxlab.indexes.sandbox import Asked, Sandbox
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import Speedup

_PAGE = ("conversation_id", "created_at")
#: The indexes on a table that no constraint needs.
_SPARE = """
select format('drop index %I', index_class.relname)
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
where index.indrelid = to_regclass($1)
    and not index.indisunique
order by index_class.relname
"""


@dataclass(frozen=True, slots=True)
class Try:
    """One statement with one index that was built for it.

    `attempt` is None where the server refused the index, and `refusal` says why.
    """

    query: str
    of_class: str
    index: str
    attempt: Attempt | None
    refusal: str = ""

    @property
    def keys(self) -> str:
        """What the index is on, as it was written: all that follows its table."""
        return self.index.partition(" on ")[2].partition(" ")[2]

    @property
    def searches(self) -> int | None:
        """How often the index was descended; None before PostgreSQL 18, or unused."""
        if self.attempt is None or self.attempt.built is None:
            return None
        nodes = [
            node
            for node in self.attempt.after.nodes
            if node.index == self.attempt.built.name and "Index Searches" in node.facts
        ]
        return round(sum(node["Index Searches"] for node in nodes)) if nodes else None

    @property
    def sorts(self) -> bool:
        """Whether the plan sorts, because nothing came in order."""
        return self.attempt is not None and any(
            "Sort" in node.kind for node in self.attempt.after.nodes
        )


@dataclass(frozen=True, slots=True)
class OrderTest:
    """One statement with both orders of two columns; `distinct` are their values.

    The first order begins with what the statement compares by equality. The maxim of the
    report asks for the one that begins with the column of most distinct values.
    """

    query: str
    distinct: Mapping[str, int]
    first: Try
    second: Try

    @property
    def by_maxim(self) -> Try:
        """The order that the maxim asks for."""
        one, other = self.distinct.values()
        return self.first if one > other else self.second

    @property
    def against_it(self) -> Try:
        """The other one."""
        return self.second if self.by_maxim is self.first else self.first


def spare(sandbox: Sandbox, table: str) -> tuple[str, ...]:
    """Return the statements that take away every index that no constraint needs."""
    return tuple(str(row[0]) for row in sandbox.rows(Asked(_SPARE, (table,))))


def tried(
    source: Source,
    sandbox: Sandbox,
    query: str,
    of_class: str,
    indexes: Sequence[str],
    writes: Mapping[str, str] | None = None,
) -> tuple[Try, ...]:
    """Build each index alone, and explain the statement with it.

    With `writes`, Queries and their classes, the WAL records of those are counted too.
    """
    found = []
    statement = asked(source, query, of_class)
    also = {name: asked(source, name, one) for name, one in (writes or {}).items()}
    for index in indexes:
        setup = spare(sandbox, read_index_table(index))
        try:
            attempt = try_index(sandbox, index, statement, setup=setup, writes=also)
            found.append(Try(query, of_class, index, attempt))
        except FluxlabError as error:
            found.append(Try(query, of_class, index, None, error.what))
    return tuple(found)


def order_test(
    source: Source,
    sandbox: Sandbox,
    query: str,
    of_class: str,
    table: str,
    columns: tuple[str, str],
) -> OrderTest:
    """Try both orders of two columns; the first is compared by equality."""
    counts = ", ".join(f"count(distinct {name})" for name in columns)
    (row,) = sandbox.rows(Asked(f"select {counts} from {table}"))
    distinct = {name: int(str(count)) for name, count in zip(columns, row, strict=True)}
    indexes = [
        f"create index on {table} ({', '.join(order)})"
        for order in (columns, columns[::-1])
    ]
    first, second = tried(source, sandbox, query, of_class, indexes)
    return OrderTest(query, distinct, first, second)


def order_tests(source: Source, sandbox: Sandbox) -> tuple[OrderTest, ...]:
    """Return statements, and classes of values, with both orders of two columns.

    All but the last compare one column by equality and read the other in order or as a
    range; the last one compares both by equality.
    """
    return tuple(
        order_test(source, sandbox, *one)
        for one in (
            ("messages_page_first", "rare", "messages", _PAGE),
            ("messages_page_first", "hot", "messages", _PAGE),
            (
                "notifications_unread_list",
                "typical",
                "notifications",
                ("user_id", "created_at"),
            ),
            ("messages_undelivered", "typical", "messages", ("status", "created_at")),
            ("files_of_project_by_category", "hot", "files", ("category", "project_id")),
        )
    )


def skip_scans(source: Source, sandbox: Sandbox) -> tuple[Try, ...]:
    """Return one person's notices with indexes whose first column is not asked for."""
    keys = ("user_id", "is_read, user_id", "type, user_id", "created_at, user_id")
    return tried(
        source,
        sandbox,
        "notifications_page",
        "typical",
        [f"create index on notifications ({one})" for one in keys],
    )


PARTIAL = (
    "create index on notifications (user_id, is_read, created_at)",
    "create index on notifications (user_id, created_at) where is_read = false",
)


def partial(source: Source, sandbox: Sandbox) -> tuple[Try, ...]:
    """Return unread notices with a full index and a partial one, and what writes pay."""
    writes = {"notification_insert": "typical", "notification_mark_one": "typical"}
    return tried(source, sandbox, "notifications_unread_list", "typical", PARTIAL, writes)


def partial_contest(
    source: Source, sandbox: Sandbox
) -> tuple[Speedup, tuple[Sample, Sample]]:
    """Return how many times faster the partial index is than the full one, by the clock."""
    name = "notifications_unread_list"
    query, parameters = source.workload.find(name), source.parameters(name)
    return contest(sandbox, query, parameters, PARTIAL, spare(sandbox, "notifications"))


def arrays(source: Source, sandbox: Sandbox) -> tuple[Try, ...]:
    """Return a search for one element of an array, with a B-tree and with GIN."""
    keys = "(mentions)", "using gin (mentions)"
    indexes = [f"create index on messages {one}" for one in keys]
    return tried(source, sandbox, "messages_mentioning_user", "typical", indexes)


def directions(source: Source, sandbox: Sandbox) -> tuple[Try, ...]:
    """Return a page in one direction, and one in two, with every direction of an index."""
    one = "create index on notifications (user_id, created_at{})"
    two = "create index on conversations ({}) where is_archived = false"
    return (
        *tried(
            source,
            sandbox,
            "notifications_page",
            "typical",
            [one.format(""), one.format(" desc")],
        ),
        *tried(
            source,
            sandbox,
            "conversations_open_global",
            "hot",
            [
                two.format("last_message_at, created_at"),
                two.format("last_message_at desc, created_at desc"),
                two.format("last_message_at desc nulls last, created_at desc"),
            ],
        ),
    )


def expressions(source: Source, sandbox: Sandbox) -> tuple[Try, ...]:
    """Return statements that compute before they compare, and indexes for them."""
    return (
        *tried(
            source,
            sandbox,
            "user_by_email_lowered",
            "typical",
            ["create index on users (email)", "create index on users (lower(email))"],
        ),
        *tried(
            source,
            sandbox,
            "files_on_day_by_function",
            "typical",
            [
                "create index on files (created_at)",
                "create index on files (date(created_at))",
            ],
        ),
    )
