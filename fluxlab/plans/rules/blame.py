"""Which terms of a filter throw the rows away: EXPLAIN counts them for all terms at once.

What a plan leaves open, the statistics of the columns may settle. A test of a column that
is nearly always null cannot be what throws nine rows of ten away, and a column of many
values can. Where neither is known, the rules promise less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from fluxlab.plans.findings import Confidence
from fluxlab.plans.rules.expressions import FIXED, RANGES, Term
from fluxlab.plans.rules.filters import column_of, distinct_values, is_common
from fluxlab.plans.rules.index_scans import addable, terms_in
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.surroundings import KnownTable

#: Terms that throw away less than this part of what is thrown away are not the reason.
LEAST_PART = 0.5
#: What the planner supposes of a range of which it knows nothing; DEFAULT_INEQ_SEL.
RANGE_KEEPS = 1 / 3
#: What we suppose of a comparison with a value that is common or unknown.
VALUE_KEEPS = 0.5


@dataclass(frozen=True, slots=True)
class Blame:
    """The terms that throw rows away, and which of them an ordinary index can test.

    `share` of the rows that the scan found is the most that the rules may promise.
    """

    terms: tuple[Term, ...]
    added: tuple[Term, ...]
    share: float
    confidence: Confidence

    @property
    def columns(self) -> str:
        """The columns in the terms; empty where all of it is about other tables."""
        names = (name for term in self.terms for name in term.columns)
        return ", ".join(dict.fromkeys(names))


def blamed(seen: Seen) -> Blame:
    """Return what throws rows away at a scan of an index, as far as anybody can tell."""
    node, table = seen.node, seen.table
    terms, added = terms_in(seen, "Filter"), tuple(addable(seen))
    others = tuple(term for term in terms if term not in added)
    share = node.rows_removed / max(1, node.rows_read)
    known: Confidence = "sure" if table else "likely"
    if not added or not others:
        return Blame(terms, added, share, known)
    (most, is_told), (others_most, others_told) = _most(table, added), _most(table, others)
    if others_told and others_most < LEAST_PART * share:
        return Blame(added, added, share, "likely")
    if is_told and most < LEAST_PART * share:
        return Blame(others, (), share, "likely")
    if is_told:
        return Blame(added, added, min(share, most), "likely")
    if all(term.operator in FIXED for term in added):
        # `deleted_at is null` beside something else is seldom what finds few rows.
        return Blame(others, (), share, "possible")
    return Blame(terms, added, min(share, most), "possible")


def _most(table: KnownTable | None, terms: Iterable[Term]) -> tuple[float, bool]:
    """Return the share of rows that terms throw away, and whether statistics say so."""
    told = [_kept(table, term) for term in terms]
    return 1 - prod(kept for kept, _ in told), all(is_told for _, is_told in told)


def _kept(table: KnownTable | None, term: Term) -> tuple[float, bool]:
    """Return the share of a table's rows that a term keeps, and whether it is told."""
    column = column_of(table, term)
    nulls = column.null_share if column else None
    if nulls is not None and term.operator in ("is null", "is not null"):
        return (nulls if term.operator == "is null" else 1 - nulls), True
    if term.operator in RANGES:
        return RANGE_KEEPS, False
    # What is common among a few values may have nearly all rows, or nearly none.
    distinct = distinct_values(table, term)
    if distinct is None or is_common(distinct):
        return VALUE_KEEPS, False
    equal = (1 - (nulls or 0.0)) / distinct
    if term.operator == "=":
        return equal, True
    return (1 - equal - (nulls or 0.0), True) if term.operator == "<>" else (VALUE_KEEPS, False)


def as_range(terms: Sequence[Term]) -> str:
    """Return how an OR that only excuses a missing value is written as one comparison.

    >>> from fluxlab.plans.rules.expressions import terms_of
    >>> as_range(terms_of("((r.seen_at IS NULL) OR (t.made_at > r.seen_at))", "t"))
    "made_at > coalesce(r.seen_at, '-infinity')"
    """
    for term in terms:
        own = [one for arm in term.arms for one in arm if one.columns]
        excuses = [one for arm in term.arms for one in arm if not one.columns]
        is_range = len(own) == 1 and own[0].operator in RANGES and own[0].column
        if len(term.arms) == 2 and len(excuses) == 1 and is_range:
            value = excuses[0].text.lower().removesuffix(" is null")
            if value != excuses[0].text.lower():
                least = "-infinity" if own[0].operator.startswith(">") else "infinity"
                return f"{own[0].column} {own[0].operator} coalesce({value}, '{least}')"
    return ""
