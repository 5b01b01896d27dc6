"""How far a build has come; whoever wants to see it passes a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Phase:
    """One report: `done` of `total` units ("rows", "statements", "tables") of a phase.

    Phases are "load", "constraints" and "vacuum"; the second begins while the first
    still runs. `detail` names the table or statement at hand.
    """

    name: str
    done: int
    total: int
    unit: str
    detail: str = ""


Progress: TypeAlias = Callable[[Phase], None]


def silent(phase: Phase) -> None:
    """Report nothing."""
