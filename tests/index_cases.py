"""Cases of indexes made by hand: effects, prices and plans whose words are given."""

from __future__ import annotations

import json
from dataclasses import replace

from fluxlab.indexes.contribution import Contribution, Effect, Worth
from fluxlab.indexes.decisions import Case, Loss
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.price import Price, WriteCost, WritePrice
from fluxlab.indexes.trials import Kind, Trial
from fluxlab.indexes.wal import Wal
from fluxlab.workload.change import Change
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import Outcome, Speedup
from fluxlab.workload.store import Measurement

SEQ = "Seq Scan on messages"


def measured(
    time_ms: float, query: str = "page", blocks: int = 10, timeout_ms: float = 10_000
) -> Measurement:
    node = {
        "Node Type": "Seq Scan",
        "Relation Name": "messages",
        "Plan Rows": 1,
        "Actual Rows": 1,
        "Actual Loops": 1,
        "Shared Hit Blocks": blocks,
    }
    sample = Sample.of(time_ms, timeout_ms=timeout_ms)
    text = json.dumps([{"Plan": node}])
    return Measurement(query, "typical", query, "p", "()", sample, text)


def effect(
    outcome: Outcome,
    before_ms: float,
    after_ms: float,
    weight: float = 1.0,
    *,
    query: str = "page",
    switch: str = "s",
    spread: float = 1.1,
    blocks: tuple[int, int] = (10, 5),
    timeout_ms: float = 10_000,
) -> Effect:
    """An Effect of an index: without it `before_ms`, with it `after_ms`."""
    ratio = before_ms / after_ms
    speedup = Speedup(ratio, ratio / spread, ratio * spread, 0.05, 8)
    before, after = (
        measured(ms, query, count, timeout_ms)
        for ms, count in zip((before_ms, after_ms), blocks, strict=True)
    )
    change = Change(
        query, "typical", before, after, speedup, speedup, None, outcome, outcome, "clock"
    )
    return Effect(switch, change, weight)


def contribution(*effects: Effect, kind: Kind = "without", name: str = "i") -> Contribution:
    trial = Trial(kind, name, len(effects), tuple(one.switch for one in effects), 8)
    return Contribution(trial, effects)


def price(
    extra_ms: float, *, write: str = "send", low: float = 1.5, wal_bytes: float = 100
) -> Price:
    """A Price of one write that takes `extra_ms` longer than 1 ms."""
    cost = WriteCost(write, "insert", 24, 1, 10, Wal(1, 50), {"i": Wal(1, wal_bytes)})
    ratio = 1 + extra_ms
    slowdown = Speedup(ratio, low, ratio * 1.1, 0.05, 4)
    off = replace(cost, entries={})
    return Price("i", (WritePrice(("i",), cost, off, slowdown, 1.0),))


def case(
    saved_ms: float = 0.0,
    waits_ms: float = 0.0,
    *,
    could: float | None = None,
    name: str = "i",
    effects: tuple[Effect, ...] = (),
    **facts: object,
) -> Case:
    """A Case that is missed for so much; at most for `could`, where that is more."""
    sure = Worth(saved_ms, waits_ms)
    most = Worth(max(saved_ms, could or saved_ms), waits_ms)
    made = Case(
        index=parse_index(f"create index {name} on messages (thread_id)"),
        is_of_sprint=True,
        size_bytes=8192,
        without=contribution(*effects),
        missed=Loss(sure, most),
    )
    return replace(made, **facts)  # type: ignore[arg-type]
