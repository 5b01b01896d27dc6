"""Build or drop one index, whatever its last attempt has left behind."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg.pq import TransactionStatus

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import IndexDef, read_indexes
from fluxlab.indexes.known import Presence, find_presence
from fluxlab.indexes.patience import Patience, in_the_way, waiting_for_older


@dataclass(frozen=True, slots=True)
class Built:
    """What a Step did, and what that took.

    `build_ms` is the time of CREATE INDEX at the client. `wal_bytes` are what this
    session wrote; where `wal_of` is "server" (before PostgreSQL 18, and inside a
    transaction of the caller's) what everybody wrote meanwhile. With `wal_level=minimal`
    an index larger than `wal_skip_threshold` goes to disk without WAL if built in place.
    """

    index: IndexDef
    was: Literal["there", "built", "repaired"]
    build_ms: float = 0.0
    size_bytes: int = 0
    wal_bytes: int = 0
    wal_of: Literal["session", "server"] = "session"


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds or drops one index, whatever state its last attempt has left."""

    connection: psycopg.Connection
    index: IndexDef
    patience: Patience
    is_concurrent: bool

    def build(self) -> Built:
        """Bring the index about, if it is not there."""
        presence = find_presence(self.connection, self.index)
        if presence.is_built:
            assert presence.known is not None
            return Built(self.index, "there", size_bytes=presence.known.size_bytes)
        meter = WalMeter(self.connection)
        if self.is_concurrent:
            build_ms = self._build_concurrently(presence)
        else:
            build_ms = self._build_in_place(presence)
        return Built(
            self.index,
            "repaired" if presence.leftovers else "built",
            build_ms,
            self._size_bytes(),
            meter.read(),
            meter.scope,
        )

    def drop(self) -> bool:
        """Drop the index and its leftovers; tell whether it was there, broken or not."""
        presence = find_presence(self.connection, self.index)
        known = presence.known
        if known is not None and known.is_constraint:
            raise FluxlabError(
                f"{self.index.name} belongs to a constraint of {self.index.relation}.",
                "Drop the constraint if it is not needed.",
            )
        every = [*([known.definition] if known else []), *presence.debris]
        self._drop(every)
        return bool(every)

    def _build_in_place(self, presence: Presence) -> float:
        with self.connection.transaction():
            for leftover in presence.leftovers:
                self.connection.execute(leftover.undo().encode())
            return self._create(presence)

    def _build_concurrently(self, presence: Presence) -> float:
        self._drop(presence.leftovers)
        self._knock()
        try:
            with waiting_for_older(self.connection, self.patience):
                return self._create(presence)
        except psycopg.errors.LockNotAvailable:
            raise self._waited_too_long() from None
        except psycopg.Error:
            self._clean_up()
            raise

    def _create(self, presence: Presence) -> float:
        if presence.known is not None and presence.known.is_valid:
            return 0.0
        ddl = self.index.ddl(concurrently=self.is_concurrent)
        began = time.perf_counter()
        self.connection.execute(ddl.encode())
        return (time.perf_counter() - began) * 1000

    def _drop(self, leftovers: Iterable[IndexDef]) -> None:
        for one in leftovers:
            if not self.is_concurrent:
                with self.connection.transaction():
                    self.connection.execute(one.undo().encode())
                continue
            self._knock()
            try:
                with waiting_for_older(self.connection, self.patience):
                    self.connection.execute(one.undo(concurrently=True).encode())
            except psycopg.errors.LockNotAvailable:
                raise self._waited_too_long() from None

    def _knock(self) -> None:
        """Wait for the table's lock where failing leaves no broken index behind."""
        # A materialized view cannot be locked by itself.
        with suppress(psycopg.errors.WrongObjectType), self.connection.transaction():
            mode = "share update exclusive"
            self.connection.execute(
                f"lock table only {self.index.relation} in {mode} mode".encode()
            )

    def _waited_too_long(self) -> FluxlabError:
        who = in_the_way(self.connection, self.index)
        self._clean_up()
        return FluxlabError(
            f"{self.index.name} waited {self.patience.wait_s:g} s for older transactions "
            f"to end; {self.index.relation} is held{who}.",
            "Try again when that session has ended: what is left of the index, if "
            "anything, is found and repaired.",
        )

    def _clean_up(self) -> None:
        """Drop what a failed concurrent build has left, if that can be done at once."""
        if self.connection.closed:
            return
        with suppress(psycopg.Error, FluxlabError):
            for one in find_presence(self.connection, self.index).leftovers:
                self.connection.execute(one.undo(concurrently=True).encode())

    def _size_bytes(self) -> int:
        known = read_indexes(self.connection, self.index.relation)
        return sum(
            one.size_bytes for one in known if one.definition.name == self.index.name
        )


class WalMeter:
    """Counts WAL from its making on: the session's own where the server can tell."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        is_idle = connection.info.transaction_status == TransactionStatus.IDLE
        can_tell = connection.info.server_version >= 180_000 and is_idle
        self.scope: Literal["session", "server"] = "session" if can_tell else "server"
        self._start = self._now()

    def read(self) -> int:
        """Return the bytes since then."""
        return self._now() - self._start

    def _now(self) -> int:
        if self.scope == "session":
            # What a session counts is written down when it is idle, once a second or so.
            self._connection.execute("select pg_stat_force_next_flush()")
            query = "select wal_bytes from pg_stat_get_backend_wal(pg_backend_pid())"
        else:
            query = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
        row = self._connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0
