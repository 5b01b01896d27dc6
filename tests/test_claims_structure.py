"""The judges of what catalogs, texts and answers decide: no clock, evidence by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hand_made import NEW, OLD, ON_THREAD, ON_TIME, Pair, catalog, evidence, index, query

from fluxlab.book.claims import (
    AuditClaim,
    CountClaim,
    DefinitionClaim,
    ExampleClaim,
    FamilyClaim,
    MigrationClaim,
    MonitoringClaim,
    PracticeClaim,
)
from fluxlab.book.evidence import Answer
from fluxlab.book.judges import judge


def test_counts_come_from_the_catalog() -> None:
    few = CountClaim(id="c", quote="q", line=1, things="new indexes", number=4)
    many = replace(few, number=5)
    tables = replace(few, things="tables", number=21)

    assert judge(few, evidence()).word == "held"
    assert judge(many, evidence()).word == "fell short"
    assert judge(tables, evidence()).word == "fell short"
    assert judge(replace(few, things="queries"), evidence()).word == "not testable"


def test_a_count_of_indexed_columns_holds_when_there_are_as_many_or_more() -> None:
    claim = AuditClaim(id="a", quote="q", line=1, table="messages", columns=4)

    assert judge(claim, evidence()).word == "held"
    assert judge(replace(claim, columns=3), evidence()).word == "held"
    short = judge(replace(claim, columns=5), evidence())
    assert short.word == "fell short"
    assert short.reason.startswith(
        "4 columns stand in an index key, 1 fewer than counted; 1"
    )


def test_an_example_that_stood_before_the_sprint_falls_short() -> None:
    claim = ExampleClaim(id="e", quote="q", line=1, index="idx_messages_thread_id")

    assert judge(claim, evidence()).word == "held"
    old = judge(replace(claim, index="idx_messages_created_at"), evidence())
    assert old.word == "fell short"
    assert judge(replace(claim, index="idx_none"), evidence()).word == "refuted"


@pytest.mark.parametrize(
    ("shown", "word", "said"),
    [
        ("idx_messages_thread_id ON messages(thread_id);", "held", "is new"),
        ("idx_messages_created_at ON messages(created_at)", "held", "stood before"),
        (
            "idx_messages_created_at ON messages(created_at DESC)",
            "refuted",
            "on messages (created_at) and stood before the sprint",
        ),
        ("idx_gone ON messages(id)", "refuted", "There is no index `idx_gone`"),
    ],
)
def test_a_definition_is_compared_parsed(shown: str, word: str, said: str) -> None:
    claim = DefinitionClaim(id="d", quote=f"CREATE INDEX {shown}", line=1)

    found = judge(claim, evidence())

    assert (found.word, said in found.reason) == (word, True)


def test_a_migration_without_concurrently_blocks_writes() -> None:
    claim = MigrationClaim(id="m", quote="q", line=1, topic="concurrent")
    blocking = "create index a on messages (id)"
    kind = "create index concurrently b on users (id)"

    assert judge(claim, evidence(migration=(blocking,))).word == "refuted"
    assert judge(claim, evidence(migration=(kind,))).word == "held"
    mixed = judge(claim, evidence(migration=(blocking, kind)))
    assert mixed.word == "fell short"
    assert "1 of 2 statements" in mixed.reason
    assert "`messages`" in mixed.reason


def test_a_migration_is_complete_when_every_index_is_there() -> None:
    claim = MigrationClaim(id="m", quote="q", line=1, topic="one by one")

    assert judge(claim, evidence()).word == "held"
    missing = judge(claim, evidence(migration=("create index a on messages (id)",)))
    assert missing.word == "refuted"
    assert "`a`" in missing.reason


def test_a_monitoring_statement_is_refuted_by_the_servers_own_message() -> None:
    claim = MonitoringClaim(id="s", quote="select", line=1, corrected="fixed")
    fixed = Answer(("name",), (("a",), ("b",)))
    wrong = {"s": Answer(message='column "x" does not exist'), "fixed": fixed}

    refuted = judge(claim, evidence(answers=wrong))

    assert refuted.word == "refuted"
    assert 'The server says: column "x" does not exist.' in refuted.reason
    assert "`sql/monitoring/fixed.sql` asks what is meant and returns 2 rows" in (
        refuted.reason
    )
    assert judge(claim, evidence(answers={"s": fixed, "fixed": fixed})).word == "held"


def practice(topic: str) -> PracticeClaim:
    return PracticeClaim(id="p", quote="q", line=1, topic=topic)  # type: ignore[arg-type]


def test_one_query_made_slower_by_a_new_index_refutes_always() -> None:
    claim = practice("always indexes")

    assert judge(claim, evidence(Pair("faster"))).word == "held"
    assert judge(claim, evidence(Pair("slower", new=ON_TIME))).word == "held"
    unmoved = Pair("slower", 8, 80, old=ON_THREAD)
    assert judge(claim, evidence(unmoved)).word == "held"
    slower = judge(claim, evidence(Pair("faster"), Pair("slower", 8, 80)))
    assert slower.word == "refuted"
    assert "1 of 2 pairs" in slower.reason


def test_an_unused_index_that_enforces_uniqueness_is_no_candidate() -> None:
    columns = ("index_name", "enforces")
    idle, pkey, unique = ("idx_a", ""), ("a_pkey", "primary key"), ("a_key", "uniqueness")

    def word(*rows: tuple[str, str]) -> str:
        answers = {"unused_indexes": Answer(columns, rows)}
        return judge(practice("unused"), evidence(answers=answers)).word

    assert word(idle, pkey) == "held"
    assert word(idle, unique) == "refuted"


def family(topic: str) -> FamilyClaim:
    return FamilyClaim(id="f", quote="q", line=1, topic=topic)  # type: ignore[arg-type]


def test_a_partial_index_on_nearly_all_rows_is_not_smaller() -> None:
    large = judge(family("smaller"), evidence())

    assert large.word == "refuted"
    assert "`idx_messages_live` 98 %" in large.reason
    assert judge(family("smaller"), evidence(shares={"idx_messages_live": 0.1})).word == (
        "held"
    )


def test_a_composite_index_that_begins_with_the_common_column_breaks_the_rule() -> None:
    broken = judge(family("selective first"), evidence())

    assert broken.word == "refuted"
    assert "3 in `kind` and 100 in `id`" in broken.reason
    turned = {("messages", "kind"): 100.0, ("messages", "id"): 3.0}
    assert judge(family("selective first"), evidence(distinct_values=turned)).word == "held"


def test_an_ascending_index_that_served_a_descending_order_refutes_the_need() -> None:
    backwards = Pair("same", old=ON_TIME, new=ON_TIME)
    statement = "select id from messages order by created_at desc limit 5"
    workload = {"messages_of_thread": query(statement=statement)}

    refuted = judge(family("descending"), evidence(backwards, workload=workload))

    assert refuted.word == "refuted"
    assert "`idx_messages_created_at` served `messages_of_thread`" in refuted.reason
    sort = {"Node Type": "Sort", "Plans": [ON_TIME]}
    sorted_ = evidence(Pair("same", old=sort), workload=workload)
    assert judge(family("descending"), sorted_).word == "not measured yet"
    upwards = {"messages_of_thread": query(statement="select 1 order by created_at")}
    other = judge(family("descending"), evidence(backwards, workload=upwards))
    assert other.word == "not measured yet"


def test_a_family_holds_when_each_of_its_indexes_is_read_by_a_faster_pair() -> None:
    both = {**ON_THREAD, "Index Name": "idx_messages_both"}

    assert judge(family("composite"), evidence(Pair("faster", new=both))).word == "held"
    assert judge(family("composite"), evidence(Pair("same", new=both))).word == "refuted"
    noise = evidence(Pair("unclear", new=both))
    assert judge(family("composite"), noise).word == "unclear"


def test_most_common_is_counted() -> None:
    assert judge(family("most common"), evidence()).word == "held"
    partial = [
        index(f"p{n}", "messages (id) WHERE (id IS NOT NULL)", "id") for n in range(5)
    ]
    many = evidence(after=catalog(*OLD, *NEW, *partial))
    assert judge(family("most common"), many).word == "refuted"


def test_a_field_without_an_index_is_not_covered() -> None:
    def asked(column: str) -> dict[str, SimpleNamespace]:
        parameter = SimpleNamespace(column=("messages", column))
        return {"q": SimpleNamespace(**{**vars(query()), "parameters": (parameter,)})}

    assert judge(family("fields"), evidence(workload=asked("thread_id"))).word == "held"
    bare = judge(family("fields"), evidence(workload=asked("title")))
    assert bare.word == "fell short"
    assert "`messages.title`" in bare.reason
