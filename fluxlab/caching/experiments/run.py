"""The three experiments and the small ones: the report's cache and ours, side by side.

Everything meets the same server program and the same rows. Servers are started for it in
homes of their own, and are gone afterwards.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.experiments.details import DetailPlan, details
from fluxlab.caching.experiments.found import Experiments
from fluxlab.caching.experiments.outage import OutagePlan, outages
from fluxlab.caching.experiments.rows import Source
from fluxlab.caching.experiments.stale import StalePlan, stale_reads
from fluxlab.caching.experiments.stampede import StampedePlan, stampedes
from fluxlab.progress import Report, Tick
from fluxlab.servers import redis as valkey
from fluxlab.settings import Settings

PHASE = "cache experiments"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often, for each experiment."""

    stale: StalePlan
    stampedes: StampedePlan
    outages: OutagePlan
    details: DetailPlan


def plan_of(scale: float) -> Plan:
    """Return the usual plan, with `scale` times the trials and the seconds.

    An outage is never longer than usual, and one that is shorter than about 3 s does not
    show that the report's cache gives up.
    """
    shorter = min(1.0, scale)
    return Plan(
        stale=StalePlan(trials=max(1, round(4 * scale)), together_s=max(0.3, 1.2 * scale)),
        stampedes=StampedePlan(repetitions=max(1, round(2 * scale))),
        outages=OutagePlan(
            killed_s=5 * shorter,
            stopped_s=3 * shorter,
            absent_s=4 * shorter,
            # Our probe waits at most as long again as it has waited, and 5 s at most.
            after_s=max(2.5, 5.5 * shorter),
        ),
        details=DetailPlan(
            keys=(1_000, 10_000, 100_000) if scale >= 1 else (1_000, 10_000),
            repetitions=max(3, round(5 * scale)),
        ),
    )


def run_experiments(
    settings: Settings,
    conninfo: str | None,
    *,
    seconds_scale: float = 1.0,
    report: Report = lambda tick: None,
) -> Experiments:
    """Run all of them; about 35 s at scale 1.

    `conninfo` is a scratch database of PostgreSQL, where the table flux_cache_experiment
    is made and dropped; about 50 connections are opened. Without one the rows are in a
    file of SQLite. Raises FluxlabError where no Valkey or Redis server can be started.
    """
    with tempfile.TemporaryDirectory(prefix="flux-rows-") as folder:
        source = Source(conninfo, str(Path(folder) / "rows.sqlite"))
        source.drop()
        try:
            return _finished(_run(settings, source, seconds_scale, report))
        finally:
            source.drop()


async def _run(
    settings: Settings, source: Source, scale: float, report: Report
) -> Experiments:
    begun, plan = time.monotonic(), plan_of(scale)
    with own_home(settings) as own:
        server = await asyncio.to_thread(valkey.start, own)
        report(Tick(PHASE, 0, 4, "stale reads"))
        stale = await stale_reads(server.url, source, plan.stale)
        report(Tick(PHASE, 1, 4, "stampedes"))
        herds = await stampedes(server.url, source, plan.stampedes)
        report(Tick(PHASE, 2, 4, "types, patterns and sizes"))
        small = await details(server.url, source, plan.details)
    report(Tick(PHASE, 3, 4, "outages"))
    away = await outages(settings, source, plan.outages)
    report(Tick(PHASE, 4, 4))
    return Experiments(
        server=f"{server.origin} {server.version}",
        scale=scale,
        took_s=time.monotonic() - begun,
        stale=stale,
        stampedes=herds,
        outages=away,
        details=small,
    )


def _finished(running: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it in this thread, or in one of its own inside a notebook's event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(running)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, running).result()
