"""Read the Workload: every Query of `sql/queries/`, from its file with its headers.

A file holds blocks in aiosql's format. A block begins with `-- name:`, goes on with
headers from a closed set, and ends with one statement whose parameters are written
`:name`, so that psql, SQLAlchemy and aiosql read it as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pglast import parse_sql
from pglast.parser import ParseError

from fluxlab.errors import FluxlabError
from fluxlab.workload.query import CacheUse, Parameter, Query, Workload

HEADERS = ("name", "what", "weight", "claim", "cache", "habits", "sizes", "param")
TTLS = ("short", "medium", "long", "very long", "day", "week")
#: Always there, without a header: the clock of the data, which stands still.
CLOCK = ("now", "today")

_HEADER = re.compile(r"--\s+(?P<key>[a-z]+)(?:\s+(?P<of>\w+))?\s*:\s*(?P<value>.*)$")
_CONTINUATION = re.compile(r"--\s{4,}(?P<value>\S.*)$")
_CACHE = re.compile(r"(?P<key>\S+)\s+ttl:\s*(?P<ttl>[a-z ]+)$")
_COLUMN = re.compile(r"(?P<table>[a-z_]+)\.(?P<column>[a-z_]+)$")
# What may hold a colon without being a parameter comes first, and is skipped.
_TOKEN = re.compile(
    r"(?P<skip>'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$|::)"
    r"|:(?P<name>[a-z_][a-z0-9_]*)",
    re.DOTALL,
)


def load_workload(directory: Path) -> Workload:
    """Read every `*.sql` file of a directory.

    Raises FluxlabError with file and line for anything that is not understood.
    """
    queries: dict[str, Query] = {}
    for path in sorted(directory.glob("*.sql")):
        for query in load_file(path):
            if query.name in queries:
                first = queries[query.name]
                raise _error(
                    path,
                    query.line,
                    f"the name {query.name} is taken by {first.path.name}:{first.line}",
                    "Give one of them another name.",
                )
            queries[query.name] = query
    if not queries:
        raise FluxlabError(
            f"There are no queries in {directory}.", "Is the checkout complete?"
        )
    return Workload(queries)


def load_file(path: Path) -> list[Query]:
    """Read the blocks of one file, in order; the area is the file's stem."""
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("-- name:")]
    for number, line in enumerate(lines[: starts[0] if starts else None]):
        if line.strip() and not line.startswith("--"):
            raise _error(
                path, number + 1, "a statement stands before the first `-- name:`", ""
            )
    ends = [*starts[1:], len(lines)]
    return [
        _read_block(path, start, lines[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


def _read_block(path: Path, start: int, lines: list[str]) -> Query:
    headers: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    body = next(
        (i for i, line in enumerate(lines) if not line.startswith("--")), len(lines)
    )
    for number, key, of, value in _headers(path, start, lines[:body]):
        if key == "param":
            if of in parameters or of in CLOCK:
                raise _error(
                    path, number, f"the parameter {of} is there already", "Drop one."
                )
            parameters[of] = _read_parameter(path, number, of, value)
        elif key in headers:
            raise _error(path, number, f"a second header `{key}`", "Keep one.")
        else:
            headers[key] = value
    sql = "\n".join(lines[body:]).strip()
    line = start + body + 1
    for needed in ("name", "what", "weight"):
        if not headers.get(needed):
            raise _error(path, start + 1, f"no header `{needed}`", f"Add `-- {needed}: …`.")
    statement, names = number_parameters(sql)
    _check_statement(path, line, sql, statement)
    _check_names(path, line, names, parameters)
    return Query(
        name=headers["name"],
        area=path.stem,
        what=headers["what"],
        weight=_read_weight(path, start + 1, headers["weight"]),
        sql=sql,
        statement=statement,
        names=names,
        parameters=tuple(parameters.values()),
        claim=headers.get("claim"),
        cache=_read_cache(path, start + 1, headers.get("cache")),
        habits=_words(headers.get("habits", "")),
        sizes=_words(headers.get("sizes", "")),
        path=path,
        line=start + 1,
    )


def _headers(
    path: Path, start: int, lines: list[str]
) -> Iterator[tuple[int, str, str, str]]:
    found: list[tuple[int, str, str, str]] = []
    for offset, line in enumerate(lines):
        number = start + offset + 1
        if (more := _CONTINUATION.match(line)) and found:
            at, key, of, value = found[-1]
            found[-1] = (at, key, of, f"{value}\n{more['value']}")
            continue
        header = _HEADER.match(line)
        if (
            not header
            or header["key"] not in HEADERS
            or bool(header["of"]) != (header["key"] == "param")
        ):
            raise _error(
                path,
                number,
                f"{line!r} is not a header",
                f"Expected one of {', '.join(HEADERS)}.",
            )
        found.append((number, header["key"], header["of"] or "", header["value"].strip()))
    yield from found


def _read_parameter(path: Path, number: int, name: str, value: str) -> Parameter:
    if column := _COLUMN.match(value):
        return Parameter(name, column=(column["table"], column["column"]))
    if value.startswith("one of "):
        choices = tuple(part.strip() for part in value[len("one of ") :].split("|"))
        if len(choices) > 4 or not all(choices):
            raise _error(
                path, number, f"{len(choices)} choices for {name}", "Give one to four."
            )
        return Parameter(name, choices=choices)
    if value.startswith(("select ", "with ")):
        return Parameter(name, sql=value)
    raise _error(
        path,
        number,
        f"{value!r} does not say where {name} comes from",
        "Expected `table.column`, `one of a | b`, or a select.",
    )


def _read_cache(path: Path, number: int, value: str | None) -> CacheUse | None:
    if value is None:
        return None
    cache = _CACHE.match(value)
    if not cache or cache["ttl"].strip() not in TTLS:
        raise _error(
            path,
            number,
            f"{value!r} is no cache use",
            f"Expected `key ttl: {'|'.join(TTLS)}`.",
        )
    return CacheUse(cache["key"], cache["ttl"].strip())


def _read_weight(path: Path, number: int, value: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = -1.0
    if not 0 < weight < 10_000:
        raise _error(path, number, f"the weight is {value!r}", "Give a number above 0.")
    return weight


def number_parameters(sql: str) -> tuple[str, tuple[str, ...]]:
    """Rewrite `:name` to `$1 …`; return the statement and the names in that order.

    >>> number_parameters("select ':a', b::text from t where c = :c and d > :d or e = :c")
    ("select ':a', b::text from t where c = $1 and d > $2 or e = $1", ('c', 'd'))
    """
    names: list[str] = []

    def numbered(token: re.Match[str]) -> str:
        if token["name"] is None:
            return token[0]
        if token["name"] not in names:
            names.append(token["name"])
        return f"${names.index(token['name']) + 1}"

    return _TOKEN.sub(numbered, sql), tuple(names)


def _check_statement(path: Path, line: int, sql: str, statement: str) -> None:
    try:
        statements = parse_sql(statement)
    except ParseError as error:
        offset = (
            error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
        )
        raise _error(
            path,
            line + statement[:offset].count("\n"),
            str(error.args[0]),
            "Correct the SQL.",
        ) from None
    if len(statements) != 1 or not sql.endswith(";"):
        raise _error(
            path, line, f"{len(statements)} statements", "Write one, ended by a semicolon."
        )


def _check_names(
    path: Path, line: int, used: tuple[str, ...], parameters: dict[str, Parameter]
) -> None:
    """Every name has a source, and every source is used, be it by a later sampler."""
    wanted = set(used)
    for parameter in parameters.values():
        wanted.update(number_parameters(parameter.sql or "")[1])
    for name in used:
        if name not in parameters and name not in CLOCK:
            raise _error(
                path,
                line,
                f"nothing says where :{name} comes from",
                f"Add `-- param {name}: …`.",
            )
    for name in parameters:
        if name not in wanted:
            raise _error(path, line, f":{name} is not used", "Drop its header.")


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _error(path: Path, line: int, what: str, do: str) -> FluxlabError:
    return FluxlabError(f"{path.name}:{line}: {what}.", do)
