"""One connection to a Redis-protocol server on which many requests are under way at once.

A pool of connections costs a read and a write for every request. Here the requests of one
turn of the event loop leave in one write, and their replies come back in one read, in
order. A request that is given up keeps its place in the queue, so that no reply reaches
another one. `benchmarks/bench_cache.py` says what that saves.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url

from fluxlab.errors import FluxlabError

Word = bytes | str | int
Command = tuple[Word, ...]
Reply = Any
#: What the reader says while a reply has not come whole.
_NOT_YET = object()
_NO_EPOCH = bytes(8)

Credentials = Callable[[], tuple[str | None, str | None]]


class Away(Exception):  # noqa: N818 - a state of the server, seen by the layer only
    """The server did not answer as it should; never reaches the application.

    `counts` is False where the delay was ours: the event loop was busy meanwhile.
    """

    def __init__(self, reason: str, *, counts: bool = True) -> None:
        super().__init__(reason)
        self.counts = counts


class ReplyError(Exception):
    """An error that the server replied with; `code` is its first word."""

    @property
    def code(self) -> str:
        """`WRONGTYPE`, `OOM`, `MOVED` …"""
        return str(self).partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens and how to enter; shown without the password."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    credentials: Credentials | None = field(default=None, repr=False)

    def enter(self) -> list[Command]:
        """Return the commands that open a session; the last two ask who answers."""
        username, password = (
            self.credentials() if self.credentials else (self.username, self.password)
        )
        commands: list[Command] = []
        if password is not None:
            names = (username, password) if username else (password,)
            commands.append(("AUTH", *names))
        if self.database:
            commands.append(("SELECT", self.database))
        return [*commands, ("INFO", "server"), ("INFO", "replication")]


def read_address(url: str, credentials: Credentials | None = None) -> Address:
    """Read `unix://path`, `redis://…` or `rediss://…`, with user, password and database.

    Raises FluxlabError, without the URL in it, when it cannot be read.
    """
    try:
        found: dict[str, Any] = dict(parse_url(url))
        if urlsplit(url).scheme == "unix" and not found.get("path"):
            raise ValueError("no path")
        return Address(
            host=found.get("host", "localhost"),
            port=found.get("port", 6379),
            path=found.get("path"),
            database=int(found.get("db", 0)),
            username=found.get("username"),
            password=found.get("password"),
            tls=_context(found) if found.get("connection_class") is SSLConnection else None,
            credentials=credentials,
        )
    except (ValueError, OSError):
        raise FluxlabError(
            "The address of the cache's server cannot be read.",
            "Write it as redis://host:port/0, rediss://… or unix:///path, with"
            " percent-encoded user and password before an @.",
        ) from None


def _context(found: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=found.get("ssl_ca_certs"))
    if found.get("ssl_certfile"):
        context.load_cert_chain(found["ssl_certfile"], found.get("ssl_keyfile"))
    if str(found.get("ssl_check_hostname", "true")).lower() in {"false", "0"}:
        context.check_hostname = False
    if found.get("ssl_cert_reqs") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def pack(commands: Sequence[Command]) -> bytes:
    """Return commands as the bytes that the protocol wants."""
    return b"".join(hiredis.pack_command(cast(Any, command)) for command in commands)


class _Session(asyncio.Protocol):
    """One connection while it lasts: whom the next replies are for."""

    def __init__(self, lost: Callable[[_Session, str], None]) -> None:
        self.transport: asyncio.Transport | None = None
        #: In the order in which they were sent, and how many replies each waits for.
        self.sent: deque[tuple[asyncio.Future[Reply], int]] = deque()
        self._lost = lost
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_NOT_YET)
        self._replies: list[Reply] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand replies out, in the order of the requests."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOT_YET:
                if not self.sent:
                    raise hiredis.ProtocolError("a reply nobody asked for")
                future, count = self.sent[0]
                if count > 1:
                    self._replies.append(reply)
                    if len(self._replies) < count:
                        continue
                    reply, self._replies = self._replies, []
                self.sent.popleft()
                if not future.done():
                    future.set_result(reply)
        except hiredis.HiredisError:
            self._lost(self, "the server's answer is not of the protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whose connection it was."""
        self._lost(self, "the connection broke")


