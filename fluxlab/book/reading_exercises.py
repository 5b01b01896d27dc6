"""The exercises of chapter 04: three plans to read, an index to build, a rewrite."""

from __future__ import annotations

from fluxlab.book import plan_questions
from fluxlab.book.index_tasks import (
    IndexTask,
    RewriteTask,
    Task,
    fewer_blocks,
    is_used,
    no_wasted_rows,
    stays_small,
)
from fluxlab.book.lessons import Question, Source, asked
from fluxlab.book.plan_questions import PlanQuestion
from fluxlab.indexes.sandbox import Sandbox

#: A table in front of the real one, with a single file at each midnight.
_MIDNIGHT = (
    "create temporary table files as "
    "select distinct on (date(created_at)) * from public.files order by date(created_at)",
    "update files set created_at = date_trunc('day', created_at)",
)


def own_time(source: Source, sandbox: Sandbox) -> PlanQuestion:
    """Ask where the time goes in a join that visits a table once for each row."""
    return plan_questions.own_time(_text(source, sandbox, "reactions_of_user"))


def thrown_away(source: Source, sandbox: Sandbox) -> PlanQuestion:
    """Ask how much a scan in a loop throws away."""
    return plan_questions.thrown_away(_text(source, sandbox, "milestone_next_per_project"))


def first_misjudged(source: Source, sandbox: Sandbox) -> PlanQuestion:
    """Ask where the wrong estimate of a thread comes from."""
    text = _text(source, sandbox, "thread_or_reply_messages")
    return plan_questions.first_misjudged(text)


def unread_list(source: Source, sandbox: Sandbox) -> IndexTask:
    """Ask for the index of the bell: unread notices of one person, newest first."""
    task = Task(
        query="notifications_unread_list",
        of_class="hot",
        model="create index on notifications (user_id, created_at) where is_read = false",
        why="The rows of one person stand together, in the order that is asked for, and "
        "what was read is not in the index.",
        others=(
            "create index on notifications (user_id) where is_read = false",
            "create index on notifications (created_at) where is_read = false",
            "create index on notifications (user_id, created_at) where read_at is null",
            "create index on notifications (user_id, is_read, created_at)",
        ),
        demands=(is_used(), no_wasted_rows(), fewer_blocks(), stays_small()),
    )
    query = source.workload.find(task.query)
    question = Question(
        "unread list",
        "Build the index that this query wants.",
        query.sql,
        'SQL, such as check("create index on notifications (title)")',
        (
            "Equality first: which column is compared with one value? What follows it in "
            "the index comes out sorted.",
            "One condition is the same in each call, whoever asks. It need not be a "
            "column of the index; it can be its WHERE.",
        ),
    )
    return IndexTask(source, sandbox, question, task)


def one_day(source: Source, sandbox: Sandbox) -> RewriteTask:
    """Ask for a condition that the index on a column can use."""
    task = Task(
        query="files_on_day_by_function",
        of_class="hot",
        model="select id, name, organization_id, uploaded_by, created_at\n"
        "from files\n"
        "where created_at >= :day::date\n"
        "    and created_at < :day::date + 1",
        why="The column stands alone, and a range of it is a stretch of the index.",
        others=(
            "select id, name, organization_id, uploaded_by, created_at from files "
            "where created_at::date = :day::date",
            "select id, name, organization_id, uploaded_by, created_at from files "
            "where created_at = :day::date",
            "select id, name, organization_id, uploaded_by, created_at from files "
            "where created_at >= :day::date",
            "select id, name, organization_id, uploaded_by, created_at from files "
            "where created_at between :day::date and :day::date + 1",
        ),
        setup=("create index on files (created_at)",),
        edges={"For files that arrived at midnight sharp it": _MIDNIGHT},
        demands=(no_wasted_rows(), fewer_blocks()),
    )
    query = source.workload.find(task.query)
    question = Question(
        "one day",
        "There is an index on files (created_at), and this query cannot use it. Write "
        "it otherwise, so that it returns the same rows.",
        query.sql,
        'SQL with the parameter :day, such as check("select … where …")',
        (
            "The index is sorted by created_at, and the query compares date(created_at). "
            "Leave the column alone on its side.",
            "A day is a range: from its midnight on, and before the next one.",
        ),
    )
    return RewriteTask(source, sandbox, question, task)


def _text(source: Source, sandbox: Sandbox, query: str) -> str:
    return sandbox.explain_as_psql(asked(source, query, "hot"))
