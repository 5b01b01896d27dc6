"""The rule that decides on indexes: every word, every threshold, and both of a pair."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from index_cases import case, contribution, effect, price

from fluxlab.indexes.contribution import Worth
from fluxlab.indexes.decisions import (
    Case,
    Decisions,
    Loss,
    Thresholds,
    decide,
    decide_all,
    is_worth,
    write_ms,
)

LIMITS = Thresholds(least_saved_ms=1.0, least_return=2.0, least_wait_ms=10.0)
WEIGHTS = {"send": 5.0}


def word(one: Case, limits: Thresholds = LIMITS) -> str:
    return decide(one, WEIGHTS, limits).word


# --- every word ------------------------------------------------------------------------


def test_what_saves_enough_is_kept() -> None:
    found = decide(case(saved_ms=1.5), WEIGHTS, LIMITS)

    assert (found.word, found.instead) == ("keep", None)
    assert found.reason == "It saves 1.5 ms in 1,000 requests."


def test_what_spares_one_statement_a_long_wait_is_kept_however_seldom_it_is_asked() -> None:
    found = decide(case(saved_ms=0.01, waits_ms=12.0), WEIGHTS, LIMITS)

    assert found.word == "keep"
    assert found.reason == "One statement waits 12 ms longer without it."


def test_a_wait_spared_does_not_keep_what_costs_the_others_more() -> None:
    found = decide(case(saved_ms=-4.0, waits_ms=12.0, effects=(SLOWED,)), WEIGHTS, LIMITS)

    assert found.word == "drop"
    assert found.reason == "Reads are 4 ms in 1,000 requests faster without it."


def test_what_nobody_asks_for_is_dropped() -> None:
    found = decide(case(), WEIGHTS, LIMITS)

    assert found.word == "drop"
    assert found.reason == "No plan changes when it is taken away."


def test_what_saves_too_little_is_dropped_and_the_reason_says_how_much_was_asked() -> None:
    found = decide(case(saved_ms=0.4, effects=(HELPED, SLOWED)), WEIGHTS, LIMITS)

    assert found.word == "drop"
    assert found.reason == (
        "It saves 0.4 ms in 1,000 requests, less than the 1 ms asked for. It slows 1 "
        "query down."
    )


def test_what_could_be_worth_its_place_stays_unclear() -> None:
    found = decide(case(saved_ms=0.4, could=3.0), WEIGHTS, LIMITS)

    assert found.word == "unclear"
    assert not found.goes
    assert "could save up to 3 ms" in found.reason
    assert "not sure" in found.reason


def test_what_others_serve_is_replaced_by_the_one_that_serves_most() -> None:
    served = case(saved_ms=0.3, effects=(HELPED,), stand_ins=("idx_b", "idx_c"))
    found = decide(served, WEIGHTS, LIMITS)

    assert (found.word, found.instead) == ("replace", "idx_b")
    assert found.goes
    assert found.reason == (
        "idx_b and idx_c serve what it was used for, 0.3 ms in 1,000 requests slower."
    )


def test_what_is_worth_its_place_is_kept_although_others_could_serve() -> None:
    assert word(case(saved_ms=1.5, stand_ins=("idx_b",))) == "keep"


def test_what_keeps_rows_unique_is_kept_whatever_is_known_of_it() -> None:
    for one in (case(), case(without=None), case(saved_ms=-9, stand_ins=("idx_b",))):
        assert word(replace(one, is_pillar=True)) == "keep"
        assert word(one) != "keep"


def test_what_was_not_measured_is_unclear_and_stays() -> None:
    found = decide(case(without=None), WEIGHTS, LIMITS)

    assert (found.word, found.goes) == ("unclear", False)


def test_what_came_back_says_so() -> None:
    found = decide(case(saved_ms=5.0, has_come_back=True), WEIGHTS, LIMITS)

    assert found.word == "keep"
    assert "once all that nobody misses one by one are gone" in found.reason


HELPED = effect("faster", 2.0, 1.0, query="helped", weight=0.4)
SLOWED = effect("slower", 1.0, 2.0, query="slowed")


# --- every threshold --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "lower", "higher"),
    [
        (
            case(saved_ms=1.5),
            Thresholds(1.4, 2.0, 10.0),
            Thresholds(1.6, 2.0, 10.0),
        ),
        (
            # Five writes that take 0.6 ms longer: 3 ms, for sure.
            case(saved_ms=4.0, price=price(0.6)),
            Thresholds(1.0, 1.3, 10.0),
            Thresholds(1.0, 1.4, 10.0),
        ),
        (
            case(saved_ms=0.1, waits_ms=12.0),
            Thresholds(1.0, 2.0, 11.0),
            Thresholds(1.0, 2.0, 13.0),
        ),
    ],
    ids=["least_saved_ms", "least_return", "least_wait_ms"],
)
def test_each_threshold_flips_the_word(
    one: Case, lower: Thresholds, higher: Thresholds
) -> None:
    assert word(one, lower) == "keep"
    assert word(one, higher) == "drop"


def test_the_thresholds_also_tell_what_is_unclear() -> None:
    one = case(could=3.0)

    assert word(one, Thresholds(least_saved_ms=2.9)) == "unclear"
    assert word(one, Thresholds(least_saved_ms=3.1)) == "drop"


def test_writes_cost_only_what_the_clock_is_sure_of() -> None:
    assert write_ms(price(0.6), WEIGHTS) == pytest.approx(5 * 0.6)
    assert write_ms(price(0.6, low=0.9), WEIGHTS) == 0.0
    assert write_ms(price(-0.5, low=0.4), WEIGHTS) == 0.0
    assert write_ms(None, WEIGHTS) == 0.0


def test_what_writes_pay_stands_in_the_reason_of_what_is_dropped() -> None:
    found = decide(case(saved_ms=4.0, price=price(0.6), effects=(HELPED,)), WEIGHTS, LIMITS)

    assert "less than the 6 ms that it would have to for its writes" in found.reason
    assert found.write_ms == pytest.approx(3.0)


def test_log_is_given_per_thousand_requests_and_per_thousand_writes() -> None:
    found = decide(case(price=price(0.6, wal_bytes=100)), WEIGHTS, LIMITS)

    assert found.wal_bytes == pytest.approx(500)
    assert found.wal_of_writes == pytest.approx(100_000)
    assert decide(case(price=price(0.6)), {}, LIMITS).wal_of_writes is None


def test_worth_is_judged_against_the_larger_of_both_amounts() -> None:
    assert is_worth(Worth(1.0, 0.0), 0.5, LIMITS)
    assert not is_worth(Worth(1.0, 0.0), 0.6, LIMITS)
    assert not is_worth(Worth(0.9, 9.9), 0.0, LIMITS)


# --- two that can stand in for each other ------------------------------------------------

ONE = case(name="one", effects=(HELPED,), stand_ins=("two",))
TWO = case(name="two", effects=(HELPED,), stand_ins=("one",))


def test_of_two_that_stand_in_for_each_other_one_stays() -> None:
    for pair in ((ONE, TWO), (TWO, ONE)):
        found = decide_all(pair, WEIGHTS, LIMITS)

        assert len(found.goes) == 1
        (held,) = found.of("unclear")
        assert held.instead is None
        assert found.goes[0].index.name in held.reason


def test_neither_of_them_would_stay_if_each_were_decided_alone() -> None:
    assert decide(ONE, WEIGHTS, LIMITS).goes
    assert decide(TWO, WEIGHTS, LIMITS).goes


def test_the_one_that_is_missed_more_stays() -> None:
    missed = replace(ONE, missed=Loss(Worth(0.5, 0), Worth(0.5, 0)))

    found = decide_all((missed, TWO), WEIGHTS, LIMITS)

    assert [one.index.name for one in found.goes] == ["two"]


def test_one_side_is_enough_to_know_that_they_serve_each_other() -> None:
    alone = replace(TWO, stand_ins=())

    assert len(decide_all((ONE, alone), WEIGHTS, LIMITS).goes) == 1


def test_what_was_measured_together_goes_together() -> None:
    both = (replace(ONE, is_settled=True), replace(TWO, is_settled=True))

    assert len(decide_all(both, WEIGHTS, LIMITS).goes) == 2


def test_what_was_not_measured_with_the_others_gives_way_to_what_was() -> None:
    settled = replace(TWO, is_settled=True)

    found = decide_all((ONE, settled), WEIGHTS, LIMITS)

    assert [one.index.name for one in found.goes] == ["two"]
    assert found.find("one").word == "unclear"


# --- all together ------------------------------------------------------------------------


def test_decisions_are_counted_found_and_framed() -> None:
    kept = case(saved_ms=3.0, name="kept", effects=(HELPED, SLOWED), findings=("H05 x",))
    found = decide_all(
        (kept, case(name="gone"), case(could=2.0, name="perhaps")), {}, LIMITS
    )

    assert repr(found) == "<Decisions on 3 indexes: 1 keep, 1 drop, 0 replace, 1 unclear>"
    assert [one.index.name for one in found.stays] == ["kept", "perhaps"]
    assert found.find("gone").goes
    with pytest.raises(KeyError):
        found.find("nowhere")
    frame = found.frame().set_index("index")
    assert list(frame["decision"]) == ["keep", "drop", "unclear"]
    row = frame.loc["kept"]
    assert (row["helps"], row["hurts"], row["helped_weight"]) == (1, 1, 0.4)
    # 0.4 × 1 ms saved, 1 × 1 ms lost; the interval is about the ratio of each.
    assert row["saved_ms"] == pytest.approx(0.4 - 1.0)
    assert row["saved_low_ms"] < row["saved_ms"] < row["saved_high_ms"]
    assert (row["missed_ms"], row["findings"]) == (3.0, "H05 x")
    assert pd.isna(row["wal_of_writes"])


def test_no_index_no_decision() -> None:
    assert decide_all((), WEIGHTS, LIMITS) == Decisions((), LIMITS)


def test_a_contribution_that_is_unclear_saves_nothing_for_sure() -> None:
    vague = contribution(effect("unclear", 3.0, 1.0, weight=2.0))

    assert vague.worth == Worth(0.0, 0.0)
    assert vague.could_be_worth.saved_ms == pytest.approx(2 * 2.3)
