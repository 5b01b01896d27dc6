"""The word for a pair: which witness speaks, and when none does."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from fluxlab.workload.budget import BUDGETS
from fluxlab.workload.change import Change
from fluxlab.workload.compare import (
    Comparison,
    compare_control,
    compare_runs,
    unsettled,
)
from fluxlab.workload.noise import Floors, NoiseFloor, Stratum
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.store import Measurement, Run, State

BEFORE = State("before", "data", "few", "server")
AFTER = State("after", "data", "many", "server")


def sample(level_ms: float, spread: float = 0.01, rounds: int = 8, seed: int = 0) -> Sample:
    noise = np.random.default_rng(seed).normal(0, spread, rounds)
    return Sample.of(*[float(level_ms * np.exp(one)) for one in noise])


def with_cpu(level_ms: float, cpu_ms: float, spread: float, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        tuple(
            Block((float(level_ms * np.exp(rng.normal(0, spread))),), cpu_ms + number / 1e4)
            for number in range(8)
        )
    )


def one(
    times: Sample,
    *,
    blocks: int = 10,
    node: str = "Seq Scan",
    query: str = "q",
    of_class: str = "hot",
) -> Measurement:
    tree = {"Node Type": node, "Actual Loops": 1, "Shared Hit Blocks": blocks}
    plan = json.dumps([{"Plan": tree}])
    return Measurement(query, of_class, query, of_class, "", times, plan)


def compared(
    before: Sequence[Measurement], after: Sequence[Measurement], floor: float = 0.0
) -> Comparison:
    strata = (Stratum(float("inf"), 100, floor, 1.2),)
    floors = Floors(NoiseFloor(strata), NoiseFloor(strata))
    return compare_runs(Run(BEFORE, tuple(before)), Run(AFTER, tuple(after)), floors)


def change(before: Measurement, after: Measurement, floor: float = 0.0) -> Change:
    (found,) = compared([before], [after], floor)
    return found


def test_the_clock_decides_where_it_can() -> None:
    faster = change(one(sample(3, seed=1)), one(sample(2, seed=2), node="Index Scan"))
    slower = change(one(sample(2, seed=1)), one(sample(3, seed=2), node="Index Scan"))
    same = change(one(sample(2, seed=1)), one(sample(2, seed=2), node="Index Scan"))

    assert (faster.outcome, faster.decided_by) == ("faster", "clock")
    assert (slower.outcome, slower.decided_by) == ("slower", "clock")
    assert (same.outcome, same.decided_by) == ("same", "clock")


def test_a_difference_below_the_margin_is_no_difference() -> None:
    found = change(one(sample(1.05, seed=1)), one(sample(1, seed=2), node="Index Scan"))

    assert found.raw.low > 1
    assert found.outcome == "same"


def test_what_the_machine_cannot_see_is_not_called() -> None:
    before, after = one(sample(1.3, seed=1)), one(sample(1, seed=2), node="Index Scan")

    assert change(before, after).outcome == "faster"
    assert change(before, after, floor=0.3).outcome == "unclear"


def test_the_cpu_time_decides_where_the_clock_is_too_noisy() -> None:
    before = with_cpu(5.0, 2.0, 0.5, seed=1)
    after = with_cpu(4.0, 1.0, 0.5, seed=2)

    found = change(one(before), one(after, node="Index Scan"))

    assert not found.speedup.is_beyond()
    assert (found.outcome, found.decided_by) == ("faster", "cpu")
    assert "by CPU time" in found.sentence


def test_two_clocks_that_contradict_each_other_say_nothing() -> None:
    before = with_cpu(5.0, 1.0, 0.01, seed=1)
    after = with_cpu(2.0, 2.0, 0.01, seed=2)

    assert change(one(before), one(after, node="Index Scan")).outcome == "unclear"


def test_blocks_decide_where_the_clocks_cannot_and_say_so() -> None:
    noisy = sample(1.0, 0.5, seed=1), sample(0.8, 0.5, seed=2)

    fewer = change(one(noisy[0], blocks=400), one(noisy[1], blocks=9, node="Index Scan"))
    more = change(one(noisy[1], blocks=9), one(noisy[0], blocks=400, node="Index Scan"))
    little = change(one(noisy[0], blocks=40), one(noisy[1], blocks=9, node="Index Scan"))
    alike = change(one(noisy[0], blocks=400), one(noisy[1], blocks=300, node="Index Scan"))

    assert (fewer.outcome, fewer.decided_by) == ("faster", "blocks")
    assert fewer.sentence == "faster by blocks (400 → 9)"
    assert (more.outcome, more.decided_by) == ("slower", "blocks")
    assert little.outcome == alike.outcome == "unclear"


def test_blocks_do_not_overrule_a_clock_that_says_the_opposite() -> None:
    # Clearly slower, though by less than the margin allows to call it.
    before, after = sample(1.0, 0.04, seed=1), sample(1.12, 0.04, seed=2)

    found = change(one(before, blocks=400), one(after, blocks=9, node="Index Scan"))

    assert found.speedup.high < 1
    assert found.outcome == "unclear"


def test_blocks_call_nothing_the_same_that_the_clock_sees_apart() -> None:
    # Clearly slower, and about as much as the margin: the plan took longer to make.
    before, after = sample(1.0, 0.04, seed=1), sample(1.13, 0.04, seed=2)
    closer = sample(1.06, 0.04, seed=2)

    found = change(one(before, blocks=4), one(after, blocks=4))
    within = change(one(before, blocks=4), one(closer, blocks=4))

    assert found.speedup.high < 1
    assert found.speedup.factor > 1.1
    assert (found.by_clock, found.outcome) == ("unclear", "unclear")
    assert within.outcome == "same"


def test_large_copies_that_do_the_same_work_are_the_same_whatever_the_clock_says() -> None:
    slow, fast = sample(32, seed=1), sample(20, seed=2)

    copies = change(one(slow, blocks=7160), one(fast, blocks=7160))
    nearly = change(one(slow, blocks=7160), one(fast, blocks=7100))
    less = change(one(slow, blocks=7160), one(fast, blocks=3000))
    other = change(one(slow, blocks=7160), one(fast, blocks=7160, node="Index Scan"))

    assert copies.by_clock == "faster"
    assert (copies.outcome, copies.decided_by) == ("same", "blocks")
    assert nearly.outcome == "same"
    assert less.outcome == other.outcome == "faster"


def test_small_plans_may_differ_by_the_clock_alone() -> None:
    # More indexes take longer to plan with: the plan is the same, the latency is not.
    found = change(one(sample(0.5, seed=1), blocks=4), one(sample(0.9, seed=2), blocks=4))

    assert (found.outcome, found.decided_by) == ("slower", "clock")


def test_the_plan_of_a_write_leaves_out_work_and_decides_nothing() -> None:
    noisy = sample(1.0, 0.6, seed=1), sample(0.9, 0.6, seed=2)
    clear = sample(900, seed=1), sample(1, seed=2)

    unknown = change(*(one(times, blocks=20, node="ModifyTable") for times in noisy))
    deleted = change(*(one(times, blocks=200, node="ModifyTable") for times in clear))

    assert unknown.outcome == "unclear"
    assert deleted.outcome == "faster"


def test_a_cut_off_side_is_a_bound_in_the_word_and_in_its_sentence() -> None:
    found = change(one(Sample.cut_off(10_000.0)), one(sample(5), node="Index Scan"))

    assert found.outcome == "faster"
    assert found.sentence == "over 2,000× faster"


def test_a_look_that_would_pass_alone_does_not_among_hundreds_without_effect() -> None:
    rng = np.random.default_rng(3)
    weak = one(sample(1.25, 0.09, seed=1), query="weak")
    weak_after = one(sample(1.0, 0.09, seed=2), query="weak", node="Index Scan")
    noise = [
        one(sample(1.0, 0.05, seed=int(seed)), query=f"q{seed}")
        for seed in rng.choice(10_000, 400, replace=False)
    ]
    after = [
        one(sample(1.0, 0.05, seed=number), query=was.query, node="Index Scan")
        for number, was in enumerate(noise)
    ]

    assert compared([weak], [weak_after]).find("weak", "hot").outcome == "faster"
    crowd = compared([weak, *noise], [weak_after, *after])
    assert crowd.find("weak", "hot").outcome == "unclear"


def test_the_largest_change_of_a_query_is_a_clear_one() -> None:
    before = [
        one(sample(9, seed=1), query="a"),
        one(sample(6, 1.5, seed=2), query="a", of_class="rare"),
        one(sample(1, seed=3), query="b"),
    ]
    after = [
        one(sample(3, seed=4), query="a", node="X"),
        one(sample(5, 1.5, seed=5), query="a", of_class="rare", node="X"),
        one(sample(5, seed=6), query="b", node="X"),
    ]

    comparison = compared(before, after)

    assert [(found.query, found.of_class) for found in comparison.largest] == [
        ("b", "hot"),
        ("a", "hot"),
    ]
    assert comparison.by_query == {"a": {"faster", "unclear"}, "b": {"slower"}}


def test_time_goes_to_what_has_no_word_then_to_what_the_blocks_decided() -> None:
    noisy = [sample(1.0, 0.6, seed=1), sample(0.9, 0.6, seed=2)]
    slow = [sample(50.0, 0.6, seed=1), sample(45.0, 0.6, seed=2)]
    clear = [sample(9.0, seed=1), sample(1.0, seed=2)]
    full = [sample(1.0, 0.9, rounds=30, seed=1), sample(0.9, 0.9, rounds=30, seed=2)]
    pairs = {
        "blocks": (one(noisy[0], query="blocks"), one(noisy[1], query="blocks")),
        "dear": (one(slow[0], query="dear"), one(slow[1], query="dear", node="X")),
        "cheap": (one(noisy[0], query="cheap"), one(noisy[1], query="cheap", node="X")),
        "clear": (one(clear[0], query="clear"), one(clear[1], query="clear", node="X")),
        "full": (one(full[0], query="full"), one(full[1], query="full", node="X")),
    }
    comparison = compared(*zip(*pairs.values(), strict=True))

    order = [found.query for found in unsettled(comparison, BUDGETS["quick"])]

    assert order == ["cheap", "dear", "blocks"]
    # A larger budget has time for what was taken once.
    once = [sample(3_000.0, rounds=1), sample(5.0, rounds=1)]
    slow = one(once[0], blocks=400, query="once"), one(once[1], query="once", node="X")
    larger = unsettled(
        compared(*zip(*pairs.values(), slow, strict=True)), BUDGETS["standard"]
    )
    assert [found.query for found in larger][:3] == ["once", "cheap", "full"]
    assert comparison.find("full").outcome == "unclear"


def control_runs(bias: float, count: int = 200) -> tuple[Run, Run]:
    """Return A/A runs of `count` Queries whose copies differ by a hidden bias."""
    rng = np.random.default_rng(8)
    before, after = [], []
    for number in range(count):
        level = float(np.exp(rng.normal(0, bias)))
        name = f"q{number}"
        before.append(one(sample(5, 0.02, seed=number), query=name))
        after.append(one(sample(5 * level, 0.02, seed=number + 5_000), query=name))
    return Run(BEFORE, tuple(before)), Run(AFTER, tuple(after))


@pytest.mark.parametrize("bias", [0.0, 0.05, 0.3])
def test_the_floor_finds_a_bias_that_rounds_hide_and_the_intervals_are_honest_again(
    bias: float,
) -> None:
    control = compare_control(*control_runs(bias))

    stratum = control.floors.clock.strata[1]
    assert stratum.systematic == pytest.approx(bias, abs=max(0.02, bias / 3))
    held = np.mean([one.speedup.low <= 1 <= one.speedup.high for one in control])
    assert 0.90 <= held <= 0.99
    # Judged by the floor of the other half, hardly any pair is called.
    called = [one for one in control if one.by_clock in ("faster", "slower")]
    assert len(called) <= 0.05 * len(control)


def test_without_the_floor_the_same_bias_is_called_a_difference() -> None:
    called = [
        one
        for one in compare_runs(*control_runs(0.3))
        if one.by_clock in ("faster", "slower")
    ]

    assert len(called) > 100


def test_a_machine_that_sees_nothing_says_so() -> None:
    assert compare_control(*control_runs(0.05)).floors.clock.is_blind is False
    assert compare_control(*control_runs(1.5)).floors.clock.is_blind
    assert compare_control(*control_runs(0.05, count=5)).floors.clock.is_blind
