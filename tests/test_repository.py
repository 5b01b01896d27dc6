"""The repository's own promises: one environment, no addresses, no long modules."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from fluxlab.settings import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, str]:
    """Every locked package and version, from lines such as `numpy==2.4.6 \\`."""
    return {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(
            r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", LOCK, re.M
        )
    }


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found[0].lower().replace("_", "-")


def required() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]


def test_every_requirement_of_the_project_is_in_the_lock() -> None:
    assert [one for one in required() if name_of(one) not in locked()] == []


def test_an_exact_requirement_is_locked_at_that_version() -> None:
    exact = {name_of(one): one.split("==")[1] for one in required() if "==" in one}

    assert exact
    assert {name: locked()[name] for name in exact} == exact


def test_every_locked_package_has_hashes_and_no_address() -> None:
    blocks = re.split(r"\n(?=[a-z])", LOCK)

    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert re.findall(r"https?://|--(?:extra-)?index", LOCK) == []


def test_conda_installs_the_same_lock_and_a_python_that_the_project_supports() -> None:
    text = (ROOT / "environment.yml").read_text()
    dependencies = text[text.index("dependencies:") :]
    entries = re.findall(r"^ +- (.+)$", dependencies, re.M)

    # Nothing but Python and its tools beside the lock: two sources would drift apart.
    assert entries == [
        f"python {PROJECT['requires-python']}",
        *("pip", "make", "pip:"),
        "-r requirements.lock",
    ]


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lines = text[
        text.index("dependencies = [") : text.index("[project.scripts]")
    ].splitlines()
    named = [line for line in lines if line.strip().startswith('"')]

    without = [
        line.strip()
        for number, line in enumerate(lines)
        if line in named and "#" not in line and "#" not in lines[number - 1]
    ]
    assert len(named) == len(required())
    # The three linters need no reason.
    assert [
        line for line in without if not re.match(r'"(ruff|mypy|pytest|pandas-stubs)', line)
    ] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "fluxlab").rglob("*.py")), ids=lambda p: p.stem
)
def test_a_module_is_one_idea_of_at_most_400_lines_and_says_it_first(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= 400
    assert not text.strip() or text.startswith(('"""', 'r"""'))


def test_the_readme_names_targets_that_the_makefile_has() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))

    named = set(
        re.findall(
            r"\bmake ([a-z-]+)\b",
            " ".join(re.findall(r"`[^`]+`|^    .+$|```.*?```", readme, re.M | re.S)),
        )
    )

    assert {"run", "test", "lab"} <= named
    assert named <= targets


def test_the_ci_script_calls_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"

    assert "make lint" in script.read_text()
    assert "make test" in script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert "docs/before_and_after.png" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_no_file_names_a_place_of_this_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    if not paths:
        pytest.skip("this is no git checkout, so there is no list of files")
    places = [f"{place}/".encode() for place in (ROOT, Path.home()) if len(place.parts) > 1]

    found = [
        path.name
        for path in paths
        if path.exists() and any(place in path.read_bytes() for place in places)
    ]
    assert places
    assert found == []
