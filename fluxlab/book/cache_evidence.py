"""What is known of the report's cache and of ours: replays, experiments and checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from fluxlab.caching.checks import checked
from fluxlab.caching.checks.checked import Checks
from fluxlab.caching.experiments import found
from fluxlab.caching.experiments.found import Experiments
from fluxlab.caching.results import LayerName, Replay, ResourceCount
from fluxlab.workload.notes import Facts, Notes

#: The kinds of the notes.
REPLAY, EXPERIMENTS, CHECKS = "cache replay", "cache experiments", "cache checks"


@dataclass(frozen=True, slots=True)
class CacheEvidence:
    """What judges of the cache read; each part None, or empty, where nobody measured it."""

    replays: tuple[Replay, ...] = ()
    experiments: Experiments | None = None
    checks: Checks | None = None

    def replay(self, layer: LayerName) -> Replay | None:
        """Return the longest replay of a layer; open arrivals before closed ones."""
        of_layer = [one for one in self.replays if one.layer == layer]
        return max(
            of_layer, key=lambda one: (one.arrivals == "open", one.window_s), default=None
        )


def write_replay(notes: Notes, subject: str, replay: Replay) -> None:
    """Keep a replay; an earlier one of the same subject is replaced."""
    counts = {name: asdict(one) for name, one in replay.resources.items()}
    facts = {**asdict(replace(replay, resources={})), "resources": counts}
    notes.write(REPLAY, subject, facts)


def write_experiments(notes: Notes, experiments: Experiments) -> None:
    """Keep the experiments."""
    notes.write(EXPERIMENTS, "all", found.facts_of(experiments))


def write_checks(notes: Notes, checks: Checks) -> None:
    """Keep the checks."""
    notes.write(CHECKS, "all", checked.facts_of(checks))


def read_cache(notes: Notes) -> CacheEvidence:
    """Return what the notes have."""
    experiments = notes.read(EXPERIMENTS).get("all")
    checks = notes.read(CHECKS).get("all")
    return CacheEvidence(
        replays=tuple(_replay(one) for one in notes.read(REPLAY).values()),
        experiments=found.experiments_of(experiments) if experiments else None,
        checks=checked.checks_of(checks) if checks else None,
    )


def _replay(facts: Facts) -> Replay:
    counts = {
        name: found.rebuilt(ResourceCount, one) for name, one in facts["resources"].items()
    }
    made = found.rebuilt(Replay, {**facts, "resources": {}})
    return replace(made, resources=counts)
