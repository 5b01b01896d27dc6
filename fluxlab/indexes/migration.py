"""A migration file, read as Steps."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pglast.parser import ParseError, split

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import IndexDef, parse_index

#: Commands of psql, which the server's parser does not know.
_BACKSLASH = re.compile(r"^\\.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One index of a migration and the reason for it: the comment right above it."""

    number: int
    index: IndexDef
    reason: str


def read_steps(path: Path) -> tuple[Step, ...]:
    """Read a file of CREATE INDEX statements, in their order.

    Lines of psql's own commands are passed over. Raises FluxlabError for a file that
    cannot be read, that holds any other statement, or the same name twice.
    """
    try:
        text = _BACKSLASH.sub("", path.read_text())
        slices = split(text, with_parser=True, only_slices=True)
    except OSError as error:
        raise FluxlabError(
            f"{path} cannot be read: {error.strerror}.", "Check its name."
        ) from None
    except UnicodeDecodeError:
        raise FluxlabError(f"{path} is not UTF-8 text.", "Save it as text.") from None
    except ParseError as error:
        raise FluxlabError(
            f"{path} cannot be read as SQL: {error.args[0]}.", "Correct it."
        ) from None
    steps = tuple(
        Step(number, _index(path, text, one), _comment_above(text[: one.start]))
        for number, one in enumerate(slices, 1)
    )
    _check(path, steps)
    return steps


def _index(path: Path, text: str, where: slice) -> IndexDef:
    try:
        return parse_index(text[where])
    except FluxlabError as error:
        line = text.count("\n", 0, where.start) + 1
        raise FluxlabError(f"{path}, line {line}: {error.what}", error.do) from None


def _comment_above(before: str) -> str:
    """Return the lines of a comment that ends right where the statement begins."""
    lines = before.split("\n")[:-1]
    found: list[str] = []
    while lines and lines[-1].strip().startswith("--"):
        found.insert(0, lines.pop().strip().lstrip("-").strip())
    return " ".join(found)


def _check(path: Path, steps: tuple[Step, ...]) -> None:
    if not steps:
        raise FluxlabError(f"{path} holds no statement.", "Name a file of CREATE INDEX.")
    names = Counter((step.index.schema, step.index.name) for step in steps)
    if twice := [name for (_, name), count in names.items() if count > 1]:
        raise FluxlabError(
            f"{path} makes {twice[0]} more than once.", "Leave one statement of that name."
        )
