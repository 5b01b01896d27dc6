"""Judges of the report's cache under races, many readers, many keys and large ones."""

from __future__ import annotations

from collections.abc import Sequence

from fluxlab.book.claims import CacheClaim
from fluxlab.book.judges_cache_parts import is_wrong, of_layer, wrongly
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.checks.checked import Checks
from fluxlab.caching.experiments.found import Absent, Experiments, Stampede
from fluxlab.caching.results import LayerName
from fluxlab.indexes.amounts import show_bytes
from fluxlab.workload.sample import show_ms

#: The report's limit of size, and from which factor on a cost is one.
_LIMIT_BYTES, _DEARER, _GROWS = 1_000_000, 10.0, 2.0


def crowd(experiments: Experiments, layer: LayerName) -> Stampede | None:
    """Return what the most readers of a missing key did, in one process."""
    found = experiments.stampedes.of(layer, 1)
    return found[-1] if found else None


def judge_get_or_set(
    claim: CacheClaim, checks: Checks, experiments: Experiments
) -> Verdict:
    """Load a row once for two reads, then let many read one missing key at once."""
    example = of_layer(checks.examples, "sprint11")[0]
    works = example.loads == 1 and example.is_loaded_same
    theirs, ours = (crowd(experiments, one) for one in ("sprint11", "fluxlab"))
    loads = theirs.most_loads if theirs else 0
    missing = _missing(experiments, "sprint11")
    word: Word = "fell short" if loads > 1 or any(map(is_wrong, missing)) else "held"
    if not works:
        word = "refuted"
    text = f"Two reads of one row cause {example.loads} load{'s' * (example.loads != 1)}"
    if theirs:
        text += f", {theirs.readers} at once of a missing key {loads}"
    if ours:
        text += f", with ours {ours.most_loads}"
    return verdict(
        claim,
        word,
        f"{text}.{_missing_said(missing)}",
        expected="one load for all who read it",
        measured=f"{loads} loads",
    )


def _missing(experiments: Experiments, layer: LayerName) -> list[Absent]:
    return [
        one
        for one in of_layer(experiments.details.absent, layer)
        if one.what == "missing row"
    ]


def _missing_said(missing: Sequence[Absent]) -> str:
    return "".join(
        f" A row that is not there, read {one.reads} times, is loaded "
        f"{one.loads} time{'s' * (one.loads != 1)} and answered {', '.join(one.answers)}."
        for one in missing
    )


