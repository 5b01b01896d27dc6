"""The other end of `cache_client`: clients of the cache, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cache_servers import Valkey, valkey

Facts = dict[str, Any]
#: Far more than anything here takes; who waits longer is told what hangs.
PATIENCE_S = 20.0
_SCRIPT = Path(__file__).with_name("cache_client.py")


class Process:
    """A client in a process. What it says without being asked goes to `heard`."""

    def __init__(self) -> None:
        self.heard: Callable[[Facts], None] = lambda facts: None
        self._number = 0
        self._asked: dict[int, Future[Facts]] = {}
        self._ready: Future[None] = Future()
        self.popen = subprocess.Popen(
            [sys.executable, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, do: str, **words: object) -> Future[Facts]:
        """Send a command; the future holds its answer."""
        self._number += 1
        answer: Future[Facts] = Future()
        self._asked[self._number] = answer
        assert self.popen.stdin is not None
        line = json.dumps({"id": self._number, "do": do, **words}) + "\n"
        self.popen.stdin.write(line.encode())
        self.popen.stdin.flush()
        return answer

    def ask(self, do: str, **words: object) -> Facts:
        """Send a command and wait for its answer."""
        answer = self.tell(do, **words).result(PATIENCE_S)
        if "leaked" in answer:
            raise AssertionError(f"{do} raised {answer['leaked']}")
        return answer

    def wait_ready(self) -> None:
        self._ready.result(PATIENCE_S)

    def kill(self) -> None:
        """End the process as a power failure would."""
        self.heard = lambda facts: None
        self.popen.kill()
        self.popen.wait()
        assert self.popen.stdin is not None
        with suppress(BrokenPipeError):
            self.popen.stdin.close()

    def _listen(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as lines:
            for line in lines:
                facts = json.loads(line)
                if "ready" in facts:
                    self._ready.set_result(None)
                    continue
                self.heard(facts)
                asked = self._asked.pop(facts.get("id", 0), None)
                if asked is not None:
                    asked.set_result(facts)


class Fleet:
    """A server and three processes; one more stands by for whoever is killed."""

    def __init__(self, server: Valkey, count: int = 3) -> None:
        self.server = server
        self.processes = [Process() for _ in range(count)]
        self._spare = deque([Process()])
        for one in self.processes:
            one.wait_ready()

    def replace(self, at: int) -> None:
        """Kill a client; another process takes its place."""
        self.processes[at].kill()
        self._spare.append(Process())
        self.processes[at] = self._spare.popleft()
        self.processes[at].wait_ready()

    def close(self) -> None:
        for one in (*self.processes, *self._spare):
            one.kill()


@contextmanager
def fleet(count: int = 3) -> Iterator[Fleet]:
    """Clients on a server that may be killed and stopped."""
    with valkey() as server:
        made = Fleet(server, count)
        try:
            yield made
        finally:
            made.close()
