"""One statement with and without the indexes that serve it, over the size of its table.

Values that go into a file and come back: a reference is measured once, on a quiet
machine, and read by everybody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fluxlab.errors import FluxlabError
from fluxlab.workload.sample import Sample
from fluxlab.workload.slopes import Slope, fit_slope
from fluxlab.workload.stats import Outcome, Speedup, compare
from fluxlab.workload.store import Measurement

#: The layout of the file; another one is measured anew.
_LAYOUT = 1
Which = Literal["without", "with"]


@dataclass(frozen=True, slots=True)
class Side:
    """A statement on one side: the median of each round, and what its Plan says.

    `quartiles_ms` are over all `executions`. `cost` is the planner's, `blocks` of 8 kB.
    `timeout_ms` is where a statement was cut off.
    """

    levels_ms: tuple[float, ...]
    quartiles_ms: tuple[float, float]
    executions: int
    timeout_ms: float
    blocks: int
    cost: float
    indexes: tuple[str, ...]

    @classmethod
    def of(cls, one: Measurement) -> Side:
        """Return what is kept of a Measurement."""
        sample = one.sample
        low, high = sample.quartiles_ms
        return cls(
            levels_ms=tuple(round(level, 5) for level in sample.levels_ms),
            quartiles_ms=(round(low, 5), round(high, 5)),
            executions=sample.executions,
            timeout_ms=sample.timeout_ms,
            blocks=one.plan.blocks,
            cost=one.plan.root["Total Cost"],
            indexes=one.plan.indexes,
        )

    @property
    def sample(self) -> Sample:
        """The rounds as a Sample, each its median."""
        return Sample.of(*self.levels_ms, timeout_ms=self.timeout_ms)

    @property
    def median_ms(self) -> float:
        """The median of the rounds; the timeout where they were cut off."""
        return self.sample.median_ms


@dataclass(frozen=True, slots=True)
class At:
    """Both sides at one size. `rows` are those of the table that the indexes are on.

    `hidden` has the size in bytes of every index that was hidden from the side without:
    all that the planner would read of the tables in question, one after another.
    """

    users: int
    rows: int
    hidden: Mapping[str, int]
    sides: Mapping[Which, Side]

    @property
    def speedup(self) -> Speedup:
        """How many times faster the statement is with the indexes."""
        return compare(self.sides["without"].sample, self.sides["with"].sample)

    @property
    def outcome(self) -> Outcome:
        """What the indexes do; *same* where the planner reads none of them."""
        if not self.hidden:
            return "same"
        found = self.speedup
        if found.is_within():
            return "same"
        if not found.is_beyond():
            return "unclear"
        return "faster" if found.ratio > 1 else "slower"


@dataclass(frozen=True)
class Served:
    """One statement with one class of parameters over all sizes, smallest first."""

    name: str
    query: str
    table: str
    of_class: str
    points: tuple[At, ...]

    def latencies_ms(self, which: Which) -> tuple[float, ...]:
        """Return the medians of a side over the sizes."""
        return tuple(at.sides[which].median_ms for at in self.points)

    def slope(self, which: Which) -> Slope:
        """Return the power of the table's rows with which the latency grows.

        Sizes at which the statement was cut off are left out.
        """
        kept = [one for one in self.points if not one.sides[which].sample.is_censored]
        latencies = [one.sides[which].median_ms for one in kept]
        return fit_slope([one.rows for one in kept], latencies)

    def block_slope(self, which: Which) -> Slope:
        """Return the power with which the blocks touched grow; no clock is in it."""
        kept = [one for one in self.points if not one.sides[which].sample.is_censored]
        blocks = [one.sides[which].blocks for one in kept]
        return fit_slope([one.rows for one in kept], blocks)

    @cached_property
    def start(self) -> int | None:
        """The place of the first size from which on the indexes always help, or None."""
        place = len(self.points)
        while place and self.points[place - 1].outcome == "faster":
            place -= 1
        return place if place < len(self.points) else None


@dataclass(frozen=True)
class IndexScale:
    """All statements over all sizes of one machine; `facts` say which, and how."""

    facts: Mapping[str, str]
    served: tuple[Served, ...]

    @property
    def users(self) -> tuple[int, ...]:
        """The sizes measured, in users."""
        return tuple(sorted({at.users for one in self.served for at in one.points}))

    def of(self, of_class: str) -> tuple[Served, ...]:
        """Return every statement with one class; with its first where it has not that."""
        first = {one.query: one for one in reversed(self.served)}
        own = {one.query: one for one in self.served if one.of_class == of_class}
        return tuple((first | own)[name] for name in dict.fromkeys(self.queries))

    @property
    def queries(self) -> tuple[str, ...]:
        """The Queries, in their order."""
        return tuple(dict.fromkeys(one.query for one in self.served))

    def find(self, query: str, of_class: str = "typical") -> Served:
        """Return a statement by its Query; raises KeyError where it was not measured."""
        for one in self.of(of_class):
            if one.query == query:
                return one
        raise KeyError(query)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{users:,}" for users in self.users)
        return f"<IndexScale: {len(self.queries)} statements at {sizes} users>"


def joined(scales: Iterable[IndexScale]) -> IndexScale:
    """Put sizes of one machine together; the facts are those of the last."""
    scales = tuple(scales)
    points: dict[tuple[str, str], list[At]] = {}
    known: dict[tuple[str, str], Served] = {}
    for scale in scales:
        for one in scale.served:
            key = one.query, one.of_class
            known.setdefault(key, one)
            points.setdefault(key, []).extend(one.points)
    return IndexScale(
        scales[-1].facts,
        tuple(
            replace(one, points=tuple(sorted(points[key], key=lambda at: at.users)))
            for key, one in known.items()
        ),
    )


def write_scale(scale: IndexScale, path: Path) -> None:
    """Write a file that a review can read: one line per side of a size."""
    document = {
        "layout": _LAYOUT,
        "facts": dict(scale.facts),
        "served": [_plain(one) for one in scale.served],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def read_scale(path: Path) -> IndexScale:
    """Read what `write_scale` wrote; raises FluxlabError where that is impossible."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["layout"] != _LAYOUT:
            raise ValueError("another layout")
        served = tuple(_served(one) for one in document["served"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FluxlabError(
            f"{path.name} cannot be read: {error!r}.", "`make bench-scale` measures it."
        ) from None
    return IndexScale(document["facts"], served)


def _plain(one: Served) -> dict[str, Any]:
    plain = asdict(one)
    for at in plain["points"]:
        for side in at["sides"].values():
            # JSON has no infinity.
            side["timeout_ms"] = _finite(side["timeout_ms"])
            side["levels_ms"] = " ".join(map(repr, side["levels_ms"]))
            side["indexes"] = " ".join(side["indexes"])
    return plain


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _served(facts: dict[str, Any]) -> Served:
    points = tuple(
        At(
            users=at["users"],
            rows=at["rows"],
            hidden=at["hidden"],
            sides={which: _side(side) for which, side in at["sides"].items()},
        )
        for at in facts["points"]
    )
    return Served(**{**facts, "points": points})


def _side(facts: dict[str, Any]) -> Side:
    low, high = facts["quartiles_ms"]
    timeout_ms = facts["timeout_ms"]
    return Side(
        **{
            **facts,
            "levels_ms": tuple(float(level) for level in facts["levels_ms"].split()),
            "quartiles_ms": (low, high),
            "timeout_ms": math.inf if timeout_ms is None else timeout_ms,
            "indexes": tuple(facts["indexes"].split()),
        }
    )
