"""The bill: the Prices of all indexes put together, and against the Price of the set.

An insert pays for each index by itself, so its Prices add up. An update does not: one
index on a column that it changes keeps it from being HOT, and then every index of the
table gets an entry. Two such indexes share the blame, and neither price has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fluxlab.indexes.price import Operation, Price, WriteCost, WritePrice
from fluxlab.workload.stats import discoveries

OPERATIONS: tuple[Operation, ...] = ("insert", "update", "delete")
Prices = Mapping[str, Price]
Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Item:
    """What the writes of 1,000 requests log for one index, in bytes of WAL.

    `own` are its own entries, `later` what merging its pending list writes (GIN), and
    `others` the entries that all other indexes get because it keeps updates from being
    HOT: `hot_lost` of them.
    """

    index: str
    own: float
    others: float
    later: float
    hot_lost: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.own + self.others + self.later


@dataclass(frozen=True, slots=True)
class Written:
    """What one execution of a write logs, in bytes, by what it is for.

    `rows` is for rows, triggers and foreign keys; `before` for the keys and the indexes
    that stood before the sprint, `sprint` for those of the sprint, `later` for merges.
    """

    cost: WriteCost
    weight: float
    before: float
    sprint: float
    later: float

    @property
    def rows(self) -> float:
        """Bytes for the rows, for triggers and for foreign keys."""
        return self.cost.rows_wal.size_bytes

    @property
    def total(self) -> float:
        """Bytes of one execution."""
        return self.rows + self.before + self.sprint + self.later


@dataclass(frozen=True, slots=True)
class Sum:
    """The Prices of a write added up, index by index, beside its Price for all at once.

    In bytes of WAL of one execution.
    """

    write: WritePrice
    weight: float
    parts: float

    @property
    def whole(self) -> float:
        """The price of all indexes of the set together."""
        return self.write.wal_bytes


@dataclass(frozen=True, slots=True)
class HotLoss:
    """An update that one index alone keeps from being HOT."""

    index: str
    write: WritePrice
    weight: float

    @property
    def others_bytes(self) -> float:
        """What one execution logs for all other indexes because of it."""
        return _others(self.index, self.write)


@dataclass(frozen=True, slots=True)
class Look:
    """One write timed with an index and without it; `is_called` after all looks.

    Of those called slower or faster at most one in twenty is expected to be false.
    """

    index: str
    write: WritePrice
    is_called: bool = field(compare=False)


def items(prices: Prices, weights: Weights) -> tuple[Item, ...]:
    """Return what each index costs the writes of 1,000 requests, the dearest first."""
    found = (
        Item(
            name,
            price.per_thousand(weights, lambda one, name=name: _own(name, one)),  # type: ignore[misc]
            price.per_thousand(weights, lambda one, name=name: _others(name, one)),  # type: ignore[misc]
            price.per_thousand(weights, lambda one, name=name: _later(name, one)),  # type: ignore[misc]
            price.per_thousand(weights, lambda one: one.hot_lost),
        )
        for name, price in prices.items()
    )
    return tuple(sorted(found, key=lambda one: -one.total))


def written(
    prices: Prices, sprint: Collection[str], weights: Weights
) -> tuple[Written, ...]:
    """Return what each write logs with all indexes, by 1,000 requests the most first."""
    costs = {one.on.query: one.on for price in prices.values() for one in price.writes}
    found = (
        Written(
            cost,
            weights.get(name, 0.0),
            cost.entries_beside(sprint).size_bytes,
            sum(one.size_bytes for index, one in cost.entries.items() if index in sprint),
            sum(cost.deferred.values()),
        )
        for name, cost in costs.items()
    )
    return tuple(sorted(found, key=lambda one: -one.weight * one.total))


def find(found: Iterable[Written], query: str) -> Written:
    """Return what one write logs; KeyError where it is not among them."""
    for one in found:
        if one.cost.query == query:
            return one
    raise KeyError(query)


def sums(
    prices: Prices, whole: Price, names: Collection[str], weights: Weights
) -> tuple[Sum, ...]:
    """Return each write with its Prices for some indexes added up, and for all of them."""
    parts: dict[str, float] = {}
    for name in names:
        for one in prices[name].writes if name in prices else ():
            parts[one.on.query] = parts.get(one.on.query, 0.0) + one.wal_bytes
    return tuple(
        Sum(one, weights.get(one.on.query, 0.0), parts.get(one.on.query, 0.0))
        for one in whole.writes
    )


def hot_losses(prices: Prices, weights: Weights) -> tuple[HotLoss, ...]:
    """Return the updates that an index alone keeps from being HOT, the dearest first.

    Where some updates are HOT with the index as well, it is not the index: the page had
    no room for a second version of the row.
    """
    found = (
        HotLoss(name, one, weights.get(one.on.query, 0.0))
        for name, price in prices.items()
        for one in price.writes
        if one.on.hot_updates == 0 < one.off.hot_updates
    )
    return tuple(sorted(found, key=lambda one: -one.weight * one.others_bytes))


def looks(prices: Prices) -> tuple[Look, ...]:
    """Return every write that was timed, judged together, the largest slowdown first."""
    timed = [
        (name, one, one.slowdown)
        for name, price in prices.items()
        for one in price.writes
        if one.slowdown is not None
    ]
    called = discoveries([slowdown.p_value(margin=1.0) for _, _, slowdown in timed])
    found = (
        Look(name, one, is_called)
        for (name, one, _), is_called in zip(timed, called, strict=True)
    )
    return tuple(sorted(found, key=lambda one: -_ratio(one)))


def of_operation(found: Iterable[Sum], operation: Operation) -> Iterator[Sum]:
    """Yield the sums of one operation."""
    return (one for one in found if one.write.on.operation == operation)


def _ratio(look: Look) -> float:
    return look.write.slowdown.ratio if look.write.slowdown else 1.0


def _own(name: str, one: WritePrice) -> float:
    entries = one.on.entries.get(name)
    return entries.size_bytes if entries else 0.0


def _later(name: str, one: WritePrice) -> float:
    return one.on.deferred.get(name, 0.0)


def _others(name: str, one: WritePrice) -> float:
    return max(0.0, one.wal_bytes - _own(name, one) - _later(name, one))
