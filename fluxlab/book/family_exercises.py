"""The exercises of chapter 08: an index of each family, built, priced and rolled back."""

from __future__ import annotations

from fluxlab.book.index_tasks import (
    IndexTask,
    Task,
    few_records,
    fewer_blocks,
    is_used,
    no_wasted_rows,
    stays_small,
)
from fluxlab.book.lessons import Question, Source
from fluxlab.indexes.sandbox import Sandbox


def undelivered(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for the partial index of a queue: few rows, the oldest first."""
    task = Task(
        query="messages_undelivered",
        of_class="typical",
        model="create index on messages (created_at) where status = 'sent'",
        why="The condition that never changes is the predicate: the index holds what waits "
        "and nothing else, and what it holds stands in the order that is asked for.",
        others=(
            "create index on messages (created_at, status)",
            "create index on messages (status, created_at)",
            "create index on messages (status) where status = 'sent'",
            "create index on messages (created_at) where status <> 'read'",
        ),
        demands=(is_used(), no_wasted_rows(), fewer_blocks(), stays_small()),
    )
    question = Question(
        "a queue",
        "Build the index for what was sent and never delivered. It has to be small: nearly "
        "all messages were delivered long ago.",
        source.workload.find(task.query).sql,
        'SQL, such as check("create index on messages (content)")',
        (
            "One condition is the same in every call. It can be the WHERE of the index.",
            "What is left is a range and an order, on one and the same column.",
        ),
    )
    return IndexTask(source, sandbox, question, task)


def of_category(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for the order of three columns: two equalities, and then the order."""
    task = Task(
        query="files_of_project_by_category",
        of_class="hot",
        model="create index on files (project_id, category, created_at)",
        why="What is compared by equality stands first, in either order; then the rows of "
        "that project and category stand in the order of their time.",
        others=(
            "create index on files (created_at, project_id, category)",
            "create index on files (project_id, created_at)",
            "create index on files (category, created_at)",
        ),
        setup=("drop index idx_files_project", "drop index idx_files_organization"),
        demands=(is_used(), no_wasted_rows(1.0), fewer_blocks(1.0)),
    )
    question = Question(
        "three columns",
        "Build one index that finds these files without reading one too many, and brings "
        "them in order.",
        source.workload.find(task.query).sql,
        'SQL, such as check("create index on files (name)")',
        (
            "Most distinct values has created_at. Should it come first?",
            "Equality before order: then all rows that match stand next to each other.",
        ),
    )
    return IndexTask(source, sandbox, question, task)


def mentioned(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for the index on an array, and let sent messages pay for it."""
    task = Task(
        query="messages_mentioning_user",
        of_class="typical",
        model="create index on messages using gin (mentions)",
        why="GIN has an entry for each element of the array, and a sent message writes its "
        "entries to the pending list in one go.",
        others=(
            "create index on messages (mentions)",
            "create index on messages using gin (mentions) where mentions <> '{}'",
            "create index on messages using gin (mentions, attachments)",
        ),
        demands=(is_used(), fewer_blocks(), stays_small(), few_records()),
        writes={"message_insert": "typical"},
    )
    question = Question(
        "who was mentioned",
        "Build the index that finds the messages in which somebody is mentioned. A message "
        "is sent as well, and its WAL records are counted.",
        source.workload.find(task.query).sql,
        'SQL, such as check("create index on messages (author_id)")',
        (
            "A B-tree compares whole arrays; this asks for one element.",
            "The method that has an entry for each element is GIN.",
        ),
    )
    return IndexTask(source, sandbox, question, task)
