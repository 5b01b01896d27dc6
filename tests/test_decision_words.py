"""What chapter 07 says and draws, on decisions made by hand, few or none."""

from __future__ import annotations

import pytest
from index_cases import case, contribution, effect, price

from fluxlab.book import decision_charts, decision_exercises
from fluxlab.book import decision_words as words
from fluxlab.book.lessons import Exercise
from fluxlab.book.whole import Script
from fluxlab.indexes.contribution import Worth
from fluxlab.indexes.decisions import Decisions, Loss, Thresholds, decide_all
from fluxlab.indexes.pareto import Point
from fluxlab.indexes.sets import Totals
from fluxlab.indexes.settle import Round, Settlement

HELPED = contribution(effect("faster", 3.0, 1.0, weight=2.5))
CASES = (
    case(saved_ms=9.0, name="best", without=HELPED, price=price(0.1)),
    case(saved_ms=2.0, name="second", price=price(0.1, wal_bytes=400)),
    case(name="idle", price=price(0.1, wal_bytes=900)),
    case(name="idle_too", price=price(0.1, wal_bytes=5)),
    case(name="served", stand_ins=("best",), findings=("H03 redundant_prefix",)),
    case(could=0.9, name="perhaps"),
)
WEIGHTS = {"send": 1.0}


def decided(*chosen: str) -> Decisions:
    cases = [one for one in CASES if not chosen or one.index.name in chosen]
    return decide_all(cases, WEIGHTS, Thresholds())


def totals(name: str, **facts: float) -> Totals:
    amounts = {
        "indexes": 3,
        "index_bytes": 8_192,
        "read_ms": 100.0,
        "read_blocks": 10.0,
        "write_ms": 10.0,
        "wal_bytes": 4_096.0,
        "hot_share": 0.25,
    }
    return Totals(name, **{**amounts, **facts})  # type: ignore[arg-type]


SETS = {
    "base": totals("base", read_ms=200.0, indexes=1),
    "all": totals("all", indexes=9, index_bytes=32_768, wal_bytes=9_000.0, hot_share=0.01),
    "kept": totals("kept", indexes=2, cut_off=1, write_error_ms=2.0),
}
POINTS = (
    Point(1, None, 8_192, 100.0, 200.0, 200.0, 200.0),
    Point(2, "i1", 16_384, 100.0, 90.0, 90.0, 90.0),
    Point(3, "i2", 24_576, 100.0, 88.0, 88.0, 91.0, 2),
)


def test_counts_say_what_stays_and_why() -> None:
    assert words.counts(decided()) == (
        "Of 6 indexes 3 go: 2 that nobody needs and 1 whose work others do as well. 3 "
        "stay, 2 because they are worth it and 1 because the clock is not sure yet."
    )
    assert words.counts(decided("best")).endswith("1 stay.")


@pytest.mark.parametrize(
    "chosen", [(), ("best",), ("idle",), ("perhaps",), ("served", "best")]
)
def test_every_sentence_table_and_chart_bears_few_decisions(
    chosen: tuple[str, ...],
) -> None:
    found = decided(*chosen)

    title = words.chart_title(found)
    assert not title.endswith(".")
    assert decision_charts.worth(found, title).data
    assert len(words.by_table(found).loc["all"]) >= 2
    for one in found.rows:
        assert one.index.name in repr(words.everything(found))
    assert "<table" in words.telling(found)._repr_html_()
    assert words.replaced_sentence(found).endswith(".")
    assert words.replaced(found) is not None


def test_no_decision_is_no_error() -> None:
    nothing = Decisions(())

    assert words.counts(nothing).startswith("Of 0 indexes 0 go")
    assert "No index is missed" in words.chart_title(nothing)
    assert decision_charts.worth(nothing, "a title").layout.height
    assert words.everything(nothing)._repr_html_() == ""


