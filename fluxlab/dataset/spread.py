"""How a total is spread over owners: heavy tails, memberships, times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxlab.dataset.streams import F64, I64, Stream, row_range


@dataclass(frozen=True, slots=True)
class Groups:
    """Members of groups, back to back: of g they are members[starts[g] : starts[g + 1]]."""

    starts: I64
    members: I64

    @property
    def sizes(self) -> I64:
        """The number of members of every group."""
        return np.diff(self.starts)

    def pick(self, groups: I64, uniform: F64) -> I64:
        """A member of each of these groups, chosen by a number in [0, 1)."""
        first = self.starts[groups]
        size = self.starts[groups + 1] - first
        return self.members[first + np.floor(uniform * size).astype(np.int64)]


def group_by(owners: I64, members: I64, count: int) -> Groups:
    """Members by owner; the order inside a group is kept."""
    order = np.argsort(owners, kind="stable")
    return Groups(starts_of(np.bincount(owners, minlength=count)), members[order])


def starts_of(sizes: I64) -> I64:
    """Where each group starts, and where the last one ends."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def slots_of(sizes: I64) -> tuple[I64, I64]:
    """For every member: its group, and its place in the group."""
    group = np.repeat(row_range(0, len(sizes)), sizes)
    return group, row_range(0, len(group)) - starts_of(sizes)[:-1][group]


def apportion(total: int, weights: F64, cap: int | None = None) -> I64:
    """Whole numbers in proportion to the weights that add up to total, none above cap.

    Largest remainders get the rest; what a cap cuts off goes to the others.
    """
    share = np.zeros(len(weights))
    free = weights > 0
    limit = np.inf if cap is None else float(cap)
    for _ in range(50):
        left = total - share[~free].sum()
        if not free.any() or left <= 0:
            break
        share[free] = left * weights[free] / weights[free].sum()
        over = free & (share > limit)
        if not over.any():
            break
        share[over] = limit
        free &= ~over
    counts = np.floor(share).astype(np.int64)
    missing = int(min(total, share.sum().round())) - int(counts.sum())
    fraction = np.where(counts < limit, share - counts, -1.0)
    counts[np.argsort(-fraction, kind="stable")[:missing]] += 1
    return counts


def tail_weights(ranks: I64, exponent: float) -> F64:
    """Zipf weights (rank + 1/2) ** -exponent; rank 0 is the hottest."""
    return np.asarray(np.power(ranks + 0.5, -exponent))


def exponent_of(top_share: float, count: int, top: float = 0.01) -> float:
    """The exponent at which the top fraction of `count` ranks holds `top_share` of all."""
    ranks, first = row_range(0, count), max(1, round(count * top))
    low, high = 0.0, 8.0
    for _ in range(40):
        exponent = (low + high) / 2
        weights = tail_weights(ranks, exponent)
        if weights[:first].sum() < top_share * weights.sum():
            low = exponent
        else:
            high = exponent
    # Rounded, so that the last bit of a sum on another machine changes nothing.
    return round(low, 6)


def hot_ranks(stream: Stream, created_ms: I64, now_ms: int) -> I64:
    """Rank 0 for the hottest: random, but the old have had more time to grow."""
    if not len(created_ms):
        return np.zeros(0, np.int64)
    rows = row_range(0, len(created_ms))
    age = (now_ms - created_ms) / max(1, now_ms - int(created_ms.min()))
    waiting = stream.exponential(rows, 1.0) / (0.1 + age)
    ranks = np.empty(len(rows), np.int64)
    ranks[np.argsort(waiting, kind="stable")] = rows
    return ranks


def first_distinct(groups: I64, users: I64, sizes: I64) -> tuple[I64, I64]:
    """Drop repeated candidates of a group, then keep the first sizes[g] of each.

    `groups` is ascending; the result is, too.
    """
    _, first = np.unique((groups << 32) | users, return_index=True)
    first.sort()
    groups, users = groups[first], users[first]
    starts = starts_of(np.bincount(groups, minlength=len(sizes)))
    place = row_range(0, len(groups)) - starts[:-1][groups]
    keep = place < sizes[groups]
    return groups[keep], users[keep]
