"""A Switch: one pair of Query and ParameterSet whose plan becomes another one.

Which indexes made it so does not matter for what the two plans cost: a Switch that one
step has measured is known to all others, and nothing is measured twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fluxlab.indexes.planner import Key, Question
from fluxlab.workload.measure import Pair
from fluxlab.workload.store import Measurement, as_row, open_file, read_row

_METADATA = sa.MetaData()
#: Both sides of a Switch in one row each, so that one without the other cannot be.
_SIDES = sa.Table(
    "switch_side",
    _METADATA,
    sa.Column("world", sa.Text, primary_key=True),
    sa.Column("switch", sa.Text, primary_key=True),
    sa.Column("is_after", sa.Boolean, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("rounds", sa.Integer, nullable=False),
    sa.Column("query_fingerprint", sa.Text, nullable=False),
    sa.Column("parameters_fingerprint", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("of_class", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("blocks", sa.Text, nullable=False),
    sa.Column("timeout_ms", sa.Float, nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)

#: Columns that are no part of a Measurement, nor its key.
_BESIDE = ("world", "identity", "rounds")


@dataclass(frozen=True, slots=True)
class Switch:
    """A pair and its two plans, as EXPLAIN's text without costs."""

    question: Question
    before: str
    after: str

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over the statement, its values and both plans."""
        text = "\0".join((*self.question.key, self.before, self.after))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def switches(
    questions: Iterable[Question], before: Mapping[Key, str], after: Mapping[Key, str]
) -> tuple[Switch, ...]:
    """Return a Switch for each pair whose plan is not the same in both."""
    return tuple(
        Switch(one, before[one.key], after[one.key])
        for one in questions
        if before[one.key] != after[one.key]
    )


class SwitchStore:
    """What is measured of Switches in one world: a data set on a server."""

    def __init__(self, path: Path, world: str) -> None:
        self._engine = open_file(path)
        _METADATA.create_all(self._engine)
        self._world = world

    def rounds(self) -> dict[str, int]:
        """Return how many rounds each Switch was meant to take, by its fingerprint.

        It may have taken fewer: a slow one is looked at once.
        """
        select = sa.select(_SIDES.c.switch, _SIDES.c.rounds).where(
            _SIDES.c.world == self._world, _SIDES.c.is_after
        )
        with self._engine.connect() as connection:
            return {str(name): int(rounds) for name, rounds in connection.execute(select)}

    def add(self, switch: Switch, pair: Pair, rounds: int = 0) -> None:
        """Keep both Measurements of a Switch, meant to take so many rounds or more.

        Earlier ones of it are replaced.
        """
        meant = max(rounds, len(pair[0].sample.blocks))
        sides = zip((False, True), (switch.before, switch.after), pair, strict=True)
        rows = [
            {
                "world": self._world,
                "switch": switch.fingerprint,
                "is_after": is_after,
                "identity": identity,
                "rounds": meant,
                **as_row(one),
            }
            for is_after, identity, one in sides
        ]
        statement = insert(_SIDES)
        keys = [column.name for column in _SIDES.primary_key]
        changed = {one.name: one for one in statement.excluded if one.name not in keys}
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=keys, set_=changed), rows
            )

    def pair(self, switch: str) -> Pair:
        """Return both Measurements of one Switch; KeyError where there are none."""
        return self._read(_SIDES.c.switch == switch)[switch]

    def pairs(self) -> dict[str, Pair]:
        """Return both Measurements of every Switch, by its fingerprint."""
        return self._read(sa.true())

    def plans(self) -> dict[str, tuple[str, str]]:
        """Return both plans of every Switch, as EXPLAIN's text, by its fingerprint."""
        columns = _SIDES.c
        select = (
            sa.select(columns.switch, columns.identity)
            .where(columns.world == self._world)
            .order_by(columns.switch, columns.is_after)
        )
        sides: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            for switch, identity in connection.execute(select):
                sides.setdefault(switch, []).append(identity)
        return {name: (pair[0], pair[1]) for name, pair in sides.items()}

    def _read(self, condition: sa.ColumnElement[bool]) -> dict[str, Pair]:
        columns = [one for one in _SIDES.c if one.name not in _BESIDE]
        select = (
            sa.select(*columns)
            .where(_SIDES.c.world == self._world, condition)
            .order_by(_SIDES.c.switch, _SIDES.c.is_after)
        )
        sides: dict[str, list[Measurement]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(select):
                named = row._asdict()
                switch = str(named.pop("switch"))
                del named["is_after"]
                sides.setdefault(switch, []).append(read_row(named))
        return {name: (pair[0], pair[1]) for name, pair in sides.items()}

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()
