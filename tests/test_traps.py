"""The traps of measuring: the experiments, their arithmetic, and how they are shown."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from fluxlab.book import noise_charts, sentences, trap_words
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT
from fluxlab.workload import luck, traps
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.change import Change, Witness
from fluxlab.workload.clock import PINNED, placed
from fluxlab.workload.compare import Comparison
from fluxlab.workload.noise import NoiseFloor, Stratum
from fluxlab.workload.parameters import Sampler
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.stats import Outcome, Speedup, compare
from fluxlab.workload.store import Measurement, Run, State

WORKLOAD = load_workload(ROOT / "sql" / "queries")
CAN_PIN = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
A_FLOOR = NoiseFloor(
    (
        Stratum(1.0, 30, 0.02, 1.15),
        Stratum(10.0, 30, 0.03, 1.2),
        Stratum(math.inf, 0, 0.03, 1.3),
    )
)


def change(
    before: Sample,
    after: Sample,
    outcome: Outcome = "same",
    *,
    query: str = "a_query",
    by_clock: Outcome | None = None,
    decided_by: Witness = "clock",
    node: str = "Seq Scan",
) -> Change:
    speedup = compare(before, after)
    plan = json.dumps([{"Plan": {"Node Type": node}}])
    sides = [
        Measurement(query, "typical", query, "values", "", sample, plan)
        for sample in (before, after)
    ]
    return Change(
        query,
        "typical",
        *sides,
        raw=speedup,
        speedup=speedup,
        cpu=None,
        by_clock=by_clock or outcome,
        outcome=outcome,
        decided_by=decided_by,
    )


def comparison(changes: Sequence[Change]) -> Comparison:
    run = Run(State("baseline", "", "", ""), ())
    return Comparison(run, run, tuple(changes))


def noisy(latency_ms: float = 0.5, rounds: int = 8, outcome: Outcome = "same") -> Change:
    """A pair without a difference whose rounds differ by up to 5 %, evenly."""
    steps = [1 + 0.05 * (number % 3 - 1) for number in range(rounds)]
    before = Sample.of(*(latency_ms * step for step in steps))
    return change(before, Sample.of(*[latency_ms] * rounds), outcome)


@pytest.fixture
def asked(postgres: PostgresServer, template: Dataset, database: str) -> traps.Asked:
    with connect(postgres, database) as connection:
        sampler = Sampler(connection, template.now, seed=11)
        query = WORKLOAD["user_by_email"]
        return query, sampler.parameter_sets(query)[0]


# The experiments, on a real server.


def test_the_backends_of_a_pinned_pair_share_a_core_that_the_client_does_not_use(
    postgres: PostgresServer,
    database: str,
    asked: traps.Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not CAN_PIN:
        pytest.skip("nothing can be pinned on this machine")
    seen: list[tuple[set[int], set[int], set[int]]] = []
    everywhere = os.sched_getaffinity(0)

    @contextmanager
    def watched(two: Sequence[psycopg.Connection], *, is_ours: bool) -> Iterator[str]:
        with placed(two, is_ours=is_ours) as done:
            if done == PINNED:
                one, other = (os.sched_getaffinity(c.info.backend_pid) for c in two)
                seen.append((one, other, os.sched_getaffinity(0)))
            yield done

    monkeypatch.setattr(traps, "placed", watched)
    found = traps.placement(postgres, database, asked, pairs=3, rounds=2)

    assert len(found.free) == len(found.pinned) == len(seen) == 3
    for one, other, client in seen:
        assert one == other
        assert len(one) == 1
        assert not one & client
    assert os.sched_getaffinity(0) == everywhere


def test_where_nothing_can_be_pinned_the_value_and_the_sentence_say_so(
    postgres: PostgresServer, database: str, asked: traps.Asked
) -> None:
    foreign = replace(postgres, is_ours=False)

    found = traps.placement(foreign, database, asked, pairs=2, rounds=2)

    assert not found.is_possible
    assert len(found.free) == 2
    assert "nothing can be pinned" in trap_words.placement(found)
    assert [one.name for one in noise_charts.placement(found, "").data] == ["not pinned"]


def test_both_orders_execute_as_often_and_only_blocks_execute_in_one_go(
    postgres: PostgresServer, database: str, asked: traps.Asked
) -> None:
    found = traps.alternation(postgres, (database, database), asked, rounds=2)

    assert [len(one.times_ms) for one in found.after_strict.blocks] == [1] * 10
    assert [len(one.times_ms) for one in found.after_blocks.blocks] == [5, 5]


def test_three_clocks_are_read_and_a_write_leaves_nothing_behind(
    postgres: PostgresServer, template: Dataset, database: str
) -> None:
    names = ("user_by_email", "notifications_mark_all")
    with connect(postgres, database) as connection:
        sampler = Sampler(connection, template.now, seed=11)
        work = [
            (WORKLOAD[name], sampler.parameter_sets(WORKLOAD[name])[0]) for name in names
        ]
        unread = "select count(*) from notifications where not is_read"
        before = connection.execute(unread).fetchone()

        found = traps.explain_clocks(postgres, database, work, rounds=2)

        assert connection.execute(unread).fetchone() == before
    assert [one.query for one in found] == list(names)
    assert all(one.bare.executions == one.explained.executions == 10 for one in found)
    assert all(one.execution_ms > 0 for one in found)


# What follows from what was measured, with known truth.


def test_the_ratios_of_the_clocks_are_to_the_bare_latency() -> None:
    one = traps.ExplainClock("q", "hot", Sample.of(2.0), Sample.of(3.0), execution_ms=0.5)

    assert one.explained_ratio == 1.5
    assert one.execution_ratio == 0.25
    assert "1.50 to 1.50" in trap_words.explained([one])
    assert "0.25 to 0.25" in trap_words.explained([one])


def test_what_the_fast_side_pays_is_its_own_latency_in_both_orders() -> None:
    speedup = Speedup(8.0, 7.0, 9.0)
    found = traps.Alternation("q", "hot", speedup, speedup, Sample.of(3.0), Sample.of(2.0))

    assert found.slowed == 1.5
    assert "1.5 times as long" in trap_words.alternation(found)
    assert "paid nothing" in trap_words.alternation(
        replace(found, after_strict=Sample.of(1.0))
    )


def test_the_lopsided_pair_is_the_slowest_quick_read_with_a_tenfold_gain() -> None:
    pairs = [
        change(Sample.of(200.0), Sample.of(1.0), query="too_slow"),
        change(Sample.of(14.0), Sample.of(1.0), query="a_write", node="ModifyTable"),
        change(Sample.of(14.0), Sample.of(7.0), query="small_gain"),
        change(Sample.of(12.0), Sample.of(1.0), query="wanted"),
        change(Sample.of(3.0), Sample.of(0.1), query="quicker"),
    ]

    assert traps.lopsided(comparison(pairs)) == ("wanted", "typical")
    assert traps.lopsided(comparison(pairs[:3])) == ("small_gain", "typical")
    with pytest.raises(FluxlabError, match="No read takes 15 ms"):
        traps.lopsided(comparison(pairs[:2]))


def test_one_pass_is_every_execution_against_every_other() -> None:
    # Ratios 1, 1, 2, 2 and 1, 1, 0.5, 0.5: half of the passes announce, one way each.
    pair = change(Sample.of(1.0, 2.0), Sample.of(1.0, 1.0), "same")
    turned = change(Sample.of(1.0, 1.0), Sample.of(1.0, 2.0), "faster")

    found = luck.lucky_pass([pair, turned], "no difference")

    assert (found.pairs, found.faster, found.slower, found.same) == (2, 0.5, 0.5, 1.0)
    assert found.announced == 0.5
    assert found.called == 1
    assert "50% of 2 pairs" in trap_words.lucky_title(found)


def test_one_pass_within_the_margin_announces_nothing() -> None:
    found = luck.lucky_pass([change(Sample.of(1.09), Sample.of(1.0))], "same")

    assert (found.faster, found.slower, found.announced) == (0, 0, 0)


def test_a_pair_with_a_side_that_was_cut_off_is_left_out() -> None:
    pair = change(Sample.cut_off(1_000.0), Sample.of(1.0))

    assert luck.lucky_pass([pair], "faster").pairs == 0
    assert luck.lucky_pass([pair], "faster").announced == 0


def test_every_pair_is_counted_once_by_one_pass_and_once_by_all_rounds() -> None:
    pairs = [noisy(), change(Sample.of(9.0, 9.0), Sample.of(1.0, 1.0))]

    once, rounds = luck.lucky_counts(pairs, (0.5, 0.9, 1.1, 2.0))

    assert sum(once) == pytest.approx(2)
    # Nine times as fast lies beyond the last edge, and counts there.
    assert rounds == (0, 1, 1)
    assert once[2] == pytest.approx(1)


def test_peeking_announces_much_more_often_than_one_look_and_the_margin_holds() -> None:
    found = luck.optional_stopping(comparison([noisy()] * 3))

    assert found.rounds == tuple(range(3, 41))
    # The level of one look is 5 %; 4,000 simulated pairs stray by 1 % at most.
    assert all(0.035 < share < 0.065 for share in found.waiting)
    assert list(found.peeking) == sorted(found.peeking)
    assert found.peeking[0] == found.waiting[0]
    assert found.peeking[-1] > 0.2
    assert max(found.margin) < 0.01


def test_a_simulation_repeats_with_its_seed_and_needs_rounds_to_draw_from() -> None:
    control = comparison([noisy()])

    assert luck.optional_stopping(control, pairs=50) == luck.optional_stopping(
        control, pairs=50
    )
    nothing = luck.optional_stopping(comparison([noisy(rounds=3)]))
    assert nothing.rounds == ()
    assert "enough rounds" in trap_words.stopping(nothing)


# Sentences, tables and charts.


def test_the_noise_sentence_counts_by_the_clocks_and_by_the_whole_rule() -> None:
    called = replace(noisy(), by_clock="faster", outcome="faster")
    excused = replace(noisy(), by_clock="slower", outcome="same")
    control = comparison([noisy()] * 18 + [called, excused])

    said = sentences.noise(control, A_FLOOR)

    assert "Of 20 pairs" in said
    # Clopper and Pearson's bounds for 2 and for 1 of 20.
    assert "the clocks alone call 2 (10.0%; 95 percent 1.2%–31.7%)" in said
    assert "the whole rule 1 (5.0%; 95 percent 0.1%–24.9%)" in said
    # The third stratum holds no pair: nothing is said of it.
    assert "1.15× up to 1 ms, 1.20× up to 10 ms." in said
    assert sentences.noise_title(control, A_FLOOR).startswith("1 of 20 pairs")


def test_none_called_and_all_called_have_intervals_as_well() -> None:
    none = comparison([noisy()] * 20)
    every = comparison([noisy(outcome="slower")] * 20)

    assert "call 0 (0.0%; 95 percent 0.0%–16.8%)" in sentences.noise(none, A_FLOOR)
    assert "rule 20 (100.0%; 95 percent 83.2%–100.0%)" in sentences.noise(every, A_FLOOR)


def test_a_blind_machine_says_what_it_cannot_call() -> None:
    blind = NoiseFloor((Stratum(math.inf, 25, 0.5, 3.14),))
    control = comparison([noisy()])

    assert blind.is_blind
    assert "too noisy for its clocks to call anything below 3.1×" in sentences.noise(
        control, blind
    )
    assert "rest on blocks" in sentences.noise(control, blind)
    assert "too noisy" in sentences.noise_title(control, blind)


def test_a_floor_without_pairs_is_unknown_and_not_called_noisy() -> None:
    control = comparison([noisy()])

    assert "too little to know" in sentences.noise(control, NoiseFloor())
    assert "too few to know" in sentences.noise_title(control, NoiseFloor())
    assert trap_words.floor(control, NoiseFloor()).empty


def test_the_table_of_the_floor_counts_pairs_by_their_latency() -> None:
    control = comparison([noisy(0.5), noisy(0.5, outcome="faster"), noisy(5.0), noisy(50)])

    table = trap_words.floor(control, A_FLOOR)

    assert list(table.index) == ["up to 1 ms", "up to 10 ms", "above 10 ms"]
    assert list(table["A/A pairs"]) == [2, 1, 1]
    assert list(table["by the whole rule"]) == [1, 0, 0]


def test_the_rounds_of_a_pair_stand_in_the_order_in_which_they_were_taken() -> None:
    blocks = tuple(Block((time_ms,) * 5) for time_ms in (2.0, 3.0, 4.0))
    pair = change(Sample(blocks), Sample.of(1.0, 2.0, 4.0))

    table = trap_words.rounds(pair)

    assert list(table["order"]) == ["before, after", "after, before", "before, after"]
    assert list(table["before ÷ after"]) == ["2.00", "1.50", "1.00"]


def test_the_interval_is_told_without_and_with_the_error_of_the_machine() -> None:
    raw = Speedup(1.5, 1.4, 1.6, 0.01, rounds=8)
    pair = replace(noisy(), raw=raw, speedup=Speedup(1.5, 1.2, 1.9), outcome="faster")

    said = trap_words.interval(pair, A_FLOOR)
    few = trap_words.interval(replace(pair, raw=replace(raw, rounds=4)), A_FLOOR)

    assert "8 rounds alone between 1.40 and 1.60 (Hodges–Lehmann" in said
    # Two percent in logarithms, at half a millisecond.
    assert "at 0.5 ms is 2.0%; with it, between 1.20 and 1.90" in said
    assert said.endswith("The word is *faster*, by the client's clock.")
    assert "4 rounds alone between 1.40 and 1.60 (Student's t)" in few


def test_pairs_that_were_cut_off_are_counted() -> None:
    bound = Sample.cut_off(1_000.0)
    pairs = [noisy(), change(bound, Sample.of(1.0)), change(bound, bound)]

    said = trap_words.cut_off(comparison(pairs))

    assert said.startswith("2 of 3 pairs have a side that was cut off, 1 have two")


def test_the_noise_chart_marks_what_is_called_and_what_lies_beyond_its_edge() -> None:
    far = change(Sample.of(30.0, 30.0), Sample.of(1.0, 1.0))
    control = comparison([noisy(), noisy(20.0), noisy(outcome="faster"), far])

    figure = noise_charts.noise(control, A_FLOOR, "A finding")

    traces = {one.name: one for one in figure.data}
    assert set(traces) == {
        "smallest effect called",
        "A/A pair (2)",
        "off the chart (1)",
        "called, falsely (1)",
    }
    assert traces["called, falsely (1)"].marker.symbol == "diamond"
    assert list(traces["off the chart (1)"].y) == [2.0]
    steps = [y for y in traces["smallest effect called"].y if y is not None]
    assert sorted(set(steps)) == pytest.approx([1 / 1.3, 1 / 1.2, 1 / 1.15, 1.15, 1.2, 1.3])
    labels = [one for one in traces["smallest effect called"].text if one]
    assert labels == ["1.15×", "1.20×", "1.30×"]
    assert figure.layout.height


def test_the_charts_of_luck_name_every_way_of_measuring() -> None:
    control = comparison([noisy()] * 4)
    drawn = noise_charts.lucky_pass(control, "A finding")
    watched = noise_charts.stopping(luck.optional_stopping(control, pairs=20), "A finding")

    assert [one.name for one in drawn.data] == ["one execution each", "all rounds"]
    assert all(sum(one.y) == pytest.approx(4) for one in drawn.data)
    assert [one.name for one in watched.data] == [
        "stops early",
        "looks once",
        "beyond 1.1×",
    ]
    assert len({one.marker.symbol for one in watched.data}) == 3


def test_the_rule_in_words_names_the_numbers_of_the_code() -> None:
    said = sentences.margin()

    assert "from 10% on" in said
    assert "Benjamini–Hochberg at 5%" in said
    assert "from 128 blocks on" in said
    assert "2 times fewer and at least 50 fewer" in said


def test_nobody_is_watched_where_the_rounds_are_too_few() -> None:
    nobody = luck.Stopping((), (), (), ())

    assert "0%" not in trap_words.stopping_title(nobody)
    assert "enough rounds" in trap_words.stopping_title(nobody)
