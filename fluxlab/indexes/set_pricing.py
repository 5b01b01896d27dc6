"""Price whole sets of indexes: all writes with everything, and with a set hidden at once.

At once, because a trigger or a foreign key may write to another table, whose indexes are
gone too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fluxlab.indexes import pricing
from fluxlab.indexes.planner import Question
from fluxlab.indexes.price import Price, WriteCost, priced
from fluxlab.progress import Report, Tick
from fluxlab.workload.stats import Speedup

PHASE = "prices of sets"


def price_sets(
    sides: pricing.Sides,
    writes: Mapping[str, Sequence[Question]],
    gin: Mapping[str, Sequence[str]],
    sets: Mapping[str, Collection[str]],
    timed: Collection[str],
    report: Report,
) -> dict[str, Price]:
    """Return what the writes pay for each set; `sets` are what is hidden, by name.

    `writes` and `gin` are by table, `timed` the Queries for which the clock runs. Raises
    FluxlabError as `hiding.hidden` does.
    """
    off_side, on_side = sides
    on: dict[str, WriteCost] = {}
    off: dict[str, dict[str, WriteCost]] = {name: {} for name in sets}
    times: dict[str, dict[str, tuple[Speedup, float]]] = {name: {} for name in sets}
    for done, (table, found) in enumerate(writes.items()):
        report(Tick(PHASE, done, len(writes), table))
        pending = gin.get(table, ())
        on |= pricing.costs_with(on_side, table, found, pending)
        clocked = [one for one in found if one.query.name in timed and one.query.name in on]
        for name, gone in sets.items():
            left = [one for one in pending if one not in gone]
            off[name] |= pricing.costs_without(off_side, table, found, gone, left)
            times[name] |= pricing.times_with(sides, gone, clocked)
    report(Tick(PHASE, len(writes), len(writes)))
    return {
        name: priced(name, tuple(sorted(gone)), on, off[name], times[name])
        for name, gone in sets.items()
    }
