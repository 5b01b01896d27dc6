"""The results store: every Measurement in one SQLite file, one transaction each.

A state is a database with a certain data set, index set and server; its Run is all
Measurements of it. They are keyed by the fingerprints of the state, the statement and
the parameters, so nothing is measured twice and a killed run goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.workload.sample import Block, Sample

#: How a state is asked. *warm*: unprepared, its blocks cached. *cold*: the same, with
#: the shared buffers emptied before each execution. *custom* and *generic*: prepared,
#: planned for the values or for any.
Regime = Literal["warm", "cold", "custom", "generic"]

#: The layout of the file. A file of another layout is set aside, not read.
_LAYOUT = 2
_METADATA = sa.MetaData()
_STATES = sa.Table(
    "state",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("regime", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("indexes", sa.Text, nullable=False),
    sa.Column("server", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.UniqueConstraint("name", "regime", "dataset", "indexes", "server"),
)
_MEASUREMENTS = sa.Table(
    "measurement",
    _METADATA,
    sa.Column("state_id", sa.ForeignKey("state.id"), primary_key=True),
    sa.Column("query_fingerprint", sa.Text, primary_key=True),
    sa.Column("parameters_fingerprint", sa.Text, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("of_class", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("blocks", sa.Text, nullable=False),
    sa.Column("timeout_ms", sa.Float, nullable=False),
    sa.Column("is_censored", sa.Boolean, nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("measured_at", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class State:
    """What a Run was measured on; the three fingerprints make it comparable."""

    name: str
    dataset: str
    indexes: str
    server: str
    facts: tuple[tuple[str, str], ...] = ()
    regime: Regime = "warm"


@dataclass(frozen=True)
class Measurement:
    """Sample and Plan of one Query with one ParameterSet in one state.

    `placement` says where client and backends ran, `seconds` what the measuring took.
    """

    query: str
    of_class: str
    query_fingerprint: str
    parameters_fingerprint: str
    parameters: str
    sample: Sample
    plan_text: str
    placement: str = ""
    seconds: float = 0.0

    @cached_property
    def plan(self) -> Plan:
        """The Plan; not executed when the Sample is censored."""
        return read_plan(self.plan_text)

    @property
    def key(self) -> tuple[str, str]:
        """The fingerprints that tell it from any other of its state."""
        return self.query_fingerprint, self.parameters_fingerprint

    def __repr__(self) -> str:
        return f"<Measurement {self.query}, {self.of_class}: {self.sample}, {self.plan!r}>"


@dataclass(frozen=True)
class Run:
    """All Measurements of one state, by query and class."""

    state: State
    measurements: tuple[Measurement, ...]

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Measurement]:
        return {(one.query, one.of_class): one for one in self.measurements}

    def find(self, query: str, of_class: str) -> Measurement | None:
        """Return the Measurement of a Query in a class, or None."""
        return self._by_name.get((query, of_class))

    def frame(self) -> pd.DataFrame:
        """Return one row per Measurement; times in ms, blocks of 8 kB."""
        return pd.DataFrame(
            {
                "query": one.query,
                "class": one.of_class,
                "median_ms": one.sample.median_ms,
                "executions": one.sample.executions,
                "is_censored": one.sample.is_censored,
                "blocks": one.plan.blocks,
                "rows": one.plan.rows_kept,
                "wal_records": one.plan.wal_records,
            }
            for one in self.measurements
        )

    def __len__(self) -> int:
        return len(self.measurements)

    def __repr__(self) -> str:
        return f"<Run {self.state.name}: {len(self)} measurements>"


class Store:
    """The file behind all Runs; safe to kill, safe to open twice."""

    def __init__(self, path: Path) -> None:
        self._engine = open_file(path)
        _METADATA.create_all(self._engine)
        self._numbers: dict[State, int] = {}

    def _number(self, state: State) -> int:
        """Return the number of a state, which is entered on first sight."""
        if state not in self._numbers:
            self._numbers[state] = self._enter(state)
        return self._numbers[state]

    def _enter(self, state: State) -> int:
        with self._engine.begin() as connection:
            connection.execute(
                insert(_STATES)
                .values(
                    name=state.name,
                    regime=state.regime,
                    dataset=state.dataset,
                    indexes=state.indexes,
                    server=state.server,
                    facts=json.dumps(dict(state.facts)),
                    created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                )
                .on_conflict_do_nothing()
            )
            found = connection.execute(sa.select(_STATES.c.id).where(*_is(state)))
            return int(found.scalar_one())

    def known(self, state: State, timeout_ms: float = 0.0) -> set[tuple[str, str]]:
        """Return the keys of all Measurements of a state that need not be taken again.

        A Sample that was cut off before `timeout_ms` is not known well enough.
        """
        columns = _MEASUREMENTS.c
        is_enough = sa.or_(~columns.is_censored, columns.timeout_ms >= timeout_ms)
        select = (
            sa.select(
                _MEASUREMENTS.c.query_fingerprint, _MEASUREMENTS.c.parameters_fingerprint
            )
            .join(_STATES)
            .where(*_is(state), is_enough)
        )
        with self._engine.connect() as connection:
            return {(row[0], row[1]) for row in connection.execute(select)}

    def spent(self, state: State) -> float:
        """Return the seconds spent on all states with the data and server of this one."""
        select = (
            sa.select(sa.func.coalesce(sa.func.sum(_MEASUREMENTS.c.seconds), 0.0))
            .join(_STATES)
            .where(_STATES.c.dataset == state.dataset, _STATES.c.server == state.server)
        )
        with self._engine.connect() as connection:
            return float(connection.execute(select).scalar_one())

    def add(self, pairs: Iterable[tuple[State, Measurement]]) -> None:
        """Keep Measurements that belong together, all of them or none.

        One with the same key takes the place of the earlier, also in the order.
        """
        measured_at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            {
                "state_id": self._number(state),
                "is_censored": one.sample.is_censored,
                "measured_at": measured_at,
                **as_row(one),
            }
            for state, one in pairs
        ]
        statement = insert(_MEASUREMENTS)
        keys = [column.name for column in _MEASUREMENTS.primary_key]
        changed = {
            column.name: column for column in statement.excluded if column.name not in keys
        }
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=keys, set_=changed), rows
            )

    def run(self, state: State, statements: Set[str] | None = None) -> Run:
        """Return the Run of a state; `statements` are fingerprints of the Queries wanted.

        Where a Query has been measured with more than one value of a class, because its
        sampler was edited, the latest one counts.
        """
        select = (
            sa.select(_MEASUREMENTS)
            .join(_STATES)
            .where(*_is(state))
            .order_by(sa.literal_column("measurement.rowid"))
        )
        with self._engine.connect() as connection:
            every = [read_row(row._asdict()) for row in connection.execute(select)]
        latest = {
            (one.query, one.of_class): one
            for one in every
            if statements is None or one.query_fingerprint in statements
        }
        return Run(state, tuple(latest.values()))

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()


def open_file(path: Path) -> sa.Engine:
    """Open the file of all results; make it where it is missing, set an old one aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _set_aside(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    sa.event.listen(engine, "connect", _be_durable_and_quick)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"pragma user_version = {_LAYOUT}")
    return engine


