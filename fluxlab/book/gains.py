"""What an index gains by itself: the Trials with it and without it, as judges read them.

A Comparison of the whole sprint cannot tell which of 90 indexes made a pair faster, nor
whether one that is read is any better than what was read before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fluxlab.book.evidence import Evidence
from fluxlab.indexes.trials import Kind
from fluxlab.workload.change import Change

#: Taken from all others first: that is how the index would be missed.
KINDS: tuple[Kind, ...] = ("without", "alone", "ladder")


def is_tried(evidence: Evidence, names: Iterable[str]) -> bool:
    """Whether each of these indexes has been measured by itself."""
    if evidence.indexes is None:
        return False
    tried = {name for kind in KINDS for name in evidence.indexes.trials.get(kind, {})}
    return all(name in tried for name in names)


def trials_of(
    evidence: Evidence,
    names: Iterable[str],
    queries: Collection[str] | None = None,
    kinds: Iterable[Kind] = KINDS,
) -> tuple[Change, ...]:
    """Return the Changes that these indexes make, each once; *after* is with the index.

    Only those in which the index itself is read, of some Queries or of all.
    """
    found: dict[str, Change] = {}
    if evidence.indexes is None:
        return ()
    wanted = tuple(names)
    for kind in kinds:
        trials = evidence.indexes.trials.get(kind, {})
        for name in wanted:
            for switch in trials[name].switches if name in trials else ():
                change = evidence.indexes.changes.get(switch)
                if (
                    change is not None
                    and name in change.after.plan.indexes
                    and (queries is None or change.query in queries)
                ):
                    found[switch] = change
    return tuple(found.values())
