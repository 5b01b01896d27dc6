"""How large the entries of each pattern are, as their server holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import redis.asyncio

from fluxlab.caching.keys import facts_of
from fluxlab.caching.results import LayerName

#: Our entry `flux:{user:42}:d` is the value; versions and leases are beside it.
_OURS = re.compile(r"[^{]*\{(?P<key>.*)\}:d", re.DOTALL)
_AT_ONCE = 500


async def mean_sizes(
    client: redis.asyncio.Redis, layer: LayerName, most: int = 20_000
) -> Mapping[str, float]:
    """Return the mean bytes of an encoded entry by pattern, of up to `most` names."""
    sums: dict[str, tuple[int, int]] = {}
    names: list[bytes] = []
    async for name in client.scan_iter(count=_AT_ONCE):
        names.append(name)
        if len(names) == most:
            break
    for start in range(0, len(names), _AT_ONCE):
        part = [
            (name, key)
            for name in names[start : start + _AT_ONCE]
            if (key := _key_of(name, layer))
        ]
        pipe = client.pipeline(transaction=False)
        for name, _ in part:
            pipe.strlen(name)
        for (_, key), size in zip(part, await pipe.execute(), strict=True):
            pattern = facts_of(key).pattern.text
            count, total = sums.get(pattern, (0, 0))
            sums[pattern] = count + 1, total + int(size)
    return {pattern: total / count for pattern, (count, total) in sums.items()}


def _key_of(name: bytes, layer: LayerName) -> str | None:
    text = name.decode("utf-8", "surrogatepass")
    if layer == "sprint11":
        return text
    found = _OURS.fullmatch(text)
    return found["key"] if found else None
