"""Which indexes may go together: drop all that nobody misses, and look who suffers.

Two indexes that can stand in for each other are missed by nobody, one at a time, and by
everybody when both are gone. So all that are to go are hidden at once, what changes is
measured, and what served those that suffer comes back, until nothing is missed that is
worth its place. As long as the noise could hide such a loss, the index comes back too.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass

from fluxlab.indexes.contribution import Contribution, Contributions, Effect, Worth
from fluxlab.indexes.decisions import NO_LOSS, Loss, Thresholds, is_worth, used_in
from fluxlab.indexes.trials import Stand, TrialStore
from fluxlab.progress import Report, Tick
from fluxlab.workload.notes import Facts

Plans = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt to let a set go: how many, and what had to come back for which Loss."""

    goes: int
    back: Mapping[str, Loss]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The indexes that may go together, and what was learned on the way.

    `trial` is the subject of the Trial with exactly these gone. The last of the `rounds`
    is the one in which nothing came back. `losses` are what each index was judged by:
    with everything gone that was to go then, or by itself where it never was to go.
    """

    goes: tuple[str, ...]
    trial: str
    rounds: tuple[Round, ...]
    losses: Mapping[str, Loss]

    @property
    def back(self) -> dict[str, Loss]:
        """What came back, and what it was missed for."""
        return {name: loss for one in self.rounds for name, loss in one.back.items()}

    @property
    def facts(self) -> Facts:
        """What a note of it says; `read_settlement` is the inverse."""
        return asdict(self)

    def __repr__(self) -> str:
        tried = self.rounds[0].goes if self.rounds else len(self.goes)
        return (
            f"<Settlement: {tried} tried, {len(self.back)} came back in "
            f"{len(self.rounds)} rounds, {len(self.goes)} go>"
        )


def read_settlement(facts: Facts) -> Settlement:
    """Return the Settlement that a note is about."""
    rounds = (
        Round(one["goes"], {name: _loss(loss) for name, loss in one["back"].items()})
        for one in facts["rounds"]
    )
    losses = {name: _loss(loss) for name, loss in facts["losses"].items()}
    return Settlement(tuple(facts["goes"]), facts["trial"], tuple(rounds), losses)


def _loss(facts: Facts) -> Loss:
    return Loss(Worth(**facts["sure"]), Worth(**facts["most"]))


def settle(
    stand: Stand,
    store: TrialStore,
    tables: Mapping[str, str],
    costs_ms: Mapping[str, float],
    judge: Callable[[], Contributions],
    limits: Thresholds,
    report: Report,
) -> Settlement:
    """Find the indexes that may go together; `tables` are those that can be hidden.

    `costs_ms` is what the writes of 1,000 requests pay for each, `judge` reads all
    Trials that are kept by now. The result does not depend on the order of names. It
    ends, because each round but the last brings something back.
    """
    found = judge()
    judged = {name: _alone(found.of("without", name)) for name in tables}

    def is_missed(name: str) -> bool:
        return is_worth(judged[name].most, costs_ms.get(name, 0.0), limits)

    goes = {name for name in tables if not is_missed(name)}
    rounds: list[Round] = []
    while not rounds or rounds[-1].back:
        report(Tick("all that may go", len(rounds), 0, f"{len(goes)} indexes"))
        subject = _name_of(goes)
        store.keep(stand.compare("dropped", subject, goes, set(tables.values())))
        missed = losses(judge().of("dropped", subject), store.switches.plans(), goes)
        judged |= {name: missed.get(name, NO_LOSS) for name in goes}
        back = {name: judged[name] for name in sorted(goes) if is_missed(name)}
        rounds.append(Round(len(goes), back))
        goes -= back.keys()
    report(Tick("all that may go", len(rounds), len(rounds)))
    return Settlement(tuple(sorted(goes)), subject, tuple(rounds), judged)


def _alone(without: Contribution) -> Loss:
    return Loss(without.worth, without.could_be_worth)


def losses(dropped: Contribution, plans: Plans, gone: Collection[str]) -> dict[str, Loss]:
    """Return what each index is missed for by those it served.

    An index served a pair when the pair's plan with all indexes names it.
    """
    found: dict[str, Loss] = {}
    for effect in dropped.effects:
        for name in used_in(plans[effect.switch][1], gone):
            loss = found.get(name, NO_LOSS)
            could = loss.most + _could(effect)
            found[name] = Loss(loss.sure + _sure(effect), could)
    return found


def _sure(effect: Effect) -> Worth:
    return Worth(effect.saved_ms, effect.waits_ms)


def _could(effect: Effect) -> Worth:
    could_ms = effect.could_save_ms
    saved_ms = effect.saved_ms + effect.weight * could_ms
    return Worth(saved_ms, max(effect.waits_ms, could_ms))


def stand_ins(
    name: str,
    table: str,
    effects: Iterable[Effect],
    plans: Plans,
    others: Collection[str],
) -> tuple[str, ...]:
    """Return which of the others serve instead of an index, those that serve most first.

    `others` are indexes of its table. None where fewer than half of the plans that used
    it read one of them instead: the rest reads the table, and no index stands in.
    """
    serves: Counter[str] = Counter()
    used = served = 0
    for effect in effects:
        before, after = plans[effect.switch]
        if used_in(after, (name,)):
            serving = _serving(before, after, table, others)
            used, served = used + 1, served + bool(serving)
            serves.update(serving)
    if 2 * served < used:
        return ()
    return tuple(sorted(serves, key=lambda one: (-serves[one], one)))


def _serving(before: str, after: str, table: str, others: Collection[str]) -> set[str]:
    scan = re.compile(rf"Seq Scan on {re.escape(table)}\b")
    if len(scan.findall(before)) > len(scan.findall(after)):
        return set()
    used = set(used_in(before, others))
    # One that was read beside it already does the rest of the work too.
    return used - set(used_in(after, others)) or used


def _name_of(names: set[str]) -> str:
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:8]
    return f"{len(names)} indexes, {digest}"
