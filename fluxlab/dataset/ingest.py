"""Binary COPY straight from Arrow, while the next chunks are being generated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from queue import Full, Queue
from types import TracebackType
from typing import TypeVar

from adbc_driver_postgresql import dbapi

from fluxlab.dataset.arrow import RecordBatch, pa
from fluxlab.dataset.cells import TableSource

#: Chunks made ahead of the connection; each is about 20 MB.
_AHEAD = 2

#: Slices that fit into the socket's buffer let the server parse one while the driver
#: converts the next; with whole chunks the two take turns, and a load takes 1.7 times
#: as long (0.53 s against 0.89 s for size small).
_SLICE_BYTES = 65_536

_Item = TypeVar("_Item")


class _End:
    """Follows the last item."""


class Ahead(Iterable[_Item]):
    """Runs an iterator in a thread, a few items ahead of the one who reads.

    NumPy, Arrow and libpq release the interpreter's lock, so both make progress.
    """

    def __init__(self, items: Iterable[_Item], ahead: int = _AHEAD) -> None:
        self._items = items
        self._queue: Queue[_Item | BaseException | _End] = Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)

    def __enter__(self) -> Ahead[_Item]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[_Item]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_End())
        except BaseException as error:
            self._put(error)

    def _put(self, item: _Item | BaseException | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False


def load_tables(
    uri: str,
    sources: Iterable[TableSource],
    loaded: Callable[[str], None],
    copied: Callable[[str, int], None],
) -> None:
    """Fill bare tables, one transaction each; tell every chunk and every finished table.

    `loaded(table)` is called after the commit, `copied(table, rows)` before a chunk goes.
    The largest table has a connection of its own, the others share a second one, so two
    threads call these functions.
    """
    chosen = tuple(sources)
    largest = max(chosen, key=lambda source: source.rows)
    lanes = [(largest,), tuple(source for source in chosen if source is not largest)]
    load = Load(uri, loaded, copied)
    with ThreadPoolExecutor(len(lanes), "load") as pool:
        wait([pool.submit(load.run, lane) for lane in lanes])
    if load.error is not None:
        raise load.error


class Load:
    """One load over several connections; a failure in one ends the others."""

    def __init__(
        self, uri: str, loaded: Callable[[str], None], copied: Callable[[str, int], None]
    ) -> None:
        self._uri, self._loaded, self._copied = uri, loaded, copied
        #: The first failure; those that follow are its consequences.
        self.error: BaseException | None = None

    def run(self, sources: Sequence[TableSource]) -> None:
        """Fill these tables over one connection."""
        produced = (item for source in sources for item in _chunks(source))
        try:
            with Ahead(produced) as ahead, dbapi.connect(self._uri) as connection:
                stream = iter(ahead)
                for source in sources:
                    self._fill(connection, source, stream)
                    self._loaded(source.name)
        except BaseException as error:
            self.error = self.error or error

    def _fill(
        self,
        connection: dbapi.Connection,
        source: TableSource,
        stream: Iterator[RecordBatch | None],
    ) -> None:
        with connection.cursor() as cursor:
            # A table emptied in the same transaction needs no WAL for its rows
            # where wal_level is minimal (manual, section 14.4.7).
            cursor.execute(f"truncate {source.name}")
            slices = self._of_table(stream, source.name)
            reader = pa.RecordBatchReader.from_batches(source.schema, slices)
            cursor.adbc_ingest(source.name, reader, mode="append")
        connection.commit()

    def _of_table(
        self, stream: Iterator[RecordBatch | None], table: str
    ) -> Iterator[RecordBatch]:
        try:
            while (chunk := next(stream)) is not None:
                if self.error is not None:
                    raise self.error
                self._copied(table, chunk.num_rows)
                yield from _slices(chunk)
        except Exception as error:
            # Kept here, because it reaches the driver as a text only.
            self.error = self.error or error
            raise


def _chunks(source: TableSource) -> Iterator[RecordBatch | None]:
    """The chunks of a table, and None for its end."""
    yield from source.chunks()
    yield None


def _slices(chunk: RecordBatch) -> Iterator[RecordBatch]:
    rows = max(32, _SLICE_BYTES * chunk.num_rows // max(1, chunk.nbytes))
    for first in range(0, chunk.num_rows, rows):
        yield chunk.slice(first, rows)
