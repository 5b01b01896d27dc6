"""The labelled corpus of plans, and how well findings meet its labels.

`plans/corpus/labels.toml` says how it was labelled. A tool's findings on a plan become
classes of that file's vocabulary, and pairs of a plan and a class are counted.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan

CORPUS = Path(__file__).parent / "plans" / "corpus"
LABELS = CORPUS / "labels.toml"

#: What each rule says, in the classes of the labels. A rule that names the reason why a
#: scan throws nearly all away says also that it does. Rules that are not here need more
#: than the plan, or only say that something is right.
CLASSES: Mapping[str, tuple[str, ...]] = {
    "R01": ("selective_seq_scan",),
    "R03": ("column_in_expression", "selective_seq_scan"),
    "R04": ("pattern_without_start", "selective_seq_scan"),
    "R05": ("prefix_pattern", "selective_seq_scan"),
    "R06": ("search_inside_values", "selective_seq_scan"),
    "R07": ("index_filters_most",),
    "R08": ("blocks_beyond_rows",),
    "R09": ("costly_skip_scan",),
    "R10": ("long_in_list",),
    "R11": ("range_before_equality",),
    "R12": ("whole_table_by_index",),
    "R14": ("heap_fetches",),
    "R15": ("nearly_covering",),
    "R16": ("lossy_bitmap",),
    "R17": ("two_bitmaps",),
    "R18": ("or_across_columns", "selective_seq_scan"),
    "R19": ("avoidable_sort",),
    "R20": ("top_n_reads_all",),
    "R21": ("large_presorted_groups",),
    "R22": ("order_limit_trap",),
    "R23": ("sort_spill",),
    "R24": ("spill_hash",),
    "R25": ("spill_aggregate",),
    "R26": ("spill_other",),
    "R27": ("misestimate",),
    "R28": ("misestimate",),
    "R29": ("nested_loop_runaway",),
    "R30": ("nested_loop_runaway",),
    "R31": ("repeated_seq_scan",),
    "R32": ("memoize_misses",),
    "R33": ("join_filter_waste",),
    "R34": ("correlated_subplan",),
    "R35": ("sorting_merge_join",),
    "R36": ("large_offset",),
    "R37": ("count_all",),
    "R38": ("fan_out_distinct",),
    "R39": ("workers_missing",),
    "R40": ("workers_not_worth",),
    "R41": ("jit_share",),
    "R42": ("planning_dominates",),
    "R43": ("cold_read",),
    "R44": ("blocks_beyond_rows",),
    "R45": ("blocks_beyond_rows",),
    "R46": ("trigger_time",),
    "R47": ("much_wal",),
    "R49": ("serialization",),
    "R50": ("unpruned_partitions", "selective_seq_scan"),
    "R51": ("disabled_node",),
    "R54": ("column_in_expression", "selective_seq_scan"),
    "R55": ("selective_seq_scan",),
    "R57": ("unindexed_join",),
}
_ENDINGS = (".json", ".txt")
#: What a tool itself calls minor is below the tenth that the labels ask for.
MINOR = ("low", "note")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A plan of the corpus: its file, where it comes from, and what is wrong with it."""

    name: str
    path: Path
    server: str
    statement: str
    problems: Mapping[str, str]
    nodes: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_held_out(self) -> bool:
        """Whether no rule was improved on it; the first hexadecimal digit decides."""
        return int(hashlib.sha256(self.name.encode()).hexdigest()[0], 16) % 2 == 1

    @property
    def is_json(self) -> bool:
        """Whether the plan is in FORMAT JSON."""
        return self.path.suffix == ".json"


@dataclass(frozen=True, slots=True)
class Score:
    """Pairs of a plan and a class that were met, missed and named in vain."""

    met: int
    missed: tuple[tuple[str, str], ...]
    false: tuple[tuple[str, str], ...]

    @property
    def precision(self) -> float:
        """The share of what was named that is right; 1 where nothing was named."""
        named = self.met + len(self.false)
        return self.met / named if named else 1.0

    @property
    def recall(self) -> float:
        """The share of what is wrong that was named; 1 where nothing is wrong."""
        wrong = self.met + len(self.missed)
        return self.met / wrong if wrong else 1.0

    def __str__(self) -> str:
        wrong = self.met + len(self.missed)
        named = self.met + len(self.false)
        return (
            f"precision {self.precision:.3f} ({self.met} of {named}), "
            f"recall {self.recall:.3f} ({self.met} of {wrong})"
        )


def read_classes() -> Mapping[str, str]:
    """Return the classes of problems, each with what it means."""
    return dict(_read()["classes"])


def read_corpus() -> tuple[Labelled, ...]:
    """Return every plan that has a label, in the order of the labels."""
    plans = []
    for name, label in _read()["plans"].items():
        paths = [path for path in CORPUS.glob(f"{name}.*") if path.suffix in _ENDINGS]
        problems = {one["class"]: one["why"] for one in label["problems"]}
        nodes = {one["class"]: one["node"] for one in label["problems"] if "node" in one}
        path = paths[0] if len(paths) == 1 else CORPUS / f"{name}.missing"
        plans.append(
            Labelled(name, path, label["server"], label["statement"], problems, nodes)
        )
    return tuple(plans)


def files() -> set[str]:
    """Return the names of the plans that are kept."""
    return {path.stem for path in CORPUS.iterdir() if path.suffix in _ENDINGS}


def classes_of(
    plan: Plan, findings: Iterable[Finding], *, with_minor: bool = False
) -> set[str]:
    """Return the classes that findings name on a plan."""
    named: set[str] = set()
    for one in findings:
        if with_minor or one.weight not in MINOR:
            named |= set(_classes_of(plan, one))
    return named


def score(plans: Iterable[Labelled], named: Mapping[str, Collection[str]]) -> Score:
    """Count the pairs of plan and class that were named against those that are labelled."""
    met, missed, false = 0, [], []
    for plan in plans:
        said = set(named[plan.name])
        met += len(said & set(plan.problems))
        missed += [(plan.name, one) for one in sorted(set(plan.problems) - said)]
        false += [(plan.name, one) for one in sorted(said - set(plan.problems))]
    return Score(met, tuple(missed), tuple(false))


def halves(plans: Iterable[Labelled]) -> Mapping[str, tuple[Labelled, ...]]:
    """Return the corpus in its two halves, and as a whole."""
    everything = tuple(plans)
    return {
        "tuning": tuple(plan for plan in everything if not plan.is_held_out),
        "held out": tuple(plan for plan in everything if plan.is_held_out),
        "all": everything,
    }


def _classes_of(plan: Plan, one: Finding) -> Iterable[str]:
    named = CLASSES.get(one.rule, ())
    if one.rule == "R21" and one.evidence["disk_kb"]:
        return (*named, "sort_spill")  # the groups of an incremental sort, on disk
    if one.rule == "R50" and one.confidence == "likely":
        return (*named, "column_in_expression")  # it found the key inside an expression
    node = next((node for node in plan.nodes if node.number == one.node), None)
    if one.rule == "R54" and node is not None and node.kind != "Seq Scan":
        return ("column_in_expression", "index_filters_most")
    return named


def _read() -> dict[str, dict]:  # type: ignore[type-arg]
    return tomllib.loads(LABELS.read_text())
