"""How far a phase is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """How far a phase is; `total` is 0 when nobody can tell.

    A phase that ends by the clock has `left_s` seconds more, at most.
    """

    phase: str
    done: int
    total: int
    detail: str = ""
    left_s: float | None = None


Report = Callable[[Tick], None]
