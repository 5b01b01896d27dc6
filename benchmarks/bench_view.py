"""How long drawing a plan of 500 nodes takes: as HTML, as text, in a terminal, compared.

Prints the median CPU time of eleven; fails when a view takes more than 0.2 s.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable

from rich.console import Console

from fluxlab.plans.differences import diff
from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.plans.views.html import plan_html, plan_text
from fluxlab.plans.views.side_by_side import diff_html
from fluxlab.plans.views.terminal import plan_tree

WANTED_S = 0.2
ROUNDS = 11


def plan_of(nodes: int) -> Plan:
    """Return an Append over chains of ten nodes, each with a filter."""

    def node(number: int, *below: dict[str, object]) -> dict[str, object]:
        return {
            "Node Type": "Seq Scan" if not below else "Materialize",
            "Relation Name": f"part_{number}",
            "Alias": f"part_{number}",
            "Plan Rows": 1,
            "Actual Rows": 250,
            "Actual Loops": 1,
            "Actual Total Time": float(len(below) + 1),
            "Shared Hit Blocks": 12,
            "Rows Removed by Filter": 99_000,
            "Filter": f"(((value)::text <> '<{number}>'::text) AND (deleted_at IS NULL))",
            "Plans": list(below),
        }

    chains = []
    left = nodes - 1
    while left:
        chain = node(left)
        left -= 1
        for _ in range(min(9, left)):
            chain = node(left, chain)
            left -= 1
        chains.append(chain)
    root = {**node(0, *chains), "Node Type": "Append"}
    return read_plan({"Plan": root, "Execution Time": 500.0})  # type: ignore[dict-item]


def findings_of(plan: Plan) -> tuple[Finding, ...]:
    """Return a Finding with a fix at every tenth node."""
    return tuple(
        Finding(
            "R01",
            "selective scan",
            one.number,
            f"This scan reads 99,250 rows of {one.relation} to keep 250.",
            "Create an index on what it filters by.",
            "medium",
            "likely",
            saving_ms=0.5,
            fix=f"create index on {one.relation} (value);",
        )
        for one in plan.nodes[::10]
    )


def median_s(draw: Callable[[], object]) -> float:
    """Return the median CPU time of several runs after one that is not counted, in s."""
    draw()
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        draw()
        times.append(time.process_time() - started)
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=500)
    options = parser.parse_args()
    plan, other = plan_of(options.nodes), plan_of(options.nodes - 20)
    findings = findings_of(plan)
    console = Console(file=io.StringIO(), width=80, highlight=False)
    views: dict[str, Callable[[], object]] = {
        "HTML": lambda: plan_html(plan, findings),
        "text": lambda: plan_text(plan, findings),
        "terminal": lambda: console.print(plan_tree(plan, findings)),
        "diff": lambda: diff_html(diff(plan, other)),
    }
    worst = 0.0
    for name, draw in views.items():
        taken = median_s(draw)
        worst = max(worst, taken)
        print(f"{name:8} {taken * 1000:7.1f} ms for {options.nodes} nodes, of {ROUNDS}")
    print(f"wanted: each under {WANTED_S * 1000:.0f} ms")
    return int(worst > WANTED_S)


if __name__ == "__main__":
    sys.exit(main())
