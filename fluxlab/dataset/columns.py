"""Arrow columns in the shapes that a binary COPY wants (one function per SQL type)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxlab.dataset.arrow import Array, pa, pc
from fluxlab.dataset.streams import I64, Bools, validity

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000

#: PostgreSQL's binary jsonb starts with a version byte.
JSON = "\x01"

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(
    256, 2
)
_HEX_SLOTS = [slot for slot in range(36) if slot not in (8, 13, 18, 23)]


def timestamps(time_ms: I64, valid: Bools | None = None) -> Array:
    """timestamptz from milliseconds since 1970 (an application's clock ticks in ms)."""
    data = pa.py_buffer(time_ms * 1000)
    kind = pa.timestamp("us", "UTC")
    return Array.from_buffers(kind, len(time_ms), [validity(valid), data])


def dates(days: I64, valid: Bools | None = None) -> Array:
    """Date from days since 1970."""
    data = pa.py_buffer(days.astype(np.int32))
    return Array.from_buffers(pa.date32(), len(days), [validity(valid), data])


def clock_times(minutes: I64, valid: Bools | None = None) -> Array:
    """Time from minutes since midnight."""
    data = pa.py_buffer(minutes * 60_000_000)
    return Array.from_buffers(pa.time64("us"), len(minutes), [validity(valid), data])


def decimals(cents: I64, precision: int, valid: Bools | None = None) -> Array:
    """numeric(precision, 2) from hundredths."""
    words = np.empty((len(cents), 2), np.int64)
    words[:, 0] = cents
    words[:, 1] = cents >> 63
    kind = pa.decimal128(precision, 2)
    return Array.from_buffers(kind, len(cents), [validity(valid), pa.py_buffer(words)])


def integers(values: I64, valid: Bools | None = None) -> Array:
    """Integer (exactly 32 bits, or COPY refuses it)."""
    data = pa.py_buffer(values.astype(np.int32))
    return Array.from_buffers(pa.int32(), len(values), [validity(valid), data])


def bigints(values: I64) -> Array:
    """Bigint."""
    return pa.array(values, pa.int64())


def booleans(values: Bools, valid: Bools | None = None) -> Array:
    """Boolean."""
    return pa.array(values, mask=None if valid is None else ~valid)


def constant(text: str, rows: int) -> Array:
    """The same text in every row."""
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def take(values: Array | Sequence[str | None], codes: I64) -> Array:
    """values[code] for every row."""
    table: Any = values
    if isinstance(values, list | tuple):
        table = pa.array(values, pa.string())
    return table.take(pa.array(codes))


def join(*parts: Array | str) -> Array:
    """The parts of every row, one behind the other; NULL where a part is NULL."""
    return pc.binary_join_element_wise(*parts, "")


def text_of(numbers: I64 | npt.NDArray[np.int32], width: int = 0) -> Array:
    """Whole numbers as text, with leading zeros up to `width`."""
    text = pa.array(numbers).cast(pa.string())
    return pc.utf8_lpad(text, width, "0") if width else text


def only(wanted: Bools, column: Array) -> Array:
    """The column where `wanted`, NULL elsewhere."""
    return pc.if_else(pa.array(wanted), column, pa.scalar(None, column.type))


def either(wanted: Bools, column: Array | str, other: Array | str) -> Array:
    """The first column where `wanted`, the other elsewhere."""
    return pc.if_else(pa.array(wanted), column, other)


def uuid_text(raw: npt.NDArray[np.uint8]) -> Array:
    """Uuids as text of 36 characters, from an array of shape (rows, 16)."""
    text = np.full((len(raw), 36), ord("-"), np.uint8)
    text[:, _HEX_SLOTS] = _HEX[raw].reshape(len(raw), 32)
    ends = pa.py_buffer(np.arange(len(raw) + 1, dtype=np.int32) * np.int32(36))
    return Array.from_buffers(pa.string(), len(raw), [None, ends, pa.py_buffer(text)])


def lists(lengths: I64, values: Array) -> Array:
    """One list per row, its values taken in turn."""
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    return pa.ListArray.from_arrays(pa.array(ends), values)
