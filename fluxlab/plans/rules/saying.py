"""How a rule says what it found: a sentence, its numbers, and what the fix could save."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fluxlab.plans.findings import Confidence, Finding, Weight
from fluxlab.plans.rules.rule import Rule, Seen

#: Shares of the execution from which a finding weighs so much.
HIGH_SHARE = 0.30
MEDIUM_SHARE = 0.10
#: Below both a node is not worth a reader's time, whatever is wrong with it.
LEAST_SHARE = 0.05
LEAST_TIME_MS = 1.0
#: What takes less, of one execution, is no matter of weight: the answer takes as long to
#: reach the client.
LIGHT_MS = 0.5


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says of a node, before it has a name and a weight.

    `wasted` is the share of the time that the fix could save at most. The time is the
    node's own, or `time_ms` where more than the node is at fault. A note asks for
    nothing. `weight` is for the rules to which the share of one execution says little.
    """

    sentence: str
    advice: str
    evidence: Mapping[str, float | str]
    wasted: float = 0.0
    confidence: Confidence = "likely"
    fix: str | None = None
    is_note: bool = False
    time_ms: float | None = None
    weight: Weight | None = None


Look = Callable[[Seen], Said | None]


def rule(id: str, name: str, *, of_plan: bool = False) -> Callable[[Look], Rule]:
    """Make a Rule of a function that looks at a node and says what it sees, or None."""

    def make(look: Look) -> Rule:
        def check(seen: Seen) -> Finding | None:
            said = look(seen)
            if said is None:
                return None
            time_ms = seen.node.own_time_ms if said.time_ms is None else said.time_ms
            share = share_of(seen, time_ms)
            weight = said.weight or _weight(share, time_ms if seen.plan.is_timed else None)
            return Finding(
                rule=id,
                name=name,
                node=None if of_plan else seen.node.number,
                sentence=said.sentence,
                advice=said.advice,
                weight="note" if said.is_note else weight,
                confidence=said.confidence,
                evidence=said.evidence,
                share=share,
                saving_ms=time_ms * said.wasted,
                fix=said.fix,
            )

        return Rule(id, name, check, of_plan)

    return make


def share_of(seen: Seen, time_ms: float, blocks: float | None = None) -> float:
    """Return a time as a share of the execution; of the blocks where nothing was timed."""
    if seen.plan.is_timed and seen.plan.execution_ms:
        return min(1.0, time_ms / seen.plan.execution_ms)
    blocks = seen.node.own_blocks if blocks is None else blocks
    return blocks / seen.plan.blocks if seen.plan.blocks else 0.0


def matters(seen: Seen) -> bool:
    """Whether a node ran, and took long enough to be worth a word."""
    if not seen.node.is_executed:
        return False
    if not seen.plan.is_timed:
        return True
    own_ms = seen.node.own_time_ms
    return own_ms >= LEAST_TIME_MS or share_of(seen, own_ms) >= LEAST_SHARE


def is_worth(seen: Seen, time_ms: float) -> bool:
    """Whether a time is long enough for a word; yes where nothing was timed."""
    if not seen.plan.is_timed:
        return seen.plan.is_analyzed
    return time_ms >= LEAST_TIME_MS or share_of(seen, time_ms) >= LEAST_SHARE


def counted(number: float, word: str, words: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(300_000, "row"), counted(2, "index", "indexes")
    ('1 row', '300,000 rows', '2 indexes')
    """
    return f"{number:,.0f} {word if round(number) == 1 else words or word + 's'}"


def percent(share: float) -> str:
    """Return a share in whole percent, never rounded up to all or down to nothing.

    >>> percent(0.9999), percent(0.25), percent(0.0001), percent(1.0)
    ('99 %', '25 %', 'less than 1 %', '100 %')
    """
    if 0 < share < 0.01:
        return "less than 1 %"
    # What a binary fraction loses must not cost a whole percent.
    return f"{int(share * 100 + 1e-9)} %"


def _weight(share: float, time_ms: float | None) -> Weight:
    """Weigh a Finding by its share of the time, lightly where the time is next to none."""
    if time_ms is not None and time_ms < LIGHT_MS:
        return "low"
    if share >= HIGH_SHARE:
        return "high"
    return "medium" if share >= MEDIUM_SHARE else "low"