def test_long_reasons_are_not_cut_off() -> None:
    long = "x" * 200
    row = case(saved_ms=9.0, name="best", findings=(long,))

    html = words.everything(decide_all([row], {}, Thresholds()))._repr_html_()

    assert long in html
    assert "<details><summary>keep: 1, worth its place</summary>" in html


def test_the_settlement_tells_who_came_back() -> None:
    loss = Loss(Worth(3.0, 1.0), Worth(4.0, 1.0))
    back = Settlement(("idle",), "t", (Round(2, {"best": loss}), Round(1, {})), {})
    none = Settlement(("idle",), "t", (Round(1, {}),), {})

    assert "1 index came back in 2 rounds, and 1 go" in words.settlement(back)
    assert words.came_back(back, decided()).loc["best", "missed for"] == "3 ms"
    assert "nothing had to come back" in words.settlement(none)
    assert words.came_back(none, decided()).empty


def test_a_bound_and_an_open_sum_are_said() -> None:
    table = words.totals(SETS)

    assert table.loc["kept", "reads"] == "≥ 100 ms"
    assert table.loc["kept", "writes"] == "10 ms ± 2 ms"
    assert table.loc["base", "reads"] == "200 ms"
    said = words.totals_sentence(SETS)
    assert "The 2 that stay take 100 ms" in said
    assert "size changes by −75 %" in said
    open_sum = {**SETS, "all": totals("all", cut_off=2)}
    assert "2 pairs were cut off" in words.totals_sentence(open_sum)
    unmeasured = Totals("base", 1, 1, 1.0, 1.0, 1.0, 1.0, 0.0, unmeasured=("a_query",))
    assert "Not measured: a_query." in words.totals_sentence({**SETS, "base": unmeasured})


def test_the_curve_says_what_few_indexes_save_and_what_is_open() -> None:
    title = words.curve_title(POINTS, SETS)

    assert title.startswith("1 of 2 added indexes saves 95 %")
    notes = words.curve_notes(POINTS, SETS)
    assert "At most 2 pairs have a plan there that no trial met" in notes
    assert list(words.curve_steps(POINTS).index) == ["i1", "i2"]
    figure = decision_charts.pareto(POINTS, SETS, title)
    names = {trace.name for trace in figure.data}
    assert names >= {"plans never measured", "kept, measured (2)", "base, measured (1)"}


def test_the_knob_has_a_line_for_each_threshold() -> None:
    tried = [decide_all(CASES, WEIGHTS, one) for one in words.some_limits()]

    table = words.knob(tried)

    assert len(table) == len(words.some_limits())
    assert (table[["keep", "unclear", "replace", "drop"]].sum(axis=1) == len(CASES)).all()
    assert list(table["stay"]) == [len(one.stays) for one in tried]


def test_a_script_is_shown_as_text() -> None:
    html = Script("drop index a;\n-- b < c\ncreate index b;\n")._repr_html_()

    assert "2 statements for psql" in html
    assert "b &lt; c" in html


@pytest.mark.parametrize(
    ("make", "right", "wrong"),
    [
        (decision_exercises.most_missed, "best", ("second", "idle")),
        (decision_exercises.costliest_to_keep, "idle", ("idle_too", "best")),
        (decision_exercises.not_together, "best", ("second", "served")),
    ],
)
def test_an_exercise_knows_its_answer(
    make: object, right: str, wrong: tuple[str, ...]
) -> None:
    exercise = make(decided())  # type: ignore[operator]

    assert isinstance(exercise, Exercise)
    assert exercise.check(right).is_right
    for name in (*wrong, "nowhere"):
        assert not exercise.check(name).is_right
    assert right in exercise.solution().text


def test_without_anything_to_ask_an_exercise_says_so() -> None:
    for make in (
        decision_exercises.most_missed,
        decision_exercises.costliest_to_keep,
        decision_exercises.not_together,
    ):
        assert str(make(decided("perhaps"))).startswith("Nothing to ask here")
