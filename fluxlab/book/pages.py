"""Chapters: a text that people edit, and the executed notebook made from it.

`notebooks/src/NN_slug.md` (MyST, read by jupytext) is the only form edited by hand;
`notebooks/NN_slug.ipynb` is its twin, with outputs. What a chapter may contain stands
in `house_rules.py`.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupytext.myst import MystMetadataParsingError, myst_to_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, from_dict

from fluxlab.errors import FluxlabError

_CHAPTER_FILE = re.compile(r"(?P<number>\d{2})_(?P<slug>[a-z0-9_]+)\.md")
_MEASURES = re.compile(r"\A---\n(?:.+\n)*measures: true\n(?:.+\n)*---\n")
_TITLE = re.compile(r"^# +(?P<title>.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter: where its text stands and where its executed twin belongs.

    One whose front matter says `measures: true` reads a clock while it runs.
    """

    number: int
    slug: str
    title: str
    source_path: Path
    twin_path: Path
    measures: bool = False

    @property
    def name(self) -> str:
        """The stem that text and twin share, such as `00_start_here`."""
        return self.source_path.stem


@dataclass(frozen=True, slots=True)
class CellText:
    """One cell of a chapter's text; `line` is where its source begins, from 1."""

    kind: str
    source: str
    line: int


def chapters(root: Path) -> tuple[Chapter, ...]:
    """All chapters below `root`, in reading order.

    Raises FluxlabError for a file name or a title that a chapter cannot have.
    """
    found = []
    for path in sorted((root / "notebooks" / "src").glob("*.md")):
        match = _CHAPTER_FILE.fullmatch(path.name)
        if match is None:
            raise FluxlabError(
                f"{path.name} is no name for a chapter.",
                "Call it NN_slug.md, in lower case.",
            )
        text = path.read_text(encoding="utf-8")
        title = _TITLE.search(text)
        if title is None:
            raise FluxlabError(
                f"{path.name} has no title.", "Begin it with a `# ` heading."
            )
        twin = root / "notebooks" / f"{path.stem}.ipynb"
        number, slug = int(match["number"]), match["slug"]
        measures = _MEASURES.search(text) is not None
        found.append(Chapter(number, slug, title["title"], path, twin, measures))
    return tuple(found)


def read_source(chapter: Chapter) -> NotebookNode:
    """The chapter's text as a notebook without outputs.

    Ids follow from position and content and the metadata is fixed, so that the same
    text gives the same bytes (jupytext and nbformat would invent random ids).
    """
    notebook = _parse(chapter.source_path)
    for position, cell in enumerate(notebook.cells):
        digest = hashlib.sha1(cell.source.encode(), usedforsecurity=False).hexdigest()
        cell["id"] = f"{position:02d}-{digest[:6]}"
    notebook.metadata = from_dict(_metadata())  # type: ignore[no-untyped-call]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def cells_with_lines(chapter: Chapter) -> tuple[CellText, ...]:
    """The cells of a chapter's text, each with the line where its source begins."""
    notebook = _parse(chapter.source_path)
    lines = chapter.source_path.read_text(encoding="utf-8").splitlines()
    found = []
    for cell, start in zip(notebook.cells, notebook.metadata["source_map"], strict=True):
        # The map points at the fence or at blank lines; options may come in between.
        first, line = cell.source.split("\n")[0], start
        while line < len(lines) - 1 and lines[line] != first:
            line += 1
        found.append(CellText(cell.cell_type, cell.source, line + 1))
    return tuple(found)


def execute(
    chapter: Chapter,
    *,
    timeout_seconds: int = 600,
    environment: Mapping[str, str] | None = None,
) -> NotebookNode:
    """Run a chapter from top to bottom in a fresh kernel and return it with outputs.

    The kernel is this process's own interpreter, whatever kernelspecs are installed;
    its working directory is the twin's. `environment` is added to this process's;
    `timeout_seconds` holds for each cell. Raises FluxlabError naming chapter and cell.
    """
    notebook = read_source(chapter)
    folder = chapter.twin_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    # A short path: the kernel's sockets live here, and a socket's path is limited.
    with tempfile.TemporaryDirectory(prefix="flux-k-") as scratch:
        client = _client(notebook, Path(scratch), folder, timeout_seconds)
        # IPython's own files go to the scratch as well, so that neither a start-up
        # file nor the history of the person who runs this takes part; a fixed hash
        # seed shows a set in the same order each time.
        fixed = {"IPYTHONDIR": scratch, "PYTHONHASHSEED": "0"}
        variables = {**os.environ, **(environment or {}), **fixed}
        try:
            # Cell by cell rather than client.execute(): that one catches Ctrl-C itself.
            with client.setup_kernel(env=variables, cleanup_kc=True):
                for position, cell in enumerate(notebook.cells):
                    _run_cell(client, chapter, position, cell)
        except RuntimeError as error:
            raise FluxlabError(
                f"The kernel of chapter {chapter.name} did not start: {error}.",
                "Run `make run` again; if it repeats, make the environment anew.",
            ) from error
    return notebook


