"""Judges of what the catalog and the migration's text decide, without a clock."""

from __future__ import annotations

from fluxlab.book.claims import (
    AuditClaim,
    CountClaim,
    DefinitionClaim,
    ExampleClaim,
    MigrationClaim,
)
from fluxlab.book.definitions import read_shape
from fluxlab.book.evidence import Evidence
from fluxlab.book.judges_practices import judge_one_string
from fluxlab.book.phrases import listed
from fluxlab.book.verdicts import Verdict, Word, verdict


def judge_count(claim: CountClaim, evidence: Evidence) -> Verdict:
    """Compare a count with the catalog's; the report's analysed queries left no list."""
    expected = f"{claim.number} {claim.things} or more"
    if claim.things == "queries":
        found = len(evidence.workload)
        return verdict(
            claim,
            "not testable",
            f"The report lists none of them; the workload rebuilt from it has {found}.",
            expected=expected,
        )
    if claim.things == "tables":
        expected, found = f"{claim.number} tables", len(evidence.after.tables)
        is_held = found == claim.number
        reason = f"The catalog has {found} tables."
    else:
        found, stood = len(evidence.new_shapes), len(evidence.old_indexes)
        is_held = found >= claim.number
        reason = f"{stood} indexes, constraints included, became {stood + found}."
    word: Word = "held" if is_held else "fell short"
    return verdict(
        claim, word, reason, expected=expected, measured=f"{found} {claim.things}"
    )


def judge_audited(claim: AuditClaim, evidence: Evidence) -> Verdict:
    """Count the columns in index keys: fewer than claimed fall short, more do not."""
    columns = evidence.after.indexed_columns(claim.table)
    added = columns - evidence.before.indexed_columns(claim.table)
    old = len(columns) - len(added)
    word: Word = "held" if len(columns) >= claim.columns else "fell short"
    over = len(columns) - claim.columns
    compared = "exactly as many" if not over else f"{abs(over)} {_more(over)} than counted"
    return verdict(
        claim,
        word,
        f"{len(columns)} columns stand in an index key, {compared}; {old} of them did "
        "before the sprint.",
        expected=f"{claim.columns} columns",
        measured=f"{len(columns)} columns",
    )


def _more(difference: int) -> str:
    return "more" if difference > 0 else "fewer"


def judge_example(claim: ExampleClaim, evidence: Evidence) -> Verdict:
    """An example of what the sprint implemented falls short when it stood before."""
    shape = evidence.shapes.get(claim.index)
    if shape is None:
        return verdict(
            claim, "refuted", f"There is no index `{claim.index}`.", expected=claim.index
        )
    is_old = claim.index in evidence.old_indexes
    return verdict(
        claim,
        "fell short" if is_old else "held",
        f"`{claim.index}` on {shape.short}"
        + (" stood before the sprint." if is_old else " is new."),
        expected=f"`{claim.index}`, new",
        measured="stood before" if is_old else "new",
    )


def judge_definition(claim: DefinitionClaim, evidence: Evidence) -> Verdict:
    """Compare the statement shown with the index of that name, both parsed."""
    shown = read_shape(claim.quote)
    found = evidence.shapes.get(shown.name)
    if found is None:
        return verdict(
            claim,
            "refuted",
            f"There is no index `{shown.name}`.",
            expected=shown.short,
            measured="no such index",
        )
    is_equal = found.canonical == shown.canonical
    since = "stood before the sprint" if shown.name in evidence.old_indexes else "is new"
    reason = (
        f"The catalog has the same definition; the index {since}."
        if is_equal
        else f"The index of this name is on {found.short} and {since}."
    )
    return verdict(
        claim,
        "held" if is_equal else "refuted",
        reason,
        expected=shown.short,
        measured=found.short,
    )


def judge_migration(claim: MigrationClaim, evidence: Evidence) -> Verdict:
    """Read the migration: without CONCURRENTLY each build blocks every write to its table.

    CREATE INDEX takes a SHARE lock on the table. Source: manual, "Building Indexes
    Concurrently" and "Table-Level Locks".
    """
    if claim.topic == "one string":
        return judge_one_string(claim, evidence)
    made = [read_shape(statement) for statement in evidence.migration]
    if claim.topic == "one by one":
        missing = [shape.name for shape in made if shape.name not in evidence.shapes]
        return verdict(
            claim,
            "refuted" if missing else "held",
            f"After the file ran statement by statement, {listed(missing)} are missing."
            if missing
            else f"The file ran statement by statement, as psql does, and all {len(made)} "
            "indexes are there.",
            expected=f"{len(made)} indexes",
            measured=f"{len(made) - len(missing)} indexes",
        )
    concurrent = sum(shape.is_concurrent for shape in made)
    blocking = [shape.table for shape in made if not shape.is_concurrent]
    tables = sorted(set(blocking), key=lambda table: (-blocking.count(table), table))
    return verdict(
        claim,
        "held" if not blocking else "fell short" if concurrent else "refuted",
        f"{len(blocking)} of {len(made)} statements build without CONCURRENTLY and block "
        f"the writes to their table meanwhile: {listed(tables)}.",
        expected="built concurrently",
        measured=f"{concurrent} of {len(made)} are",
    )
