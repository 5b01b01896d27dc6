"""How far a phase is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """How far a phase is; `total` is 0 when nobody can tell."""

    phase: str
    done: int
    total: int
    detail: str = ""


Report = Callable[[Tick], None]
