"""Judges of the monitoring statements and of the practices that evidence can contradict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fluxlab.book.claims import MonitoringClaim, PracticeClaim
from fluxlab.book.evidence import Answer, Evidence
from fluxlab.book.gains import is_tried, trials_of
from fluxlab.book.judges_practices import PRACTICES
from fluxlab.book.phrases import change_in_words, listed, outcomes, plans
from fluxlab.book.verdicts import Verdict, verdict


def judge_monitoring(claim: MonitoringClaim, evidence: Evidence) -> Verdict:
    """Report what the live server said to the statement, word for word as printed."""
    said, ours = evidence.answers[claim.id], evidence.answers[claim.corrected]
    corrected = f"`sql/monitoring/{claim.corrected}.sql`"
    if said.message:
        return verdict(
            claim,
            "refuted",
            f"The server says: {said.message}. {corrected} asks what is meant and "
            f"{_answered(ours)}.",
            expected="an answer",
            measured="an error",
        )
    return verdict(
        claim,
        "held",
        f"The statement {_answered(said)}; {corrected} {_answered(ours)}.",
        expected="an answer",
        measured=f"{len(said.rows)} rows",
    )


def _answered(answer: Answer) -> str:
    return (
        f"fails: {answer.message}" if answer.message else f"returns {len(answer.rows)} rows"
    )


def judge_practice(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Judge a recommendation by the one thing that can contradict it."""
    return _PRACTICES[claim.topic](claim, evidence)


def _always_indexes(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    new = [shape.name for shape in evidence.new_shapes]
    readers = [change for change in evidence.readers(new) if change.has_new_plan]
    whose = "whose new plan reads a new index"
    if is_tried(evidence, new):
        readers = list(trials_of(evidence, new, kinds=("without",)))
        whose = "with a plan that reads a new index and would not without it"
    slower = [change for change in readers if change.outcome == "slower"]
    reason = f"No pair {whose} is slower ({outcomes(readers)})"
    if slower:
        worst = min(slower, key=lambda change: change.speedup.ratio)
        reason = (
            f"{len(slower)} of {len(readers)} pairs {whose} are "
            f"slower; {change_in_words(worst)}: {plans(worst, evidence.old_indexes)}"
        )
    return verdict(
        claim,
        "refuted" if slower else "held",
        f"{reason}.",
        expected="no query slower by an index",
        measured=f"{len(slower)} slower",
    )


def _unused(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    answer = evidence.answers["unused_indexes"]
    names = answer.column("index_name")
    enforcing = [
        name
        for name, enforces in zip(names, answer.column("enforces"), strict=True)
        if enforces and not name.endswith("_pkey")
    ]
    reason = f"None of the {len(names)} indexes without a scan enforces uniqueness"
    if enforcing:
        reason = (
            f"{len(enforcing)} of the indexes without a scan that its filter keeps enforce "
            f"uniqueness and cannot be removed: {listed(enforcing)}"
        )
    return verdict(
        claim,
        "refuted" if enforcing else "held",
        f"{reason}.",
        expected="only indexes that can go",
        measured=f"{len(enforcing)} that cannot",
    )


def _slow_log(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    answer = evidence.answers["slow_log"]
    if answer.message or not answer.rows:
        return verdict(claim, "refuted", "The server has no such setting.")
    row = dict(zip(answer.columns, answer.rows[0], strict=True))
    restart = "only with" if row["context"] == "postmaster" else "without"
    return verdict(
        claim,
        "held",
        f"The server has `{row['name']}`, in {row['unit']}, and takes a change {restart} a "
        f"restart (context {row['context']}).",
        expected="the setting",
        measured="it exists",
    )


def _usage_view(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    answer = evidence.answers["index_usage"]
    return verdict(
        claim,
        "refuted" if answer.message else "held",
        f"`pg_stat_user_indexes` {_answered(answer)}, read with the names of its columns.",
        expected="the counters",
        measured=f"{len(answer.rows)} indexes",
    )


_PRACTICES: Mapping[str, Callable[[PracticeClaim, Evidence], Verdict]] = {
    "always indexes": _always_indexes,
    "slow log": _slow_log,
    "unused": _unused,
    "usage view": _usage_view,
    **PRACTICES,
}
