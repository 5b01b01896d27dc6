"""Progress in a terminal: one line per phase, with a bar, a rate and the time left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from fluxlab.progress import Tick

#: A log that nobody watches gets a line this often within a phase.
_LOG_EVERY_SECONDS = 20.0


class Reporter:
    """Shows Ticks: as bars where the output is a terminal, as lines where it is not."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._bars = Progress(
            TextColumn("{task.fields[mark]} {task.description:<22}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._phases: dict[str, _Phase] = {}

    def __enter__(self) -> Reporter:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, tick: Tick) -> None:
        """Show one Tick; phases may overlap."""
        now = time.monotonic()
        phase = self._phases.get(tick.phase)
        if phase is None:
            task = self._bars.add_task(tick.phase, total=None, mark=" ", pace="", detail="")
            phase = self._phases[tick.phase] = _Phase(task, now, now, tick.done)
        is_done = tick.total > 0 and tick.done >= tick.total
        self._bars.update(
            phase.task,
            completed=tick.done,
            total=tick.total or None,
            mark="✓" if is_done else " ",
            pace=_duration(now - phase.started_at) if is_done else _pace(phase, tick, now),
            detail="" if is_done else tick.detail[:40],
        )
        if is_done and tick.detail:
            # What is said at the end of a phase is a sentence, such as a recovery.
            self.say(tick.detail)
        if not self._console.is_terminal:
            self._log(phase, tick, is_done, now)

    def _log(self, phase: _Phase, tick: Tick, is_done: bool, now: float) -> None:
        if is_done and not phase.is_done:
            phase.is_done = True
            self.say(
                f"✓ {tick.phase}: {tick.total:,} in {_duration(now - phase.started_at)}"
            )
        elif not is_done and now - phase.logged_at > _LOG_EVERY_SECONDS:
            phase.logged_at = now
            pace = _pace(phase, tick, now)
            of = f" of {tick.total:,}" if tick.total else ""
            self.say(f"  {tick.phase}: {tick.done:,}{of}, {pace}")

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False)


@dataclass(slots=True)
class _Phase:
    task: TaskID
    started_at: float
    logged_at: float
    first_done: int
    is_done: bool = False


def _pace(phase: _Phase, tick: Tick, now: float) -> str:
    if tick.left_s is not None:
        return f"{_duration(max(0.0, tick.left_s))} left"
    elapsed, done = now - phase.started_at, tick.done - phase.first_done
    if elapsed < 2 or done <= 0 or tick.total <= tick.done:
        return ""
    rate = done / elapsed
    left = _duration((tick.total - tick.done) / rate)
    return f"{rate:,.0f}/s, {left} left" if rate >= 1 else f"{left} left"


def _duration(seconds: float) -> str:
    """Write a duration as people say it.

    >>> _duration(0.4), _duration(75)
    ('0.4 s', '1 min 15 s')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
