"""Effects, Contributions and Prices made by hand: the words are given, not decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fluxlab.indexes.contribution import Contribution, Contributions, Effect
from fluxlab.indexes.price import Operation, Price, WriteCost, WritePrice
from fluxlab.indexes.trials import Kind, Trial
from fluxlab.indexes.wal import Wal
from fluxlab.workload.change import Change
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import Outcome, Speedup
from fluxlab.workload.store import Measurement


def measurement(query: str, ms: float, blocks: int = 0) -> Measurement:
    """A Measurement of a pair that is named by its Query."""
    node = {
        "Node Type": "Seq Scan",
        "Relation Name": "messages",
        "Actual Rows": 1,
        "Actual Loops": 1,
        "Shared Hit Blocks": blocks,
    }
    plan = json.dumps([{"Plan": node}])
    return Measurement(query, "typical", query, "values", "", Sample.of(ms), plan)


def effect(
    query: str,
    outcome: Outcome,
    ratio: float = 2.0,
    *,
    blocks: tuple[int, int] = (100, 50),
    weight: float = 1.0,
    before_ms: float = 10.0,
    switch: str = "",
) -> Effect:
    """One pair with a ratio, before ÷ after, and the word for it."""
    speedup = Speedup(ratio, ratio / 1.1, ratio * 1.1, 0.05, 6)
    before = measurement(query, before_ms, blocks[0])
    after = measurement(query, before_ms / ratio, blocks[1])
    change = Change(
        query,
        "typical",
        before,
        after,
        speedup,
        speedup,
        None,
        outcome,
        outcome,
        "clock",
    )
    return Effect(switch or f"{query} {outcome} {ratio}", change, weight)


def contribution(
    index: str, *effects: Effect, kind: Kind = "ladder", asked: int = 10
) -> Contribution:
    """What an index does, with 8 kB and a millisecond for building it."""
    names = tuple(one.switch for one in effects)
    return Contribution(Trial(kind, index, asked, names, 3, 1.0, 8192, 9000), effects)


def contributions(*found: Contribution) -> Contributions:
    """All of them together, as a lab has them."""
    trials: dict[Kind, dict[str, Trial]] = {}
    for one in found:
        trials.setdefault(one.trial.kind, {})[one.subject] = one.trial
    effects = {effect.switch: effect for one in found for effect in one.effects}
    return Contributions(
        trials,
        {name: one.change for name, one in effects.items()},
        {one.change.before.key: one.weight for one in effects.values()},
    )


def write(
    query: str,
    operation: Operation,
    entries: Mapping[str, float],
    *,
    hidden: Sequence[str] = (),
    hot: tuple[float, float] = (0.0, 0.0),
    later: Mapping[str, float] | None = None,
    slowdown: Speedup | None = None,
) -> WritePrice:
    """A write that logs one record of so many bytes per index; `hot` is on and off."""
    updates = 1.0 if operation == "update" else 0.0
    on, off = (
        WriteCost(
            query,
            operation,
            10,
            1.0,
            5.0,
            Wal(1.0, 100.0),
            {name: Wal(1.0, size) for name, size in entries.items() if name not in gone},
            updates,
            share,
            later or {},
        )
        for gone, share in (((), hot[0]), (hidden, hot[1]))
    )
    time_ms = 1.0 if slowdown else None
    return WritePrice(tuple(hidden), on, off, slowdown, time_ms)


def price(index: str, *writes: WritePrice, planning_ms: float = 0.0) -> Price:
    """The Price of an index."""
    return Price(index, writes, planning_ms)
