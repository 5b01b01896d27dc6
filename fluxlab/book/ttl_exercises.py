"""The exercises of chapter 13: what theory says of a key, and what the cases say."""

from __future__ import annotations

from collections.abc import Sequence

from fluxlab.book.lab_questions import CountQuestion, NameQuestion
from fluxlab.book.lessons import Question
from fluxlab.book.sentences import Sentence
from fluxlab.book.ttl_cases import CLASSES, Case
from fluxlab.book.ttl_words import percent, span, ttl_name
from fluxlab.caching.keys import TTL
from fluxlab.caching.theory.shares import key_shares, reads_per_life_needed
from fluxlab.indexes.amounts import show_ms


def reads_for_rate(hit_rate: float = 0.9) -> CountQuestion:
    """Ask how many reads one key has to get in each of its lives."""
    right = round(reads_per_life_needed(hit_rate))
    return CountQuestion(
        Question(
            "reads of a life",
            f"A key is never written. How many reads does it have to get during each life "
            f"of its entry for a hit rate of {percent(hit_rate)}?",
            "",
            "a number, such as check(3)",
            (
                "After each life one read misses, and makes the next entry.",
                "Hits ÷ (hits + 1) is to be the hit rate.",
            ),
        ),
        right,
        f"One miss in {right + 1} reads, so {right} hits to each miss: h ÷ (1 − h).",
        {
            right + 1: "That counts the miss; it comes between two lives, not in one.",
            round(100 * hit_rate): "That is the rate itself, as a percentage.",
        },
    )


def ceiling(reads: int = 4) -> CountQuestion:
    """Ask what is left of the hit rate when writes come at a fixed rate."""
    shares = key_shares(float(reads), 1e9, invalidations=1.0)
    right = round(100 * float(shares.hit_rate))
    return CountQuestion(
        Question(
            "written keys",
            f"A page is read {reads} times for each time that it is written, at random. "
            "Which hit rate, in percent, does the longest of all lifetimes give?",
            "",
            "a number, such as check(50)",
            (
                "Its entry ends at the write, whatever its lifetime is.",
                "Look at any read: was the last event before it a write or a read?",
            ),
        ),
        right,
        f"The event before a read is a read {reads} times of {reads + 1}, and then it "
        f"hits: {right} %. No lifetime does better.",
        {
            100: "So it would be if nobody wrote.",
            round(100 * (1 - 1 / reads)): "That takes the writes to come in step, once "
            f"after every {reads} reads. At random, two of them may stand together.",
        },
    )


def holds_down(found: Sequence[Case]) -> NameQuestion | Sentence:
    """Ask for a key that no longer life helps."""
    read = [one for one in found if one.word != "not read"]
    capped = [one for one in read if one.best <= one.given]
    others = [one for one in read if one.best > one.given]
    if not capped or not others:
        return Sentence("All keys would be answered alike: here, this has no exercise.")

    def why_not(name: str) -> str | None:
        one = next((one for one in others if one.pattern == name), None)
        if one is None:
            return None
        best = float(one.classes.hit_rate[CLASSES.index(one.best)])
        return (
            f"{ttl_name(one.best)} would bring {percent(best)} instead of "
            f"{percent(float(one.now.hit_rate[0]))}."
        )

    return NameQuestion(
        Question(
            "no use in living",
            "Name a key whose hit rate would not rise by more than three points if its "
            "entries lived a week.",
            "",
            'a key as the table has it, such as check("org:{orgId}")',
            (
                "Either writes end its entries sooner, or they live long enough already.",
                "The table has a column for a life of a week.",
            ),
        ),
        {
            one.pattern: f"It has {percent(float(one.now.hit_rate[0]))} with "
            f"{span(one.count.ttl_s)}, and a week would bring {percent(one.ceiling)}."
            for one in capped
        },
        why_not,
        [one.pattern for one in others[:3]],
    )


def least_to_gain(found: Sequence[Case]) -> NameQuestion | Sentence:
    """Ask for which cached Query a hit saves least after the indexes."""
    if len(found) < 2:
        return Sentence("Too few cached queries were measured for this exercise.")
    ratios = {one.count.query: one.load_ms / one.hit_ms for one in found}
    least = min(ratios.values())
    cases = {one.count.query: one for one in found}
    # Whoever is within a tenth of the least is as good an answer: clocks are not exact.
    right = [name for name, ratio in ratios.items() if ratio <= 1.1 * least]

    def said(name: str) -> str:
        one = cases[name]
        return f"{show_ms(one.load_ms)} with the indexes, {show_ms(one.hit_ms)} as a hit."

    by_index = sorted(cases, key=lambda name: -cases[name].before_ms)
    return NameQuestion(
        Question(
            "least to gain",
            "For which query is a cache hit worth least, now that the indexes are there?",
            "",
            'a query, such as check("user_by_id")',
            ("A hit takes about the same for all of them, but for its size.",),
        ),
        {name: said(name) for name in right},
        lambda name: said(name) if name in cases and name not in right else None,
        [name for name in by_index if name not in right][:2],
    )


def one_lifetime() -> CountQuestion:
    """Ask for the hit rate of a key that is read once a minute and lives five."""
    shares = key_shares(1 / 60, float(TTL.MEDIUM), jitter=0.0)
    right = round(100 * float(shares.hit_rate))
    return CountQuestion(
        Question(
            "five minutes",
            "A key that nobody writes is read once a minute on average, at random, and its "
            "entry lives five minutes. Which hit rate is that, in whole percent?",
            "",
            "a number, such as check(50)",
            ("How many reads come in one life?", "One more read than that makes a cycle."),
        ),
        right,
        f"Five hits in a life to one miss before it: 5 ÷ 6 = {right} %.",
        {80: "That counts five reads in all. The miss is not one of the five of a life."},
    )
