"""The report's latency rows at six sizes of the data, each on a server of its own.

The lab's server holds one size. Every other gets a home below `scale/`, is built,
measured into the lab's own results store, and erased; a mark that it was completed is
left, so that nothing is built twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fluxlab.book.claims import LatencyClaim
from fluxlab.dataset.generate import table_sources
from fluxlab.dataset.load import build_template, fingerprint_of
from fluxlab.dataset.profile import load_profile
from fluxlab.errors import FluxlabError
from fluxlab.indexes.states import DATABASES
from fluxlab.progress import Report, Tick
from fluxlab.servers import postgres
from fluxlab.servers.alone import alone
from fluxlab.settings import USERS_OF_SIZE, Settings
from fluxlab.workload.budget import Budget
from fluxlab.workload.parameters import CLASSES
from fluxlab.workload.query import Workload
from fluxlab.workload.scaling import Curve, Growth, Point, Scaling
from fluxlab.workload.store import Measurement, Run, State, Store

if TYPE_CHECKING:
    from fluxlab.lab import Lab

#: Users, in steps of the root of ten, up to `medium`. The smallest is there because a
#: search without an index takes as long as the report says on very few messages.
SCALE_USERS = (32, 100, 316, 1_000, 3_162, 10_000)


def measure_scaling(lab: Lab, budget: Budget, report: Report) -> None:
    """Measure the queries of the latency table at every size that the lab has not.

    A size that is measured already is not built again. On a server that is not ours
    nothing happens: other sizes cannot be built beside its data.
    """
    if not lab.server.is_ours:
        return
    for own in _other_settings(lab.settings):
        if _is_measured(lab, own, budget):
            continue
        # The measuring of this size and of the lab itself would disturb each other.
        with alone(lab.server, "measuring"):
            _measure_size(own, budget, report)
            _erase(own)
            _mark_path(own).write_text(fingerprint_of(own))


def size_settings(settings: Settings, users: int) -> Settings:
    """Return settings of another size: a home of its own, the same results store."""
    names = {count: name for name, count in USERS_OF_SIZE.items()}
    return replace(
        settings,
        home=settings.home / "scale" / str(users),
        size=names.get(users, str(users)),
        results=settings.results_path,
    )


def erase_scaling(settings: Settings) -> bool:
    """Stop and delete what a killed run left of other sizes; tell whether there was any.

    What they measured is kept.
    """
    left = [own for own in _other_settings(settings) if own.home.is_dir()]
    for own in left:
        _erase(own)
    return bool(left)


def _other_settings(settings: Settings) -> list[Settings]:
    others = (users for users in SCALE_USERS if users != settings.users)
    return [size_settings(settings, users) for users in others]


def _is_measured(lab: Lab, own: Settings, budget: Budget) -> bool:
    """Tell whether a run completed this size, and the store still knows what it found."""
    path, fingerprint = _mark_path(own), fingerprint_of(own)
    if not path.exists() or path.read_text() != fingerprint:
        return False
    wanted = {lab.workload[claim.query].fingerprint for claim in lab.claims.latency}
    store = Store(own.results_path)
    states = [replace(lab.state(name), dataset=fingerprint) for name in DATABASES]
    known = [store.known(state, budget.timeout_ms) for state in states]
    store.close()
    return all(wanted <= {query for query, _ in keys} for keys in known)


def _mark_path(own: Settings) -> Path:
    return own.home.with_suffix(".measured")


def _measure_size(own: Settings, budget: Budget, report: Report) -> None:
    """Build one size, measure the reads of the latency table, stop its server.

    A first look at every pair is enough for a median; the rest of a budget is the lab's.
    """
    # The lab reads its scaling from this module.
    from fluxlab.lab import Lab, prepare
    from fluxlab.measuring import measure_lab

    def said(tick: Tick) -> None:
        report(replace(tick, phase=f"{own.users:,} users: {tick.phase}"))

    try:
        server = postgres.start(own)
        dataset = build_template(
            server, own, lambda step: said(Tick(step.name, step.done, step.total))
        )
        lab = Lab(own, server, dataset)
        for name in DATABASES:
            prepare(lab, name, lambda done, total, _: said(Tick("indexes", done, total)))
        queries = frozenset(claim.query for claim in lab.claims.latency)
        measure_lab(lab, budget, said, only=queries)
    finally:
        postgres.stop(own)


def _erase(own: Settings) -> None:
    postgres.erase(own)
    shutil.rmtree(own.home, ignore_errors=True)


def read_scaling(
    settings: Settings,
    states: Iterable[State],
    claims: Iterable[LatencyClaim],
    workload: Workload,
) -> Scaling:
    """Return what the store knows of the latency table, at every size measured.

    `states` are the two of the lab: another size has the same indexes and the same
    server, and differs in its data only. Raises FluxlabError when it knows nothing.
    """
    claims, states = tuple(claims), tuple(states)
    statements = {workload[claim.query].fingerprint for claim in claims}
    sizes: list[_Size] = []
    store = Store(settings.results_path)
    for users in sorted({*SCALE_USERS, settings.users}):
        own = size_settings(settings, users)
        dataset = fingerprint_of(own)
        before, after = (
            store.run(replace(state, dataset=dataset), statements) for state in states
        )
        if before and after:
            sizes.append(_Size(users, _rows(own), before, after))
    store.close()
    if not sizes:
        raise FluxlabError(
            "Nothing has been measured at any size of the data.", "`make run` measures it."
        )
    measured = {size.users for size in sizes}
    return Scaling(
        tuple(_growths(claims, sizes)),
        tuple(users for users in SCALE_USERS if users not in measured),
    )


@dataclass(frozen=True, slots=True)
class _Size:
    users: int
    rows: int
    before: Run
    after: Run

    def points(self, query: str, of_class: str) -> tuple[Point, Point] | None:
        """Return where both states are at this size; None where either is unknown."""
        before = self.before.find(query, of_class)
        after = self.after.find(query, of_class)
        if before is None or after is None:
            return None
        return self._point(before), self._point(after)

    def _point(self, one: Measurement) -> Point:
        reads_all = any("Seq Scan" in node.kind for node in one.plan.walk())
        return Point(self.users, self.rows, one.sample, is_served=not reads_all)


def _rows(own: Settings) -> int:
    sources = table_sources(load_profile(), own.users, own.seed)
    return sum(source.rows for source in sources)


def _growths(claims: Iterable[LatencyClaim], sizes: Sequence[_Size]) -> Iterator[Growth]:
    for claim in claims:
        for of_class in CLASSES:
            found = [size.points(claim.query, of_class) for size in sizes]
            if points := [pair for pair in found if pair]:
                before, after = zip(*points, strict=True)
                yield Growth(
                    claim.name,
                    claim.query,
                    of_class,
                    claim.before_ms,
                    Curve(before),
                    Curve(after),
                )
