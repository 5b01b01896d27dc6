"""Questions about what the lab has measured: name an index, or give a number.

Answers come from the store, so they are right at every size and on every machine; a
wrong answer is told why it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from fluxlab.book.lessons import Exercise, Question, Reply, Solution, listed


class NameQuestion(Exercise):
    """A question answered with a name: `check("idx_…")`.

    `right` are the names that are right, `why` says of each why; `why_not` gives the
    reason against another known name, None where the name is not known.
    """

    def __init__(
        self,
        question: Question,
        right: Mapping[str, str],
        why_not: Callable[[str], str | None],
        tempting: Collection[str] = (),
    ) -> None:
        super().__init__(question)
        self._right = right
        self._why_not = why_not
        self._tempting = tempting

    def _judge(self, answer: object) -> Reply:
        if not isinstance(answer, str):
            return Reply(False, "Answer with a name, as a text in quotes.")
        name = answer.strip()
        if name in self._right:
            return Reply(True, self._right[name])
        reason = self._why_not(name)
        return Reply(False, reason or f"There is nothing called {name} here.")

    def solution(self) -> Solution:
        """Return the names that are right, and why others are not."""
        reasons = ((name, self._why_not(name)) for name in self._tempting)
        others = tuple((name, reason) for name, reason in reasons if reason)
        text = f"{listed(list(self._right))}. {' '.join(self._right.values())}"
        return Solution(text, others=others)


class CountQuestion(Exercise):
    """A question answered with a number, `check(9)`; `mistakes` have replies."""

    def __init__(
        self, question: Question, right: int, why: str, mistakes: Mapping[int, str]
    ) -> None:
        super().__init__(question)
        self._right = right
        self._why = why
        self._mistakes = {
            number: reply for number, reply in mistakes.items() if number != right
        }

    def _judge(self, answer: object) -> Reply:
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            return Reply(False, "Answer with a number, such as check(3).")
        if answer == self._right:
            return Reply(True, self._why)
        if answer in self._mistakes:
            return Reply(False, self._mistakes[int(answer)])
        word = "too few" if answer < self._right else "too many"
        return Reply(False, f"{answer:g} are {word}.")

    def solution(self) -> Solution:
        """Return the number, and what is wrong with others that come to mind."""
        others = tuple((f"{number:,}", reply) for number, reply in self._mistakes.items())
        return Solution(f"{self._right:,}. {self._why}", others=others)
