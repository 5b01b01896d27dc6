"""Read the rules of the audit: one catalog question per file of `sql/audit/`.

A file begins with headers from a closed set, `-- key: value`, and goes on with one select
that runs in psql as it stands. All of them answer with the same columns. What a rule says
stands in its headers: `finding` is a template over the names and the evidence of a row,
`advice` holds for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import cast

from fluxlab.errors import FluxlabError
from fluxlab.plans.findings import WEIGHTS, Weight

HEADERS = ("rule", "title", "weight", "finding", "advice", "since", "needs", "reads")
#: What may keep an answer incomplete: what ANALYZE counted, what the server counted.
SOURCES = ("catalog", "statistics", "counters")
#: What every select answers with.
COLUMNS = (
    "schema_name",
    "table_name",
    "object_type",
    "object_name",
    "evidence",
    "fix",
    "undo",
)
_NEEDED = ("rule", "title", "weight", "finding", "advice")
_HEADER = re.compile(r"--\s+(?P<key>[a-z]+):\s*(?P<value>.*)$")
_CONTINUATION = re.compile(r"--\s{4,}(?P<value>\S.*)$")
_ID = re.compile(r"H\d\d")


@dataclass(frozen=True, slots=True)
class AuditRule:
    """One question to a catalog, and what is said of each row of its answer.

    `slug` is the file's stem and the rule's identity; `id` is its number in the book, which
    two slugs may share. `since` is the first server_version_num that it concerns, `needs`
    an extension that it calls.
    """

    slug: str
    id: str
    title: str
    weight: Weight
    finding: str
    advice: str
    sql: str
    since: int = 0
    needs: str | None = None
    reads: str = "catalog"

    def __repr__(self) -> str:
        return f"<AuditRule {self.slug} ({self.id}, {self.weight}): {self.title}>"


def load_rules(directory: Path) -> tuple[AuditRule, ...]:
    """Read every `*.sql` file of a directory, sorted by number and name.

    Raises FluxlabError with file and line for a header that is not understood.
    """
    rules = (_read(path) for path in directory.glob("*.sql"))
    found = tuple(sorted(rules, key=lambda rule: (rule.id, rule.slug)))
    if not found:
        raise FluxlabError(f"There are no rules in {directory}.", "Is the checkout whole?")
    return found


def choose_rules(rules: Sequence[AuditRule], names: Sequence[str]) -> tuple[AuditRule, ...]:
    """Return the rules of these numbers or slugs; all of them for no name.

    Raises FluxlabError for a name that no rule has.
    """
    for name in names:
        if not any(name.lower() in (rule.id.lower(), rule.slug) for rule in rules):
            known = ", ".join(f"{rule.id} {rule.slug}" for rule in rules)
            raise FluxlabError(f"There is no rule {name!r}.", f"Choose among {known}.")
    wanted = {name.lower() for name in names}
    return tuple(
        rule for rule in rules if not wanted or wanted & {rule.id.lower(), rule.slug}
    )


def _read(path: Path) -> AuditRule:
    lines = path.read_text().splitlines()
    body = next(
        (i for i, line in enumerate(lines) if not line.startswith("--")), len(lines)
    )
    headers = _headers(path, lines[:body])
    for key in _NEEDED:
        if not headers.get(key):
            raise _error(path, 1, f"no header `{key}`", f"Add `-- {key}: …`.")
    if not _ID.fullmatch(headers["rule"]):
        raise _error(
            path, 1, f"{headers['rule']!r} is no rule", "Expected H and two digits."
        )
    if headers["weight"] not in WEIGHTS:
        raise _error(
            path,
            1,
            f"the weight is {headers['weight']!r}",
            f"Use one of {', '.join(WEIGHTS)}.",
        )
    if headers.get("reads", "catalog") not in SOURCES:
        raise _error(
            path, 1, f"it reads {headers['reads']!r}", f"Use one of {', '.join(SOURCES)}."
        )
    if not headers.get("since", "0").isdecimal():
        raise _error(path, 1, "`since` is no number", "Write it as 180000.")
    sql = "\n".join(lines[body:]).strip()
    if not sql.endswith(";"):
        raise _error(path, len(lines), "no statement", "Write one, ended by a semicolon.")
    return AuditRule(
        slug=path.stem,
        id=headers["rule"],
        title=headers["title"],
        weight=headers["weight"],
        finding=headers["finding"],
        advice=headers["advice"],
        sql=sql,
        since=int(headers.get("since", "0")),
        needs=headers.get("needs"),
        reads=headers.get("reads", "catalog"),
    )


def _headers(path: Path, lines: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    last = ""
    for number, line in enumerate(lines, start=1):
        if (more := _CONTINUATION.match(line)) and last:
            headers[last] += f" {more['value'].strip()}"
            continue
        header = _HEADER.match(line)
        if header is None or header["key"] not in HEADERS:
            raise _error(
                path,
                number,
                f"{line!r} is not a header",
                f"Expected one of {', '.join(HEADERS)}.",
            )
        last = header["key"]
        if last in headers:
            raise _error(path, number, f"a second header `{last}`", "Keep one.")
        headers[last] = header["value"].strip()
    return headers


def _error(path: Path, line: int, what: str, do: str) -> FluxlabError:
    return FluxlabError(f"{path.name}:{line}: {what}.", do)


def fill(template: str, values: Mapping[str, object]) -> str:
    """Put values into a template; names say the unit, what follows a colon is counted.

    Raises KeyError for a name that has no value.

    >>> fill("{rows:row}, {null_share} null, {size_bytes}, {keys}", {
    ...     "rows": 1200, "null_share": 0.5, "size_bytes": 57344, "keys": ["a", "b"]})
    '1,200 rows, 50 % null, 56 kB, a, b'
    """
    return _Words().vformat(template, (), values)


class _Words(Formatter):
    """Formats a value by the name that it has."""

    def get_value(
        self, key: int | str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> object:
        return str(key), kwargs[str(key)]

    def format_field(self, value: object, format_spec: str) -> str:
        name, found = cast(tuple[str, object], value)
        return say(name, found, format_spec)


def say(name: str, value: object, noun: str = "") -> str:
    """Write a value as people say it, by the unit at the end of its name.

    >>> say("read_share", 0.0004), say("scans", 1, "time"), say("since", None)
    ('0.04 %', '1 time', 'unknown')
    """
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(item) for item in value)
        case int() | float() if name.endswith("_bytes"):
            return _size(value)
        case int() | float() if name.endswith("_share"):
            return f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"
        case int() | float():
            number = f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
            return f"{number} {_plural(noun) if value != 1 else noun}".strip()
        case _:
            return str(value)


def _plural(noun: str) -> str:
    return (
        f"{noun[:-1]}ies"
        if noun.endswith("y")
        else f"{noun}es"
        if noun[-1:] == "x"
        else (f"{noun}s" if noun else "")
    )


def _size(value: float) -> str:
    if value < 1024:
        return f"{value:,.0f} byte{'' if value == 1 else 's'}"
    for unit in ("kB", "MB", "GB"):
        value /= 1024
        if value < 1024:
            return f"{value:.3g} {unit}"
    return f"{value / 1024:,.3g} TB"
