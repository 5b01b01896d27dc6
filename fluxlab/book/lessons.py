"""Exercises that check themselves: an answer, a hint, the solution.

An Exercise shows its question. `check(answer)` says whether an answer is right, and if
not, why not; `hint()` gives one hint after the other; `solution()` tells the answer, and
why the others are none. Questions about a plan stand in `plan_questions`, indexes to
build and statements to write in `index_tasks`.

After Kaggle's learntools, without its globals and magic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fluxlab.indexes.sandbox import Asked
from fluxlab.plans.plan import Plan
from fluxlab.servers.postgres import PostgresServer
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Workload


class Source(Protocol):
    """What exercises need of a Lab."""

    @property
    def server(self) -> PostgresServer: ...

    @property
    def workload(self) -> Workload: ...

    def parameters(self, query: str, of_class: str = "typical") -> ParameterSet: ...


def asked(source: Source, query: str, of_class: str = "typical") -> Asked:
    """Return a Query of the lab with the values of a class, ready for a Sandbox."""
    values = source.parameters(query, of_class).values
    return Asked(source.workload.find(query).statement, values)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said of an answer; `plan` is what the server did with it, if anything."""

    is_right: bool
    text: str
    plan: Plan | None = None

    def __repr__(self) -> str:
        return f"<Reply: {'right' if self.is_right else 'not yet'}. {self.text}>"


@dataclass(frozen=True, slots=True)
class Hint:
    """The `number`th of `count` hints; 0 where there are no more."""

    text: str
    number: int
    count: int

    def __repr__(self) -> str:
        place = f" {self.number} of {self.count}" if self.number else "s are used up"
        return f"<Hint{place}: {self.text}>"


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer, why it is right, and why other answers are not, each with its reason.

    `code` is the answer as SQL; `plan` shows it.
    """

    text: str
    code: str | None = None
    others: tuple[tuple[str, str], ...] = ()
    plan: Plan | None = None

    def __repr__(self) -> str:
        code = f" {self.code}" if self.code else ""
        return f"<Solution:{code} {self.text}>"


@dataclass(frozen=True, slots=True)
class Question:
    """What an exercise asks: its name, its text, and what to look at.

    `shown` is SQL or a plan as text; `how` an answer as it is typed; `goal` what an
    answer has to reach, where that is measured.
    """

    name: str
    text: str
    shown: str
    how: str
    hints: tuple[str, ...] = ()
    goal: str = ""


class Exercise(ABC):
    """A question whose answer is checked; it remembers the hints that it gave."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._hints_given = 0
        self._is_solved = False

    @property
    def question(self) -> Question:
        """What is asked."""
        return self._question

    def check(self, answer: object) -> Reply:
        """Say whether an answer is right, and if not, why not."""
        reply = self._judge(answer)
        self._is_solved = self._is_solved or reply.is_right
        return reply

    def hint(self) -> Hint:
        """Return the next hint; after the last one, say that there are no more."""
        hints = self.question.hints
        if self._hints_given >= len(hints):
            text = "Those were all hints; solution() tells the answer."
            return Hint(text, 0, len(hints))
        self._hints_given += 1
        return Hint(hints[self._hints_given - 1], self._hints_given, len(hints))

    @abstractmethod
    def solution(self) -> Solution:
        """Return the answer, and why the others are none."""

    @abstractmethod
    def _judge(self, answer: object) -> Reply:
        """Judge one answer."""

    def __repr__(self) -> str:
        state = "solved" if self._is_solved else "not solved yet"
        return (
            f"<Exercise {self._question.name}, {state}: {self._question.text} "
            f"Answer with {self._question.how}.>"
        )


def listed(parts: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join(one for one in (", ".join(parts[:-1]), *parts[-1:]) if one)
