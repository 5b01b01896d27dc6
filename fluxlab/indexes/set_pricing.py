"""Price whole sets of indexes: all writes with everything, and with a set hidden at once.

At once, because a trigger or a foreign key may write to another table, whose indexes are
gone too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from fluxlab.indexes import pricing
from fluxlab.indexes.planner import Key, Question
from fluxlab.indexes.price import Price, WriteCost, priced
from fluxlab.progress import Report, Tick
from fluxlab.workload.notes import Facts
from fluxlab.workload.stats import Speedup

PHASE = "prices of sets"
#: Of a normal distribution 95 % lie within so many standard errors.
_REACH = 1.96


@dataclass(frozen=True, slots=True)
class WriteTimes:
    """What writes take with some indexes and without: time with ÷ without, and without.

    `names` are the indexes, the times are in ms and by pair.
    """

    names: frozenset[str]
    pairs: Mapping[Key, tuple[Speedup, float]]

    @property
    def facts(self) -> Facts:
        """What a note of it says; `read_times` is the inverse."""
        pairs = [[*key, asdict(one), ms] for key, (one, ms) in self.pairs.items()]
        return {"names": sorted(self.names), "pairs": pairs}

    def spared_ms(self, weights: Mapping[Key, float]) -> tuple[float, float]:
        """Return what 1,000 requests take less without the indexes, and how sure that is.

        The second is half of a 95 % interval. Single writes are within the noise, their
        sum need not be: errors of many that know nothing of each other cancel out.
        """
        spared = variance = 0.0
        for key, (slowdown, off_ms) in self.pairs.items():
            off = weights.get(key, 0.0) * off_ms
            spared += off * (slowdown.ratio - 1)
            if math.isfinite(slowdown.error):
                variance += (off * slowdown.ratio * slowdown.error) ** 2
        return spared, _REACH * math.sqrt(variance)


def read_times(facts: Facts) -> WriteTimes:
    """Return the times that a note is about."""
    pairs = {
        (query, parameters): (Speedup(**slowdown), off_ms)
        for query, parameters, slowdown, off_ms in facts["pairs"]
    }
    return WriteTimes(frozenset(facts["names"]), pairs)


def price_sets(
    sides: pricing.Sides,
    writes: Mapping[str, Sequence[Question]],
    gin: Mapping[str, Sequence[str]],
    sets: Mapping[str, Collection[str]],
    report: Report,
) -> dict[str, Price]:
    """Return what the writes pay for each set; `sets` are what is hidden, by name.

    `writes` and `gin` are by table. Raises FluxlabError as `hiding.hidden` does.
    """
    off_side, on_side = sides
    on: dict[str, WriteCost] = {}
    off: dict[str, dict[str, WriteCost]] = {name: {} for name in sets}
    for done, (table, found) in enumerate(writes.items()):
        report(Tick(PHASE, done, len(writes), table))
        pending = gin.get(table, ())
        on |= pricing.costs_with(on_side, table, found, pending)
        for name, gone in sets.items():
            left = [one for one in pending if one not in gone]
            off[name] |= pricing.costs_without(off_side, table, found, gone, left)
    report(Tick(PHASE, len(writes), len(writes)))
    return {
        name: priced(name, tuple(sorted(gone)), on, off[name], {})
        for name, gone in sets.items()
    }


def time_set(
    sides: pricing.Sides, writes: Sequence[Question], gone: Collection[str]
) -> WriteTimes:
    """Time every write with all indexes, and with a set gone."""
    return WriteTimes(frozenset(gone), pricing.times_with(sides, gone, writes))
