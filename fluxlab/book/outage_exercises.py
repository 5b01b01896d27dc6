"""The exercises of chapter 12: stale reads, stampedes and outages."""

from __future__ import annotations

from fluxlab.book.lab_questions import CountQuestion, NameQuestion
from fluxlab.book.lessons import Question
from fluxlab.book.outage_words import seconds, times
from fluxlab.caching.experiments.found import Outages, StaleReads, Stampedes

_TTL_S = 300
_READERS, _PROCESSES = 500, 4


def stale_for() -> CountQuestion:
    """Ask how long the report's cache may be wrong after a fill that came too late."""
    question = Question(
        "how long is it wrong",
        "The report's cache keeps a profile for 300 s. A reader begins to load it; a "
        "writer changes it, commits and invalidates; then the load ends and is stored. "
        "Nobody writes that profile again. For how many seconds is the old one served?",
        "read the old row · commit · invalidate · store the old row",
        "a number, such as check(10)",
        (
            "Who would delete what the reader has stored after the invalidation?",
            "Only the entry's lifetime is left.",
        ),
    )
    mistakes = {
        0: "The invalidation came first, and deleted nothing: the old row is stored after "
        "it.",
        60: "That is the class SHORT, and the report keeps profiles for MEDIUM.",
    }
    why = "Nothing but its lifetime ends it, and that begins when it is stored."
    return CountQuestion(question, _TTL_S, why, mistakes)


def loads_of_processes(found: Stampedes) -> CountQuestion:
    """Ask what coalescing inside each process alone is worth."""
    rows = [one for one in found.of("fluxlab", _PROCESSES) if one.readers == _READERS]
    measured = (
        f" With a lease on the server it was {', '.join(map(str, rows[0].loads))}."
        if rows
        else ""
    )
    question = Question(
        "a lock in each process",
        f"{_READERS} readers in {_PROCESSES} processes want one missing key. A cache lets "
        "readers of one process share a load, and knows nothing of other processes. How "
        "many loads are there?",
        f"{_READERS} readers, {_PROCESSES} processes, one key",
        "a number, such as check(500)",
        (
            "How many loads does one process make?",
            "And they do not know of each other.",
        ),
    )
    mistakes = {
        1: "That takes something that all processes see: a lease on the cache's server.",
        _READERS: "So many without any sharing.",
        _READERS // _PROCESSES: "So many readers has one process, and they share one load.",
    }
    return CountQuestion(question, _PROCESSES, f"One for each process.{measured}", mistakes)


def worst_fault(found: Outages) -> NameQuestion:
    """Ask which fault made requests wait longest with the report's cache."""
    rows = {str(one.fault): one for one in found.found if one.layer == "sprint11"}
    worst = max(rows.values(), key=lambda one: one.max_ms)

    def why_not(name: str) -> str | None:
        if name not in rows or name == worst.fault:
            return None
        return (
            f"There the longest wait was {seconds(rows[name].max_ms / 1000)}: a refused "
            "connection fails at once, and a load follows."
        )

    question = Question(
        "the worst way to be away",
        "Which of the three faults made requests wait longest with the report's cache?",
        "\n".join(rows),
        'a name, such as check("killed")',
        (
            "Which of them answers nothing, not even no?",
            "Its commands have no time limit.",
        ),
    )
    right = {
        str(worst.fault): f"Up to {seconds(worst.max_ms / 1000)}: who waits for an answer "
        "without a time limit waits until it comes."
    }
    return NameQuestion(question, right, why_not, list(rows))


def which_way(found: StaleReads) -> NameQuestion:
    """Ask what helps against a writer that dies between commit and invalidation."""
    ways = {str(one.way): one for one in found.crashes if one.layer == "fluxlab"}
    right = {
        name: f"It left {times(one.stale_keys, one.trials)} keys stale: before the commit "
        "the readers are told to go past the cache, and a writer that dies never tells "
        "them otherwise."
        for name, one in ways.items()
        if not one.stale
    }

    def why_not(name: str) -> str | None:
        if name == "invalidate before commit":
            return "A reader between the two loads the old row and stores it."
        one = ways.get(name)
        if one is None or not one.stale:
            return None
        return (
            f"It left {times(one.stale_keys, one.trials)} keys stale for up to "
            f"{seconds(one.longest_s)}: the process died before the second step."
        )

    names = [*ways, "invalidate before commit"]
    question = Question(
        "a writer that dies",
        "A process commits a row and is killed before its next line. Which way of writing "
        "leaves no cached row that is older?",
        "\n".join(sorted(names)),
        'a name, such as check("forget after commit")',
        (
            "What has to have been said before the commit?",
            "And what happens when nobody takes it back?",
        ),
    )
    return NameQuestion(question, right, why_not, names)
