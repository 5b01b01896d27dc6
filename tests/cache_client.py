"""A client of the cache in a process of its own, which does what JSON lines tell it.

`cache_fleet` starts it and holds the other end. Each line is a command with a number,
each answer carries it. A loader here does nothing by itself: it says that it began and
waits to be told the row, so that the machine decides what happens between the two.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

from cache_mutants import MUTANTS

from fluxlab.caching.breaker import Node
from fluxlab.caching.cache import Cache, Options
from fluxlab.caching.invalidation import Writing
from fluxlab.caching.stats import Counts
from fluxlab.caching.wire import Away

Facts = dict[str, Any]

_FAILED = Node.failed


class LoaderFailed(Exception):  # noqa: N818 - the application's, not ours
    """What the database said; it has to reach whoever waits for that load."""


class Client:
    """One cache and what is under way on it."""

    def __init__(self) -> None:
        self.cache: Cache
        self.namespace = ""
        self.failures = 0
        self.numbers = itertools.count(1)
        self.loads: dict[int, asyncio.Future[Facts]] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.readers: dict[int, asyncio.Task[Any] | None] = {}
        self.writings: dict[int, Writing] = {}
        self.mutant = ExitStack()
        #: What was owed when the breaker was last seen open.
        self.outage: dict[str, int] = {}

    def say(self, **facts: Any) -> None:
        facts |= {"of": self.namespace, "failures": self.failures}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()

    def hear(self, line: bytes) -> None:
        """Begin what a line asks for; many things may be under way at once."""
        facts = json.loads(line)
        number, do = facts.pop("id"), facts.pop("do")
        work: Callable[..., Coroutine[Any, Any, Facts]] = getattr(self, f"do_{do}")
        task = asyncio.get_running_loop().create_task(self.answer(number, work, facts))
        self.tasks[number] = task
        task.add_done_callback(lambda _: self.tasks.pop(number, None))

    async def answer(self, number: int, work: Any, facts: Facts) -> None:
        try:
            found = await work(**facts)
        except LoaderFailed as error:
            found = {"failed": int(str(error))}
        except asyncio.CancelledError:
            found = {"cancelled": True}
        except Exception as error:
            found = {"leaked": repr(error)}
        if self.is_open():
            self.outage = self.owed()
        self.say(id=number, **found)

    async def do_open(
        self, url: str, namespace: str, options: Facts, mutant: str | None
    ) -> Facts:
        """Leave what was open behind, and open a cache anew, mutated or not."""
        me = asyncio.current_task()
        for task in [one for one in self.tasks.values() if one is not me]:
            task.cancel()
        if self.namespace:
            await self.cache.close()
        self.mutant.close()
        for task in asyncio.all_tasks() - {me, MAIN}:  # a mutant's, left behind
            task.cancel()
        self.loads.clear()
        self.readers.clear()
        self.outage, self.failures = {}, 0
        self.writings.clear()
        self.namespace = namespace
        if mutant is not None:
            MUTANTS[mutant].apply(self.mutant)
        options["probe_s"] = tuple(options["probe_s"])
        self.cache = Cache.open(url, namespace=namespace, options=Options(**options))
        return {}

    async def do_start(self) -> Facts:
        return {"told": await self.cache.start()}

    async def do_read(self, key: str, ttl_s: float | None, number: int) -> Facts:
        """Read; say what P4 and P10 need to know."""
        clock = asyncio.get_running_loop().time
        own_s = 0.0
        self.readers[number] = asyncio.current_task()

        async def load() -> object:
            nonlocal own_s
            load, begun = next(self.numbers), clock()
            row: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
            self.loads[load] = row
            self.say(load=load, read=number, key=key)
            try:
                found = await row
            finally:
                own_s += clock() - begun
                self.say(ended=load)
            if "value" in found:
                return found["value"]
            raise LoaderFailed(str(load))

        before = self.owed()
        was_open, covered, begun = self.is_open(), self.covers(key), clock()
        answer = await self.cache.read(key, load, ttl_s)
        took_s, after = clock() - begun, self.owed()
        still = covered and self.covers(key) and _share(before, after)
        return {
            "value": answer.value,
            "outcome": answer.outcome,
            "added_s": took_s - own_s,
            "was_open": was_open and self.is_open(),
            "owed": still or _share(self.outage, after),
        }

    async def do_get(self, key: str) -> Facts:
        return {"value": await self.cache.get(key)}

    async def do_set(self, key: str, value: object, ttl_s: float | None) -> Facts:
        return {"told": await self.cache.set(key, value, ttl_s)}

    async def do_row(self, load: int, **found: object) -> Facts:
        """End a load, with a value or without."""
        row = self.loads.pop(load, None)
        if row is not None and not row.done():
            row.set_result(found)
        return {}

    async def do_cancel(self, read: int) -> Facts:
        reader = self.readers.get(read)
        if reader is not None:
            reader.cancel()
        return {}

    async def do_invalidate(self, tags: list[str], keys: list[str]) -> Facts:
        return {"told": await self.cache.invalidate(tags=tags, keys=keys)}

    async def do_delete(self, keys: list[str]) -> Facts:
        return {"told": await self.cache.delete(*keys)}

    async def do_delete_pattern(self, glob: str) -> Facts:
        await self.cache.delete_pattern(glob)
        return {"told": glob not in self.cache._forgetter.debts.globs}

    async def do_enter(self, write: int, tags: list[str], keys: list[str]) -> Facts:
        self.writings[write] = writing = self.cache.writing(tags, keys)
        await writing.__aenter__()
        return {"told": writing.is_barred}

    async def do_leave(self, write: int) -> Facts:
        writing = self.writings.pop(write)
        await writing.__aexit__(None, None, None)
        owed = self.owed()
        debts = {repr((name, writing._barrier)) for name in writing._versions}
        return {"told": not debts & set(owed)}

    async def do_state(self) -> Facts:
        total = self.cache.stats().total
        counts = {name: getattr(total, name) for name in Counts.__dataclass_fields__}
        return {
            "pending": len(self.cache._forgetter.debts),
            "is_open": self.is_open(),
            "counts": counts,
        }

    async def do_storm(self, keys: list[str], turns: int) -> Facts:
        """Give up many reads at every stage of their way; all others must be right."""
        wrong: list[str] = []
        begun = right = hits = 0
        for turn in range(turns):
            reads = {
                key: asyncio.create_task(self.cache.read(key, _loader(key))) for key in keys
            }
            begun += len(reads)
            for _ in range(turn % 6):
                await asyncio.sleep(0)
            for at, key in enumerate(keys):
                if (at + turn) % 3 == 0:
                    reads[key].cancel()
            answers = await asyncio.gather(*reads.values(), return_exceptions=True)
            for key, answer in zip(keys, answers, strict=True):
                if isinstance(answer, asyncio.CancelledError):
                    continue
                value = getattr(answer, "value", answer)
                right += value == key
                hits += getattr(answer, "outcome", "") == "hit"
                wrong += [f"{key}: {value!r}"] if value != key else []
        return {"begun": begun, "right": right, "hits": hits, "wrong": wrong}

    async def do_arrive(
        self, keys: list[str], at_s: list[float], of: list[int], ttl_s: float
    ) -> Facts:
        """Read keys at these times, from the first on; each load is there at once."""
        loop = asyncio.get_running_loop()
        begun, running = loop.time(), set()
        for at, which in zip(at_s, of, strict=True):
            await asyncio.sleep(max(0.0, begun + at - loop.time()))
            key = keys[which]
            task = loop.create_task(self.cache.read(key, _loader(key), ttl_s))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        return {}

    async def do_close(self) -> Facts:
        """Close; say what is left on the loop."""
        ours = {asyncio.current_task(), *self.tasks.values(), MAIN}
        await self.cache.close()
        # Tasks that were cancelled end on the loop's next turns.
        for _ in range(3):
            await asyncio.sleep(0)
        left = [repr(one) for one in asyncio.all_tasks() - ours]
        return {"left": left}

    def is_open(self) -> bool:
        if not self.namespace:
            return False
        return any(node.is_open for node in self.cache._transport.nodes)

    def covers(self, key: str) -> bool:
        return self.cache._forgetter.debts.covers(self.cache._names(key, ()))

    def owed(self) -> dict[str, int]:
        debts = self.cache._forgetter.debts
        versions = {repr(debt): serial for debt, serial in debts.owed().items()}
        return versions | dict.fromkeys(debts.globs, 0)


def _share(before: dict[str, int], after: dict[str, int]) -> bool:
    """Whether a debt of before has not been paid."""
    return any(after.get(debt) == serial for debt, serial in before.items())


def _loader(key: str) -> Callable[[], Coroutine[Any, Any, object]]:
    async def load() -> object:
        return key

    return load


CLIENT = Client()
MAIN: asyncio.Task[Any] | None = None


def _count_failures(node: Node, error: Away) -> None:
    CLIENT.failures += 1
    _FAILED(node, error)


async def main() -> None:
    global MAIN
    MAIN = asyncio.current_task()
    setattr(Node, "failed", _count_failures)  # noqa: B010 - mypy knows its type
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    CLIENT.say(ready=True)
    while line := await lines.readline():
        CLIENT.hear(line)


if __name__ == "__main__":
    asyncio.run(main())
