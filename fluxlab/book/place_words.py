"""What an index does at its three places, in sentences and tables: why order matters.

Alone: added to the baseline. In the ladder: added to those before it. Taken away: from
all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from fluxlab.book import phrases
from fluxlab.book.ladder_words import named, number
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.order import PLACES, Effectiveness, Standing
from fluxlab.indexes.trials import Kind

#: Places whose savings are closer than this are alike.
_ALIKE = 1.5
_HEADS = {"alone": "alone", "ladder": "in the ladder", "without": "taken away"}
_CASES: tuple[tuple[str, str, Callable[[Standing], bool]], ...] = (
    (
        "helps at all three places",
        "to keep: nothing else does its work",
        lambda one: set(one.words) == {"helps"},
    ),
    (
        "helps alone, another one was there first",
        "to choose: one of them is enough",
        lambda one: one.is_too_late,
    ),
    (
        "helps, and taken away no plan misses it",
        "to drop, as long as the others stay",
        lambda one: not one.is_too_late and one.is_replaceable,
    ),
    (
        "helps somewhere, and elsewhere the clock cannot tell",
        "to measure longer",
        lambda one: "helps" in one.words,
    ),
    (
        "hurts somewhere, and helps nowhere",
        "to drop",
        lambda one: "hurts" in one.words,
    ),
    (
        "changes plans, and the clock cannot tell",
        "to measure longer, or on more data",
        lambda one: "unclear" in one.words,
    ),
    (
        "changes plans, and nothing follows",
        "to drop",
        lambda one: "same" in one.words,
    ),
    (
        "changes no plan anywhere",
        "to drop, unless writes or humans need it",
        lambda one: True,
    ),
)


def telling(found: Iterable[Standing], most: int = 14) -> tuple[Standing, ...]:
    """Return the indexes whose three places differ most, by ms; the largest first.

    Those that save about the same wherever they come are left out.
    """
    apart = [one for one in found if _is_apart(one)]
    chosen = sorted(apart, key=lambda one: -one.swing_ms)[:most]
    return tuple(sorted(chosen, key=lambda one: -max(map(one.saved_ms, PLACES))))


def _is_apart(one: Standing) -> bool:
    saved = [one.saved_ms(place) for place in PLACES]
    return max(saved) > 0 and max(saved) > _ALIKE * min(saved)


def places_title(found: Sequence[Standing]) -> Sentence:
    """Say how many indexes help at each place."""
    alone, ladder, without = (
        sum(one.words[place] == "helps" for one in found) for place in range(3)
    )
    return Sentence(
        f"Alone {alone} of {len(found)} indexes make something faster, in the ladder "
        f"{ladder}, and {without} are missed when they are taken away"
    )


def places_table(found: Iterable[Standing]) -> pd.DataFrame:
    """Return ms and blocks saved at each place, with the word where nothing is clear."""
    frame = pd.DataFrame(
        {
            "index": one.index,
            **{f"ms, {_HEADS[place]}": _ms(one, place) for place in PLACES},
            **{
                f"blocks, {_HEADS[place]}": number(one.by_place[place].saved_blocks)
                for place in PLACES
            },
        }
        for one in found
    )
    return named(frame, "index")


def _ms(one: Standing, place: Kind) -> str:
    word = one.words[PLACES.index(place)]
    saved = one.saved_ms(place)
    return number(saved) if word in ("helps", "hurts") else word


def late(found: Iterable[Standing]) -> Sentence:
    """Say how many indexes came too late in the ladder, and which one saved most alone."""
    known = [one for one in found if one.is_too_late]
    if not known:
        return Sentence(
            "No index that clearly helps alone found its work done by an earlier one, as "
            "far as the clock is sure."
        )
    most = max(known, key=lambda one: one.saved_ms("alone"))
    return Sentence(
        f"{_counted(len(known))} alone and came too late in the ladder. The largest is "
        f"`{most.index}`: alone it saves {number(most.saved_ms('alone'))} ms in 1,000 "
        f"requests, and when the ladder came to it, {phrases.listed(most.served_by)} "
        "served those queries."
    )


def late_table(found: Iterable[Standing]) -> pd.DataFrame:
    """Return every index that some of its work was taken from before it came."""
    rows = sorted(
        (one for one in found if one.served_by), key=lambda one: -one.saved_ms("alone")
    )
    columns = [
        "index",
        "ms saved alone",
        "in the ladder",
        "pairs done already",
        "served by",
    ]
    frame = pd.DataFrame(
        (
            (
                one.index,
                _ms(one, "alone"),
                _ms(one, "ladder"),
                one.switches,
                ", ".join(one.served_by),
            )
            for one in rows
        ),
        columns=columns,
    )
    return named(frame, "index")


def patterns(found: Iterable[Standing]) -> pd.DataFrame:
    """Return how often each three words come together, the most frequent first."""
    examples: dict[tuple[Effectiveness, ...], list[Standing]] = {}
    for one in found:
        examples.setdefault(one.words, []).append(one)
    rows = sorted(examples.items(), key=lambda item: (-len(item[1]), item[0]))
    frame = pd.DataFrame(
        {
            "alone": words[0],
            "in the ladder": words[1],
            "taken away": words[2],
            "indexes": len(known),
            "for example": max(known, key=lambda one: one.swing_ms).index,
        }
        for words, known in rows
    )
    return named(frame, "alone")


def cases(found: Iterable[Standing]) -> pd.DataFrame:
    """Return what was seen of how many indexes, and what that is a case for."""
    counts = Counter(
        next(number for number, (_, _, is_so) in enumerate(_CASES) if is_so(one))
        for one in found
    )
    frame = pd.DataFrame(
        {"what was seen": seen, "indexes": counts[number], "a case": case}
        for number, (seen, case, _) in enumerate(_CASES)
        if counts[number]
    )
    return named(frame, "what was seen")


def idle(found: Iterable[Standing]) -> Sentence:
    """Name the indexes that change no plan at any place."""
    known = list(found)
    names = [one.index for one in known if set(one.words) == {"no plan"}]
    if not known:
        return Sentence("No index has been tried at all three places yet.")
    if not names:
        return Sentence("Every index changes some plan at some place.")
    return Sentence(
        f"{len(names)} indexes change no plan at any place, whatever the clock says: "
        f"{phrases.listed(names, len(names))}."
    )


def _counted(number: int) -> str:
    return f"{number} index helps" if number == 1 else f"{number} indexes help"
