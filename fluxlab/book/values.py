"""How our values show themselves in a notebook: a few lines of HTML each, no script."""

from __future__ import annotations

from html import escape

from fluxlab.book.verdicts import Verdict
from fluxlab.indexes.catalog import IndexFacts
from fluxlab.indexes.decisions import Decision
from fluxlab.indexes.definition import IndexDef
from fluxlab.workload.compare import Comparison
from fluxlab.workload.query import Query
from fluxlab.workload.sample import show_median

_LARGEST = 10


def query_html(query: Query) -> str:
    """Return what a Query is for, its tables and parameters, and its SQL."""
    kind = "writes" if query.is_write else "reads"
    drawn = ", ".join(f":{name}" for name in query.names)
    facts = f"{query.area}, {kind} {', '.join(query.tables)}"
    parameters = f"; parameters {drawn}" if drawn else ""
    return (
        f"<p><strong>{escape(query.name)}</strong> — {escape(query.what)}<br>"
        f"<small>{escape(facts + parameters)}</small></p>"
        f"<pre><code>{escape(query.sql)}</code></pre>"
    )


def comparison_html(comparison: Comparison) -> str:
    """Return how the words fall, and the largest clear Changes as a table."""
    words = ", ".join(
        f"{len(comparison.of(word)):,} {word}"
        for word in ("faster", "slower", "same", "unclear")
    )
    shown = comparison.largest[:_LARGEST]
    rows = "".join(
        f"<tr><td>{escape(one.query)}</td><td>{escape(one.of_class)}</td>"
        f"<td>{escape(show_median(one.before.sample))}</td>"
        f"<td>{escape(show_median(one.after.sample))}</td>"
        f"<td>{escape(one.sentence)}</td></tr>"
        for one in shown
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("query", "class", "before", "after", "change")
    )
    caption = f"The {len(shown)} largest clear changes, one per query."
    table = (
        f'<table class="dataframe"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if shown
        else ""
    )
    return f"<p>{len(comparison):,} pairs of query and class: {words}.</p>{table}"


def verdict_html(verdict: Verdict) -> str:
    """Return the quote with its line, the word, and the reason."""
    measured = f", measured {verdict.measured}" if verdict.measured else ""
    expected = f"Expected {verdict.expected}{measured}. " if verdict.expected else ""
    return (
        f"<blockquote>{escape(verdict.claim.quote)} "
        f"<small>(line {verdict.claim.line})</small></blockquote>"
        f"<p><strong>{escape(verdict.word)}</strong> — "
        f"{escape(expected + verdict.reason)}</p>"
    )


def index_html(index: IndexFacts) -> str:
    """Return an index with its definition and size."""
    words = [f"{index.size_bytes / 1024:,.0f} kB"]
    words += ["unique"] * index.is_unique + ["of a constraint"] * index.is_constraint
    words += ["partial"] * index.is_partial
    return (
        f"<p><strong>{escape(index.name)}</strong> on {escape(index.table_name)} "
        f"<small>({', '.join(words)})</small></p>"
        f"<pre><code>{escape(index.definition)};</code></pre>"
    )


def definition_html(index: IndexDef) -> str:
    """Return what an index definition is called, its families, and its DDL."""
    return (
        f"<p><strong>{escape(index.name)}</strong> on {escape(index.table)} "
        f"<small>({', '.join(index.families)})</small></p>"
        f"<pre><code>{escape(index.ddl())};</code></pre>"
    )


def decision_html(decision: Decision) -> str:
    """Return the word on an index, the reason, and its definition."""
    return (
        f"<p><strong>{escape(decision.word)}</strong> — {escape(decision.reason)}</p>"
        f"{definition_html(decision.index)}"
    )
