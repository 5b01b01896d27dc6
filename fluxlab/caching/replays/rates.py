"""How often each key is read and made untrue, from the probabilities, not from draws.

What theory predicts a hit rate from. Rates are per second of the application. They are
means over hours: that users come in sessions, and read a key in bursts, is not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from fluxlab.caching.keys import build_key, facts_of
from fluxlab.caching.layer import Touch
from fluxlab.caching.replays.population import Floats
from fluxlab.caching.replays.resources import RESOURCES, Resource
from fluxlab.caching.replays.scenes import DAYS, OWN_SHARE, Scene, Stage, share_of_day
from fluxlab.caching.replays.traffic import Traffic
from fluxlab.caching.replays.writes import Part, Write
from fluxlab.caching.results import LayerName

#: Draws over which a Touch is averaged where chance has a say in it.
_DRAWS = 8
#: Rarer than once in this many seconds is never, in any window.
_NEVER_S = 1e9


@dataclass(frozen=True, slots=True)
class KeyRates:
    """The keys of one pattern: reads and invalidations of each, per second."""

    keys: Sequence[str]
    reads: Floats
    invalidations: Floats


def names_of(key: str, layer: LayerName) -> tuple[str, ...]:
    """Return what a key depends on: any of these, touched, makes a layer forget it.

    Ours has the key and its tags. The report's has the prefix that its helpers delete,
    `user:42` for every key that begins so.
    """
    if layer == "sprint11":
        kind, identity, *_ = key.split(":")
        return (f"{kind}:{identity}",)
    facts = facts_of(key)
    return (f"={key}", *facts.tags)


def touched_names(touch: Touch, layer: LayerName) -> tuple[str, ...]:
    """Return the names that a layer forgets at a Touch."""
    if layer == "sprint11":
        if touch.entity is None:
            return ()
        kind, identity = touch.entity
        return (f"{_PREFIXES[kind]}:{identity}",)
    return (*touch.tags, *(f"={key}" for key in touch.keys))


_PREFIXES = {
    "user": "user",
    "organization": "org",
    "project": "project",
    "file": "file",
    "conversation": "conv",
}


def key_rates(traffic: Traffic, layer: LayerName = "fluxlab") -> Mapping[str, KeyRates]:
    """Return the rates of every key that can be read, by pattern."""
    shares = {pattern: _shares(traffic, one) for pattern, one in RESOURCES.items()}
    forgotten = _forgotten(traffic, layer)
    found: dict[str, KeyRates] = {}
    for ask in traffic.mix.asks:
        if ask.resource is None:
            continue
        of_keys = shares[ask.resource.pattern.text]
        reads = traffic.rate_of(ask) * np.fromiter(of_keys.values(), dtype=float)
        lost = np.array(
            [
                sum(forgotten.get(name, 0.0) for name in names_of(key, layer))
                for key in of_keys
            ]
        )
        kept = reads > 1 / _NEVER_S
        keys = [key for key, is_kept in zip(of_keys, kept, strict=True) if is_kept]
        found[ask.resource.pattern.text] = KeyRates(keys, reads[kept], lost[kept])
    return found


def _forgotten(traffic: Traffic, layer: LayerName) -> dict[str, float]:
    """Return how often each name is touched."""
    stage = Stage(traffic.people, is_open=False)
    rates: dict[str, float] = {}
    for ask in traffic.mix.asks:
        if ask.write is None:
            continue
        rate = traffic.rate_of(ask)
        for share, scene in _scenes(traffic, ask.write):
            for name in touched_names(ask.write.touch(stage, scene), layer):
                rates[name] = rates.get(name, 0.0) + rate * share
    return rates


def _scenes(traffic: Traffic, write: Write) -> Iterator[tuple[float, Scene]]:
    """Go through the Scenes on which a Touch depends, each with its share."""
    random = np.random.default_rng(len(write.name))
    count = _DRAWS if write.is_drawn else 1
    for share, numbers in _combinations(traffic, write.parts):
        for draw in random.integers(1 << 62, size=count).tolist():
            scene = Scene(
                user=numbers.get("user", 0),
                organization=numbers.get("organization", 0),
                project=numbers.get("project", 0),
                conversation=numbers.get("conversation", 0),
                draw=draw,
            )
            yield share / count, scene


def _combinations(
    traffic: Traffic, parts: tuple[Part, ...]
) -> Iterator[tuple[float, dict[Part, int]]]:
    people, activity = traffic.people, traffic.activity
    if parts == ("user",):
        for at, share in enumerate(activity.tolist()):
            yield share, {"user": at}
        return
    part = parts[-1]
    reach = people.reach[part]
    if len(parts) == 1:
        count = len(people.members[part])
        shares = reach.totals(activity, count).tolist()
        for at, share in enumerate(shares):
            if share:
                yield share, {part: at}
        return
    offsets = reach.offsets.tolist()
    for user, share in enumerate(activity.tolist()):
        for at in range(offsets[user], offsets[user + 1]):
            numbers: dict[Part, int] = {"user": user, part: int(reach.objects[at])}
            yield share * float(reach.shares[at]), numbers


def _shares(traffic: Traffic, resource: Resource) -> dict[str, float]:
    """Return the share of each key in the reads of its pattern."""
    people, activity = traffic.people, traffic.activity
    text = resource.pattern.text
    if text == "user:{userId}":
        return {
            build_key.user(people.users[at]): share
            for at, share in enumerate(_readers_of(traffic).tolist())
        }
    if text == "user:email:{email}":
        return {
            build_key.user_by_email(people.emails[at]): share
            for at, share in enumerate(activity.tolist())
        }
    found: dict[str, float] = {}
    parts: dict[str, tuple[Part, ...]] = {
        "user_id": ("user",),
        "organization_id": ("organization",),
        "project_id": ("project",),
        "conversation_id": ("conversation",),
    }
    wanted = tuple(part for name in resource.names if name in parts for part in parts[name])
    for share, numbers in _combinations(traffic, wanted):
        values: dict[str, object] = {
            f"{part}_id": _identity(traffic, part, at) for part, at in numbers.items()
        }
        if "day" in resource.names:
            found |= _days(traffic, resource, values, share)
        else:
            found[resource.key(values)] = share
    return found


def _identity(traffic: Traffic, part: Part, at: int) -> object:
    people = traffic.people
    return {
        "user": people.users,
        "organization": people.organizations,
        "project": people.projects,
        "conversation": people.conversations,
    }[part][at]


def _days(
    traffic: Traffic, resource: Resource, values: dict[str, object], share: float
) -> dict[str, float]:
    return {
        resource.key({**values, "day": traffic.people.today - timedelta(days=back)}): share
        * share_of_day(back)
        for back in range(DAYS)
    }


def _readers_of(traffic: Traffic) -> Floats:
    """Return how often each profile is read: by its owner, or by one of the channel."""
    people = traffic.people
    groups = people.members["conversation"]
    looked = people.reach["conversation"].totals(traffic.activity, len(groups))
    found = OWN_SHARE * traffic.activity
    for group, share in zip(groups, looked.tolist(), strict=True):
        for one in group:
            found[one] += (1 - OWN_SHARE) * share / len(group)
    return found
