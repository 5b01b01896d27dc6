"""How the report's cache writes and reads values: as JavaScript does, with what is lost.

Part of the specimen `sprint11`; see there. Python's values stand for those that the
report's database driver gives its application: a date is a Date, a 64-bit number within
2^53 a number and beyond it a BigInt, a Decimal, a UUID and a range are texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from psycopg.types.range import Range

#: Beyond it JavaScript's numbers are not exact, and the application has a BigInt.
_SAFE_INTEGER = 2**53 - 1


class Undefined:
    """JavaScript's `undefined`: what `rows[0]` is when there are no rows."""

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED = Undefined()


def first_row(rows: Sequence[object]) -> object:
    """Return `rows[0]` as the report's example does.

    >>> first_row([])
    undefined
    """
    return rows[0] if rows else UNDEFINED


def to_text(value: object) -> str:
    """Return what the specimen stores: JSON of objects and null, else `String(value)`.

    Raises TypeError for a big number inside an object, as JSON.stringify does.

    >>> to_text({"at": date(2025, 10, 1), "share": math.nan, "gone": UNDEFINED})
    '{"at":"2025-10-01T00:00:00.000Z","share":null}'
    >>> to_text("42"), to_text(True), to_text(UNDEFINED), to_text(None)
    ('42', 'true', 'undefined', 'null')
    """
    match value:
        case str():
            return value
        case Undefined():
            return "undefined"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number_text(value)
        case Decimal() | UUID():
            return str(value)
        case Range():
            return str(value).replace(", ", ",")
    return json.dumps(
        _json(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def from_text(text: str | None) -> object:
    """Return what the specimen reads: JSON where it can be, else the text.

    >>> from_text("042"), from_text("42"), from_text("true"), from_text("undefined")
    ('042', 42, True, 'undefined')
    >>> from_text("null"), from_text(""), from_text(None)
    (None, None, None)
    """
    if not text:
        return None
    try:
        value: object = json.loads(text, parse_int=_parsed_int, parse_constant=_refuse)
    except ValueError:
        return text
    return value


def is_truthy(value: object) -> bool:
    """Whether JavaScript's `if (value)` is taken: empty objects and lists are true there.

    >>> [is_truthy(one) for one in (0, "", None, UNDEFINED, False, math.nan, [], {}, "0")]
    [False, False, False, False, False, False, True, True, True]
    """
    if value is None or isinstance(value, Undefined):
        return False
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value) if isinstance(value, bool | int | float | str) else True


def _json(value: object) -> object:
    match value:
        case None | str() | bool():
            return value
        case int():
            if abs(value) > _SAFE_INTEGER:
                raise TypeError("Do not know how to serialize a BigInt")
            return value
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() else value
        case date():
            return _iso(value)
        case time() | Decimal() | UUID() | Range():
            return str(value)
        case timedelta():
            return {"seconds": value.total_seconds()}
        case bytes():
            return {"type": "Buffer", "data": list(value)}
        case Mapping():
            pairs = value.items()
            return {
                str(name): _json(one)
                for name, one in pairs
                if not isinstance(one, Undefined)
            }
        case list() | tuple():
            return [None if isinstance(one, Undefined) else _json(one) for one in value]
    return {}  # a Set, a Map and other objects without fields


def _iso(value: date) -> str:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value.is_integer() else repr(value)


def _parsed_int(text: str) -> int | float:
    number = int(text)
    return number if abs(number) <= _SAFE_INTEGER else float(number)


def _refuse(text: str) -> object:
    raise ValueError(f"{text} is no JSON")  # Python would take NaN, JavaScript does not
