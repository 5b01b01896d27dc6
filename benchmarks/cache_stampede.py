"""Part of bench_cache.py: 500 callers miss one key at once, in one process and in four."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from statistics import quantiles

from cache_peers import (
    Aiocache,
    AiocacheStampede,
    Cashews,
    CashewsAlone,
    CashewsLock,
    Dogpile,
    DogpileLock,
    Flux,
    Part,
    Peer,
    Place,
    RedisPy,
    Target,
)

CONTESTANTS: Mapping[str, type[Peer]] = {
    "redis-py, get or set": RedisPy,
    "cashews protected=False": CashewsAlone,
    "cashews @cache": Cashews,
    "cashews lock=True": CashewsLock,
    "aiocache @cached": Aiocache,
    "aiocache @cached_stampede": AiocacheStampede,
    "dogpile": Dogpile,
    "dogpile distributed_lock": DogpileLock,
    "fluxlab get_or_set": Flux,
}
OURS = "fluxlab get_or_set"
CALLERS, LOAD_S = 500, 0.05
PROCESSES = (1, 4)
#: Between the order to go and going, so that every process has heard it.
_HEAD_START_S = 0.1
_LONGEST_S = 30.0
_numbers = itertools.count(1)


@dataclass(slots=True)
class Crowd:
    """What some callers of one key saw."""

    loads: int = 0
    leaked: int = 0
    waits_s: list[float] = field(default_factory=list)


async def _rush(peer: Peer, key: str, callers: int, at: float) -> Crowd:
    crowd, clock = Crowd(), time.monotonic

    async def load() -> object:
        crowd.loads += 1
        await asyncio.sleep(LOAD_S)
        return {"loaded": True}

    async def call() -> None:
        begun = clock()
        try:
            await asyncio.wait_for(peer.read(key, load), _LONGEST_S)
        except Exception:  # whatever a library lets out of a read
            crowd.leaked += 1
        crowd.waits_s.append(clock() - begun)

    await asyncio.sleep(max(0.0, at - clock()))
    await asyncio.gather(*(call() for _ in range(callers)))
    return crowd


async def _attend(pipe: Connection, place: Place) -> None:
    """Do what the pipe says, until it says None."""
    loop = asyncio.get_running_loop()
    while order := await loop.run_in_executor(None, pipe.recv):
        name, key, callers = order
        peer = CONTESTANTS[name](place)
        await peer.open()
        # Connections are there already: else those that wait for one would find a value.
        await peer.put("user:0", 1)
        await _rush(peer, "user:0", callers, 0.0)
        pipe.send("ready")
        at = await loop.run_in_executor(None, pipe.recv)
        pipe.send(await _rush(peer, key, callers, at))
        await peer.close()


def _work(pipe: Connection, place: Place) -> None:
    asyncio.run(_attend(pipe, place))


@contextmanager
def _workers(place: Place, count: int) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_work, args=(theirs, place), daemon=True)
        for _, theirs in pairs
    ]
    for process in processes:
        process.start()
    try:
        yield [ours for ours, _ in pairs]
    finally:
        for ours, _ in pairs:
            ours.send(None)
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()


def _send(pipes: Sequence[Connection], name: str) -> Crowd:
    """Let a crowd that is divided among processes ask for a key that nobody has."""
    key = f"user:{next(_numbers) + 1_000_000}"
    for pipe in pipes:
        pipe.send((name, key, CALLERS // len(pipes)))
    for pipe in pipes:
        pipe.recv()
    at = time.monotonic() + _HEAD_START_S
    for pipe in pipes:
        pipe.send(at)
    whole = Crowd()
    for pipe in pipes:
        part = pipe.recv()
        whole.loads += part.loads
        whole.leaked += part.leaked
        whole.waits_s += part.waits_s
    return whole


def measure(place: Place, rounds: int) -> Part:
    """Every contestant in every round, in one process and in four."""
    crowds: dict[str, dict[int, list[Crowd]]] = {
        name: {count: [] for count in PROCESSES} for name in CONTESTANTS
    }
    with _workers(place, max(PROCESSES)) as pipes:
        for _ in range(rounds):
            for name, count in itertools.product(CONTESTANTS, PROCESSES):
                crowds[name][count].append(_send(pipes[:count], name))
    return _report(crowds, rounds)


def _p95_ms(crowd: Crowd) -> float:
    return quantiles(crowd.waits_s, n=20)[-1] * 1_000


def _report(crowds: Mapping[str, Mapping[int, Sequence[Crowd]]], rounds: int) -> Part:
    part = Part(
        f"(b) {CALLERS} misses of one key at once, loader {LOAD_S * 1_000:.0f} ms,"
        f" {rounds} times: loads / p95 in ms / errors let out",
        f"{'':<28} {'1 process':>36} {'4 processes':>36}",
    )
    for name, by_count in crowds.items():
        cells = []
        for count in PROCESSES:
            loads = "/".join(str(crowd.loads) for crowd in by_count[count])
            waits = sorted(_p95_ms(crowd) for crowd in by_count[count])
            leaked = sum(crowd.leaked for crowd in by_count[count])
            cells.append(f"{loads}  {waits[0]:.0f}-{waits[-1]:.0f}  {leaked}")
        part.rows.append(f"{name:<28} {cells[0]:>36} {cells[1]:>36}")
    for count in PROCESSES:
        most = max(crowd.loads + crowd.leaked for crowd in crowds[OURS][count])
        what = f"1 load and no error in {count} process(es): {most}"
        part.targets.append(Target(what, most == 1))
        part.ahead += _ahead(crowds, count)
    return part


def _ahead(
    crowds: Mapping[str, Mapping[int, Sequence[Crowd]]], count: int
) -> Iterator[str]:
    """Libraries with as few loads and errors, whose p95 is lower in the best round."""
    ours = crowds[OURS][count]
    for name, by_count in crowds.items():
        theirs = by_count[count]
        fewest = max(one.loads + one.leaked for one in theirs)
        if name == OURS or fewest > max(one.loads + one.leaked for one in ours):
            continue
        best, own = min(map(_p95_ms, theirs)), min(map(_p95_ms, ours))
        if best < own:
            yield (
                f"{name}, {count} process(es): p95 {best:.0f} ms against {own:.0f} ms"
                f" with loads of {fewest}"
            )
