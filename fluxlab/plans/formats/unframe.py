"""Lines of a paste without what stands around them: frames, quotes, tabs of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fluxlab.errors import FluxlabError

#: Stands where one plan ends: at a header of psql, or at its count of rows.
BREAK = "\f"
#: Stands where a line was broken by a mail client or a terminal.
SOFT = "\x1f"

_HEADER = re.compile(r'^[\s|│║"]*QUERY PLAN[\s|│║"+↵]*$')
_ROWS = re.compile(r"^\s*\(\d+ \w+\)\s*$")
_RULE = re.compile(r"^\s*[-+|─═│║┌┐└┘├┤┬┴┼╔╗╚╝╠╣╦╩╬╞╡╪╟╢╫╤╧╒╕╘╛]{3,}\s*$")
_FENCE = re.compile(r"^\s*(?:```|~~~)\w*\s*$")
_BARS = "|│║"
#: What psql puts at the end of a line whose value goes on, and what stands there then.
_JOINTS = {"+": "\n", "↵": "\n", ".": "", "…": ""}
_STRUCTURED = re.compile(r"^\s*(?:[\[{<]|- |Plan:|Query Text:)")
_QUOTED = re.compile(r'^\s*"(.*)"[,;]?\s*$')


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the paste: its number, from 1, and what is left of it."""

    number: int
    text: str

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands there, or a break."""
        return not self.text.strip()

    @property
    def column(self) -> int:
        """How far it is indented."""
        return len(self.text) - len(self.text.lstrip(" "))


def refuse(line: Line, what: str, do: str) -> FluxlabError:
    """Return the error that names a line, what is wrong with it, and what helps.

    >>> refuse(Line(7, "  ->  Sort"), "is no node", "Paste it again.").what
    'Line 7: “-> Sort” is no node.'
    """
    text = " ".join(line.text.replace(SOFT, " ").split())
    short = text if len(text) <= 60 else text[:59] + "…"
    return FluxlabError(f"Line {line.number}: “{short}” {what}.", do)


def clean_lines(text: str) -> list[Line]:
    r"""Return the lines of a paste without frames and quotes, in their order.

    >>> [line.text for line in clean_lines("> a\n> b")]
    ['a', 'b']
    """
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    plain = plain.replace("\u00a0", " ").replace(BREAK, " ").replace(SOFT, " ")
    lines = [Line(number, one) for number, one in enumerate(plain.split("\n"), 1)]
    lines = [line for line in lines if not _FENCE.match(line.text)]
    lines = _without_csv_quotes(_without_mail_quotes(lines))
    # A log puts a tab before each line that follows the first.
    lines = [Line(one.number, one.text.removeprefix("\t").expandtabs(8)) for one in lines]
    return list(_without_frames(lines))


def _without_mail_quotes(lines: list[Line]) -> list[Line]:
    filled = [line for line in lines if not line.is_blank]
    if sum(line.text.startswith(">") for line in filled) * 2 <= len(filled):
        return lines
    return [Line(line.number, re.sub(r"^(?:> ?)+", "", line.text)) for line in lines]


def _without_csv_quotes(lines: list[Line]) -> list[Line]:
    """Take off quotes around each line, or around the whole."""
    body = [one for one in lines if not one.is_blank and not _HEADER.match(one.text)]
    if not body or not body[0].text.lstrip().startswith('"'):
        return lines
    each = [_QUOTED.match(line.text) for line in body]
    if all(each):
        return [
            Line(line.number, found[1].replace('""', '"'))
            if (found := _QUOTED.match(line.text)) and not _HEADER.match(line.text)
            else line
            for line in lines
        ]
    whole = []
    for line in lines:
        text = line.text
        if line is body[0]:
            text = text.lstrip()[1:]
        if line is body[-1]:
            text = re.sub(r'"\s*$', "", text)
        whole.append(Line(line.number, text.replace('""', '"')))
    return whole


def _is_rule(text: str) -> bool:
    return _RULE.match(text) is not None and any(one in text for one in "-─═")


def _without_frames(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines without psql's frame, the lines of one value of text joined."""
    width = _width_of_marks(lines)
    value: list[tuple[Line, str | None]] = []
    for line in lines:
        if _HEADER.match(line.text) or _ROWS.match(line.text):
            yield from _joined(value)
            value = []
            yield Line(line.number, BREAK)
        elif _is_rule(line.text):
            width = len(line.text.rstrip())
        else:
            body, joint = _unframed(line.text, width)
            value.append((Line(line.number, body), joint))
            if joint is None:
                yield from _joined(value)
                value = []
    yield from _joined(value)


def _joined(value: Sequence[tuple[Line, str | None]]) -> Iterator[Line]:
    """Yield one value of text as one line, one of JSON, YAML or XML as its lines."""
    if not value:
        return
    first = value[0][0]
    if len(value) == 1 or _STRUCTURED.match(first.text):
        yield from (line for line, _ in value)
        return
    text = first.text
    for (_, joint), (line, _) in pairwise(value):
        text += (joint or "") + line.text.removeprefix(" ")
    yield Line(first.number, text)


def _width_of_marks(lines: Sequence[Line]) -> int:
    """Return where psql's marks stand in lines that lost their header, else 0."""
    texts = [line.text.rstrip() for line in lines if not line.is_blank]
    widths = {len(text) for text in texts if text.endswith(("+", "↵"))}
    marked = sum(text.endswith(("+", "↵")) for text in texts)
    return widths.pop() if len(widths) == 1 and marked >= max(2, len(texts) - 2) else 0


def _unframed(text: str, width: int) -> tuple[str, str | None]:
    """Return what is left of a line, and what joins the next one to it."""
    body = text.rstrip()
    within = body.strip()
    if len(within) > 2 and within[0] in _BARS and within[-1] in _BARS:
        joint = _JOINTS.get(within[-2])
        inner = within[1 : -2 if joint is not None else -1]
        return (inner[1:] if inner[:1] in (" ", ".", "…") else inner).rstrip(), joint
    if width and len(body) in (width, width + 1) and body[-1] in _JOINTS:
        joint = _JOINTS[body[-1]]
        kept = body[:-1]
        return (kept if not joint else kept.rstrip()).removeprefix("."), joint
    return (body[1:] if body[:1] in (".", "…") and width else body), None
