"""Our rules against two linters of plans, dataxplan and pgplan, on the labelled corpus.

    PYTHONPATH=tests python benchmarks/bench_linters.py [--peers DIRECTORY]

Both are installed into a virtual environment that is thrown away after, and read every
plan of tests/plans/corpus that is in FORMAT JSON; neither reads FORMAT TEXT. Prints
precision and recall on all classes of problems, and on those a tool has a rule for; then
where each is right and we are wrong. Exits with 1 where one of them beats us.

They are given the benefit of each doubt: a finding that could mean several classes means
those that are labelled on the plan, and of their severities we count those that suit them
best. Both of their sources were read for the mapping.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import CLASSES, Labelled, Score, classes_of, halves, read_corpus, score

from fluxlab.plans.findings import Finding
from fluxlab.plans.reading import read_plan
from fluxlab.plans.rules.table import find

PEERS = ("dataxplan==0.1.3", "pgplan==1.2.0")
#: Every kind of spill: both tools also name what is above the node that wrote.
_SPILLS = ("sort_spill", "spill_hash", "spill_aggregate", "spill_other")
#: The finding's id, and the kind of node where it matters; what it can mean. The first
#: class is the one that a finding in vain counts against.
DATAXPLAN: Mapping[str, tuple[str, ...]] = {
    # Estimated against actual rows, of any node and by any path.
    "estimate_off": ("misestimate",),
    # A scan that takes a third of the time: "an index supporting the filter or join".
    "seq_scan_hot": (
        "selective_seq_scan",
        *("unindexed_join", "repeated_seq_scan", "unpruned_partitions", "count_all"),
    ),
    "disk_spill": _SPILLS,
    # Ten rows removed for each kept. "Not selective via the current access path".
    "filter_discard/Seq Scan": ("selective_seq_scan", "unpruned_partitions"),
    "filter_discard": ("index_filters_most", "order_limit_trap"),
    # A thousand rounds and 50 ms; it does not ask what the inner side does.
    "nested_loop_blowup": ("nested_loop_runaway", "repeated_seq_scan", "memoize_misses"),
    "index_only_heap_fetches": ("heap_fetches",),
    # Any row that is rechecked, by design or not.
    "lossy_bitmap": ("lossy_bitmap",),
    "jit_overhead": ("jit_share",),
}
#: pgplan names no rule: what its sentence contains, and what it can mean.
PGPLAN: Mapping[str, tuple[str, ...]] = {
    # At least 10,000 rows, and a tenth of them on the other side, which it sees only
    # without a Hash or Gather between.
    "to join against": ("unindexed_join", "selective_seq_scan", "repeated_seq_scan"),
    "Seq Scan on": ("selective_seq_scan", "unpruned_partitions"),
    "filters out": ("index_filters_most", "order_limit_trap"),
    # Half of the blocks lossy, in BRIN as well.
    "lossy pages": ("lossy_bitmap",),
    "Nested Loop executes": ("nested_loop_runaway", "repeated_seq_scan", "memoize_misses"),
    "Correlated SubPlan": ("correlated_subplan",),
    "Sort spilled": ("sort_spill",),
    "Hash used": ("spill_hash",),
    "Temp I/O": _SPILLS,
    "planned parallel workers": ("workers_missing",),
    "exceeds parallel benefit": ("workers_not_worth",),
    "Join filter removed": ("join_filter_waste",),
    # Read again a hundred times: pairs are made, or a loop should be a hash join.
    "Materialize scanned": ("join_filter_waste", "nested_loop_runaway"),
    # 10,000 rows by an index, half of the blocks from outside the buffers.
    "returned": ("whole_table_by_index", "cold_read"),
    # 10,000 rows of 2,000 bytes: "select only needed columns".
    "bytes wide": ("serialization",),
    # Only behind a CTE.
    "downstream of CTE": ("misestimate",),
}
_READ_BY_DATAXPLAN = """
import dataxplan, json, pathlib, sys
found = {}
for path in map(pathlib.Path, sys.argv[1:]):
    report = dataxplan.analyze(path.read_text())
    found[path.stem] = [
        (one.id + "/" + (one.node or "").split(" on ")[0], one.severity)
        for one in report.findings if one.id != "clean"
    ]
