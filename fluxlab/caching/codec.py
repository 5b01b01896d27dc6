"""Turn a value into bytes and back with the same types, or refuse; no pickle.

What comes back is equal and of the same type: a tuple is no list, a Decimal keeps its
exponent, a moment keeps its time zone and its fold. A value for which we cannot promise
that is `Unfaithful` and not cached; bytes that are not ours are `Corrupt`. Reading makes
values of the types named here and nothing else, so a stranger who can write to the cache
cannot make us run anything.

An entry is one byte of format, four of checksum, and MessagePack, whose extension types
carry what it has no word for (scalars.py). Rows that share their columns, a list of dicts
with the same keys or of tuples of one length, are stored as the names once and then
column by column.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from fluxlab.caching.scalars import PLAIN, READERS, WRITERS, NoName, write_large_int
from fluxlab.errors import FluxlabError

#: Bodies above this are compressed where that makes them an eighth smaller.
COMPRESS_FROM_BYTES = 16 * 1024
#: The largest body that is written or read, before it is compressed.
MAX_BYTES = 64 * 1024 * 1024
#: Containers within containers: enough for a plan of fifty nodes, too few for a cycle.
MAX_DEPTH = 100
#: The same for tuples, sets and rows. MessagePack's reader takes 50 kB of the C stack for
#: each, and 170 of them end the process, which no exception would tell us.
MAX_NESTED = 16
#: Containers in one value. A list that holds itself twice has no other end.
MAX_CONTAINERS = 100_000

#: Rows from which columns pay: two or three save 50 bytes and take 2 microseconds.
MIN_ROWS = 4

_PLAIN_FORM, _COMPRESSED_FORM = b"\x01", b"\x81"
_HEAD_BYTES = 5
_TUPLE, _SET, _FROZENSET, _DICTS, _TUPLES = 32, 33, 34, 35, 36
_TEXT = frozenset((str,))


class Unfaithful(FluxlabError):  # noqa: N818 - it is about the value
    """A value that would not come back as it was; the message never shows the value."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} cannot be cached: it would not come back as it was.",
            "Cache builtin values, Decimal, UUID, dates and times, and convert after.",
        )


class Corrupt(FluxlabError):  # noqa: N818 - and this about the bytes
    """Bytes that no version of ours that we can read has written."""

    def __init__(self, what: str) -> None:
        super().__init__(f"A cache entry {what}.", "Treat it as a miss and load again.")


def encode(value: object) -> bytes:
    """Return the entry for a value; raise `Unfaithful` where it could not be restored.

    Subclasses (named tuples, enums, ordered dicts) are refused, as are bytearray, text
    with lone surrogates, and what nests too deep. A time zone is None, a fixed offset, or
    a ZoneInfo that its name leads to; it comes back by that name, so with the rules of
    the reader's machine.

    >>> from decimal import Decimal
    >>> decode(encode({"price": Decimal("1.50"), "seats": (2, 3)}))
    {'price': Decimal('1.50'), 'seats': (2, 3)}
    """
    try:
        body = _pack(_Shaping().shape(value))
    except RecursionError:
        raise Unfaithful("A value nested too deep") from None
    if len(body) > MAX_BYTES:
        raise Unfaithful("A value of more than 64 MiB")
    form = _PLAIN_FORM
    if len(body) > COMPRESS_FROM_BYTES:
        compressed = zlib.compress(body, 1)
        if len(compressed) < len(body) * 7 // 8:
            form, body = _COMPRESSED_FORM, compressed
    return form + zlib.crc32(body).to_bytes(4, "big") + body


def decode(data: bytes) -> object:
    """Return the value of an entry; raise `Corrupt`, and nothing else, for other bytes."""
    form, body = data[:1], data[_HEAD_BYTES:]
    if form not in (_PLAIN_FORM, _COMPRESSED_FORM):
        raise Corrupt("is of another format")
    if zlib.crc32(body) != int.from_bytes(data[1:_HEAD_BYTES], "big"):
        raise Corrupt("is damaged")
    try:
        return _unpack(body if form == _PLAIN_FORM else _decompress(body), 0)
    except Exception as error:
        # Any constructor may fail in any way on bytes that somebody else has written.
        raise Corrupt(f"cannot be read ({type(error).__name__})") from None


