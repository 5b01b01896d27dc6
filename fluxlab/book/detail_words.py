"""What the small experiments on the caches found, in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from fluxlab.book.ladder_words import named
from fluxlab.book.load_words import LABELS
from fluxlab.book.outage_words import capital, times
from fluxlab.book.sentences import Sentence
from fluxlab.caching.experiments.found import Absent, Details, Forgotten, Trip
from fluxlab.caching.results import LayerName
from fluxlab.indexes.amounts import show_bytes, show_ms


def types(found: Details) -> Sentence:
    """Say how many kinds of values come back as they were, with each cache."""
    parts = []
    names: tuple[LayerName, ...] = ("sprint11", "fluxlab")
    for name in names:
        rows = [one for one in found.trips if one.layer == name]
        same = sum(one.is_same for one in rows)
        refused = sum(not one.is_stored for one in rows)
        other = len(rows) - same - refused
        parts.append(
            f"{LABELS[name]} gives back {same} of {len(rows)} kinds of values as they "
            f"were, {other or 'none'} as something else, and does not store {refused}"
        )
    return Sentence(f"{capital('; '.join(parts))}.")


def types_table(found: Details) -> pd.DataFrame:
    """Return what became of each kind of value that one of the caches did not keep."""
    by_kind: dict[str, dict[str, Trip]] = {}
    for one in found.trips:
        by_kind.setdefault(one.kind, {})[one.layer] = one
    frame = pd.DataFrame(
        {
            "value": kind,
            "stored": trips["sprint11"].given,
            "the report's cache gives back": _came(trips["sprint11"]),
            "ours": _came(trips["fluxlab"]),
        }
        for kind, trips in by_kind.items()
        if not all(one.is_same for one in trips.values())
    )
    return named(frame, "value")


def _came(one: Trip) -> str:
    if one.is_same:
        return "the same"
    return f"{one.came} ({one.came_type})" if one.is_stored else "not stored"


def absent(found: Iterable[Absent]) -> pd.DataFrame:
    """Return what readers of nothing got, read after read, and how often it was loaded."""
    frame = pd.DataFrame(
        {
            "what is absent": one.what,
            "cache": LABELS[one.layer],
            "answers": ", ".join(one.answers),
            "loads": f"{one.loads} of {one.reads}",
        }
        for one in found
    )
    return named(frame, "what is absent")


def forgotten(found: Iterable[Forgotten]) -> pd.DataFrame:
    """Return what each helper of the report leaves that it should forget, and the rest."""
    rows: dict[str, list[Forgotten]] = {}
    for one in found:
        rows.setdefault(one.helper, []).append(one)
    frame = pd.DataFrame(
        {
            "helper": helper,
            "keys that depend": len({one.key for one in ones if one.depends}),
            "the report's leaves stale": _left(ones, "sprint11"),
            "ours leaves": _left(ones, "fluxlab"),
            "the report's forgets besides": _besides(ones, "sprint11"),
            "ours besides": _besides(ones, "fluxlab"),
        }
        for helper, ones in rows.items()
    )
    return named(frame, "helper")


def _left(ones: Iterable[Forgotten], layer: LayerName) -> str:
    keys = [o.key for o in ones if o.layer == layer and o.depends and o.survives]
    return ", ".join(keys) or "none"


def _besides(ones: Iterable[Forgotten], layer: LayerName) -> str:
    keys = [o.key for o in ones if o.layer == layer and not o.depends and not o.survives]
    return ", ".join(keys) or "none"


def patterns_title(found: Details) -> Sentence:
    """Say how the price of forgetting by pattern grows, and that of a tag does not."""
    few, many = found.patterns[0], found.patterns[-1]
    return Sentence(
        f"Among {many.keys:,} names KEYS takes {show_ms(many.keys_ms)}, "
        f"{many.keys_ms / few.keys_ms:.0f} times as long as among {few.keys:,}; a tag is "
        f"forgotten in {show_ms(many.version_ms)}"
    )


def patterns(found: Details) -> pd.DataFrame:
    """Return the time of forgetting one user, and what somebody else waits meanwhile."""
    frame = pd.DataFrame(
        {
            "names on the server": f"{one.keys:,}",
            "KEYS and DEL": show_ms(one.keys_ms),
            "others wait": show_ms(one.keys_waits_ms),
            "a tag, ours": show_ms(one.version_ms),
            "delete_pattern, ours": show_ms(one.scan_ms),
            "others wait then": show_ms(one.scan_waits_ms),
        }
        for one in found.patterns
    )
    return named(frame, "names on the server")


def sizes(found: Details) -> pd.DataFrame:
    """Return what it takes to store and read a value of each size."""
    by_size: dict[int, dict[str, str]] = {}
    for one in found.sizes:
        text = (
            f"{show_ms(one.set_ms)} / {show_ms(one.get_ms)}" if one.is_stored else "refused"
        )
        by_size.setdefault(one.size_bytes, {})[f"{LABELS[one.layer]}, set / get"] = text
    frame = pd.DataFrame(
        {"text of": show_bytes(size), **row} for size, row in by_size.items()
    )
    return named(frame, "text of")


def counted(found: Details) -> pd.DataFrame:
    """Return how many hits the report's counter sees of values that are false."""
    frame = pd.DataFrame(
        {
            "value": one.value,
            "reads": one.reads,
            "hits, the report's counter": one.hits_of_report,
            "hits, ours": one.hits_of_ours,
        }
        for one in found.counted
    )
    return named(frame, "value")


def silent(found: Details) -> Sentence:
    """Say what fails without a word in the report's cache."""
    endless = (
        f"Its list of all keys had not ended after {found.endless_turns} turns over "
        f"{found.endless_keys} keys, when we stopped it."
        if found.endless_turns
        else "Its list of all keys ended."
    )
    zero = (
        "A lifetime of 0 makes a write to it fail, and nobody is told."
        if found.zero_ttl_is_swallowed
        else "A lifetime of 0 is stored."
    )
    stale = [LABELS[name] for name, is_stale in found.email_is_stale.items() if is_stale]  # type: ignore[index]
    email = (
        f"After a change of address the old row is still found under the old one with "
        f"{' and '.join(stale)}."
        if stale
        else "After a change of address the old one finds nothing."
    )
    return Sentence(f"{endless} {zero} {email}")


def collisions(found: Details) -> Sentence:
    """Say how many helpers forget somebody whose id begins alike."""
    rows = [one for one in found.forgotten if not one.depends and one.layer == "sprint11"]
    hit = sum(one.is_wrong for one in rows)
    return Sentence(
        f"{times(hit, len(rows))} helpers of the report forget a neighbour whose id begins "
        "with the same digits."
    )
