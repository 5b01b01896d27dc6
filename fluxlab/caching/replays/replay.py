"""Replay the users of Flux Studio against a layer, and count.

The database is a clone that is dropped after: writes are committed in it. The cache's
server is started for the replay and stopped after it. Loads are counted twice, by the
loader and by pg_stat_statements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.replays.mix import make_mix
from fluxlab.caching.replays.population import Population
from fluxlab.caching.replays.rates import KeyRates, key_rates
from fluxlab.caching.replays.stand import JITTER, Drawn, Plan, Stand
from fluxlab.caching.replays.traffic import Traffic
from fluxlab.caching.results import Prediction, Replay, ResourceCount
from fluxlab.caching.theory.windows import predict_window
from fluxlab.servers import redis as valkey
from fluxlab.settings import Settings
from fluxlab.workload.query import Workload


def draw(traffic: Traffic, plan: Plan) -> Drawn:
    """Draw the events of a plan; the same for every layer."""
    length_s = plan.window_s * plan.compression
    if plan.arrivals == "closed":
        past, seats = traffic.sessions(plan.demand.users, plan.past_s, length_s)
        return Drawn(past, (), seats)
    # One draw of sessions, so that who is there at time 0 was there before.
    views = traffic.views(-plan.past_s, length_s)
    before, after = views.parted(0.0)
    return Drawn(traffic.events(before, only_cached=True), traffic.events(after), ())


def replay(
    settings: Settings, conninfo: str, people: Population, workload: Workload, plan: Plan
) -> Replay:
    """Replay a plan on the database that `conninfo` names, in which it commits writes.

    Raises FluxlabError where no Valkey or Redis server can be started.
    """
    mix = make_mix(workload)
    traffic = Traffic(people, mix, plan.demand, plan.seed)
    drawn = draw(traffic, plan)
    with own_home(settings) as own:
        server = valkey.start(own)
        stand = Stand(server.url, conninfo, people, mix, plan)
        found = asyncio.run(stand.run(drawn))
    if plan.layer == "none":
        return found
    return with_predictions(found, key_rates(traffic, plan.layer))


def with_predictions(found: Replay, rates: Mapping[str, KeyRates]) -> Replay:
    """Return a Replay with what theory expects beside each resource.

    Theory gets the rates of each key, the lifetimes and the time of a load, all in
    seconds of the application. It sees reads spread evenly in time; see `EXPLAINED`.
    """
    resources = {
        pattern: replace(one, predicted=_predict(found, one, rates[pattern]))
        for pattern, one in found.resources.items()
        if pattern in rates
    }
    return replace(found, resources=resources)


def _predict(found: Replay, one: ResourceCount, rates: KeyRates) -> Prediction:
    load_s = one.load_ms / one.loads / 1_000 if one.loads else 0.0
    return predict_window(
        rates.reads,
        rates.invalidations,
        ttl_s=one.ttl_s,
        fill_s=load_s * found.compression,
        window_s=found.window_s * found.compression,
        past_s=found.past_s,
        jitter=JITTER[found.layer],
        seed=found.seed,
    )
