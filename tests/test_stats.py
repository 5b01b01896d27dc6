"""Samples, ratios and the words for them."""

from __future__ import annotations

import numpy as np
import pytest

from fluxlab.workload.stats import Sample, compare, show_speedup


def noisy(median_ms: float, seed: int, executions: int = 20) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        tuple(float(time) for time in median_ms * rng.lognormal(0, 0.05, executions))
    )


def test_a_clear_gain_is_faster_and_its_interval_holds_the_true_ratio() -> None:
    speedup = compare(noisy(10.0, 1), noisy(2.0, 2))

    assert speedup.outcome == "faster"
    assert speedup.low < 5.0 < speedup.high


def test_a_clear_loss_is_slower() -> None:
    assert compare(noisy(2.0, 1), noisy(10.0, 2)).outcome == "slower"


def test_two_samples_of_one_thing_are_the_same() -> None:
    assert compare(noisy(3.0, 1), noisy(3.0, 2)).outcome == "same"


def test_a_wide_spread_is_unclear_whatever_the_medians_say() -> None:
    before = Sample((1.0, 1.1, 9.0, 9.5, 10.0))
    after = Sample((0.9, 1.0, 1.2, 8.0, 9.0))

    assert compare(before, after).outcome == "unclear"


def test_two_executions_are_too_few_for_a_moderate_ratio_but_not_for_a_large_one() -> None:
    assert compare(Sample((20.0, 21.0)), Sample((10.0, 11.0))).outcome == "unclear"
    assert compare(Sample((2000.0,)), Sample((1.0, 1.1))).outcome == "faster"


def test_a_censored_before_makes_the_ratio_a_lower_bound() -> None:
    speedup = compare(Sample((), timeout_ms=10_000.0), Sample((10.0, 10.1, 10.2)))

    assert speedup.ratio == pytest.approx(10_000 / 10.1)
    assert speedup.is_bound
    assert str(speedup) == "over 990× faster"
    assert speedup.outcome == "faster"


def test_a_censored_after_makes_it_an_upper_bound() -> None:
    speedup = compare(Sample((10.0, 10.1, 10.2)), Sample((), timeout_ms=10_000.0))

    assert speedup.outcome == "slower"
    assert str(speedup) == "over 990× slower"


def test_two_censored_samples_say_nothing() -> None:
    both = Sample((), timeout_ms=10_000.0)

    assert compare(both, both).outcome == "unclear"


def test_a_censored_sample_is_shown_as_its_bound() -> None:
    assert str(Sample((), timeout_ms=30_000.0)) == "> 30 s"


def test_above_ten_only_the_order_of_magnitude_is_printed() -> None:
    assert show_speedup(1234.0) == "about 1,200× faster"
    assert show_speedup(1 / 33.3) == "about 33× slower"
