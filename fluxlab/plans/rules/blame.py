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
from fluxlab.plans.rules.filters import LEAST_DISTINCT, column_of, distinct_values
from fluxlab.plans.rules.index_scans import addable, terms_in
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.surroundings import KnownTable

#: Terms that throw away less than this part of what is thrown away are not the reason.
LEAST_PART = 0.5
#: What the planner supposes of a range of which it knows nothing; DEFAULT_INEQ_SEL.
RANGE_KEEPS = 1 / 3
#: What we suppose of a comparison with a value that is common or unknown.
VALUE_KEEPS = 0.5


_ADDED = (
    "Try an index that also has {names} as a key, or only the rows that pass, where the "
    "test is always the same. INCLUDE does not help: included columns find no rows. Not "
    "where the throwing away is quick and writes are many."
)
_NOT_ADDED = (
    "As it is written no ordinary index can test {names}: a pattern, a function, an OR or "
    "a search inside values needs an index made for it (an expression, trigrams, GIN), or "
    "another test that leaves fewer rows first. A key or INCLUDE more does not help."
)
_UNCLEAR = (
    "The plan does not say which of {names} throws the rows away: count the rows that each "
    "keeps. Where it is {added}, try an index that has it as a key as well; for the rest "
    "no ordinary index can help. INCLUDE does not help: included columns find no rows."
)
_AS_RANGE = " Written as one comparison, {range}, it is a range that a key can find."


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
    def on_columns(self) -> str:
        """The columns in the terms, behind "on"; empty where no column is in them."""
        return f" on {_named(self.terms)}" if _named(self.terms) else ""

    @property
    def advice(self) -> str:
        """What to try, and what does not help."""
        names = _named(self.terms) or "it"
        if not self.added:
            range_ = as_range(self.terms)
            rewritten = _AS_RANGE.format(range=range_) if range_ else ""
            return _NOT_ADDED.format(names=names) + rewritten
        if self.added == self.terms:
            return _ADDED.format(names=names)
        return _UNCLEAR.format(names=names, added=_named(self.added, " or "))


def blamed(seen: Seen, share: float) -> Blame:
    """Return what throws away this share of the rows that the scan of an index found."""
    table, added = seen.table, tuple(addable(seen))
    terms = terms_in(seen, "Filter")
    others = tuple(term for term in terms if term not in added)
    if not added or not others:
        return Blame(added or terms, added, share, "sure" if table else "likely")
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


def _named(terms: Iterable[Term], between: str = ", ") -> str:
    return between.join(dict.fromkeys(name for one in terms for name in one.columns))


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
    if distinct is None or distinct < LEAST_DISTINCT:
        return VALUE_KEEPS, False
    filled = 1 - (nulls or 0.0)
    kept = {"=": filled / distinct, "<>": filled - filled / distinct}
    return kept.get(term.operator, VALUE_KEEPS), term.operator in kept


def as_range(terms: Sequence[Term]) -> str:
    """Return an OR that only excuses a missing value as one comparison, else nothing.

    >>> from fluxlab.plans.rules.expressions import terms_of
    >>> as_range(terms_of("((r.seen_at IS NULL) OR (t.made_at > r.seen_at))", "t"))
    'made_at > coalesce(r.seen_at, …)'
    """
    for term in terms:
        if len(term.arms) != 2 or any(len(arm) != 1 for arm in term.arms):
            continue
        excuse, range_ = sorted((arm[0] for arm in term.arms), key=lambda one: one.columns)
        value = excuse.text.removesuffix(" IS NULL")
        is_excused = not excuse.columns and value != excuse.text and value in range_.text
        if is_excused and range_.column and range_.operator in RANGES:
            return f"{range_.column} {range_.operator} coalesce({value}, …)"
    return ""
