"""Chapters become notebooks: the same bytes each time, whole or not at all."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from fluxlab.book.house_rules import broken_rules
from fluxlab.book.pages import (
    Chapter,
    chapters,
    difference,
    execute,
    is_in_step,
    read_source,
    write_twin,
)
from fluxlab.errors import FluxlabError
from fluxlab.settings import ROOT

HEAD = "# A chapter\n\n## Question\n\nDoes it run?\n\n"
TAIL = "\n## What we now know\n\n- It does.\n"


def chapter_of(folder: Path, *cells: str, name: str = "01_a_chapter") -> Chapter:
    """A chapter below `folder` with these code cells between its first and last words."""
    source = folder / "notebooks" / "src" / f"{name}.md"
    source.parent.mkdir(parents=True, exist_ok=True)
    fenced = "".join(f"```{{code-cell}} python\n{cell}\n```\n" for cell in cells)
    source.write_text(HEAD + fenced + TAIL, encoding="utf-8")
    return next(chapter for chapter in chapters(folder) if chapter.name == name)


def test_chapters_are_found_in_reading_order_with_their_titles(tmp_path: Path) -> None:
    chapter_of(tmp_path, "1", name="10_later")
    chapter_of(tmp_path, "1", name="02_earlier")

    found = chapters(tmp_path)

    assert [(chapter.number, chapter.slug) for chapter in found] == [
        (2, "earlier"),
        (10, "later"),
    ]
    assert {chapter.title for chapter in found} == {"A chapter"}
    assert found[0].twin_path == tmp_path / "notebooks" / "02_earlier.ipynb"


def test_a_chapter_without_a_number_or_a_title_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "notebooks" / "src" / "intro.md"
    source.parent.mkdir(parents=True)
    source.write_text("# Title\n")
    with pytest.raises(FluxlabError, match=r"intro.md is no name for a chapter"):
        chapters(tmp_path)

    source.rename(source.with_name("00_intro.md")).write_text("No heading\n")
    with pytest.raises(FluxlabError, match=r"00_intro.md has no title"):
        chapters(tmp_path)


def test_two_executions_give_the_same_bytes_and_are_in_step(tmp_path: Path) -> None:
    chapter = chapter_of(tmp_path, "1 + 1", "str({'one', 'two', 'three', 'four'})")

    first = write_twin(chapter, execute(chapter), tmp_path / "first").read_bytes()
    assert difference(chapter) == "01_a_chapter has no twin: run `make book`."
    second = write_twin(chapter, execute(chapter), chapter.twin_path.parent).read_bytes()

    assert first == second
    assert b'"text/plain": [\n       "2"\n' in first
    assert is_in_step(chapter)


def test_a_kernel_is_this_interpreter_with_the_environment_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = ("import os, sys", "sys.executable, os.environ['FLUX_WORD'], os.getcwd()")
    chapter = chapter_of(tmp_path, *cells)
    # A kernelspec of the person's own must not win over the project's environment.
    stranger = tmp_path / "jupyter" / "kernels" / "python3"
    stranger.mkdir(parents=True)
    (stranger / "kernel.json").write_text('{"argv": ["false"], "display_name": "no"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    node = execute(chapter, environment={"FLUX_WORD": "here"})

    text = node.cells[2].outputs[0].data["text/plain"]
    assert ast.literal_eval(text) == (sys.executable, "here", str(tmp_path / "notebooks"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("cell.source = cell.source + '0'", "cell 2: source differs"),
        ("cell.metadata['tags'] = ['x']", "cell 2: metadata differs"),
        ("cell.id = 'other'", "cell 2: id differs"),
        ("cell.execution_count = None", "cell 2 was not run"),
        ("twin.cells.pop()", "has 3 cells, its twin 2"),
    ],
)
def test_a_twin_that_departs_from_its_text_is_named(
    tmp_path: Path, change: str, said: str
) -> None:
    chapter = chapter_of(tmp_path, "1")
    twin = read_source(chapter)
    twin.cells[1].execution_count = 1
    write_twin(chapter, twin, chapter.twin_path.parent)
    assert is_in_step(chapter)

    exec(change, {"twin": twin, "cell": twin.cells[1]})
    write_twin(chapter, twin, chapter.twin_path.parent)

    assert said in str(difference(chapter))


def test_a_failing_cell_is_named_with_its_line_and_no_password(tmp_path: Path) -> None:
    cells = ("1", "raise ValueError('no way to postgres://ann:secret@db/x')")
    chapter = chapter_of(tmp_path, *cells)

    with pytest.raises(FluxlabError) as caught:
        execute(chapter)

    assert "Chapter 01_a_chapter stopped in cell 3 (01_a_chapter.md:11)" in str(
        caught.value
    )
    assert "ValueError: no way to postgres://ann:***@db/x." in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies_are_errors(
    tmp_path: Path,
) -> None:
    slow = chapter_of(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(FluxlabError, match=r"cell 2 .* no answer in 1 s"):
        execute(slow, timeout_seconds=1)

    dead = chapter_of(tmp_path, "import os; os._exit(3)")
    with pytest.raises(FluxlabError, match=r"cell 2 .* its kernel died"):
        execute(dead)


def test_a_twin_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    chapter = chapter_of(tmp_path, "1")
    (tmp_path / "out" / chapter.twin_path.name / "in_the_way").mkdir(parents=True)

    with pytest.raises(OSError, match=r"[Dd]irectory"):
        write_twin(chapter, read_source(chapter), tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == [chapter.twin_path.name]


def test_an_interrupted_execution_leaves_the_old_twin_and_no_kernel(tmp_path: Path) -> None:
    cells = (
        "import os, pathlib, time",
        "pathlib.Path('pid').write_text(f'{os.getpid()}.')",
    )
    chapter = chapter_of(tmp_path, *cells, "time.sleep(60)")
    write_twin(chapter, read_source(chapter), chapter.twin_path.parent)
    before, pid_path = chapter.twin_path.read_bytes(), tmp_path / "notebooks" / "pid"
    code = (
        "import sys; from pathlib import Path; from fluxlab.book.pages import *;"
        "chapter = chapters(Path(sys.argv[1]))[0];"
        "write_twin(chapter, execute(chapter), chapter.twin_path.parent)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: pid_path.exists() and pid_path.read_text().endswith("."))
    kernel = int(pid_path.read_text().rstrip("."))

    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]

    assert "KeyboardInterrupt" in said
    assert chapter.twin_path.read_bytes() == before
    wait_for(lambda: not is_running(kernel))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition holds, and fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("\n".join("1" for _ in range(9)), "8: The code cell has 9 lines, not at most 8."),
        ("1\n'" + "x" * 75 + "'", "9: The line has 77 columns, not at most 76."),
        (
            "1\ndef f():\n    return 1",
            "9: The cell defines 'f', which belongs in fluxlab/.",
        ),
        ("class C:\n    pass", "8: The cell defines 'C', which belongs in fluxlab/."),
        ("1\nprint(1)", "9: The cell prints; end it in an expression."),
        ("1 +", "8: The code cell is no Python: invalid syntax."),
        ("", "8: The code cell is empty."),
    ],
)
def test_a_code_cell_that_breaks_a_house_rule_is_named(
    tmp_path: Path, cell: str, said: str
) -> None:
    assert broken_rules(chapter_of(tmp_path, cell)) == (f"01_a_chapter.md:{said}",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The ratio is $a/b$.", "7: The prose holds TeX; write it in words."),
        ("$$\na\n$$", "7: The prose holds TeX; write it in words."),
        ("# Another", "7: A second title, 'Another': one question per chapter."),
        ("## Measure\n\n## Look", "9: The section 'Look' comes after 'Measure'."),
        ("## Look\n\n## Look", "9: The section 'Look' comes after 'Look'."),
    ],
)
def test_prose_that_breaks_a_house_rule_is_named(
    tmp_path: Path, text: str, said: str
) -> None:
    chapter = chapter_of(tmp_path)
    chapter.source_path.write_text(f"{HEAD}{text}\n{TAIL}")

    assert broken_rules(chapter) == (f"01_a_chapter.md:{said}",)


def test_a_chapter_begins_with_its_question_and_ends_with_what_we_know(
    tmp_path: Path,
) -> None:
    chapter = chapter_of(tmp_path)
    chapter.source_path.write_text("# A chapter\n\n## Look\n\n```\n# no title\n```\n")

    assert broken_rules(chapter) == (
        "01_a_chapter.md:3: The first section is not 'Question'.",
        "01_a_chapter.md:3: The last section is not 'What we now know'.",
    )


def test_magics_prices_and_code_with_dollars_break_no_rule(tmp_path: Path) -> None:
    chapter = chapter_of(tmp_path, "%load_ext fluxlab", "%%explain id=1\nselect 1, $1")
    text = chapter.source_path.read_text()
    chapter.source_path.write_text(text + "\nFrom $5 to $6, and `$1` and `$2`.\n")

    assert broken_rules(chapter) == ()


def test_the_book_has_its_chapters_and_each_keeps_the_house_rules() -> None:
    book = chapters(ROOT)

    numbers = [chapter.number for chapter in book]
    # No two have the same number; the last, on how we measured, is found by its own.
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert numbers == sorted(set(numbers))
    assert book[-1].name == "14_how_we_measured"
    assert [rule for chapter in book for rule in broken_rules(chapter)] == []


def test_every_twin_of_the_book_is_in_step_and_light_and_quiet() -> None:
    for chapter in chapters(ROOT):
        assert difference(chapter) is None
        assert chapter.twin_path.stat().st_size < 400_000, chapter.name
        for cell in nbformat.read(chapter.twin_path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                assert output.output_type != "error", chapter.name
                assert output.get("name") != "stderr", (chapter.name, output.text)
        # Evidence is public; the machine it came from is not.
        assert str(ROOT) not in chapter.twin_path.read_text(encoding="utf-8"), chapter.name
