"""What a chapter's text may contain, so that every chapter reads like the others."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt

from fluxlab.book.pages import CellText, Chapter, cells_with_lines

#: A page of the site shows this many columns without a scrollbar.
MOST_COLUMNS = 76
MOST_LINES = 8

#: The order of a chapter's sections; a chapter may leave some out, or add its own.
SECTIONS = (
    "Question",
    "Predict",
    "Look",
    "Measure",
    "Explain",
    "Decide",
    "Check yourself",
    "What we now know",
)

# MathJax would be the only thing that the site has to fetch from elsewhere.
_TEX = re.compile(r"\$\$|(?<![\\$\w])\$(?=[^\s$\d])[^$\n]*[^\s$]\$(?![\w$])")


def broken_rules(chapter: Chapter) -> tuple[str, ...]:
    """Every broken house rule as a sentence that begins with file:line."""
    cells = cells_with_lines(chapter)
    found: list[tuple[int, str]] = []
    for cell in cells:
        found += _code_faults(cell) if cell.kind == "code" else _prose_faults(cell)
    found += _section_faults(chapter, cells)
    name = chapter.source_path.name
    return tuple(f"{name}:{line}: {sentence}" for line, sentence in sorted(found))


def _code_faults(cell: CellText) -> Iterator[tuple[int, str]]:
    lines = cell.source.splitlines()
    if not cell.source.strip():
        yield cell.line, "The code cell is empty."
        return
    count = sum(1 for line in lines if line.strip())
    if count > MOST_LINES:
        yield cell.line, f"The code cell has {count} lines, not at most {MOST_LINES}."
    for offset, line in enumerate(lines):
        if len(line) > MOST_COLUMNS:
            yield (
                cell.line + offset,
                f"The line has {len(line)} columns, not at most {MOST_COLUMNS}.",
            )
    # Magics are not Python; IPython's own rewriting makes them so, line by line.
    transformer = TransformerManager()  # type: ignore[no-untyped-call]
    try:
        tree = ast.parse(transformer.transform_cell(cell.source))
    except SyntaxError as error:
        yield (
            cell.line + (error.lineno or 1) - 1,
            f"The code cell is no Python: {error.msg}.",
        )
        return
    yield from _definitions(cell, tree)


def _definitions(cell: CellText, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                sentence = f"The cell defines {node.name!r}, which belongs in fluxlab/."
            case ast.Call(func=ast.Name(id="print")):
                sentence = "The cell prints; end it in an expression."
            case _:
                continue
        yield cell.line + node.lineno - 1, sentence


def _prose_faults(cell: CellText) -> Iterator[tuple[int, str]]:
    for token in MarkdownIt().enable("table").parse(cell.source):
        if token.type != "inline" or token.map is None:
            continue
        prose = "".join(
            part.content for part in token.children or () if part.type == "text"
        )
        if _TEX.search(prose):
            yield cell.line + token.map[0], "The prose holds TeX; write it in words."


def _headings(cells: tuple[CellText, ...]) -> Iterator[tuple[int, int, str]]:
    for cell in cells:
        tokens = MarkdownIt().parse(cell.source) if cell.kind == "markdown" else []
        for opening, inline in itertools.pairwise(tokens):
            if opening.type == "heading_open" and opening.map is not None:
                yield cell.line + opening.map[0], int(opening.tag[1]), inline.content


def _section_faults(
    chapter: Chapter, cells: tuple[CellText, ...]
) -> Iterator[tuple[int, str]]:
    headings = list(_headings(cells))
    if not headings or headings[0][1] != 1:
        yield 1, "The chapter does not begin with its title."
    for line, level, text in headings[1:]:
        if level == 1:
            yield line, f"A second title, {text!r}: one question per chapter."
    sections = [(line, text) for line, level, text in headings if level == 2]
    known = [(line, text) for line, text in sections if text in SECTIONS]
    for (_, before), (line, after) in itertools.pairwise(known):
        if SECTIONS.index(after) <= SECTIONS.index(before):
            yield line, f"The section {after!r} comes after {before!r}."
    # Chapter 00 explains how to read the book; all others answer a question.
    if chapter.number > 0:
        if not sections or sections[0][1] != SECTIONS[0]:
            yield (sections or [(1, "")])[0][0], "The first section is not 'Question'."
        if not sections or sections[-1][1] != SECTIONS[-1]:
            yield (
                (sections or [(1, "")])[-1][0],
                "The last section is not 'What we now know'.",
            )
