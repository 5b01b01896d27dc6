"""The one exception family, and the one place that hides passwords."""

from __future__ import annotations

import re

_URL_PASSWORD = re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s@]+(?=@)")
_WORD_PASSWORD = re.compile(
    r"(?P<before>\b(?:password|passwd|pgpassword|sslpassword)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]+)",
    re.IGNORECASE,
)


class FluxlabError(Exception):
    """A failure said in one sentence, followed by what to do next.

    Passwords in either sentence are masked, so that an error may be shown anywhere.

    >>> str(FluxlabError("No server at postgres://ann:secret@db/x.", "Start it."))
    'No server at postgres://ann:***@db/x. Start it.'
    """

    def __init__(self, what: str, do: str) -> None:
        self.what = mask(what)
        self.do = mask(do)
        super().__init__(f"{self.what} {self.do}")


def mask(text: str) -> str:
    """Replace every password in a URL or a connection string by three stars.

    >>> mask("host=db password='a b' user=ann")
    'host=db password=*** user=ann'
    """
    text = _URL_PASSWORD.sub(r"\g<before>***", text)
    return _WORD_PASSWORD.sub(r"\g<before>***", text)
