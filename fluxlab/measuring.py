"""What is measured, in which order, and until when.

A first look at every pair comes first: reads, writes, the baseline against its own
copy (A/A), cold buffers, generic plans. What is left of the budget goes where more
rounds can still change a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import psycopg

from fluxlab.dataset.databases import clone, drop, maintenance
from fluxlab.indexes.states import DATABASES
from fluxlab.lab import CONTROL, Lab
from fluxlab.plans.explain import explain_prepared
from fluxlab.plans.reading import read_plan
from fluxlab.progress import Report, Tick
from fluxlab.servers.alone import alone
from fluxlab.servers.connections import connect
from fluxlab.workload.budget import Budget
from fluxlab.workload.clock import can_pin, placed
from fluxlab.workload.compare import Comparison, unsettled
from fluxlab.workload.measure import (
    Bench,
    Probe,
    TimeSpent,
    Work,
    measure_all,
    more_rounds,
)
from fluxlab.workload.parameters import ParameterSet, Sampler
from fluxlab.workload.query import Query
from fluxlab.workload.store import State, Store

#: Connections to rotate over where backends cannot be pinned.
_LANES = 4
#: Rounds that one visit adds: A B B A.
_ROUNDS_A_VISIT = 4
#: Shares of the time that is left, for reads and writes and for the rest.
_SHARE_OF_SPRINT = 0.75
#: Below so many blocks cold buffers make no difference that anybody would notice.
_COLD_BLOCKS = 100

Judge = Callable[[], Comparison]


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two states and the statements they are measured with.

    `databases` are those of the two states. Where they are `copied`, clones are
    measured and dropped: what a rolled-back write leaves behind must not slow a later
    run, and a state has no copy of its own.
    """

    phase: str
    states: tuple[State, State]
    databases: tuple[str, str]
    work: Work
    judge: Judge
    copied: bool = False


def measure_lab(
    lab: Lab, budget: Budget, report: Report, only: Set[str] | None = None
) -> TimeSpent:
    """Measure every Query in both states for as long as the budget says.

    Takes up where an earlier run stopped, and refines what one with a smaller budget
    left. With `only`, the names of Queries, just their reads are looked at, once.
    Returns where the time went.
    """
    with alone(lab.server, "measuring"), _opened(lab) as store:
        time_spent = TimeSpent()
        work = plan_work(lab, report, only)
        sprint = _sprint(lab, work)
        for experiment in sprint if only is None else sprint[:1]:
            _look(lab, experiment, budget, store, time_spent, report)
        if only is None:
            others = _others(lab, work, budget)
            for experiment in others:
                _look(lab, experiment, budget, store, time_spent, report)
            _refine_all(lab, sprint, others, budget, store, time_spent, report)
        return time_spent


def plan_work(lab: Lab, report: Report, only: Set[str] | None = None) -> Work:
    """Draw the ParameterSets of every Query that runs at this size."""
    queries = [
        query
        for query in lab.workload.values()
        if query.runs_at(lab.settings.size) and (only is None or query.name in only)
    ]
    work: list[tuple[Query, ParameterSet]] = []
    with lab.connection() as connection:
        sampler = Sampler(connection, lab.dataset.now, lab.settings.seed)
        for done, query in enumerate(queries):
            report(Tick("parameters", done, len(queries), query.name))
            work += [(query, drawn) for drawn in sampler.parameter_sets(query)]
    report(Tick("parameters", len(queries), len(queries)))
    return work


def _sprint(lab: Lab, work: Work) -> list[Experiment]:
    states = lab.state("baseline"), lab.state("sprint11")
    databases = DATABASES["baseline"], DATABASES["sprint11"]
    reads, writes = _split(work)
    return [
        Experiment("reads", states, databases, reads, lab.compare),
        Experiment("writes", states, databases, writes, lab.compare, copied=True),
    ]


def measure_control(lab: Lab, budget: Budget, store: Store, report: Report) -> TimeSpent:
    """Take a first look at every pair of the A/A run, into a store of one's own.

    The latencies that tell slow statements apart come from the lab's own store.
    """
    time_spent = TimeSpent()
    with alone(lab.server, "measuring"):
        work = _control_work(lab, plan_work(lab, report), budget)
        for experiment in _control(lab, work):
            _look(lab, experiment, budget, store, time_spent, report)
    return time_spent


