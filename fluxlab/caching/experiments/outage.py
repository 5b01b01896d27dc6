"""What do requests notice when the cache's server is away, and does the cache come back?

All faults run at once, each on a server of its own, and each layer in a process of its
own, so that they need one outage's time and do not disturb each other's event loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from fluxlab.caching.experiments.bench import CACHES, identity, own_home, percentile
from fluxlab.caching.experiments.found import Fault, Outage, Outages, Slice
from fluxlab.caching.experiments.process import Helper, Message
from fluxlab.caching.experiments.rows import Source
from fluxlab.caching.results import LayerName
from fluxlab.errors import FluxlabError
from fluxlab.servers import redis as valkey
from fluxlab.servers.process import is_alive, wait_until
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

SLICE_S = 0.1

_KEYS = 20
_CONNECTIONS = 12
#: From the order to begin until the first request.
_NOTICE_S = 0.4
#: Hits before the fault count from here on: all keys have been loaded by then.
_WARM_S = 0.5


@dataclass(frozen=True, slots=True)
class OutagePlan:
    """How long everything takes, in seconds, and how many requests come in one."""

    before_s: float = 1.0
    killed_s: float = 5.0
    stopped_s: float = 3.0
    absent_s: float = 4.0
    after_s: float = 5.5
    rate_per_s: float = 100.0
    load_s: float = 0.005

    def window(self, fault: Fault) -> tuple[float, float]:
        """Return when a fault begins and when it is over."""
        if fault == "absent at start":
            return 0.0, self.absent_s
        lasts_s = self.killed_s if fault == "killed" else self.stopped_s
        return self.before_s, self.before_s + lasts_s


async def outages(settings: Settings, source: Source, plan: OutagePlan) -> Outages:
    """Run the third experiment; it starts servers of its own."""
    names = [identity("calm", number) for number in range(_KEYS)]
    source.create(names)
    with ExitStack() as stack:
        faults: tuple[Fault, ...] = ("killed", "stopped", "absent at start")
        runs = [
            _Run(fault, stack.enter_context(own_home(settings)), plan) for fault in faults
        ]
        helpers = [await Helper.start() for _ in CACHES]
        try:
            await asyncio.gather(*(run.prepare() for run in runs))
            await asyncio.gather(*(_open(helper, source) for helper in helpers))
            begin = time.monotonic() + _NOTICE_S
            answers, _ = await asyncio.gather(
                _all_traffic(helpers, runs, begin, names),
                asyncio.gather(*(run.execute(begin) for run in runs)),
            )
        finally:
            for run in runs:
                run.resume()
            await asyncio.gather(*(helper.end() for helper in helpers))
    found = [
        run.judge(name, one)
        for name, answer in zip(CACHES, answers, strict=True)
        for run, one in zip(runs, answer["all"], strict=True)
    ]
    return Outages(SLICE_S, tuple(found))


async def _open(helper: Helper, source: Source) -> None:
    await helper.ask(
        "open", source=asdict(source), connections=_CONNECTIONS, layers=[], url=""
    )


async def _all_traffic(
    helpers: Iterable[Helper], runs: Iterable[_Run], begin: float, names: list[str]
) -> list[Message]:
    return await asyncio.gather(
        *(
            helper.ask("traffic", all=[run.traffic(name, begin, names) for run in runs])
            for helper, name in zip(helpers, CACHES, strict=True)
        )
    )


class _Run:
    """One fault on one server, with the traffic of each layer."""

    def __init__(self, fault: Fault, own: Settings, plan: OutagePlan) -> None:
        self._fault = fault
        self._own = own
        self._plan = plan
        self._begins_s, self._ends_s = plan.window(fault)
        self._server: RedisServer | None = None
        self._stopped: int | None = None
        self._url = ""

    async def prepare(self) -> None:
        """Start the server; where it is to be absent, only find out its address."""
        server = await asyncio.to_thread(valkey.start, self._own)
        self._url = server.url
        if self._fault == "absent at start":
            await asyncio.to_thread(valkey.stop, self._own)
        else:
            self._server = server

    def traffic(self, name: LayerName, begin: float, names: list[str]) -> dict[str, Any]:
        """Return what a process is told of it."""
        middle = (self._begins_s + self._ends_s) / 2
        return {
            "layer": name,
            "url": self._url,
            "begin": begin,
            "seconds": self._ends_s + self._plan.after_s,
            "rate_per_s": self._plan.rate_per_s,
            "identities": names,
            "load_s": self._plan.load_s,
            "health_after": [middle, self._ends_s + self._plan.after_s * 0.8],
        }

    async def execute(self, begin: float) -> None:
        """Take the server away when it is time, and bring it back."""
        await asyncio.sleep(begin + self._begins_s - time.monotonic())
        self._begins_s = time.monotonic() - begin
        if self._fault != "absent at start":
            await asyncio.to_thread(self._take_away)
        await asyncio.sleep(begin + self._ends_s - time.monotonic())
        if self._fault == "stopped":
            self.resume()
        else:
            await asyncio.to_thread(valkey.start, self._own)
        self._ends_s = time.monotonic() - begin

    def _take_away(self) -> None:
        pid = self._server.pid if self._server else None
        if pid is None:
            raise FluxlabError("The server of the experiment has no pid.", "Try again.")
        if self._fault == "stopped":
            self._stopped = pid
            os.kill(pid, signal.SIGSTOP)
        else:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), 5)

    def resume(self) -> None:
        """Let a stopped server go on."""
        if self._stopped is not None and is_alive(self._stopped):
            os.kill(self._stopped, signal.SIGCONT)
        self._stopped = None

    def judge(self, name: LayerName, answer: Message) -> Outage:
        """Return what the requests of one layer noticed."""
        records = [_Request(*one) for one in answer["records"]]
        before = [one for one in records if _WARM_S <= one.start_s < self._begins_s]
        during = [one for one in records if self._begins_s <= one.start_s < self._ends_s]
        after = [one for one in records if one.start_s >= self._ends_s]
        waits_ms = [one.latency_ms for one in during]
        hits_s = [one.start_s for one in after if one.outcome == "hit"]
        return Outage(
            layer=name,
            fault=self._fault,
            begins_s=self._begins_s,
            ends_s=self._ends_s,
            rate_per_s=self._plan.rate_per_s,
            load_p50_ms=percentile([one.load_ms for one in records if one.load_ms], 0.5),
            requests=len(records),
            errors=sum(one.outcome == "error" for one in records),
            unfinished=sum(one.outcome == "unfinished" for one in records),
            hits_before=_hits(before),
            hits_during=_hits(during),
            hits_after=_hits(after),
            p50_ms=percentile(waits_ms, 0.5),
            p99_ms=percentile(waits_ms, 0.99),
            max_ms=max(waits_ms, default=0.0),
            added_p50_ms=percentile([one.added_ms for one in during], 0.5),
            added_max_ms=max((one.added_ms for one in during), default=0.0),
            back_s=min(hits_s) - self._ends_s if hits_s else None,
            gave_up_s=None
            if answer["gave_up_s"] is None
            else answer["gave_up_s"] - self._begins_s,
            health_during=answer["health"][0],
            health_after=answer["health"][1],
            slices=_slices(records, self._ends_s + self._plan.after_s),
        )


@dataclass(frozen=True, slots=True)
class _Request:
    start_s: float
    latency_ms: float
    load_ms: float
    outcome: str

    @property
    def added_ms(self) -> float:
        """What it waited beside the load; of a load that somebody else made, nothing."""
        return 0.0 if self.outcome == "joined" else self.latency_ms - self.load_ms


def _hits(requests: list[_Request]) -> float:
    return sum(one.outcome == "hit" for one in requests) / max(1, len(requests))


def _slices(requests: list[_Request], ends_s: float) -> tuple[Slice, ...]:
    groups: dict[int, list[_Request]] = {
        number: [] for number in range(int(ends_s / SLICE_S))
    }
    for one in requests:
        groups.setdefault(int(one.start_s / SLICE_S + 1e-6), []).append(one)
    return tuple(_slice(number, groups[number]) for number in sorted(groups))


def _slice(number: int, requests: list[_Request]) -> Slice:
    waits_ms = [one.latency_ms for one in requests]
    outcomes = [one.outcome for one in requests]
    return Slice(
        start_s=number * SLICE_S,
        requests=len(requests),
        hits=outcomes.count("hit"),
        errors=outcomes.count("error"),
        unfinished=outcomes.count("unfinished"),
        p50_ms=percentile(waits_ms, 0.5),
        p95_ms=percentile(waits_ms, 0.95),
        max_ms=max(waits_ms, default=0.0),
    )
