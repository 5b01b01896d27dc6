"""Invented names and a vocabulary that sounds like a season of marching arts."""

from __future__ import annotations

import tomllib
from itertools import product

from fluxlab.settings import ROOT

WORDS_PATH = ROOT / "data" / "words.toml"

_FILE = tomllib.loads(WORDS_PATH.read_text())


def _words(name: str) -> list[str]:
    return str(_FILE["words"][name]).split()


def _lines(name: str) -> list[str]:
    return str(_FILE["lines"][name]).strip().splitlines()


FIRST_NAMES = _words("first_names")
LAST_NAMES = _words("last_names")
STATES = _words("states")
FILE_SUBJECTS = _words("file_subjects")
CHANNELS = _words("channels")
SHOW_FIRST = _words("show_first")
SHOW_SECOND = _words("show_second")
COMMON_WORDS = _words("common_words")
PLACES = _lines("places")
TEAM_NAMES = _lines("team_names")
MILESTONES = _lines("milestones")
TASKS = _lines("tasks")

#: What an organization's name ends in, by its type.
ORGANIZATION_ENDINGS = {
    "high_school": "High School",
    "university": "University",
    "independent": "Independent",
    "middle_school": "Middle School",
    "professional": "Performing Arts",
    "non-profit": "Arts Foundation",
}


def vocabulary(size: int) -> list[str]:
    """Different words in order of frequency: common ones, then invented ones.

    >>> len(set(vocabulary(20_000)))
    20000
    """
    words = dict.fromkeys(COMMON_WORDS)
    parts = [_words("onsets"), _words("vowels"), _words("codas"), ["", *_words("endings")]]
    syllables = [word for word in map("".join, product(*parts)) if len(word) > 3]
    # A stride that shares no factor with the length visits every word once, shuffled.
    stride = 7919 if len(syllables) % 7919 else 7907
    for place in range(len(syllables)):
        if len(words) >= size:
            break
        words.setdefault(syllables[place * stride % len(syllables)])
    return list(words)[:size]


def tags(size: int) -> list[str]:
    """Different tags in order of frequency, e.g. of projects."""
    seasons = ["fall-2023", "winter-2024", "fall-2024", "winter-2025", "fall-2025"]
    trade = [word for word in COMMON_WORDS if len(word) > 3]
    return list(dict.fromkeys([*seasons, *trade]))[:size]
