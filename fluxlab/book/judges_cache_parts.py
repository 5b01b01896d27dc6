"""Judges of what the report's cache does while its server answers, on small checks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

from fluxlab.book.claims import CacheClaim
from fluxlab.book.phrases import listed
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.checks.checked import Checks, Lifetime
from fluxlab.caching.experiments.found import Absent, Experiments, Forgotten
from fluxlab.caching.results import LayerName

#: A lifetime is right when no more than this has passed since it was given.
_SINCE_MS = 2_000


class _Layered(Protocol):
    @property
    def layer(self) -> LayerName: ...


L = TypeVar("L", bound=_Layered)


def of_layer(found: Iterable[L], layer: LayerName) -> tuple[L, ...]:
    """Return what was found of a layer."""
    return tuple(one for one in found if one.layer == layer)


def lasts(found: Lifetime) -> bool:
    """Whether the server says the lifetime that was given."""
    return -_SINCE_MS <= found.left_ms - found.seconds * 1_000 <= 0


def is_wrong(absent: Absent) -> bool:
    """Whether later reads of what is not there got something else than the first one."""
    return len(set(absent.answers)) > 1


def judge_ping(claim: CacheClaim, checks: Checks) -> Verdict:
    """Ask the server."""
    said = checks.ping or "nothing"
    return verdict(
        claim,
        "held" if checks.ping == "PONG" else "refuted",
        f"{checks.server} answers PING with {said}.",
        expected="PONG",
        measured=said,
    )


def judge_settings(claim: CacheClaim, checks: Checks) -> Verdict:
    """Give the report's settings for another port and database, and look where it goes."""
    port, database = checks.given["REDIS_PORT"], checks.given["REDIS_DB"]
    words = re.split("[:/?=]", checks.address)
    heard = [one for one in (port, database) if one in words]
    why = (
        ". Its client library wants these in another place; only REDIS_URL, which the "
        "report does not have, is heard"
    )
    given = ", ".join(f"{name}={value}" for name, value in checks.given.items())
    return verdict(
        claim,
        "held" if len(heard) == 2 else "fell short" if heard else "refuted",
        f"With {given} the report's cache connects to {checks.address}"
        f"{'' if heard else why}.",
        expected=f"port {port}, database {database}",
        measured=checks.address,
    )


def judge_set(claim: CacheClaim, checks: Checks) -> Verdict:
    """Store the example's value and ask the server how long it has to live."""
    theirs, ours = (of_layer(checks.examples, one)[0] for one in ("sprint11", "fluxlab"))
    right = Lifetime("sprint11", "medium", 300, theirs.left_ms)
    is_right = theirs.is_set and lasts(right)
    return verdict(
        claim,
        "held" if is_right else "refuted",
        f"The value is {'' if theirs.is_set else 'not '}stored and has "
        f"{theirs.left_ms / 1_000:.1f} s to live. Ours has {ours.left_ms / 1_000:.1f} s: "
        "it takes up to a tenth off, so that entries stored together do not end together.",
        expected="stored for 300 s",
        measured=f"{theirs.left_ms / 1_000:.1f} s left",
    )


