"""The lab's own run and an independent second one: do they say the same of every pair?

The first is what the lab's store holds, so `make run BUDGET=standard` comes before.
Prints how the words fall and how many agree; fails when a pair is faster in one run
and slower in the other, or when fewer than 90 % of the words are equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.lab import open_lab
from fluxlab.measuring import measure_lab
from fluxlab.settings import USERS_OF_SIZE, Settings, read_settings
from fluxlab.workload.budget import budget_of
from fluxlab.workload.compare import Comparison

WANTED = 0.90


def second_run(settings: Settings, budget_name: str, scratch: Path) -> Comparison:
    """Measure everything anew into another store; return the Comparison."""
    lab = open_lab(replace(settings, results=scratch / "second.sqlite"))
    measure_lab(lab, budget_of(budget_name, settings.size), lambda tick: None)
    return lab.comparison


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=tuple(USERS_OF_SIZE))
    parser.add_argument("--budget", default="standard")
    options = parser.parse_args()
    settings = read_settings()
    if options.size:
        settings = replace(settings, size=options.size)
    first = open_lab(settings).comparison
    print(f"first:  {first!r}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        second = second_run(settings, options.budget, Path(scratch))
    print(f"second: {second!r}", flush=True)
    runs = first, second
    words = [{one.before.key: one.outcome for one in run} for run in runs]
    pairs = Counter((words[0][key], words[1][key]) for key in words[0])
    equal = sum(count for (one, other), count in pairs.items() if one == other)
    opposed = pairs["faster", "slower"] + pairs["slower", "faster"]
    for (one, other), count in sorted(pairs.items()):
        print(f"  {one:8} {other:8} {count:5,}")
    share = equal / len(words[0])
    print(f"{share:.1%} of {len(words[0]):,} words are equal, {opposed} opposed")
    return int(opposed > 0 or share < WANTED)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FluxlabError as error:
        sys.exit(str(error))
