"""An index at its three places, what hurts, and the exercises of chapters 05 and 06."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from made_effects import contribution, contributions, effect

from fluxlab.book import index_exercises, place_charts, place_words, trial_words
from fluxlab.book.index_tasks import IndexTask
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.order import standings
from fluxlab.indexes.sandbox import Sandbox
from fluxlab.lab import Lab, open_lab
from fluxlab.settings import Settings

#: Plans of the Switches below: an earlier index serves what a later one could.
PLANS = {
    "first": ("Seq Scan on messages", "Index Scan using idx_0 on messages"),
    "alone": ("Seq Scan on messages", "Index Scan using idx_1 on messages"),
    "late": ("Index Scan using idx_0 on messages", "Index Scan using idx_1 on messages"),
}


def test_an_index_comes_too_late_where_an_earlier_one_serves() -> None:
    found = contributions(
        contribution("idx_0", effect("a", "faster", switch="first")),
        contribution("idx_1"),
        *(
            contribution("idx_0", effect("a", "faster", switch="first"), kind=kind)
            for kind in ("alone", "without")  # type: ignore[arg-type]
        ),
        contribution("idx_1", effect("a", "faster", switch="alone"), kind="alone"),
        contribution("idx_1", kind="without"),
    )

    first, late = standings(found, PLANS, ["idx_0", "idx_1"])

    assert (first.words, first.served_by) == (("helps", "helps", "helps"), ())
    assert late.words == ("helps", "no plan", "no plan")
    assert (late.served_by, late.switches) == (("idx_0",), 1)
    assert (first.is_too_late, late.is_too_late, late.is_replaceable) == (False, True, True)
    assert place_words.telling([first, late]) == (late,)
    assert place_words.places_title([first, late]).startswith("Alone 2 of 2 indexes make")
    assert "1 index helps alone and came too late" in place_words.late([first, late])
    assert list(place_words.late_table([first, late])["served by"]) == ["idx_0"]
    assert dict(place_words.cases([first, late])["indexes"]) == {
        "helps at all three places": 1,
        "helps alone, another one was there first": 1,
    }

    question = index_exercises.who_serves(
        [first, late], {"idx_0": "messages", "idx_1": "messages", "idx_2": "users"}
    )
    assert not isinstance(question, Sentence)
    answers = {name: question.check(name) for name in ("idx_0", "idx_1", "idx_2", "no")}
    assert [one.is_right for one in answers.values()] == [True, False, False, False]
    assert "is on users" in answers["idx_2"].text
    assert "nothing called no" in answers["no"].text
    assert question.solution().text.startswith("idx_0.")


def test_where_the_clock_is_never_sure_nothing_is_said_to_help_or_to_be_late() -> None:
    noise = effect("a", "unclear", 1.3, switch="alone")
    found = contributions(
        *(
            contribution("idx_1", noise, kind=kind)
            for kind in ("ladder", "alone", "without")
        )  # type: ignore[arg-type]
    )

    places = standings(found, PLANS, ["idx_0", "idx_1"])

    assert place_words.telling(places) == ()
    assert "Alone 0 of 1 indexes" in place_words.places_title(places)
    assert "No index that clearly helps alone" in place_words.late(places)
    assert place_words.places_table(()).empty
    assert place_words.late_table(places).empty
    assert place_charts.three_places((), "title").layout.height
    assert isinstance(index_exercises.who_serves(places, {}), Sentence)
    assert trial_words.hurts(found, ("alone",)).startswith("No index makes any of the 1")
    assert isinstance(trial_words.worst_hurt(found, ("alone",)), Sentence)
    assert trial_words.hurts_table(found, ("alone",)).empty


def test_what_hurts_is_counted_once_and_named_with_its_places() -> None:
    slow = effect("a", "slower", 0.5, switch="late", weight=3)
    found = contributions(
        contribution("idx_1", slow, effect("b", "faster", switch="first")),
        contribution("idx_1", slow, kind="without"),
    )

    table = trial_words.hurts_table(found, ("ladder", "without"))

    assert list(table["in"]) == ["ladder, without"]
    assert trial_words.hurts(found, ("ladder", "without")) == (
        "Of 2 plans that some index changes somewhere, 1 are faster with it and 1 slower, "
        "0 of those by blocks alone: 1 index of 1 that change a plan."
    )
    places = standings(found, PLANS, [])
    assert places == ()  # never tried alone


def test_a_worse_place_stands_at_the_edge_as_a_diamond() -> None:
    found = contributions(
        *(
            contribution("idx_1", effect("a", word, ratio, switch=f"s{ratio}"), kind=kind)  # type: ignore[arg-type]
            for kind, word, ratio in (
                ("ladder", "slower", 0.5),
                ("alone", "faster", 2.0),
                ("without", "faster", 4.0),
            )
        )
    )
    places = standings(found, {f"s{r}": ("", "") for r in (0.5, 2.0, 4.0)}, [])

    figure = place_charts.three_places(places, "title")

    traces = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    assert list(traces["alone"].x) == [5.0]
    assert list(traces["taken from all"].x) == [7.5]
    worse = traces["worse: it costs time"]
    assert worse.x[0] < 1
    assert (worse.marker.symbol, list(worse.text)) == ("diamond", ["in the ladder: -10 ms"])


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def sandbox(lab: Lab) -> Iterator[Sandbox]:
    with Sandbox(lab.server) as one:
        yield one


@pytest.mark.parametrize(
    "made", [index_exercises.open_milestones, index_exercises.cheap_thread]
)
def test_the_model_of_a_task_is_right_and_what_tempts_is_wrong(
    lab: Lab, sandbox: Sandbox, made: object
) -> None:
    task: IndexTask = made(lab, sandbox)  # type: ignore[operator]
    solution = task.solution()

    assert solution.code is not None
    assert task.check(solution.code).is_right
    assert len(solution.others) == 3
    for sql, reason in solution.others:
        assert reason
        assert not task.check(sql).is_right, sql
