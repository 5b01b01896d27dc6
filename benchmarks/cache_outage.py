"""Part of bench_cache.py: a server that hangs (SIGSTOP), and one that is killed."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from statistics import median

from cache_peers import (
    Aiocache,
    AiocacheStampede,
    Cashews,
    CashewsClientSide,
    CashewsLock,
    Dogpile,
    Flux,
    Load,
    Part,
    Peer,
    Place,
    RedisPy,
    RedisPyByHost,
    Target,
)
from cache_servers import Valkey

TUNED_S = 0.1
CONTESTANTS: Mapping[str, Callable[[Place], Peer]] = {
    "redis-py from_url": RedisPy,
    "redis-py Redis(host=)": RedisPyByHost,
    "redis-py, 0.1 s": partial(RedisPy, timeout_s=TUNED_S),
    "cashews @cache": Cashews,
    "cashews lock=True": CashewsLock,
    "cashews @cache, 0.1 s": partial(Cashews, timeout_s=TUNED_S),
    "cashews client_side (may be stale)": CashewsClientSide,
    "aiocache @cached": Aiocache,
    "aiocache @cached, 0.1 s": partial(Aiocache, timeout_s=TUNED_S),
    "aiocache @cached_stampede": AiocacheStampede,
    "dogpile": Dogpile,
    "dogpile, 0.1 s": partial(Dogpile, timeout_s=TUNED_S),
    "fluxlab (0.05 s)": Flux,
    "fluxlab, 0.1 s": partial(Flux, timeout_s=TUNED_S),
}
OURS = "fluxlab (0.05 s)"
WORKERS, KEYS, LOAD_S = 10, 50, 0.005
#: Of the loader's own median, while the server hangs.
HANG_RATIO = 1.2
Call = tuple[float, float, bool]  # begun, ended, whether an error was let out
_BEFORE_S, _AFTER_S, _PATIENCE_S = 0.5, 0.3, 12.0


@dataclass(frozen=True, slots=True)
class Watch:
    """The calls that were under way during a fault; `late` are those never answered."""

    waits_s: Sequence[float]
    leaked: int
    late: int

    @property
    def p50_ms(self) -> float:
        """The median of all that came back; endless when none did."""
        return median(self.waits_s) * 1_000 if self.waits_s else math.inf

    @property
    def max_ms(self) -> float:
        """The longest; endless where one never came back."""
        if self.late or not self.waits_s:
            return math.inf
        return max(self.waits_s) * 1_000

    def __str__(self) -> str:
        """`leaked of calls  p50  max`."""
        late = f" +{self.late} lost" if self.late else ""
        longest = max(self.waits_s, default=math.inf) * 1_000
        count = len(self.waits_s)
        return f"{self.leaked}/{count}{late}  {self.p50_ms:.1f}  {longest:.0f}"


async def _load() -> object:
    """Take the time of a quick query."""
    await asyncio.sleep(LOAD_S)
    return {"loaded": True}


class Alone(Peer):
    """No cache: the loader's own times."""

    async def read(self, key: str, load: Load) -> object:
        return await load()


async def _attend(pipe: Connection, make: Callable[[Place], Peer], place: Place) -> None:
    """Read until the pipe says something, then say what became of every call."""
    peer = make(place)
    await peer.open()
    for number in range(KEYS):
        await peer.put(f"user:{number}", {"loaded": True})
    calls: list[Call] = []
    until = asyncio.Event()
    tasks = [
        asyncio.create_task(_work(peer, calls, until, seed)) for seed in range(WORKERS)
    ]
    pipe.send("ready")
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    until.set()
    _, late = await asyncio.wait(tasks, timeout=_PATIENCE_S)
    pipe.send((calls, len(late)))


