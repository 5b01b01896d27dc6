"""Columns that follow from the profile alone, and what every table's module stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fluxlab.dataset.arrow import Array, RecordBatch, Schema, pa, pc
from fluxlab.dataset.columns import join, lists, take
from fluxlab.dataset.profile import Choice, Profile
from fluxlab.dataset.streams import I64, Bools, Stream, row_range
from fluxlab.dataset.timeline import Timeline
from fluxlab.dataset.words import COMMON_WORDS, tags

Columns: TypeAlias = dict[str, Array]

CHUNK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class TableSource:
    """One table's rows, in the order in which a live system would have inserted them."""

    name: str
    rows: int
    make: Callable[[I64], Columns]

    @property
    def schema(self) -> Schema:
        """Names and types of the columns."""
        return RecordBatch.from_pydict(self.make(row_range(0, 0))).schema

    def chunks(self, chunk_rows: int = CHUNK_ROWS) -> Iterator[RecordBatch]:
        """The rows in batches; their contents do not depend on the size of a batch."""
        for first in range(0, self.rows, chunk_rows):
            rows = row_range(first, min(first + chunk_rows, self.rows))
            yield RecordBatch.from_pydict(self.make(rows))


@dataclass(frozen=True, slots=True)
class Context:
    """What every module gets: the profile, the seed, the clock, the number of users."""

    profile: Profile
    seed: int
    users: int
    time: Timeline

    def cells(self, table: str) -> Cells:
        """The column maker of one table."""
        return Cells(self, table)

    def count(self, table: str) -> int:
        """The rows a table should have."""
        return self.profile.rows(table, self.users)


@dataclass(frozen=True, slots=True)
class Cells:
    """Makes the columns of one table; the row number decides everything."""

    context: Context
    table: str

    def stream(self, column: str) -> Stream:
        """The random numbers of a column."""
        return Stream(self.context.seed, f"{self.table}.{column}")

    def share(self, name: str) -> float:
        """A number of this table in the profile."""
        return self.context.profile.number(f"{self.table}.{name}")

    def choice(self, name: str) -> Choice:
        """Values and shares of this table in the profile."""
        return self.context.profile.choice(f"{self.table}.{name}")

    def ids(self, rows: I64) -> Array:
        """The primary keys."""
        return self.stream("id").uuids(rows)

    def id_of(self, rows: I64, valid: Bools | None = None) -> Array:
        """The keys of these rows of this table, for the tables that refer to it."""
        return self.stream("id").uuids(rows, valid)

    def chosen(self, name: str, rows: I64) -> Array:
        """A text column drawn from the profile's shares."""
        choice = self.choice(name)
        return take(choice.values, choice.codes(self.stream(name).uniform(rows)))

    def true(self, name: str, rows: I64) -> Bools:
        """True in the profile's share of the rows."""
        return self.stream(name).true(rows, self.share(name))

    def flag(self, name: str, rows: I64) -> Array:
        """A boolean column; NULL where the profile says so."""
        nulls = self.context.profile.null_share(f"{self.table}.{name}")
        mask = self.stream(f"{name}#null").true(rows, nulls) if nulls else None
        return pa.array(self.true(name, rows), mask=mask)

    def with_terms(self, name: str, rows: I64, column: Array) -> Array:
        """The column with the known search words in exactly the known rows."""
        for term in self.context.profile.terms_of(f"{self.table}.{name}"):
            holds = term.holds(rows)
            if holds.any():
                column = pc.if_else(pa.array(holds), term.word, column)
        return column

    def sentence(self, name: str, rows: I64, words: int) -> Array:
        """A few words of the trade."""
        table = pa.array(COMMON_WORDS)
        stream = self.stream(f"{name}#words")
        cells = rows * 64
        picks = [
            take(table, (stream.uniform(cells + place) ** 2 * len(table)).astype(np.int64))
            for place in range(words)
        ]
        return pc.binary_join_element_wise(*picks, " ")


def document(pairs: Mapping[str, Array | str]) -> Array:
    """A jsonb object from columns of JSON text, e.g. {"a": '"x"'}."""
    parts: list[Array | str] = []
    for place, (key, value) in enumerate(pairs.items()):
        parts += [f'{"," if place else chr(1) + "{"}"{key}":', value]
    return join(*parts, "}")


class Tags:
    """Lists of tags, the common ones often, with the known search words."""

    def __init__(self, cells: Cells, column: str) -> None:
        profile = cells.context.profile
        self._cells, self._column = cells, column
        self._empty = profile.number("projects.tags_empty")
        self._most = int(profile.number("projects.tags_max"))
        self._words = pa.array(tags(int(profile.number("projects.tag_vocabulary"))))

    def column(self, rows: I64) -> Array:
        """text[]: none in the profile's share of the rows, else up to the most."""
        cells, name = self._cells, self._column
        sizes = 1 + cells.stream(f"{name}#size").below(rows, self._most)
        sizes[cells.stream(f"{name}#empty").true(rows, self._empty)] = 0
        terms = cells.context.profile.terms_of(f"{cells.table}.{name}")
        holding = [term.holds(rows) for term in terms]
        for holds in holding:
            sizes[holds] = np.maximum(sizes[holds], 1)
        starts = np.cumsum(sizes) - sizes
        place = row_range(0, int(sizes.sum())) - np.repeat(starts, sizes)
        row = np.repeat(rows, sizes)
        # Log-uniform ranks are Zipf distributed; the shift keeps the tags of a row apart.
        count = len(self._words)
        uniform = cells.stream(name).uniform(row)
        codes = (np.power(count + 1.0, uniform).astype(np.int64) - 1 + place * 7) % count
        values = take(self._words, codes)
        for term, holds in zip(terms, holding, strict=True):
            first = np.repeat(holds, sizes) & (place == 0)
            values = pc.if_else(pa.array(first), term.word, values)
        return lists(sizes, values)
