"""What sets of indexes give and cost as a whole, read from the results store.

Three are measured: the base, all, and what is kept. Those between base and all are
worked out; see `indexes.pareto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fluxlab.indexes.contribution import weights_of
from fluxlab.indexes.foreseen import read_foreseen
from fluxlab.indexes.pareto import Point, curve, times_of_plans
from fluxlab.indexes.planner import Key
from fluxlab.indexes.set_pricing import read_times
from fluxlab.indexes.sets import Log, Totals, log_of, totals_of_run, totals_without
from fluxlab.indexes.trials import Kind

if TYPE_CHECKING:
    from fluxlab.index_lab import IndexLab
    from fluxlab.lab import Lab

#: The kinds of the notes beside the Trials.
SET_PRICE, SET_TIMES, WALK = "price of set", "writes of set", "walk"
#: The Trials that know what a plan takes.
_KINDS: tuple[Kind, ...] = ("ladder", "alone", "without", "dropped")


def sizes_of(index_lab: IndexLab) -> dict[str, int]:
    """Return the size of each index but those of constraints, in bytes."""
    return {
        name: one.size_bytes
        for name, one in index_lab.known.items()
        if not one.is_constraint
    }


def writes_of(lab: Lab) -> frozenset[str]:
    """Return the names of the Queries that write."""
    return frozenset(name for name, query in lab.workload.items() if query.is_write)


def read_totals(lab: Lab, index_lab: IndexLab) -> dict[str, Totals]:
    """Return the Totals of `base`, `all` and `kept`.

    Raises FluxlabError where the sets have not been priced.
    """
    price, times = index_lab.set_prices, index_lab.read_notes(SET_TIMES)
    if not ({"base", "kept"} <= price.keys() and times):
        raise index_lab.unmeasured("The sets have not been priced")
    sides = {
        "base": [one.off for one in price["base"].writes],
        "all": [one.on for one in price["base"].writes],
        "kept": [one.off for one in price["kept"].writes],
    }
    logs = {name: log_of(costs, index_lab.weights) for name, costs in sides.items()}
    sizes, goes = sizes_of(index_lab), set(index_lab.settlement.goes)
    base = {name: size for name, size in sizes.items() if name not in index_lab.of_sprint}
    whole = _of_state(lab, index_lab, "sprint11", "all", sizes, logs["all"])
    spared_ms = read_times(times["kept"]).spared_ms(_weights(lab, index_lab, "sprint11"))
    return {
        "base": _of_state(lab, index_lab, "baseline", "base", base, logs["base"]),
        "all": whole,
        "kept": totals_without(
            whole,
            "kept",
            {name: size for name, size in sizes.items() if name not in goes},
            index_lab.dropped,
            writes_of(lab),
            logs["kept"],
            spared_ms,
        ),
    }


def _of_state(
    lab: Lab,
    index_lab: IndexLab,
    state: str,
    name: str,
    sizes: Mapping[str, int],
    log: Log,
) -> Totals:
    measured = lab.run(state).measurements
    weights = _weights(lab, index_lab, state)
    asked = {one.query for one in measured}
    missing = (
        one.name
        for one in lab.workload.values()
        if one.runs_at(lab.settings.size) and one.name not in asked
    )
    return totals_of_run(name, sizes, measured, weights, writes_of(lab), log, missing)


def _weights(lab: Lab, index_lab: IndexLab, state: str) -> dict[Key, float]:
    """Share the weight of each Query among all classes that were measured of it."""
    measured = lab.run(state).measurements
    return weights_of(((one.query, one.key) for one in measured), index_lab.weights)


def read_curve(lab: Lab, index_lab: IndexLab) -> tuple[Point, ...]:
    """Return the sets from the base to all, what saves most per byte first.

    Raises FluxlabError where the planner has not been asked about them.
    """
    notes = index_lab.read_notes(WALK)
    if not notes:
        raise index_lab.unmeasured("The sets between the base and all are not known")
    foreseen = read_foreseen(notes["all"])
    measured = lab.run("baseline").measurements
    weights = _weights(lab, index_lab, "baseline")
    writes = writes_of(lab)
    reads = [one for one in measured if one.query not in writes]
    effects = (
        effect
        for kind in _KINDS
        for one in index_lab.contributions.all(kind)
        for effect in one.effects
    )
    times = times_of_plans(
        foreseen.plans[0],
        {one.key: one.sample.median_ms for one in reads},
        effects,
        index_lab.plans,
    )
    return curve(
        foreseen,
        times,
        {one.key: weights[one.key] for one in reads},
        sizes_of(index_lab),
        index_lab.set_prices["base"].writes,
        index_lab.weights,
    )
