"""The exercises of chapter 07: which indexes stay, and which go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fluxlab.book.lab_questions import NameQuestion
from fluxlab.book.lessons import Exercise, Question
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.amounts import show_bytes, show_ms
from fluxlab.indexes.decisions import Decision, Decisions

_HOW = 'a name, such as check("idx_messages_status")'


def most_missed(found: Decisions) -> Exercise | Sentence:
    """Ask which index gives most for the log that it costs; a Sentence if none is kept."""
    kept = found.of("keep")
    if len(kept) < 2:
        return Sentence("Nothing to ask here: hardly an index is kept.")
    best = max(kept, key=_return)
    right = {best.index.name: _account(best)}
    question = Question(
        "the best return",
        "Of all indexes that are kept, which one saves most time per byte of log that it "
        "makes the writes of 1,000 requests pay?",
        "\n".join(one.index.name for one in kept),
        _HOW,
        (
            "The figure has both: far to the right, and as low as can be.",
            "An index with a predicate gets an entry only for the rows that it is about.",
        ),
    )
    others = sorted(kept, key=_return, reverse=True)[1:4]
    return NameQuestion(
        question, right, _other(found, kept), [one.index.name for one in others]
    )


def costliest_to_keep(found: Decisions) -> Exercise | Sentence:
    """Ask what costs writes most of all that goes; a Sentence if nothing goes."""
    goes = found.goes
    if len(goes) < 2:
        return Sentence("Nothing to ask here: hardly an index goes.")
    worst = max(goes, key=lambda one: one.wal_bytes)
    right = {worst.index.name: f"{_account(worst)} {worst.reason}"}
    question = Question(
        "the most expensive idler",
        "Of all indexes that go, which one makes writes log most?",
        "",
        _HOW,
        (
            "An index on a column that is updated makes every other index of its table "
            "pay as well.",
            "words.telling(decisions, 1) shows it among those of its word.",
        ),
    )
    others = sorted(goes, key=lambda one: -one.wal_bytes)[1:4]
    return NameQuestion(
        question, right, _other(found, goes), [one.index.name for one in others]
    )


def not_together(found: Decisions) -> Exercise | Sentence:
    """Ask what may not go once another is gone; a Sentence if none stands in for one."""
    rows = [one for one in found.of("replace") if len(one.case.stand_ins) == 1]
    if not rows:
        return Sentence("Nothing to ask here: no index has one other in its place.")
    gone = max(rows, key=lambda one: (one.case.missed.most.saved_ms, one.index.name))
    (stays,) = gone.case.stand_ins
    table = gone.index.table
    same = {one.index.name: one for one in found.rows if one.index.table == table}
    right = {
        stays: f"The plans that read {gone.index.name} read {stays} now: without both "
        "nobody has measured anything."
    }

    def why_not(name: str) -> str | None:
        if name == gone.index.name:
            return "That is the one that is gone."
        if name in same:
            return f"No plan that read {gone.index.name} reads {name} instead."
        known = {one.index.name for one in found.rows}
        return f"{name} is on another table than {table}." if name in known else None

    question = Question(
        "not both",
        f"The migration drops {gone.index.name}. Somebody wants to drop one more index of "
        f"{table} by hand. Which one had better be measured again first?",
        "\n".join(same),
        _HOW,
        (
            "It serves now what the dropped one served.",
            "It may belong to a constraint: then it is in no list of indexes to drop.",
        ),
    )
    tempting = [name for name in same if name != gone.index.name and name != stays]
    return NameQuestion(question, right, why_not, tempting[:3])


def _return(one: Decision) -> float:
    return one.case.missed.sure.saved_ms / max(1.0, one.wal_bytes)


def _account(one: Decision) -> str:
    saved, log = show_ms(one.case.missed.sure.saved_ms), show_bytes(one.wal_bytes)
    return f"{one.index.name} saves {saved} and makes writes log {log}."


def _other(found: Decisions, asked: Sequence[Decision]) -> Callable[[str], str | None]:
    """Return what says of another index what it saves, or that it is not asked for."""
    known = {one.index.name: one for one in found.rows}
    wanted = {one.index.name for one in asked}

    def why_not(name: str) -> str | None:
        if name not in known:
            return None
        if name not in wanted:
            return f"{name} is not among them: the word on it is {known[name].word}."
        return _account(known[name])

    return why_not
