"""Where a latency reaches the report's figure, checked on curves of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxlab.workload.sample import Sample
from fluxlab.workload.scaling import REACH, Curve, Point

USERS = (100, 316, 1_000, 3_162, 10_000)
ROWS_PER_USER = 380


def sample(median_ms: float, timeout_ms: float = 10_000.0) -> Sample:
    """Seven executions with quartiles 2.5 % from the median, or a cut-off."""
    if median_ms >= timeout_ms:
        return Sample.cut_off(timeout_ms)
    spread = (0.93, 0.97, 0.98, 1.0, 1.02, 1.03, 1.07)
    return Sample.of(*(median_ms * factor for factor in spread), timeout_ms=timeout_ms)


def curve(*medians_ms: float, timeout_ms: float = 10_000.0) -> Curve:
    return Curve(
        tuple(
            Point(users, users * ROWS_PER_USER, sample(median_ms, timeout_ms))
            for users, median_ms in zip(USERS, medians_ms, strict=False)
        )
    )


def power(first_ms: float, exponent: float) -> Curve:
    return curve(*(first_ms * (users / USERS[0]) ** exponent for users in USERS))


def test_a_linear_query_reaches_the_figure_where_the_law_says() -> None:
    found = power(1.0, 1.0).crossing(25.0)

    assert found.kind == "measured"
    assert found.rows == pytest.approx(2_500 * ROWS_PER_USER, rel=0.001)
    assert found.users == pytest.approx(2_500, rel=0.001)
    assert found.low < found.rows < found.high


def test_beyond_the_largest_size_the_line_goes_on_for_ten_times_and_no_further() -> None:
    linear = power(1.0, 1.0)

    near, far = linear.crossing(500.0), linear.crossing(2_000.0)

    assert near.kind == "extrapolated"
    assert near.users == pytest.approx(50_000, rel=0.001)
    assert far.kind == "beyond"
    assert far.rows == USERS[-1] * ROWS_PER_USER * REACH
    assert far.high == math.inf


def test_the_line_goes_on_as_the_last_three_sizes_do_not_the_last_two() -> None:
    bent = curve(1.0, 10.0, 100.0, 1_000.0, 1_000.0)
    per_step = math.log(USERS[4] / USERS[2]) / 2

    assert bent.slope == pytest.approx(math.log(10) / 2 / per_step, rel=0.001)
    assert bent.crossing(1_500.0).kind == "extrapolated"


def test_a_flat_query_never_reaches_the_figure() -> None:
    found = curve(0.26, 0.25, 0.27, 0.26, 0.27).crossing(15.0)

    assert found.kind == "never"
    assert (found.low, found.high) == (math.inf, math.inf)


def test_a_query_that_grows_slowly_is_beyond_and_not_never() -> None:
    assert power(0.5, 0.4).crossing(500.0).kind == "beyond"


def test_a_query_that_is_slow_at_the_smallest_size_is_below() -> None:
    found = power(300.0, 1.0).crossing(200.0)

    assert found.kind == "below"
    assert found.users == USERS[0]
    assert found.low == 0.0


def test_a_round_trip_that_dominates_small_sizes_does_not_move_the_crossing() -> None:
    latencies = [0.3 + users / 100 for users in USERS]

    found = curve(*latencies).crossing(latencies[3])

    assert found.users == pytest.approx(USERS[3], rel=0.001)


def test_a_cut_off_size_bounds_the_crossing_from_above() -> None:
    found = curve(10.0, 30.0, 100.0, 5_000.0, 10_000.0).crossing(8_000.0)
    plain = curve(10.0, 30.0, 100.0, 5_000.0, 9_999.0).crossing(8_000.0)

    assert (found.kind, found.is_bound) == ("measured", True)
    assert (plain.kind, plain.is_bound) == ("measured", False)
    assert found.low == pytest.approx(USERS[3] * ROWS_PER_USER)
    assert found.low < plain.low < found.rows


def test_a_figure_that_is_reached_before_the_cut_off_is_no_bound() -> None:
    found = curve(10.0, 100.0, 1_000.0, 10_000.0, 10_000.0).crossing(500.0)

    assert (found.kind, found.is_bound) == ("measured", False)
    assert 316 < found.users < 1_000


def test_a_cut_off_below_the_figure_says_nothing_of_it() -> None:
    found = curve(10.0, 40.0, 100.0, 100.0, 100.0, timeout_ms=100.0).crossing(500.0)

    assert found.kind == "unclear"
    assert found.high == math.inf


def test_one_size_says_nothing_of_growth() -> None:
    assert curve(1.0).crossing(15.0).kind == "unclear"
    assert curve(20.0).crossing(15.0).kind == "below"


def test_a_dip_between_two_sizes_does_not_give_a_second_crossing() -> None:
    dipped = curve(1.0, 10.0, 9.0, 30.0, 90.0)

    found = dipped.crossing(9.4)

    assert found.users == pytest.approx(USERS[1], rel=0.1)
    assert dipped.latency_ms(316 * 380) == pytest.approx(math.sqrt(90), rel=0.001)


@given(
    st.lists(st.floats(0.05, 5_000.0), min_size=2, max_size=5),
    st.floats(0.1, 4_000.0),
)
def test_the_curve_takes_the_figure_at_the_crossing(
    medians_ms: list[float], target_ms: float
) -> None:
    tested = curve(*medians_ms)

    found = tested.crossing(target_ms)

    if found.kind in ("measured", "extrapolated"):
        assert tested.latency_ms(found.rows) == pytest.approx(target_ms, rel=1e-6)
    elif found.kind == "below":
        assert tested.latency_ms(found.rows) >= target_ms * (1 - 1e-9)
    else:
        assert tested.latency_ms(tested.points[-1].rows) < target_ms
    assert found.low <= found.rows * (1 + 1e-9) or found.kind == "beyond"


def test_outside_the_curve_no_latency_is_told() -> None:
    linear = power(1.0, 1.0)

    for rows in (USERS[0] * ROWS_PER_USER / 2, USERS[-1] * ROWS_PER_USER * REACH * 2):
        with pytest.raises(ValueError, match="outside the curve"):
            linear.latency_ms(rows)


@pytest.mark.parametrize("target_ms", [25.0, 300.0], ids=["within", "extrapolated"])
def test_the_interval_covers_the_truth_in_about_95_of_100_worlds(target_ms: float) -> None:
    """Each size has a level of its own, as a server start has, and noise around it."""
    rng = np.random.default_rng(5)
    spread, covered, worlds = 0.06, 0, 600
    for world in range(worlds):
        levels = [users / 100 * rng.lognormal(0, spread) for users in USERS]
        samples = [Sample.of(*(level * rng.lognormal(0, spread, 31))) for level in levels]
        tested = Curve(
            tuple(
                Point(users, users * ROWS_PER_USER, one)
                for users, one in zip(USERS, samples, strict=True)
            )
        )
        found = tested.crossing(target_ms, seed=world)
        covered += found.low <= target_ms * 100 * ROWS_PER_USER <= found.high

    assert 0.93 <= covered / worlds <= 0.975
