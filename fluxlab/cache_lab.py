"""The CacheLab: what was measured of the cache, read from the results store.

`cache_measuring` measures it; this only reads. Rates come from the Population, for which
the database is asked once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from fluxlab.book.cache_evidence import CacheEvidence, read_cache
from fluxlab.caching.checks.checked import Checks
from fluxlab.caching.experiments.found import Experiments
from fluxlab.caching.replays.census import read_population
from fluxlab.caching.replays.mix import Mix, make_mix
from fluxlab.caching.replays.population import Floats, Population
from fluxlab.caching.replays.rates import KeyRates, key_rates
from fluxlab.caching.replays.traffic import Demand, Traffic
from fluxlab.caching.results import Arrivals, LayerName, Replay, ResourceCount
from fluxlab.errors import FluxlabError
from fluxlab.workload.notes import Notes

if TYPE_CHECKING:
    from fluxlab.lab import Lab


#: Changes when the code that is measured or measures does, so that it is done again.
VERSION = 2
#: The state whose database is replayed on.
STATE = "sprint11"


def open_notes(lab: Lab) -> Notes:
    """Open what is kept of the cache with this data set on this server."""
    state = lab.state(STATE)
    statements = sorted(one.fingerprint for one in lab.workload.values())
    parts = ("cache", str(VERSION), state.dataset, state.server, *statements)
    world = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return Notes(lab.settings.results_path, world)


class CacheLab:
    """Every replay, the experiments and the checks of the cache."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @cached_property
    def evidence(self) -> CacheEvidence:
        """What the notes have; each part empty where nobody measured it."""
        notes = open_notes(self._lab)
        try:
            return read_cache(notes)
        finally:
            notes.close()

    @property
    def all_replays(self) -> tuple[Replay, ...]:
        """Every replay, those with other users and seeds included."""
        return self.evidence.replays

    @cached_property
    def replays(self) -> Mapping[tuple[LayerName, Arrivals], Replay]:
        """The longest replay of each layer and kind of arrivals."""
        found: dict[tuple[LayerName, Arrivals], Replay] = {}
        for one in sorted(self.all_replays, key=lambda one: one.window_s):
            found[one.layer, one.arrivals] = one
        return found

    def replay(self, layer: LayerName = "fluxlab", arrivals: Arrivals = "open") -> Replay:
        """Return the replay of a layer. Raises FluxlabError when there is none."""
        if found := self.replays.get((layer, arrivals)):
            return found
        budget = "" if arrivals == "open" else " BUDGET=standard"
        raise self._unmeasured(
            f"The users have not been replayed against {layer} with {arrivals} arrivals",
            budget,
        )

    @cached_property
    def experiments(self) -> Experiments:
        """The three experiments and their details."""
        if found := self.evidence.experiments:
            return found
        raise self._unmeasured("The experiments with the cache have not been run")

    @cached_property
    def checks(self) -> Checks:
        """What the small checks found."""
        if found := self.evidence.checks:
            return found
        raise self._unmeasured("The checks of the cache have not been run")

    def _unmeasured(self, what: str, budget: str = "") -> FluxlabError:
        size = self._lab.settings.size
        return FluxlabError(f"{what}.", f"`make run SIZE={size}{budget}` does it.")

    def table(
        self, layer: LayerName = "fluxlab", arrivals: Arrivals = "open"
    ) -> pd.DataFrame:
        """Return one row per key pattern: reads, hit rate, its prediction, loads, stale."""
        rows = []
        for one in self.replay(layer, arrivals).resources.values():
            band = one.predicted
            is_inside = band is None or band.low <= one.hit_rate <= band.high
            rows.append(
                {
                    "pattern": one.pattern,
                    "query": one.query,
                    "ttl_s": one.ttl_s,
                    "keys": one.keys,
                    "reads": one.reads,
                    "hit_rate": one.hit_rate,
                    "predicted": band.hit_rate if band else None,
                    "low": band.low if band else None,
                    "high": band.high if band else None,
                    "is_in_band": is_inside,
                    "drawn_hit_rate": one.drawn_hit_rate,
                    "loads": one.loads,
                    "statements": one.statements,
                    "avoided": one.avoided,
                    "invalidations": one.invalidations,
                    "checked": one.checked,
                    "stale": one.stale,
                    "size_bytes": one.size_bytes,
                }
            )
        return pd.DataFrame(rows).set_index("pattern")

    def reasons(
        self, layer: LayerName = "fluxlab", arrivals: Arrivals = "open"
    ) -> Mapping[str, str]:
        """Return why a hit rate is outside its band, by pattern; empty where none is."""
        found = self.replay(layer, arrivals)
        return {
            pattern: reason
            for pattern, one in found.resources.items()
            if (reason := why_outside(one))
        }

    @cached_property
    def people(self) -> Population:
        """The users of the data set, as they were before any replay."""
        with self._lab.connection(STATE) as connection:
            return read_population(connection, self._lab.dataset.now)

    @cached_property
    def mix(self) -> Mix:
        """What users ask for, and how often."""
        return make_mix(self._lab.workload)

    @cached_property
    def traffic(self) -> Traffic:
        """The traffic of our replay: its users, its seed."""
        found = self.replay()
        return Traffic(self.people, self.mix, Demand(found.users), found.seed)

    @cached_property
    def _rates(self) -> Mapping[str, KeyRates]:
        return key_rates(self.traffic)

    def rates(self, pattern: str) -> tuple[Floats, Floats]:
        """Return reads and invalidations of each key, per second of the application."""
        if pattern not in self._rates:
            raise FluxlabError(
                f"No key of the replay has the pattern {pattern!r}.",
                f"Use one of {', '.join(self._rates)}.",
            )
        found = self._rates[pattern]
        return found.reads, found.invalidations


def why_outside(one: ResourceCount) -> str:
    """Return why a measured hit rate is outside its predicted band; empty when it is not.

    The same events, played through a dictionary, tell the users' habits from faults of the
    cache: what a dictionary shows too is no fault.
    """
    band = one.predicted
    asked = one.hits + one.misses
    if band is None or not asked or band.low <= one.hit_rate <= band.high:
        return ""
    if one.drawn_hit_rate is None:
        return (
            "with closed arrivals a user asks when the last answer came, not when theory"
            " would have it, and there is no dictionary to compare with"
        )
    spread = 2 * math.sqrt(max(0.25 / asked, one.hit_rate * (1 - one.hit_rate) / asked))
    if abs(one.hit_rate - one.drawn_hit_rate) > spread:
        return (
            f"unclear: a dictionary without faults gives {one.drawn_hit_rate:.2f} for the"
            " same events"
        )
    same = f"a dictionary without faults gives {one.drawn_hit_rate:.2f} for the same events"
    if one.hit_rate > band.high:
        return (
            f"{same}: users come in sessions and read in bursts, and theory spreads reads"
            " evenly"
        )
    return (
        f"{same}: it is this window. One band in twenty is left by chance, and more are"
        " where whole sessions come or stay away, which theory does not know"
    )
