"""The rules against a labelled corpus of real plans: precision and recall, both halves.

`plans/corpus/labels.toml` says how the plans were labelled, and what a class means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from corpus import (
    CLASSES,
    Labelled,
    Score,
    classes_of,
    files,
    halves,
    read_classes,
    read_corpus,
    score,
)
from corpus_producer import SCENES, read_scene

from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.plans.rules.table import RULES, find

LEAST = 0.9
#: Each rule reads a plan alone; these need to know what stands beside it.
KNOWING_MORE = {"R13", "R48", "R52", "R53"}
#: They say that something is right.
NEGATIVE = {"R02"}
#: Rules that look at one thing, and what the corpus must notice when they are gone.
FAMILIES = {
    "scans": {"R01", "R03", "R04", "R05", "R06", "R18", "R50", "R54", "R55"},
    "indexes": {
        "R07",
        "R08",
        "R09",
        "R10",
        "R11",
        "R14",
        "R15",
        "R16",
        "R17",
        "R22",
        "R44",
    },
    "estimates and joins": {"R27", "R28", "R29", "R30", "R31", "R32", "R33", "R34", "R57"},
    "order and memory": {"R19", "R20", "R21", "R23", "R24", "R25", "R26", "R35", "R36"},
    "the whole": {"R37", "R39", "R40", "R41", "R43", "R46", "R47", "R49", "R51"},
}

Looked = Mapping[str, tuple[Plan, tuple[Finding, ...]]]


@pytest.fixture(scope="module")
def corpus() -> tuple[Labelled, ...]:
    return read_corpus()


@pytest.fixture(scope="module")
def looked(corpus: tuple[Labelled, ...]) -> Looked:
    """Each plan with what the rules find in it, alone, as if it had been pasted."""
    plans = {one.name: read_plan(one.path.read_text()) for one in corpus}
    return {name: (plan, find(plan)) for name, plan in plans.items()}


def named_in(
    looked: Looked, without: frozenset[str] = frozenset(), *, with_minor: bool = False
) -> Mapping[str, set[str]]:
    return {
        name: classes_of(
            plan, (one for one in found if one.rule not in without), with_minor=with_minor
        )
        for name, (plan, found) in looked.items()
    }


def listed(result: Score) -> str:
    """Every miss and every false alarm, for whoever has to look at them."""
    misses = [f"  missed {one} on {name}" for name, one in result.missed]
    alarms = [f"  false alarm {one} on {name}" for name, one in result.false]
    return "\n".join([str(result), *misses, *alarms])


def test_precision_and_recall_are_nine_in_ten_on_plans_that_no_rule_was_made_for(
    corpus: tuple[Labelled, ...], looked: Looked, say: Callable[[str], None]
) -> None:
    named = named_in(looked)
    scores = {half: score(plans, named) for half, plans in halves(corpus).items()}

    for half, plans in halves(corpus).items():
        say(f"Plans of the corpus, {half} ({len(plans)}): {scores[half]}.")
    everything = score(corpus, named_in(looked, with_minor=True))
    say(f"The same with what weighs low: {everything}.")

    for half in ("held out", "all"):
        assert scores[half].precision >= LEAST, listed(scores[half])
        assert scores[half].recall >= LEAST, listed(scores[half])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_rules_that_is_lost_costs_recall(
    corpus: tuple[Labelled, ...], looked: Looked, family: str
) -> None:
    whole = score(corpus, named_in(looked))
    less = score(corpus, named_in(looked, frozenset(FAMILIES[family])))

    assert less.recall < LEAST or len(less.missed) >= len(whole.missed) + 10


def test_without_the_rules_on_scans_the_bound_is_missed(
    corpus: tuple[Labelled, ...], looked: Looked
) -> None:
    for plans in (corpus, halves(corpus)["held out"]):
        assert score(plans, named_in(looked, frozenset(FAMILIES["scans"]))).recall < LEAST


def test_a_rule_that_fires_everywhere_misses_the_bound(
    corpus: tuple[Labelled, ...], looked: Looked
) -> None:
    said = {name: named | {"sort_spill"} for name, named in named_in(looked).items()}

    assert score(corpus, said).precision < LEAST


def test_the_labels_of_another_plan_miss_the_bound(corpus: tuple[Labelled, ...]) -> None:
    others = (*corpus[1:], corpus[0])
    said = {one.name: set(two.problems) for one, two in zip(corpus, others, strict=True)}

    shifted = score(corpus, said)
    right = score(corpus, {one.name: set(one.problems) for one in corpus})

    assert shifted.precision < LEAST
    assert shifted.recall < LEAST
    assert (right.missed, right.false) == ((), ())


def test_every_plan_has_a_label_and_every_label_a_plan(
    corpus: tuple[Labelled, ...],
) -> None:
    assert {plan.name for plan in corpus} == files()
    assert all(plan.path.is_file() for plan in corpus)


def test_every_plan_of_a_scene_is_kept_with_the_statement_of_its_label(
    corpus: tuple[Labelled, ...],
) -> None:
    blocks = {
        f"{version}-{scene.stem}_{block.name}{block.ending}": block
        for scene in SCENES.glob("*.sql")
        for block in read_scene(scene)
        for version in block.versions
    }
    kept = {plan.path.name: plan for plan in corpus if "-lab_" not in plan.name}

    assert set(kept) == set(blocks)
    for name, plan in kept.items():
        assert plan.statement.split() == blocks[name].sql.split()


def test_every_label_uses_a_class_that_is_defined_and_a_node_that_is_there(
    corpus: tuple[Labelled, ...], looked: Looked
) -> None:
    classes = read_classes()

    used = {one for plan in corpus for one in plan.problems}
    assert used == set(classes)
    for plan in corpus:
        numbers = {node.number for node in looked[plan.name][0].nodes}
        assert set(plan.nodes.values()) <= numbers, plan.name
        assert all(plan.problems.values()), plan.name


def test_every_rule_that_reads_a_plan_alone_has_its_classes() -> None:
    ids = {rule.id for rule in RULES}

    assert set(CLASSES) == ids - KNOWING_MORE - NEGATIVE
    assert {one for named in CLASSES.values() for one in named} <= set(read_classes())


def test_the_corpus_is_what_it_is_said_to_be(corpus: tuple[Labelled, ...]) -> None:
    versions = {int(plan.server.split(".")[0]) for plan in corpus}
    clean = [plan for plan in corpus if not plan.problems]
    own = [plan for plan in clean if "-lab_" in plan.name]
    several = [plan for plan in corpus if len(plan.problems) > 1]

    assert versions >= {13, 14, 15, 16, 17, 18}
    assert len(corpus) >= 100
    assert len(clean) >= 60
    assert len(own) >= 30
    assert len(several) >= 20
    assert sum(plan.is_json for plan in corpus) > len(corpus) / 2
    assert sum(not plan.is_json for plan in corpus) >= 20
    for plan in corpus:
        assert plan.name.startswith(f"{plan.server.split('.')[0]}-")
