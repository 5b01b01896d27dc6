"""Read the tables of a TOML file as values of a dataclass, field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from fluxlab.errors import FluxlabError

T = TypeVar("T")


def rows_of(path: Path, kind: str, entries: object, row: type[T]) -> tuple[T, ...]:
    """Make a value of each entry of a table, checked against the type hints of `row`.

    Raises FluxlabError that names the file and the entry.
    """
    if not isinstance(entries, list):
        raise FluxlabError(f"{path.name}: {kind} is no table.", f"Write [[{kind}]].")
    hints = get_type_hints(row)
    made = []
    for entry in entries:
        name = f"an entry of [[{kind}]] is wrong, {entry.get('id', 'without an id')}"
        values = {
            field: tuple(value) if isinstance(value, list) else value
            for field, value in entry.items()
        }
        for field, value in values.items():
            if field in hints and not _fits(value, hints[field]):
                raise FluxlabError(
                    f"{path.name}: {name}: {field} = {value!r}.", _wanted(hints[field])
                )
        try:
            made.append(row(**values))
        except TypeError as error:
            raise FluxlabError(
                f"{path.name}: {name}: {error}.", "Correct its fields."
            ) from None
    return tuple(made)


def _fits(value: object, hint: object) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(
            _fits(one, get_args(hint)[0]) for one in value
        )
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(hint, type) and isinstance(value, hint)


def _wanted(hint: object) -> str:
    if get_origin(hint) is Literal:
        return f"Use one of {', '.join(map(repr, get_args(hint)))}."
    return f"It must be {hint.__name__ if isinstance(hint, type) else hint}."
