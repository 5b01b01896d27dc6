"""Single values that MessagePack has no word for, as bytes and back (used by codec.py).

Each kind has a code, which is written into entries and so never gets another meaning.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

#: What MessagePack writes itself, and reads as the same type.
PLAIN = frozenset((type(None), bool, int, float, str, bytes))

_INT, _DECIMAL, _UUID, _DATE, _INTERVAL = 1, 2, 3, 4, 5
_NAIVE, _UTC, _ZONED, _TIME = 6, 7, 8, 9
_FIXED, _FIXED_NAMED, _BY_NAME = b"f", b"n", b"z"
_ADDRESSES = {
    16: ipaddress.IPv4Address,
    17: ipaddress.IPv6Address,
    18: ipaddress.IPv4Interface,
    19: ipaddress.IPv6Interface,
    20: ipaddress.IPv4Network,
    21: ipaddress.IPv6Network,
}
_MOMENT, _INTERVALS = struct.Struct("!Q"), struct.Struct("!iIi")
_MICROSECOND = timedelta(microseconds=1)

Written = tuple[int, bytes]


class NoName(ValueError):  # noqa: N818 - as its neighbours in codec.py
    """A time zone that cannot be written down."""


def _moment(value: datetime) -> bytes:
    """Wall clock time in microseconds from year 1; the lowest bit is the fold."""
    since = (value.replace(tzinfo=None) - datetime.min) // _MICROSECOND
    return _MOMENT.pack(since << 1 | value.fold)


def _moment_from(data: bytes) -> datetime:
    stamp: int = _MOMENT.unpack(data)[0]
    wall = datetime.min + timedelta(microseconds=stamp >> 1)
    return wall.replace(fold=1) if stamp & 1 else wall


def _write_datetime(value: datetime) -> Written:
    if value.tzinfo is None:
        return _NAIVE, _moment(value)
    if value.tzinfo is UTC:
        return _UTC, _moment(value)
    return _ZONED, _moment(value) + _zone(value.tzinfo)


def _read_zoned(data: bytes) -> datetime:
    return _moment_from(data[:8]).replace(tzinfo=_zone_from(data[8:]))


def _write_time(value: time) -> Written:
    zone = b"" if value.tzinfo is None else _zone(value.tzinfo)
    return _TIME, _moment(datetime.combine(date.min, value)) + zone


def _read_time(data: bytes) -> time:
    zone = _zone_from(data[8:]) if len(data) > 8 else None
    return _moment_from(data[:8]).time().replace(tzinfo=zone)


def _zone(zone: tzinfo) -> bytes:
    """A fixed offset with its name, if it was given one, or a zone's name.

    A ZoneInfo that its name does not lead back to (from a file, or made with no_cache)
    may tell times apart that the one we would read takes for equal.
    """
    if type(zone) is timezone:
        # What timezone itself gives to pickle: its offset, and its name if it has one.
        offset, *named = zone.__getinitargs__()  # type: ignore[attr-defined]
        _, written = _write_interval(offset)
        if not named:
            return _FIXED + written
        if type(named[0]) is str:
            return _FIXED_NAMED + written + named[0].encode()
    elif type(zone) is ZoneInfo and type(zone.key) is str and ZoneInfo(zone.key) is zone:
        return _BY_NAME + zone.key.encode()
    raise NoName


def _zone_from(data: bytes) -> tzinfo:
    kind, rest = data[:1], data[1:]
    if kind == _BY_NAME:
        return ZoneInfo(rest.decode())
    if kind == _FIXED:
        return timezone(_read_interval(rest))
    if kind == _FIXED_NAMED:
        return timezone(_read_interval(rest[:12]), rest[12:].decode())
    raise ValueError


def write_large_int(value: int) -> Written:
    """An int beyond the 64 bits that MessagePack has."""
    size_bytes = value.bit_length() // 8 + 1
    return _INT, value.to_bytes(size_bytes, "big", signed=True)


def _read_large_int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _write_interval(value: timedelta) -> Written:
    return _INTERVAL, _INTERVALS.pack(value.days, value.seconds, value.microseconds)


def _read_interval(data: bytes) -> timedelta:
    return timedelta(*_INTERVALS.unpack(data))


def _write_uuid(value: UUID) -> Written:
    return _UUID, value.bytes


def _read_uuid(data: bytes) -> UUID:
    return UUID(bytes=data)


def _write_date(value: date) -> Written:
    return _DATE, value.toordinal().to_bytes(4, "big")


def _read_date(data: bytes) -> date:
    return date.fromordinal(int.from_bytes(data, "big"))


def _write_decimal(value: Decimal) -> Written:
    # Its text keeps sign, exponent and the payload of a NaN, and is read exactly,
    # whatever the precision of the context.
    return _DECIMAL, str(value).encode()


def _read_decimal(data: bytes) -> Decimal:
    return Decimal(data.decode())


def _address_writer(code: int) -> Callable[[object], Written]:
    return lambda value: (code, str(value).encode())


def _address_reader(kind: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: kind(data.decode())


#: By exact type: its code and bytes. Raises NoName.
WRITERS: Mapping[type, Callable[..., Written]] = {
    Decimal: _write_decimal,
    UUID: _write_uuid,
    date: _write_date,
    timedelta: _write_interval,
    datetime: _write_datetime,
    time: _write_time,
    **{kind: _address_writer(code) for code, kind in _ADDRESSES.items()},
}
#: By code: the value. Raises anything on bytes that are not ours.
READERS: Mapping[int, Callable[[bytes], object]] = {
    _INT: _read_large_int,
    _DECIMAL: _read_decimal,
    _UUID: _read_uuid,
    _DATE: _read_date,
    _INTERVAL: _read_interval,
    _NAIVE: _moment_from,
    _UTC: lambda data: _moment_from(data).replace(tzinfo=UTC),
    _ZONED: _read_zoned,
    _TIME: _read_time,
    **{code: _address_reader(kind) for code, kind in _ADDRESSES.items()},
}
