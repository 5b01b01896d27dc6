"""The files of sql/audit: their headers, their columns, and what is refused."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from audit_cases import RULES

from fluxlab.errors import FluxlabError
from fluxlab.indexes.audit import audit
from fluxlab.indexes.audit_rules import COLUMNS, choose_rules, fill, load_rules, say
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

GOOD = """-- rule: H01
-- title: A title
-- weight: low
-- finding: {object} of {table}
--     has {rows:row}.
-- advice: Drop it.
select 'public' as schema_name, 't' as table_name, 'index' as object_type,
    'i' as object_name, '{"rows": 1}'::jsonb as evidence, null as fix, null as undo;
"""


def loaded(folder: Path, text: str) -> None:
    (folder / "one.sql").write_text(text)
    load_rules(folder)


def test_at_least_25_numbers_of_the_list_have_a_rule() -> None:
    assert len({rule.id for rule in RULES}) >= 25
    assert len({rule.slug for rule in RULES}) == len(RULES)


def test_every_rule_answers_with_the_same_columns(
    postgres: PostgresServer, module_database: str
) -> None:
    with connect(postgres, module_database) as connection:
        connection.execute("create extension pgstattuple")
        for rule in RULES:
            description = connection.execute(rule.sql.encode()).description
            assert description is not None
            assert tuple(column.name for column in description) == COLUMNS, rule.slug
            assert description[4].type_display == "jsonb", rule.slug


def test_no_rule_speaks_of_an_index_of_this_schema() -> None:
    import csv

    names = {
        row[column]
        for file in ("base_indexes.csv", "migration_005_indexes.csv", "tables.csv")
        for row in csv.DictReader((ROOT / "data" / "facts" / file).open(newline=""))
        for column in ("name", "table")
        if row.get(column, "").count("_")
    }
    assert len(names) > 100

    for rule in RULES:
        assert [name for name in names if name in rule.sql + rule.finding] == []


def test_a_file_is_read_with_its_continued_lines(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text(GOOD)

    (rule,) = load_rules(tmp_path)

    assert (rule.slug, rule.id, rule.weight) == ("one", "H01", "low")
    assert rule.finding == "{object} of {table} has {rows:row}."
    assert rule.sql.startswith("select 'public'")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("-- title", "-- titel"), "one.sql:2: '-- titel: A title' is not a header"),
        (("-- title: A title\n", ""), "one.sql:1: no header `title`"),
        (("-- weight: low", "-- weight: heavy"), "the weight is 'heavy'"),
        (("-- rule: H01", "-- rule: R1"), "'R1' is no rule"),
        (("-- advice", "-- title: Two\n-- advice"), "one.sql:6: a second header `title`"),
        (("-- advice", "-- reads: tea\n-- advice"), "it reads 'tea'"),
        (("-- advice", "-- since: 18\n-- since: 19\n-- advice"), "a second header `since`"),
        (("-- advice", "-- since: v18\n-- advice"), "`since` is no number"),
        (("as undo;", "as undo"), "no statement"),
        (("-- rule", "-- just words\n-- rule"), "one.sql:1: '-- just words'"),
    ],
)
def test_a_header_that_is_not_understood_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    with pytest.raises(FluxlabError) as raised:
        loaded(tmp_path, GOOD.replace(*change))

    assert expected in raised.value.what


def test_a_directory_without_rules_is_said(tmp_path: Path) -> None:
    with pytest.raises(FluxlabError, match="no rules"):
        load_rules(tmp_path)


def test_rules_are_chosen_by_number_or_name() -> None:
    assert {rule.slug for rule in choose_rules(RULES, ["h05"])} == {
        "reversed_twin",
        "needless_direction",
    }
    assert [rule.id for rule in choose_rules(RULES, ["redundant_prefix"])] == ["H03"]
    assert choose_rules(RULES, []) == RULES
    with pytest.raises(FluxlabError, match="H99"):
        choose_rules(RULES, ["H03", "H99"])


def test_a_sentence_that_asks_for_what_is_not_there_names_its_file(
    tmp_path: Path, postgres: PostgresServer, module_database: str
) -> None:
    (tmp_path / "one.sql").write_text(
        GOOD.replace("{rows:row}", "{pages:page}").replace("'t'", "'users'")
    )
    with (
        connect(postgres, module_database) as connection,
        pytest.raises(FluxlabError, match=r"one\.sql says \{pages\}"),
    ):
        audit(connection, load_rules(tmp_path))


def test_sql_that_a_server_refuses_is_a_rule_that_was_not_asked(
    tmp_path: Path, postgres: PostgresServer, module_database: str
) -> None:
    (tmp_path / "one.sql").write_text(GOOD.replace("'i' as", "nothing as"))
    (tmp_path / "two.sql").write_text(GOOD.replace("'t'", "'users'"))
    with connect(postgres, module_database) as connection:
        result = audit(connection, load_rules(tmp_path))

    assert result.asked == ("two",)
    assert [one.slug for one in result.unasked] == ["one"]
    assert 'column "nothing" does not exist' in result.unasked[0].reason
    assert [one.sentence for one in result] == ["i of users has 1 row."]


def test_a_rule_cannot_write(
    tmp_path: Path, postgres: PostgresServer, module_database: str
) -> None:
    sneaky = GOOD.replace("'i' as", "(select lo_create(0))::text as")
    (tmp_path / "one.sql").write_text(sneaky)
    with connect(postgres, module_database) as connection:
        result = audit(connection, load_rules(tmp_path))
        objects = connection.execute("select count(*) from pg_largeobject_metadata")
        assert objects.fetchone() == (0,)

    assert "read-only transaction" in result.unasked[0].reason


@pytest.mark.parametrize(
    ("name", "value", "noun", "expected"),
    [
        ("size_bytes", 1, "", "1 byte"),
        ("size_bytes", 1023, "", "1,023 bytes"),
        ("size_bytes", 1536, "", "1.5 kB"),
        ("size_bytes", 5 * 2**40, "", "5 TB"),
        ("hot_share", 1.0, "", "100 %"),
        ("hot_share", 0.123, "", "12 %"),
        ("rows", 12_345, "row", "12,345 rows"),
        ("indexes", 2, "index", "2 indexes"),
        ("entries", 3, "entry", "3 entries"),
        ("entries", 1, "entry", "1 entry"),
        ("is_valid", False, "", "no"),
        ("keys", ["a", "b"], "", "a, b"),
        ("mean", 1234.5678, "", "1.23e+03"),
        ("since", None, "", "unknown"),
    ],
)
def test_a_value_is_said_with_its_unit(
    name: str, value: object, noun: str, expected: str
) -> None:
    assert say(name, value, noun) == expected
    assert fill(f"{{{name}:{noun}}}", {name: value}) == expected


def test_every_rule_of_the_audit_runs_as_it_stands_without_a_search_path(
    postgres: PostgresServer, module_database: str
) -> None:
    with connect(postgres, module_database) as connection:
        for rule in RULES:
            if rule.needs is None:
                connection.execute(rule.sql.encode())
                connection.execute("set search_path = ''")
                try:
                    connection.execute(rule.sql.encode())
                except psycopg.Error as error:
                    pytest.fail(f"{rule.slug}: {error}")
                connection.execute("reset search_path")
