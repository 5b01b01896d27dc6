"""A Verdict: what came of one Claim, in one of six words, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fluxlab.book.claims import Claim

Word = Literal[
    "refuted", "fell short", "unclear", "held", "not measured yet", "not testable"
]

#: In the order in which a reader should see them.
WORDS: tuple[Word, ...] = get_args(Word)
#: The words of claims that evidence decided.
JUDGED: tuple[Word, ...] = ("refuted", "fell short", "unclear", "held")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word on a Claim; the texts are drawn from evidence and empty without one.

    `interval` is the 95 % interval of what `measured` estimates.
    """

    claim: Claim
    word: Word
    expected: str
    measured: str
    interval: str
    reason: str

    def __repr__(self) -> str:
        return f"<Verdict {self.claim.id}: {self.word}. {self.reason}>"


def verdict(
    claim: Claim,
    word: Word,
    reason: str,
    *,
    expected: str = "",
    measured: str = "",
    interval: str = "",
) -> Verdict:
    """Make a Verdict."""
    return Verdict(claim, word, expected, measured, interval, reason)


def untried(claim: Claim) -> Verdict:
    """Say that the small experiment behind a claim has not been made yet."""
    return verdict(
        claim,
        "not measured yet",
        "Nobody has tried it with this data yet; `make run` does, on a server of its own.",
    )
