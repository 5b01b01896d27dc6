"""What a notebook or a library may use: named exactly, documented, with examples that run.

The examples themselves run with the modules they stand in.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from doctest import DocTestFinder
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import fluxlab
import fluxlab.plans

ROOMS = (fluxlab, fluxlab.plans)
#: Values have no docstring of their own.
VALUES = {"RULES", "__version__"}
NAMES = [(room, name) for room in ROOMS for name in room.__all__]
CLASSES = [
    getattr(room, name) for room, name in NAMES if inspect.isclass(getattr(room, name))
]


def name_of(one: object) -> str:
    return getattr(one, "__name__", str(one))


def order(name: str) -> tuple[int, str]:
    """Values first, then classes, then functions, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def imported_for_types(room: ModuleType) -> set[str]:
    """The names that type checkers and editors are told to find in a room."""
    tree = ast.parse(Path(str(room.__file__)).read_text())
    blocks = [one for one in tree.body if isinstance(one, ast.If)]
    imports = (one for block in blocks for one in block.body)
    return {
        alias.name
        for one in imports
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_public_names_are_sorted_and_there(room: ModuleType) -> None:
    assert list(room.__all__) == sorted(room.__all__, key=order)
    assert all(hasattr(room, name) for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        room.nothing  # noqa: B018


def test_the_package_names_all_that_it_has() -> None:
    have = {
        name
        for name, value in vars(fluxlab).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
    }

    assert have | {"__version__"} == set(fluxlab.__all__)


def test_the_plans_name_what_they_fetch_and_what_editors_see() -> None:
    names = set(fluxlab.plans.__all__)

    assert set(fluxlab.plans._HOME_OF) == names
    assert imported_for_types(fluxlab.plans) == names
    assert set(dir(fluxlab.plans)) == names
    # A module of that name would take its place as soon as it is imported.
    assert [name for name in names if find_spec(f"fluxlab.plans.{name}")] == []


def test_importing_the_plans_imports_no_driver_and_no_parser() -> None:
    says = (
        "import sys, fluxlab.plans; print({'psycopg', 'pglast', 'rich'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True)

    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("room", "name"), [one for one in NAMES if one[1] not in VALUES], ids=name_of
)
def test_a_public_name_has_a_docstring_with_an_example(room: ModuleType, name: str) -> None:
    found = getattr(room, name)

    (own,) = (one for one in DocTestFinder().find(found, name) if one.name == name)

    assert str(found.__doc__).partition("\n")[0].endswith((".", ":"))
    assert own.examples


def test_a_public_value_stands_in_an_example_of_its_room() -> None:
    (room,) = DocTestFinder(recurse=False).find(fluxlab.plans, "plans")

    assert any("RULES" in example.source for example in room.examples)


@pytest.mark.parametrize("found", CLASSES, ids=name_of)
def test_methods_and_properties_of_a_public_class_say_what_they_do(found: type) -> None:
    kinds = (property, cached_property, classmethod, staticmethod)
    silent = [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, kinds))
        and not inspect.getdoc(value)
    ]

    assert silent == []
