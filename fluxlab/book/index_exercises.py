"""The exercises of chapters 05 and 06: one index at a time, and what an index costs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from fluxlab.book.index_tasks import (
    IndexTask,
    Task,
    few_records,
    fewer_blocks,
    is_used,
    no_wasted_rows,
    stays_small,
)
from fluxlab.book.lab_questions import CountQuestion, NameQuestion
from fluxlab.book.ladder_words import number
from fluxlab.book.lessons import Exercise, Question, Source
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.bill import HotLoss, Written
from fluxlab.indexes.order import Standing
from fluxlab.indexes.price import Price
from fluxlab.indexes.sandbox import Sandbox

#: An index gets an entry of a write where it has at least this many records in the mean.
_ENTRY = 0.5


def who_serves(found: Iterable[Standing], tables: Mapping[str, str]) -> Exercise | Sentence:
    """Ask which index did the work of a later one already; a Sentence if none did."""
    taken = [one for one in found if one.served_by]
    if not taken:
        return Sentence("Nothing to ask here: no index found its work done.")
    one = max(taken, key=lambda one: (one.is_too_late, one.saved_ms("alone")))
    table = tables[one.index]
    same = sorted(name for name in tables if tables[name] == table and name != one.index)
    right = {
        name: f"The plans of those queries read {name} when the ladder came to {one.index}."
        for name in one.served_by
    }

    def why_not(name: str) -> str | None:
        if name == one.index:
            return "That is the one that came later."
        if name not in tables:
            return None
        if tables[name] != table:
            return f"{name} is on {tables[name]}, and these queries search {table}."
        return f"No plan of those queries read {name} then."

    pairs = f"{one.switches} pair{'' if one.switches == 1 else 's'}"
    question = Question(
        "who was there first",
        f"Alone, {one.index} makes {pairs} of query and values faster that it leaves as "
        "they are in the ladder. Which index served them already?",
        "\n".join(name for name in tables if tables[name] == table),
        'a name, such as check("idx_messages_status")',
        (
            "It stands on the same table, earlier in the ladder or before the sprint.",
            "place_words.late_table(places) says it of every index.",
        ),
    )
    return NameQuestion(question, right, why_not, [one.index, *same[:3]])


def open_milestones(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for the index that beats an order trap: it must be better than the bait."""
    task = Task(
        query="milestone_next_per_project",
        of_class="hot",
        model="create index on project_milestones (project_id, due_date)\n"
        "where completed_at is null",
        why="The open milestones of one project stand together, the next one first.",
        others=(
            "create index on project_milestones (project_id)",
            "create index on project_milestones (due_date) where completed_at is null",
            "create index on project_milestones (due_date, project_id)",
        ),
        setup=(
            "create index idx_project_milestones_due_date "
            "on project_milestones (due_date nulls last)",
        ),
        demands=(is_used(), fewer_blocks(), no_wasted_rows(), stays_small()),
    )
    question = Question(
        "the next milestone",
        "idx_project_milestones_due_date is there, and the planner takes it: it has the "
        "order. For each project it reads the milestones of all others on the way. Build "
        "the index that this query wants.",
        source.workload.find(task.query).sql,
        'SQL, such as check("create index on project_milestones (name)")',
        (
            "Equality first: the project is one value, and the order comes after it.",
            "What is completed is never asked for; it need not be in the index.",
        ),
    )
    return IndexTask(source, sandbox, question, task)


def entries(found: Sequence[Written], names: Collection[str]) -> CountQuestion:
    """Ask how many indexes get an entry when a message is sent; `names` are its table's."""
    cost = next(one.cost for one in found if one.cost.query == "message_insert")
    right = [name for name, one in cost.entries.items() if one.records >= _ENTRY]
    missing = sorted(set(names) - set(right))
    of_rows = round(cost.rows_wal.records)
    question = Question(
        "entries of one message",
        "A message is sent: message_insert. How many indexes of messages get an entry?",
        "\n".join(sorted(names)),
        "a number, such as check(3)",
        (
            "An index with a predicate gets an entry only for rows that it holds for. Does "
            "this message answer another one?",
            'bill.written(…) has its entries: look for "message_insert".',
        ),
    )
    mistakes = {
        len(right) + of_rows: f"{of_rows} records of those are for rows and triggers.",
        len(names): f"So many there are; {' and '.join(missing)} get none, because their "
        "predicate does not hold for this row.",
        1: "An insert is one record for the row; each index gets another.",
        0: "Only a HOT update leaves all indexes alone, and an insert is none.",
    }
    why = (
        f"{len(right)} of {len(names)} indexes get one, {number(cost.whole.records)} WAL "
        f"records in all with {of_rows} for rows and triggers."
    )
    return CountQuestion(question, len(right), why, mistakes)


def who_stops_hot(
    found: Sequence[HotLoss], prices: Mapping[str, Price], tables: Mapping[str, str]
) -> Exercise | Sentence:
    """Ask which index keeps the busiest update from being HOT; a Sentence if none does."""
    if not found:
        return Sentence("Nothing to ask here: no index alone stops a HOT update.")
    update = max(found, key=lambda one: one.weight).write.on.query
    guilty = [one for one in found if one.write.on.query == update]
    table = tables[guilty[0].index]
    same = [name for name in prices if tables.get(name) == table]
    others = [name for name in same if all(name != one.index for one in guilty)]
    right = {
        one.index: f"Without {one.index} {one.write.off.hot_updates:.2f} of "
        f"{one.write.on.updates:g} updates are HOT, with it none."
        for one in guilty
    }

    def why_not(name: str) -> str | None:
        if name not in tables:
            return None
        if tables[name] != table:
            return f"{name} is on {tables[name]}, and {update} updates {table}."
        return (
            f"Without {name} the updates are no more HOT than with it: {update} does not "
            "change what it is on, or another index is in the way as well."
        )

    question = Question(
        "who stops HOT",
        f"With all indexes {update} is never a HOT update. Which index alone is to blame?",
        "\n".join(same),
        f'a name, such as check("{(others or same)[0]}")',
        (
            f"Which column does {update} set? lab.workload[{update!r}] shows it.",
            "An index on it has to get a new entry, and then all others as well.",
        ),
    )
    return NameQuestion(question, right, why_not, others[:3])


def cheap_thread(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for an index of threads for which no other message pays."""
    task = Task(
        query="thread_messages",
        of_class="hot",
        model="create index on messages (thread_id) where thread_id is not null",
        why="Most messages belong to no thread. They are not in the index, so writing "
        "them costs it nothing.",
        others=(
            "create index on messages (thread_id)",
            "create index on messages (thread_id, created_at)",
            "create index on messages (thread_id) where deleted_at is null",
        ),
        demands=(is_used(), fewer_blocks(), few_records()),
        writes={"message_insert": "typical"},
    )
    question = Question(
        "a thread for nothing",
        "Build an index for the messages of a thread. A message that belongs to none must "
        "not pay for it.",
        source.workload.find(task.query).sql,
        'SQL, such as check("create index on messages (thread_id)")',
        (
            "What is thread_id of a message that belongs to no thread?",
            "A WHERE decides which rows have an entry. The query must imply it.",
        ),
    )
    return IndexTask(source, sandbox, question, task)
