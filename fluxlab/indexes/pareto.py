"""What each further index buys: read time against bytes and against WAL, set by set.

The sets go from the base to all, and the best comes first: what saves most per byte when
it is added to the base alone. The time of a set is worked out, not measured again: the
planner tells the plan of each pair, and a plan takes what the pair took in the base,
divided by the ratios measured on the way from there to it. A pair whose plan nobody has
measured lies between the fastest and the slowest of its known plans.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fluxlab.indexes.climb import ratio_of
from fluxlab.indexes.contribution import Contribution, Effect
from fluxlab.indexes.foreseen import Foreseen, digest_of
from fluxlab.indexes.planner import Key
from fluxlab.indexes.price import WritePrice

#: A plan of a pair: its key and the digest of the plan's text.
Node = tuple[Key, str]


@dataclass(frozen=True, slots=True)
class Point:
    """One set on the way; `added` is the index that made it, None for the base.

    Amounts are per 1,000 requests. `read_ms` lies between `low_ms` and `high_ms`, which
    are apart by the `unknown` pairs whose plan was never measured.
    """

    indexes: int
    added: str | None
    index_bytes: int
    wal_bytes: float
    read_ms: float
    low_ms: float
    high_ms: float
    unknown: int = 0


def best_first(alone: Iterable[Contribution]) -> tuple[str, ...]:
    """Return indexes by what they save per byte; those that save nothing, small ones first.

    What costs reads more than it saves stands at the end, the worst last.
    """

    def rank(one: Contribution) -> tuple[bool, bool, float, str]:
        size = max(1, one.trial.size_bytes)
        saved = one.saved_ms
        return saved < 0, saved == 0, -saved / size if saved else size, one.subject

    return tuple(one.subject for one in sorted(alone, key=rank))


def times_of_plans(
    start: Mapping[Key, str],
    base_ms: Mapping[Key, float],
    effects: Iterable[Effect],
    plans: Mapping[str, tuple[str, str]],
) -> dict[Node, float]:
    """Return the time of every plan that measured ratios lead to from a pair's first.

    `start` are the plans of the base by digest and `base_ms` what they took. A ratio
    that is not clear is taken as 1. Where several ways lead there, the shortest counts.
    """
    ways: dict[Node, list[tuple[Node, float]]] = {}
    for effect in effects:
        key = effect.change.before.key
        before, after = ((key, digest_of(plan)) for plan in plans[effect.switch])
        is_clear = effect.outcome in ("faster", "slower")
        ratio = ratio_of(effect) if is_clear else 1.0
        ways.setdefault(before, []).append((after, ratio))
        ways.setdefault(after, []).append((before, 1 / ratio))
    found: dict[Node, float] = {}
    for key, digest in start.items():
        if key not in base_ms:
            continue
        found[key, digest] = base_ms[key]
        waiting = deque([(key, digest)])
        while waiting:
            here = waiting.popleft()
            for there, ratio in ways.get(here, ()):
                if there not in found:
                    found[there] = found[here] / ratio
                    waiting.append(there)
    return found


def curve(
    foreseen: Foreseen,
    times: Mapping[Node, float],
    weights: Mapping[Key, float],
    sizes: Mapping[str, int],
    writes: Sequence[WritePrice],
    write_weights: Mapping[str, float],
) -> tuple[Point, ...]:
    """Return the set after each step, from the base to all.

    `sizes` are those of all indexes that count, `writes` what the whole walk costs each
    write, `weights` are of the pairs that count and `write_weights` of the writes.
    """
    known: dict[Key, list[float]] = {}
    for (key, _), time_ms in times.items():
        known.setdefault(key, []).append(time_ms)
    current: dict[Key, str] = {}
    hot: dict[str, float] = {}
    points = []
    added: tuple[str | None, ...] = (None, *foreseen.order)
    for number, name in enumerate(added):
        current |= foreseen.plans[number]
        hot |= foreseen.hot[number]
        hidden = frozenset(foreseen.order[number:])
        shown = [size for one, size in sizes.items() if one not in hidden]
        wal_bytes = sum(
            write_weights.get(one.on.query, 0.0)
            * wal_without(one, hidden, _share(hot, foreseen.hot[0], one))
            for one in writes
        )
        low, high, unknown = _time(current, times, known, weights)
        middle = (low + high) / 2
        points.append(
            Point(len(shown), name, sum(shown), wal_bytes, middle, low, high, unknown)
        )
    return tuple(points)


def _time(
    current: Mapping[Key, str],
    times: Mapping[Node, float],
    known: Mapping[Key, Sequence[float]],
    weights: Mapping[Key, float],
) -> tuple[float, float, int]:
    low = high = 0.0
    unknown = 0
    for key, weight in weights.items():
        if key not in known or key not in current:
            continue
        time_ms = times.get((key, current[key]))
        unknown += time_ms is None
        low += weight * (min(known[key]) if time_ms is None else time_ms)
        high += weight * (max(known[key]) if time_ms is None else time_ms)
    return low, high, unknown


def wal_without(write: WritePrice, hidden: Collection[str], hot: float) -> float:
    """Return the bytes that a write logs without some indexes, worked out from its parts.

    The entries of those that stay, of as many updates as are not HOT then: `hot` is the
    share of those that are HOT without any of the indexes of the price.
    """
    cost, share = write.on, 1.0
    if cost.updates and write.off.updates:
        most = write.off.hot_updates / write.off.updates
        before = 1 - cost.hot_updates / cost.updates
        share = (1 - hot * most) / before if before else 1.0
    stay = cost.entries_beside(hidden).size_bytes
    due = sum(size for name, size in cost.deferred.items() if name not in hidden)
    return cost.rows_wal.size_bytes + share * stay + due


def _share(
    hot: Mapping[str, float], first: Mapping[str, float], write: WritePrice
) -> float:
    """Return which share of the updates that were HOT at first is so now."""
    query = write.on.query
    if not first.get(query):
        # Nothing on the way takes it away.
        return 1.0
    return hot[query] / first[query]


def frontier(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the sets that no smaller one is as fast as."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one.index_bytes, one.read_ms)):
        if not best or point.read_ms < best[-1].read_ms:
            best.append(point)
    return tuple(best)


def knee(points: Sequence[Point], share: float = 0.95) -> Point:
    """Return the first set that saves a share of the most that any set saves."""
    best = min(one.read_ms for one in points)
    wanted = points[0].read_ms - share * (points[0].read_ms - best)
    return next(one for one in points if one.read_ms <= wanted)


def largest_steps(points: Sequence[Point], most: int) -> tuple[tuple[Point, float], ...]:
    """Return the points whose index saved most of those before it, with the ms saved."""
    saved = [(after, before.read_ms - after.read_ms) for before, after in pairwise(points)]
    ranked = sorted(saved, key=lambda one: -one[1])[:most]
    return tuple(one for one in ranked if one[1] > 0)