class Wire:
    """A connection that opens when it is needed, and again after it broke.

    Every request has the same deadline, so they run out in the order they came, and one
    timer is enough.
    """

    def __init__(self, address: Address, deadline_s: float) -> None:
        self.address = address
        self._deadline_s = deadline_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: _Session | None = None
        self._opening: asyncio.Task[None] | None = None
        self._unsent: deque[tuple[asyncio.Future[Reply], int, bytes]] = deque()
        self._deadlines: deque[tuple[float, asyncio.Future[Reply], bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_flushing = False
        #: Grows when requests leave: what was asked under the same number is still here.
        self.flushes = 0
        #: Eight bytes that change when another process answers: after a restart, which may
        #: have brought an old snapshot back, and after a failover, which may have lost
        #: what was told last.
        self.epoch = _NO_EPOCH

    @property
    def is_connected(self) -> bool:
        """Whether a session is open."""
        return self._session is not None

    def call(self, data: bytes, count: int = 1) -> asyncio.Future[Reply]:
        """Send packed commands; the future holds their reply, or a list of `count`.

        Error replies are values, `ReplyError`. The future raises Away after the
        deadline, and when the connection cannot be had or breaks.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._unsent.append((future, count, data))
        self._deadlines.append((loop.time() + self._deadline_s, future, False))
        if self._timer is None:
            self._timer = loop.call_later(self._deadline_s, self._expire)
        if not self._is_flushing:
            self._is_flushing = True
            loop.call_soon(self._flush)
        return future

    def drop(self, reason: str = "the connection was closed") -> None:
        """Close the connection; what waits for a reply fails with Away."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        waiting = [future for future, _, _ in self._unsent]
        self._unsent.clear()
        session, self._session = self._session, None
        _fail(waiting, reason)
        if session is not None:
            _end(session, reason)

    def close(self) -> None:
        """Close for good; nothing is left on the event loop."""
        self.drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadlines.clear()

    def _lost(self, session: _Session, reason: str) -> None:
        if self._session is session:
            self._session = None
        _end(session, reason)

    def _flush(self) -> None:
        self._is_flushing = False
        session = self._session
        if session is None:
            if self._unsent and self._opening is None and self._loop is not None:
                self._opening = self._loop.create_task(self._open())
            return
        self.flushes += 1
        parts = []
        while self._unsent:
            future, count, data = self._unsent.popleft()
            if not future.done():  # not given up before it was sent
                session.sent.append((future, count))
                parts.append(data)
        if parts and session.transport is not None:
            session.transport.write(b"".join(parts))

    async def _open(self) -> None:
        """Connect and enter; whoever waits for it has a deadline of its own."""
        session, clock = _Session(self._lost), asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._connect(session)
                self.epoch = await _enter(session, self.address.enter())
        except Exception as error:
            self._opening = None
            _end(session, "the connection was closed")
            if isinstance(error, TimeoutError) and clock() > begun + 1.5 * self._deadline_s:
                self._flush()  # it was the event loop that took so long: once more
            else:
                self.drop(_reason(error))
        except asyncio.CancelledError:
            _end(session, "the connection was closed")
            raise
        else:
            self._opening, self._session = None, session
            self._flush()

    async def _connect(self, session: _Session) -> None:
        loop, address = asyncio.get_running_loop(), self.address
        if address.path is not None:
            await loop.create_unix_connection(lambda: session, address.path)
        else:
            await loop.create_connection(
                lambda: session, address.host, address.port, ssl=address.tls
            )

    def _expire(self) -> None:
        """Give up what is overdue, and set the timer for the next."""
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        while self._deadlines:
            at, future, is_extended = self._deadlines[0]
            if not future.done() and at > now:
                self._timer = self._loop.call_at(at, self._expire)
                return
            self._deadlines.popleft()
            if future.done():
                continue
            # The timer itself came late: it was the event loop that did not answer. The
            # reply may be waiting for us, so what was due gets its time once more.
            is_ours = now - at > self._deadline_s / 2
            if is_ours and not is_extended:
                self._deadlines.append((now + self._deadline_s, future, True))
            else:
                future.set_exception(Away("no answer in time", counts=not is_ours))


async def _enter(session: _Session, commands: Sequence[Command]) -> bytes:
    if session.transport is None:
        raise Away("the connection was closed at once")
    future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    session.sent.append((future, len(commands)))
    session.transport.write(pack(commands))
    *entered, server, replication = await future
    for reply in (*entered, server, replication):
        # Some servers forbid INFO, and then nobody can tell who answers.
        is_info = reply is server or reply is replication
        if isinstance(reply, ReplyError) and not (is_info and reply.code == "NOPERM"):
            raise Away(f"the server refused the session ({reply.code})")
    found = re.search(rb"run_id:(\w+)", server) if isinstance(server, bytes) else None
    if not found:
        return _NO_EPOCH
    # A primary that stepped down and up again is another: it has what the one between had.
    told = replication if isinstance(replication, bytes) else b""
    era = re.search(rb"master_replid2:(\w+)", told)
    return blake2b(found[1] + (era[1] if era else b""), digest_size=8).digest()


def _end(session: _Session, reason: str) -> None:
    transport, session.transport = session.transport, None
    if transport is not None:
        transport.abort()
    waiting = [future for future, _ in session.sent]
    session.sent.clear()
    _fail(waiting, reason)


def _fail(waiting: Sequence[asyncio.Future[Reply]], reason: str) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(Away(reason))


def _reason(error: BaseException) -> str:
    """Say what went wrong, without what an address or a password could be in."""
    if isinstance(error, Away):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason given'})"
    if isinstance(error, OSError):
        return f"no connection ({error.strerror or type(error).__name__})"
    return f"no connection ({type(error).__name__})"
