"""When things happen: a growing, weekly and seasonal rhythm that ends at `now`."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from fluxlab.dataset.columns import DAY, HOUR
from fluxlab.dataset.profile import Profile
from fluxlab.dataset.streams import F64, I64


class Timeline:
    """Turns uniform numbers into milliseconds since 1970, dense where people are busy."""

    __slots__ = ("_hours", "_share", "now", "start")

    def __init__(self, profile: Profile) -> None:
        self.start = epoch_ms(profile.start)
        self.now = epoch_ms(profile.now)
        self._hours = np.arange(self.start, self.now + 1, HOUR, dtype=np.float64)
        at = self._hours[:-1].astype(np.int64)
        age = (at - self.start) / (self.now - self.start)
        weight = 1.0 + (profile.number("time.growth") - 1.0) * age
        weight *= np.array(profile.numbers("time.weekday_weights"))[(at // DAY + 3) % 7]
        weight *= np.array(profile.numbers("time.hour_weights"))[at // HOUR % 24]
        weight *= np.array(profile.numbers("time.month_weights"))[months_of(at)]
        share = np.concatenate([[0.0], np.cumsum(weight)])
        self._share = share / share[-1]

    def between(self, first_ms: I64, last_ms: I64, uniform: F64) -> I64:
        """A busy moment between two others, one per row."""
        low = np.interp(first_ms, self._hours, self._share)
        high = np.interp(np.minimum(last_ms, self.now), self._hours, self._share)
        at = np.interp(low + (high - low) * uniform, self._share, self._hours)
        moments: I64 = np.clip(at.astype(np.int64), first_ms, np.maximum(first_ms, last_ms))
        return moments

    def stratified(self, uniform: F64) -> I64:
        """Ascending moments spread evenly over the whole time, one per row."""
        place = (np.arange(len(uniform)) + uniform) / max(1, len(uniform))
        span = self.now - self.start - DAY
        moments: I64 = self.start + (place * span).astype(np.int64)
        return moments


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def months_of(time_ms: I64) -> I64:
    """The month of the year, 0 to 11."""
    months = time_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months % 12
