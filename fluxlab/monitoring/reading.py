"""Read the panels again and again in one session, and tell what happened in between.

The session is read-only. When the server goes away the next reading says so, and the
one after tries to come back: a monitor that dies with its server is no use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from fluxlab.errors import FluxlabError, mask
from fluxlab.monitoring.panels import PANELS, Headline, Panel, Row, number, total

#: The extension behind a file, by the error of a server that lacks it.
_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of a panel: since the counters were reset, or of `interval_s` seconds.

    `whole` is the headline since the reset beside that of an interval. `refusal` says
    why there are no rows.
    """

    panel: Panel
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    interval_s: float | None = None
    whole: Headline | None = None
    refusal: str = ""

    @property
    def headline(self) -> Headline:
        """The panel in a few words."""
        if self.refusal:
            return Headline(self.refusal)
        return self.panel.headline(self.rows)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All panels at one time; `lost` says why they are older than that."""

    at: datetime
    server: str
    readings: tuple[Reading, ...]
    lost: str = ""


class Monitor:
    """One session that reads panels. `clock` returns seconds, `connect` a new session.

    A session must be in autocommit, or the server's view of its counters would stand
    still within a transaction.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        panels: Iterable[Panel],
        directory: Path,
        clock: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._panels = tuple(panels)
        self._clock = clock
        self._texts = {
            name: (directory / f"{name}.sql").read_bytes()
            for name in {"extensions", *(panel.name for panel in self._panels)}
        }
        self._connection: psycopg.Connection | None = None
        self._server = ""
        self._whole: dict[str, tuple[float, Reading]] = {}
        self._shown: dict[str, Reading] = {}

    def read(self) -> Snapshot:
        """Read every panel that is due; counters as differences from the second time on.

        A server that does not answer is told in the Snapshot. Raises FluxlabError when
        there is no session at the first reading.
        """
        lost = ""
        try:
            self._read_all(self._session())
        except psycopg.OperationalError as error:
            lost = self._lose(" ".join(mask(str(error)).split()))
        except FluxlabError as error:
            if not self._shown:
                raise
            lost = self._lose(error.what)
        found = tuple(
            self._shown[one.name] for one in self._panels if one.name in self._shown
        )
        return Snapshot(datetime.now(UTC), self._server, found, lost)

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _session(self) -> psycopg.Connection:
        if self._connection is None:
            connection = self._connection = self._connect()
            # Our own statements would stand among those that we list. Only a
            # superuser may leave them out.
            with suppress(psycopg.ProgrammingError):
                connection.execute("set pg_stat_statements.track = 'none'")
            self._server = _name(connection)
        return self._connection

    def _lose(self, reason: str) -> str:
        self.close()
        # What a restarted server counts may go on or begin anew: no difference is known.
        self._whole.clear()
        return f"The server went away, trying again: {reason.rstrip('.')}."

    def _read_all(self, connection: psycopg.Connection) -> None:
        for panel in self._panels:
            now = self._clock()
            then, before = self._whole.get(panel.name, (None, None))
            if then is not None and now - then < panel.every_s:
                continue
            after = self._ask(connection, panel)
            self._whole[panel.name] = now, after
            self._shown[panel.name] = (
                after
                if then is None or before is None or before.refusal
                else differences(before, after, now - then)
            )

    def _ask(self, connection: psycopg.Connection, panel: Panel) -> Reading:
        try:
            return _ask(connection, panel, self._texts[panel.name])
        except _MISSING as error:
            refusal = self._next_step(connection, panel) or _message(error)
        except psycopg.OperationalError as error:
            if connection.closed:
                raise
            refusal = _message(error)  # a timeout, or no memory
        except psycopg.Error as error:
            refusal = _message(error)
        return Reading(panel, (), (), refusal=refusal)

    def _next_step(self, connection: psycopg.Connection, panel: Panel) -> str:
        """Return what a panel's extension still needs, as extensions.sql tells it."""
        known = _ask(connection, PANELS["extensions"], self._texts["extensions"])
        for row in known.rows:
            if f"{panel.name}.sql" in str(row["asked_by"]) and row["next"] is not None:
                return f"not there: {row['next']}"
        return ""


def differences(before: Reading, after: Reading, interval_s: float) -> Reading:
    """Return what was counted between two readings, the busiest rows first.

    Rows in which nothing moved are left out. A counter that fell was reset, and counts
    from 0. A panel without counters stays as it is.
    """
    panel = after.panel
    if not panel.counters:
        return after
    known = {_key(panel, row): row for row in before.rows}
    is_whole = panel.limit is None or len(before.rows) < panel.limit
    rows = []
    for row in after.rows:
        earlier = known.get(_key(panel, row))
        if earlier is not None or is_whole:
            rows.append(_moved(panel, earlier or {}, row))
    rows = [row for row in rows if any(number(row, one) for one in panel.counters)]
    rows.sort(
        key=lambda row: tuple(number(row, one) for one in panel.counters), reverse=True
    )
    return replace(
        after,
        rows=tuple(_with_ratios(panel, rows)),
        interval_s=interval_s,
        whole=after.headline,
    )


def _ask(connection: psycopg.Connection, panel: Panel, text: bytes) -> Reading:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = tuple(cursor.execute(text).fetchall())
        columns = tuple(column.name for column in cursor.description or ())
    return Reading(panel, columns, rows)


def _key(panel: Panel, row: Row) -> tuple[object, ...]:
    return tuple(row[column] for column in panel.keys)


def _moved(panel: Panel, before: Row, after: Row) -> dict[str, object]:
    moved = dict(after)
    for column in panel.counters:
        if after[column] is not None:  # a counter that this version does not have
            now = number(after, column)
            was = number(before, column) if before else 0.0
            moved[column] = now - was if now >= was else now
    return moved


def _with_ratios(panel: Panel, rows: list[dict[str, object]]) -> list[Row]:
    for ratio in panel.ratios:
        shared = sum(total(rows, column) for column in ratio.under)
        for row in rows:
            own = sum(number(row, column) for column in ratio.under)
            under = shared if ratio.is_share else own
            over = number(row, ratio.over)
            row[ratio.column] = ratio.scale * over / under if under else None
    return list(rows)


def _message(error: psycopg.Error) -> str:
    return mask(error.diag.message_primary or " ".join(str(error).split()))


def _name(connection: psycopg.Connection) -> str:
    version = connection.info.server_version
    return (
        f"PostgreSQL {version // 10_000}.{version % 10_000}, {connection.info.dbname} "
        f"as {connection.info.user}"
    )
