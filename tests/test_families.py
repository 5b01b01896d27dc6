"""The families of indexes: live experiments on real statements, words and exercises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from index_cases import case, contribution, effect, price

from fluxlab.book import family_charts, family_exercises, family_trials, family_words
from fluxlab.book.family_trials import Try
from fluxlab.book.index_tasks import IndexTask
from fluxlab.indexes.contest import contest
from fluxlab.indexes.decisions import Decisions, Thresholds, decide_all
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.sandbox import Sandbox
from fluxlab.lab import Lab, open_lab
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.stats import Speedup

TASKS = (
    family_exercises.undelivered,
    family_exercises.of_category,
    family_exercises.mentioned,
)


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def sandbox(lab: Lab) -> Iterator[Sandbox]:
    with Sandbox(lab.server) as opened:
        yield opened


# --- on the server -----------------------------------------------------------------------


def test_equality_first_touches_fewer_blocks_than_the_most_selective_column_first(
    lab: Lab, sandbox: Sandbox
) -> None:
    *mixed, both_equal = family_trials.order_tests(lab, sandbox)

    for test in mixed:
        assert test.by_maxim is test.second
        assert test.distinct["created_at"] == max(test.distinct.values())
        assert family_words.blocks_of(test.first) < family_words.blocks_of(test.second)
        assert test.first.attempt
        assert test.first.attempt.is_used
    blocks = [family_words.blocks_of(one) for one in (both_equal.first, both_equal.second)]
    assert abs(blocks[0] - blocks[1]) <= 1
    title = family_words.orders_title([*mixed, both_equal])
    assert "worse order for" in title
    assert "the better one for none" in title
    assert family_charts.orders([*mixed, both_equal], title).data


def test_a_skip_scan_searches_once_for_each_value_of_the_first_column(
    lab: Lab, sandbox: Sandbox
) -> None:
    direct, of_two, *_ = found = family_trials.skip_scans(lab, sandbox)

    if lab.server.version < 180000:
        assert "does not count searches" in family_words.skipped(found)
        return
    assert direct.searches == 1
    # Two values, and one look for what comes after the last.
    assert of_two.searches
    assert 2 <= of_two.searches <= 4
    assert f"was searched {of_two.searches} times" in family_words.skipped(found)


def test_a_partial_index_is_smaller_and_spares_a_write_and_not_a_block(
    lab: Lab, sandbox: Sandbox
) -> None:
    full, part = family_trials.partial(lab, sandbox)

    assert full.attempt
    assert part.attempt
    assert part.attempt.size_bytes < full.attempt.size_bytes / 2
    assert part.attempt.after.blocks <= full.attempt.after.blocks
    # Of a notice that arrives both get an entry, of one that was read the full one alone.
    assert full.attempt.records_more == part.attempt.records_more + 1
    speedup = Speedup(1.0, 0.97, 1.03, 0.01, 8)
    query = lab.workload.find("user_by_email")
    one = contest(
        sandbox,
        query,
        lab.parameters("user_by_email"),
        ("create index on users (email)", "create index on users (id, email)"),
        rounds=3,
    )
    assert one[0].rounds == 3
    assert {len(sample.blocks) for sample in one[1]} == {3}
    said = family_words.partial((full, part), (speedup, one[1]))
    assert "no difference worth a decision" in said


def test_direction_matters_for_mixed_orders_alone(lab: Lab, sandbox: Sandbox) -> None:
    up, down, *mixed = family_trials.directions(lab, sandbox)

    assert family_words.blocks_of(up) == family_words.blocks_of(down)
    assert [one.sorts for one in (up, down)] == [False, False]
    assert [one.sorts for one in mixed] == [True, True, False]


def test_what_is_computed_needs_its_expression_and_a_day_cannot_have_one(
    lab: Lab, sandbox: Sandbox
) -> None:
    plain, expression, on_time, on_day = family_trials.expressions(lab, sandbox)

    assert plain.attempt
    assert expression.attempt
    assert on_time.attempt
    assert not plain.attempt.is_used
    assert expression.attempt.is_used
    assert not on_time.attempt.is_used
    assert on_day.attempt is None
    assert "IMMUTABLE" in family_words.refusals([plain, on_day])
    text = repr(family_words.tries([expression, on_day]))
    assert "refused" in text


def test_a_b_tree_on_an_array_serves_no_search_for_an_element(
    lab: Lab, sandbox: Sandbox
) -> None:
    b_tree, gin = family_trials.arrays(lab, sandbox)

    assert b_tree.attempt
    assert gin.attempt
    assert not b_tree.attempt.is_used
    assert gin.attempt.is_used
    assert gin.keys == "using gin (mentions)"


def test_what_could_serve_instead_is_taken_away_and_comes_back(
    lab: Lab, sandbox: Sandbox
) -> None:
    before = family_trials.spare(sandbox, "messages")
    family_trials.arrays(lab, sandbox)

    assert len(before) == 2
    assert family_trials.spare(sandbox, "messages") == before


# --- exercises ----------------------------------------------------------------------


@pytest.mark.parametrize("make", TASKS)
def test_the_model_is_right_and_every_tempting_answer_is_not(
    lab: Lab, sandbox: Sandbox, make: Callable[[Lab, Sandbox], IndexTask]
) -> None:
    task = make(lab, sandbox)
    solution = task.solution()

    assert solution.code
    assert task.check(solution.code).is_right
    assert len(solution.others) >= 3
    for sql, _ in solution.others:
        assert not task.check(sql).is_right, sql
    assert len(task.question.hints) >= 2
    assert "use your index" in task.question.goal


def test_the_order_of_two_equalities_is_the_reader_s_choice(
    lab: Lab, sandbox: Sandbox
) -> None:
    task = family_exercises.of_category(lab, sandbox)

    assert task.check("create index on files (category, project_id, created_at)").is_right


def test_an_index_that_costs_more_than_the_price_within_par_is_refused(
    lab: Lab, sandbox: Sandbox
) -> None:
    task = family_exercises.mentioned(lab, sandbox)

    assert "WAL record" in task.question.goal
    reply = task.check("create index on messages using gin (mentions, attachments)")
    assert not reply.is_right


# --- words --------------------------------------------------------------------------


def decided() -> Decisions:
    ddl = (
        "create index gin on messages using gin (to_tsvector('english', content))",
        "create index part on messages (thread_id, created_at) where thread_id is not null",
        *(f"create index single_{n} on messages (author_id)" for n in range(5)),
    )
    helped = contribution(effect("faster", 9.0, 1.0, query="search"))
    cases = [
        case(
            saved_ms=8.0 * (number in (0, 2)),
            index=parse_index(text),
            without=helped if number == 0 else contribution(),
            price=price(0.1),
        )
        for number, text in enumerate(ddl)
    ]
    return decide_all(cases, {"send": 1.0}, Thresholds())


def test_an_index_counts_in_every_family_it_belongs_to() -> None:
    found = family_words.by_family(decided())

    assert {name: len(rows) for name, rows in found.items()} == {
        "single": 5,
        "composite": 1,
        "expression": 1,
        "gin": 1,
        "partial": 1,
    }
    assert "2 of 7" in family_words.overlaps(decided())


def test_small_families_give_no_title() -> None:
    assert family_words.families_title(decided()) == "Of the single indexes 1 of 5 are kept"
    none = Decisions(tuple(one for one in decided().rows if one.goes))
    assert "No family" in family_words.families_title(none)
    assert family_charts.families(none, "a title").data


def test_gin_stands_beside_the_usual_b_tree_of_its_table() -> None:
    text = repr(family_words.gin(decided()))

    assert "search" in text
    assert "of a B-tree there" in text
    assert family_words.families(decided()).loc["gin", "best"] == "gin"


def test_a_try_that_was_refused_sorts_nothing_and_touches_nothing() -> None:
    refused = Try("q", "typical", "create index on t (a) where b", None, "No.")

    assert (refused.keys, refused.searches, refused.sorts) == ("(a) where b", None, False)
    assert family_words.blocks_of(refused) == 0
    assert family_words.refusals([replace(refused, refusal="No.")]).endswith("No.")
