"""Ratios, intervals and words, checked against simulated data with a known truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxlab.workload.sample import Block, Sample, show_ms
from fluxlab.workload.stats import (
    MARGIN,
    Speedup,
    compare,
    compare_cpu,
    discoveries,
    estimate,
    show_speedup,
)

SIMULATED_PAIRS = 2_000


def quiet(rng: np.random.Generator, rounds: int) -> np.ndarray:
    return rng.normal(0, 0.1, rounds)


def heavy(rng: np.random.Generator, rounds: int) -> np.ndarray:
    return 0.1 * rng.standard_t(3, rounds)


def bursts(rng: np.random.Generator, rounds: int) -> np.ndarray:
    """Both sides of a round suffer now and then from something else on the machine."""

    def side() -> np.ndarray:
        stalls = np.where(rng.random(rounds) < 0.1, rng.exponential(0.5, rounds), 0)
        return rng.normal(0, 0.07, rounds) + stalls

    return side() - side()


@pytest.mark.parametrize(
    ("noise", "rounds"),
    [(quiet, 4), (quiet, 6), (quiet, 16), (heavy, 4), (heavy, 8), (bursts, 5), (bursts, 8)],
)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(
    noise: Callable[[np.random.Generator, int], np.ndarray], rounds: int
) -> None:
    rng = np.random.default_rng(2026)
    truth = math.log(1.5)

    found = [estimate(truth + noise(rng, rounds)) for _ in range(SIMULATED_PAIRS)]

    coverage = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.93 <= coverage <= 0.97


def test_the_plain_percentile_bootstrap_would_hold_it_too_rarely() -> None:
    # The reason for the expansion: the same data, without it.
    rng = np.random.default_rng(2026)
    held = 0
    for _ in range(500):
        values = quiet(rng, 6)
        means = values[rng.integers(0, 6, (1_000, 6))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        held += low <= 0 <= high

    assert held / 500 < 0.92


def test_of_all_that_is_called_at_most_one_in_twenty_is_false() -> None:
    rng = np.random.default_rng(11)
    false, called = 0, 0
    for _ in range(30):
        # Of 100 looks 30 have a real effect of a third, the others none or a small one.
        truths = [math.log(1.33)] * 30 + [0.0] * 50 + [math.log(MARGIN)] * 20
        looks = [_speedup(truth + quiet(rng, 8)) for truth in truths]
        for truth, is_called in zip(
            truths, discoveries([one.p_value() for one in looks]), strict=True
        ):
            called += is_called
            false += is_called and truth <= math.log(MARGIN)

    # Of the 900 real ones it must find a good part, or it holds the rate by silence.
    assert called > 300
    assert false / called <= 0.05


def test_looking_again_after_every_visit_does_not_break_the_rate() -> None:
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(200):
        values = quiet(rng, 8)
        # Rounds are added until something can be said, as a refining run does it.
        while len(values) < 40:
            look = _speedup(values)
            if look.p_value() <= 0.05 or look.is_within():
                break
            values = np.append(values, quiet(rng, 4))
        false += _speedup(values).p_value() <= 0.05

    assert false / 200 <= 0.05


def _speedup(log_ratios: np.ndarray) -> Speedup:
    before = Sample.of(*np.exp(log_ratios))
    return compare(before, Sample.of(*[1.0] * len(log_ratios)))


def test_the_ratio_is_that_of_rounds_and_not_of_all_executions() -> None:
    # The machine slows down fourfold meanwhile; every round says two to one.
    before = Sample.of(2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    after = Sample.of(1.0, 1.5, 2.0, 2.5, 3.0, 4.0)

    speedup = compare(before, after)

    assert speedup.ratio == pytest.approx(2.0)
    assert (speedup.low, speedup.high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_one_stall_among_many_rounds_moves_nothing() -> None:
    calm = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99]
    before = Sample.of(*calm[:-1], 50.0)

    assert compare(before, Sample.of(*calm)).ratio == pytest.approx(1.0, abs=0.05)


def test_a_stall_within_a_block_is_no_part_of_its_level() -> None:
    assert Sample((Block((1.0, 1.0, 90.0)),)).levels_ms == (1.0,)


def test_two_rounds_are_too_few_for_a_small_ratio_but_not_for_a_large_one() -> None:
    small = compare(Sample.of(20.0, 23.0), Sample.of(10.0, 9.0))
    large = compare(Sample.of(2000.0, 2100.0), Sample.of(1.0, 1.1))

    assert small.low < 1 < small.high
    assert large.is_beyond()


def test_one_round_says_nothing() -> None:
    speedup = compare(Sample.of(20.0), Sample.of(1.0))

    assert (speedup.low, speedup.high, speedup.p_value()) == (0.0, math.inf, 1.0)


def test_a_censored_before_makes_the_ratio_a_lower_bound() -> None:
    speedup = compare(Sample.cut_off(10_000.0), Sample.of(10.0, 10.1, 10.2))

    assert speedup.ratio == pytest.approx(10_000 / 10.1, rel=0.01)
    assert speedup.is_bound
    assert 900 < speedup.low < speedup.ratio
    assert speedup.high == math.inf
    assert str(speedup) == "over 990× faster"
    assert speedup.p_value() < 0.01


def test_a_censored_after_makes_it_an_upper_bound() -> None:
    speedup = compare(Sample.of(10.0, 10.1, 10.2), Sample.cut_off(10_000.0))

    assert speedup.low == 0.0
    assert speedup.is_beyond()
    assert str(speedup) == "over 990× slower"


def test_two_censored_samples_say_nothing() -> None:
    speedup = compare(Sample.cut_off(10_000.0), Sample.cut_off(10_000.0))

    assert (speedup.low, speedup.high, speedup.p_value()) == (0.0, math.inf, 1.0)


def test_one_cut_off_execution_among_many_is_a_bound_and_no_latency() -> None:
    sample = Sample.of(90.0, 95.0, 97.0, 100.0, timeout_ms=100.0)

    assert not sample.is_censored
    assert sample.median_ms == 96.0
    assert compare(sample, Sample.of(1.0, 1.0, 1.0, 1.0)).high == math.inf


def test_a_sample_whose_median_was_cut_off_is_shown_as_its_bound() -> None:
    assert str(Sample.of(1.0, 30_000.0, 30_000.5, timeout_ms=30_000.0)) == "> 30 s"


def test_the_cpu_clock_has_its_own_ratio_and_none_where_it_was_not_read() -> None:
    before = Sample(tuple(Block((5.0,), cpu) for cpu in (3.9, 4.0, 4.1)))
    after = Sample(tuple(Block((5.0,), cpu) for cpu in (1.9, 2.0, 2.1)))

    speedup = compare_cpu(before, after)

    assert speedup
    assert speedup.ratio == pytest.approx(2.0, rel=0.02)
    assert compare_cpu(before, Sample.of(1.0, 1.0, 1.0)) is None
    assert compare_cpu(Sample.cut_off(100.0), after) is None


def test_a_systematic_error_widens_an_interval_and_shows_in_its_p_value() -> None:
    narrow = _speedup(np.full(8, math.log(1.3)) + np.linspace(-0.01, 0.01, 8))

    wide = narrow.widened(0.2)

    assert narrow.is_beyond()
    assert wide.low < 1.0 < narrow.low < wide.ratio == narrow.ratio < wide.high
    assert narrow.p_value() < 0.001 < 0.2 < wide.p_value()
    assert narrow.widened(0.0) == narrow


@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=9),
    st.floats(0.01, 100),
    st.floats(0, 0.5),
)
def test_the_interval_holds_the_ratio_and_turns_with_the_sides(
    times: list[float], after_ms: float, systematic: float
) -> None:
    one, other = Sample.of(*times), Sample.of(*[after_ms] * len(times))

    there = compare(one, other).widened(systematic)
    back = compare(other, one).widened(systematic)

    assert there.low <= there.ratio * (1 + 1e-9)
    assert there.ratio <= there.high * (1 + 1e-9)
    assert there.ratio == pytest.approx(1 / back.ratio, rel=1e-6)


def test_above_ten_only_the_order_of_magnitude_is_printed() -> None:
    assert show_speedup(1234.0) == "about 1,200× faster"
    assert show_speedup(1 / 33.3) == "about 33× slower"


def test_no_looks_are_no_discoveries() -> None:
    assert discoveries([]) == []
    assert discoveries([0.04, 0.9]) == [False, False]
    assert discoveries([0.001, 0.9]) == [True, False]


def test_times_are_written_with_their_unit() -> None:
    assert [show_ms(time) for time in (0.056, 9.96, 999.0, 61_000.0)] == [
        "0.056 ms",
        "10 ms",
        "999 ms",
        "61 s",
    ]
