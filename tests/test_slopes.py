"""Exponents in log-log, checked on lines of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxlab.workload.slopes import fit_slope

ROWS = (100, 1_000, 3_162, 10_000)


@given(st.floats(-0.5, 2.5), st.floats(0.01, 1_000.0))
def test_a_power_law_gives_its_exponent_whatever_the_unit(
    exponent: float, first: float
) -> None:
    found = fit_slope(ROWS, [first * rows**exponent for rows in ROWS])

    assert found.exponent == pytest.approx(exponent, abs=1e-6)
    assert found.low == pytest.approx(found.high, abs=1e-5)
    assert found.points == 4


def test_a_curve_that_bends_has_a_wide_interval_around_its_mean_slope() -> None:
    bent = fit_slope(ROWS, [1.0, 1.0, 1.0, 100.0])

    assert bent.low < 0 < bent.exponent < 1.5 < bent.high


def test_two_sizes_have_a_slope_and_no_bound_and_one_has_neither() -> None:
    two = fit_slope(ROWS[:2], [1.0, 10.0])
    one = fit_slope(ROWS[:1], [1.0])

    assert (two.low, two.high) == (-math.inf, math.inf)
    assert str(two) == "1.00 (no bound)"
    assert math.isnan(one.exponent)
    assert str(one) == "unclear"


def test_a_size_without_a_value_is_left_out() -> None:
    # No block was touched at the smallest: zero has no logarithm.
    assert fit_slope(ROWS, [0.0, 10.0, 31.62, 100.0]).exponent == pytest.approx(1, rel=0.01)


def test_a_falling_line_has_a_minus_that_reads_as_one() -> None:
    assert str(fit_slope(ROWS[:2], [10.0, 1.0])) == "−1.00 (no bound)"
    assert str(fit_slope(ROWS, [1.0, 1.0, 1.0, 1.0])) == "0.00 (0.00–0.00)"


@pytest.mark.parametrize("sizes", [3, 4, 6])
def test_the_interval_covers_the_truth_in_about_95_of_100_worlds(sizes: int) -> None:
    """Each size is off by a level of its own, as another start of a server is."""
    rng = np.random.default_rng(7)
    rows = np.geomspace(100, 10_000, sizes)
    worlds = 2_000
    covered = 0
    for _ in range(worlds):
        values = 0.05 * rows**0.8 * rng.lognormal(0, 0.1, sizes)
        found = fit_slope(rows, values)
        covered += found.low <= 0.8 <= found.high

    assert 0.935 <= covered / worlds <= 0.965
