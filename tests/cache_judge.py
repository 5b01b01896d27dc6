"""The judge of `cache_world`: what was promised to whom, and whether it was kept.

What a reader is promised stands in `floor`: for each key the versions that no read may
fall below which begins from now on. It rises when an invalidation was told, when the
server lost what it held, and at the commit of a writer whose barrier stands. What a client
owes the server binds that client at once (`own`) and everybody when it was paid; when a
client dies owing, that promise is lost, as documented.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter, defaultdict
from functools import partial
from typing import Any

from cache_books import (
    DEADLINE_S,
    ENVELOPE,
    FLEETING,
    FORGETS,
    KEYS,
    LEASE_S,
    OPTIONS,
    REQUESTS_OF_A_READ,
    SEEN,
    SLACK_S,
    Broken,
    Load,
    Read,
    Versions,
    Write,
    highest,
    who_loaded,
)
from cache_fleet import PATIENCE_S, Facts, Fleet


class Judge:
    """The books of a world, and what is heard from its clients."""

    def __init__(self, fleet: Fleet, mutant: str | None = None, **options: Any) -> None:
        self.fleet, self.server, self.mutant = fleet, fleet.server, mutant
        self.options = OPTIONS | options
        self.namespace = f"w{secrets.token_hex(4)}"
        self.changed = threading.Condition(threading.RLock())
        self.broken: list[Broken] = []
        self.story: list[str] = []
        self.numbers = itertools.count(1)
        self.is_hung = self.is_dead = self.is_refusing = False
        self.committed: Versions = dict.fromkeys(FORGETS, 0)
        self.floor = {key: dict.fromkeys(rows, 0) for key, rows in KEYS.items()}
        self.own: list[dict[str, Versions]] = [{} for _ in fleet.processes]
        self.lost: set[str] = set()
        self.reads: dict[int, Read] = {}
        self.loads: dict[tuple[int, int], Load] = {}
        self.ended: dict[tuple[int, int], Load] = {}
        self.writes: dict[int, Write] = {}
        self.counts: list[Counter[str]] = []
        self.failures = [0 for _ in fleet.processes]
        self.period: Counter[str] = Counter()
        self.loaded: dict[tuple[str, int], list[Load]] = defaultdict(list)
        self.suspects: list[tuple[list[Load], str]] = []
        self.connections = self._connections()
        for at in range(len(fleet.processes)):
            self.counts.append(Counter())
            self._open(at)

    def tell(self, sentence: str) -> None:
        self.story.append(f"{time.monotonic() % 1_000:8.3f} {sentence}")

    def fail(self, name: str, seen: str) -> None:
        raise Broken(name, seen, self.story)

    def wait(self, is_true: Any, timeout_s: float = PATIENCE_S) -> bool:
        with self.changed:
            return bool(self.changed.wait_for(is_true, timeout_s))

    def check(self) -> None:
        """Raise what was seen to be broken."""
        with self.changed:
            suspects, self.suspects = self.suspects, []
        if suspects:
            # A request that ran out of time excuses a load; who had one says so now.
            for at in range(len(self.fleet.processes)):
                self.state(at)
            for loads, seen in suspects:
                if all(one.failures == self.failures[one.at] for one in loads):
                    self.fail("P5", seen)
        if self.broken:
            raise self.broken[0]

    def state(self, at: int) -> Facts:
        """Ask a client how it is; what it owed and has paid binds everybody."""
        answer = self.fleet.processes[at].ask("state")
        with self.changed:
            if not answer["pending"]:
                for key, versions in self.own[at].items():
                    self.floor[key] = highest(self.floor[key], versions)
                self.own[at] = {}
        return answer

    def _stored(self, at: int, key: str) -> list[Any] | None:
        value: list[Any] | None = self.fleet.processes[at].ask("get", key=key)["value"]
        self.counts[at]["hit" if value is not None else "miss"] += 1
        self.counts[at]["reads"] += 1
        self.tell(f"{at} gets {key}: {value}")
        return value

    def _open(self, at: int) -> None:
        process = self.fleet.processes[at]
        process.heard = partial(self._heard, at)
        self.failures[at] = 0
        process.ask(
            "open",
            url=self.server.url,
            namespace=self.namespace,
            options=self.options,
            mutant=self.mutant,
        )

    def _promise(self, at: int, key: str) -> Versions:
        with self.changed:
            if self.is_dead:  # everybody reads past it
                return {row: self.committed[row] for row in KEYS[key]}
            return highest(self.floor[key], self.own[at].get(key, {}))

    def _of_row(self, row: str) -> list[str]:
        return [key for key, rows in KEYS.items() if row in rows]

    def _raise_floor(self, keys: Any) -> None:
        """Nothing older than the present may be read from now on."""
        for key in keys:
            self.floor[key] = {row: self.committed[row] for row in KEYS[key]}
            self._disturb(key)

    def _shake(self) -> None:
        """Barriers may be gone: until their writers commit nothing is certain."""
        for write in self.writes.values():
            if not write.committed:
                write.stands = False
        self._disturb(*KEYS)

    def _disturb(self, *keys: str) -> None:
        """From now on a key may be loaded once more."""
        with self.changed:
            for key in keys:
                self.period[key] += 1

    def _heard(self, at: int, facts: Facts) -> None:
        if facts["of"] != self.namespace:
            return
        with self.changed:
            if facts["failures"] != self.failures[at]:
                self.failures[at] = facts["failures"]
                self._disturb(*KEYS)
                if not self.is_hung:  # a barrier may not have been renewed
                    self._shake()
            if "load" in facts:
                self._began(at, facts)
            if "ended" in facts:  # a load that nobody waits for any more, or is closed
                load = self.loads.pop((at, facts["ended"]), None)
                if load is not None:
                    self.ended[at, load.number] = load
            self.changed.notify_all()

    def _began(self, at: int, facts: Facts) -> None:
        """A loader began: it reads the database now."""
        read = self.reads[facts["read"]]
        versions = {row: self.committed[row] for row in KEYS[read.key]}
        counts = read.key != FLEETING and read.period == self.period[read.key]
        load = Load(
            facts["load"], at, read.key, read.number, versions, counts, self.failures[at]
        )
        self.loads[at, load.number] = read.load = load
        self.tell(f"load {load.number} of {at} for read {read.number} sees {versions}")

    def _answered(self, read: Read, future: Any) -> None:
        answer: Facts = future.result()
        with self.changed:
            if read.answer is not None:  # its process was killed
                return
            read.answer = answer
            seen = answer.get("outcome") or answer
            self.tell(f"read {read.number}: {seen} {answer.get('value', '')}")
            count = self.counts[read.at]
            count[answer.get("outcome", "failed")] += 1
            SEEN[answer.get("outcome", next(iter(answer.keys() - ENVELOPE)))] += 1
            try:
                self._judge_answer(read, answer)
            except Broken as broken:
                self.broken.append(broken)
            self.changed.notify_all()

    def _judge_answer(self, read: Read, answer: Facts) -> None:
        who = f"read {read.number} of {read.key} by {read.at}"
        if "cancelled" in answer:
            return
        if "leaked" in answer:
            self.fail("P3", f"{who} was told {answer['leaked']}")
        if "failed" in answer:
            self._judge_failure(read, answer["failed"], who)
            return
        if read.load is not None and read.load.failed and answer["outcome"] == "bypass":
            self.fail("P3", f"{who} was not told that its load failed")
        self._judge(who, read.key, answer["value"], read.floor)
        if answer["outcome"] == "hit" and answer["owed"]:
            self.fail("P10", f"{who} was a hit before the debts were paid")
        # Others wait for somebody else's load, or for their turn.
        is_alone = answer["outcome"] == "hit" or (
            answer["outcome"] == "bypass"
            and read.load is not None
            and self.options["max_loads"] == OPTIONS["max_loads"]
        )
        if is_alone and answer["added_s"] > REQUESTS_OF_A_READ * DEADLINE_S + SLACK_S:
            self.fail("P4", f"{who} waited {answer['added_s']:.3f} s for the cache")
        if answer["was_open"] and answer["outcome"] != "bypass":
            self.fail("P4", f"{who} asked a server that is known to be away")
        if answer["outcome"] == "miss" and read.load is not None:
            self._count_load(read, read.load)

    def _judge(self, who: str, key: str, value: Any, floor: Versions) -> None:
        if not isinstance(value, list) or len(value) != 2 or value[0] != key:
            self.fail("P7", f"{who} was answered {value!r}")
        versions = dict(zip(KEYS[key], value[1], strict=True))
        if any(versions[row] < least for row, least in floor.items()):
            self.fail("P1", f"{who} was answered {versions}, promised {floor}")
        if any(versions[row] > self.committed[row] for row in versions):
            self.fail("P1", f"{who} was answered {versions}, never committed")

    def _judge_failure(self, read: Read, number: int, who: str) -> None:
        """A loader's error reaches those who waited for that load, nobody else."""
        load = self.ended.get((read.at, number))
        if load is None or not load.failed or load.key != read.key:
            self.fail("P3", f"{who} was told an error of load {number}, {load}")
        assert load is not None
        if load.ended_s < read.begun_s:
            self.fail("P3", f"{who} was told an error from before it began")

    def _count_load(self, read: Read, load: Load) -> None:
        """One load for a key and its versions; one more for each lease that ran out."""
        if not load.counts:
            return
        before = self.loaded[read.key, read.period]
        # A lease ran out under a load, or a process has waited for a whole one.
        before.append(load)
        late = [one for one in before if self._took_a_lease(one)]
        SEEN["load that counts"] += 1
        if len(before) > 1 + len(late):
            seen = f"{who_loaded(before)} under one version"
            self.suspects.append((list(before), seen))

    def _took_a_lease(self, load: Load) -> bool:
        took_s = load.ended_s - load.begun_s
        waited_s = load.begun_s - self.reads[load.read].begun_s
        return max(took_s, waited_s) > LEASE_S * 0.8

    def _check_entries(self) -> None:
        """At rest no valid entry differs from the database."""
        for key, rows in KEYS.items():
            now = {row: self.committed[row] for row in rows}
            if self.floor[key] != now and key not in self.lost:
                self.fail("books", f"{key}: {self.floor[key]} promised, {now} committed")
            for at in range(len(self.fleet.processes)):
                value = self._stored(at, key)
                if value is None or key in self.lost:
                    continue
                if dict(zip(rows, value[1], strict=True)) != now:
                    self.fail("P2", f"client {at} holds {value} at rest, not {now}")

    def _check_counts(self) -> None:
        for at, seen in enumerate(self.counts):
            counts = self.state(at)["counts"]
            total = sum(counts[name] for name in ("hits", "joined", "misses", "bypassed"))
            cancelled = seen["cancelled"]
            if not seen["reads"] - cancelled <= total <= seen["reads"]:
                self.fail("P8", f"client {at} counted {counts} for {dict(seen)}")
            is_exact = not cancelled and not seen["failed"]
            names = {"hits": "hit"}
            if is_exact:
                names |= {"joined": "joined", "misses": "miss", "bypassed": "bypass"}
            for name, outcome in names.items():
                if counts[name] != seen[outcome]:
                    self.fail("P8", f"client {at} counted {counts} for {dict(seen)}")

    def _connections(self) -> int:
        if self.is_dead:
            return 0
        with self.server.client() as client:
            found: list[Any] = client.client_list()
        return len(found) - 1
