"""What `make run` does, as a list of sentences: servers, data, states, measurements, book.

Every step finds what an earlier, perhaps interrupted, run left and goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fluxlab.book import pages, site
from fluxlab.dataset.databases import clone, drop
from fluxlab.dataset.load import build_template
from fluxlab.indexes.states import DATABASES
from fluxlab.lab import Lab, prepare
from fluxlab.servers import postgres, redis
from fluxlab.servers.connections import connect
from fluxlab.servers.process import lock
from fluxlab.settings import Settings
from fluxlab.workload.measure import Effort, Probe, measure_all, placed
from fluxlab.workload.parameters import ParameterSet, Sampler
from fluxlab.workload.query import Query
from fluxlab.workload.store import Store

Work = Sequence[tuple[Query, ParameterSet]]


@dataclass(frozen=True, slots=True)
class Tick:
    """How far a phase is; `total` is 0 when nobody can tell."""

    phase: str
    done: int
    total: int
    detail: str = ""


Report = Callable[[Tick], None]


def start_lab(settings: Settings, report: Report) -> Lab:
    """Start both servers, build the data and the two states."""
    report(Tick("servers", 0, 2, "PostgreSQL"))
    server = postgres.start(settings)
    report(Tick("servers", 1, 2, "Valkey"))
    redis.start(settings)
    report(Tick("servers", 2, 2, server.message))
    dataset = build_template(
        server,
        settings,
        lambda phase: report(
            Tick(
                f"data: {phase.name}",
                phase.done,
                phase.total,
                phase.detail if phase.done < phase.total else "",
            )
        ),
    )
    lab = Lab(settings, server, dataset)
    for done, name in enumerate(DATABASES):
        report(Tick("states", done, len(DATABASES), name))
        prepare(
            lab,
            name,
            lambda built, total, index: report(Tick("indexes", built, total, index)),
        )
    report(Tick("states", len(DATABASES), len(DATABASES)))
    return lab


def measure_lab(lab: Lab, effort: Effort, report: Report) -> int:
    """Measure every Query in both states; return the number of pairs measured now.

    Reads run on the states themselves. Writes run on clones that are dropped after:
    they are rolled back, but dead rows would stay behind and slow the next run.
    """
    # Two at a time would measure each other, and share the clones.
    with lock(lab.settings.home / "run.lock", "the queries", 0.0, activity="measuring"):
        work = plan_work(lab, report)
        reads = [item for item in work if not item[0].is_write]
        writes = [item for item in work if item[0].is_write]
        measured = _measure(lab, reads, DATABASES, "reads", effort, report)
        if _left_to_do(lab, writes, effort):
            with _scratch_clones(lab) as clones:
                measured += _measure(lab, writes, clones, "writes", effort, report)
        return measured


def plan_work(lab: Lab, report: Report) -> Work:
    """Draw the ParameterSets of every Query that runs at this size."""
    queries = [query for query in lab.workload.values() if query.runs_at(lab.settings.size)]
    work: list[tuple[Query, ParameterSet]] = []
    with lab.connection() as connection:
        sampler = Sampler(connection, lab.dataset.now, lab.settings.seed)
        for done, query in enumerate(queries):
            report(Tick("parameters", done, len(queries), query.name))
            work += [(query, drawn) for drawn in sampler.parameter_sets(query)]
    report(Tick("parameters", len(queries), len(queries)))
    return work


def _measure(
    lab: Lab,
    work: Work,
    databases: dict[str, str],
    phase: str,
    effort: Effort,
    report: Report,
) -> int:
    store = Store(lab.settings.results_path)
    before, after = databases
    with ExitStack() as stack:
        stack.callback(store.close)
        probes = tuple(
            Probe(
                lab.state(name),
                stack.enter_context(connect(lab.server, databases[name])),
            )
            for name in (before, after)
        )
        stack.enter_context(
            placed([probe.connection for probe in probes], is_ours=lab.server.is_ours)
        )
        return measure_all(
            (probes[0], probes[1]),
            work,
            store,
            effort,
            lambda done: report(Tick(phase, done.done, done.total, done.query)),
        )


def _left_to_do(lab: Lab, work: Work, effort: Effort) -> bool:
    store = Store(lab.settings.results_path)
    known = [store.known(lab.state(name), effort.timeout_ms) for name in DATABASES]
    store.close()
    return any(
        (query.fingerprint, drawn.fingerprint) not in keys
        for query, drawn in work
        for keys in known
    )


@contextmanager
def _scratch_clones(lab: Lab) -> Iterator[dict[str, str]]:
    names = {name: f"{database}_writes" for name, database in DATABASES.items()}
    try:
        for name, database in names.items():
            clone(lab.server, database, source=DATABASES[name])
        yield names
    finally:
        for database in names.values():
            drop(lab.server, database)


def make_book(settings: Settings, directory: Path, report: Report) -> list[Path]:
    """Execute every chapter into a directory; return the notebooks written."""
    written = []
    chapters = pages.chapters(settings.root)
    environment = {**os.environ, **environment_of(settings)}
    for done, chapter in enumerate(chapters):
        report(Tick("chapters", done, len(chapters), chapter.title))
        node = pages.execute(chapter, environment=environment)
        written.append(pages.write_twin(chapter, node, directory))
    report(Tick("chapters", len(chapters), len(chapters)))
    return written


def make_site(settings: Settings, notebooks: Path, report: Report) -> Path:
    """Build the site from executed notebooks; return its first page."""
    report(Tick("site", 0, 1, "Sphinx"))
    output = settings.root / "site" / "_build" / "html"
    index = site.build_site(settings.root, notebooks, output)
    report(Tick("site", 1, 1))
    return index


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process read these settings."""
    variables = {
        "FLUXLAB_HOME": str(settings.home),
        "FLUXLAB_SIZE": settings.size,
        "FLUXLAB_SEED": str(settings.seed),
        "FLUXLAB_DURABLE": "on" if settings.is_durable else "off",
    }
    for name, value in (
        ("DATABASE_URL", settings.database_url),
        ("REDIS_URL", settings.redis_url),
        ("FLUXLAB_PG_BIN", settings.postgres_bin),
        ("FLUXLAB_REDIS_BIN", settings.redis_bin),
    ):
        if value is not None:
            variables[name] = str(value)
    return variables
