"""What a set of indexes gives and costs as a whole, in 1,000 requests.

Two sets are measured pair by pair: the base and all. The kept set is all, with what the
last Trial of the settlement found: of each read whose plan changes once the others are
gone, what it takes longer, or less long, where the clock is sure. Its writes were timed
with the others hidden from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from fluxlab.indexes.contribution import Contribution, Effect
from fluxlab.indexes.planner import Key
from fluxlab.indexes.price import WriteCost
from fluxlab.workload.store import Measurement


@dataclass(frozen=True, slots=True)
class Log:
    """What the writes of 1,000 requests leave in the log, and the share of HOT updates."""

    wal_bytes: float
    hot_share: float


@dataclass(frozen=True, slots=True)
class Totals:
    """What a set of indexes gives and costs, per 1,000 requests to the application.

    `read_ms` and `read_blocks` are of reads, `write_ms`, `wal_bytes` and `hot_share` of
    writes. `write_error_ms` is half a 95 % interval where the writes are told by what
    is spared. `index_bytes` is the size of these indexes, those of constraints left out.
    Of `cut_off` pairs only a bound is known: times and blocks are at least so much.
    `unmeasured` are Queries that have no part in it.
    """

    name: str
    indexes: int
    index_bytes: int
    read_ms: float
    read_blocks: float
    write_ms: float
    wal_bytes: float
    hot_share: float
    write_error_ms: float = 0.0
    cut_off: int = 0
    unmeasured: tuple[str, ...] = ()

    @property
    def time_ms(self) -> float:
        """What reads and writes take together."""
        return self.read_ms + self.write_ms


def log_of(costs: Iterable[WriteCost], weights: Mapping[str, float]) -> Log:
    """Add up what the writes of 1,000 requests log; `weights` are by Query."""
    wal_bytes = updates = hot = 0.0
    for one in costs:
        weight = weights.get(one.query, 0.0)
        wal_bytes += weight * one.whole.size_bytes
        updates += weight * one.updates
        hot += weight * one.hot_updates
    return Log(wal_bytes, hot / updates if updates else 0.0)


def totals_of_run(
    name: str,
    sizes: Mapping[str, int],
    measurements: Iterable[Measurement],
    weights: Mapping[Key, float],
    writes: Collection[str],
    log: Log,
    unmeasured: Iterable[str] = (),
) -> Totals:
    """Return the Totals of a state that was measured pair by pair.

    `sizes` are those of its indexes, by name; `writes` the Queries that write.
    """
    read_ms = write_ms = read_blocks = 0.0
    cut_off = 0
    for one in measurements:
        weight = weights.get(one.key, 0.0)
        cut_off += one.sample.is_censored
        if one.query in writes:
            write_ms += weight * one.sample.median_ms
        else:
            read_ms += weight * one.sample.median_ms
            read_blocks += weight * one.plan.blocks
    return Totals(
        name,
        len(sizes),
        sum(sizes.values()),
        read_ms,
        read_blocks,
        write_ms,
        log.wal_bytes,
        log.hot_share,
        cut_off=cut_off,
        unmeasured=tuple(unmeasured),
    )


def totals_without(
    whole: Totals,
    name: str,
    sizes: Mapping[str, int],
    dropped: Contribution,
    writes: Collection[str],
    log: Log,
    spared_ms: tuple[float, float],
) -> Totals:
    """Return the Totals of a set: those of all, with what is otherwise without the rest.

    `dropped` is the Trial with the rest gone, `spared_ms` what the writes take less then,
    with half its interval.
    """
    reads = [one for one in dropped.effects if one.change.query not in writes]
    without_change = len(dropped.trial.switches) - len(dropped.effects)
    unmeasured = (f"{without_change} changed plans",) if without_change else ()
    return replace(
        whole,
        name=name,
        indexes=len(sizes),
        index_bytes=sum(sizes.values()),
        read_ms=whole.read_ms + sum(one.saved_ms for one in reads),
        read_blocks=whole.read_blocks + sum(map(_blocks, reads)),
        write_ms=whole.write_ms - spared_ms[0],
        write_error_ms=spared_ms[1],
        wal_bytes=log.wal_bytes,
        hot_share=log.hot_share,
        cut_off=whole.cut_off + sum(map(_is_newly_cut_off, reads)),
        unmeasured=(*whole.unmeasured, *unmeasured),
    )


def _blocks(effect: Effect) -> float:
    """Return the blocks more without the rest; a plan that never ended has none."""
    sides = effect.change.before.plan, effect.change.after.plan
    return effect.saved_blocks if all(one.is_analyzed for one in sides) else 0.0


def _is_newly_cut_off(effect: Effect) -> bool:
    before, after = effect.change.before.sample, effect.change.after.sample
    return before.is_censored and not after.is_censored
