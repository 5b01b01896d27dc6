"""The texts of the parts of a CREATE INDEX statement, cut out between its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from pglast.parser import Token, scan

_OPENING = {"ASCII_40", "ASCII_91"}  # ( [
_CLOSING = {"ASCII_41", "ASCII_93"}
_COMMA = "ASCII_44"


def pieces(text: str) -> tuple[list[str], str | None]:
    """Return the expressions of the keys, and the predicate or None.

    The tree has no text, and no printer of trees is as exact as the parser's own.
    """
    tokens = scan(text)
    opening = _next(tokens, 0, _OPENING)
    closing = _closing(tokens, opening)
    keys = [_expression(text, key) for key in _split(tokens[opening + 1 : closing])]
    where = _next(tokens, closing, {"WHERE"})
    return keys, _written(text, tokens[where + 1 :]) if where < len(tokens) else None


def _next(tokens: Sequence[Token], start: int, names: Set[str]) -> int:
    """Return the place of the next such token outside brackets, or that of the end."""
    place = start
    while place < len(tokens) and tokens[place].name not in names:
        is_opening = tokens[place].name in _OPENING
        place = (_closing(tokens, place) if is_opening else place) + 1
    return place


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """Return the place of the bracket that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(tokens)):
        name = tokens[place].name
        depth += (name in _OPENING) - (name in _CLOSING)
        if depth == 0:
            return place
    raise AssertionError("the parser has read this text")


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield what stands between commas outside brackets."""
    start = 0
    while start < len(tokens):
        comma = _next(tokens, start, {_COMMA})
        yield tokens[start:comma]
        start = comma + 1


def _expression(text: str, tokens: Sequence[Token]) -> str:
    """Return a key without its parentheses, or the call of a function, which has none."""
    opening = _next(tokens, 0, _OPENING)
    if opening == len(tokens):
        return _written(text, tokens[:1])
    closing = _closing(tokens, opening)
    return _written(text, tokens[1:closing] if opening == 0 else tokens[: closing + 1])


def _written(text: str, tokens: Sequence[Token]) -> str:
    """Return the text of some tokens, its keywords in lower case as in all of our SQL."""
    written, end = "", tokens[0].start
    for token in tokens:
        word = text[token.start : token.end + 1]
        is_keyword = token.kind != "NO_KEYWORD"
        written += text[end : token.start] + (word.lower() if is_keyword else word)
        end = token.end + 1
    return written
