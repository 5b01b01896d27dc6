"""What chance does to the hit rate of a window that is not endless.

The formulas of `theory` hold for all time. A replay lasts minutes and begins cold, or
with a short past. So its cycles are drawn here as they happen to each key, load, life,
wait for the next read, many windows over: not reads one by one, but the loads, and of
the hits in between only how many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from fluxlab.caching.results import Prediction
from fluxlab.caching.theory.shares import mean_life, stored_share
from fluxlab.errors import FluxlabError

Floats = NDArray[np.float64]

#: Loads that one prediction may draw: about a tenth of a second.
_MOST_LOADS = 1_000_000
#: Fewer windows than this say too little, however long they take.
_LEAST_WINDOWS = 40
#: From here on the band is read off the windows themselves.
_MANY_WINDOWS = 199


@dataclass(frozen=True, slots=True)
class _Keys:
    """Per key reads and invalidations a second; in all a lifetime and a time to fill."""

    rates: Floats
    invalidations: Floats
    ttl_s: float
    fill_s: float
    jitter: float

    def loads(self, span_s: float) -> float:
        """Return about how many loads a cold span takes, rather more than fewer."""
        life = mean_life(self.ttl_s, self.invalidations, self.jitter)
        life = life * stored_share(self.invalidations, self.fill_s)
        cycle = 1 / self.rates + self.fill_s + life
        return float(np.minimum(span_s * self.rates, 1 + span_s / cycle).sum())


def predict_window(
    rates: Floats,
    invalidations: Floats,
    ttl_s: float,
    fill_s: float,
    window_s: float,
    past_s: float = 0.0,
    jitter: float = 0.1,
    seed: int = 0,
    windows: int = 200,
) -> Prediction:
    """Return hits ÷ (hits + misses) of a window, and the band 95 in 100 windows are in.

    `rates` and `invalidations` are those of each key, per second, as independent Poisson
    processes. The cache is empty `past_s` before the window of `window_s` begins. Reads
    that join a load count as neither. Of much traffic fewer than `windows` are drawn,
    and the band is that of a next draw from a normal distribution (Student's t); else it
    is a pair of order statistics, which holds without any distribution.

    Raises FluxlabError when a number is negative or shapes differ.

    >>> many = np.full(1_000, 0.01)
    >>> found = predict_window(many, 0 * many, 300.0, 0.0, window_s=600.0, past_s=900.0)
    >>> round(found.hit_rate, 2), round(found.low, 2), round(found.high, 2)
    (0.74, 0.74, 0.75)
    """
    _check(rates, invalidations, ttl_s, fill_s, window_s, past_s, jitter)
    is_read = rates > 0
    keys = _Keys(rates[is_read], invalidations[is_read], ttl_s, fill_s, jitter)
    if not is_read.any():
        return Prediction(0.0, 0.0, 1.0)
    affordable = int(_MOST_LOADS / max(1.0, keys.loads(past_s + window_s)))
    count = min(windows, max(_LEAST_WINDOWS, affordable))
    hits, misses = _draw(keys, window_s, past_s, count, np.random.default_rng(seed))
    return _band(hits, misses)


def _check(rates: Floats, invalidations: Floats, *amounts: float) -> None:
    is_sound = rates.shape == invalidations.shape and rates.ndim == 1
    smallest = min(0.0, *amounts)
    if rates.size and is_sound:
        smallest = min(smallest, float(rates.min()), float(invalidations.min()))
    if not is_sound or smallest < 0 or amounts[-1] >= 1:
        raise FluxlabError(
            "These rates and times make no window.",
            "Give each key one rate of reads and one of invalidations, none negative.",
        )


def _draw(
    keys: _Keys, window_s: float, past_s: float, count: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the hits and the misses of each of `count` windows."""
    first = random.standard_exponential((count, len(keys.rates)), dtype=np.float32)
    window, key = np.nonzero(first < keys.rates * (window_s + past_s))
    rate, forgotten = keys.rates[key], keys.invalidations[key]
    at = first[window, key] / rate - past_s
    covered, misses = np.zeros(count), np.zeros(count)
    while len(at):
        misses += np.bincount(window[at >= 0], minlength=count)
        begin, end = _lives(keys, at, forgotten, random)
        inside = np.minimum(end, window_s) - np.maximum(begin, 0.0)
        covered += np.bincount(
            window, weights=rate * np.maximum(inside, 0.0), minlength=count
        )
        at = end + random.standard_exponential(len(end)) / rate
        stays = at < window_s
        at, window = at[stays], window[stays]
        rate, forgotten = rate[stays], forgotten[stays]
    # Reads during lives are Poisson, and so is their sum over keys.
    return random.poisson(covered).astype(float), misses


def _lives(
    keys: _Keys, at: Floats, forgotten: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return when the entries loaded at `at` begin to answer and when they end."""
    ttl = keys.ttl_s * (1 - keys.jitter * random.random(len(at)))
    begin = at + keys.fill_s
    if not forgotten.any():
        return begin, begin + ttl
    with np.errstate(divide="ignore"):
        struck = random.standard_exponential(len(at)) / forgotten
    # A fill that was struck while it was under way is not stored: its life is empty.
    return begin, begin + np.clip(struck - keys.fill_s, 0.0, ttl)


def _band(hits: Floats, misses: Floats) -> Prediction:
    asked = hits + misses
    found = np.sort(hits[asked > 0] / asked[asked > 0])
    count = len(found)
    if count < 2:
        return Prediction(float(found[0]) if count else 0.0, 0.0, 1.0)
    rate = float(hits.sum() / asked.sum())
    if count >= _MANY_WINDOWS:
        # Of n draws and one more, the more is outside the kth of both ends 2k in n + 1.
        edge = int(0.025 * (count + 1))
        low, high = float(found[edge - 1]), float(found[-edge])
    else:
        reach = float(stdtrit(count - 1, 0.975)) * math.sqrt(1 + 1 / count)
        spread = float(found.std(ddof=1)) * reach
        low, high = rate - spread, rate + spread
    return Prediction(round(rate, 6), max(0.0, round(low, 6)), min(1.0, round(high, 6)))
