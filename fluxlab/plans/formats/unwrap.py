"""Text as it was pasted, cut into pieces: lines of one format that hold plans.

`unframe` takes frames and quotes off; here the lines of a log, prompts of psql and
whatever else stands around a plan are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fluxlab.plans.formats.text_nodes import is_root, read_node
from fluxlab.plans.formats.text_properties import is_known_label, split_property
from fluxlab.plans.formats.unframe import BREAK, Line, clean_lines

Format = Literal["text", "json", "yaml", "xml"]

_LOG_PLAN = re.compile(r"duration: (?P<duration>\d+(?:\.\d+)?) ms\s+plan:\s*$")
_LOG = re.compile(
    r"^\S.*?\b(?:DEBUG\d?|INFO|ERROR|FATAL|PANIC|STATEMENT):  "
    r"|^(?:\S.*?)?\b(?:LOG|NOTICE|WARNING|DETAIL|HINT|CONTEXT|QUERY|LOCATION):  "
)
_QUERY_TEXT = re.compile(r'^\s*Query Text: (?!")')
_YAML = re.compile(r'^\s*(?:- )?(?:Plan:\s*$|Query Text: "|Query Parameters: ")')
_YAML_LINE = re.compile(r'^\s*(?:- )*(?:[A-Za-z][\w ./()-]*:(?: .*)?|".*"|\[.*\])\s*$')
_JSON = re.compile(r'^\s*(?:[\[{]\s*$|\[\s*\{|\{\s*"|\[\s*\[)')
_XML = re.compile(r"^\s*<(?:\?xml|explain|!DOCTYPE)\b")
_OF_TEXT = re.compile(
    r"^\s*(?:->|Planning(?: Time)?:|Execution Time:|JIT:|Trigger |Settings:|"
    r"Query Identifier:|Serialization:|Worker \d+:|(?:InitPlan|SubPlan|CTE) \S)"
)
_NOISE = re.compile(r"^(?:Time: [\d.,]+ ms.*|\S*[=-][#>*!] .*|\S+[=-][#>]\s*)$")


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of one format, and what the log said of them: the query, and its ms."""

    format: Format
    lines: tuple[Line, ...]
    query: str | None = None
    duration_ms: float | None = None

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(line.text for line in self.lines)


def unwrap(text: str) -> tuple[Piece, ...]:
    r"""Return the pieces of a paste that hold plans, in their order.

    >>> scan = "Seq Scan on users  (cost=0.00..9.00 rows=9 width=4)"
    >>> [piece.format for piece in unwrap(f"QUERY PLAN\n-----\n {scan}\n(1 row)")]
    ['text']
    """
    return tuple(_pieces(clean_lines(text)))


def _pieces(lines: Sequence[Line]) -> Iterator[Piece]:
    at, query, duration_ms, is_headed = 0, None, None, False
    while at < len(lines):
        text = lines[at].text
        is_break = text == BREAK
        if found := _LOG_PLAN.search(text):
            query, duration_ms, at = None, float(found["duration"]), at + 1
        elif _QUERY_TEXT.match(text):
            end = _until_plan(lines, at)
            query, at = _query_of(lines[at:end]), end
            is_headed = True
            continue
        elif (kind := _format_of(lines, at, is_headed)) is not None:
            end = _end_of(kind, lines, at)
            yield Piece(kind, tuple(lines[at:end]), query, duration_ms)
            query, duration_ms, at = None, None, end
        else:
            at += 1
        is_headed = is_break


def _format_of(lines: Sequence[Line], at: int, is_headed: bool) -> Format | None:
    text = lines[at].text
    if _JSON.match(text):
        return "json"
    if _XML.match(text):
        return "xml"
    if _YAML.match(text):
        return "yaml"
    # One line without numbers could be anything, unless psql's header stands above it.
    has_more = at + 1 < len(lines) and not lines[at + 1].is_blank
    if is_root(text, needs_numbers=not (is_headed or has_more)):
        return "text"
    return "text" if "(cost=" in text and read_node(text) is not None else None


def _end_of(kind: Format, lines: Sequence[Line], at: int) -> int:
    if kind == "json":
        return _end_of_json(lines, at)
    for place in range(at + 1, len(lines)):
        text = lines[place].text
        if _is_end(kind, text) or (kind == "xml" and "</explain>" in lines[place - 1].text):
            return place
        if kind == "text" and lines[place].is_blank and not _goes_on(lines, place):
            return place
    return len(lines)


def _is_end(kind: Format, text: str) -> bool:
    if text == BREAK or _LOG.match(text) or _LOG_PLAN.search(text):
        return True
    if kind == "yaml":
        return bool(text.strip()) and not _YAML_LINE.match(text)
    others = (_XML, _YAML, _JSON, _NOISE)
    return kind == "text" and any(other.match(text) for other in others)


def _goes_on(lines: Sequence[Line], at: int) -> bool:
    """Whether the plan in text goes on after a blank line."""
    following = next((one.text for one in lines[at:] if not one.is_blank), "")
    if _OF_TEXT.match(following):
        return True
    found = split_property(following)
    return found is not None and following[:1] == " " and is_known_label(found[0])


def _end_of_json(lines: Sequence[Line], at: int) -> int:
    text = "\n".join(line.text for line in lines[at:])
    begin = len(text) - len(text.lstrip())
    try:
        _, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        ends = (
            place
            for place in range(at + 1, len(lines))
            if _is_end("json", lines[place].text)
        )
        return next(ends, len(lines))
    return at + text.count("\n", 0, end) + 1


def _until_plan(lines: Sequence[Line], at: int) -> int:
    """Return where the plan after a "Query Text" begins, or whatever follows it."""
    for needs_numbers in (True, False):
        for place in range(at + 1, len(lines)):
            text = lines[place].text
            if text == BREAK or _LOG.match(text):
                break
            if not _OF_TEXT.match(text) and is_root(text, needs_numbers=needs_numbers):
                return place
    return at + 1


def _query_of(lines: Sequence[Line]) -> str:
    texts = [line.text for line in lines if not line.text.startswith("Query Parameters: ")]
    return "\n".join(texts).strip().removeprefix("Query Text:").strip()
