"""Measure the cache: replays of the users, the experiments and the small checks.

Each is one note, written whole: a run that was killed goes on with what is missing, and
one with a larger budget replaces what was shorter. Writes of a replay are committed in a
scratch database that is dropped after.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from psycopg.conninfo import make_conninfo

from fluxlab.book.cache_evidence import (
    CHECKS,
    EXPERIMENTS,
    REPLAY,
    write_checks,
    write_experiments,
    write_replay,
)
from fluxlab.cache_lab import STATE, open_notes
from fluxlab.caching.checks.run import run_checks
from fluxlab.caching.experiments.run import run_experiments
from fluxlab.caching.replays.census import read_population
from fluxlab.caching.replays.population import Population
from fluxlab.caching.replays.replay import replay
from fluxlab.caching.replays.stand import Plan
from fluxlab.caching.replays.traffic import Demand
from fluxlab.caching.results import Arrivals, LayerName
from fluxlab.errors import FluxlabError
from fluxlab.indexes.hiding import scratch
from fluxlab.indexes.states import DATABASES
from fluxlab.lab import Lab
from fluxlab.progress import Report, Tick
from fluxlab.servers.alone import alone
from fluxlab.servers.binaries import find_redis
from fluxlab.workload.budget import Budget
from fluxlab.workload.notes import Notes

#: The report's concurrent users, and those of the smallest data.
USERS, FEW_USERS = 500, 50
_IS_SUPERUSER = "select rolsuper from pg_roles where rolname = current_user"
_HAS_STATISTICS = "select 1 from pg_available_extensions where name = 'pg_stat_statements'"


@dataclass(frozen=True, slots=True)
class CacheBudget:
    """What a budget gives the cache. Windows are in seconds of ours.

    A second of ours is `compression` of the application, of which `past_s` went before.
    `others` are more replays of ours, with other users and seeds: (users, seed).
    """

    none_s: float
    open_s: float
    closed_s: float
    past_s: float
    compression: float
    experiments_scale: float
    check_share: float = 0.5
    others: tuple[tuple[int, int], ...] = ()


#: An experiment shorter than 0.65 of the usual does not show how the report's cache ends.
_BUDGETS = {
    "quick": CacheBudget(7, 18, 0, 1_800, 2, 0.7),
    "standard": CacheBudget(20, 90, 60, 3_600, 2, 1.0, others=((125, 12),)),
    "thorough": CacheBudget(
        60, 300, 180, 3_600, 2, 2.0, others=((500, 12), (125, 13), (2_000, 14))
    ),
}


def budget_of(budget: Budget, size: str) -> CacheBudget:
    """Return what a Budget means here; at size tiny fewer users take less time."""
    found = _BUDGETS[budget.name]
    if size != "tiny":
        return found
    return replace(
        found,
        none_s=found.none_s / 4,
        open_s=found.open_s / 4,
        closed_s=found.closed_s / 4,
        compression=10,
        experiments_scale=found.experiments_scale / 2,
        others=tuple((max(5, users // 10), seed) for users, seed in found.others),
    )


def plans(lab: Lab, budget: Budget) -> tuple[Plan, ...]:
    """Return the replays of a budget: the three layers in the same traffic, then others."""
    size = lab.settings.size
    given = budget_of(budget, size)
    users = FEW_USERS if size == "tiny" else USERS

    def plan(layer: LayerName, arrivals: Arrivals, window_s: float) -> Plan:
        return Plan(
            layer=layer,
            arrivals=arrivals,
            demand=Demand(users),
            compression=given.compression,
            window_s=window_s,
            past_s=0.0 if layer == "none" else given.past_s,
            seed=lab.settings.seed,
            check_share=given.check_share,
        )

    found = [
        plan("none", "open", given.none_s),
        plan("sprint11", "open", given.open_s),
        plan("fluxlab", "open", given.open_s),
    ]
    if given.closed_s:
        found += [
            plan("none", "closed", given.none_s),
            plan("sprint11", "closed", given.closed_s),
            plan("fluxlab", "closed", given.closed_s),
        ]
    # Shorter than the replay that chapters read, which is the longest of its layer.
    found += [
        replace(plan("fluxlab", "open", given.open_s / 2), demand=Demand(users), seed=seed)
        for users, seed in given.others
    ]
    return tuple(found)


def measure_cache(lab: Lab, budget: Budget, report: Report) -> None:
    """Replay the users against no cache, the report's and ours; experiment and check.

    Needs a server on which we are superuser, and a Valkey or Redis to start. Raises
    FluxlabError elsewhere.
    """
    if reason := why_not(lab):
        raise FluxlabError(
            f"The cache cannot be measured: {reason}.",
            "Let fluxlab start servers of its own: unset DATABASE_URL.",
        )
    given = budget_of(budget, lab.settings.size)
    notes = open_notes(lab)
    try:
        with alone(lab.server, "measuring"):
            replay_all(lab, plans(lab, budget), notes, report)
            _experiment(lab, given.experiments_scale, notes, report)
            if not notes.read(CHECKS):
                with lab.connection(STATE) as connection:
                    write_checks(
                        notes,
                        run_checks(
                            lab.settings, connection, lab.workload, lab.dataset.now, report
                        ),
                    )
    finally:
        notes.close()


def why_not(lab: Lab) -> str | None:
    """Return why the cache cannot be measured here, or None."""
    with lab.connection() as connection:
        row = connection.execute(_IS_SUPERUSER).fetchone()
        has_statistics = connection.execute(_HAS_STATISTICS).fetchone()
    if not (row and row[0]):
        return (
            "only a superuser can copy the database for a replay and leave its own checks"
            " out of the statistics, and this account is none"
        )
    if not has_statistics:
        return "this server has no pg_stat_statements to count what the cache saves"
    try:
        find_redis(lab.settings)
    except FluxlabError as error:
        return f"a replay starts a cache server of its own, and there is none ({error})"
    return None


def subject_of(plan: Plan, seed: int) -> str:
    """Return the name of a replay's note; those of other seeds say so."""
    name = f"{plan.layer}, {plan.arrivals}"
    if plan.seed == seed:
        return name
    return f"{name}, {plan.demand.users} users, seed {plan.seed}"


def replay_all(lab: Lab, wanted: tuple[Plan, ...], notes: Notes, report: Report) -> None:
    """Take the replays that the notes do not have yet, one after the other."""
    people: Population | None = None
    for done, plan in enumerate(wanted):
        subject = subject_of(plan, lab.settings.seed)
        report(Tick("replays", done, len(wanted), subject))
        known = notes.read(REPLAY).get(subject)
        if known and known["window_s"] >= plan.window_s:
            continue
        people = people or _census(lab)
        with _scratch(lab) as database:
            conninfo = make_conninfo(lab.server.conninfo, dbname=database)
            found = replay(lab.settings, conninfo, people, lab.workload, plan)
        write_replay(notes, subject, found)
    report(Tick("replays", len(wanted), len(wanted)))


def _census(lab: Lab) -> Population:
    with lab.connection(STATE) as connection:
        return read_population(connection, lab.dataset.now)


def _scratch(lab: Lab) -> AbstractContextManager[str]:
    return scratch(lab.server, "cache", DATABASES[STATE])


def _experiment(lab: Lab, scale: float, notes: Notes, report: Report) -> None:
    known = notes.read(EXPERIMENTS).get("all")
    if known and known["scale"] >= scale:
        return
    with _scratch(lab) as database:
        conninfo = make_conninfo(lab.server.conninfo, dbname=database)
        found = run_experiments(lab.settings, conninfo, seconds_scale=scale, report=report)
    write_experiments(notes, found)
