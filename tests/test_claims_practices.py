"""The judges of practices and of single indexes: pure functions of hand-made evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hand_made import NEW, ON_THREAD, ON_TIME, SEQ, Pair, evidence, query, tried

from fluxlab.book.claims import (
    Claim,
    CoverageClaim,
    FamilyClaim,
    MigrationClaim,
    OverallClaim,
    PracticeClaim,
)
from fluxlab.book.evidence import Evidence
from fluxlab.book.judges import judge
from fluxlab.indexes.practices import (
    Estimate,
    Growth,
    Narrowed,
    OneString,
    Practices,
    Preparing,
    Statistics,
    Touched,
    Twin,
    Upkeep,
)
from fluxlab.indexes.price import Price, WriteCost, WritePrice
from fluxlab.indexes.wal import Wal
from fluxlab.workload.stats import Speedup

THREAD = "idx_messages_thread_id"
BULLET = CoverageClaim(
    id="b", quote="q", line=1, use_case="Messaging/Threads", indexes=(THREAD,)
)


def practice(topic: str) -> PracticeClaim:
    return PracticeClaim(id="p", quote="q", line=1, topic=topic)  # type: ignore[arg-type]


def family(topic: str) -> FamilyClaim:
    return FamilyClaim(id="f", quote="q", line=1, topic=topic)  # type: ignore[arg-type]


def practices(*pairs: Pair, **found: object) -> Evidence:
    """Evidence of one experiment whose pairs are called 0, 1, 2 …"""
    changes = {str(number): pair for number, pair in enumerate(pairs)}
    made = Practices(changes=changes, **found)  # type: ignore[arg-type]
    return evidence(*pairs, practices=made)


ONE_STRING = MigrationClaim(id="m", quote="q", line=1, topic="one string")
WHOLE = OneString(90, 90, 1, ("users", "files"), 4_300.0, "already exists", "cannot run")


@pytest.mark.parametrize(
    ("found", "word", "said"),
    [
        (WHOLE, "held", "made by one transaction: until its end, after 4.3 s, nobody"),
        (replace(WHOLE, made=40, transactions=40), "fell short", "several transactions"),
        (replace(WHOLE, made=0, transactions=0, again=""), "refuted", "0 of 90"),
    ],
)
def test_one_string_is_judged_by_the_indexes_that_are_there(
    found: OneString, word: str, said: str
) -> None:
    judged = judge(ONE_STRING, practices(one_string=found))

    assert judged.word == word
    assert said in judged.reason
    assert ("once more the server says: already exists" in judged.reason) == (
        word != "refuted"
    )
    assert "With CONCURRENTLY it says: cannot run." in judged.reason


def twins(count: int) -> tuple[Twin, ...]:
    return (Twin("idx_a", 100, 400, tuple(map(str, range(count)))),)


ALIKE = {**ON_THREAD, "Index Name": "idx_a"}


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        ([Pair("faster"), Pair("faster"), Pair("same")], "held"),
        ([Pair("faster"), Pair("same"), Pair("same")], "fell short"),
        ([Pair("same"), Pair("slower"), Pair("unclear")], "refuted"),
        ([Pair("unclear"), Pair("unclear"), Pair("same")], "unclear"),
        ([Pair("faster"), Pair("slower"), Pair("slower")], "refuted"),
    ],
)
def test_partial_indexes_are_faster_when_most_pairs_are(
    pairs: Sequence[Pair], word: str
) -> None:
    judged = judge(family("faster"), practices(*pairs, twins=twins(len(pairs))))

    assert judged.word == word
    assert "have 25 % of the size of the full ones" in judged.reason


def test_a_partial_index_that_touches_as_many_blocks_is_no_gain() -> None:
    class Alike(Pair):
        @property
        def before(self) -> object:  # type: ignore[override]
            return self.after

    pairs = [Alike("unclear"), Alike("unclear"), Pair("unclear")]
    judged = judge(family("faster"), practices(*pairs, twins=twins(3)))

    assert judged.word == "refuted"
    assert "2 are as fast or touch as many blocks" in judged.reason


NARROW = (
    *(Narrowed("q", (24, 12), (4_096, 2_048), str(number)) for number in range(3)),
    Narrowed("rare", (24, 12), (4_096, 2_048)),
)


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        (("faster", "faster", "same"), "held"),
        (("faster", "same", "same"), "fell short"),
        (("same", "same", "unclear"), "refuted"),
        (("slower", "same", "same"), "refuted"),
        (("unclear", "unclear", "same"), "unclear"),
    ],
)
def test_a_star_is_judged_by_the_clocks_and_its_bytes_are_told(
    outcomes: Sequence[str], word: str
) -> None:
    pairs = [Pair(one) for one in outcomes]  # type: ignore[arg-type]

    judged = judge(practice("select star"), practices(*pairs, narrowed=NARROW))

    assert judged.word == word
    assert judged.reason.startswith("4 queries that ask for all columns")
    assert "answer with 8 kB instead of 16 kB. Of the 3 asked" in judged.reason
    assert judged.measured.endswith("50 % fewer bytes")
    assert ("most `messages_of_thread` (typical): about 10× faster" in judged.reason) == (
        "faster" in outcomes
    )


PREPARING = Preparing(
    asked=9,
    generic=("thread_replies", "user_by_id"),
    differing={"thread_replies": ("hot",)},
    pairs=("0", "1"),
)


@pytest.mark.parametrize(
    ("outcomes", "generic", "word", "said"),
    [
        (
            ("faster", "faster"),
            Pair("same", query="thread_replies"),
            "held",
            "0 are slower",
        ),
        (
            ("faster", "faster"),
            Pair("slower", 8, 80, query="thread_replies"),
            "fell short",
            "1 are slower with the plan for any value, most `thread_replies`",
        ),
        # The server goes on planning this one for its values: nobody gets that plan.
        (("faster", "faster"), Pair("slower", query="other"), "held", "of 0 such pairs"),
        (("same", "same"), Pair("same", query="thread_replies"), "refuted", "2 same"),
        (("unclear", "unclear"), Pair("same"), "unclear", "2 unclear"),
    ],
)
def test_preparing_holds_unless_a_plan_for_any_value_is_slower(
    outcomes: Sequence[str], generic: Pair, word: str, said: str
) -> None:
    pairs = [Pair(one) for one in outcomes]  # type: ignore[arg-type]
    known = practices(*pairs, preparing=PREPARING)

    judged = judge(practice("prepared"), replace(known, plan_modes=[generic]))  # type: ignore[arg-type]

    assert judged.word == word
    assert said in judged.reason
    assert "stops planning 2 of 9 reads for their values" in judged.reason


WEEK = Statistics(
    asked=100,
    flickering=3,
    estimates=(Estimate("q", "typical", "Seq Scan on a", 1.0, 40.0, 60.0),),
    pairs=("0", "1"),
    written={"messages": 900, "users": 60, "files": 0},
    rows={"messages": 20_000, "users": 50},
)
RIGHT = WEEK.estimates[0]


@pytest.mark.parametrize(
    ("outcomes", "estimates", "word"),
    [
        (("faster", "same"), (), "held"),
        (("faster", "slower"), (), "fell short"),
        (("same", "same"), (RIGHT,), "fell short"),
        (("same", "same"), (replace(RIGHT, fresh=2.0),), "refuted"),
        (("same", "same"), (replace(RIGHT, stale=50.0),), "refuted"),
        (("unclear", "unclear"), (), "unclear"),
        ((), (), "refuted"),
    ],
)
def test_analyze_is_judged_by_plans_and_estimates_that_get_better(
    outcomes: Sequence[str], estimates: tuple[Estimate, ...], word: str
) -> None:
    pairs = [Pair(one, query="user_by_id") for one in outcomes]  # type: ignore[arg-type]
    found = replace(WEEK, estimates=estimates)
    workload = {"user_by_id": query()}
    workload["user_by_id"].tables = ("users",)
    known = replace(practices(*pairs, statistics=found), workload=workload)  # type: ignore[arg-type]

    judged = judge(practice("analyze"), known)

    assert judged.word == word
    # 60 writes are more than 50 and a tenth of 50 rows, 900 are not of 20,000.
    assert "would have analysed 1 of the 2 tables written to" in judged.reason
    assert ("1 of the 1 faster pairs read no others" in judged.reason) == (
        "faster" in outcomes
    )


def upkeep(**changes: object) -> Upkeep:
    made = Upkeep(
        tables={"users": Growth(100, 140, 110)},
        indexes={"users_pkey": Growth(10, 30, 12)},
        rebuilt={"users_pkey": (30, 10)},
        reads=(Touched("user_by_id", "typical", ("users_pkey",), 100, 80, 60),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def read(*blocks: int) -> tuple[Touched, ...]:
    return (Touched("user_by_id", "typical", ("users_pkey",), *blocks),)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (upkeep(), "held"),
        (upkeep(reads=read(100, 80, 80)), "fell short"),
        (upkeep(reads=read(100, 80, 77)), "fell short"),
        (upkeep(rebuilt={"users_pkey": (30, 29)}), "refuted"),
        (upkeep(rebuilt={}), "not measured yet"),
    ],
)
def test_a_rebuilt_index_has_to_be_smaller_and_its_readers_have_to_notice(
    found: Upkeep, word: str
) -> None:
    judged = judge(practice("bloat"), practices(upkeep=found))

    assert judged.word == word
    assert word == "not measured yet" or "`users_pkey` from 30 to" in judged.reason


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (upkeep(), "held"),
        (upkeep(tables={"users": Growth(100, 140, 140)}), "fell short"),
        (
            upkeep(
                tables={"users": Growth(100, 140, 140)},
                indexes={"users_pkey": Growth(10, 30, 30)},
                reads=read(100, 100, 100),
            ),
            "refuted",
        ),
        (upkeep(tables={}, indexes={}, reads=()), "refuted"),
    ],
)
def test_vacuum_holds_when_the_tables_grow_less(found: Upkeep, word: str) -> None:
    assert judge(practice("vacuum"), practices(upkeep=found)).word == word


def price(*, wal_bytes: float, slowdown: Speedup | None = None) -> Price:
    on = WriteCost("insert", "insert", 9, 1, 5, Wal(1, 100), {THREAD: Wal(1, wal_bytes)})
    off = replace(on, entries={})
    return Price(THREAD, (WritePrice((THREAD,), on, off, slowdown, 0.2),))


@pytest.mark.parametrize(
    ("priced", "word"),
    [
        (price(wal_bytes=70, slowdown=Speedup(1.3, 1.1, 1.5)), "held"),
        (price(wal_bytes=70, slowdown=Speedup(1.3, 0.9, 1.7)), "fell short"),
        (price(wal_bytes=0), "refuted"),
    ],
)
def test_an_idle_index_is_judged_by_what_writes_pay_for_it(
    priced: Price, word: str
) -> None:
    known = evidence(
        workload={"insert": query(weight=10.0)},
        indexes=tried(**{THREAD: [], "idx_read": [Pair("faster")]}),
        prices={THREAD: priced},
    )

    judged = judge(practice("unused price"), known)

    assert judged.word == word
    assert "when one of 1 indexes is taken away" in judged.reason
    assert (f"`{THREAD}` most with 700 B" in judged.reason) == (word != "refuted")


@pytest.mark.parametrize(
    "claim",
    [
        ONE_STRING,
        family("faster"),
        *map(practice, ("select star", "prepared", "analyze", "bloat", "vacuum")),
        practice("unused price"),
    ],
    ids=lambda claim: claim.topic,
)
def test_what_nobody_has_tried_is_not_judged(claim: Claim) -> None:
    judged = judge(claim, evidence(Pair("faster")))

    assert judged.word == "not measured yet"
    assert "`make run`" in judged.reason


@pytest.mark.parametrize(
    ("whole", "alone", "word", "said"),
    [
        # What the sprint leaves open, the index by itself decides.
        (Pair("unclear"), Pair("faster"), "held", "With the index against without it"),
        (Pair("unclear"), Pair("same"), "fell short", "faster with it than without"),
        (Pair("unclear"), Pair("slower", 8, 80), "refuted", "(1 slower)"),
        (Pair("unclear"), Pair("unclear", 8, 8), "unclear", "(1 unclear)"),
        # A gain of the whole sprint that the index has no part in is not its own.
        (Pair("faster"), Pair("same", 8, 8), "fell short", "(1 same)"),
        (Pair("faster"), Pair("unclear", 8, 8), "unclear", "(1 unclear)"),
        # It counts where the brief look at the index leans to the same side.
        (Pair("faster"), Pair("unclear", 16, 8), "held", "`messages_of_thread` (typical)"),
    ],
)
def test_a_bullet_is_decided_by_its_index_alone(
    whole: Pair, alone: Pair, word: str, said: str
) -> None:
    for kind in ("", "alone__", "ladder__"):
        known = evidence(whole, indexes=tried(**{f"{kind}{THREAD}": [alone]}))

        judged = judge(BULLET, known)

        assert judged.word == word, kind
        assert said in judged.reason


def test_trials_of_other_queries_and_of_other_plans_say_nothing_of_a_bullet() -> None:
    other = Pair("faster", query="other")
    unread = Pair("faster", new=ON_TIME)

    for trial in (other, unread):
        known = evidence(Pair("same"), indexes=tried(**{THREAD: [trial]}))
        assert judge(BULLET, known).word == "fell short"
        assert "became faster with it (1 same)" in judge(BULLET, known).reason


def test_an_index_that_serves_alone_and_is_not_read_says_so() -> None:
    known = evidence(
        Pair("faster", new=SEQ), indexes=tried(**{f"alone__{THREAD}": [Pair("faster")]})
    )

    judged = judge(BULLET, known)

    assert judged.word == "fell short"
    assert "Alone it serves `messages_of_thread` (typical)" in judged.reason


BOTH = {**ON_THREAD, "Index Name": "idx_messages_both"}


@pytest.mark.parametrize(
    ("whole", "alone", "word"),
    [
        (Pair("unclear", new=BOTH), Pair("faster", new=BOTH), "held"),
        (Pair("faster", new=BOTH), Pair("same", new=BOTH), "refuted"),
        (Pair("faster", new=BOTH), Pair("unclear", new=BOTH), "unclear"),
    ],
)
def test_a_family_is_judged_by_its_indexes_alone(
    whole: Pair, alone: Pair, word: str
) -> None:
    known = evidence(whole, indexes=tried(idx_messages_both=[alone]))

    judged = judge(family("composite"), known)

    assert judged.word == word
    assert "of 1 new composite indexes make a pair faster than without" in judged.reason
    # Where one of a family has not been measured, the whole sprint has to speak.
    unmeasured = evidence(whole, indexes=tried(other=[alone]))
    assert judge(family("composite"), unmeasured) == judge(
        family("composite"), evidence(whole)
    )


def all_tried(**pairs: Sequence[Pair]) -> dict[str, Sequence[Pair]]:
    return {index.name: pairs.get(index.name, []) for index in NEW}


def test_index_only_scans_are_those_of_one_index() -> None:
    only = {**BOTH, "Node Type": "Index Only Scan"}
    known = evidence(
        Pair("same", new=only),
        indexes=tried(**all_tried(idx_messages_both=[Pair("faster", new=only)])),
    )

    judged = judge(family("index only"), known)

    assert judged.word == "held"
    assert judged.reason.startswith("Of 1 pairs that get an Index Only Scan by one new")
    plain = tried(**all_tried(idx_messages_both=[Pair("faster", new=BOTH)]))
    assert judge(family("index only"), replace(known, indexes=plain)).word == "refuted"


def test_an_index_that_makes_slower_than_without_it_is_one_too_many() -> None:
    slower = Pair("slower", 8, 80, new=BOTH)
    whole = Pair("slower", 8, 80, new=BOTH)
    known = evidence(whole, indexes=tried(**all_tried(idx_messages_both=[slower])))
    spared = replace(known, indexes=tried(**all_tried()))

    judged = judge(practice("always indexes"), known)

    assert judged.word == "refuted"
    assert "1 of 1 pairs with a plan that reads a new index and would not" in judged.reason
    assert judge(practice("always indexes"), spared).word == "held"


def test_the_overall_figure_names_the_indexes_that_have_a_part_in_it() -> None:
    claim = OverallClaim(id="o", quote="q", line=1, low_percent=50, high_percent=80)
    pairs = [Pair("same", 80, 80, query=f"s{number}") for number in range(30)]
    found = all_tried(
        idx_messages_both=[Pair("slower", 8, 80, new=BOTH)],
        **{THREAD: [Pair("faster"), Pair("slower", 8, 80, of_class="hot")]},
    )

    judged = judge(claim, evidence(*pairs, indexes=tried(**found)))

    assert judged.reason.endswith(
        "Measured by themselves, 1 of the 4 new indexes make some query faster, and 1 "
        "only make some slower."
    )
    assert "by themselves" not in judge(claim, evidence(*pairs)).reason
