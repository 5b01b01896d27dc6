"""Every formula of the cache against events that are drawn and counted one by one."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from cache_events import Count, Key, Lru, poisson, walk, walk_all
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxlab.caching.theory import eviction, lifetimes
from fluxlab.caching.theory import shares as theory
from fluxlab.caching.theory.shares import popularity
from fluxlab.caching.theory.windows import predict_window
from fluxlab.errors import FluxlabError

#: The cases of the research, then those that it has not: jitter, busy invalidations,
#: fills longer than lives, hardly any reads.
KEYS = [
    Key(0.05, 60.0),
    Key(0.05, 300.0, invalidations=0.01),
    Key(20.0, 5.0, fill_s=0.2),
    Key(20.0, 5.0, invalidations=0.5, fill_s=0.2),
    Key(0.05, 300.0, jitter=0.9),
    Key(2.0, 60.0, invalidations=1.5, fill_s=0.4, jitter=0.1),
    Key(5.0, 0.5, invalidations=0.3, fill_s=2.0, jitter=0.1),
    Key(0.001, 60.0, invalidations=0.001, jitter=0.1),
]
RUNS = 24
#: A formula this many standard errors off is wrong; one in a million is by chance.
FAR = 5.0


def measured(
    key: Key, value: Callable[[Count], float], reads: int = 1_000
) -> tuple[float, float]:
    """The mean over independent runs of about so many reads, and its standard error."""
    span_s = reads / key.rate
    dice = random.Random(20261125)
    # The first lives of a cold key are not those of the long run, and without jitter the
    # later ones still begin almost in step.
    cycle_s = key.ttl_s + key.fill_s + 1 / key.rate
    found = [
        value(walk(key, span_s, dice, (5 + dice.random()) * cycle_s)) for _ in range(RUNS)
    ]
    return statistics.mean(found), statistics.stdev(found) / math.sqrt(RUNS)


def distance(
    key: Key, expected: float, value: Callable[[Count], float], reads: int = 1_000
) -> float:
    """How many standard errors a formula is off."""
    mean, error = measured(key, value, reads)
    return abs(mean - expected) / max(error, 1e-4)


def share_of_hits(count: Count) -> float:
    return count.hits / count.reads


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_hits_joins_and_misses_of_a_key_are_those_of_its_events(key: Key) -> None:
    shares = theory.key_shares(
        key.rate, key.ttl_s, key.invalidations, key.fill_s, key.jitter
    )

    for expected, name in (
        (shares.hit, "hits"),
        (shares.joined, "joined"),
        (shares.miss, "misses"),
        (shares.hit_rate, "hit_rate"),
    ):
        whole = 1 if name == "hit_rate" else 0
        off = distance(
            key,
            float(expected),
            lambda count, name=name, whole=whole: (
                getattr(count, name) / (1 if whole else count.reads)
            ),
        )
        assert off < FAR, (name, off)


def test_the_formula_without_struck_fills_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = KEYS[3]

    monkeypatch.setattr(theory, "stored_share", lambda invalidations, fill_s: 1.0)
    mutant = theory.key_shares(
        key.rate, key.ttl_s, key.invalidations, key.fill_s, key.jitter
    )

    assert round(float(mutant.hit), 4) == 0.8801, "that is the wrong number of research"
    assert distance(key, float(mutant.hit), share_of_hits, reads=5_000) > FAR


def test_the_formula_without_jitter_is_found_out() -> None:
    key = KEYS[4]

    mutant = theory.key_shares(key.rate, key.ttl_s, jitter=0.0)

    assert distance(key, float(mutant.hit), share_of_hits, reads=5_000) > FAR


@pytest.mark.parametrize(
    ("count", "exponent", "rate", "ttl_s"),
    [(2_000, 1.0, 50.0, 300.0), (1_000, 0.8, 5.0, 60.0), (500, 1.1, 20.0, 60.0)],
)
def test_a_resource_is_the_sum_of_its_keys_by_popularity(
    count: int, exponent: float, rate: float, ttl_s: float
) -> None:
    rates = rate * popularity(count, exponent)
    keys = [Key(float(one), ttl_s) for one in rates]
    found = [walk_all(keys, 1_200.0, seed, past_s=3 * ttl_s).hit_rate for seed in range(6)]

    expected = float(theory.resource_shares(rates, ttl_s, jitter=0.0).hit_rate)

    error = statistics.stdev(found) / math.sqrt(len(found))
    assert abs(statistics.mean(found) - expected) < FAR * max(error, 1e-3)


def test_the_load_reduction_is_not_the_hit_rate_where_reads_join_loads() -> None:
    slow = theory.key_shares(50.0, 0.01, fill_s=1.0, jitter=0.0)

    assert float(slow.hit_rate) < 0.34
    assert float(slow.avoided) > 0.98


@given(
    rate=st.floats(1e-6, 1e3),
    ttl_s=st.floats(1e-3, 1e6),
    invalidations=st.floats(0, 1e2),
    fill_s=st.floats(0, 1e2),
    jitter=st.floats(0, 0.99),
)
def test_shares_add_up_and_a_longer_ttl_never_hurts(
    rate: float, ttl_s: float, invalidations: float, fill_s: float, jitter: float
) -> None:
    shares = theory.key_shares(rate, ttl_s, invalidations, fill_s, jitter)
    longer = theory.key_shares(rate, 2 * ttl_s, invalidations, fill_s, jitter)

    parts = [float(one) for one in (shares.hit, shares.joined, shares.miss)]
    assert sum(parts) == pytest.approx(1.0)
    assert min(parts) >= 0
    assert longer.hit >= shares.hit - 1e-12


def test_at_the_limits_everything_hits_or_nothing_does() -> None:
    def hit(*numbers: float) -> float:
        return float(theory.key_shares(*numbers).hit)

    assert hit(1.0, 1e12) == pytest.approx(1.0)
    assert hit(1.0, 1e12, 1.0) == pytest.approx(0.5), "reads and writes take turns"
    assert hit(1e-12, 300.0) == pytest.approx(0.0, abs=1e-9)
    assert hit(1.0, 300.0, 1e9) == pytest.approx(0.0, abs=1e-8)
    assert hit(1.0, 300.0, 1e-300) == hit(1.0, 300.0)
    assert hit(1.0, 1e-12) == pytest.approx(0.0)


def test_a_resource_that_nobody_reads_would_miss() -> None:
    shares = theory.resource_shares(np.zeros(3), 300.0)

    assert (float(shares.hit_rate), float(shares.avoided)) == (0.0, 0.0)


@settings(deadline=None, max_examples=40)
@given(
    hit_rate=st.floats(0.05, 0.95),
    count=st.integers(1, 200),
    ttl_s=st.floats(1.0, 1e5),
    writes=st.floats(0.0, 0.02),
)
def test_the_traffic_for_a_hit_rate_gives_that_hit_rate(
    hit_rate: float, count: int, ttl_s: float, writes: float
) -> None:
    rates = 0.1 * popularity(count)

    factor = theory.traffic_needed(hit_rate, rates, writes * rates, ttl_s)

    grown = theory.resource_shares(factor * rates, ttl_s, factor * writes * rates)
    assert float(grown.hit_rate) == pytest.approx(hit_rate, abs=1e-6)
    one = theory.key_shares(theory.reads_per_life_needed(hit_rate) / ttl_s, ttl_s, jitter=0)
    assert float(one.hit) == pytest.approx(hit_rate)


@settings(deadline=None, max_examples=40)
@given(hit_rate=st.floats(0.05, 0.95), count=st.integers(1, 200))
def test_the_ttl_for_a_hit_rate_gives_that_hit_rate(hit_rate: float, count: int) -> None:
    rates = 0.1 * popularity(count)

    ttl_s = theory.ttl_needed(hit_rate, rates, 0.01 * rates, fill_s=0.01)

    found = theory.resource_shares(rates, ttl_s, 0.01 * rates, 0.01)
    assert float(found.hit_rate) == pytest.approx(hit_rate, abs=1e-6)


def test_a_write_for_every_read_is_a_ceiling_that_no_traffic_and_no_ttl_lifts() -> None:
    rates = popularity(50)

    assert theory.traffic_needed(0.8, rates, rates, 300.0) == math.inf
    assert theory.ttl_needed(0.8, rates, rates) == math.inf
    assert theory.reads_per_life_needed(1.0) == math.inf


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_entries_and_ages_over_a_ttl_are_those_of_the_events(key: Key) -> None:
    curve = lifetimes.ttl_curve(
        np.array([key.rate]),
        np.array([key.invalidations]),
        [key.ttl_s],
        key.fill_s,
        key.jitter,
    )
    span_s = 1_000 / key.rate

    for name, value in (
        ("alive", lambda count: count.alive_s / span_s),
        ("loads_per_s", lambda count: count.misses / span_s),
        ("age_s", lambda count: count.ages_s / count.reads),
        ("hit_rate", lambda count: count.hit_rate),
    ):
        assert distance(key, float(getattr(curve, name)[0]), value) < FAR, name


@pytest.mark.parametrize("key", [one for one in KEYS if not one.fill_s], ids=str)
def test_an_invalidated_entry_takes_room_until_it_ends_or_is_replaced(key: Key) -> None:
    curve = lifetimes.ttl_curve(
        np.array([key.rate]),
        np.array([key.invalidations]),
        [key.ttl_s],
        jitter=key.jitter,
    )
    span_s = 1_000 / key.rate

    off = distance(key, float(curve.held[0]), lambda one: one.held_s / span_s)

    assert off < FAR
    assert curve.held[0] >= curve.alive[0]


def test_a_curve_is_right_where_reads_are_as_rare_as_writes() -> None:
    rates = np.array([0.01, 0.01])
    near = rates * np.array([1.0, 1.0 + 1e-4])

    curve = lifetimes.ttl_curve(rates[:1], near[:1], [300.0])
    beside = lifetimes.ttl_curve(rates[1:], near[1:], [300.0])

    assert curve.held[0] == pytest.approx(beside.held[0], rel=1e-3)
    nobody = lifetimes.ttl_curve(0 * rates, rates, [300.0])
    assert (nobody.hit_rate[0], nobody.held[0]) == (0.0, 0.0)


def test_the_worth_of_a_cache_has_the_sign_of_what_it_spares() -> None:
    dear = lifetimes.Prices(load_ms=5.0, read_ms=0.1, fill_ms=0.2, forget_ms=0.1)
    cheap = lifetimes.Prices(load_ms=0.11, read_ms=0.1, fill_ms=0.2, forget_ms=0.1)

    good = lifetimes.worth_of(100.0, 40.0, 10.0, 2e9, dear)
    bad = lifetimes.worth_of(100.0, 40.0, 10.0, 0.0, cheap)

    assert good.net_ms == pytest.approx(60 * 5 - 100 * 0.1 - 40 * 0.2 - 10 * 0.1)
    assert good.per_gb == pytest.approx(good.net_ms / 2)
    assert bad.net_ms < 0
    # With the share of reads that it names avoided, a cache pays itself and no more.
    avoided = lifetimes.least_avoided(dear)
    even = lifetimes.worth_of(100.0, 100 * (1 - avoided), 0.0, 1.0, dear)
    assert even.net_ms == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "exponent", "room"), [(2_000, 1.0, 200), (500, 0.8, 100), (500, 1.1, 50)]
)
def test_che_knows_the_hit_rate_of_a_cache_that_forgets_the_least_recent(
    count: int, exponent: float, room: int
) -> None:
    shares = popularity(count, exponent)
    keys = np.random.default_rng(3).choice(count, size=60_000, p=shares).tolist()
    cache = Lru(room)
    for key in keys[:20_000]:
        cache.read(key)

    found = statistics.mean(cache.read(key) for key in keys[20_000:])

    # 40,000 reads have a standard error of 0.0025; the approximation its own 0.002.
    assert eviction.lru_hit_rate(shares, room) == pytest.approx(found, abs=0.012)


def test_a_cache_with_room_for_all_forgets_nothing_and_one_without_room_all() -> None:
    shares = popularity(100)

    assert eviction.lru_time(shares, 100) == math.inf
    assert eviction.lru_hit_rate(shares, 100) == 1.0
    assert eviction.lru_hit_rate(shares, 0) == 0.0


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=80),
    st.integers(1, 14),
)
def test_reuse_distances_give_exactly_what_a_cache_of_that_size_does(
    references: list[int], room: int
) -> None:
    cache = Lru(room)
    found = sum(cache.read(key) for key in references) / len(references)

    curve = eviction.lru_hit_curve(np.array(references), [room])

    assert curve[0] == pytest.approx(found)


def test_a_tenth_of_the_keys_gives_the_curve_of_all() -> None:
    random_keys = np.random.default_rng(5)
    keys = random_keys.choice(4_000, size=60_000, p=popularity(4_000, 0.6))
    rooms = [200, 800, 2_000]

    whole = eviction.lru_hit_curve(keys, rooms)
    sampled = eviction.lru_hit_curve(keys, rooms, share=0.1)

    assert sampled == pytest.approx(whole, abs=0.05)
    assert np.all(np.diff(whole) > 0)


def test_only_a_share_of_the_keys_can_be_sampled() -> None:
    with pytest.raises(FluxlabError, match="cannot be sampled"):
        eviction.lru_hit_curve(np.array([1]), [1], share=0.0)


@pytest.mark.parametrize("rate", [0.2, 1.0, 5.0])
def test_an_early_refresh_comes_as_often_as_its_formula_says(rate: float) -> None:
    dice, fill_s, ttl_s = random.Random(7), 0.4, 4.0
    count = 3_000
    missed = 0
    for _ in range(count):
        missed += not any(
            -fill_s * math.log(1.0 - dice.random()) >= ttl_s - at
            for at in poisson(rate, 0.0, ttl_s, dice)
        )

    expected = eviction.expiry_chance(rate, ttl_s, fill_s)

    error = math.sqrt(expected * (1 - expected) / count)
    assert abs(missed / count - expected) < FAR * error
    assert eviction.refresh_chance(0.0, fill_s) == 1.0


#: Resources whose windows are predicted: quiet, busy, invalidated, slow to fill.
WINDOWS = [
    ("cold", 0.5 * popularity(200), 0.0, 60.0, 0.0, 120.0, 0.0),
    ("with a past", 2.0 * popularity(300), 0.1, 60.0, 0.05, 120.0, 200.0),
    ("much invalidated", 4.0 * popularity(20), 1.0, 300.0, 0.0, 100.0, 100.0),
    ("hardly read", 0.05 * popularity(20), 0.1, 60.0, 0.0, 300.0, 0.0),
    ("slow to fill", 4.0 * popularity(20), 0.2, 5.0, 1.0, 60.0, 30.0),
]


@pytest.mark.parametrize("drawn", [200, 60])
@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: case[0])
def test_windows_of_independent_events_fall_into_the_band_as_often_as_it_says(
    case: tuple[str, theory.Floats, float, float, float, float, float], drawn: int
) -> None:
    _, rates, writes, ttl_s, fill_s, window_s, past_s = case
    found = predict_window(
        rates, writes * rates, ttl_s, fill_s, window_s, past_s, seed=drawn, windows=drawn
    )
    keys = [
        Key(float(rate), ttl_s, writes * float(rate), fill_s, jitter=0.1) for rate in rates
    ]

    windows = [walk_all(keys, window_s, seed, past_s) for seed in range(120)]

    rates_found = [one.hit_rate for one in windows if one.hits + one.misses]
    inside = sum(found.low <= one <= found.high for one in rates_found)
    # 95 of 100, give or take three standard deviations of 120 windows and of the band.
    assert inside / len(rates_found) >= 0.86, (inside, found)
    assert found.high - found.low < 6 * statistics.stdev(rates_found), "as wide as that"
    hits = sum(one.hits for one in windows)
    misses = sum(one.misses for one in windows)
    assert found.hit_rate == pytest.approx(hits / (hits + misses), abs=0.02)


def test_a_band_for_other_traffic_misses_the_windows() -> None:
    _, rates, writes, ttl_s, fill_s, window_s, past_s = WINDOWS[2]
    blind = predict_window(rates, 0 * rates, ttl_s, fill_s, window_s, past_s)
    keys = [Key(float(rate), ttl_s, writes * float(rate), jitter=0.1) for rate in rates]

    windows = [walk_all(keys, window_s, seed, past_s) for seed in range(20)]

    assert not any(blind.low <= one.hit_rate <= blind.high for one in windows)


def test_much_traffic_has_a_narrow_band_around_the_formula() -> None:
    rates = 400.0 * popularity(20_000)

    found = predict_window(rates, 0.05 * rates, 300.0, 0.01, 600.0, past_s=2_000.0)

    expected = theory.resource_shares(rates, 300.0, 0.05 * rates, 0.01).hit_rate
    assert found.low < float(expected) < found.high
    assert found.high - found.low < 0.02


def test_a_window_after_a_past_hits_more_than_a_cold_one() -> None:
    rates = np.full(500, 0.005)

    cold = predict_window(rates, 0 * rates, 600.0, 0.0, 300.0)
    warm = predict_window(rates, 0 * rates, 600.0, 0.0, 300.0, past_s=1_800.0)

    assert cold.high < warm.low


def test_the_same_seed_predicts_the_same() -> None:
    rates = popularity(50)

    first, again, other = (
        predict_window(rates, rates, 60.0, 0.0, 60.0, seed=seed) for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_of_what_nobody_reads_nothing_is_known() -> None:
    found = predict_window(np.zeros(3), np.ones(3), 60.0, 0.0, 60.0)

    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("rates", "invalidations", "window_s"),
    [([1.0, 2.0], [0.0], 60.0), ([-1.0], [0.0], 60.0), ([1.0], [0.0], -60.0)],
)
def test_rates_and_times_that_make_no_window_are_refused(
    rates: list[float], invalidations: list[float], window_s: float
) -> None:
    with pytest.raises(FluxlabError, match="make no window"):
        predict_window(np.array(rates), np.array(invalidations), 60.0, 0.0, window_s)
