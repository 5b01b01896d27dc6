"""What is no plan, or only a part of one, is said in a sentence with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from recorded_plans import LINES, PLAIN, WHAT_THEY_HOLD, WRAPPINGS, sample

from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plans


def test_a_missing_parent_is_said_with_the_line_below_it() -> None:
    at = next(place for place, line in enumerate(LINES) if "Gather" in line)
    broken = [line for place, line in enumerate(LINES) if place != at]
    number = next(
        place for place, line in enumerate(broken, 1) if "->  Partial HashAgg" in line
    )

    with pytest.raises(FluxlabError, match=rf"Line {number}: .*deeper than any node above"):
        read_plans("\n".join(broken))


def test_a_plan_without_its_root_is_said_at_its_second_branch() -> None:
    text = (
        "  ->  Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n"
        "  ->  Seq Scan on b  (cost=0.00..1.00 rows=1 width=4)\n"
    )
    with pytest.raises(FluxlabError, match=r"Line 2: .*under none"):
        read_plans(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no plan"),
        ("hello\nworld", "no plan"),
        ("select 1", "no plan"),
        ('[{"Plan": {"Node Type": "Sort", }}]', "Line 1: .*cannot be read as JSON"),
        ('[\n {"Plan":\n  {"Node Type"\n', "cannot be read as JSON"),
        ('[{"Plan": {"Plans": []}}]', "not a plan"),
        ('[{"Plan": {"Node Type": "Sort", "Plans": [1]}}]', "not a plan"),
        ('[{"Plan": {"Node Type": "Sort", "Actual Loops": 1e999}}]', "not a plan"),
        ("[" * 100_000, "JSON"),
        ('- Plan:\n    Node Type: "Sort\n', "YAML"),
        ("- Plan: \n    Node Type: &a [1]\n    Plans: [*a, *a]\n", "alias|YAML"),
        ("<explain>\n<Query>\n<Plan></Query></explain>", "Line 3: .*XML"),
        ("<explain/>", "no plan"),
        (
            "Limit  (cost=1.00..2.00 rows=1 width=4)\n  ->  (cost=1.00..2.00)",
            "Line 2: .*is no node",
        ),
    ],
)
def test_what_is_no_plan_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(FluxlabError, match=said):
        read_plans(text)


def test_entities_are_refused_before_anything_is_read() -> None:
    bomb = (
        '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
        "<explain><Query><Plan><Node-Type>&b;</Node-Type></Plan></Query></explain>"
    )
    with pytest.raises(FluxlabError, match=r"Line 2: .*document type"):
        read_plans(bomb)


POOL = [sample(name) for name in WHAT_THEY_HOLD] + [WRAPPINGS["a mail of 72"]]


HOW = ("delete", "double", "cut", "indent", "swap", "junk", "glue")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real plan with lines deleted, doubled, moved and cut short."""
    lines = draw(st.sampled_from(POOL)).splitlines()
    for _ in range(draw(st.integers(1, 6))):
        if not lines:
            break
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(HOW))
        if what == "delete":
            del lines[at : at + draw(st.integers(1, 4))]
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif what == "indent":
            lines[at] = " " * draw(st.integers(0, 12)) + lines[at].lstrip()
        elif what == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "junk":
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(st.text(max_size=8)) + lines[at][place:]
        else:
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
    return "\n".join(lines)


def plans_or_none(text: str) -> tuple[Plan, ...]:
    """The plans of a text; none where a sentence says why."""
    try:
        return read_plans(text)
    except FluxlabError:
        return ()


@given(mutated())
@hypothesis_settings(max_examples=600, deadline=None)
def test_whatever_was_mutated_is_a_plan_or_a_sentence(text: str) -> None:
    for plan in plans_or_none(text):
        assert plan.shape
        assert repr(plan)
        assert all(node.own_time_ms >= 0 for node in plan.nodes)


@given(st.text(alphabet=st.sampled_from('->()[]{}:"\n\t |+ab1.<&*') | st.characters()))
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_is_written_is_no_traceback(text: str) -> None:
    for one in (
        text,
        f"[{text}",
        f"- Plan:\n{text}",
        f"<explain>{text}</explain>",
        PLAIN + text,
    ):
        assert all(plan.shape for plan in plans_or_none(one))
