"""How often is one key loaded when many want it at once and nobody has it?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from fluxlab.caching.experiments.bench import CACHES, identity, percentile
from fluxlab.caching.experiments.found import Stampede, Stampedes, State
from fluxlab.caching.experiments.process import Helper, Message
from fluxlab.caching.experiments.rows import Source
from fluxlab.caching.results import LayerName

#: Readers that come at once, and in how many processes.
CASES: tuple[tuple[State, int, int], ...] = (
    ("missing", 1, 1),
    ("missing", 10, 1),
    ("missing", 100, 1),
    ("missing", 500, 1),
    ("missing", 10, 4),
    ("missing", 100, 4),
    ("missing", 500, 4),
    ("expired", 100, 1),
    ("expired", 100, 4),
)
#: So many connections has node-pg's pool, the report's, unless it is told otherwise.
CONNECTIONS = 10

_SHORT_TTL_S = 0.15
_TTL_S = 60.0
#: How long a process may take to hear of its turn.
_NOTICE_S = 0.05


@dataclass(frozen=True, slots=True)
class StampedePlan:
    """How often each case is tried, and how long a load takes."""

    repetitions: int = 2
    load_s: float = 0.02
    cases: tuple[tuple[State, int, int], ...] = CASES


async def stampedes(url: str, source: Source, plan: StampedePlan) -> Stampedes:
    """Run the second experiment on a server of the Redis protocol."""
    count = len(CACHES) * len(plan.cases) * plan.repetitions
    source.create(identity("herd", number) for number in range(count))
    identities = (identity("herd", number) for number in range(count))
    helpers = [await Helper.start() for _ in range(max(case[2] for case in plan.cases))]
    try:
        await asyncio.gather(
            *(
                helper.ask(
                    "open",
                    source=asdict(source),
                    connections=CONNECTIONS,
                    layers=list(CACHES),
                    url=url,
                )
                for helper in helpers
            )
        )
        found = [
            await _case(name, case, helpers[: case[2]], identities, plan)
            for case in plan.cases
            for name in CACHES
        ]
    finally:
        await asyncio.gather(*(helper.end() for helper in helpers))
    return Stampedes(plan.load_s * 1000, CONNECTIONS, tuple(found))


async def _case(
    name: LayerName,
    case: tuple[State, int, int],
    helpers: Sequence[Helper],
    identities: Iterator[str],
    plan: StampedePlan,
) -> Stampede:
    state, readers, processes = case
    turns: list[list[Message]] = []
    for _ in range(plan.repetitions):
        one = next(identities)
        if state == "expired":
            await _herd(helpers[:1], name, one, 1, plan.load_s, _SHORT_TTL_S)
            await asyncio.sleep(_SHORT_TTL_S * 1.2)
        turns.append(await _herd(helpers, name, one, readers, plan.load_s, _TTL_S))
    answers = [answer for turn in turns for answer in turn]
    latencies_ms = [one for answer in answers for one in answer["latencies_ms"]]
    return Stampede(
        layer=name,
        state=state,
        readers=readers,
        processes=processes,
        loads=tuple(sum(answer["loads"] for answer in turn) for turn in turns),
        p50_ms=percentile(latencies_ms, 0.5),
        p95_ms=percentile(latencies_ms, 0.95),
        max_ms=max(latencies_ms, default=0.0),
        errors=sum(answer["errors"] for answer in answers),
        bypassed=sum(answer["bypassed"] for answer in answers),
    )


async def _herd(
    helpers: Sequence[Helper],
    name: LayerName,
    identity: str,
    readers: int,
    load_s: float,
    ttl_s: float,
) -> list[Message]:
    at = time.monotonic() + _NOTICE_S
    each, more = divmod(readers, len(helpers))
    return await asyncio.gather(
        *(
            helper.ask(
                "stampede",
                layer=name,
                identity=identity,
                readers=each + (number < more),
                at=at,
                load_s=load_s,
                ttl_s=ttl_s,
            )
            for number, helper in enumerate(helpers)
        )
    )
