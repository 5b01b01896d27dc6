"""What an index does depends on those that are there: alone, in the ladder, taken away.

The same index may help where it comes first, change nothing where another one serves
already, and be missed by nobody once all are there. Here the three are put side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fluxlab.indexes.contribution import Contribution, Contributions, Effect
from fluxlab.indexes.decisions import used_in
from fluxlab.indexes.planner import Key
from fluxlab.indexes.trials import Kind

#: *helps*: some pair is faster. *hurts*: some is slower, and none faster. *unclear*: plans
#: change, and the noise wins. *same*: they change, and nothing follows. *no plan*: none.
Effectiveness = Literal["helps", "hurts", "unclear", "same", "no plan"]
PLACES: tuple[Kind, ...] = ("alone", "ladder", "without")
Plans = Mapping[str, tuple[str, str]]


def effectiveness(contribution: Contribution) -> Effectiveness:
    """Return the word for what an index does in one kind of Trial."""
    if not contribution.effects:
        return "no plan"
    if contribution.helped:
        return "helps"
    if contribution.hurt:
        return "hurts"
    return "unclear" if contribution.of("unclear") else "same"


@dataclass(frozen=True)
class Standing:
    """One index at its three places; `served_by` had its work when the ladder came to it.

    `switches` counts the pairs that it makes faster alone and leaves as they are there.
    """

    index: str
    by_place: Mapping[Kind, Contribution]
    served_by: tuple[str, ...] = ()
    switches: int = 0

    def saved_ms(self, place: Kind) -> float:
        """Milliseconds that it saves in 1,000 requests at a place, as far as is clear."""
        return self.by_place[place].saved_ms

    @cached_property
    def words(self) -> tuple[Effectiveness, ...]:
        """What it does alone, in the ladder and taken away."""
        return tuple(effectiveness(self.by_place[place]) for place in PLACES)

    @property
    def is_too_late(self) -> bool:
        """Whether it helps alone, and in the ladder another one does its work already."""
        return self.words[0] == "helps" != self.words[1] and bool(self.served_by)

    @property
    def is_replaceable(self) -> bool:
        """Whether it helps alone or in the ladder, and taken away it changes no plan.

        Or one that is clearly the same.
        """
        return "helps" in self.words[:2] and self.words[2] in ("no plan", "same")

    @property
    def swing_ms(self) -> float:
        """How far apart the three places are, in ms saved in 1,000 requests."""
        saved = [self.saved_ms(place) for place in PLACES]
        return max(saved) - min(saved)

    def __repr__(self) -> str:
        words = ", ".join(
            f"{place} {word}" for place, word in zip(PLACES, self.words, strict=True)
        )
        return f"<Standing of {self.index}: {words}>"


def standings(
    found: Contributions, plans: Plans, names: Collection[str]
) -> tuple[Standing, ...]:
    """Return every index that was measured at all three places, in the ladder's order.

    `names` are the indexes that may serve instead; `plans` both plans of each Switch.
    """
    current: dict[Key, str] = {}
    result = []
    for contribution in found.all("ladder"):
        name = contribution.subject
        if all(name in found.trials.get(place, {}) for place in PLACES):
            by_place = {place: found.of(place, name) for place in PLACES}
            missed = _missed(by_place["alone"], contribution)
            serving = _serving(missed, current, plans, set(names) - {name})
            result.append(Standing(name, by_place, serving, len(missed)))
        for effect in contribution.effects:
            current[_key(effect)] = plans[effect.switch][1]
    return tuple(result)


def _missed(alone: Contribution, ladder: Contribution) -> tuple[Effect, ...]:
    """Return what an index makes faster alone, and leaves alone in the ladder."""
    changed = {_key(effect) for effect in ladder.effects}
    return tuple(one for one in alone.of("faster") if _key(one) not in changed)


def _serving(
    missed: Iterable[Effect],
    current: Mapping[Key, str],
    plans: Plans,
    names: Collection[str],
) -> tuple[str, ...]:
    """Return the indexes that the plans of then read, and those of the baseline did not."""
    found: dict[str, None] = {}
    for effect in missed:
        now = set(used_in(current.get(_key(effect), ""), names))
        found |= dict.fromkeys(sorted(now - set(used_in(plans[effect.switch][0], names))))
    return tuple(found)


def _key(effect: Effect) -> Key:
    return effect.change.before.key


@dataclass(frozen=True, slots=True)
class Economy:
    """What one kind of Trial was spared by asking the planner first.

    `brute` pairs would have been measured without asking, `asked` is how often the
    planner was asked about one, `changed` how many plans were others, and `measured` how
    many of those no Trial before had measured.
    """

    kind: Kind
    trials: int
    brute: int
    asked: int
    changed: int
    measured: int


def economy(found: Contributions, pairs: int, kinds: Iterable[Kind]) -> tuple[Economy, ...]:
    """Count what was measured against measuring all `pairs` in every Trial.

    `kinds` in the order in which they were measured.
    """
    known: set[str] = set()
    result = []
    for kind in kinds:
        trials = found.trials.get(kind, {}).values()
        switches = {name for one in trials for name in one.switches}
        result.append(
            Economy(
                kind,
                len(trials),
                len(trials) * pairs,
                sum(one.asked for one in trials),
                sum(len(one.switches) for one in trials),
                len(switches - known),
            )
        )
        known |= switches
    return tuple(result)