class _Shaping:
    """Says one value in MessagePack's words; what needs no change is not copied."""

    __slots__ = ("_containers", "_depth", "_nested")

    def __init__(self) -> None:
        self._containers = self._depth = self._nested = 0

    def shape(self, value: object) -> object:
        kind = type(value)
        if kind in PLAIN:
            return value
        if write := WRITERS.get(kind):
            try:
                return msgpack.ExtType(*write(value))
            except (NoName, UnicodeEncodeError):
                raise Unfaithful(f"A {kind.__name__} whose zone has no name") from None
        if (container := _CONTAINERS.get(kind)) is None:
            raise Unfaithful(f"A value of type {kind.__name__}")
        self._depth += 1
        self._containers += 1
        if self._depth > MAX_DEPTH or self._containers > MAX_CONTAINERS:
            raise Unfaithful("A value nested too deep, or of too many parts,")
        shaped = container(self, value)
        self._depth -= 1
        return shaped

    def nest(self, code: int, values: Iterable[object]) -> msgpack.ExtType:
        self._nested += 1
        if self._nested > MAX_NESTED:
            raise Unfaithful("A value with tuples or sets nested too deep")
        packed = _pack([self.shape(one) for one in values])
        self._nested -= 1
        return msgpack.ExtType(code, packed)

    def of_list(self, values: list[object]) -> object:
        if PLAIN.issuperset(map(type, values)):
            return values
        if len(values) >= MIN_ROWS and self._nested < MAX_NESTED:
            if (columns := _columns_of_dicts(values)) is not None:
                return self.nest(_DICTS, columns)
            if (columns := _columns_of_tuples(values)) is not None:
                return self.nest(_TUPLES, columns)
        return [self.shape(one) for one in values]

    def of_dict(self, values: dict[object, object]) -> object:
        if PLAIN.issuperset(map(type, chain(values, values.values()))):
            return values
        shaped = {self.shape(key): self.shape(value) for key, value in values.items()}
        if len(shaped) != len(values):  # Two keys that are NaN: Decimals, or in tuples.
            raise Unfaithful("A dict with two keys that are written alike")
        return shaped


def _columns_of_dicts(rows: list[object]) -> list[object] | None:
    """The shared keys and then the columns, or None unless all rows have the same."""
    first = rows[0]
    names = [*first] if type(first) is dict else []
    values = []
    for row in rows:
        if type(row) is not dict or [*row] != names or not _TEXT.issuperset(map(type, row)):
            return None
        values.append(row.values())
    return [names, *map(list, zip(*values, strict=True))] if names else None


def _columns_of_tuples(rows: list[object]) -> list[object] | None:
    values = [row for row in rows if type(row) is tuple]
    if len(values) < len(rows) or len(set(map(len, values))) > 1 or not values[0]:
        return None
    return [*map(list, zip(*values, strict=True))]


def _pack(shaped: object) -> bytes:
    try:
        packed: bytes = msgpack.packb(shaped, default=_large_int, strict_types=True)
    except UnicodeEncodeError:
        raise Unfaithful("A str with a lone surrogate") from None
    except (ValueError, OverflowError, MemoryError):
        raise Unfaithful("A value of more than 4 GiB") from None
    return packed


def _large_int(value: int) -> msgpack.ExtType:
    # All else that MessagePack has no word for is an extension type by now.
    return msgpack.ExtType(*write_large_int(value))


def _unpack(body: bytes, nested: int) -> object:
    value: object = msgpack.unpackb(
        body, ext_hook=_HOOKS[nested], strict_map_key=False, timestamp=3
    )
    return value


def _decompress(body: bytes) -> bytes:
    reader = zlib.decompressobj()
    raw = reader.decompress(body, MAX_BYTES + 1)
    if len(raw) > MAX_BYTES or not reader.eof or reader.unused_data:
        raise ValueError
    return raw


def _dicts(columns: Sequence[Any]) -> list[object]:
    names = columns[0]
    if len(names) != len(columns) - 1:
        raise ValueError
    # Once for all rows: zip's own strictness takes a fifth of the time.
    return [dict(zip(names, row)) for row in zip(*columns[1:], strict=True)]  # noqa: B905


def _tuples(columns: Sequence[Any]) -> list[object]:
    return [*zip(*columns, strict=True)]


def _hook(nested: int) -> Callable[[int, bytes], object]:
    """Return what reads an extension type below `nested` others; each level has its own."""

    def read(code: int, data: bytes) -> object:
        if reader := READERS.get(code):
            return reader(data)
        return _CONTAINER_READERS[code](_unpack(data, nested + 1))

    return read


_CONTAINERS: Final[Mapping[type, Callable[[_Shaping, Any], object]]] = {
    list: _Shaping.of_list,
    dict: _Shaping.of_dict,
    tuple: lambda shaping, values: shaping.nest(_TUPLE, values),
    set: lambda shaping, values: shaping.nest(_SET, values),
    frozenset: lambda shaping, values: shaping.nest(_FROZENSET, values),
}
_CONTAINER_READERS: Final[Mapping[int, Callable[[Any], object]]] = {
    _TUPLE: tuple,
    _SET: set,
    _FROZENSET: frozenset,
    _DICTS: _dicts,
    _TUPLES: _tuples,
}
_HOOKS: Final = tuple(_hook(nested) for nested in range(MAX_NESTED + 1))
