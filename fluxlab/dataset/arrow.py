"""pyarrow under names that a type checker accepts.

It is a Cython library without type stubs: to mypy its modules look empty, so every
name of it counts as Any here, in one place, instead of an ignore on every line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    pa: Any
    pc: Any
    Array: TypeAlias = Any
    Buffer: TypeAlias = Any
    RecordBatch: TypeAlias = Any
    Schema: TypeAlias = Any
else:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import Array, Buffer, RecordBatch, Schema

__all__ = ["Array", "Buffer", "RecordBatch", "Schema", "pa", "pc"]