def write_twin(chapter: Chapter, node: NotebookNode, directory: Path) -> Path:
    """Write an executed chapter into `directory`, whole or not at all; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / chapter.twin_path.name
    text = str(nbformat.writes(node, version=4)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]
    handle, partial = tempfile.mkstemp(
        dir=directory, prefix=f".{path.stem}.", suffix=".part"
    )
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes files that only their owner may read.
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


def difference(chapter: Chapter) -> str | None:
    """The first way in which the twin departs from its text, or None."""
    if not chapter.twin_path.exists():
        return f"{chapter.name} has no twin: run `make book`."
    twin = nbformat.read(chapter.twin_path, as_version=4)  # type: ignore[no-untyped-call]
    texts, twins = read_source(chapter).cells, twin.cells
    for position, (ours, theirs) in enumerate(zip(texts, twins, strict=False), start=1):
        for key in ("cell_type", "source", "metadata", "id"):
            if ours[key] != theirs.get(key):
                return f"{chapter.name}, cell {position}: {key} differs: run `make book`."
        if ours.cell_type == "code" and theirs.execution_count is None:
            return f"{chapter.name}, cell {position} was not run: run `make book`."
    if len(texts) != len(twins):
        counts = f"{len(texts)} cells, its twin {len(twins)}"
        return f"{chapter.name} has {counts}: run `make book`."
    return None


def is_in_step(chapter: Chapter) -> bool:
    """Whether the twin holds exactly the cells of its text, all of them executed."""
    return difference(chapter) is None


def _parse(path: Path) -> NotebookNode:
    text = path.read_text(encoding="utf-8")
    try:
        notebook: NotebookNode = myst_to_notebook(text, add_source_map=True)  # type: ignore[no-untyped-call]
    except MystMetadataParsingError as error:
        raise FluxlabError(
            f"{path.name} cannot be read: {error}.", "Correct that cell."
        ) from error
    return notebook


def _metadata() -> dict[str, dict[str, str]]:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python"}
    return {
        "kernelspec": {**kernel, "name": NATIVE_KERNEL_NAME},
        "language_info": {"name": "python"},
    }


def _client(
    notebook: NotebookNode, scratch: Path, folder: Path, timeout_seconds: int
) -> NotebookClient:
    # Without directories to search, the only kernel is ipykernel of sys.executable.
    specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager = AsyncKernelManager(
        kernel_name=NATIVE_KERNEL_NAME,
        kernel_spec_manager=specs,
        transport="ipc",
        connection_file=str(scratch / "k.json"),
    )
    return NotebookClient(
        notebook,
        km=manager,
        timeout=timeout_seconds,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )


def _run_cell(
    client: NotebookClient, chapter: Chapter, position: int, cell: NotebookNode
) -> None:
    try:
        client.execute_cell(cell, position)
    except CellExecutionError as error:
        reason = f"{error.ename}: {(error.evalue.splitlines() or [''])[0]}"
        raise _stopped(chapter, position, reason) from None
    except CellTimeoutError:
        raise _stopped(chapter, position, f"no answer in {client.timeout} s") from None
    except DeadKernelError:
        raise _stopped(chapter, position, "its kernel died") from None


def _stopped(chapter: Chapter, position: int, reason: str) -> FluxlabError:
    line = cells_with_lines(chapter)[position].line
    return FluxlabError(
        f"Chapter {chapter.name} stopped in cell {position + 1} "
        f"({chapter.source_path.name}:{line}): {reason.rstrip('.')}.",
        f"Open {chapter.twin_path.name} in JupyterLab and run it up to that cell.",
    )
