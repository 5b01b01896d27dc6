"""EXPLAIN (FORMAT YAML), made into the documents of FORMAT JSON."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from fluxlab.plans.formats.unframe import Line, refuse
from fluxlab.plans.labels import Json

#: The loader in C where there is one: a hundred nodes in milliseconds.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE = "Paste EXPLAIN's whole answer, with its spaces, or use EXPLAIN (FORMAT JSON)."


def read_yaml(lines: Sequence[Line]) -> Json:
    """Return what the lines hold; raises FluxlabError with the line that it fails at.

    Aliases are refused: EXPLAIN writes none, and a few lines of them can fill a memory.
    """
    text = "\n".join(line.text for line in lines)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                line = lines[min(event.start_mark.line, len(lines) - 1)]
                raise refuse(line, "is an alias, which EXPLAIN does not write", _WHOLE)
        found: Json = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = min(mark.line if mark is not None else 0, len(lines) - 1)
        raise refuse(lines[at], "cannot be read as YAML", _WHOLE) from None
    except (ValueError, RecursionError, TypeError):
        raise refuse(lines[0], "begins what cannot be read as YAML", _WHOLE) from None
    return found