def _blocks_text(sample: Sample) -> str:
    return json.dumps(
        [
            [
                [round(time_ms, 5) for time_ms in block.times_ms],
                block.cpu_ms and round(block.cpu_ms, 6),
            ]
            for block in sample.blocks
        ]
    )


def _sample(text: str, timeout_ms: float) -> Sample:
    blocks = (Block(tuple(times_ms), cpu_ms) for times_ms, cpu_ms in json.loads(text))
    return Sample(tuple(blocks), timeout_ms)


def _set_aside(path: Path) -> None:
    """Rename a file of an older layout; what was measured stays readable there."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as connection:
        (layout,) = connection.execute("pragma user_version").fetchone()
        is_empty = not connection.execute("select 1 from sqlite_master").fetchone()
        # Everything into the one file that is renamed.
        connection.execute("pragma wal_checkpoint(truncate)")
    if layout != _LAYOUT and not is_empty:
        path.rename(path.with_suffix(f".{layout}{path.suffix}"))


def _is(state: State) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _STATES.c.name == state.name,
        _STATES.c.regime == state.regime,
        _STATES.c.dataset == state.dataset,
        _STATES.c.indexes == state.indexes,
        _STATES.c.server == state.server,
    )


def as_row(one: Measurement) -> dict[str, object]:
    """Return a Measurement as the columns of a table; `read_row` is its inverse."""
    return {
        "query_fingerprint": one.query_fingerprint,
        "parameters_fingerprint": one.parameters_fingerprint,
        "query": one.query,
        "of_class": one.of_class,
        "parameters": one.parameters,
        "blocks": _blocks_text(one.sample),
        "timeout_ms": one.sample.timeout_ms,
        "plan": zlib.compress(one.plan_text.encode()),
        "placement": one.placement,
        "seconds": one.seconds,
    }


def read_row(named: Mapping[str, Any]) -> Measurement:
    """Return the Measurement in the columns of a row."""
    return Measurement(
        query=named["query"],
        of_class=named["of_class"],
        query_fingerprint=named["query_fingerprint"],
        parameters_fingerprint=named["parameters_fingerprint"],
        parameters=named["parameters"],
        sample=_sample(named["blocks"], named["timeout_ms"]),
        plan_text=zlib.decompress(named["plan"]).decode(),
        placement=named["placement"],
        seconds=named["seconds"],
    )


def _be_durable_and_quick(connection: object, record: object) -> None:
    # A write-ahead log that is synced at checkpoints: a killed process loses nothing,
    # a power cut at most the last measurements.
    for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=10000"):
        connection.execute(f"pragma {pragma}")  # type: ignore[attr-defined]
