"""What `make run` does, as a list of sentences: servers, data, states, measurements, book.

Every step finds what an earlier, perhaps interrupted, run left and goes on from there.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fluxlab import cache_measuring, indexing
from fluxlab.book import pages, site
from fluxlab.dataset.load import build_template
from fluxlab.indexes.states import DATABASES
from fluxlab.lab import Lab, prepare
from fluxlab.measuring import measure_lab
from fluxlab.progress import Report, Tick
from fluxlab.scale import measure_scaling
from fluxlab.servers import postgres, redis
from fluxlab.settings import Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.measure import TimeSpent


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


def measure(lab: Lab, budget: Budget, report: Report) -> TimeSpent:
    """Measure the lab, each index, the cache, and with a larger budget other sizes.

    Returns where the time went at the lab's own size, single indexes and cache left out.
    """
    time_spent = measure_lab(lab, budget, report)
    if reason := indexing.why_not(lab):
        report(Tick(f"single indexes left out: {reason}", 1, 1))
    else:
        indexing.measure_indexes(lab, budget, report)
    if reason := cache_measuring.why_not(lab):
        report(Tick(f"the cache left out: {reason}", 1, 1))
    else:
        cache_measuring.measure_cache(lab, budget, report)
    if budget.has_every_regime:
        measure_scaling(lab, budget, report)
    return time_spent


def make_book(settings: Settings, directory: Path, report: Report) -> list[Path]:
    """Execute every chapter into a directory; return the notebooks written.

    Two at a time, but one that measures runs alone: it would time the others.
    """
    environment = {**os.environ, **environment_of(settings)}
    chapters = pages.chapters(settings.root)
    written: list[Path] = []

    def make(chapter: pages.Chapter) -> None:
        node = pages.execute(chapter, environment=environment)
        written.append(pages.write_twin(chapter, node, directory))
        report(Tick("chapters", len(written), len(chapters), chapter.title))

    report(Tick("chapters", 0, len(chapters)))
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(make, [one for one in chapters if not one.measures]):
            pass
    for chapter in chapters:
        if chapter.measures:
            make(chapter)
    if directory != settings.root / "notebooks":
        # Where readers keep nothing of their own, a chapter that was renamed goes.
        for path in set(directory.glob("*.ipynb")) - set(written):
            path.unlink()
    return sorted(written)


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
