"""Small facts beside the Measurements, in the same file: what a step found and cost.

A note has a kind, a subject and the fingerprints of what it is true of. It is written
whole, in one transaction, so a killed run has it or has it not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fluxlab.workload.store import open_file

Facts = Mapping[str, Any]

_METADATA = sa.MetaData()
_NOTES = sa.Table(
    "note",
    _METADATA,
    sa.Column("world", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("facts", sa.Text, nullable=False),
)


class Notes:
    """The notes of one world: a data set on a server, with a Workload.

    `world` is any text that changes when what the notes say is no longer true.
    """

    def __init__(self, path: Path, world: str) -> None:
        self._engine = open_file(path)
        _METADATA.create_all(self._engine)
        self._world = world

    def write(self, kind: str, subject: str, facts: Facts) -> None:
        """Keep the facts of a subject; earlier ones of the same kind are replaced."""
        values = {"world": self._world, "kind": kind, "subject": subject}
        statement = insert(_NOTES).values(facts=json.dumps(facts), **values)
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(values), set_={"facts": statement.excluded.facts}
                )
            )

    def read(self, kind: str) -> dict[str, Facts]:
        """Return the facts of a kind by subject, in the order they were first written."""
        columns = _NOTES.c
        select = (
            sa.select(columns.subject, columns.facts)
            .where(columns.world == self._world, columns.kind == kind)
            .order_by(sa.literal_column("rowid"))
        )
        with self._engine.connect() as connection:
            return {row[0]: json.loads(row[1]) for row in connection.execute(select)}

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()
