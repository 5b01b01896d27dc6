"""How values show themselves in a notebook: what they say, and that they escape it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from fluxlab.book.claims import Claim
from fluxlab.book.values import (
    comparison_html,
    decision_html,
    definition_html,
    index_html,
    query_html,
    verdict_html,
)
from fluxlab.book.verdicts import verdict
from fluxlab.indexes.catalog import IndexFacts
from fluxlab.indexes.decisions import Case, Thresholds, decide
from fluxlab.indexes.definition import parse_index
from fluxlab.settings import ROOT
from fluxlab.workload.catalogue import load_workload
from tests.test_change import compared, one, sample

INDEX = IndexFacts(
    name="idx_a<b",
    table_name="messages",
    definition="create index on messages (id) where content < '<b>'",
    columns=["id"],
    is_unique=False,
    is_constraint=False,
    is_partial=True,
    size_bytes=16_384,
)

DEFINITION = parse_index("create index idx_c on messages (lower(note)) where note < '<b>'")
KINDS = ("query", "comparison", "verdict", "index", "definition", "decision")


class Balanced(HTMLParser):
    """Collects what opens and has to be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def drawn() -> dict[str, str]:
    query = load_workload(ROOT / "sql" / "queries").find("messages_page_first")
    pair = one(sample(9.0, seed=1), query="a<b"), one(sample(1.0, seed=2), query="a<b")
    case = Case(DEFINITION, is_of_sprint=True, size_bytes=8_192)
    decision = decide(case, {}, Thresholds())
    claim = Claim(id="c", quote="x < y", line=7)
    return {
        "query": query_html(query),
        "comparison": comparison_html(compared([pair[0]], [pair[1]])),
        "verdict": verdict_html(verdict(claim, "refuted", "1 < 2.", expected="3 < 4")),
        "index": index_html(INDEX),
        "definition": definition_html(DEFINITION),
        "decision": decision_html(decision),
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_drawn_is_whole_and_holds_no_script(kind: str) -> None:
    html = drawn()[kind]
    reader = Balanced()
    reader.feed(html)

    assert reader.open == []
    assert "<script" not in html
    assert "<b>" not in html


def test_each_says_what_its_reader_looks_for() -> None:
    html = drawn()

    assert "messages_page_first" in html["query"]
    assert ":conversation_id" in html["query"]
    assert "1 faster" in html["comparison"]
    assert "<td>a&lt;b</td>" in html["comparison"]
    assert "line 7" in html["verdict"]
    assert "Expected 3 &lt; 4. 1 &lt; 2." in html["verdict"]
    assert "16 kB, partial" in html["index"]
    assert "expression, partial" in html["definition"]
    assert "note &lt; &#x27;&lt;b&gt;&#x27;" in html["definition"]
    assert html["definition"] in html["decision"]
