"""Exercises that check themselves: right answers pass, tempting ones fail with a reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

import fluxlab
from fluxlab.book import lesson_view, plan_questions, reading_exercises
from fluxlab.book.index_tasks import IndexTask, Task, few_records, fewer_blocks, is_used
from fluxlab.book.lessons import Exercise, Question
from fluxlab.book.plan_questions import PlanQuestion
from fluxlab.errors import FluxlabError
from fluxlab.indexes.sandbox import Sandbox
from fluxlab.lab import Lab, open_lab
from fluxlab.settings import Settings

#: A join that visits a table once for each row: the last line has the shortest time of
#: all, and took the most.
JOIN = """
Limit  (cost=3480.12..3480.24 rows=50 width=120) (actual time=6.6..6.7 rows=50.00 loops=1)
  ->  Sort  (cost=3480.12..3482.98 rows=57 width=120) (actual time=6.6..6.6 rows=50.00 loops=1)
        Sort Key: message_reactions.created_at DESC
        ->  Nested Loop  (cost=0.42..3442.01 rows=57 width=120) (actual time=0.010..6.5 rows=1000.00 loops=1)
              ->  Seq Scan on message_reactions  (cost=0.00..980.00 rows=57 width=29) (actual time=0.004..2.0 rows=1000.00 loops=1)
                    Filter: (user_id = 1)
                    Rows Removed by Filter: 39000
              ->  Index Scan using messages_pkey on messages  (cost=0.42..2.15 rows=1 width=107) (actual time=0.004..0.004 rows=1.00 loops=1000)
                    Index Cond: (id = message_reactions.message_id)
                    Filter: (deleted_at IS NULL)
                    Rows Removed by Filter: 3
