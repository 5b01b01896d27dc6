"""The report's claims: quoted word for word, all of them, in a closed set of kinds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from fluxlab.book.claims import (
    KINDS,
    CacheKeyClaim,
    Claim,
    Claims,
    CoverageClaim,
    DefinitionClaim,
    MonitoringClaim,
    read_claims,
)
from fluxlab.book.definitions import read_shape
from fluxlab.book.evidence import read_use_cases
from fluxlab.errors import FluxlabError
from fluxlab.settings import ROOT
from fluxlab.workload.catalogue import load_workload

LINES = (ROOT / "data" / "sprint11_report.md").read_text().splitlines()
CLAIMS = read_claims(ROOT / "data" / "claims.toml")

#: What begins a line of a list and claims nothing itself.
MARKER = re.compile(r"\s*(\d+\.\s|-\s✅\s|-\s|✅\s)?")
#: What stands between two of these is a piece that some quote has to speak for.
EDGES = re.compile(r"\s-\s|\||,\s|\.\s|\sand\s|[()]|//")
FIGURE = re.compile(r"\d[\d.,–-]*")
WORD = re.compile(r"\w+")
SILENT = re.compile(r"\s*(```.*|-{3,}|[|\s-]*|#+ (?!.*\(.*\d.*\)).*)")


def holes(claims: Collection[Claim]) -> Iterator[str]:
    """Yield every piece and every figure of the report that no claim quotes."""
    out = {n for one in CLAIMS.left_out for n in range(one.lines[0], one.lines[1] + 1)}
    quoted = quoted_letters(claims)
    for number, line in enumerate(LINES, start=1):
        if number in out or SILENT.fullmatch(line):
            continue
        found = quoted.get(number, set())
        start = MARKER.match(line).end()  # type: ignore[union-attr]
        for figure in FIGURE.finditer(line, start):
            if not found.issuperset(range(*figure.span())):
                yield f"{number}: {figure[0]}"
        edges = [edge.span() for edge in EDGES.finditer(line, start)]
        begins = [start, *(end for _, end in edges)]
        ends = [*(begin for begin, _ in edges), len(line)]
        for begin, end in zip(begins, ends, strict=True):
            words = list(WORD.finditer(line, begin, end))
            spoken = [word for word in words if found.issuperset(range(*word.span()))]
            if len(spoken) < 2 / 3 * len(words):
                yield f"{number}: {line[begin:end].strip()}"


def quoted_letters(claims: Collection[Claim]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for claim in claims:
        for offset, part in enumerate(claim.quote.split("\n")):
            number = claim.line + offset
            start = LINES[number - 1].index(part)
            found.setdefault(number, set()).update(range(start, start + len(part)))
    return found


def test_every_quote_stands_on_its_lines_word_for_word() -> None:
    for claim in CLAIMS:
        lines = LINES[claim.line - 1 : claim.lines.stop - 1]
        assert claim.quote in "\n".join(lines), claim.id
        assert "```" not in claim.quote, claim.id


def test_every_claim_of_the_report_is_quoted_or_left_out_with_a_reason() -> None:
    assert list(holes(CLAIMS.claims)) == []


@pytest.mark.parametrize("claim", CLAIMS.claims, ids=lambda claim: claim.id)
def test_a_claim_that_is_deleted_leaves_a_hole(claim: Claim) -> None:
    rest = [other for other in CLAIMS if other is not claim]

    assert {int(hole.partition(":")[0]) for hole in holes(rest)} & set(claim.lines)


def test_what_is_left_out_has_a_reason_and_is_not_quoted() -> None:
    for one in CLAIMS.left_out:
        first, last = one.lines
        assert first <= last
        assert one.why
        assert any(LINES[number - 1].strip() for number in range(first, last + 1))
        for claim in CLAIMS:
            assert not set(claim.lines) & set(range(first, last + 1)), (claim.id, one)


def test_the_report_makes_many_claims_of_every_kind() -> None:
    assert len(CLAIMS) > 150
    assert {type(claim) for claim in CLAIMS} == set(KINDS.values())
    assert [claim.line for claim in CLAIMS] == sorted(claim.line for claim in CLAIMS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.id) for claim in CLAIMS)


def test_the_figures_of_a_claim_stand_in_its_quote() -> None:
    for claim in CLAIMS:
        for field in ("number", "percent", "low_percent", "seconds", "columns"):
            value = getattr(claim, field, None)
            assert value is None or re.search(rf"\b{value}\b", claim.quote), claim.id
    for one in CLAIMS:
        if isinstance(one, DefinitionClaim):
            assert read_shape(one.quote).name in one.quote


def test_what_a_claim_names_is_there() -> None:
    workload = load_workload(ROOT / "sql" / "queries")
    cases = read_use_cases(ROOT / "data" / "facts" / "queries.csv")
    statements = {path.stem for path in (ROOT / "sql" / "monitoring").glob("*.sql")}
    bullets = [claim for claim in CLAIMS if isinstance(claim, CoverageClaim)]

    assert {claim.use_case for claim in bullets} == set(cases)
    assert {name for names in cases.values() for name in names} <= set(workload)
    assert {claim.query for claim in CLAIMS.latency} <= set(workload)
    corrected = {one.corrected for one in CLAIMS if isinstance(one, MonitoringClaim)}
    assert corrected | {"slow_log"} <= statements
    keys = {one.pattern for one in CLAIMS if isinstance(one, CacheKeyClaim)}
    assert keys == {query.cache.key for query in workload.values() if query.cache}


def written(tmp_path: Path, text: str) -> Claims:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    return read_claims(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[latencies]]", r"claims\.toml: \[\[latencies\]\] is no kind of claim"),
        (
            "[[count]]\nid = 'a'\nquote = 'x'\nline = 1\nnumber = 3",
            r"\[\[count\]\] is wrong, a: .*'things'",
        ),
        (
            "[[ttl]]\nid = 'b'\nquote = 'x'\nline = 1\nname = 'day'\nseconds = 'much'",
            r"\[\[ttl\]\] is wrong, b: seconds = 'much'. It must be int",
        ),
        (
            "[[family]]\nid = 'c'\nquote = 'x'\nline = 1\ntopic = 'hash'",
            r"\[\[family\]\] is wrong, c: topic = 'hash'. Use one of 'arrays'",
        ),
        (
            "[[definition]]\nid = 'd'\nquote = 'x'\nline = 1\nlines = 2",
            r"\[\[definition\]\] is wrong, d: .*'lines'",
        ),
        ("[[definition]]\nquote = 'x'\nline = 1", "without an id"),
        (
            "[[definition]]\nid = 'e'\nquote = 'x'\nline = 1\n" * 2,
            "two claims have the id 'e'",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FluxlabError, match=said):
        written(tmp_path, text)


def test_claims_are_read_in_the_order_of_the_report(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        "[[untestable]]\nid = 'late'\nquote = 'x'\nline = 9\nwhy = 'no'\n"
        "[[definition]]\nid = 'early'\nquote = 'x'\nline = 2\n",
    )

    assert [claim.id for claim in found] == ["early", "late"]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (
            "CREATE INDEX i ON users(is_active) WHERE is_active = TRUE;",
            "CREATE INDEX i ON public.users USING btree (is_active) "
            "WHERE (is_active = true)",
        ),
        (
            "CREATE INDEX i ON m USING GIN(to_tsvector('english', content))",
            "CREATE INDEX i ON public.m USING gin "
            "(to_tsvector('english'::regconfig, content))",
        ),
        ("create index i on t (a desc)", "CREATE INDEX i ON public.t (a DESC)"),
        ("create index concurrently i on t (a)", "CREATE INDEX i ON t (a)"),
    ],
)
def test_two_spellings_of_one_index_are_one_definition(shown: str, printed: str) -> None:
    assert read_shape(shown).canonical == read_shape(printed).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("create index i on t (a, b)", "create index i on t (b, a)"),
        ("create index i on t (a desc)", "create index i on t (a)"),
        ("create index i on t (a) where a", "create index i on t (a)"),
        ("create index i on t (a)", "create unique index i on t (a)"),
        ("create index i on t (a)", "create index i on t using hash (a)"),
        (
            "create index i on t (a desc nulls last)",
            "create index i on t (a desc nulls first)",
        ),
    ],
)
def test_indexes_that_differ_are_two_definitions(one: str, other: str) -> None:
    assert read_shape(one).canonical != read_shape(other).canonical


def test_only_one_create_index_has_a_shape() -> None:
    with pytest.raises(FluxlabError, match="not one CREATE INDEX"):
        read_shape("select 1")
    with pytest.raises(FluxlabError, match="not one CREATE INDEX"):
        read_shape("create index a on t (a); create index b on t (b)")