print(json.dumps(found))
"""
#: The severities of each tool, the lowest first; it is counted from where suits it.
_SEVERITIES = {"dataxplan": ("low", "medium", "high"), "pgplan": ("0", "1", "2")}


@dataclass(frozen=True, slots=True)
class Tool:
    """A linter: its findings by plan, as (what it can mean, its severity)."""

    name: str
    found: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]
    classes: frozenset[str]

    def named(
        self, plans: Iterable[Labelled], severities: Collection[str]
    ) -> Mapping[str, set[str]]:
        """Return what it names on each plan, each finding taken at its best."""
        named: dict[str, set[str]] = {}
        for plan in plans:
            named[plan.name] = set()
            for means, severity in self.found[plan.name]:
                if severity in severities:
                    right = set(means) & set(plan.problems)
                    named[plan.name] |= right or {means[0]}
        return named

    def best(self, plans: Sequence[Labelled]) -> Mapping[str, set[str]]:
        """Return what it names from the severity on that suits it best."""
        levels = _SEVERITIES[self.name]
        ways = [self.named(plans, levels[place:]) for place in range(len(levels))]
        return max(ways, key=lambda named: _balance(score(plans, named)))


def _balance(one: Score) -> float:
    """The harmonic mean of precision and recall."""
    both = one.precision + one.recall
    return 2 * one.precision * one.recall / both if both else 0.0


def install(directory: Path) -> Path:
    """Make a virtual environment with both linters; return its programs."""
    venv.create(directory, with_pip=True)
    programs = directory / ("Scripts" if sys.platform == "win32" else "bin")
    command = [str(programs / "python"), "-m", "pip", "install", "--quiet", *PEERS]
    subprocess.run(command, check=True, capture_output=True)
    return programs


def run_dataxplan(programs: Path, plans: Sequence[Labelled]) -> Tool:
    """Analyse every plan by its documented Python function."""
    command = [str(programs / "python"), "-c", _READ_BY_DATAXPLAN]
    paths = [str(plan.path) for plan in plans]
    answer = subprocess.run([*command, *paths], check=True, capture_output=True, text=True)
    found = {
        name: [(_means(str(one)), str(severity)) for one, severity in findings]
        for name, findings in json.loads(answer.stdout).items()
    }
    return Tool("dataxplan", found, frozenset(sum(DATAXPLAN.values(), ())))


def _means(finding: str) -> tuple[str, ...]:
    return DATAXPLAN.get(finding) or DATAXPLAN[finding.partition("/")[0]]


def run_pgplan(programs: Path, plans: Sequence[Labelled]) -> Tool:
    """Analyse every plan by its command line."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for plan in plans:
        command = [str(programs / "pgplan"), "analyze", str(plan.path), "--format", "json"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found[plan.name] = [
            (_says(str(one["Description"])), str(one["Severity"]))
            for one in json.loads(answer.stdout)["Findings"] or ()
        ]
    return Tool("pgplan", found, frozenset(sum(PGPLAN.values(), ())))


def _says(sentence: str) -> tuple[str, ...]:
    return next(means for part, means in PGPLAN.items() if part in sentence)


def ours(plans: Iterable[Labelled]) -> Mapping[str, set[str]]:
    """Return what our rules name, on each plan alone."""
    read = {plan.name: read_plan(plan.path.read_text()) for plan in plans}
    found: dict[str, tuple[Finding, ...]] = {name: find(one) for name, one in read.items()}
    return {name: classes_of(read[name], findings) for name, findings in found.items()}


def within(
    plans: Sequence[Labelled], named: Mapping[str, set[str]], classes: Iterable[str]
) -> Score:
    """Score on some classes only, as if there were no others."""
    kept = set(classes)
    less = [
        Labelled(
            *(plan.name, plan.path, plan.server, plan.statement),
            {one: why for one, why in plan.problems.items() if one in kept},
        )
        for plan in plans
    ]
    return score(less, {name: one & kept for name, one in named.items()})


def row(name: str, one: Score) -> str:
    """Return a line of the table."""
    counts = f"{one.met:>5} {len(one.missed):>7} {len(one.false):>7}"
    return f"{name:<34} {one.precision:>9.3f} {one.recall:>7.3f} {counts}"


def wins(
    plans: Sequence[Labelled], tool: Tool, theirs: Mapping[str, set[str]], own: Score
) -> list[str]:
    """Return a line for each class and plan on which a tool is right and we are not."""
    lines = [f"  {name}: names {c}" for name, c in own.missed if c in theirs[name]]
    silent = [(name, c) for name, c in own.false if c not in theirs[name]]
    lines += [
        f"  {name}: is silent on {one}" for name, one in silent if one in tool.classes
    ]
    return lines or ["  none"]


def main() -> int:
    """Print the table, and where the others win; 1 where one of them beats us."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="an environment that has both already")
    chosen = parser.parse_args()
    plans = [plan for plan in read_corpus() if plan.is_json]
    with tempfile.TemporaryDirectory() as directory:
        programs = chosen.peers / "bin" if chosen.peers else install(Path(directory))
        tools = (run_dataxplan(programs, plans), run_pgplan(programs, plans))
    named, is_beaten = ours(plans), False
    own = score(plans, named)
    all_classes = {one for means in CLASSES.values() for one in means}
    labels = sum(len(plan.problems) for plan in plans)
    print(f"{len(plans)} plans in FORMAT JSON, {labels} labels")
    print(f"{'':<34} precision  recall   met  missed   false")
    print(row(f"fluxlab, all {len(all_classes)} classes", own))
    held_out = halves(plans)["held out"]
    print(row("fluxlab, held-out half", score(held_out, named)))
    for tool in tools:
        theirs, classes = tool.best(plans), len(tool.classes)
        whole = score(plans, theirs)
        print(row(f"{tool.name}, all classes", whole))
        print(row(f"{tool.name}, held-out half", score(held_out, theirs)))
        part = within(plans, theirs, tool.classes)
        print(row(f"{tool.name}, its {classes} classes", part))
        same = within(plans, named, tool.classes)
        print(row(f"fluxlab, the {classes} classes of {tool.name}", same))
        for their, our in ((whole, own), (part, same)):
            beats = their.precision >= our.precision or their.recall >= our.recall
            is_beaten = is_beaten or beats
    for tool in tools:
        print(f"\nWhere {tool.name} is right and fluxlab is not:")
        print("\n".join(wins(plans, tool, tool.best(plans), own)))
    return 1 if is_beaten else 0


if __name__ == "__main__":
    sys.exit(main())