def _others(lab: Lab, work: Work, budget: Budget) -> list[Experiment]:
    """Return the A/A run and the regimes, chosen by what the first look found."""
    found = _control(lab, _control_work(lab, work, budget))
    if lab.server.is_ours and _can_evict(lab):
        found.append(
            Experiment(
                "cold buffers",
                (lab.state("baseline", "cold"), lab.state("sprint11", "cold")),
                (DATABASES["baseline"], DATABASES["sprint11"]),
                _cold_work(lab, work, budget),
                lambda: lab.compare("cold"),
            )
        )
    found.append(
        Experiment(
            "generic plans",
            (lab.state("sprint11", "custom"), lab.state("sprint11", "generic")),
            (DATABASES["sprint11"], DATABASES["sprint11"]),
            _generic_work(lab, work, budget),
            lab.compare_plan_modes,
        )
    )
    return found


def _control(lab: Lab, work: Work) -> list[Experiment]:
    states = lab.state(CONTROL[0]), lab.state(CONTROL[1])
    copies = DATABASES["baseline"], DATABASES["baseline"]
    reads, writes = _split(work)
    return [
        Experiment("A/A, reads", states, copies, reads, lab.compare_control, copied=True),
        Experiment("A/A, writes", states, copies, writes, lab.compare_control, copied=True),
    ]


def _split(work: Work) -> tuple[Work, Work]:
    reads = [item for item in work if not item[0].is_write]
    return reads, [item for item in work if item[0].is_write]


def _control_work(lab: Lab, work: Work, budget: Budget) -> Work:
    """Return what is measured against itself: its floor needs a few hundred pairs."""
    fast = _fast(lab, work, "baseline", budget)
    if budget.control == "all":
        return fast
    each = _one_class_each(fast)
    return each if budget.control == "one of each" else each[::2]


def _cold_work(lab: Lab, work: Work, budget: Budget) -> Work:
    """Return the reads that touch many blocks, or those of the report's claims."""
    blocks: dict[tuple[str, str], int] = {}
    for state in DATABASES:
        for one in lab.run(state).measurements:
            blocks[one.key] = max(blocks.get(one.key, 0), one.plan.blocks)
    claimed = {claim.query for claim in lab.claims.latency}
    return [
        (query, drawn)
        for query, drawn in _fast(lab, _split(work)[0], "baseline", budget)
        if query.name in claimed
        or (
            budget.has_every_regime
            and blocks.get((query.fingerprint, drawn.fingerprint), 0) >= _COLD_BLOCKS
        )
    ]


def _generic_work(lab: Lab, work: Work, budget: Budget) -> Work:
    """Return the reads that get another plan when it has to fit any value."""
    fast = _fast(lab, _split(work)[0], "sprint11", budget)
    found = []
    with lab.connection("sprint11") as connection:
        for query, drawn in fast if budget.has_every_regime else _one_class_each(fast):
            shapes = set()
            for mode in ("custom", "generic"):
                connection.execute(f"set plan_cache_mode = force_{mode}_plan".encode())
                text = explain_prepared(connection, query.statement, drawn.values)
                shapes.add(read_plan(text).shape)
            if len(shapes) > 1:
                found.append((query, drawn))
    return found


def _fast(lab: Lab, work: Work, state: str, budget: Budget) -> Work:
    """Return the statements that the budget has time to measure in further ways."""
    latencies = {one.key: one.sample.median_ms for one in lab.run(state).measurements}
    return [
        (query, drawn)
        for query, drawn in work
        if latencies.get((query.fingerprint, drawn.fingerprint), 0.0) <= budget.slow_ms
    ]


def _one_class_each(work: Work) -> Work:
    """Return one class of each Query: any, but the same in every run."""
    chosen: dict[str, tuple[bytes, tuple[Query, ParameterSet]]] = {}
    for query, drawn in work:
        rank = sha256(f"{query.name} {drawn.of_class}".encode()).digest()
        if query.name not in chosen or rank < chosen[query.name][0]:
            chosen[query.name] = (rank, (query, drawn))
    return [item for _, item in chosen.values()]


def _look(
    lab: Lab,
    experiment: Experiment,
    budget: Budget,
    store: Store,
    time_spent: TimeSpent,
    report: Report,
) -> None:
    known = [store.known(state, budget.timeout_ms) for state in experiment.states]
    left = [
        (query, drawn)
        for query, drawn in experiment.work
        if not all((query.fingerprint, drawn.fingerprint) in keys for keys in known)
    ]
    if not left:
        return
    with _bench(lab, experiment, budget, time_spent) as bench:
        measure_all(
            bench,
            experiment.work,
            store,
            lambda done: report(Tick(experiment.phase, done.done, done.total, done.query)),
        )


