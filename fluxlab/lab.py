"""The Lab: what a notebook holds. `fluxlab.open()` returns it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import pandas as pd
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from fluxlab.book.claims import Claims, read_claims
from fluxlab.book.evidence import (
    Evidence,
    ask_all,
    read_crossings,
    read_distinct_values,
    read_shares,
    read_use_cases,
)
from fluxlab.book.judges import judge_all
from fluxlab.book.ledger import Ledger, read_sections
from fluxlab.cache_lab import CacheLab
from fluxlab.dataset.load import Dataset, build_template
from fluxlab.errors import FluxlabError
from fluxlab.index_lab import MIGRATION, IndexLab
from fluxlab.indexes.catalog import Catalog, read_catalog
from fluxlab.indexes.practices import Practices, read_practices
from fluxlab.indexes.states import (
    DATABASES,
    Report,
    prepare_state,
    read_migration,
    read_state,
    silent,
)
from fluxlab.plans.explain import explain
from fluxlab.plans.plan import Plan
from fluxlab.scale import read_scaling
from fluxlab.servers import postgres, redis
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings, read_settings
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.compare import Comparison, compare_control, compare_runs
from fluxlab.workload.noise import NoiseFloor
from fluxlab.workload.parameters import ParameterSet, Sampler
from fluxlab.workload.query import Query, Workload
from fluxlab.workload.scaling import Scaling
from fluxlab.workload.store import Regime, Run, State, Store

#: The two sides of the A/A run: the baseline under another name, and its copy.
CONTROL = ("control", "control copy")


class Lab:
    """The server, the data, the Workload and every Measurement taken so far.

    The states are `baseline` (11 indexes) and `sprint11` (those and 90 more). Nothing
    here changes either of them.
    """

    def __init__(
        self, settings: Settings, server: PostgresServer, dataset: Dataset
    ) -> None:
        self.settings = settings
        self.server = server
        self.dataset = dataset

    @cached_property
    def workload(self) -> Workload:
        """Every Query, by name."""
        return load_workload(self.settings.root / "sql" / "queries")

    @property
    def cache_server(self) -> RedisServer | None:
        """The server of the cache, when it runs."""
        return redis.find(self.settings)

    @cached_property
    def claims(self) -> Claims:
        """What the report says."""
        return read_claims(self.settings.root / "data" / "claims.toml")

    @contextmanager
    def connection(self, state: str = "baseline") -> Iterator[psycopg.Connection]:
        """Open a connection to the database of a state, for as long as the block lasts."""
        with connect(self.server, _database(state)) as connection:
            yield connection

    def catalog(self, state: str = "baseline") -> Catalog:
        """Read tables, indexes and foreign keys of a state."""
        with self.connection(state) as connection:
            return read_catalog(connection, self.settings.root / "sql" / "catalog")

    def state(self, name: str, regime: Regime = "warm") -> State:
        """Return the fingerprints of a state as it is now."""
        if name in CONTROL:
            return replace(self.state("baseline"), name=name)
        _database(name)
        catalog = self.settings.root / "sql" / "catalog"
        found = read_state(self.server, self.dataset, name, catalog)
        return replace(found, regime=regime)

    def run(self, state: str = "baseline", regime: Regime = "warm") -> Run:
        """Return what has been measured of a state, as it is now.

        Raises FluxlabError when nothing has; only the A/A run and the regimes may be
        empty, because not every server can have them.
        """
        store = Store(self.settings.results_path)
        statements = {query.fingerprint for query in self.workload.values()}
        run = store.run(self.state(state, regime), statements)
        store.close()
        if not run and state not in CONTROL and regime == "warm":
            raise FluxlabError(
                f"Nothing has been measured of the state {state} with this data set.",
                f"`make run SIZE={self.settings.size}` measures it.",
            )
        return run

    @cached_property
    def comparison(self) -> Comparison:
        """The sprint against the baseline, Query by Query and class by class."""
        return self.compare()

    @cached_property
    def control(self) -> Comparison:
        """The baseline against its own copy (A/A): what this machine can see."""
        return self.compare_control()

    @cached_property
    def cold(self) -> Comparison:
        """The sprint against the baseline with the shared buffers emptied each time."""
        return self.compare("cold")

    @cached_property
    def plan_modes(self) -> Comparison:
        """Plans for any value (generic) against those for the value at hand (custom).

        Only of Queries where the two differ, in the state sprint11.
        """
        return self.compare_plan_modes()

    @cached_property
    def scaling(self) -> Scaling:
        """The report's latency rows at every size of the data measured so far."""
        states = (self.state(name) for name in DATABASES)
        return read_scaling(self.settings, states, self.claims.latency, self.workload)

    @property
    def floor(self) -> NoiseFloor:
        """The noise floor of the client's clock."""
        return self.control.floors.clock

    def compare(self, regime: Regime = "warm") -> Comparison:
        """Compare both states by what is measured now; `comparison` remembers it."""
        before, after = self.run("baseline", regime), self.run("sprint11", regime)
        return compare_runs(before, after, self.compare_control().floors)

    def compare_control(self) -> Comparison:
        """Compare the baseline with its copy by what is measured now."""
        return compare_control(*(self.run(name) for name in CONTROL))

    def compare_plan_modes(self) -> Comparison:
        """Compare generic with custom plans by what is measured now."""
        modes: tuple[Regime, Regime] = ("custom", "generic")
        custom, generic = (self.run("sprint11", mode) for mode in modes)
        return compare_runs(custom, generic, self.compare_control().floors)

    @cached_property
    def indexes(self) -> IndexLab:
        """Every index by itself: what it helps, what it costs, keep or drop."""
        return IndexLab(self)

    @cached_property
    def practices(self) -> Practices:
        """What small experiments found on the practices of the report."""
        store = self.indexes.open_store()
        try:
            return read_practices(store, self.compare_control().floors)
        finally:
            store.close()

    @cached_property
    def cache(self) -> CacheLab:
        """What replays, experiments and checks found on the report's cache and ours."""
        return CacheLab(self)

    @cached_property
    def evidence(self) -> Evidence:
        """What judges look at: both catalogs, the Comparison, what the server answers."""
        root = self.settings.root
        questions = root / "sql" / "catalog"
        migration = read_migration(root / "sql" / "migrations" / MIGRATION)
        rows = {claim.query for claim in self.claims.latency}
        asked = rows.intersection(self.comparison.by_query)
        with self.connection("sprint11") as connection:
            return Evidence(
                before=self.catalog("baseline"),
                after=self.catalog("sprint11"),
                comparison=self.comparison,
                workload=self.workload,
                use_cases=read_use_cases(root / "data" / "facts" / "queries.csv"),
                shares=read_shares(connection, questions / "index_entries.sql"),
                distinct_values=read_distinct_values(
                    connection, questions / "column_values.sql"
                ),
                migration=migration.statements,
                crossings=read_crossings(self.scaling) if asked else {},
                indexes=self.indexes.contributions
                if self.indexes.read_notes("ladder")
                else None,
                prices=self.indexes.prices,
                plan_modes=self.plan_modes,
                practices=self.practices,
                cache=self.cache.evidence,
                answers=ask_all(connection, self.claims, root / "sql" / "monitoring"),
            )

    @cached_property
    def ledger(self) -> Ledger:
        """The Verdict on every claim of the report."""
        sections = read_sections(self.settings.root / "data" / "sprint11_report.md")
        return Ledger(judge_all(self.claims, self.evidence), sections)

    def parameters(self, query: str | Query, of_class: str = "typical") -> ParameterSet:
        """Draw the ParameterSet of a class; the first there is where it has no own."""
        found = self.workload.find(query) if isinstance(query, str) else query
        with self.connection() as connection:
            sampler = Sampler(connection, self.dataset.now, self.settings.seed)
            sets = {drawn.of_class: drawn for drawn in sampler.parameter_sets(found)}
        return sets.get(of_class) or next(iter(sets.values()))

    def plan(self, query: str, state: str = "baseline", of_class: str = "typical") -> Plan:
        """Return the Plan that was measured."""
        change = self.comparison.find(query, of_class)
        return (change.before if state == "baseline" else change.after).plan

    def explain(
        self,
        query: str,
        state: str = "baseline",
        of_class: str = "typical",
        *,
        analyze: bool = False,
    ) -> Plan:
        """Ask the server for a Plan now; a write is rolled back."""
        found = self.workload.find(query)
        values = self.parameters(found, of_class).values
        with (
            connect(self.server, _database(state), autocommit=False) as connection,
            connection.transaction(force_rollback=True),
        ):
            return explain(connection, found.statement, values, analyze=analyze)

    def psql_environment(self, state: str = "baseline") -> dict[str, str]:
        """Return the PG… variables with which psql reaches a state; may hold a password."""
        words = conninfo_to_dict(self.server.conninfo, dbname=_database(state))
        names = {
            option.keyword.decode(): option.envvar.decode()
            for option in Conninfo.get_defaults()
            if option.envvar
        }
        return {names[key]: str(value) for key, value in words.items() if key in names}

    def queries(self) -> pd.DataFrame:
        """Return one row per Query: area, kind, tables, weight, claim, habits."""
        return pd.DataFrame(
            {
                "query": query.name,
                "area": query.area,
                "kind": "write" if query.is_write else "read",
                "tables": ", ".join(query.tables),
                "weight": query.weight,
                "claim": query.claim or "",
                "habits": ", ".join(query.habits),
                "what": query.what,
            }
            for query in self.workload.values()
        ).set_index("query")

    def __repr__(self) -> str:
        return (
            f"<Lab: PostgreSQL {self.server.version_text} ({self.server.origin}), "
            f"{sum(self.dataset.rows.values()):,} rows of size {self.dataset.size}, "
            f"{len(self.workload)} queries>"
        )


def open_lab(settings: Settings | None = None) -> Lab:
    """Return the Lab; starts the servers and makes data and states where they are missing.

    Quick when `make run` went before; at size small about a minute when it did not.
    """
    settings = settings or read_settings()
    server = postgres.start(settings)
    redis.start(settings)
    lab = Lab(settings, server, build_template(server, settings))
    for name in DATABASES:
        prepare(lab, name)
    return lab


def prepare(lab: Lab, name: str, report: Report = silent) -> None:
    """Make the database of a state where it is missing."""
    path = lab.settings.root / "sql" / "migrations" / MIGRATION
    migration = read_migration(path) if name == "sprint11" else None
    prepare_state(lab.server, lab.dataset, name, migration, report)


def _database(state: str) -> str:
    if state not in DATABASES:
        raise FluxlabError(
            f"There is no state {state!r}.", f"Use one of {', '.join(DATABASES)}."
        )
    return DATABASES[state]
