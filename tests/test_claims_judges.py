"""The judges of what is measured: pure functions of a claim and of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hand_made import ON_THREAD, ON_TIME, SEQ, Pair, evidence, query

from fluxlab.book.claims import (
    KINDS,
    CoverageClaim,
    LatencyClaim,
    LaterClaim,
    OverallClaim,
    UntestableClaim,
)
from fluxlab.book.evidence import read_crossings
from fluxlab.book.judges import JUDGES, judge
from fluxlab.book.ledger import Ledger
from fluxlab.book.phrases import plans, saved
from fluxlab.book.verdicts import WORDS, verdict
from fluxlab.errors import FluxlabError
from fluxlab.workload.sample import Sample
from fluxlab.workload.scaling import Curve, Growth, Point, Scaling
from fluxlab.workload.stats import Speedup

ROW = LatencyClaim(
    id="row", quote="q", line=1, name="Row", query="messages_of_thread",
    before_ms=80, after_ms=12, percent=85,
)  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "word", "said"),
    [
        (Pair("faster", 80, 8), "held", "`Seq Scan on messages` became"),
        (Pair("faster", 45, 3), "held", "a new index (7,160 → 4 blocks)"),
        (Pair("faster", 30, 3), "fell short", "the 80 ms before were 30 ms"),
        (Pair("faster", 400, 20), "fell short", "the 12 ms after are 20 ms"),
        (Pair("faster", 80, 12), "held", "a new index"),
        (Pair("faster", 75, 12), "held", "a new index"),
        (Pair("faster", 80, 11.9, spread=1.0), "held", "a new index"),
        (Pair("faster", 50, 11), "fell short", "the 85 % are 78 % (76 % to 80 %)"),
        (Pair("same", 80, 80), "refuted", "Same (as fast as before)"),
        (Pair("slower", 8, 80, new=ON_TIME), "refuted", "whose index stood before"),
        (Pair("unclear", 80, 8), "unclear", "Unclear"),
    ],
)
def test_a_latency_row_is_judged_on_all_three_figures(
    pair: Pair, word: str, said: str
) -> None:
    found = judge(ROW, evidence(pair))

    assert found.word == word
    assert said in found.reason
    assert found.expected == "80 → 12 ms, 85 %"
    assert found.interval.count("%") == 2


def test_the_typical_class_leads_and_a_class_that_differs_is_named() -> None:
    typical = Pair("faster")
    hot = Pair("slower", 8, 80, of_class="hot")
    absent = Pair("same", 1, 1, of_class="absent")

    both = judge(ROW, evidence(hot, typical))
    only_absent = judge(ROW, evidence(typical, absent))
    hot_leads_not = judge(ROW, evidence(replace(hot, outcome="unclear"), typical))

    assert both.word == hot_leads_not.word == "fell short"
    assert both.measured.startswith("80 ms → 8 ms")
    assert "Otherwise hot values refuted: −900 %" in both.reason
    assert only_absent.word == "held"
    assert "absent values refuted" in only_absent.reason


def test_a_row_that_was_not_measured_is_not_judged() -> None:
    found = judge(ROW, evidence(Pair("faster", query="other")))

    assert found.word == "not measured yet"
    assert found.measured == found.interval == ""


def test_a_row_says_at_which_size_the_report_would_be_right() -> None:
    crossings = {"messages_of_thread": "At 9 million rows it would."}

    assert judge(ROW, evidence(Pair("same"), crossings=crossings)).reason.endswith(
        "At 9 million rows it would."
    )


def growth(*sizes: int) -> Scaling:
    points = tuple(
        Point(users, 400 * users, Sample.of(*[users / 100] * 9)) for users in sizes
    )
    grown = Growth("Row", "q", "typical", 80.0, Curve(points), Curve(points))
    return Scaling((grown,))


def test_a_crossing_is_told_once_there_are_two_sizes() -> None:
    told = read_crossings(growth(100, 1_000, 10_000))["q"]

    assert told.startswith("Over 3 sizes of the data, 80 ms for typical values: ")
    assert told.endswith(".")
    assert read_crossings(growth(1_000)) == {}


BULLET = CoverageClaim(
    id="b", quote="q", line=1, use_case="Messaging/Threads",
    indexes=("idx_messages_thread_id",),
)  # fmt: skip


def test_a_bullet_holds_when_its_new_index_is_read_and_made_a_pair_faster() -> None:
    found = judge(BULLET, evidence(Pair("faster")))

    assert found.word == "held"
    assert found.measured == "1 of 1 queries served, 1 by it"
    assert "`messages_of_thread` (typical)" in found.reason


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([Pair("same")], "no pair became faster with it (1 same)"),
        ([Pair("faster", new=SEQ)], "no plan reads it: `messages_of_thread`"),
        (
            [
                Pair("faster"),
                Pair("same", query="thread_replies", new=SEQ),
                Pair("same", query="thread_counts", new=SEQ),
            ],
            "faster",
        ),
    ],
)
def test_a_bullet_falls_short_when_its_index_serves_too_little(
    pairs: Sequence[Pair], said: str
) -> None:
    cases = {"Messaging/Threads": tuple(pair.query for pair in pairs)}

    found = judge(BULLET, evidence(*pairs, use_cases=cases))

    assert found.word == "fell short"
    assert said in found.reason


def test_a_bullet_on_an_old_index_holds_when_plans_read_it() -> None:
    claim = replace(BULLET, indexes=("idx_messages_created_at",))

    found = judge(claim, evidence(Pair("same", new=ON_TIME)))

    assert found.word == "held"
    assert "stood before the sprint" in found.reason


def test_a_bullet_is_unclear_when_the_noise_hides_what_its_index_gains() -> None:
    pairs = [
        Pair("unclear"),
        Pair("same", of_class="hot"),
        Pair("unclear", of_class="rare"),
    ]

    assert judge(BULLET, evidence(*pairs)).word == "unclear"
    assert judge(BULLET, evidence(*pairs[:2])).word == "fell short"


def test_a_bullet_that_names_another_kind_of_index_is_refuted() -> None:
    assert judge(replace(BULLET, shape="gin"), evidence(Pair("faster"))).word == "refuted"
    composite = replace(BULLET, shape="composite", indexes=("idx_messages_both",))
    read = {**ON_THREAD, "Index Name": "idx_messages_both"}
    assert judge(composite, evidence(Pair("faster", new=read))).word == "held"


OVERALL = OverallClaim(id="o", quote="q", line=1, low_percent=50, high_percent=80)


@pytest.mark.parametrize(
    ("reached", "faster", "same", "word"),
    [
        (40, 0, 0, "held"),
        (5, 35, 0, "fell short"),
        (5, 0, 35, "refuted"),
        (20, 0, 20, "unclear"),
        (20, 0, 0, "not measured yet"),
    ],
)
def test_the_overall_figure_needs_most_queries(
    reached: int, faster: int, same: int, word: str
) -> None:
    pairs = [
        *(Pair("faster", 80, 8, query=f"r{n}") for n in range(reached)),
        *(Pair("faster", 80, 60, query=f"f{n}") for n in range(faster)),
        *(Pair("same", 80, 80, query=f"s{n}") for n in range(same)),
    ]

    assert judge(OVERALL, evidence(*pairs)).word == word


def test_the_overall_figure_is_also_told_by_weight() -> None:
    pairs = [Pair("same", 80, 80, query=f"s{n}") for n in range(39)]
    pairs.append(Pair("faster", query="often"))
    workload = {pair.query: query(weight=1.0) for pair in pairs}
    workload["often"] = query(weight=39.0)

    found = judge(OVERALL, evidence(*pairs, workload=workload))

    assert found.word == "refuted"
    assert found.measured == "2 % of the queries (50 % by weight)"


def test_what_no_chapter_can_judge_yet_names_its_lab_and_what_it_will_look_at() -> None:
    claim = LaterClaim(
        id="l", quote="q", line=1, lab="the load lab", evidence="500 users at once"
    )

    found = judge(claim, evidence())

    assert found.word == "not measured yet"
    assert found.reason == "The load lab will look at 500 users at once."
    never = judge(
        UntestableClaim(id="u", quote="q", line=1, why="it is not here"), evidence()
    )
    assert (never.word, never.reason) == ("not testable", "It is not here.")


def test_every_kind_has_its_judge() -> None:
    assert set(JUDGES) == set(KINDS.values())


def test_a_reason_shows_the_scans_that_differ() -> None:
    users = {
        "Node Type": "Index Scan",
        "Relation Name": "users",
        "Index Name": "users_pkey",
    }
    join = {"Node Type": "Nested Loop"}
    pair = Pair(
        "faster",
        old={**join, "Plans": [{**users, "Shared Hit Blocks": 99}, SEQ]},
        new={**join, "Plans": [{**users, "Shared Hit Blocks": 99}, ON_THREAD]},
    )

    assert plans(pair, {"users_pkey"}).startswith(  # type: ignore[arg-type]
        "`Seq Scan on messages` became "
        "`Index Scan using idx_messages_thread_id on messages`, a new index"
    )
    heavier = {**users, "Index Name": "users_name", "Shared Hit Blocks": 99}
    other = replace(pair, old={**join, "Plans": [SEQ]})
    other = replace(other, new={**join, "Plans": [heavier, ON_THREAD]})
    assert plans(other, set()) == plans(pair, {"users_pkey"})  # type: ignore[arg-type]
    bitmap = {
        "Node Type": "Bitmap Heap Scan",
        "Relation Name": "messages",
        "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "idx_messages_both"}],
    }
    assert "`Bitmap Heap Scan on messages by idx_messages_both`" in plans(
        Pair("faster", new=bitmap),  # type: ignore[arg-type]
        set(),
    )


@pytest.mark.parametrize(
    ("speedup", "said"),
    [
        (Speedup(2, 1.6, 2.5), "50 % (38 % to 60 %)"),
        (Speedup(0.5, 0.4, 0.8), "−100 % (−150 % to −25 %)"),
        (Speedup(5_000, 2_000, float("inf")), "99.98 % (99.95 % to 100 %)"),
        (Speedup(1, 0, 4), "0 % (no bound to 75 %)"),
    ],
)
def test_a_saving_is_told_with_its_interval(speedup: Speedup, said: str) -> None:
    assert saved(speedup) == said


def test_the_ledger_counts_finds_and_orders() -> None:
    made = [
        verdict(replace(ROW, id="speed", line=12), "held", "r"),
        verdict(
            UntestableClaim(id="done", quote="q", line=3, why="w"), "not testable", "r"
        ),
    ]
    ledger = Ledger(tuple(made), ((10, "Speed"), (20, "End")))

    assert list(ledger.counts) == list(WORDS)
    assert sum(ledger.counts.values()) == len(ledger) == 2
    assert ledger.of("held") == ledger.rows == ledger.judged == (made[0],)
    assert [ledger.section(one) for one in ledger] == ["Speed", "Head"]
    assert repr(ledger) == "<Ledger of 2 claims: 1 held, 1 not testable>"
    assert ledger.frame().loc["speed", "verdict"] == "held"
    with pytest.raises(FluxlabError, match="Did you mean speed"):
        ledger.find("spee")
