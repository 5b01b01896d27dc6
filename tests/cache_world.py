"""A small world around the cache: a database, clients in processes, and a judge.

The world does what a test or the hypothesis machine (`cache_machine`) says, one step at a
time; `cache_judge` keeps the books from which each property is judged. The database holds
a version for each of a few rows, counted up by commits; a key's value is the key and the
versions of the rows it was made of. A row is read when the loader begins, and handed over
when the test says so: between the two may be anything.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any

from cache_books import (
    FLEETING,
    FLEETING_S,
    FORGETS,
    GLOBS,
    KEYS,
    SEEN,
    Load,
    Read,
    Write,
    highest,
)
from cache_fleet import PATIENCE_S, Facts
from cache_judge import Judge

from fluxlab.caching.keys import facts_of


class World(Judge):
    """The database, the clients and the server, step by step."""

    # What a client is told to do.

    def read(self, at: int, key: str) -> Read:
        """Begin a read; see that it ends, or its load begins, where that is soon."""
        with self.changed:
            number = next(self.numbers)
            read = Read(number, at, key, self._promise(at, key), self.period[key])
            self.reads[number] = read
            self.counts[at]["reads"] += 1
            self.tell(f"{at} reads {key} ({number}), promised {read.floor}")
        ttl_s = FLEETING_S if key == FLEETING else None
        answer = self.fleet.processes[at].tell("read", key=key, ttl_s=ttl_s, number=number)
        answer.add_done_callback(partial(self._answered, read))
        self.wait(lambda: read.answer or read.load, 0.05)
        return read

    def answer_of(self, read: Read) -> Facts:
        """Wait until a read has ended."""
        if not self.wait(lambda: read.answer is not None):
            self.fail("P3", f"read {read.number} of {read.key} never ended")
        assert read.answer is not None
        return read.answer

    def finish(self, load: Load, *, fails: bool = False, waits: bool = True) -> None:
        """Hand a load its row, or the database's error; wait until it has it."""
        with self.changed:
            name = (load.at, load.number)
            if self.loads.pop(name, None) is None:
                return
            self.ended[name] = load
            load.failed, load.ended_s = fails, time.monotonic()
            self.tell(f"load {load.number} of {load.at} {'fails' if fails else 'ends'}")
            if fails:
                self._disturb(load.key)
        found = {} if fails else {"value": [load.key, list(load.versions.values())]}
        row = self.fleet.processes[load.at].tell("row", load=load.number, **found)
        if waits:
            row.result(PATIENCE_S)

    def load_of(self, read: Read) -> Load:
        """Wait until a read's own load has begun."""
        if not self.wait(lambda: read.load is not None or read.answer is not None):
            self.fail("P3", f"read {read.number} of {read.key} neither loads nor ends")
        self.check()
        assert read.load is not None, f"read {read.number} was answered: {read.answer}"
        return read.load

    def through(self, at: int, key: str) -> Facts:
        """Read and load whatever that takes, at once."""
        read = self.read(at, key)
        while not self.wait(lambda: read.answer or read.load, PATIENCE_S):
            self.fail("P3", f"read {read.number} of {key} neither loads nor ends")
        if read.load is not None:
            self.finish(read.load)
        return self.answer_of(read)

    def get(self, at: int, key: str) -> list[Any] | None:
        """Look for a value that is stored."""
        promise = self._promise(at, key)
        value = self._stored(at, key)
        if value is not None:
            self._judge(f"get of {key} by {at}", key, value, promise)
        return value

    def set(self, at: int, key: str) -> None:
        """Store the row as it is now."""
        with self.changed:
            value = [key, [self.committed[row] for row in KEYS[key]]]
            self._disturb(key)
        ttl_s = FLEETING_S if key == FLEETING else None
        told = self.fleet.processes[at].ask("set", key=key, value=value, ttl_s=ttl_s)
        self.tell(f"{at} sets {key} to {value}: {told['told']}")
        self._disturb(key)

    def cancel(self, read: Read) -> None:
        """Give a read up."""
        self.counts[read.at]["cancelled"] += 1
        self.tell(f"{read.at} gives read {read.number} up")
        self.fleet.processes[read.at].ask("cancel", read=read.number)

    def invalidate(self, at: int, row: str) -> bool:
        """Tell the cache to forget what depends on a row."""
        tags, keys = FORGETS[row]
        return self._forget(at, self._of_row(row), "invalidate", tags=tags, keys=keys)

    def delete(self, at: int, key: str) -> bool:
        """Tell the cache to forget a key."""
        return self._forget(at, [key], "delete", keys=[key])

    def delete_pattern(self, at: int, glob: str) -> bool:
        """Tell the cache to forget what a pattern matches."""
        return self._forget(at, list(GLOBS[glob]), "delete_pattern", glob=glob)

    def _forget(self, at: int, of: list[str], do: str, **words: object) -> bool:
        with self.changed:
            now = {key: {row: self.committed[row] for row in KEYS[key]} for key in of}
            self._disturb(*of)
        told = bool(self.fleet.processes[at].ask(do, **words)["told"])
        with self.changed:
            self.tell(f"{at} {do} {words}: {'told' if told else 'owed'}")
            SEEN["told" if told else "owed"] += 1
            self._disturb(*of)
            for key, versions in now.items():
                if told:
                    self.floor[key] = highest(self.floor[key], versions)
                else:
                    self.own[at][key] = highest(self.own[at].get(key, {}), versions)
        return told

    def begin(self, at: int, row: str, *, with_barrier: bool = False) -> Write:
        """Begin a transaction, behind a barrier or not."""
        write = Write(next(self.numbers), at, row, with_barrier, False)
        if with_barrier:
            tags, keys = FORGETS[row]
            self._disturb(*self._of_row(row))
            write.stands = self.fleet.processes[at].ask(
                "enter", write=write.number, tags=tags, keys=keys
            )["told"]
            self._disturb(*self._of_row(row))
        self.writes[write.number] = write
        self.tell(f"{at} begins write {write.number} of {row}, barrier {write.stands}")
        return write

    def commit(self, write: Write) -> None:
        """Commit; behind a barrier that stands, whoever reads from now on sees it."""
        if write.stands:
            self.state(write.at)  # which tells of requests that failed
        with self.changed:
            self.committed[write.row] += 1
            write.committed = True
            self.tell(
                f"write {write.number} commits {write.row} {self.committed[write.row]}"
            )
            if write.stands:
                SEEN["behind a barrier"] += 1
                self._raise_floor(self._of_row(write.row))

    def leave(self, write: Write) -> bool:
        """End a transaction, committed or rolled back, and tell the cache."""
        del self.writes[write.number]
        of = self._of_row(write.row)
        if write.with_barrier:
            return self._forget(write.at, of, "leave", write=write.number)
        if write.committed:
            return self.invalidate(write.at, write.row)
        return True

    def write(self, at: int, row: str, *, with_barrier: bool = False) -> bool:
        """Do the whole of it."""
        write = self.begin(at, row, with_barrier=with_barrier)
        self.commit(write)
        return self.leave(write)

    def crash(self, at: int) -> None:
        """Kill a client in whatever it does; a new process takes its place."""
        with self.changed:
            self.tell(f"{at} is killed")
            self._disturb(*KEYS)
            for read in self.reads.values():
                if read.at == at and read.answer is None:
                    read.answer = {"cancelled": True}
        self.fleet.replace(at)
        with self.changed:
            self.loads = {name: one for name, one in self.loads.items() if one.at != at}
            for key in self.own[at]:
                self.lost.add(key)
            self.own[at] = {}
            for write in [one for one in self.writes.values() if one.at == at]:
                del self.writes[write.number]
                if write.committed and not write.stands:
                    self.lost |= set(self._of_row(write.row))
            self._disturb(*KEYS)
        self.counts[at] = Counter()
        self._open(at)

    def open_breaker(self, at: int) -> None:
        """Read through a client until it asks the server, which is away, no more."""
        while not self.state(at)["is_open"]:
            self.through(at, "note")

    def close(self, at: int) -> None:
        """Close a client's cache; nothing of it may be left."""
        for write in [one for one in self.writes.values() if one.at == at]:
            self.leave(write)
        for load in [one for one in self.loads.values() if one.at == at]:
            self.finish(load)
        state = self.state(at)
        with self.changed:
            self.tell(f"{at} closes")
            self._disturb(*KEYS)
            if state["pending"]:
                self.lost |= set(self.own[at])
            self.own[at] = {}
        left = self.fleet.processes[at].ask("close")["left"]
        if left:
            self.fail("P9", f"client {at} closed and left {left}")

    def reopen(self, at: int) -> None:
        """Close a client's cache and open another."""
        self.close(at)
        self._open(at)
        mine = [one for one in self.reads.values() if one.at == at]
        self.wait(lambda: all(one.answer is not None for one in mine))
        self.counts[at] = Counter()

    # What happens to the server.

    def hang(self) -> None:
        """Stop the server where it is."""
        for at in range(len(self.fleet.processes)):
            self.state(at)
        self.tell("the server hangs")
        self.server.pause()
        self.is_hung = True
        self._disturb(*KEYS)

    def resume(self) -> None:
        """Let it go on; a barrier may have run out meanwhile."""
        self.tell("the server goes on")
        with self.changed:
            self._shake()
            self.server.resume()
            self.is_hung = False

    def kill(self) -> None:
        """End the server; what it held is gone."""
        self.tell("the server is killed")
        self._disturb(*KEYS)
        self.server.kill()
        with self.changed:
            self.is_hung, self.is_dead = False, True
            self._shake()
            self._raise_floor(KEYS)

    def restart(self) -> None:
        """Start it again, empty."""
        with self.changed:
            self._raise_floor(KEYS)
            self._disturb(*KEYS)
        self.server.start()
        self.is_dead = self.is_refusing = False
        self._disturb(*KEYS)
        self.tell("the server is back")

    def refuse(self) -> None:
        """Forbid scripts: nothing is filled, forgotten or barred; reads go on."""
        self.tell("the server refuses scripts")
        self._disturb(*KEYS)
        self._allow_scripts("-")
        self._disturb(*KEYS)

    def admit(self) -> None:
        """Allow them again."""
        with self.changed:
            self.tell("the server admits scripts")
            self._allow_scripts("+")
            self._shake()

    def _allow_scripts(self, sign: str) -> None:
        self.server.say("ACL", "SETUSER", "default", f"{sign}eval", f"{sign}evalsha")
        self.is_refusing = sign == "-"

    def flush(self) -> None:
        """Lose every entry, version, lease and barrier."""
        self._disturb(*KEYS)
        self.server.say("FLUSHALL")
        with self.changed:
            self.tell("the server is flushed")
            self._shake()
            self._raise_floor(KEYS)

    def forget_scripts(self) -> None:
        """Lose the scripts."""
        self.tell("the server forgets its scripts")
        self.server.say("SCRIPT", "FLUSH")

    def evict(self, kind: str, key: str) -> None:
        """Lose an entry, the leases, the own version or the tags' versions of a key."""
        prefix = f"{self.namespace}:{{{key}}}:"
        with self.server.client() as client:
            names = {
                "entry": [f"{prefix}d"],
                "lease": [one.decode() for one in client.scan_iter(f"{prefix}l:*")],
                "version": [f"{prefix}v"],
                "tags": [f"{self.namespace}:{{t:{tag}}}:v" for tag in facts_of(key).tags],
            }[kind]
            if not names:
                return
            self._disturb(*KEYS)
            client.delete(*names)
        with self.changed:
            self.tell(f"the server loses the {kind} of {key}")
            same = [key] if kind != "tags" else list(KEYS)
            if kind in {"version", "tags"}:
                self._shake()
                self._raise_floor([key])
            self._disturb(*same)

    # The end.

    def quiesce(self) -> None:
        """Let everything end, and judge what is left: P2, P3, P8 and P10."""
        self.check()
        if self.is_dead:
            self.restart()
        if self.is_hung:
            self.resume()
        if self.is_refusing:
            self.admit()
        for write in list(self.writes.values()):
            self.leave(write)
        end = time.monotonic() + PATIENCE_S
        while any(one.answer is None for one in self.reads.values()) or self.loads:
            with self.changed:
                running = list(self.loads.values())
            for load in running:
                self.finish(load)
            self.wait(lambda: self.loads, 0.01)
            if time.monotonic() > end:
                self.fail("P3", "reads never end")
        for at in range(len(self.fleet.processes)):
            while (state := self.state(at))["pending"] or state["is_open"]:
                if time.monotonic() > end:
                    self.fail("P10", f"client {at} never recovers: {state}")
                time.sleep(0.01)
        self.check()
        self._check_entries()
        self._check_counts()

    def end(self) -> None:
        """Close every client: P9."""
        for at in range(len(self.fleet.processes)):
            self.close(at)
        end = time.monotonic() + 2
        while (left := self._connections()) > self.connections:
            if time.monotonic() > end:
                self.fail("P9", f"{left - self.connections} connections are left")
            time.sleep(0.01)

    def restore(self) -> None:
        """Leave the server as the next world wants it, whatever has happened."""
        if self.is_hung:
            self.server.resume()
        if self.is_dead:
            self.server.start()
        if self.is_refusing and not self.is_dead:
            self._allow_scripts("+")
        self.is_hung = self.is_dead = False
