"""Every Query against itself, three times: how many pairs are called faster or slower?

The baseline and a fresh copy of it take the places of before and after. Whatever is
called is false. `make run` of that size comes before: what took more than a second
there is left out. Prints one line per run; fails when a run calls more than 5 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.lab import CONTROL, Lab, open_lab
from fluxlab.measuring import measure_control
from fluxlab.settings import USERS_OF_SIZE, read_settings
from fluxlab.workload.budget import budget_of
from fluxlab.workload.compare import Comparison, compare_control
from fluxlab.workload.store import Store

ALLOWED = 0.05
RUNS = 3


def one_run(lab: Lab, budget_name: str) -> Comparison:
    """Measure all pairs of a fresh store against a fresh copy."""
    budget = replace(
        budget_of(budget_name, lab.settings.size), control="all", slow_ms=1_000
    )
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "control.sqlite")
        measure_control(lab, budget, store, lambda tick: None)
        before, after = (store.run(lab.state(name)) for name in CONTROL)
        store.close()
    return compare_control(before, after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=tuple(USERS_OF_SIZE))
    parser.add_argument("--budget", default="quick")
    options = parser.parse_args()
    settings = read_settings()
    if options.size:
        settings = replace(settings, size=options.size)
    lab = open_lab(settings)
    worst = 0.0
    for number in range(1, RUNS + 1):
        start = time.perf_counter()
        control = one_run(lab, options.budget)
        called = len(control.of("faster")) + len(control.of("slower"))
        by_clock = sum(one.by_clock in ("faster", "slower") for one in control)
        effects = ", ".join(
            f"{one.smallest_effect:.2f}x" for one in control.floors.clock.strata
        )
        print(
            f"run {number}, size {settings.size}: {called} of {len(control):,} pairs are "
            f"called ({called / len(control):.1%}), by the clocks alone {by_clock}; "
            f"smallest effects {effects}; {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        worst = max(worst, called / len(control))
    print(f"at most {worst:.1%} of the pairs were called; allowed are {ALLOWED:.0%}")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FluxlabError as error:
        sys.exit(str(error))
