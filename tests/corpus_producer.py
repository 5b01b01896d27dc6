"""Produce the plans of the corpus from its scenes, on servers of several versions.

    python tests/corpus_producer.py 18=postgresql://… 15=postgresql://… [--only shop]
    python tests/corpus_producer.py baseline=postgresql://… sprint11=postgresql://…

A scene is SQL: a block after `-- do` is run as it is; a block after
`-- plan: NAME | VERSIONS | WORDS | SETTINGS` is explained, and the answer is kept as
plans/corpus/VERSION-SCENE_NAME.json, or .txt with the word `text`. The statement runs
once before, so that what is kept is warm; whatever it wrote is rolled back. Rerunning
changes the numbers of a plan and may change its shape: read its label again then.

The second call takes two databases of a lab of size small: queries of the lab, drawn by a
hash of their names, are explained in one of its two states.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pglast.parser import split
from psycopg.sql import Literal
from psycopg.types.json import set_json_loads

from fluxlab.dataset.profile import load_profile
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.parameters import Sampler

CORPUS = Path(__file__).parent / "plans" / "corpus"
SCENES = CORPUS / "scenes"
QUERIES = Path(__file__).parents[1] / "sql" / "queries"
STATES = ("baseline", "sprint11")
#: How many of the lab's queries stand in the corpus.
DRAWN = 46
_OF_LAB = frozenset({"analyze", "buffers"})
_PLACE = re.compile(r"\$(\d+)")
_SPOKEN = {"analyze", "buffers", "verbose", "settings", "wal", "serialize"}


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a scene: SQL to run, or with a name a statement to explain."""

    sql: str
    name: str | None = None
    versions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def ending(self) -> str:
        """The ending of the file that keeps the plan."""
        return ".txt" if "text" in self.words else ".json"


def read_scene(path: Path) -> Iterator[Block]:
    """Yield the blocks of a scene in their order."""
    for part in path.read_text().split("\n-- ")[1:]:
        head, _, sql = part.partition("\n")
        if head.strip() == "do":
            yield Block(sql)
            continue
        name, versions, words, *settings = (one.strip() for one in head.split("|"))
        pairs = [one.partition("=") for one in ", ".join(settings).split(", ") if one]
        yield Block(
            sql.strip().removesuffix(";"),
            name.removeprefix("plan:").strip(),
            frozenset(versions.split()),
            frozenset(words.split()),
            tuple((key.strip(), value.strip(" '")) for key, _, value in pairs),
        )


def produce(scene: Path, version: str, url: str) -> Iterator[Path]:
    """Run a scene in a schema of its own; yield the files of its plans."""
    blocks = list(read_scene(scene))
    if not any(version in block.versions for block in blocks):
        return
    schema = f"{scene.stem}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        set_json_loads(bytes.decode, connection)  # the server's own text
        connection.execute(f"create schema {schema}".encode())
        connection.execute(f"set search_path = {schema}, public".encode())
        connection.execute(b"set synchronous_commit = on")
        for block in blocks:
            if block.name is None:
                for statement in split(block.sql):
                    connection.execute(statement.encode())
            elif version in block.versions:
                path = CORPUS / f"{version}-{scene.stem}_{block.name}{block.ending}"
                path.write_text(explained(connection, block))
                yield path
        connection.execute(f"drop schema {schema} cascade".encode())


def produce_lab(state: str, url: str) -> Iterator[Path]:
    """Explain the queries of the lab that were drawn for this state."""
    queries = load_workload(QUERIES)
    drawn = sorted(queries, key=_draw_of)[:DRAWN]
    with psycopg.connect(url, autocommit=True) as connection:
        set_json_loads(bytes.decode, connection)
        sampler = Sampler(connection, load_profile().now, seed=0)
        for name in drawn:
            number = int(_draw_of(name), 16)
            if state != STATES[number % 3 > 0]:
                continue
            query = queries[name]
            sets = sampler.parameter_sets(query)
            values = sets[number // 3 % min(2, len(sets))].values
            texts = [Literal(value).as_string(connection) for value in values]
            sql = _PLACE.sub(lambda at, of=texts: of[int(at[1]) - 1], query.statement)
            path = CORPUS / f"18-lab_{state}_{name}.json"
            path.write_text(explained(connection, Block(sql, words=_OF_LAB)))
            yield path


def _draw_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def explained(connection: psycopg.Connection, block: Block) -> str:
    """Return what EXPLAIN says of a statement that ran once before."""
    format_ = "text" if "text" in block.words else "json"
    words = ", ".join([*sorted(block.words & _SPOKEN), f"format {format_}"])
    with connection.transaction(force_rollback=True):
        for name, value in block.settings:
            connection.execute("select set_config(%s, %s, true)", (name, value))
        if "analyze" in block.words:
            connection.execute(b"savepoint before")
            connection.execute(block.sql.encode())
            connection.execute(b"rollback to before")
        explain = f"explain ({words}) {block.sql}"
        rows = connection.execute(explain.encode()).fetchall()
    return "\n".join(row[0] for row in rows) + "\n"


def main(arguments: list[str]) -> None:
    """Produce every scene on every server that it wants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", nargs="+", help="VERSION=URL, such as 18=postgresql://…")
    parser.add_argument("--only", help="the name of one scene")
    chosen = parser.parse_args(arguments)
    servers = [one.partition("=")[::2] for one in chosen.server]
    for state, url in servers:
        if state in STATES:
            for path in produce_lab(state, url):
                print(path.name)
    for scene in sorted(SCENES.glob(f"{chosen.only or '*'}.sql")):
        for version, url in servers:
            for path in produce(scene, version, url):
                print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