def judge_missing_row(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Ask the report's example for a user who does not exist."""
    missing = _missing(experiments, "sprint11")
    theirs = crowd(experiments, "sprint11")
    word: Word = "fell short" if theirs and theirs.most_loads > 1 else "held"
    if any(map(is_wrong, missing)):
        word = "refuted"
    many = (
        f" {theirs.readers} readers at once of a user who exists load "
        f"{theirs.most_loads} times."
        if theirs
        else ""
    )
    ours = [
        f" Ours: {one.loads} load{'s' * (one.loads != 1)}, {', '.join(one.answers)}."
        for one in _missing(experiments, "fluxlab")
    ]
    return verdict(
        claim,
        word,
        f"{_missing_said(missing)}{many}{''.join(ours)}".strip(),
        expected="no user each time; one load",
        measured=", ".join(
            dict.fromkeys(answer for one in missing for answer in one.answers)
        ),
    )


def judge_update(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Let a reader load while the update commits and invalidates."""
    found = experiments.stale
    theirs, ours = (of_layer(found.races, one) for one in ("sprint11", "fluxlab"))
    stale = [one for one in theirs if one.stale]
    longest_s = max((one.longest_s for one in stale), default=0.0)
    text = (
        f"In {sum(one.stale for one in theirs)} of {sum(one.trials for one in theirs)} "
        "updates that were committed and invalidated while a reader loaded, a later read "
        "was answered with the row of before"
    )
    if stale:
        text += (
            f", for up to {longest_s:.2g} s of a lifetime of {found.ttl_s:g} s (the "
            "report's is 300 s)"
        )
    text += (
        f". Ours: {sum(one.stale for one in ours)} of {sum(one.trials for one in ours)}."
    )
    crashed = [one for one in of_layer(found.crashes, "sprint11") if one.stale_keys]
    if crashed:
        text += (
            f" A writer that dies between commit and invalidation leaves "
            f"{crashed[0].stale_keys} of {crashed[0].trials} keys stale."
        )
    return verdict(
        claim,
        "refuted" if stale or crashed else "held",
        text,
        expected="no old row after the update",
        measured=f"{sum(one.stale for one in theirs)} of "
        f"{sum(one.trials for one in theirs)} stale",
    )


def judge_invalidate(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Let readers and writers meet at one key, with an invalidation after each write."""
    theirs, ours = (
        of_layer(experiments.stale.together, one) for one in ("sprint11", "fluxlab")
    )
    stale, writes = (
        sum(one.stale_writes for one in theirs),
        sum(one.writes for one in theirs),
    )
    word: Word = "fell short" if stale else "held"
    if writes and stale == writes:
        word = "refuted"
    return verdict(
        claim,
        word,
        f"Every one of {writes:,} writes was followed by its invalidation, and after "
        f"{stale:,} of them the old row was read again: "
        f"{sum(one.stale for one in theirs):,} of {sum(one.reads for one in theirs):,} "
        "reads are stale, because a load that had begun before is stored after. Ours: "
        f"{sum(one.stale for one in ours):,} of {sum(one.reads for one in ours):,}.",
        expected="no stale read",
        measured=f"{stale:,} of {writes:,} writes undone",
    )


def judge_patterns(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Delete by a pattern, and ask what the helpers that are made of patterns leave."""
    found = of_layer(checks.deleted, "sprint11")[0]
    forgotten = of_layer(experiments.details.forgotten, "sprint11")
    wrong = [one for one in forgotten if one.is_wrong]
    word: Word = "fell short" if wrong else "held"
    if set(found.removed) != set(found.matching):
        word = "refuted"
    costs = experiments.details.patterns
    text = (
        f"A pattern removes {len(found.removed)} of the {len(found.matching)} keys it means"
    )
    text += f"; after the helpers made of patterns {wrongly(forgotten)}"
    if costs:
        last = costs[-1]
        text += (
            f". Among {last.keys:,} keys one call takes {show_ms(last.keys_ms)}, "
            f"forgetting a tag of ours {show_ms(last.version_ms)}"
        )
    return verdict(
        claim,
        word,
        f"{text}.",
        expected="what depends on it gone, nothing else",
        measured=f"{len(forgotten) - len(wrong)} of {len(forgotten)} keys right",
    )


def judge_namespaces(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Let the keys grow and watch what deleting one user's by pattern costs."""
    costs = sorted(experiments.details.patterns, key=lambda one: one.keys)
    first, last = costs[0], costs[-1]
    grows = last.keys_ms / max(first.keys_ms, 1e-9)
    return verdict(
        claim,
        "fell short" if grows >= _GROWS else "held",
        f"Deleting one user's keys takes {show_ms(first.keys_ms)} among {first.keys:,} "
        f"keys and {show_ms(last.keys_ms)} among {last.keys:,}: the prefix is compared "
        "with every key there is, and a GET of somebody else waits up to "
        f"{show_ms(last.keys_waits_ms)}. Forgetting a tag of ours takes "
        f"{show_ms(first.version_ms)} and {show_ms(last.version_ms)}.",
        expected="as cheap with many keys",
        measured=f"{grows:.1f} times dearer, {last.keys / first.keys:.0f} times the keys",
    )


def judge_size(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Store and read larger and larger texts, and look who refuses them."""
    sizes = sorted(
        of_layer(experiments.details.sizes, "sprint11"), key=lambda one: one.size_bytes
    )
    kept = [one for one in sizes if one.is_stored]
    small, large = kept[0], kept[-1]
    dearer = large.get_ms / max(small.get_ms, 1e-9)
    word: Word = "held" if dearer >= _DEARER else "fell short"
    if dearer < _GROWS:
        word = "refuted"
    ours = [one for one in of_layer(experiments.details.sizes, "fluxlab") if one.is_stored]
    over = [one for one in kept if one.size_bytes > _LIMIT_BYTES]
    limit = "stores" if over else "refuses"
    most = show_bytes(max((one.size_bytes for one in ours), default=0))
    return verdict(
        claim,
        word,
        f"Reading {show_bytes(small.size_bytes)} takes {show_ms(small.get_ms)}, "
        f"{show_bytes(large.size_bytes)} takes {show_ms(large.get_ms)}, while every other "
        f"reader of the connection waits. The report's cache {limit} what is above its "
        f"limit; ours stores up to {most} of these.",
        expected="dear above 1 MB",
        measured=f"{dearer:.0f} times the time for {show_bytes(large.size_bytes)}",
    )
