"""Random numbers by counter: every cell is a pure function of seed, name and row.

Nothing is drawn in sequence, so neither the size of a chunk nor the order of work can
change a byte, and the id of any row of any table is known without being stored.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from fluxlab.dataset.arrow import Array, Buffer, pa

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Stream:
    """The random numbers of one column, addressed by row number.

    >>> stream = Stream(11, "users.is_active")
    >>> bool((stream.uniform(row_range(0, 9))[5:] == stream.uniform(row_range(5, 9))).all())
    True
    """

    __slots__ = ("_key",)

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        self._key = np.uint64(int.from_bytes(digest, "little"))

    def bits(self, rows: I64 | U64) -> U64:
        """64 well mixed bits per row (splitmix64, Steele and others 2014)."""
        mixed = rows.astype(np.uint64)
        mixed *= _GOLDEN
        mixed += self._key
        mixed ^= mixed >> np.uint64(30)
        mixed *= _MIX_1
        mixed ^= mixed >> np.uint64(27)
        mixed *= _MIX_2
        mixed ^= mixed >> np.uint64(31)
        return mixed

    def uniform(self, rows: I64 | U64) -> F64:
        """One number in [0, 1) per row."""
        return (self.bits(rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, rows: I64 | U64, limit: int | I64) -> I64:
        """One whole number in [0, limit) per row; limit may differ by row."""
        return np.floor(self.uniform(rows) * limit).astype(np.int64)

    def true(self, rows: I64 | U64, chance: float | F64) -> Bools:
        """True with this chance."""
        return self.uniform(rows) < chance

    def exponential(self, rows: I64 | U64, median: float) -> F64:
        """Exponential waiting times with this median."""
        return -np.log2(1.0 - self.uniform(rows)) * median

    def lognormal(self, rows: I64 | U64, median: float, sigma: float) -> F64:
        """Log-normal sizes; the normal is a sum of twelve 5-bit uniforms."""
        bits = self.bits(rows)
        total = np.zeros(len(bits), np.float64)
        for lane in range(12):
            total += (bits >> np.uint64(5 * lane)) & np.uint64(31)
        # Twelve uniforms on 0..31: mean 186, variance 12 * (32**2 - 1) / 12 = 1023.
        return np.asarray(median * np.exp(sigma * (total - 186.0) / np.sqrt(1023.0)))

    def uuids(self, rows: I64 | U64, valid: Bools | None = None) -> Array:
        """Version 4 uuids as 16 raw bytes, which is how PostgreSQL receives them."""
        return uuid_array(self.uuid_bytes(rows), valid)

    def uuid_bytes(self, rows: I64 | U64) -> npt.NDArray[np.uint8]:
        """The same uuids as an array of shape (rows, 16)."""
        even = rows.astype(np.uint64) * np.uint64(2)
        halves = np.empty((len(rows), 2), ">u8")
        high = self.bits(even) & np.uint64(0xFFFFFFFFFFFF0FFF)
        low = self.bits(even + np.uint64(1)) & np.uint64(0x3FFFFFFFFFFFFFFF)
        halves[:, 0] = high | np.uint64(0x4000)
        halves[:, 1] = low | np.uint64(0x8000000000000000)
        return halves.view(np.uint8)


def row_range(first: int, end: int) -> I64:
    """The row numbers first, first + 1, … end - 1."""
    return np.arange(first, end, dtype=np.int64)


def uuid_array(raw: npt.NDArray[np.uint8], valid: Bools | None = None) -> Array:
    """An Arrow column of uuids; rows where `valid` is False are NULL."""
    data = pa.py_buffer(np.ascontiguousarray(raw))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(raw), [validity(valid), data]
    )


def validity(valid: Bools | None) -> Buffer | None:
    """The bitmap that Arrow reads as "not NULL"."""
    # The bit-packed values of a boolean column are exactly such a bitmap.
    return None if valid is None else pa.array(valid).buffers()[1]
