"""The exercises of chapters 10 and 11: hit rates, and the load off the database."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fluxlab.book.cache_groups import groups
from fluxlab.book.lab_questions import CountQuestion, NameQuestion
from fluxlab.book.ladder_words import number
from fluxlab.book.lessons import Exercise, Question
from fluxlab.book.load_words import Three, ceiling, earned
from fluxlab.book.phrases import share
from fluxlab.book.sentences import Sentence
from fluxlab.caching.results import Replay

#: The made-up counts of two questions: they come out even.
_HITS, _JOINED, _MISSES = 60, 30, 30
_READS = _HITS + _JOINED + _MISSES


def hits_for_a_load(reported: Mapping[str, float]) -> CountQuestion:
    """Ask how many hits one load must bring for the highest rate of the report."""
    name, rate = max(reported.items(), key=lambda item: item[1])
    right = round(rate / (1 - rate))
    question = Question(
        "hits for each load",
        f"{name} are to hit {share(rate)}. How many hits has each load to bring before its "
        "entry expires or is made untrue?",
        "hit rate = hits ÷ (hits + misses), and each miss loads once",
        "a number, such as check(4)",
        (
            "Of 100 reads, how many hit, and how many miss?",
            "Divide the one by the other.",
        ),
    )
    mistakes = {
        right + 1: "With the miss itself that is the number of reads; hits are one fewer.",
        round(
            100 * rate
        ): f"That is the percentage. Of 100 reads {round(100 - 100 * rate)} "
        "load, and share those hits.",
        1: "One hit for each load is a hit rate of 50 %.",
    }
    why = f"{share(rate)} hits to {share(1 - rate)} misses: {right} hits for each load."
    return CountQuestion(question, right, why, mistakes)


def rate_of_counts() -> CountQuestion:
    """Ask for the hit rate of counts in which some reads joined a load."""
    right = round(100 * _HITS / (_HITS + _MISSES))
    question = Question(
        "joined is neither",
        "What is the hit rate in per cent, rounded to a whole number?",
        f"reads {_READS}, hits {_HITS}, joined {_JOINED}, misses {_MISSES}",
        "a number, such as check(40)",
        ("A read that joins waits for a load that another one began.",),
    )
    mistakes = {
        round(
            100 * _HITS / _READS
        ): "Hits are divided by hits and misses, not by all reads.",
        round(
            100 * (_HITS + _JOINED) / _READS
        ): "That is the share of reads that caused no "
        "load. A joined read found nothing in the cache.",
    }
    why = f"{_HITS} ÷ ({_HITS} + {_MISSES}). The joined reads are neither."
    return CountQuestion(question, right, why, mistakes)


def out_of_reach(ours: Replay, reported: Mapping[str, float]) -> Exercise | Sentence:
    """Ask which line's rate is furthest away in traffic; a Sentence if all are reached."""
    found = {
        one.name: one.traffic_for(reported[one.name])
        for one in groups(ours)
        if one.name in reported and one.rate.of
    }
    most = max(found.values(), default=0.0)
    if most <= 1:
        return Sentence("Nothing to ask here: every rate of the report is reached.")
    right = {name: _far(factor) for name, factor in found.items() if factor == most}
    rows = "\n".join(
        f"{one.name}: {one.reads:,} reads of {one.keys:,} keys, {one.invalidations:,} "
        f"invalidations, to hit {share(reported[one.name])}"
        for one in groups(ours)
        if one.name in found
    )
    others = [name for name in found if name not in right]
    question = Question(
        "furthest away",
        "Which resource needs the most traffic, or has the least use of it, for the rate "
        "that the report expects?",
        rows,
        f'a name, such as check("{(others or list(right))[0]}")',
        (
            "More traffic brings more reads and more writes. What stays the same?",
            "Compare reads with invalidations, and then reads with keys.",
        ),
    )

    def why_not(name: str) -> str | None:
        factor = found.get(name)
        if factor is None:
            return None
        if factor <= 1:
            return f"{name} are there already, or would be with less traffic."
        return f"{name} need {number(factor)} times the traffic, and another needs more."

    return NameQuestion(question, right, why_not, others[:3])


def _far(factor: float) -> str:
    if math.isinf(factor):
        return "With more traffic come more writes, and they end the entries too soon."
    return f"Theory puts it at {number(factor)} times the traffic."


def loads_avoided() -> CountQuestion:
    """Ask for the load reduction of the counts of `rate_of_counts`."""
    right = round(100 * (_READS - _MISSES) / _READS)
    question = Question(
        "loads avoided",
        "Every miss loads once. Which share of the loads is avoided, in per cent?",
        f"reads {_READS}, hits {_HITS}, joined {_JOINED}, misses {_MISSES}",
        "a number, such as check(40)",
        ("Without a cache every read is a load. How many loads are left?",),
    )
    mistakes = {
        round(100 * _HITS / (_HITS + _MISSES)): "That is the hit rate. The joined reads "
        "caused no load either.",
        round(100 * _HITS / _READS): "Joined reads cause no load: they wait for another's.",
        round(100 * _MISSES / _READS): "That is the share of loads that is left.",
    }
    why = f"{_MISSES} loads instead of {_READS}: 1 − {_MISSES} ÷ {_READS}."
    return CountQuestion(question, right, why, mistakes)


def most_spared(found: Three) -> Exercise | Sentence:
    """Ask which key spares the server most time; a Sentence if none does."""
    rows = [one for one in earned(found) if one.spared_ms > 0]
    if not rows:
        return Sentence("Nothing to ask here: no key spares the server any time.")
    best = rows[0]
    by_name = {one.pattern: one for one in earned(found)}
    highest = max(rows, key=lambda one: one.hit_rate)
    shown = sorted(rows[:8], key=lambda one: one.pattern)
    right = {
        best.pattern: f"It spares {number(best.spared_ms)} ms in 1,000 requests: a load "
        f"takes {number(best.load_ms)} ms, and {share(best.hit_rate)} are hits."
    }
    question = Question(
        "what spares most",
        "Which key spares the server most time?",
        "\n".join(
            f"{one.pattern}: hits {share(one.hit_rate)}, a load {number(one.load_ms)} ms,"
            f" {number(one.before_ms / one.load_ms if one.load_ms else 0)} reads in 1,000 "
            "requests"
            for one in shown
        ),
        f'a key, such as check("{shown[-1].pattern}")',
        ("Three numbers multiply: how often it is read, hits, and what a load takes.",),
    )

    def why_not(name: str) -> str | None:
        one = by_name.get(name)
        if one is None:
            return None
        text = f"{name} spares {number(one.spared_ms)} ms in 1,000 requests, and another "
        return text + (
            "more: the highest hit rate is not the most load."
            if one is highest
            else "more."
        )

    tempting = [one.pattern for one in (highest, *rows[1:3]) if one is not best]
    return NameQuestion(question, right, why_not, dict.fromkeys(tempting))


def at_most(found: Three) -> CountQuestion:
    """Ask what a cache that always hits could spare of the statements."""
    statements, _ = ceiling(found.none)
    right = round(100 * statements)
    question = Question(
        "always a hit",
        "If every read with a key were a hit, which share of all statements would be "
        "spared, in per cent and rounded?",
        "load_words.uncovered(three) says what no key covers",
        "a number, such as check(40)",
        ("Writes reach the database, whatever the cache does.",),
    )
    mistakes = {
        100: "Writes, and reads that the report has no key for, are left.",
        100 - right: "That is the share that is left.",
    }
    why = f"Keys cover {right} % of the statements; what none covers is always sent."
    return CountQuestion(question, right, why, mistakes)
