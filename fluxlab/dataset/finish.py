"""Keys, checks, indexes and foreign keys: each as soon as its tables are loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import psycopg

from fluxlab.dataset.ddl import Statement


class Finisher:
    """A second connection that finishes loaded tables while others are still loading."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        statements: Iterable[Statement],
        done: Callable[[Statement], None],
    ) -> None:
        self._connect, self._done = connect, done
        self._waiting = list(statements)
        self._loaded: set[str] = set()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="finish", daemon=True)

    def __enter__(self) -> Finisher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._stopped = self._stopped or error is not None
            self._changed.notify()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def loaded(self, table: str) -> None:
        """Tell that a table has all its rows."""
        with self._changed:
            if self._error is not None:
                raise self._error
            self._loaded.add(table)
            self._changed.notify()

    def _run(self) -> None:
        try:
            with self._connect() as connection:
                while (statement := self._next()) is not None:
                    connection.execute(statement.sql.encode())
                    self._done(statement)
        except BaseException as error:
            with self._changed:
                self._error = error

    def _next(self) -> Statement | None:
        """The first statement whose tables are loaded; None when nothing is left."""
        with self._changed:
            while self._waiting and not self._stopped:
                for place, statement in enumerate(self._waiting):
                    if statement.tables <= self._loaded:
                        return self._waiting.pop(place)
                self._changed.wait()
            return None