Planning Time: 0.123 ms
Execution Time: 6.9 ms
""".strip()  # noqa: E501


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def sandbox(lab: Lab) -> Iterator[Sandbox]:
    with Sandbox(lab.server) as one:
        yield one


def indexes_of(sandbox: Sandbox) -> set[str]:
    """The names of all indexes in the copy, as another session sees them."""
    with sandbox.attempt() as connection:
        rows = connection.execute("select indexrelid::regclass::text from pg_index")
        return {name for (name,) in rows.fetchall()}


@pytest.mark.parametrize(
    ("answer", "is_right", "said"),
    [
        (5, True, "Node 5 (Index Scan using messages_pkey on messages) took 4.00 ms"),
        (1, False, "Node 1 (Limit) shows 6.70 ms, and that is with all below it"),
        (4, False, "took 2.00 ms by itself; another one took more. Mind the loops"),
        (6, False, "from 1 to 5"),
        (True, False, "from 1 to 5"),
        ("the scan", False, "from 1 to 5"),
    ],
)
def test_own_time_is_multiplied_by_loops_and_without_what_is_below(
    answer: object, is_right: bool, said: str
) -> None:
    reply = plan_questions.own_time(JOIN).check(answer)

    assert (reply.is_right, said in reply.text) == (is_right, True), reply


@pytest.mark.parametrize(
    ("answer", "is_right", "said"),
    [
        (42_000, True, "42,000 of 44,000 rows that were read were thrown away"),
        (3, False, "in one loop of Node 5"),
        (3_000, False, "is Node 5 (Index Scan using messages_pkey on messages) alone"),
        (39_000, False, "is Node 4 (Seq Scan on message_reactions) alone"),
        (44_000, False, "So many were read, and 2,000 rows of them were kept"),
        (50, False, "So many the statement returned"),
        (41_000, False, "too few"),
        (90_000, False, "too many"),
        ("many", False, "Answer with a number"),
    ],
)
def test_rows_thrown_away_are_counted_over_all_nodes_and_loops(
    answer: object, is_right: bool, said: str
) -> None:
    question = plan_questions.thrown_away(JOIN)

    reply = question.check(answer)

    assert (reply.is_right, said in reply.text) == (is_right, True), reply


@pytest.mark.parametrize(
    ("answer", "is_right", "said"),
    [
        (4, True, "57 expected, 18× too few"),
        (3, False, "is wrong, because what is below it is"),
        (5, False, "is not off by ten times: 1 row a loop expected, 1 came"),
        (0, False, "2 nodes are off"),
        (False, False, "from 1 to 5"),
    ],
)
def test_the_lowest_wrong_estimate_is_asked_for(
    answer: object, is_right: bool, said: str
) -> None:
    reply = plan_questions.first_misjudged(JOIN).check(answer)

    assert (reply.is_right, said in reply.text) == (is_right, True), reply


def test_none_is_the_answer_where_every_estimate_is_near() -> None:
    near = JOIN.replace("rows=57 ", "rows=900 ")
    question = plan_questions.first_misjudged(near)

    assert question.check(0).is_right
    assert not question.check(4).is_right
    assert question.solution().text.startswith("0:")


def test_the_nodes_are_numbered_as_the_plan_numbers_them() -> None:
    question = plan_questions.own_time(JOIN)
    lines = question.question.shown.splitlines()

    numbered = [line for line in lines if line[:2].strip()]
    assert [int(line[:2]) for line in numbered] == [1, 2, 3, 4, 5]
    assert all(
        node.label in line for node, line in zip(question.plan.nodes, numbered, strict=True)
    )


def test_a_plan_that_was_not_executed_is_no_question() -> None:
    with pytest.raises(FluxlabError, match="not executed and timed"):
        plan_questions.own_time("Seq Scan on users  (cost=0.00..1.00 rows=1 width=4)")


def test_the_solution_says_why_not_the_others() -> None:
    own_time = plan_questions.own_time(JOIN).solution()
    thrown_away = plan_questions.thrown_away(JOIN).solution()

    assert own_time.text == (
        "Node 5 (Index Scan using messages_pkey on messages): "
        "0.004 ms × 1,000 loops = 4.00 ms, and nothing is below it."
    )
    assert ("Node 1 (Limit)", "6.70 ms, less 6.60 ms of what is below it = 0.10 ms") in (
        own_time.others
    )
    assert thrown_away.text.startswith("42,000 rows: Node 4")
    assert {option for option, _ in thrown_away.others} >= {"3", "39,000", "44,000"}


def test_hints_come_one_by_one_and_run_out_gracefully() -> None:
    exercise = plan_questions.own_time(JOIN)

    hints = [exercise.hint() for _ in range(4)]

    assert [hint.number for hint in hints] == [1, 2, 0, 0]
    assert [hint.text for hint in hints[:2]] == list(exercise.question.hints)
    assert "solution()" in hints[2].text
    # Another exercise of the same kind starts with its own first hint.
    assert plan_questions.own_time(JOIN).hint().number == 1


def test_an_exercise_says_whether_it_is_solved_and_stays_so() -> None:
    exercise = plan_questions.own_time(JOIN)
    assert "not solved yet" in repr(exercise)

    exercise.check(1)
    assert "not solved yet" in repr(exercise)
    exercise.check(5)
    exercise.check(1)

    assert repr(exercise).startswith("<Exercise own time, solved:")


@pytest.mark.parametrize("name", ["own_time", "thrown_away", "first_misjudged"])
def test_a_real_plan_has_an_answer_that_passes_and_one_that_does_not(
    lab: Lab, sandbox: Sandbox, name: str
) -> None:
    exercise: PlanQuestion = getattr(reading_exercises, name)(lab, sandbox)
    removed = sum(node.rows_removed for node in exercise.plan.nodes)
    answers = [removed] if name == "thrown_away" else range(len(exercise.plan.nodes) + 1)

    replies = [exercise.check(answer) for answer in answers]

    assert any(reply.is_right for reply in replies)
    assert not exercise.check(removed + 10_000_000).is_right
    assert exercise.solution().others


UNREAD = "create index on notifications (user_id, created_at) where is_read = false"


@pytest.mark.parametrize(
    "answer",
    [
        UNREAD,
        "create index mine on notifications (user_id, created_at desc) where not is_read;",
    ],
)
def test_the_index_that_the_query_wants_passes_and_is_gone_afterwards(
    lab: Lab, sandbox: Sandbox, answer: str
) -> None:
    exercise = reading_exercises.unread_list(lab, sandbox)
    before = indexes_of(sandbox)

    reply = exercise.check(answer)

    assert reply.is_right, reply
    assert reply.plan is not None
    assert reply.plan.rows_read == reply.plan.rows_kept
    assert indexes_of(sandbox) == before


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("create index on notifications (user_id) where not is_read", "It still sorts"),
        ("create index on notifications (created_at) where not is_read", "throws away"),
        (
            "create index on notifications (user_id, created_at) where read_at is null",
            "does not take your index: it still reads idx_notifications_unread",
        ),
        ("create index on notifications (user_id, is_read, created_at)", "It works, and"),
        (UNREAD.replace("where", "include (title, message) where"), "It works, and"),
        (
            "create index on users (email)",
            "on users, and the statement reads notifications",
        ),
        ("create index on notifications (titel)", 'column "titel" does not exist'),
        ("create index concurrently on users (name)", "CONCURRENTLY cannot be rolled back"),
        ("create index on users (name); drop table users", "that is 2 statements"),
        ("drop table users", "that is something else"),
        ("create inde", 'syntax error at or near "inde"'),
        ("", "that is 0 statements"),
        (
            "create index if not exists idx_notifications_user on notifications (user_id)",
            "is there already",
        ),
        (17, "Answer with SQL"),
    ],
)
def test_a_tempting_index_fails_with_its_own_reason(
    lab: Lab, sandbox: Sandbox, answer: object, said: str
) -> None:
    exercise = reading_exercises.unread_list(lab, sandbox)
    before = indexes_of(sandbox)

    reply = exercise.check(answer)

    assert (reply.is_right, said in reply.text) == (False, True), reply
    assert indexes_of(sandbox) == before


@pytest.mark.parametrize("name", ["unread_list", "one_day"])
def test_the_model_answer_passes_and_every_other_of_the_solution_does_not(
    lab: Lab, sandbox: Sandbox, name: str
) -> None:
    exercise: Exercise = getattr(reading_exercises, name)(lab, sandbox)

    solution = exercise.solution()

    assert solution.code is not None
    assert exercise.check(solution.code).is_right
    assert len(solution.others) >= 3
    for option, reason in solution.others:
        reply = exercise.check(option)
        # The clock has no part in a reason, but the first execution reads the catalog.
        assert (reply.is_right, reply.text.split()[:4]) == (False, reason.split()[:4])


def test_the_goal_names_what_the_model_reaches_with_a_little_room(
    lab: Lab, sandbox: Sandbox
) -> None:
    exercise = reading_exercises.unread_list(lab, sandbox)
    par = exercise.par

    goal = exercise.question.goal

    assert par.is_used
    assert f"weigh at most {par.size_bytes * 1.25 / 1024:,.0f} kB" in goal
    assert par.after.blocks < par.before.blocks / 2
    assert "blocks" not in repr(exercise)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("where created_at::date = :day::date", "It still reads all of files"),
        ("where created_at = :day::date", "too few"),
        ("where created_at >= :day::date", "that the query does not return"),
        (
            "where created_at between :day::date and :day::date + 1",
            "For files that arrived at midnight sharp it is not the same answer",
        ),
        ("where created_at > :today", "no parameter :today"),
        ("where created_at >", "cannot be read"),
        ("where created_at >= :day::date for update", "This statement writes"),
    ],
)
def test_a_tempting_rewrite_fails_with_its_own_reason(
    lab: Lab, sandbox: Sandbox, answer: str, said: str
) -> None:
    exercise = reading_exercises.one_day(lab, sandbox)
    columns = "select id, name, organization_id, uploaded_by, created_at from files"

    reply = exercise.check(f"{columns} {answer}")

    assert (reply.is_right, said in reply.text) == (False, True), reply


def test_a_rewrite_with_other_columns_is_another_answer(lab: Lab, sandbox: Sandbox) -> None:
    exercise = reading_exercises.one_day(lab, sandbox)
    range_of_day = "created_at >= :day::date and created_at < :day::date + 1"

    reply = exercise.check(f"select id from files where {range_of_day}")

    assert not reply.is_right
    assert "not the same answer" in reply.text


def test_a_chapter_may_demand_cheap_writes_as_well(lab: Lab, sandbox: Sandbox) -> None:
    task = Task(
        query="notifications_unread_list",
        of_class="hot",
        model=UNREAD,
        why="It is partial.",
        demands=(is_used(), fewer_blocks(), few_records()),
        writes={"notification_mark_one": "hot"},
    )
    question = Question("cheap", "Build it.", "", "SQL")
    exercise = IndexTask(lab, sandbox, question, task)

    right = exercise.check(UNREAD)
    dear = exercise.check(
        "create index on notifications (user_id, created_at) include (title, is_read)"
    )

    # Marked as read, a row leaves the partial index and moves in the full one.
    assert "cost at most 0 WAL records more" in exercise.question.goal
    assert right.is_right, right
    assert not dear.is_right
    assert "1 WAL record more" in dear.text, dear


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    fluxlab.load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()


def test_all_that_an_exercise_returns_shows_itself_in_a_notebook(
    shell: InteractiveShell,
) -> None:
    exercise = plan_questions.own_time(JOIN.replace("user_id = 1", "a < 1 and '<b>' = b"))
    assert shell.display_formatter is not None

    for value in (exercise, exercise.check(5), exercise.hint(), exercise.solution()):
        data, _ = shell.display_formatter.format(value)
        assert data["text/plain"] == repr(value)
        assert data["text/html"].startswith('<div class="flux-lesson')
        assert "<b>" not in data["text/html"]


def test_right_and_wrong_are_said_in_words_and_not_in_colour_alone() -> None:
    exercise = plan_questions.own_time(JOIN)

    right = lesson_view.reply_html(exercise.check(5))
    wrong = lesson_view.reply_html(exercise.check(1))

    assert "<strong>Right.</strong>" in right
    assert "<summary>The plan</summary>" in right
    assert "<strong>Not yet.</strong>" in wrong
    # The plan would give the answer away.
    assert "flux-plan" not in wrong
