"""Judges of what the report says of index families, one small function per statement."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from fluxlab.book.claims import FamilyClaim
from fluxlab.book.definitions import IndexShape
from fluxlab.book.evidence import Evidence
from fluxlab.book.gains import is_tried, trials_of
from fluxlab.book.judges_practices import judge_partial_faster
from fluxlab.book.phrases import (
    best,
    change_in_words,
    listed,
    noise_wins,
    outcomes,
    plans,
    share,
)
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.workload.change import Change

#: A partial index is significantly smaller when it leaves out at least half the rows.
_HALF = 0.5


def judge_family(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Judge a statement on a family by its topic."""
    return _TOPICS[claim.topic](claim, evidence)


def family_of(shape: IndexShape) -> str:
    """Name the family that the report would put an index in."""
    if shape.method != "btree":
        return shape.method
    if shape.is_composite:
        return "composite"
    return "partial" if shape.is_partial else "single-column B-tree"


def _most_common(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    counts = Counter(family_of(shape) for shape in evidence.new_shapes).most_common()
    name, most = counts[0] if counts else ("none", 0)
    said = ", ".join(f"{count} {family}" for family, count in counts)
    return verdict(
        claim,
        "held" if name == "single-column B-tree" else "refuted",
        f"The sprint added {said}.",
        expected="single-column B-tree first",
        measured=f"{name}, {most} of {len(evidence.new_shapes)}",
    )


def _kinds_present(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    partial = sum(shape.is_partial for shape in evidence.new_shapes)
    composite = sum(shape.is_composite for shape in evidence.new_shapes)
    return verdict(
        claim,
        "held" if partial and composite else "refuted",
        f"Of the {len(evidence.new_shapes)} new indexes {partial} are partial and "
        f"{composite} composite.",
        expected="both kinds",
        measured=f"{partial} partial, {composite} composite",
    )


def _shares(evidence: Evidence) -> dict[str, float]:
    return {
        shape.name: evidence.shares[shape.name]
        for shape in evidence.new_shapes
        if shape.is_partial and shape.name in evidence.shares
    }


def _smaller(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Compare the entries of each partial index with those of a full one: its rows."""
    shares = _shares(evidence)
    large = sorted(
        (name for name in shares if shares[name] > _HALF), key=lambda name: -shares[name]
    )
    word: Word = "held"
    if large:
        word = "fell short" if len(large) <= len(shares) / 2 else "refuted"
    middle = statistics.median(shares.values()) if shares else 0.0
    example = f", `{large[0]}` {share(shares[large[0]])}" if large else ""
    return verdict(
        claim,
        word,
        f"{len(large)} of {len(shares)} partial indexes hold more than half the rows of "
        f"their table{example}; a full index would hold all.",
        expected="at most half the rows each",
        measured=f"{share(middle)} of the rows in the middle",
    )


def _common_subsets(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """A common subset is most of its table: does a plan gain by an index on that?"""
    shares = _shares(evidence)
    common = [name for name, part in shares.items() if part > _HALF]
    return _by_gain(claim, evidence, common, "partial indexes on most of their table")


def _composite(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    names = [shape.name for shape in evidence.new_shapes if shape.is_composite]
    return _by_gain(claim, evidence, names, "new composite indexes")


def _arrays(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    names = [
        shape.name
        for shape in evidence.new_shapes
        if shape.method == "gin" and None not in shape.keys
    ]
    return _by_gain(claim, evidence, names, "new GIN indexes on a column")


def _full_text(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    names = [
        shape.name
        for shape in evidence.new_shapes
        if shape.method == "gin" and None in shape.keys
    ]
    return _by_gain(claim, evidence, names, "new GIN indexes on an expression")


def _by_gain(
    claim: FamilyClaim, evidence: Evidence, names: Sequence[str], what: str
) -> Verdict:
    """*Held* when a faster pair reads each index, *refuted* when none reads any.

    *Unclear* when none does and most of the pairs that read them are unclear. Indexes that
    have been measured by themselves are judged by their own Trials.
    """
    is_alone = is_tried(evidence, names)

    def looks(of: Sequence[str]) -> Sequence[Change]:
        return trials_of(evidence, of) if is_alone else evidence.readers(of)

    gains = {name: gained for name in names if (gained := best(looks([name]))) is not None}
    readers = looks(names)
    word: Word = "fell short"
    if not gains:
        word = "unclear" if noise_wins(readers) else "refuted"
    if names and len(gains) == len(names):
        word = "held"
    text = f"{len(gains)} of {len(names)} {what} are read by a pair that became faster"
    if is_alone:
        text = f"{len(gains)} of {len(names)} {what} make a pair faster than without them"
    top = best(gains.values())
    if top is not None:
        text += f"; most {change_in_words(top)}, {plans(top, evidence.old_indexes, names)}"
    if idle := [name for name in names if name not in gains]:
        text += f". Of those that read {listed(idle)} none did"
    return verdict(
        claim,
        word,
        f"{text}.",
        expected="each read by a pair that became faster",
        measured=f"{len(gains)} of {len(names)}; {len(readers)} pairs read them: "
        f"{outcomes(readers)}",
    )


def _selective_first(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Look whether the sprint's own composites begin with their most selective column."""
    composites = [
        shape
        for shape in evidence.new_shapes
        if shape.is_composite
        and all((shape.table, key) in evidence.distinct_values for key in shape.keys)
    ]
    odd = [
        shape for shape in composites if _most_selective(shape, evidence) != shape.keys[0]
    ]
    word: Word = "held" if not odd else "fell short"
    if composites and len(odd) == len(composites):
        word = "refuted"
    example = ""
    if odd:
        shape, key = odd[0], _most_selective(odd[0], evidence)
        counts = [
            f"{evidence.distinct_values[shape.table, str(name)]:,.0f} in `{name}`"
            for name in (shape.keys[0], key)
        ]
        example = f": `{shape.name}` has about {' and '.join(counts)}"
    return verdict(
        claim,
        word,
        f"{len(composites) - len(odd)} of {len(composites)} new composite indexes begin "
        f"with the column of most distinct values{example}.",
        expected="most selective column first",
        measured=f"{len(composites) - len(odd)} of {len(composites)}",
    )


def _most_selective(shape: IndexShape, evidence: Evidence) -> str | None:
    return max(shape.keys, key=lambda key: evidence.distinct_values[shape.table, str(key)])


def _descending(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Look for a descending order that an ascending index served before the sprint.

    A B-tree is read in both directions; the direction of a key matters only beside
    another key of the other direction. Source: manual, "Indexes and ORDER BY".
    """
    new = [shape for shape in evidence.new_shapes if any(shape.is_descending)]
    single = [shape for shape in new if not shape.is_composite]
    expected = "an order that only they serve"
    measured = f"{len(single)} of {len(new)} have one key"
    found = _served_backwards(evidence)
    if found is None:
        return verdict(
            claim,
            "not measured yet",
            "No plan of this run reads an ascending index backwards to sort descending.",
            expected=expected,
            measured=measured,
        )
    change, index = found
    return verdict(
        claim,
        "refuted",
        f"Before the sprint the ascending `{index}` served `{change.query}` "
        f"({change.of_class}), which sorts descending, without a Sort; of the {len(new)} "
        f"descending indexes {len(single)} have one key and are such an index read from "
        "its other end.",
        expected=expected,
        measured=measured,
    )


def _served_backwards(evidence: Evidence) -> tuple[Change, str] | None:
    ascending = {
        index.name: index.columns[0]
        for index in evidence.before.indexes
        if len(index.columns) == 1 and " DESC" not in index.definition
    }
    for change in evidence.comparison:
        statement = evidence.workload[change.query].statement.lower()
        kinds = {node.kind for node in change.before.plan.walk()}
        if kinds & {"Sort", "Incremental Sort"}:
            continue
        for name in change.before.plan.indexes:
            column = ascending.get(name)
            if column and statement.rstrip(" ;\n").find(f"{column} desc") > 0:
                return change, name
    return None


def _fields(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Weigh the columns that reads are asked by; covered are those that lead an index."""
    weights: dict[tuple[str, str], float] = {}
    for query in evidence.workload.values():
        if not query.is_write:
            for parameter in query.parameters:
                if parameter.column:
                    seen = weights.get(parameter.column, 0.0)
                    weights[parameter.column] = seen + query.weight
    leading = {(shape.table, shape.keys[0]) for shape in evidence.shapes.values()}
    bare = [
        column
        for column in sorted(weights, key=lambda column: -weights[column])
        if column not in leading
    ]
    covered = 1 - sum(weights[column] for column in bare) / max(sum(weights.values()), 1e-9)
    names = listed(f"{table}.{column}" for table, column in bare)
    return verdict(
        claim,
        "fell short" if bare else "held",
        f"{len(weights) - len(bare)} of the {len(weights)} columns whose values reads are "
        f"asked with lead an index"
        + (f"; the most frequent without one: {names}." if bare else "."),
        expected="every such column",
        measured=f"{share(covered)} of them by weight",
    )


def _index_only(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Ask the pairs that got an Index Only Scan: by one index where that is measured."""
    names = [shape.name for shape in evidence.new_shapes]
    looks: Sequence[Change] = [one for one in evidence.comparison if one.has_new_plan]
    if is_alone := is_tried(evidence, names):
        looks = trials_of(evidence, names)
    readers = [
        change
        for change in looks
        if any(
            node.kind == "Index Only Scan" and (not is_alone or node.index in names)
            for node in change.after.plan.walk()
        )
    ]
    top = best(readers)
    whose = (
        "that get an Index Only Scan by one new index"
        if is_alone
        else ("with a new plan that has an Index Only Scan")
    )
    return verdict(
        claim,
        "held" if top else "refuted",
        f"Of {len(readers)} pairs {whose}: {outcomes(readers)}"
        + (
            f"; most {change_in_words(top)}, {plans(top, evidence.old_indexes)}."
            if top
            else "."
        ),
        expected="some pair faster",
        measured=outcomes(readers),
    )


_TOPICS: Mapping[str, Callable[[FamilyClaim, Evidence], Verdict]] = {
    "arrays": _arrays,
    "common subsets": _common_subsets,
    "composite": _composite,
    "descending": _descending,
    "faster": judge_partial_faster,
    "fields": _fields,
    "full text": _full_text,
    "index only": _index_only,
    "kinds present": _kinds_present,
    "most common": _most_common,
    "selective first": _selective_first,
    "smaller": _smaller,
    "subset": _smaller,
}
