"""How long it takes to read a plan: JSON and text, of 10, 100 and 500 nodes.

Exits with 1 when the median of 100 nodes in JSON is above 5 ms.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

from fluxlab.plans.reading import read_plan

LIMIT_MS = 5.0
REPEATS = 51


def node(number: int) -> dict[str, object]:
    """A node with as many facts as EXPLAIN (ANALYZE, BUFFERS, VERBOSE) gives one."""
    blocks = {
        f"{kind} {what} Blocks": number
        for kind in ("Shared", "Local", "Temp")
        for what in ("Hit", "Read", "Dirtied", "Written")
    }
    return {
        "Node Type": "Nested Loop",
        "Join Type": "Inner",
        "Parallel Aware": False,
        "Startup Cost": 0.29,
        "Total Cost": 8.31,
        "Plan Rows": 3,
        "Plan Width": 40,
        "Actual Startup Time": 0.011,
        "Actual Total Time": 0.012 * number,
        "Actual Rows": 3.0,
        "Actual Loops": 2,
        "Output": [f"t{number}.id", f"t{number}.name"],
        "Filter": f"((t{number}.name)::text = 'x'::text)",
        **blocks,
    }


def tree(number: int, nodes: int) -> dict[str, object]:
    """Nodes in pairs below each other: node n has the children 2n and 2n + 1."""
    facts = node(number)
    below = [one for one in (2 * number, 2 * number + 1) if one <= nodes]
    if below:
        facts["Plans"] = [tree(one, nodes) for one in below]
    return facts


def as_text(number: int, nodes: int, indent: int = 0) -> list[str]:
    """Return the lines of the same tree in FORMAT TEXT."""
    arrow = " " * indent + ("->  " if indent else "")
    numbers = f"(actual time=0.011..{0.012 * number:.3f} rows=3.00 loops=2)"
    pad = " " * (indent + (6 if indent else 2))
    lines = [
        f"{arrow}Nested Loop  (cost=0.29..8.31 rows=3 width=40) {numbers}",
        f"{pad}Output: t{number}.id, t{number}.name",
        f"{pad}Filter: ((t{number}.name)::text = 'x'::text)",
        f"{pad}Buffers: shared hit={number} read={number}, temp written={number}",
    ]
    for one in (2 * number, 2 * number + 1):
        if one <= nodes:
            lines += as_text(one, nodes, len(pad))
    return lines


def median_ms(read: Callable[[], object]) -> float:
    """Return the median of the repeats, in ms."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        read()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def main() -> int:
    """Print the medians; return 1 when reading is too slow."""
    slow = False
    print(f"{'nodes':>6} {'JSON, ms':>9} {'text, ms':>9}   median of {REPEATS}")
    for nodes in (10, 100, 500):
        in_json = json.dumps([{"Plan": tree(1, nodes)}])
        in_text = "\n".join(as_text(1, nodes))
        assert len(read_plan(in_json).nodes) == len(read_plan(in_text).nodes) == nodes
        json_ms = median_ms(lambda text=in_json: read_plan(text))  # type: ignore[misc]
        text_ms = median_ms(lambda text=in_text: read_plan(text))  # type: ignore[misc]
        slow = slow or (nodes == 100 and json_ms > LIMIT_MS)
        print(f"{nodes:>6} {json_ms:>9.2f} {text_ms:>9.2f}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