def _refine_all(
    lab: Lab,
    sprint: Sequence[Experiment],
    others: Sequence[Experiment],
    budget: Budget,
    store: Store,
    time_spent: TimeSpent,
    report: Report,
) -> None:
    """Spend what is left of the budget; what earlier runs spent is spent."""
    left = budget.seconds - store.spent(sprint[0].states[1])
    if left <= 0:
        return
    for experiments, share in ((sprint, _SHARE_OF_SPRINT), (others, 1.0)):
        # The small ones first: what they leave goes to the large.
        ordered = sorted(experiments, key=lambda one: len(one.work))
        for number, experiment in enumerate(ordered):
            left = budget.seconds - store.spent(sprint[0].states[1])
            until = time.monotonic() + left * share / (len(ordered) - number)
            _refine(lab, experiment, budget, store, time_spent, report, until)


def _refine(
    lab: Lab,
    experiment: Experiment,
    budget: Budget,
    store: Store,
    time_spent: TimeSpent,
    report: Report,
    until: float,
) -> None:
    """Add rounds to what is not settled, the cheapest first, wave after wave."""
    by_key = {
        (query.fingerprint, drawn.fingerprint): (query, drawn)
        for query, drawn in experiment.work
    }
    phase, visited = f"more {experiment.phase}", 0
    with _bench(lab, experiment, budget, time_spent) as bench:
        while (left_s := until - time.monotonic()) > 0:
            wave = [
                change
                for change in unsettled(experiment.judge(), budget)
                if change.before.key in by_key
            ]
            if not wave:
                break
            # What the report names is what its readers look up first.
            wave.sort(key=lambda change: by_key[change.before.key][0].claim is None)
            for change in wave:
                report(Tick(phase, visited, 0, change.query, left_s))
                query, drawn = by_key[change.before.key]
                pair = change.before, change.after
                bench.keep(
                    store,
                    partial(more_rounds, bench, query, drawn, pair, _ROUNDS_A_VISIT),
                )
                visited += 1
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
    report(Tick(phase, visited, visited))


@contextmanager
def _bench(
    lab: Lab, experiment: Experiment, budget: Budget, time_spent: TimeSpent
) -> Iterator[Bench]:
    """Put both states on the bench: connections, their place, and emptied buffers."""
    is_ours = lab.server.is_ours
    with ExitStack() as stack:
        databases = stack.enter_context(_databases(lab, experiment))
        lanes = 1 if can_pin(is_ours=is_ours) else _LANES
        probes = [
            Probe(
                state,
                tuple(
                    stack.enter_context(connect(lab.server, database)) for _ in range(lanes)
                ),
            )
            for state, database in zip(experiment.states, databases, strict=True)
        ]
        backends = [one for probe in probes for one in probe.connections]
        evict = None
        if experiment.states[0].regime == "cold":
            evict = _emptier(stack.enter_context(maintenance(lab.server)))
        placement = stack.enter_context(placed(backends, is_ours=is_ours))
        is_control = experiment.states[0].name in CONTROL
        bench = Bench(probes[0], probes[1], budget, placement, evict, is_control)
        yield replace(bench, time_spent=time_spent)


@contextmanager
def _databases(lab: Lab, experiment: Experiment) -> Iterator[tuple[str, str]]:
    if not experiment.copied:
        yield experiment.databases
        return
    names = [
        f"{database}_scratch_{side}"
        for side, database in zip("ab", experiment.databases, strict=True)
    ]
    try:
        for name, database in zip(names, experiment.databases, strict=True):
            clone(lab.server, name, source=database)
        yield names[0], names[1]
    finally:
        for name in names:
            drop(lab.server, name)


def _can_evict(lab: Lab) -> bool:
    """Whether the server can empty its shared buffers: PostgreSQL 18 with contrib."""
    if lab.server.version < 180000:
        return False
    with maintenance(lab.server) as connection:
        found = connection.execute(
            "select 1 from pg_available_extensions where name = 'pg_buffercache'"
        ).fetchone()
        if found:
            connection.execute("create extension if not exists pg_buffercache")
    return bool(found)


def _emptier(connection: psycopg.Connection) -> Callable[[], None]:
    def empty() -> None:
        connection.execute("select pg_buffercache_evict_all()")

    return empty


@contextmanager
def _opened(lab: Lab) -> Iterator[Store]:
    store = Store(lab.settings.results_path)
    try:
        yield store
    finally:
        store.close()