def judge_get(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Read the example's value back, and values of other types."""
    example = of_layer(checks.examples, "sprint11")[0]
    theirs = of_layer(experiments.details.trips, "sprint11")
    ours = of_layer(experiments.details.trips, "fluxlab")
    lost = [one for one in theirs if not one.is_same]
    word: Word = "fell short" if lost else "held"
    if not example.is_same:
        word = "refuted"
    text = (
        f"The example's value comes back {'as it went' if example.is_same else 'changed'}"
    )
    if lost:
        shown = listed((one.kind for one in lost), 5)
        first = next((one for one in lost if one.is_stored), lost[0])
        text += (
            f", but {len(lost)} of {len(theirs)} kinds of values, as Python has "
            f"them, do not: {shown}. "
            f"{first.given} becomes {first.came or 'nothing'}"
        )
    return verdict(
        claim,
        word,
        f"{text}. Ours changes {sum(one.is_stored and not one.is_same for one in ours)} "
        f"and refuses {sum(not one.is_stored for one in ours)}.",
        expected="what was set",
        measured=f"{len(theirs) - len(lost)} of {len(theirs)} kinds unchanged",
    )


def judge_delete(claim: CacheClaim, checks: Checks) -> Verdict:
    """Delete one key and look for it and for another one."""
    found = of_layer(checks.examples, "sprint11")[0]
    is_right = found.is_deleted and found.is_other_left
    return verdict(
        claim,
        "held" if is_right else "refuted",
        f"The key is {'gone' if found.is_deleted else 'still there'} after the call, and "
        "another key of the same user is "
        f"{'there' if found.is_other_left else 'gone too'}.",
        expected="the key gone, no other",
        measured="gone" if is_right else "not so",
    )


def judge_delete_pattern(claim: CacheClaim, checks: Checks) -> Verdict:
    """Delete by the report's pattern and compare with what the pattern means."""
    found = of_layer(checks.deleted, "sprint11")[0]
    missed = [key for key in found.matching if key not in found.removed]
    strangers = [key for key in found.removed if key not in found.matching]
    word: Word = "refuted" if missed or strangers else "held"
    text = f"`{found.glob}` removes {len(found.removed)} keys, those that it matches"
    if word == "refuted":
        text = (
            f"`{found.glob}` leaves {listed(missed) or 'none'} of the keys that it matches "
            f"and removes {listed(strangers) or 'none'} of the others"
        )
    return verdict(
        claim,
        word,
        f"{text}. It leaves {listed(found.left, 4)}.",
        expected="the keys that match, no other",
        measured=f"{len(found.removed)} of {len(found.matching)} removed",
    )


def judge_forget(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Look at every key that was there before a helper was called."""
    helper = f"invalidate.{claim.topic.removeprefix('forget ')}"
    rows = [one for one in experiments.details.forgotten if one.helper == helper]
    theirs, ours = (of_layer(rows, one) for one in ("sprint11", "fluxlab"))
    wrong = [one for one in theirs if one.is_wrong]
    word: Word = "fell short" if wrong else "held"
    if len(wrong) == len(theirs):
        word = "refuted"
    return verdict(
        claim,
        word,
        f"After `{helper}` {wrongly(theirs)}. With ours {wrongly(ours)}; lists that show "
        "a name are forgotten by their own keys.",
        expected="what depends on it gone, nothing else",
        measured=f"{len(theirs) - len(wrong)} of {len(theirs)} keys right",
    )


def wrongly(found: Iterable[Forgotten]) -> str:
    """Say which keys survive wrongly and which are gone wrongly."""
    known = tuple(found)
    wrong = [one for one in known if one.is_wrong]
    stale = dict.fromkeys(one.key for one in wrong if one.survives)
    gone = dict.fromkeys(one.key for one in wrong if not one.survives)
    parts = [f"stale but left {listed(stale, 6)}"] if stale else []
    parts += [f"gone without need {listed(gone, 6)}, whose id begins alike"] if gone else []
    said = f": {'; '.join(parts)}" if parts else ""
    return f"{len(wrong)} of {len(known)} cached keys are wrong{said}"


def judge_pooling(claim: CacheClaim, checks: Checks) -> Verdict:
    """Count the connections of a burst, and ask the health check in both states."""
    theirs, ours = (of_layer(checks.bursts, one)[0] for one in ("sprint11", "fluxlab"))
    is_pooled = theirs.connections > 1
    is_watched = tells(checks)
    rights = (is_pooled, is_watched)
    return verdict(
        claim,
        "held" if all(rights) else "fell short" if any(rights) else "refuted",
        f"{theirs.readers} reads at once open {theirs.connections} "
        f"connection{'s' * (theirs.connections != 1)}"
        f"{'' if is_pooled else ': there is no pool'}. The health check "
        f"{'tells' if is_watched else 'does not tell'} a server that is gone from one that "
        f"is there. Ours opens {ours.connections}, which all requests share without "
        "waiting for each other.",
        expected="a pool, and health",
        measured=f"{theirs.connections} for {theirs.readers} reads",
    )


def tells(checks: Checks) -> bool:
    """Whether the report's health check tells a stopped server from a running one."""
    said = {one.server: one.said for one in of_layer(checks.health, "sprint11")}
    return said.get("running") == "healthy" and said.get("stopped") not in (None, "healthy")


def judge_lifetimes(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Count the lifetimes that the server says as given."""
    theirs = of_layer(checks.lifetimes, "sprint11")
    right = [one for one in theirs if lasts(one)]
    word: Word = "held" if len(right) == len(theirs) else "fell short"
    if not right:
        word = "refuted"
    zero = (
        " A lifetime of 0 makes `set` fail, and nobody is told."
        if experiments.details.zero_ttl_is_swallowed
        else ""
    )
    return verdict(
        claim,
        word,
        f"The server says the lifetime that was given for {len(right)} of {len(theirs)}."
        f"{zero}",
        expected=f"{len(theirs)} lifetimes",
        measured=f"{len(right)} right",
    )