async def _work(peer: Peer, calls: list[Call], until: asyncio.Event, seed: int) -> None:
    clock, draw = time.monotonic, random.Random(seed)
    while not until.is_set():
        begun, has_leaked = clock(), False
        try:
            await peer.read(f"user:{draw.randrange(KEYS)}", _load)
        except Exception:  # whatever a library lets out of a read
            has_leaked = True
        calls.append((begun, clock(), has_leaked))
        # A request does something else as well; and no contestant starves its own timers.
        await asyncio.sleep(0.001)


def _run(pipe: Connection, make: Callable[[Place], Peer], place: Place) -> None:
    asyncio.run(_attend(pipe, make, place))


def _watch(
    make: Callable[[Place], Peer],
    place: Place,
    fault: Callable[[], object],
    mend: Callable[[], object],
    fault_s: float,
) -> Watch:
    """Let a contestant meet a fault, in a process that it cannot hold up after."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, make, place), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
        time.sleep(_BEFORE_S)
        began_at = time.monotonic()
        fault()
        time.sleep(fault_s)
        ended_at = time.monotonic()
        mend()
        time.sleep(_AFTER_S)
        ours.send("stop")
        calls, late = ours.recv()
    finally:
        process.kill()
        process.join()
    touched = [call for call in calls if call[1] >= began_at and call[0] <= ended_at]
    return Watch(
        [ended - begun for begun, ended, _ in touched],
        sum(has_leaked for _, _, has_leaked in touched),
        late,
    )


def measure(place: Place, server: Valkey, fault_s: float) -> Part:
    """Let every contestant meet both faults, one after another."""
    alone = _watch(Alone, place, float, float, fault_s)
    watches: dict[str, dict[str, Watch]] = {}
    for name, make in CONTESTANTS.items():
        # Locks that a library could not give back would hold its next start up.
        server.say("FLUSHALL")
        hang = _watch(make, place, server.pause, server.resume, fault_s)
        server.say("FLUSHALL")
        kill = _watch(make, place, server.kill, server.start, fault_s)
        watches[name] = {"hang": hang, "kill": kill}
    return _report(alone, watches, fault_s)


def _report(
    alone: Watch, watches: Mapping[str, Mapping[str, Watch]], fault_s: float
) -> Part:
    part = Part(
        f"(c) {WORKERS} workers on warm keys, loader {LOAD_S * 1_000:.0f} ms (alone: p50"
        f" {alone.p50_ms:.1f}, max {alone.max_ms:.0f} ms); the server is away for"
        f" {fault_s:g} s: errors let out of calls, p50 and max in ms",
        f"{'':<35} {'hangs':>28} {'is killed':>28}",
    )
    for name, both in watches.items():
        part.rows.append(f"{name:<35} {both['hang']!s:>28} {both['kill']!s:>28}")
    for name in (one for one in watches if one.startswith("fluxlab")):
        both = watches[name]
        leaked = sum(one.leaked + one.late for one in both.values())
        part.targets.append(Target(f"{name}: no error let out: {leaked}", leaked == 0))
        ratio = both["hang"].p50_ms / alone.p50_ms
        what = f"{name}: p50 {ratio:.2f} of the loader's own, at most {HANG_RATIO}"
        part.targets.append(Target(what, ratio <= HANG_RATIO))
    part.ahead = [one for how in ("hang", "kill") for one in _ahead(watches, how)]
    return part


def _ahead(watches: Mapping[str, Mapping[str, Watch]], how: str) -> Sequence[str]:
    """Where a library lets out no more errors, and is quicker in the middle or at worst."""
    ours = watches[OURS][how]
    found = []
    for name, both in watches.items():
        theirs = both[how]
        if name.startswith("fluxlab") or theirs.leaked > ours.leaked or theirs.late:
            continue
        if theirs.p50_ms < ours.p50_ms:
            pair = f"{theirs.p50_ms:.1f} against {ours.p50_ms:.1f}"
            found.append(f"{name}, {how}: p50 {pair} ms")
        if theirs.max_ms < ours.max_ms:
            pair = f"{theirs.max_ms:.0f} against {ours.max_ms:.0f}"
            found.append(f"{name}, {how}: max {pair} ms")
    return found
