"""Samples: what the clocks said of one statement in one state, block by block.

A block is a handful of executions taken in one go. Two states take turns in blocks,
so the blocks of one round belong together and their ratio is what we believe in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive executions: latencies in ms at the client, CPU ms of the backend each.

    An execution that was cut off stands as the timeout. `cpu_ms` is None where the
    system has no such clock.
    """

    times_ms: tuple[float, ...]
    cpu_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The blocks of one Query with one ParameterSet in one state.

    An execution of `timeout_ms` or more was cut off: all we know is that it takes
    longer. Such a bound is carried through every statistic, never dropped.
    """

    blocks: tuple[Block, ...]
    timeout_ms: float = math.inf

    @classmethod
    def of(cls, *times_ms: float, timeout_ms: float = math.inf) -> Sample:
        """Make a Sample of single executions, each a block of its own."""
        return cls(tuple(Block((time_ms,)) for time_ms in times_ms), timeout_ms)

    @classmethod
    def cut_off(cls, timeout_ms: float) -> Sample:
        """Make the Sample of a statement that never ended in time."""
        return cls.of(timeout_ms, timeout_ms=timeout_ms)

    def joined(self, blocks: Iterable[Block]) -> Sample:
        """Return the Sample with more blocks."""
        return Sample((*self.blocks, *blocks), self.timeout_ms)

    @property
    def times_ms(self) -> tuple[float, ...]:
        """Every latency, in the order taken."""
        return tuple(time_ms for block in self.blocks for time_ms in block.times_ms)

    @property
    def levels_ms(self) -> tuple[float, ...]:
        """The median of each block, or the timeout as its lower bound."""
        return tuple(self._at_most(median(block.times_ms)) for block in self.blocks)

    @property
    def cpu_levels_ms(self) -> tuple[float, ...]:
        """The CPU time per execution of each block; empty where a block has none."""
        levels = tuple(block.cpu_ms for block in self.blocks if block.cpu_ms is not None)
        return levels if len(levels) == len(self.blocks) and min(levels, default=0) else ()

    @property
    def is_censored(self) -> bool:
        """Whether the median is only known to be longer than the timeout."""
        return self.median_ms >= self.timeout_ms

    @property
    def executions(self) -> int:
        """The number of executions behind the median."""
        return sum(len(block.times_ms) for block in self.blocks)

    @property
    def median_ms(self) -> float:
        """The median, or the timeout as its lower bound.

        >>> Sample.of(3.0, 1.0, 2.0).median_ms
        2.0
        """
        return self._at_most(median(self.times_ms))

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """The first and the third quartile; each the timeout where it lies beyond."""
        low, high = np.quantile(self.times_ms, [0.25, 0.75])
        return self._at_most(float(low)), self._at_most(float(high))

    def _at_most(self, time_ms: float) -> float:
        return min(time_ms, self.timeout_ms)

    def __str__(self) -> str:
        if self.is_censored:
            return f"> {self.timeout_ms / 1000:g} s"
        middle = show_ms(self.median_ms)
        if self.executions == 1:
            return f"{middle} (n=1)"
        low, high = (show_ms(edge) for edge in self.quartiles_ms)
        unit = middle.split()[-1]
        if low.endswith(f" {unit}") and high.endswith(f" {unit}"):
            low, high = low.split()[0], high.split()[0]
        return f"{middle} ({low}–{high}, n={self.executions})"


def show_median(sample: Sample) -> str:
    """Write the median of a Sample, or its bound when it is censored."""
    return str(sample) if sample.is_censored else show_ms(sample.median_ms)


def show_ms(time_ms: float) -> str:
    """Write a time with two or three significant digits and its unit.

    >>> show_ms(0.1234), show_ms(56.78), show_ms(2345.0)
    ('0.12 ms', '57 ms', '2.3 s')
    """
    if time_ms >= 1000:
        return f"{time_ms / 1000:.2g} s" if time_ms < 10_000 else f"{time_ms / 1000:.0f} s"
    return f"{time_ms:.2g} ms" if time_ms < 10 else f"{time_ms:.0f} ms"
