"""The properties of the cache as a hypothesis state machine, told to a `cache_world`."""

from __future__ import annotations

import time
from typing import ClassVar

from cache_books import GLOBS, KEYS
from cache_fleet import Fleet
from cache_world import World
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

CLIENTS = st.integers(0, 2)
#: Which of several.
WHICH = st.integers(0, 7)


def _is_alive(machine: CacheMachine) -> bool:
    return not machine.world.is_hung and not machine.world.is_dead


class CacheMachine(RuleBasedStateMachine):
    """Three clients in three processes, their database and their server."""

    fleet: ClassVar[Fleet]
    mutant: ClassVar[str | None] = None
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.world: World

    @initialize(
        max_loads=st.sampled_from([32, 32, 1]),
        keys=st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=2, unique=True),
    )
    def open(self, max_loads: int, keys: list[str]) -> None:
        """Begin anew, with one key or two: what is rare must meet."""
        self.keys = keys
        self.rows = sorted({row for key in keys for row in KEYS[key]})
        self.world = World(self.fleet, self.mutant, max_loads=max_loads)

    def key(self, which: int) -> str:
        return self.keys[which % len(self.keys)]

    def row(self, which: int) -> str:
        return self.rows[which % len(self.rows)]

    # Reading.

    @rule(at=CLIENTS, which=WHICH)
    def read(self, at: int, which: int) -> None:
        self.world.read(at, self.key(which))

    # Reads and the ends of loads are most of what happens.
    @rule(at=CLIENTS, which=WHICH)
    def read_too(self, at: int, which: int) -> None:
        self.world.read(at, self.key(which))

    @rule(at=CLIENTS, which=WHICH)
    def read_through(self, at: int, which: int) -> None:
        read = self.world.read(at, self.key(which))
        if read.load is not None:
            self.world.finish(read.load)
            self.world.wait(lambda: read.answer is not None, 0.02)

    @rule(at=CLIENTS, which=WHICH)
    def get(self, at: int, which: int) -> None:
        self.world.get(at, self.key(which))

    @rule(at=CLIENTS, which=WHICH)
    def put(self, at: int, which: int) -> None:
        self.world.set(at, self.key(which))

    # Whether loads are under way is a matter of time, which may not decide what is drawn.
    @rule(which=WHICH, fails=st.sampled_from([False, False, False, True]))
    def end_load(self, which: int, fails: bool) -> None:
        self._end_load(which, fails=fails)

    @rule(which=WHICH)
    def end_load_too(self, which: int) -> None:
        self._end_load(which, fails=False)

    def _end_load(self, which: int, *, fails: bool) -> None:
        if running := list(self.world.loads.values()):
            load = running[which % len(running)]
            self.world.finish(load, fails=fails)
            read = self.world.reads[load.read]
            self.world.wait(lambda: read.answer is not None, 0.02)

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        waiting = [one for one in self.world.reads.values() if one.answer is None]
        if waiting:
            self.world.cancel(waiting[which % len(waiting)])

    # Writing.

    @precondition(lambda self: len(self.world.writes) < 3)
    @rule(at=CLIENTS, which=WHICH)
    def begin(self, at: int, which: int) -> None:
        self.world.begin(at, self.row(which))

    @precondition(lambda self: len(self.world.writes) < 3)
    @rule(at=CLIENTS, which=WHICH)
    def begin_behind_a_barrier(self, at: int, which: int) -> None:
        self.world.begin(at, self.row(which), with_barrier=True)

    @precondition(lambda self: self.world.writes)
    @rule(which=WHICH)
    def go_on(self, which: int) -> None:
        """Commit what is not committed, else invalidate."""
        writes = list(self.world.writes.values())
        write = writes[which % len(writes)]
        if write.committed:
            self.world.leave(write)
        else:
            self.world.commit(write)

    @precondition(lambda self: self.world.writes)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        """Invalidate after a commit; without one it is a rollback."""
        writes = list(self.world.writes.values())
        self.world.leave(writes[which % len(writes)])

    @rule(at=CLIENTS, which=WHICH)
    def write(self, at: int, which: int) -> None:
        self.world.write(at, self.row(which))

    @rule(at=CLIENTS, which=WHICH)
    def delete(self, at: int, which: int) -> None:
        self.world.delete(at, self.key(which))

    @rule(at=CLIENTS, glob=st.sampled_from(sorted(GLOBS)))
    def delete_pattern(self, at: int, glob: str) -> None:
        self.world.delete_pattern(at, glob)

    # Faults.

    @rule(at=CLIENTS)
    def crash(self, at: int) -> None:
        self.world.crash(at)

    @rule(at=CLIENTS)
    def reopen(self, at: int) -> None:
        self.world.reopen(at)

    @precondition(_is_alive)
    @rule(fault=st.sampled_from(["hang", "kill", "refuse", "flush", "forget_scripts"]))
    def fault(self, fault: str) -> None:
        if fault != "refuse" or not self.world.is_refusing:
            getattr(self.world, fault)()

    @precondition(lambda self: not _is_alive(self) or self.world.is_refusing)
    @rule()
    def heal(self) -> None:
        if self.world.is_dead:
            self.world.restart()
        elif self.world.is_hung:
            self.world.resume()
        else:
            self.world.admit()

    @precondition(lambda self: self.world.is_hung)
    @rule()
    def kill_what_hangs(self) -> None:
        self.world.kill()

    @precondition(_is_alive)
    @rule(kind=st.sampled_from(["entry", "lease", "version", "tags"]), which=WHICH)
    def evict(self, kind: str, which: int) -> None:
        self.world.evict(kind, self.key(which))

    @rule(tenths=st.sampled_from([0.02, 0.06, 0.15]))
    def advance(self, tenths: float) -> None:
        """Let leases, lifetimes, probes and deadlines run."""
        self.world.tell(f"{tenths} s pass")
        time.sleep(tenths)

    @rule(at=CLIENTS)
    def look(self, at: int) -> None:
        self.world.state(at)

    @invariant()
    def holds(self) -> None:
        type(self).steps += 1
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.check()
            self.world.quiesce()
            self.world.end()
        finally:
            self.world.restore()


def explore(
    fleet: Fleet, examples: int, steps: int, *, mutant: str | None = None, seed: int = 0
) -> int:
    """Run the machine; raises Broken for what it finds. Returns the steps taken."""

    class Machine(CacheMachine):
        pass

    Machine.fleet, Machine.mutant = fleet, mutant
    # Time is real, so a shorter story may not fail again: the first is told as it was.
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            derandomize=seed == 0,
            verbosity=Verbosity.quiet,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
    return Machine.steps
