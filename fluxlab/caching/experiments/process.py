"""A process of its own for an experiment: readers, traffic, or a writer that dies.

`Helper` is the experiment's end, the module run as a program the other one. It reads one
command a line as JSON, and answers with one line. Time is that of CLOCK_MONOTONIC, which
all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from fluxlab.caching.cache import Cache
from fluxlab.caching.experiments.bench import (
    key_of,
    make_layer,
    options_of,
    start_layer,
    touch_of,
)
from fluxlab.caching.experiments.rows import Rows, Source
from fluxlab.caching.layer import Answer, Layer
from fluxlab.caching.sprint11 import Sprint11

Message = Mapping[str, Any]

_LONGEST_LINE = 1 << 24
_HEALTH_PATIENCE_S = 0.3


class Helper:
    """A process that was started for an experiment, and ends with it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Self:
        """Start a process; it takes a moment until it answers."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fluxlab.caching.experiments.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C is for us; it ends when its input does
        )
        return cls(process)

    async def ask(self, command: str, **facts: object) -> Message:
        """Send a command and return the answer; empty when the process died of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"command": command, **facts})
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()
        answer = await self._process.stdout.readline()
        return json.loads(answer) if answer else {}

    async def end(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class _Bench:
    """What a process holds open between commands."""

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self.rows: Rows | None = None

    async def open(self, facts: Message) -> Message:
        self.rows = await Source(**facts["source"]).open(facts["connections"])
        for name in facts["layers"]:
            layer = make_layer(name, facts["url"], options_of(facts.get("options")))
            await start_layer(layer)
            self.layers[name] = layer
        return {"pid": os.getpid()}

    async def close(self) -> None:
        for layer in self.layers.values():
            await layer.close()
        if self.rows is not None:
            await self.rows.close()

    async def stampede(self, facts: Message) -> Message:
        """Let `readers` read one key at `at`; return latencies, loads and errors."""
        layer, rows = self.layers[facts["layer"]], self.rows
        assert rows is not None
        identity, loads = facts["identity"], 0

        async def load() -> object:
            nonlocal loads
            loads += 1
            return await rows.read(identity, facts["load_s"])

        await asyncio.sleep(facts["at"] - time.monotonic())
        begun = time.monotonic()

        bypassed = 0

        async def read() -> float:
            nonlocal bypassed
            answer = await layer.read(key_of(identity), load, facts["ttl_s"])
            bypassed += answer.outcome == "bypass"
            return (time.monotonic() - begun) * 1000

        found = await asyncio.gather(
            *(read() for _ in range(facts["readers"])), return_exceptions=True
        )
        latencies = [one for one in found if not isinstance(one, BaseException)]
        errors = len(found) - len(latencies)
        return {
            "loads": loads,
            "latencies_ms": latencies,
            "errors": errors,
            "bypassed": bypassed,
        }

    async def crash(self, facts: Message) -> Message:
        """Commit some rows and die before a word of it reaches the cache."""
        layer, rows = next(iter(self.layers.values())), self.rows
        assert rows is not None
        touches = [touch_of(one) for one in facts["identities"]]
        if facts["has_barrier"]:
            assert isinstance(layer, Cache)
            for touch in touches:
                await layer.writing(touch.tags, touch.keys).__aenter__()
        for one in facts["identities"]:
            await rows.write(one)
        _say({"committed": time.monotonic()})
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    async def traffic(self, facts: Message) -> Message:
        """Run several Traffics at once, each on a server of its own."""
        assert self.rows is not None
        found = [_Traffic(one, self.rows) for one in facts["all"]]
        return {"all": await asyncio.gather(*(one.run() for one in found))}


class _Traffic:
    """Steady reads of a few rows at a rate, whatever happens to the answers.

    A request has a time to start; its latency counts from then.
    """

    def __init__(self, facts: Message, rows: Rows) -> None:
        self._facts = facts
        self._rows = rows
        self._begin = float(facts["begin"])
        self._records: list[tuple[float, float, float, str]] = []

    async def run(self) -> Message:
        facts = self._facts
        layer = make_layer(facts["layer"], facts["url"], options_of(facts.get("options")))
        await asyncio.sleep(self._begin - time.monotonic())
        starting = asyncio.create_task(start_layer(layer))
        health = [
            asyncio.create_task(_health_at(layer, self._begin + after))
            for after in facts["health_after"]
        ]
        tasks = await self._send(layer)
        await asyncio.sleep(self._begin + facts["seconds"] - time.monotonic())
        said = [one.result() if one.done() else "no answer" for one in health]
        for task in (*tasks, starting, *health):
            task.cancel()
        await asyncio.gather(*tasks, starting, *health, return_exceptions=True)
        gave_up = layer.gave_up_at if isinstance(layer, Sprint11) else None
        with suppress(Exception):
            await asyncio.wait_for(layer.close(), 2)
        return {
            "records": self._records,
            "gave_up_s": None if gave_up is None else gave_up - self._begin,
            "health": said,
        }

    async def _send(self, layer: Layer) -> list[asyncio.Task[None]]:
        chance = random.Random(11)
        rate, seconds = self._facts["rate_per_s"], self._facts["seconds"]
        tasks = []
        for number in range(int(rate * seconds)):
            after = number / rate
            wait_s = self._begin + after - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            one = chance.choice(self._facts["identities"])
            tasks.append(asyncio.create_task(self._request(layer, one, after)))
        return tasks

    async def _request(self, layer: Layer, identity: str, after: float) -> None:
        outcome, load_ms = "unfinished", 0.0

        async def load() -> object:
            nonlocal load_ms
            begun = time.monotonic()
            try:
                return await self._rows.read(identity, self._facts["load_s"])
            finally:
                load_ms = (time.monotonic() - begun) * 1000

        try:
            answer: Answer = await layer.read(key_of(identity), load)
            outcome = answer.outcome
        except Exception:  # whatever reached the caller is what we count
            outcome = "error"
        finally:
            latency_ms = (time.monotonic() - self._begin - after) * 1000
            self._records.append((after, latency_ms, load_ms, outcome))


async def _health_at(layer: Layer, at: float) -> str:
    await asyncio.sleep(at - time.monotonic())
    asking = asyncio.create_task(_health(layer))
    # Not cancelled when it is late: that would break the connection that it waits at.
    await asyncio.wait([asking], timeout=_HEALTH_PATIENCE_S)
    return asking.result() if asking.done() else "no answer"


async def _health(layer: Layer) -> str:
    if isinstance(layer, Sprint11):
        return str((await layer.health())["status"])
    return (await layer.health()).status if isinstance(layer, Cache) else "none"


def _say(answer: Message) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


async def _serve() -> None:
    bench = _Bench()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    commands = {
        "open": bench.open,
        "stampede": bench.stampede,
        "crash": bench.crash,
        "traffic": bench.traffic,
    }
    try:
        while line := await reader.readline():
            facts = json.loads(line)
            _say(await commands[facts.pop("command")](facts))
    finally:
        await bench.close()


if __name__ == "__main__":
    asyncio.run(_serve())
