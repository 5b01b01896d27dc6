"""What a replay and the experiments ask of any cache: read, and forget.

Ours, the report's (the specimen `sprint11`) and none at all stand behind one protocol,
so that the same requests meet each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Load = Callable[[], Awaitable[object]]

#: How a read was answered: from the cache; with a load that another reader had begun;
#: with a load of its own; past the cache, which was away, in doubt or being written to.
Outcome = Literal["hit", "joined", "miss", "bypass"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A value and how it was come by."""

    value: object
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Touch:
    """What a write makes untrue.

    `tags` and `keys` name it exactly, as our layer forgets. `entity` is the report's
    helper and its id, `("project", "42")`: all that the report's cache is told.
    """

    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    entity: tuple[str, str] | None = None


class Layer(Protocol):
    """A cache, seen from the application."""

    async def read(self, key: str, load: Load, ttl_s: float | None = None) -> Answer:
        """Return the value of a key, by `load` where the cache has none.

        `ttl_s` is the lifetime in seconds; None means that of the key's pattern. What
        `load` raises reaches the caller; what the cache suffers does not.
        """
        ...

    async def forget(self, touch: Touch) -> None:
        """Forget what a committed write made untrue."""
        ...

    async def close(self) -> None:
        """Close connections and end what runs in the background."""
        ...


class NoCache:
    """Every read is a load."""

    async def read(self, key: str, load: Load, ttl_s: float | None = None) -> Answer:
        """Load."""
        return Answer(await load(), "miss")

    async def forget(self, touch: Touch) -> None:
        """Nothing is remembered."""

    async def close(self) -> None:
        """Nothing is open."""
