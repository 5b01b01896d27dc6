"""A network that fails, between a cache and its server: late, cut, silent, half a reply.

It runs on a loop of its own in a thread of its own, so that it goes on when the loop under
test is blocked, and it counts the commands that come through. With `tls` it is also what a
server without TLS lacks.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import hiredis

#: A certificate for 127.0.0.1 and its key, made for these tests and good for nothing else.
CERTIFICATE = Path(__file__).with_name("cache_tls.pem")

T = TypeVar("T")
Mode = Literal["pass", "swallow", "half", "answer"]


class Proxy:
    """The way to the server at a unix socket.

    `mode` is pass; swallow: what is sent arrives nowhere, and nothing comes back; half:
    the first `half_bytes` of the next reply, and then the connection ends; answer: the
    server is not asked, and every command is answered with `answer`. `delay_s` holds every
    reply up. `commands` counts what came by name, `connections` how often one was opened.
    """

    def __init__(self, target: Path, tls: bool) -> None:
        self.mode: Mode = "pass"
        self.delay_s = 0.0
        self.half_bytes = 3
        self.answer = b""
        self.commands: dict[str, int] = {}
        self.connections = 0
        self.port = 0
        self._target = target
        self._tls = tls
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()

    @property
    def url(self) -> str:
        """Where the cache finds it."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def asked(self) -> int:
        """How many commands came, but for a probe's PING and what opens a session."""
        apart = ("PING", "AUTH", "SELECT", "INFO")
        return sum(count for name, count in self.commands.items() if name not in apart)

    @property
    def alive(self) -> int:
        """How many connections stand."""
        return len(self._pipes)

    def listen(self) -> None:
        """Take connections, always at the same port."""
        self._run(self._listen())

    def refuse(self) -> None:
        """Take no new connections, and cut those that stand."""
        self._run(self._refuse())

    def cut(self) -> None:
        """End every connection, with a reset."""
        self._run(self._cut())

    def close(self) -> None:
        self._run(self._refuse())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        context = None
        if self._tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(CERTIFICATE)
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for pipe in list(self._pipes):
            pipe.end()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        pipe = _Pipe(self, reader, writer)
        self._pipes.add(pipe)
        try:
            await pipe.carry(self._target)
        except (OSError, ssl.SSLError):
            pass
        finally:
            pipe.end()
            self._pipes.discard(pipe)
            self._tasks.discard(task)


class _Pipe:
    """One connection and the one behind it."""

    def __init__(
        self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.behind: asyncio.StreamWriter | None = None

    def end(self) -> None:
        """Reset both connections."""
        for one in (self.writer, self.behind):
            if one is not None:
                one.transport.abort()

    async def carry(self, target: Path) -> None:
        """Carry both ways until one side ends."""
        replies, self.behind = await asyncio.open_unix_connection(str(target))
        ways = [
            asyncio.create_task(self._send()),
            asyncio.create_task(self._receive(replies)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _send(self) -> None:
        proxy, parser = self.proxy, hiredis.Reader()
        assert self.behind is not None
        while data := await self.reader.read(1 << 16):
            parser.feed(data)  # commands have the form of replies
            count = 0
            while (command := parser.gets()) is not False:
                name = bytes(command[0]).decode().upper()
                proxy.commands[name] = proxy.commands.get(name, 0) + 1
                count += 1
            if proxy.mode == "answer":
                self.writer.write(proxy.answer * count)
            elif proxy.mode != "swallow":
                self.behind.write(data)

    async def _receive(self, replies: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.create_task(self._write_late(late))
        try:
            while data := await replies.read(1 << 16):
                late.put_nowait((loop.time() + self.proxy.delay_s, data))
            await asyncio.sleep(0)
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

    async def _write_late(self, late: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop, proxy = asyncio.get_running_loop(), self.proxy
        while True:
            due, data = await late.get()
            await asyncio.sleep(due - loop.time())
            if proxy.mode == "swallow":
                continue
            if proxy.mode == "half":
                self.writer.write(data[: proxy.half_bytes])
                await self.writer.drain()
                # A close and no reset: a reset would take back what was sent.
                self.writer.close()
                return
            self.writer.write(data)


@contextmanager
def proxied(target: Path, *, tls: bool = False) -> Iterator[Proxy]:
    """A proxy before the server at this unix socket, gone afterwards."""
    proxy = Proxy(target, tls)
    try:
        yield proxy
    finally:
        proxy.close()
